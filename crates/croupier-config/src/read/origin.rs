//! What the servers of a pool are spoken to: `protocol`, `tls` and `proxy_protocol`, and the schemes of `proxy`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{self, one_of};
use crate::model::{
    HealthCheck, OriginTls, Pool, Protocol, ProxyHeader, ProxyTlv, ProxyVersion, ServerAddress,
};
use crate::nearest::nearest;
use crate::read::{Complaint, Field, Fields, Reader, address, host, tls};
use crate::source::{Span, Spanned};
use crate::tree::Value;

const TLVS: &[(&str, ProxyTlv)] = &[
    ("alpn", ProxyTlv::Alpn),
    ("authority", ProxyTlv::Authority),
    ("ssl", ProxyTlv::Ssl),
    ("unique-id", ProxyTlv::UniqueId),
];

/// Words of other programs for what servers speak, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "h2",
        "write `https`, over which HTTP/2 is chosen, or `h2c` without TLS",
    ),
    (
        "http2",
        "write `https`, over which HTTP/2 is chosen, or `h2c` without TLS",
    ),
    ("grpc", "write `h2c`"),
    ("grpcs", "write `https`"),
    ("tls", "write `https`"),
    ("ssl", "write `https`"),
    ("http1", "write `http`"),
    ("http/1.1", "write `http`"),
    ("h1", "write `http`"),
];

/// Reads the three keys into a pool whose servers are known.
pub(crate) fn speech(reader: &mut Reader, table: &Fields<'_>, pool: &mut Pool) {
    let protocol = table.get("protocol");
    if let Some(field) = protocol {
        pool.protocol = self::protocol(reader, &field).unwrap_or_default();
    }
    let tls = table.get("tls");
    if let Some(field) = tls {
        pool.tls = origin_tls(reader, &field).unwrap_or_default();
        if pool.protocol != Protocol::Https {
            note_without_https(reader, &field, protocol.as_ref());
        }
    }
    if pool.protocol == Protocol::Https {
        note_nameless(reader, pool);
    }
    pool.proxy_protocol = table
        .get("proxy_protocol")
        .and_then(|field| proxy_header(reader, &field));
    note_grpc(reader, table, pool);
}

fn protocol(reader: &mut Reader, field: &Field<'_>) -> Option<Protocol> {
    let text = field.text(reader)?;
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == text.value);
    if let Some((theirs, help)) = elsewhere {
        let message = format!("`protocol` takes `http`, `https` or `h2c`, not `{theirs}`");
        reader.note(Diagnostic::error(codes::UNKNOWN_WORD, text.span, message).help(*help));
        return None;
    }
    Some(match field.word(reader)? {
        "https" => Protocol::Https,
        "h2c" => Protocol::H2c,
        _ => Protocol::Http,
    })
}

fn origin_tls(reader: &mut Reader, field: &Field<'_>) -> Option<OriginTls> {
    if field.node.as_table().is_none() {
        let message = format!("`tls` of a pool takes a table, not {}", field.node.found());
        let note = Diagnostic::error(codes::WRONG_TYPE, field.node.span, message);
        reader.note(note.help(
            "servers that speak TLS: `protocol = \"https\"`; how they prove it: `tls = { ca = .. }`",
        ));
        return None;
    }
    let table = Fields::open(reader, field.node, &keys::POOL_TLS)?;
    let mut tls = OriginTls::default();
    let ca = table.get("ca");
    if let Some(field) = &ca {
        tls.ca = tls::files(reader, field);
    }
    tls.name = table
        .get("name")
        .and_then(|field| field.full_text(reader))
        .and_then(|text| reader.parse(text, codes::HOST, name));
    let certificate = table.get("certificate");
    let key = table.get("key");
    if let (None, Some(key)) = (&certificate, &key) {
        let message = "a `key` without its `certificate`";
        reader.note(
            Diagnostic::error(codes::MISSING_KEY, key.name, message)
                .help("add `certificate = \"/etc/croupier/us.pem\"`"),
        );
    }
    let key = key.and_then(|field| tls::file_of(reader, &field));
    if let Some(certificate) = certificate.and_then(|field| tls::file_of(reader, &field)) {
        let key = key.unwrap_or_else(|| certificate.clone());
        tls.client = Some((certificate, key));
    }
    let verify = table.get("verify");
    tls.verify = verify
        .and_then(|field| field.flag(reader))
        .unwrap_or(tls.verify);
    let http2 = table.get("http2");
    tls.http2 = http2
        .and_then(|field| field.flag(reader))
        .unwrap_or(tls.http2);
    if let Some(verify) = verify.filter(|_| !tls.verify) {
        let message = "whoever answers at these addresses is believed";
        let note = Diagnostic::warning(codes::HARDLY_MEANT, verify.node.span, message);
        let note = match &ca {
            Some(ca) => note.and(ca.name, "and this has no effect"),
            None => note,
        };
        reader.note(note.help(
            "give the authority of their certificates with `ca`, and leave out `verify = false`",
        ));
    }
    Some(tls)
}

