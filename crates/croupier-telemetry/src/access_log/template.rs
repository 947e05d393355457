//! Lines written by the user: text with `{field}` in it, compiled once.
//!
//! Fields have the names of the JSON keys. A missing value is `-`; bytes that could end a quoted field
//! are `\xNN`. `{{` and `}}` stand for the braces themselves.

use std::net::IpAddr;
use std::time::Duration;

use super::combined;
use super::format::unknown;
use crate::date::Stamp;
use crate::record::Record;
use crate::text;

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<[u8]>),
    Field(Field),
}

macro_rules! fields {
    ($($id:ident $name:literal)+) => {
        #[derive(Clone, Copy, Debug)]
        enum Field {
            $($id,)+
        }

        /// What can stand between braces; the keys of the JSON line, in its order.
        pub(super) const NAMES: &[&str] = &[$($name),+];

        impl Field {
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$id),)+
                    _ => None,
                }
            }
        }
    };
}

fields! {
    Ts "ts"
    ClientIp "client_ip"
    RemoteIp "remote_ip"
    Site "site"
    Route "route"
    Pool "pool"
    Server "server"
    Method "method"
    Scheme "scheme"
    Host "host"
    Path "path"
    Query "query"
    Proto "proto"
    Tls "tls"
    TlsCipher "tls_cipher"
    TlsGroup "tls_group"
    TlsResumed "tls_resumed"
    Sni "sni"
    ClientCert "client_cert"
    Status "status"
    BytesIn "bytes_in"
    BytesOut "bytes_out"
    DurMs "dur_ms"
    TtfbMs "ttfb_ms"
    OriginConnectMs "origin_connect_ms"
    OriginTtfbMs "origin_ttfb_ms"
    Retries "retries"
    NoRetry "no_retry"
    Cache "cache"
    RequestId "request_id"
    TraceId "trace_id"
    Fault "fault"
    Tunnel "tunnel"
    UserAgent "user_agent"
    Referer "referer"
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// When a field is not known, a brace has no partner, or the template spans lines.
    pub fn parse(written: &str) -> Result<Self, String> {
        if written.contains(['\n', '\r']) {
            return Err("a template is one line: its line feed is added by itself".to_owned());
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            if from.starts_with("{{") || from.starts_with("}}") {
                text.push_str(&from[..1]);
                rest = &from[2..];
            } else if let Some((name, after)) =
                from[1..].split_once('}').filter(|_| from.starts_with('{'))
            {
                let field = Field::named(name).ok_or_else(|| unknown("field", name, NAMES))?;
                push_text(&mut parts, &mut text);
                parts.push(Part::Field(field));
                rest = after;
            } else {
                let brace = &from[..1];
                return Err(format!(
                    "`{brace}` has no partner; for the brace itself write `{brace}{brace}`"
                ));
            }
        }
        text.push_str(rest);
        push_text(&mut parts, &mut text);
        Ok(Self { parts })
    }

    /// Appends the record as one line.
    pub(super) fn write(&self, record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Field(field) => write_field(*field, record, stamp, out),
            }
        }
        out.push(b'\n');
    }
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text).into_bytes().into()));
    }
}

fn write_field(field: Field, record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
    let value: &[u8] = match field {
        Field::Ts => return stamp.rfc3339_ms(record.ts, out),
        Field::ClientIp => return ip(out, record.client_ip),
        Field::RemoteIp => return ip(out, record.remote_ip),
        Field::Status => return combined::status(out, record.status),
        Field::BytesIn => return text::number(out, record.bytes_in),
        Field::BytesOut => return text::number(out, record.bytes_out),
        Field::DurMs => return text::milliseconds(out, record.duration),
        Field::TtfbMs => return duration(out, record.ttfb),
        Field::OriginConnectMs => return duration(out, record.connect),
        Field::OriginTtfbMs => return duration(out, record.origin_ttfb),
        Field::Retries => return text::number(out, record.retries.into()),
        Field::Site => record.site.as_bytes(),
        Field::Route => record.route.as_bytes(),
        Field::Pool => record.pool.as_bytes(),
        Field::Server => record.server.as_bytes(),
        Field::Method => record.method,
        Field::Scheme => record.scheme.as_bytes(),
        Field::Host => record.host,
        Field::Path => record.path,
        Field::Query => record.query,
        Field::Proto => record.proto.as_bytes(),
        Field::Tls => record.tls.version.as_bytes(),
        Field::TlsCipher => record.tls.cipher.as_bytes(),
        Field::TlsGroup => record.tls.group.as_bytes(),
        Field::TlsResumed if record.tls.is_resumed => b"true",
        Field::TlsResumed => b"",
        Field::Sni => record.tls.sni.as_bytes(),
        Field::ClientCert => record.tls.client.as_bytes(),
        Field::NoRetry => record.no_retry.as_bytes(),
        Field::Cache => record.cache.as_bytes(),
        Field::RequestId => record.request_id.as_bytes(),
        Field::TraceId => record.trace_id.unwrap_or_default().as_bytes(),
        Field::Fault => record.fault.as_bytes(),
        Field::Tunnel if record.tunnel => b"true",
        Field::Tunnel => b"",
        Field::UserAgent => record.user_agent,
        Field::Referer => record.referer,
    };
    combined::field(out, value);
}

fn ip(out: &mut Vec<u8>, value: Option<IpAddr>) {
    match value {
        Some(ip) => text::address(out, ip),
        None => out.push(b'-'),
    }
}

fn duration(out: &mut Vec<u8>, value: Option<Duration>) {
    match value {
        Some(duration) => text::milliseconds(out, duration),
        None => out.push(b'-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(template: &str, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        Template::parse(template)
            .unwrap()
            .write(record, &mut Stamp::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_and_fields() {
        let record = Record {
            method: b"GET",
            path: b"/a\"b",
            status: 204,
            ..Record::EMPTY
        };
        assert_eq!(
            line("{{{method}}} \"{path}\" {status} {query} {dur_ms}", &record),
            "{GET} \"/a\\x22b\" 204 - 0.000\n"
        );
        assert_eq!(line("", &record), "\n");
    }

    #[test]
    fn every_field_can_be_named() {
        for name in NAMES {
            let line = line(&format!("{{{name}}}"), &Record::EMPTY);
            assert!(line.len() > 1, "{name}: {line}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |template| Template::parse(template).unwrap_err();
        let sentence = error("{client_ip} {methd}");
        assert!(
            sentence.starts_with("unknown field `methd` (did you mean `method`?)"),
            "{sentence}"
        );
        assert!(
            sentence.contains("user_agent"),
            "all names are listed: {sentence}"
        );
        assert!(error("{path").contains("no partner"));
        assert!(error("path}").contains("no partner"));
        assert!(error("{path}\n{host}").contains("one line"));
    }
}
