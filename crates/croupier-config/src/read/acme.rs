//! `[acme]`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{self, one_of};
use crate::model::{AccountBinding, Acme, Challenge, KeyType};
use crate::nearest::nearest;
use crate::read::url::{Form, Query, url};
use crate::read::{Complaint, Field, Fields, Reader, host, sticky, tls};
use crate::source::Spanned;

const DIRECTORY: Form = Form {
    schemes: &["https"],
    what: "the directory of an authority",
    example: "https://ca.internal/acme/directory",
    query: Query::Allowed,
};
const ASK: Form = Form {
    schemes: &["http", "https"],
    what: "a URL that can be asked",
    example: "http://127.0.0.1:9000/may-have",
    query: Query::Ours,
};
const CHALLENGES: &[&str] = &["tls-alpn-01", "http-01"];
/// Let's Encrypt takes ten; more is no list of people.
const CONTACTS_MAX: usize = 10;

pub(crate) fn acme(reader: &mut Reader, table: &Fields<'_>) -> Acme {
    let mut acme = Acme::default();
    if let Some(field) = table.get("directory")
        && let Some(text) = field.full_text(reader)
    {
        let url = reader.parse(text, codes::URL, directory);
        acme.directory = url.unwrap_or_else(|| text.map(str::to_owned));
    }
    acme.ca = table
        .get("ca")
        .and_then(|field| tls::file_of(reader, &field));
    if let Some(field) = table.get("contact") {
        acme.contact = contacts(reader, &field);
    }
    if let Some(field) = table.get("challenges") {
        field.note_empty(reader);
        let texts = field.texts(reader);
        let challenges: Vec<Spanned<Challenge>> = texts
            .into_iter()
            .filter_map(|text| reader.parse(text, codes::UNKNOWN_WORD, challenge))
            .collect();
        field.note_twice(reader, &challenges, |challenge| match challenge {
            Challenge::TlsAlpn01 => "tls-alpn-01".into(),
            Challenge::Http01 => "http-01".into(),
        });
        if !challenges.is_empty() {
            acme.challenges = challenges.into_iter().map(|item| item.value).collect();
        }
    }
    if let Some(word) = table.get("key").and_then(|field| field.word(reader)) {
        acme.key = match word {
            "p384" => KeyType::P384,
            "rsa2048" => KeyType::Rsa2048,
            _ => KeyType::P256,
        };
    }
    acme.binding = binding(reader, table);
    acme.profile = table
        .get("profile")
        .and_then(|field| field.full_text(reader))
        .and_then(|text| reader.parse(text, codes::NAME, host::label))
        .map(|profile| profile.value);
    // What is broken has been noted, and is there for the checks.
    acme.ask = table
        .get("ask")
        .and_then(|field| field.full_text(reader))
        .map(|text| {
            let url = reader.parse(text, codes::URL, |text| url(text, &ASK));
            url.unwrap_or_else(|| text.map(str::to_owned))
        });
    acme
}

fn directory(text: &str) -> Result<String, Complaint> {
    match text {
        "letsencrypt" => return Ok(Acme::DIRECTORY.to_owned()),
        "staging" => return Ok(Acme::STAGING.to_owned()),
        _ => {}
    }
    if text.contains(['/', '.', ':']) {
        return url(text, &DIRECTORY);
    }
    let bad = Complaint::new(format!("`{text}` is not {}", DIRECTORY.what));
    let words = ["letsencrypt", "staging"];
    let elsewhere = [
        ("letsencrypt-staging", "staging"),
        ("le", "letsencrypt"),
        ("lets-encrypt", "letsencrypt"),
        ("production", "letsencrypt"),
        ("prod", "letsencrypt"),
    ];
    let ours = elsewhere.iter().find(|(theirs, _)| *theirs == text);
    Err(
        match ours.map(|(_, ours)| *ours).or_else(|| nearest(text, words)) {
            Some(near) => bad.help(format!("did you mean `{near}`?")),
            None => bad.help("write the URL of its directory, `letsencrypt` or `staging`"),
        },
    )
}