/// A name or an address that a certificate can show.
fn name(text: &str) -> Result<String, Complaint> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Ok(address.to_string());
    }
    let bad = Complaint::new(format!("`{text}` is not the name of a server"));
    if let Some((name, port)) = text.rsplit_once(':')
        && address::port(port).is_ok()
    {
        return Err(bad.help(format!("without the port: `{name}`")));
    }
    match host::name_problem(text) {
        Some(problem) => Err(bad.help(problem)),
        None => Ok(text.trim_end_matches('.').to_ascii_lowercase()),
    }
}

fn note_without_https(reader: &mut Reader, tls: &Field<'_>, protocol: Option<&Field<'_>>) {
    let message = "a pool has `tls` only when its servers speak https";
    let note = Diagnostic::error(codes::CONFLICT, tls.name, message);
    reader.note(match protocol {
        Some(protocol) => note
            .and(protocol.node.span, "what they speak")
            .help("write `protocol = \"https\"`, or leave out `tls`"),
        None => note.help("add `protocol = \"https\"`, or leave out `tls`"),
    });
}

/// The certificate of a server on a Unix socket can show no name of its own.
fn note_nameless(reader: &mut Reader, pool: &Pool) {
    let unix = pool
        .servers
        .iter()
        .find(|server| matches!(server.address.value, ServerAddress::Unix(_)));
    if let (Some(unix), None) = (unix, &pool.tls.name) {
        let message = "a server on a Unix socket has no name that its certificate could show";
        reader.note(
            Diagnostic::error(codes::MISSING_KEY, unix.address.span, message)
                .help("add `tls = { name = \"app.internal\" }`"),
        );
    }
}

fn proxy_header(reader: &mut Reader, field: &Field<'_>) -> Option<ProxyHeader> {
    let version = |word: &str| match word {
        "v1" => ProxyVersion::V1,
        _ => ProxyVersion::V2,
    };
    match &field.node.value {
        Value::String(_) => Some(ProxyHeader {
            version: version(field.word(reader)?),
            tlvs: Vec::new(),
        }),
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::PROXY_HEADER)?;
            let word = table.get("version");
            let word = word.map(|field| (field.node.span, field.word(reader)));
            let tlvs = table.get("tlvs").map(|field| (field, tlvs(reader, &field)));
            let mut header = ProxyHeader {
                version: ProxyVersion::V2,
                tlvs: Vec::new(),
            };
            let mut place: Option<Span> = None;
            if let Some((span, Some(word))) = word {
                header.version = version(word);
                place = Some(span);
            }
            if let Some((field, tlvs)) = tlvs {
                if let (ProxyVersion::V1, Some(place), false) =
                    (header.version, place, tlvs.is_empty())
                {
                    let message = "a PROXY header of `v1` says nothing beside the addresses";
                    reader.note(
                        Diagnostic::error(codes::CONFLICT, field.name, message)
                            .and(place, "the version")
                            .help("write `version = \"v2\"`, or leave out `tlvs`"),
                    );
                }
                header.tlvs = tlvs;
            }
            Some(header)
        }
        Value::Integer(number @ (1 | 2)) => {
            let message = format!("`proxy_protocol` takes `v1` or `v2`, not `{number}`");
            let note = Diagnostic::error(codes::WRONG_TYPE, field.node.span, message);
            reader.note(note.help(format!("write `\"v{number}\"`")));
            None
        }
        Value::Boolean(is_on) => {
            let message = format!("`proxy_protocol` takes `v1` or `v2`, not `{is_on}`");
            let note = Diagnostic::error(codes::WRONG_TYPE, field.node.span, message);
            reader.note(note.help(match is_on {
                true => "write `\"v2\"`, or `\"v1\"` for servers that know no other",
                false => "leave it out",
            }));
            None
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}

fn tlvs(reader: &mut Reader, field: &Field<'_>) -> Vec<ProxyTlv> {
    let tlvs: Vec<Spanned<ProxyTlv>> = field
        .texts(reader)
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::UNKNOWN_WORD, tlv))
        .collect();
    field.note_twice(reader, &tlvs, |tlv| {
        let word = TLVS.iter().find(|(_, known)| known == tlv);
        word.map_or_else(String::new, |(word, _)| (*word).to_owned())
    });
    tlvs.into_iter().map(|tlv| tlv.value).collect()
}

fn tlv(text: &str) -> Result<ProxyTlv, Complaint> {
    if let Some((_, tlv)) = TLVS.iter().find(|(word, _)| *word == text) {
        return Ok(*tlv);
    }
    let words: Vec<&str> = TLVS.iter().map(|(word, _)| *word).collect();
    let bad = Complaint::new(format!("`{text}` is nothing that a PROXY header says"));
    Err(match nearest(text, words.iter().copied()) {
        Some(near) => bad.help(format!("did you mean `{near}`?")),
        None => bad.help(format!("write {}", one_of(&words))),
    })
}

