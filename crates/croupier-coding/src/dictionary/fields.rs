//! `Available-Dictionary`, `Use-As-Dictionary` and `Dictionary-ID` (RFC 9842 section 2).

use super::structured::{Bare, Reader, write_string};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Longest id (RFC 9842 section 2.1.3).
const ID_BYTES_MAX: usize = 1024;

/// What an origin says of an answer that may serve as a dictionary later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UseAs {
    /// The URL pattern of what it helps with: `/app/*/main.js`. Not looked into.
    pub matches: String,
    /// The kinds of requests it helps with, as in `Sec-Fetch-Dest`; empty: all.
    pub dest: Vec<String>,
    /// What the client shall say in `Dictionary-ID`; empty: nothing.
    pub id: String,
}

impl UseAs {
    /// Reads the value of `Use-As-Dictionary`. None when it is not lawful, names no pattern, or is
    /// of a type other than `raw`: then the answer is no dictionary.
    #[must_use]
    pub fn of(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let mut pattern = None;
        let mut said = Self::default();
        let mut is_raw = true;
        while let Some(key) = reader.key()? {
            match (key, reader.member()?) {
                ("match", Bare::String(text)) => pattern = Some(text),
                ("match-dest", Bare::Strings(texts)) => said.dest = texts,
                ("id", Bare::String(text)) if text.len() <= ID_BYTES_MAX => said.id = text,
                ("type", Bare::Token(kind)) => is_raw = kind == "raw",
                ("match" | "match-dest" | "id" | "type", _) => return None,
                _ => {} // what we do not know is passed over
            }
        }
        said.matches = pattern.filter(|_| is_raw)?;
        Some(said)
    }

    /// The value to write; None when a part has letters that no field value may have.
    #[must_use]
    pub fn to_value(&self) -> Option<String> {
        let mut out = String::from("match=");
        write_string(&mut out, &self.matches)?;
        if !self.dest.is_empty() {
            out.push_str(", match-dest=(");
            for (at, dest) in self.dest.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write_string(&mut out, dest)?;
            }
            out.push(')');
        }
        if !self.id.is_empty() {
            out.push_str(", id=");
            write_string(&mut out, &self.id)?;
        }
        Some(out)
    }
}

/// The SHA-256 that `Available-Dictionary` names; None when it is not lawful.
#[must_use]
pub fn available(value: &[u8]) -> Option<[u8; 32]> {
    match Reader::new(value).item()? {
        Bare::Bytes(bytes) => bytes.try_into().ok(),
        _ => None,
    }
}

/// A value for `Available-Dictionary`.
#[must_use]
pub fn to_available(hash: &[u8; 32]) -> String {
    let mut out = String::with_capacity(46);
    out.push(':');
    STANDARD.encode_string(hash, &mut out);
    out.push(':');
    out
}

/// What `Dictionary-ID` says; None when it is not lawful.
#[must_use]
pub fn id(value: &[u8]) -> Option<String> {
    match Reader::new(value).item()? {
        Bare::String(text) if text.len() <= ID_BYTES_MAX => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{UseAs, available, id, to_available};

    fn of(value: &str) -> Option<UseAs> {
        UseAs::of(value.as_bytes())
    }

    #[test]
    fn what_an_origin_says_is_read() {
        let said = of(r#"match="/product/*", match-dest=("document" "script"), id="a\"b", ttl=3"#);
        let expected = UseAs {
            matches: "/product/*".into(),
            dest: vec!["document".into(), "script".into()],
            id: "a\"b".into(),
        };
        assert_eq!(said, Some(expected));
        assert!(
            of(r#"match="/x", type=raw;a=1, new, other=?0;b="c", more=(1 2.5 :aGk=:)"#).is_some()
        );
        assert_eq!(
            of(r#"match="/a", match="/b""#).unwrap().matches,
            "/b",
            "the last counts"
        );
    }

    #[test]
    fn what_is_not_lawful_is_no_dictionary() {
        for value in [
            "",
            r#"id="x""#,
            "match=/x",
            r#"match="/x"#,
            r#"match="/x","#,
            r#"match="/x" id="y""#,
            r#"match="/x", type=br"#,
            r#"match="/x", match-dest=document"#,
            r#"match="/x", match-dest=("a""b")"#,
            r#"match="/x", match-dest=(a)"#,
            r#"match="/\x""#,
            "match=\"/\u{e9}\"",
            r#"Match="/x""#,
        ] {
            assert_eq!(of(value), None, "{value}");
        }
        let long = format!(r#"match="/x", id="{}""#, "i".repeat(1025));
        assert_eq!(of(&long), None);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        // The example of RFC 9842 section 2.2.
        let value = ":pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=:";
        let hash = available(value.as_bytes()).unwrap();
        assert_eq!(hash[..3], [0xa5, 0x91, 0xa6]);
        assert_eq!(to_available(&hash), value);
        assert_eq!(available(format!(" {value};a=1 ").as_bytes()), Some(hash));
        for not in [
            "",
            "::",
            ":aGk=:",
            "pZGm",
            ":pZ Gm:",
            &format!("{value}x"),
            &value[1..],
        ] {
            assert_eq!(available(not.as_bytes()), None, "{not}");
        }
    }

    #[test]
    fn an_id_is_a_string() {
        assert_eq!(id(b"\"a b\"").as_deref(), Some("a b"));
        assert_eq!(id(b"a"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            matches in "[ -~]{0,20}",
            dest in prop::collection::vec("[ -~]{0,9}", 0..4),
            id in "[ -~]{0,9}",
        ) {
            let said = UseAs { matches, dest, id };
            prop_assert_eq!(of(&said.to_value().unwrap()), Some(said));
        }

        #[test]
        fn anything_may_be_said(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (UseAs::of(&value), available(&value), id(&value));
        }

        #[test]
        fn anything_like_it_may_be_said(value in r#"[a-b=,;:"()\\ ?.*0-9-]{0,40}"#) {
            let _ = (of(&value), available(value.as_bytes()), id(value.as_bytes()));
        }
    }
}
