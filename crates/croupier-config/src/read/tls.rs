//! `tls`, `plain` and `hsts` of a site.
//!
//! What is not written depends on the listeners of the whole process, so this leaves it open, and the checks decide.

use std::path::PathBuf;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{CertificateFrom, ClientAuth, ClientAuthMode, Hsts, Plain, TlsProfile};
use crate::nearest::nearest;
use crate::read::{Complaint, Field, Fields, Reader, scalar};
use crate::source::{Span, Spanned};
use crate::tree::Value;

/// What a site says of TLS, before anyone knows where it listens.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) tls: Asked,
    /// Where `plain` and `hsts` stand, if they do.
    pub(crate) plain: Option<Span>,
    pub(crate) hsts: Option<Span>,
}

/// What `tls` asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It is not written.
    Nothing,
    /// `"off"`; or broken, which has been noted.
    Off,
    Tls(Terms),
}

/// `tls` as written.
#[derive(Debug)]
pub(crate) struct Terms {
    /// `None`: as the names of the site call for.
    pub(crate) certificate: Option<Spanned<CertificateFrom>>,
    pub(crate) profile: TlsProfile,
    pub(crate) client_auth: Option<ClientAuth>,
    pub(crate) span: Span,
}

const WORDS: &[&str] = &["auto", "on-demand", "internal"];

/// Words of other programs, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("on", "auto"),
    ("acme", "auto"),
    ("letsencrypt", "auto"),
    ("automatic", "auto"),
    ("managed", "auto"),
    ("self-signed", "internal"),
    ("selfsigned", "internal"),
    ("self_signed", "internal"),
    ("local", "internal"),
    ("none", "off"),
    ("no", "off"),
    ("false", "off"),
    ("disabled", "off"),
];

/// Fifty years: nobody means more.
const MAX_AGE_DAYS_MAX: u64 = 50 * 365;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Reads the three keys of a site: what is written, for the checks, and what is sure already.
pub(crate) fn written(reader: &mut Reader, table: &Fields<'_>) -> (Written, Plain, Option<Hsts>) {
    let tls = match table.get("tls") {
        Some(field) => tls(reader, &field),
        None => Asked::Nothing,
    };
    let plain = table.get("plain");
    let hsts = table.get("hsts");
    let written = Written {
        tls,
        plain: plain.map(|field| field.name),
        hsts: hsts.map(|field| field.name),
    };
    let plain = match plain.and_then(|field| field.word(reader)) {
        Some("serve") => Plain::Serve,
        _ => Plain::Redirect,
    };
    let hsts = hsts.and_then(|field| self::hsts(reader, &field));
    (written, plain, hsts)
}

fn tls(reader: &mut Reader, field: &Field<'_>) -> Asked {
    let span = field.node.span;
    match &field.node.value {
        Value::String(_) => {
            let Some(text) = field.full_text(reader) else {
                return Asked::Off;
            };
            if text.value == "off" {
                return Asked::Off;
            }
            match reader.parse(text, codes::UNKNOWN_WORD, word) {
                Some(certificate) => Asked::Tls(Terms {
                    certificate: Some(certificate),
                    profile: TlsProfile::default(),
                    client_auth: None,
                    span,
                }),
                None => Asked::Off,
            }
        }
        Value::Table(_) => {
            let Some(table) = Fields::open(reader, field.node, &keys::SITE_TLS) else {
                return Asked::Off;
            };
            let profile = table.get("profile").and_then(|field| field.word(reader));
            let client_auth = match table.get("client_auth") {
                Some(field) => client_auth_of(reader, &field).map(Some).ok_or(()),
                None => Ok(None),
            };
            match (certificate(reader, &table), client_auth) {
                (Ok(certificate), Ok(client_auth)) => Asked::Tls(Terms {
                    certificate,
                    profile: match profile {
                        Some("modern") => TlsProfile::Modern,
                        _ => TlsProfile::Intermediate,
                    },
                    client_auth,
                    span,
                }),
                _ => Asked::Off,
            }
        }
        Value::Boolean(is_on) => {
            let message = format!("`tls` takes a word or a table, not `{is_on}`");
            let help = match is_on {
                true => "write `\"auto\"`, `\"internal\"`, or `{ certificate = .., key = .. }`",
                false => "write `\"off\"`",
            };
            reader.note(Diagnostic::error(codes::WRONG_TYPE, span, message).help(help));
            Asked::Off
        }
        _ => {
            field.note_type(reader);
            Asked::Off
        }
    }
}