/// gRPC is spoken over HTTP/2.
fn note_grpc(reader: &mut Reader, table: &Fields<'_>, pool: &Pool) {
    let (Some(health), Some(field)) = (&pool.health, table.get("health")) else {
        return;
    };
    if !matches!(health.check, HealthCheck::Grpc { .. }) {
        return;
    }
    let message = "a check by gRPC needs servers that speak HTTP/2";
    let note = Diagnostic::error(codes::CONFLICT, field.node.span, message);
    match (pool.protocol, table.get("protocol"), table.get("tls")) {
        (Protocol::H2c, ..) => {}
        (Protocol::Https, _, Some(tls)) if !pool.tls.http2 => {
            let note = note.and(tls.node.span, "without HTTP/2");
            reader.note(note.help("leave out `http2 = false`"));
        }
        (Protocol::Https, ..) => {}
        (Protocol::Http, Some(protocol), _) => {
            let note = note.and(protocol.node.span, "what they speak");
            reader.note(note.help("write `protocol = \"h2c\"` or `\"https\"`"));
        }
        (Protocol::Http, None, _) => {
            reader.note(note.help("add `protocol = \"h2c\"` or `\"https\"`"));
        }
    }
}

/// A server as `proxy` has it: with a scheme or without.
pub(crate) fn server(text: &str) -> Result<(Protocol, ServerAddress), Complaint> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((Protocol::Http, address::server(text)?));
    };
    let Some((word, port)) = address::protocol_of(scheme) else {
        return Ok((Protocol::Http, address::server(text)?));
    };
    let protocol = match word {
        "https" => Protocol::Https,
        "h2c" => Protocol::H2c,
        _ => Protocol::Http,
    };
    // A trailing slash means nothing.
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let bad = || Complaint::new(format!("`{text}` is not the address of a server"));
    if !scheme.eq_ignore_ascii_case(word) {
        return Err(bad().help(format!("write `{word}://{authority}`")));
    }
    if let Some((authority, _)) = authority.split_once(['/', '?', '#']) {
        return Err(bad().help(format!(
            "a server has no path; write `{scheme}://{authority}` and change the path with `add_prefix`"
        )));
    }
    if authority.contains('@') {
        return Err(
            Complaint::new("the address of a server has no user and no password")
                .help("leave them out; a server that asks for them gets them by `headers.request`"),
        );
    }
    let has_port = match authority.rsplit_once(':') {
        Some((name, _)) => !name.starts_with('[') || authority.contains("]:"),
        None => false,
    };
    let full = match has_port {
        true => authority.to_owned(),
        false => format!("{authority}:{port}"),
    };
    match address::server(&full) {
        Ok(address) => Ok((protocol, address)),
        Err(_) if authority.is_empty() => Err(bad().help("add its host")),
        Err(complaint) => Err(Complaint {
            message: bad().message,
            help: complaint.help,
        }),
    }
}

/// The scheme of what is spoken; plain HTTP needs none.
pub(crate) fn scheme(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "",
        Protocol::Https => "https://",
        Protocol::H2c => "h2c://",
    }
}

/// Notes servers that speak otherwise than the first.
pub(crate) fn note_mixed(
    reader: &mut Reader,
    servers: &[Spanned<(Protocol, ServerAddress)>],
) -> bool {
    let Some((first, others)) = servers.split_first() else {
        return false;
    };
    let Some(other) = others.iter().find(|other| other.value.0 != first.value.0) else {
        return false;
    };
    let message = "all servers of a pool speak the same";
    reader.note(
        Diagnostic::error(codes::CONFLICT, other.span, message)
            .and(first.span, "speaks otherwise")
            .help("write the same scheme before each, or make pools of them and `split`"),
    );
    true
}

#[cfg(test)]
mod tests {
    use super::server;
    use crate::model::Protocol;

    #[test]
    fn a_scheme_says_what_a_server_speaks() {
        for (text, protocol, address) in [
            ("10.0.0.1:80", Protocol::Http, "10.0.0.1:80"),
            ("http://10.0.0.1", Protocol::Http, "10.0.0.1:80"),
            ("http://app:3000/", Protocol::Http, "app:3000"),
            ("https://10.0.0.1:8443", Protocol::Https, "10.0.0.1:8443"),
            ("HTTPS://App.internal", Protocol::Https, "app.internal:443"),
            ("https://[::1]", Protocol::Https, "[::1]:443"),
            ("https://[::1]:8443/", Protocol::Https, "[::1]:8443"),
            ("h2c://app:50051", Protocol::H2c, "app:50051"),
            ("unix:/run/a.sock", Protocol::Http, "unix:/run/a.sock"),
        ] {
            let (spoken, server) = server(text).unwrap();
            assert_eq!((spoken, server.to_string().as_str()), (protocol, address));
        }
        for text in [
            "https://",
            "https:///",
            "https://:443",
            "https://a:0",
            "https://a/b",
            "https://a?b",
            "https://me@a",
            "https://a b",
            "https://unix:/run/a.sock",
            "https://::1",
            "https://[::1",
            "wss://a",
            "grpc://a",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