fn contacts(reader: &mut Reader, field: &Field<'_>) -> Vec<String> {
    let contacts: Vec<Spanned<String>> = field
        .texts(reader)
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::MAIL, mail))
        .collect();
    field.note_twice(reader, &contacts, Clone::clone);
    if contacts.len() > CONTACTS_MAX {
        let message = format!("`contact` takes at most {CONTACTS_MAX} addresses");
        field.note_range(reader, message, "one that many people read is enough");
    }
    contacts.into_iter().map(|contact| contact.value).collect()
}

/// The plain form of a mail address: an authority refuses the others too.
fn mail(text: &str) -> Result<String, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not a mail address"));
    if let Some(rest) = text.strip_prefix("mailto:") {
        return Err(bad().help(format!("without the scheme: `{rest}`")));
    }
    let Some((name, domain)) = text.rsplit_once('@') else {
        return Err(bad().help("write one such as `ops@example.com`"));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if name.is_empty() || !name.chars().all(fits) || text.len() > 254 {
        return Err(bad().help("write one such as `ops@example.com`"));
    }
    match host::name_problem(domain) {
        Some(problem) => Err(bad().help(problem)),
        None => Ok(text.to_owned()),
    }
}

fn challenge(text: &str) -> Result<Challenge, Complaint> {
    match text {
        "tls-alpn-01" => return Ok(Challenge::TlsAlpn01),
        "http-01" => return Ok(Challenge::Http01),
        _ => {}
    }
    let bad = Complaint::new(format!("`{text}` is not a challenge that is known"));
    let elsewhere = [
        ("tls-alpn", "tls-alpn-01"),
        ("tls", "tls-alpn-01"),
        ("alpn", "tls-alpn-01"),
        ("http", "http-01"),
    ];
    if ["dns-01", "dns", "dns-account-01"].contains(&text) {
        return Err(bad.help("it comes with a later version; until then, give files to wildcards"));
    }
    let ours = elsewhere.iter().find(|(theirs, _)| *theirs == text);
    let near = || nearest(text, CHALLENGES.iter().copied());
    Err(match ours.map(|(_, ours)| *ours).or_else(near) {
        Some(near) => bad.help(format!("did you mean `{near}`?")),
        None => bad.help(format!("write {}", one_of(CHALLENGES))),
    })
}

fn binding(reader: &mut Reader, table: &Fields<'_>) -> Option<AccountBinding> {
    let table = table.table(reader, "binding", &keys::BINDING)?;
    let id = table
        .need(reader, "id")
        .and_then(|field| field.full_text(reader));
    let key = table
        .need(reader, "key")
        .and_then(|field| sticky::secret(reader, &field));
    if let Some(id) = id
        && id.value.chars().any(char::is_control)
    {
        let message = "the id of a key has printable characters only";
        reader.note(Diagnostic::error(codes::NAME, id.span, message));
        return None;
    }
    Some(AccountBinding {
        id: id?.value.to_owned(),
        key: key?,
    })
}

#[cfg(test)]
mod tests {
    use super::{directory, mail};
    use crate::model::Acme;

    #[test]
    fn an_authority_is_a_word_or_a_url() {
        assert_eq!(directory("letsencrypt").unwrap(), Acme::DIRECTORY);
        assert_eq!(directory("staging").unwrap(), Acme::STAGING);
        for text in [Acme::DIRECTORY, "https://127.0.0.1:14000/dir?x=1"] {
            assert_eq!(directory(text).unwrap(), text);
        }
        for text in [
            "",
            "zerossl",
            "http://ca.internal/dir",
            "ca.internal",
            "https://",
        ] {
            assert!(directory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_contact_is_a_mail_address() {
        for text in ["ops@example.com", "a.b+c@mail.shop.de"] {
            mail(text).unwrap();
        }
        for text in [
            "",
            "ops",
            "@a",
            "ops@",
            "a b@c",
            "mailto:a@b",
            "ops@a..b",
            "<a@b>",
        ] {
            assert!(mail(text).is_err(), "{text}");
        }
    }
}