/// `"auto"`, `"on-demand"`, `"internal"`.
fn known(text: &str) -> Option<CertificateFrom> {
    match text {
        "auto" => Some(CertificateFrom::Auto),
        "on-demand" => Some(CertificateFrom::OnDemand),
        "internal" => Some(CertificateFrom::Internal),
        _ => None,
    }
}

/// What a word that is none was most likely meant to be.
fn meant(text: &str) -> Option<&'static str> {
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == text);
    let words = WORDS.iter().copied().chain(["off"]);
    elsewhere
        .map(|(_, ours)| *ours)
        .or_else(|| nearest(text, words))
}

/// `tls = ".."`, which is a word.
fn word(text: &str) -> Result<CertificateFrom, Complaint> {
    if let Some(known) = known(text) {
        return Ok(known);
    }
    let takes = "`tls` takes `auto`, `on-demand`, `internal`, `off` or a table";
    let complaint = Complaint::new(format!("{takes}, not `{text}`"));
    if text.contains(['/', '.']) {
        return Err(complaint.help(format!(
            "write `tls = {{ certificate = \"{text}\" }}`, and `key = ..` when the key is in another file"
        )));
    }
    Err(match meant(text) {
        Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
        None => complaint,
    })
}

/// Where the certificate is from; `Ok(None)`: not written, `Err`: noted.
fn certificate(
    reader: &mut Reader,
    table: &Fields<'_>,
) -> Result<Option<Spanned<CertificateFrom>>, ()> {
    let key = table.get("key");
    let Some(field) = table.get("certificate") else {
        if let Some(key) = key {
            let message = "a `key` without its `certificate`";
            reader.note(
                Diagnostic::error(codes::MISSING_KEY, key.name, message)
                    .help("add `certificate = \"/etc/croupier/shop.pem\"`"),
            );
            return Err(());
        }
        return Ok(None);
    };
    let text = field.full_text(reader).ok_or(())?;
    if let Some(from) = known(text.value) {
        if let Some(key) = key {
            let message = format!(
                "`certificate = \"{}\"` makes its keys itself, and a `key` stands beside it",
                text.value
            );
            reader.note(
                Diagnostic::error(codes::CONFLICT, key.name, message)
                    .and(text.span, "the certificate")
                    .help("leave out `key`, or write the file of its certificate"),
            );
            return Err(());
        }
        return Ok(Some(Spanned::new(from, text.span)));
    }
    let certificate = reader.parse(text, codes::ADDRESS, certificate_file);
    let key = match &key {
        Some(key) => Some(file_of(reader, key).ok_or(())?.value),
        None => None,
    };
    let certificate = certificate.ok_or(())?;
    Ok(Some(certificate.map(|certificate| {
        CertificateFrom::Files {
            key: key.unwrap_or_else(|| certificate.clone()),
            certificate,
        }
    })))
}

/// A path, and no word that was mistyped.
fn certificate_file(text: &str) -> Result<PathBuf, Complaint> {
    if text.contains(['/', '.']) {
        return file(text);
    }
    let complaint = Complaint::new(format!("`{text}` is neither a file nor a known word"));
    Err(match meant(text) {
        Some("off") => complaint.help("for a plain site write `tls = \"off\"`"),
        Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
        None => complaint.help(format!(
            "write the path of a PEM file, such as `./{text}`, or `auto`, `on-demand` or `internal`"
        )),
    })
}

/// The path of a file, as written.
pub(crate) fn file(text: &str) -> Result<PathBuf, Complaint> {
    if text.contains('\0') || text.ends_with('/') || text.trim().is_empty() {
        let complaint = Complaint::new(format!("`{}` is not a file", text.escape_debug()));
        return Err(complaint.help("write the path of one PEM file"));
    }
    if text.starts_with("-----BEGIN") {
        return Err(Complaint::new("this is the content of a PEM file")
            .help("keep it in a file of its own, and write the file's path"));
    }
    Ok(PathBuf::from(text))
}

