//! Heads that come in parts, as HTTP/2 brings them: judged by the rules of HTTP/1, and sent on
//! as HTTP/1.
//!
//! An input is lines: the method, the target, how the message is framed (`whole`, `open` or
//! `websocket`), then fields as `name:value`. What the library under HTTP/2 lets nobody say is left
//! out before: names that are no lower-case tokens, values with control bytes or blank edges.

use croupier_http::{Framed, RequestHead, Target, Version, rules::inspect};

use super::{HEAD_LIMITS, Verdict, grammar, h1_request::as_the_origin_gets_it};

pub fn check(bytes: &[u8]) -> Verdict {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (Some(method), Some(target), Some(framed)) = (lines.next(), lines.next(), lines.next())
    else {
        return Verdict::Incomplete(0);
    };
    let framed = match framed {
        b"open" => Framed::Open,
        b"websocket" => Framed::WebSocket,
        _ => Framed::Whole,
    };
    let is_target = |byte: &u8| *byte > b' ' && *byte != 0x7f && *byte != b'#';
    if method.is_empty()
        || !method.iter().all(|byte| grammar::is_tchar(*byte))
        || target.len() > HEAD_LIMITS.target_bytes
        || !target.iter().all(is_target)
    {
        return Verdict::Refused(0);
    }
    let mut request = RequestHead::default();
    request.begin(Version::Http2, framed, method, target);
    for line in lines.take(HEAD_LIMITS.fields) {
        if let Some((name, value)) = field(line) {
            request.fields.push(name, value);
        }
    }
    let mut target = Target::default();
    let Ok(lawful) = inspect::request(&request, croupier_http::Scheme::Http, &mut target) else {
        return Verdict::Refused(0);
    };
    assert_eq!(lawful.wants_websocket, framed == Framed::WebSocket);
    as_the_origin_gets_it(&request, &target, &lawful);
    Verdict::Accepted(1)
}

/// A line that the library would hand on.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_name = |byte: &u8| grammar::is_tchar(*byte) && !byte.is_ascii_uppercase();
    let is_value = |byte: &u8| (*byte >= b' ' && *byte != 0x7f) || *byte == b'\t';
    let is_edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_lawful = !name.is_empty()
        && name.iter().all(is_name)
        && value.iter().all(is_value)
        && !is_edge(value.first())
        && !is_edge(value.last());
    is_lawful.then_some((name, value))
}
