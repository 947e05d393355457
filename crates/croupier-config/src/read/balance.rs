//! `balance` of a pool, and the key of a hash.

use crate::codes::{self, Code};
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Balance, HashBalance, HashKey, HashTable, Percent};
use crate::nearest::nearest;
use crate::read::{Complaint, Field, Fields, Reader, headers};
use crate::source::Spanned;
use crate::tree::Value;

/// Words of other programs, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("least_conn", "least-requests"),
    ("leastconn", "least-requests"),
    ("least-connections", "least-requests"),
    ("least_request", "least-requests"),
    ("p2c", "two-choices"),
    ("random-two", "two-choices"),
    ("wrr", "round-robin"),
    ("rr", "round-robin"),
    ("peak-ewma", "ewma"),
    ("ip_hash", "hash"),
    ("ip-hash", "hash"),
    ("source", "hash"),
    ("maglev", "hash"),
];

/// The most that a bounded load may be: beyond it, it is none.
const LOAD_MAX: Percent = Percent::whole(1000);

pub(crate) fn balance(reader: &mut Reader, field: &Field<'_>) -> Option<Balance> {
    match &field.node.value {
        Value::String(text) => {
            let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| theirs == text);
            if let Some((theirs, ours)) = elsewhere {
                let message = format!("`balance` has no `{theirs}`");
                let span = field.node.span;
                let note = Diagnostic::error(codes::UNKNOWN_WORD, span, message);
                reader.note(note.help(format!("here it is called `{ours}`")));
                return None;
            }
            Some(match field.word(reader)? {
                "round-robin" => Balance::RoundRobin,
                "random" => Balance::Random,
                "least-requests" => Balance::LeastRequests,
                "ewma" => Balance::Ewma,
                "hash" => Balance::Hash(HashBalance::default()),
                _ => Balance::TwoChoices,
            })
        }
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::HASH)?;
            let mut hash = HashBalance::default();
            let key = table
                .need(reader, "hash")
                .and_then(|field| hash_key(reader, &field));
            if let Some(word) = table.get("table").and_then(|field| field.word(reader)) {
                hash.table = match word {
                    "ring" => HashTable::Ring,
                    _ => HashTable::Maglev,
                };
            }
            if let Some(load) = table.get("load").and_then(|field| load(reader, &field)) {
                hash.load = load;
            }
            hash.key = key?;
            Some(Balance::Hash(hash))
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}

fn load(reader: &mut Reader, field: &Field<'_>) -> Option<Option<Percent>> {
    let load = field.percent_or_off(reader, LOAD_MAX)?;
    if load.is_some_and(|load| load < Percent::whole(100)) {
        let message =
            "`load` is at least `100%`: below the mean, the servers could not take it all";
        let help = "write a share of the mean such as `\"125%\"`, or `\"off\"`";
        field.note_range(reader, message, help);
        return None;
    }
    Some(load)
}

/// `client.ip`, `header.NAME`, `cookie.NAME`, `path`, `uri` or `query.NAME`.
pub(crate) fn hash_key(reader: &mut Reader, field: &Field<'_>) -> Option<HashKey> {
    let text = field.full_text(reader)?;
    match parse(text.value) {
        Ok(key) => Some(key),
        Err((code, complaint)) => {
            reader.complain(code, text.span, complaint);
            None
        }
    }
}

pub(crate) fn parse(text: &str) -> Result<HashKey, (Code, Complaint)> {
    let named = |name: &str, what: &str| match name {
        "" => Err((
            codes::UNKNOWN_WORD,
            Complaint::new(format!("`{text}` does not say which {what}"))
                .help(format!("add its name, as in `{}X`", with_dot(text))),
        )),
        name => Ok(name.to_owned()),
    };
    match text.split_once('.').unwrap_or((text, "")) {
        ("client", "ip") => Ok(HashKey::ClientIp),
        ("path", "") if text == "path" => Ok(HashKey::Path),
        ("uri", "") if text == "uri" => Ok(HashKey::Uri),
        ("header", name) => {
            let name = named(name, "header")?;
            let name = headers::name(&name).map_err(|complaint| (codes::HEADER, complaint))?;
            Ok(HashKey::Header(name.to_ascii_lowercase()))
        }
        ("cookie", name) => {
            let name = named(name, "cookie")?;
            cookie_name(&name)
                .map(HashKey::Cookie)
                .map_err(|complaint| (codes::COOKIE, complaint))
        }
        ("query", name) => named(name, "parameter").map(HashKey::Query),
        _ => Err((codes::UNKNOWN_WORD, unknown(text))),
    }
}

fn with_dot(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn unknown(text: &str) -> Complaint {
    let complaint = Complaint::new(format!("`{text}` is nothing that can be hashed"));
    let forms = ["client.ip", "path", "uri"];
    match text {
        "ip" | "client" | "source" | "remote_addr" | "client.address" => {
            complaint.help("did you mean `client.ip`?")
        }
        "url" | "request_uri" => complaint.help("did you mean `uri`?"),
        _ => match nearest(text, forms) {
            Some(near) => complaint.help(format!("did you mean `{near}`?")),
            None => complaint.help(
                "write `client.ip`, `header.NAME`, `cookie.NAME`, `path`, `uri` or `query.NAME`",
            ),
        },
    }
}

/// A cookie's name (RFC 6265, 4.1.1).
pub(crate) fn cookie_name(text: &str) -> Result<String, Complaint> {
    let odd = text
        .chars()
        .find(|c| !c.is_ascii() || !headers::is_token_byte(*c as u8));
    match odd {
        None if (1..=128).contains(&text.len()) => Ok(text.to_owned()),
        None => Err(
            Complaint::new(format!("`{text}` is not the name of a cookie"))
                .help("a name has 1 to 128 characters"),
        ),
        Some(odd) => Err(
            Complaint::new(format!("`{text}` is not the name of a cookie")).help(format!(
                "a name has letters, digits, `-` and `_`, no `{}`",
                odd.escape_default()
            )),
        ),
    }
}

/// `balance` and `sticky` both say who is chosen.
pub(crate) fn note_sticky(reader: &mut Reader, balance: &Field<'_>, sticky: &Field<'_>) {
    let message = "`sticky` wins over the hash: only a client without its cookie is hashed";
    let help = "keep one of the two; for a hash of a cookie of the application write `balance = { hash = \"cookie.NAME\" }`";
    reader.note(
        Diagnostic::warning(codes::HARDLY_MEANT, sticky.name, message)
            .and(balance.name, "the hash")
            .help(help),
    );
}

/// All weights 0.
pub(crate) fn note_no_weight(reader: &mut Reader, place: Spanned<&str>) {
    let message = format!("every {} has the weight 0", place.value);
    reader.note(
        Diagnostic::error(codes::NO_WEIGHT, place.span, message)
            .help("give at least one of them a weight of 1 or more"),
    );
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_key_is_written_as_it_is_read() {
        for text in [
            "client.ip",
            "header.x-tenant",
            "cookie.SID",
            "path",
            "uri",
            "query.user.id",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            ".",
            "client",
            "client.",
            "header",
            "header.",
            "header.a b",
            "cookie.a;b",
            "query.",
            "path.",
            "path.x",
            "uri.",
            "ip",
            "é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