/// The file that a key names.
pub(crate) fn file_of(reader: &mut Reader, field: &Field<'_>) -> Option<Spanned<PathBuf>> {
    let text = field.full_text(reader)?;
    reader.parse(text, codes::ADDRESS, file)
}

/// The files that a key names, each once.
pub(crate) fn files(reader: &mut Reader, field: &Field<'_>) -> Vec<Spanned<PathBuf>> {
    field.note_empty(reader);
    let files: Vec<Spanned<PathBuf>> = field
        .texts(reader)
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::ADDRESS, file))
        .collect();
    field.note_twice(reader, &files, |path| path.display().to_string());
    files
}

fn client_auth_of(reader: &mut Reader, field: &Field<'_>) -> Option<ClientAuth> {
    match &field.node.value {
        Value::Table(_) => {}
        Value::String(mode) if ["require", "optional"].contains(&mode.as_str()) => {
            let message = "`client_auth` needs the authorities that are believed";
            let help = format!(
                "write `client_auth = {{ ca = \"/etc/croupier/ca.pem\", mode = \"{mode}\" }}`"
            );
            reader.note(Diagnostic::error(codes::WRONG_TYPE, field.node.span, message).help(help));
            return None;
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    let table = Fields::open(reader, field.node, &keys::CLIENT_AUTH)?;
    let mode = table.get("mode").and_then(|field| field.word(reader));
    let ca = table.need(reader, "ca");
    let ca = ca.map(|field| files(reader, &field));
    let crl = table.get("crl");
    let crl = crl.map(|field| files(reader, &field));
    Some(ClientAuth {
        mode: match mode {
            Some("optional") => ClientAuthMode::Optional,
            _ => ClientAuthMode::Require,
        },
        ca: ca.filter(|ca| !ca.is_empty())?,
        crl: crl.unwrap_or_default(),
    })
}

fn hsts(reader: &mut Reader, field: &Field<'_>) -> Option<Hsts> {
    let mut hsts = Hsts {
        max_age: YEAR,
        include_subdomains: false,
        preload: false,
    };
    match &field.node.value {
        Value::Boolean(false) => return None,
        Value::Boolean(true) => return Some(hsts),
        Value::String(_) => {
            hsts.max_age = max_age(reader, field)?;
            return Some(hsts);
        }
        Value::Table(_) => {}
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    let table = Fields::open(reader, field.node, &keys::HSTS)?;
    let age = table.get("max_age");
    if let Some(time) = age.and_then(|field| max_age(reader, &field)) {
        hsts.max_age = time;
    }
    let mut flag = |name| table.get(name)?.flag(reader);
    hsts.include_subdomains = flag("include_subdomains").unwrap_or(false);
    hsts.preload = flag("preload").unwrap_or(false);
    if let Some(preload) = table.get("preload").filter(|_| hsts.preload) {
        let mut missing = Vec::new();
        if hsts.max_age < YEAR {
            missing.push("`max_age = \"365d\"` or more");
        }
        if !hsts.include_subdomains {
            missing.push("`include_subdomains = true`");
        }
        if !missing.is_empty() {
            let message = "browsers do not build in a name whose policy is this weak";
            let note = Diagnostic::error(codes::CONFLICT, preload.name, message);
            let note = match age.filter(|_| hsts.max_age < YEAR) {
                Some(age) => note.and(age.node.span, "less than 365 days"),
                None => note,
            };
            let missing = missing.join(" and ");
            reader.note(note.help(format!("write {missing} beside it, or leave `preload` out")));
        }
    }
    Some(hsts)
}

fn max_age(reader: &mut Reader, field: &Field<'_>) -> Option<Duration> {
    let text = field.text(reader)?;
    if text.value == "off" {
        let message = format!("`{}` cannot be `off`", field.key.name);
        let note = Diagnostic::error(codes::UNKNOWN_WORD, text.span, message);
        reader.note(
            note.help("write `hsts = false` to say nothing, or `\"0s\"` to make browsers forget"),
        );
        return None;
    }
    let longest = |text: &str| scalar::duration_of_days(text, MAX_AGE_DAYS_MAX);
    let age = reader.parse(text, codes::DURATION, longest)?.value;
    let is_whole = age.subsec_millis() == 0;
    if !is_whole {
        let message = "the age is counted in whole seconds";
        field.note_range(reader, message, "write a duration such as `\"365d\"`");
    }
    Some(age)
}
