//! Which kinds of content are worth coding.

/// Types beside `text/*`, `*+json`, `*+xml` and `*+text` that shrink; all in small letters.
const SHRINKING: [&[u8]; 27] = [
    b"application/ecmascript",
    b"application/eot",
    b"application/font-sfnt",
    b"application/javascript",
    b"application/json",
    b"application/ld+json",
    b"application/manifest+json",
    b"application/msgpack",
    b"application/opentype",
    b"application/otf",
    b"application/toml",
    b"application/truetype",
    b"application/ttf",
    b"application/vnd.api+json",
    b"application/vnd.ms-fontobject",
    b"application/wasm",
    b"application/x-httpd-php",
    b"application/x-javascript",
    b"application/x-ndjson",
    b"application/x-sh",
    b"application/xml",
    b"application/yaml",
    b"font/eot",
    b"font/otf",
    b"font/ttf",
    b"image/bmp",
    b"image/x-icon",
];

/// Endings of structured types (RFC 6839) that are text.
const TEXTS: [&[u8]; 3] = [b"+json", b"+xml", b"+text"];

/// Is an answer of this `Content-Type` worth coding? Images, sound, films, archives and `woff`
/// are coded already; what states no type or an unknown one is left alone. `text/event-stream` is
/// worth it, flushed after each event.
#[must_use]
pub fn is_compressible(content_type: &[u8]) -> bool {
    let end = content_type.iter().position(|&byte| byte == b';');
    let kind = content_type[..end.unwrap_or(content_type.len())].trim_ascii();
    let starts = |with: &[u8]| {
        kind.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let ends = |with: &&[u8]| {
        let at = kind.len().checked_sub(with.len());
        at.is_some_and(|at| kind[at..].eq_ignore_ascii_case(with))
    };
    if starts(b"text/") || TEXTS.iter().any(ends) {
        return true;
    }
    SHRINKING
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::is_compressible;

    #[test]
    fn texts_shrink_and_what_is_coded_already_does_not() {
        for worth in [
            "text/html; charset=utf-8",
            "text/event-stream",
            "TEXT/CSS",
            "application/javascript",
            " application/json ;a=b",
            "application/problem+json",
            "image/svg+xml",
            "application/wasm",
            "font/ttf",
            "application/vnd.ms-fontobject",
        ] {
            assert!(is_compressible(worth.as_bytes()), "{worth}");
        }
        for not in [
            "",
            ";",
            "text",
            "image/png",
            "image/jpeg",
            "video/mp4",
            "audio/ogg",
            "font/woff2",
            "application/zip",
            "application/gzip",
            "application/octet-stream",
            "application/pdf",
            "application/jsonx",
            "application/grpc",
        ] {
            assert!(!is_compressible(not.as_bytes()), "{not}");
        }
    }
}
