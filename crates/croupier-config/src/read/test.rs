//! `[[test]]`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{CacheStore, Expect, ExpectCache, HostPattern, Test, TestRequest};
use crate::read::{Complaint, Field, Fields, Reader, address, headers, host};
use crate::source::Spanned;
use crate::tree::{Node, Value};

pub(crate) fn tests(reader: &mut Reader, field: &Field<'_>) -> Vec<Test> {
    if field.node.as_table().is_some() {
        let message = "tests are a list: the header has two brackets";
        reader.note(
            Diagnostic::error(codes::WRONG_TYPE, field.node.span, message)
                .help("write `[[test]]` before each test"),
        );
        return Vec::new();
    }
    field
        .items(reader)
        .iter()
        .filter_map(|node| test(reader, node))
        .collect()
}

fn test(reader: &mut Reader, node: &Node) -> Option<Test> {
    let table = Fields::open(reader, node, &keys::TEST)?;
    let request = table
        .need(reader, "request")
        .and_then(|field| field.full_text(reader))
        .and_then(|text| reader.parse(text, codes::REQUEST, request));
    let headers = table
        .get("headers")
        .map(|field| headers::lines(reader, &field));
    let client = table
        .get("client")
        .and_then(|field| field.full_text(reader))
        .and_then(|text| {
            reader.parse(text, codes::ADDRESS, |text| {
                text.parse().map_err(|_| {
                    Complaint::new(format!("`{text}` is not an IP address"))
                        .help("write an address without port, such as `192.0.2.7`")
                })
            })
        });
    let expect = match table.need(reader, "expect") {
        Some(_) => expect(reader, &table)?,
        None => return None,
    };
    Some(Test {
        request: request?,
        headers: headers.unwrap_or_default(),
        client: client.map(|client| client.value),
        expect,
        span: node.span,
    })
}

fn expect(reader: &mut Reader, table: &Fields<'_>) -> Option<Expect> {
    let table = table.table(reader, "expect", &keys::EXPECT)?;
    let mut text = |name| {
        let text = table.get(name)?.full_text(reader)?;
        Some(text.map(str::to_owned))
    };
    let (site, route, pool) = (text("site"), text("route"), text("pool"));
    let (location, path) = (text("location"), text("path"));
    let status = table.get("status").and_then(|field| field.integer(reader));
    let status = status
        .and_then(|status| Some(Spanned::new(u16::try_from(status.value).ok()?, status.span)));
    let cache = table
        .get("cache")
        .and_then(|field| expect_cache(reader, &field));
    let names: Vec<&'static str> = keys::EXPECT.names().collect();
    if table.among(&names).is_empty() {
        let message = "the test expects nothing";
        reader.note(
            Diagnostic::error(codes::EMPTY, table.span, message)
                .help(format!("expect one of {}", keys::one_of(&names))),
        );
        return None;
    }
    if let Some(path) = path.as_ref().filter(|path| !path.starts_with('/')) {
        let message = format!("`{}` is not a path", path.value);
        let help = format!("write `/{}`", path.value);
        reader.note(Diagnostic::error(codes::PATH, path.span, message).help(help));
    }
    Some(Expect {
        site,
        route,
        pool,
        status,
        location,
        path,
        cache,
    })
}

fn expect_cache(reader: &mut Reader, field: &Field<'_>) -> Option<Spanned<ExpectCache>> {
    let expected = match &field.node.value {
        Value::Boolean(false) => ExpectCache::Nothing,
        Value::Boolean(true) => ExpectCache::Store(CacheStore::IMPLICIT.into()),
        _ => ExpectCache::Store(field.full_text(reader)?.value.to_owned()),
    };
    Some(Spanned::new(expected, field.node.span))
}

/// `GET https://host:port/path?query`
fn request(text: &str) -> Result<TestRequest, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not a request"));
    let mut words = text.split_whitespace();
    let (Some(method), Some(url), None) = (words.next(), words.next(), words.next()) else {
        let help = "write method and URL, such as `GET https://example.com/`";
        return Err(match text.contains("://") && !text.contains(' ') {
            true => bad().help(format!("add the method: `GET {text}`")),
            false => bad().help(help),
        });
    };
    if !method.bytes().all(headers::is_token_byte) {
        return Err(bad().help(format!("`{method}` is not a method")));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        let host = if url.starts_with('/') {
            "example.com"
        } else {
            ""
        };
        return Err(bad().help(format!(
            "write the whole URL: `{method} https://{host}{url}`"
        )));
    };
    if !["http", "https"].contains(&scheme) {
        return Err(bad().help("the scheme is `http` or `https`"));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !authority.ends_with(']') => (name, Some(address::port(port)?)),
        _ => (authority, None),
    };
    let Ok(HostPattern::Exact(name)) = host::pattern(name) else {
        return Err(bad().help(format!("`{name}` is not a host")));
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    Ok(TestRequest {
        method: method.to_owned(),
        scheme: scheme.to_owned(),
        host: name,
        port,
        path: if path.is_empty() {
            "/".into()
        } else {
            path.to_owned()
        },
        query,
    })
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn requests_are_taken_apart() {
        let parsed = request("GET https://Example.com:8443/a?b=c#d").unwrap();
        assert_eq!(parsed.host, "example.com");
        assert_eq!(parsed.port, Some(8443));
        assert_eq!(
            (parsed.path.as_str(), parsed.query.as_deref()),
            ("/a", Some("b=c"))
        );
        let parsed = request("GET http://[::1]?x").unwrap();
        assert_eq!((parsed.host.as_str(), parsed.path.as_str()), ("[::1]", "/"));
        for text in [
            "",
            "GET",
            "https://a/",
            "GET /x",
            "GET ftp://a/",
            "G@T https://a",
            "GET https://",
            "GET http://a:0/",
            "GET http://*/",
            "GET http://a/ b",
        ] {
            request(text).unwrap_err();
        }
    }
}
