//! URLs that we ask ourselves: of an authority, of whoever allows certificates.

use crate::read::{Complaint, host};

/// What a key asks of its URL.
pub(crate) struct Form {
    pub(crate) schemes: &'static [&'static str],
    /// What the key calls it, in messages.
    pub(crate) what: &'static str,
    pub(crate) example: &'static str,
    pub(crate) query: Query,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Query {
    Allowed,
    /// One is added when it is asked.
    Ours,
}

const URL_BYTES_MAX: usize = 2048;

/// An absolute URL of this form, as written.
pub(crate) fn url(text: &str, form: &Form) -> Result<String, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not {}", form.what));
    let example = format!("write a URL such as `{}`", form.example);
    if text.len() > URL_BYTES_MAX {
        return Err(Complaint::new(format!(
            "a URL here has at most {URL_BYTES_MAX} bytes, this one has {}",
            text.len()
        )));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(bad().help(example));
    };
    if !form.schemes.contains(&scheme) {
        return Err(match (scheme, form.schemes) {
            ("http", ["https"]) => bad().help(format!(
                "it is asked over TLS: `https://{rest}`; for an authority of your own write its `ca`"
            )),
            _ => bad().help(example),
        });
    }
    if let Some(odd) = rest.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(bad().help(format!(
            "a URL has no `{}`; write it percent-encoded",
            odd.escape_default()
        )));
    }
    if rest.contains('#') {
        return Err(bad().help("leave out the part behind `#`: it is never sent"));
    }
    if form.query == Query::Ours && rest.contains('?') {
        return Err(bad().help("leave out the query: `?domain=NAME` is added"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            Complaint::new(format!("{} has no user and no password", form.what))
                .help("leave them out"),
        );
    }
    if super::pool::literal_host(authority).is_err() {
        let name = authority
            .rsplit_once(':')
            .map_or(authority, |(name, _)| name);
        return Err(bad().help(match host::name_problem(name) {
            Some(problem) => problem,
            None => example,
        }));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Form, Query, url};

    #[test]
    fn a_url_is_absolute_and_has_a_host() {
        let ask = Form {
            schemes: &["http", "https"],
            what: "a URL",
            example: "http://127.0.0.1:9000/may",
            query: Query::Ours,
        };
        for text in [
            "http://127.0.0.1:9000/may",
            "https://ask.internal",
            "http://[::1]:80/",
        ] {
            assert_eq!(url(text, &ask).unwrap(), text);
        }
        for text in [
            "",
            "127.0.0.1:9000",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a b/",
            "http://a/#b",
            "http://a/?b",
            "http://me:secret@a/",
            "http://ü/",
        ] {
            assert!(url(text, &ask).is_err(), "{text}");
        }
        assert!(url(&format!("http://a/{}", "x".repeat(2048)), &ask).is_err());
    }
}
