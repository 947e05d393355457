//! What an answer helps with, when its origin does not say: later versions of the same file.

/// A name of this length, in letters of both kinds or with digits, is what bundlers put into file
/// names: 8 letters of base 64.
const SHORT_HASH: usize = 8;

/// The URL pattern that later versions of this path match: its version or hash replaced by `*`, in
/// the name of the file, else in the innermost folder that has one. A path without any is its own
/// pattern: what has changed under the same name.
#[must_use]
pub fn of_versions(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some(file) = file_versions(file) {
        return format!("{}/{file}", escaped(folder));
    }
    let mut segments: Vec<String> = path.split('/').map(escaped).collect();
    let last = segments.len() - 1;
    let is_version = |segment: &str| !segment.is_empty() && segment.split('.').all(is_version);
    let found = path.split('/').take(last).collect::<Vec<_>>();
    if let Some(at) = found.iter().rposition(|segment| is_version(segment)) {
        segments[at] = "*".into();
    }
    segments.join("/")
}

/// `app.3f9a1c2b.js` as `app.*.js`; None without a version.
fn file_versions(file: &str) -> Option<String> {
    let (stem, extension) = match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 5 => (stem, extension),
        _ => (file, ""),
    };
    let mut starred = short_hash(stem).or_else(|| tokens(stem))?;
    if !extension.is_empty() {
        starred.push('.');
        starred.push_str(&escaped(extension));
    }
    Some(starred)
}

/// `index-DkFz_q1B` as `index-*`: such a hash may hold what stands between words.
fn short_hash(stem: &str) -> Option<String> {
    let at = stem.len().checked_sub(SHORT_HASH)?;
    let (before, hash) = (stem.get(..at)?, stem.get(at..)?);
    let is_random = (hash.bytes())
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && hash.bytes().any(|byte| byte.is_ascii_lowercase())
        && hash.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    (is_random && before.ends_with(['-', '.'])).then(|| format!("{}*", escaped(before)))
}

/// The words of a name, those that are versions as `*`; several in a row are one.
fn tokens(stem: &str) -> Option<String> {
    let mut out = String::with_capacity(stem.len());
    let mut found = None;
    for piece in stem.split_inclusive(['.', '-', '_', '~']) {
        let word = piece.trim_end_matches(['.', '-', '_', '~']);
        let between = &piece[word.len()..];
        if is_version(word) {
            // `3.7.1`: what stands between is a part of it.
            if let Some(star) = found.filter(|&star: &usize| out.len() <= star + 2) {
                out.truncate(star);
            }
            found = Some(out.len());
            out.push('*');
            out.push_str(between);
        } else {
            out.push_str(&escaped(piece));
        }
    }
    found.map(|_| out)
}

/// Is this word a number, a version, or a hash?
fn is_version(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_alphanumeric = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_number = digits == word.len() || (digits + 1 == word.len() && word.starts_with('v'));
    let is_hex = word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_hash = is_hex || word.len() >= SHORT_HASH;
    is_alphanumeric && digits > 0 && (is_number || is_hash)
}

/// What means something in a URL pattern means itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if "+*?:{}()\\".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::of_versions;

    #[test]
    fn the_version_in_a_path_may_be_any() {
        for (path, pattern) in [
            ("/app.3f9a1c2b.js", "/app.*.js"),
            ("/app.v2.js", "/app.*.js"),
            ("/static/main.1.chunk.js", "/static/main.*.chunk.js"),
            ("/jquery-3.7.1.min.js", "/jquery-*.min.js"),
            ("/assets/index-DkFz_q1B.js", "/assets/index-*.js"),
            ("/assets/index-DkFzWqbB.css", "/assets/index-*.css"),
            ("/chunk-4XJ2MNOP.js", "/chunk-*.js"),
            ("/3f9a1c2b3f9a1c2b.js", "/*.js"),
            ("/npm/react@18/1.2.3/react.js", "/npm/react@18/*/react.js"),
            ("/v12/a/app.js", "/*/a/app.js"),
            ("/app.js", "/app.js"),
            ("/decade.js", "/decade.js"),
            ("/a(b)/c:d+.js", "/a\\(b\\)/c\\:d\\+.js"),
            ("/", "/"),
            ("/page/12", "/page/*"),
        ] {
            assert_eq!(of_versions(path), pattern, "{path}");
        }
    }
}
