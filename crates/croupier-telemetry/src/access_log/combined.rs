//! The combined format, which fail2ban, GoAccess and a generation of scripts read.
//!
//! `ip - - [time] "method target proto" status bytes "referer" "user agent"`; with the host and port in
//! front it is GoAccess's VCOMBINED. What is missing is `-`, a missing status `000`; bytes that could
//! end a field are `\xNN`. All three as nginx does it.

use super::FIELD_BYTES;
use crate::date::Stamp;
use crate::record::Record;
use crate::text::{self, digit};

/// Appends the record as one line.
pub(super) fn write(record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
    match record.client_ip {
        Some(ip) => text::address(out, ip),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    stamp.common(record.ts, out);
    out.extend_from_slice(b"] \"");
    field(out, record.method);
    out.push(b' ');
    field(out, record.path);
    if !record.query.is_empty() {
        out.push(b'?');
        field(out, record.query);
    }
    out.push(b' ');
    field(out, record.proto.as_bytes());
    out.extend_from_slice(b"\" ");
    status(out, record.status);
    out.push(b' ');
    text::number(out, record.bytes_out);
    out.extend_from_slice(b" \"");
    field(out, record.referer);
    out.extend_from_slice(b"\" \"");
    field(out, record.user_agent);
    out.extend_from_slice(b"\"\n");
}

/// The same with `host:port ` in front.
pub(super) fn write_with_host(record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
    field(out, record.host);
    // The colons inside of an IPv6 address are followed by its bracket.
    let after_colon = record
        .host
        .rsplit(|byte| *byte == b':')
        .next()
        .unwrap_or_default();
    if after_colon.len() == record.host.len() || after_colon.ends_with(b"]") {
        out.extend_from_slice(if record.scheme == "https" {
            b":443"
        } else {
            b":80"
        });
    }
    out.push(b' ');
    write(record, stamp, out);
}

/// Escaped, capped, or `-`.
#[inline]
pub(super) fn field(out: &mut Vec<u8>, value: &[u8]) {
    if value.is_empty() {
        out.push(b'-');
        return;
    }
    let (kept, whole) = text::capped(value, FIELD_BYTES);
    text::plain(out, kept);
    if !whole {
        out.extend_from_slice(b"...");
    }
}

/// Three digits.
#[inline]
pub(super) fn status(out: &mut Vec<u8>, status: u16) {
    let status = u64::from(status.min(999));
    out.extend_from_slice(&[
        digit(status / 100),
        digit(status / 10 % 10),
        digit(status % 10),
    ]);
}
