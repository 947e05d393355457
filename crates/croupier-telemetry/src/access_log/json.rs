//! The JSON line: flat, keys in a fixed order, empty fields left out.
//!
//! Written by hand and in one go: this runs for every exchange. Durations are milliseconds with three
//! decimals; `bytes_in`, `bytes_out`, `dur_ms` and `retries` are always there.

use std::time::Duration;

use super::FIELD_BYTES;
use crate::date::Stamp;
use crate::record::{Record, TlsFacts};
use crate::text;

/// Appends the record as one line.
pub(super) fn write(record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ts\":\"");
    stamp.rfc3339_ms(record.ts, out);
    out.push(b'"');
    addresses(out, record);
    string(out, b",\"site\":\"", record.site.as_bytes());
    string(out, b",\"route\":\"", record.route.as_bytes());
    string(out, b",\"pool\":\"", record.pool.as_bytes());
    string(out, b",\"server\":\"", record.server.as_bytes());
    string(out, b",\"method\":\"", record.method);
    string(out, b",\"scheme\":\"", record.scheme.as_bytes());
    string(out, b",\"host\":\"", record.host);
    string(out, b",\"path\":\"", record.path);
    string(out, b",\"query\":\"", record.query);
    string(out, b",\"proto\":\"", record.proto.as_bytes());
    if !record.tls.version.is_empty() {
        tls(out, &record.tls);
    }
    if record.status != 0 {
        number(out, b",\"status\":", record.status.into());
    }
    number(out, b",\"bytes_in\":", record.bytes_in);
    number(out, b",\"bytes_out\":", record.bytes_out);
    duration(out, b",\"dur_ms\":", Some(record.duration));
    duration(out, b",\"ttfb_ms\":", record.ttfb);
    duration(out, b",\"origin_connect_ms\":", record.connect);
    duration(out, b",\"origin_ttfb_ms\":", record.origin_ttfb);
    number(out, b",\"retries\":", record.retries.into());
    string(out, b",\"no_retry\":\"", record.no_retry.as_bytes());
    string(out, b",\"cache\":\"", record.cache.as_bytes());
    string(out, b",\"request_id\":\"", record.request_id.as_bytes());
    string(
        out,
        b",\"trace_id\":\"",
        record.trace_id.unwrap_or_default().as_bytes(),
    );
    string(out, b",\"fault\":\"", record.fault.as_bytes());
    if record.tunnel {
        out.extend_from_slice(b",\"tunnel\":true");
    }
    string(out, b",\"user_agent\":\"", record.user_agent);
    string(out, b",\"referer\":\"", record.referer);
    out.extend_from_slice(b"}\n");
}

/// Most connections of a plain listener have none of this.
fn tls(out: &mut Vec<u8>, tls: &TlsFacts<'_>) {
    string(out, b",\"tls\":\"", tls.version.as_bytes());
    string(out, b",\"tls_cipher\":\"", tls.cipher.as_bytes());
    string(out, b",\"tls_group\":\"", tls.group.as_bytes());
    if tls.is_resumed {
        out.extend_from_slice(b",\"tls_resumed\":true");
    }
    string(out, b",\"sni\":\"", tls.sni.as_bytes());
    string(out, b",\"client_cert\":\"", tls.client.as_bytes());
}

/// A key, up to and with the quote that opens its value, and the value. Keys come with their
/// length, so that copying one is a store or two and no call.
#[inline]
fn string<const N: usize>(out: &mut Vec<u8>, key: &[u8; N], value: &[u8]) {
    if value.is_empty() {
        return;
    }
    let (kept, whole) = text::capped(value, FIELD_BYTES);
    out.reserve(N + kept.len() + 1);
    out.extend_from_slice(key);
    text::json(out, kept);
    if whole {
        out.push(b'"');
    } else {
        out.extend_from_slice("\u{2026}\"".as_bytes());
    }
}

#[inline]
fn number<const N: usize>(out: &mut Vec<u8>, key: &[u8; N], value: u64) {
    out.extend_from_slice(key);
    text::number(out, value);
}

#[inline]
fn duration<const N: usize>(out: &mut Vec<u8>, key: &[u8; N], value: Option<Duration>) {
    if let Some(value) = value {
        out.extend_from_slice(key);
        text::milliseconds(out, value);
    }
}

/// The client, and the peer of the connection where that is somebody else: a trusted proxy.
#[inline]
fn addresses(out: &mut Vec<u8>, record: &Record<'_>) {
    if let Some(client) = record.client_ip {
        out.extend_from_slice(b",\"client_ip\":\"");
        text::address(out, client);
        out.push(b'"');
    }
    if let Some(remote) = record.remote_ip
        && record.client_ip != Some(remote)
    {
        out.extend_from_slice(b",\"remote_ip\":\"");
        text::address(out, remote);
        out.push(b'"');
    }
}
