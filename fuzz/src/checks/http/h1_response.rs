//! An origin's answer: head, framing, and the same head as a client would get it.

use croupier_http::{
    BodyLen, Method, Name, ResponseHead,
    h1::{
        encode, framing, head, reuse,
        scan::{HeadLimits, HeadScan},
    },
    rules::hop,
};

use super::{HEAD_LIMITS, Verdict, cuts, grammar, h1_request, tight_head_limits};

pub fn check(bytes: &[u8]) -> Verdict {
    for limits in [HEAD_LIMITS, tight_head_limits(cuts::seed(bytes))] {
        h1_request::read_every_way(bytes, &limits, |text| {
            head::response(text, &limits, &mut ResponseHead::default())
        });
    }
    let length = match HeadScan::default().find(bytes, &HEAD_LIMITS) {
        Ok(Some(length)) => length,
        Ok(None) => return Verdict::Incomplete(0),
        Err(_) => return Verdict::Refused(0),
    };
    let text = &bytes[..length];
    let mut response = ResponseHead::default();
    if head::response(text, &HEAD_LIMITS, &mut response).is_err() {
        return Verdict::Refused(0);
    }
    let Some(strict) = grammar::head(text) else {
        unreachable!(
            "a malformed head was parsed: {:?}",
            text.escape_ascii().to_string()
        );
    };
    h1_request::same_fields(&strict, &response.fields);
    status_line(text, &response);
    let _ = reuse::is_persistent(response.version, &response.fields);
    let get = framing::response(Method::Get, &response);
    let head_only = framing::response(Method::Head, &response);
    assert_eq!(
        get.is_ok(),
        head_only.is_ok(),
        "the method changes what is lawful"
    );
    let Ok(body) = get else {
        return Verdict::Refused(0);
    };
    assert_eq!(head_only, Ok(BodyLen::None));
    let bodiless = response.is_interim() || [204, 304].contains(&response.status);
    let expected = match grammar::framing(&strict) {
        Some(_) if bodiless => BodyLen::None,
        Some(grammar::Framing::Nothing) => BodyLen::UntilClose,
        Some(grammar::Framing::Length(length)) => BodyLen::Length(length),
        Some(grammar::Framing::Chunked) => BodyLen::Chunked,
        None => unreachable!("framing that two recipients could read differently"),
    };
    assert_eq!(body, expected);
    as_the_client_gets_it(&response, body);
    Verdict::Accepted(1)
}

/// `HTTP/1.x SP 3DIGIT [SP reason]`
fn status_line(text: &[u8], response: &ResponseHead) {
    let end = text
        .iter()
        .position(|byte| *byte == b'\r')
        .unwrap_or(text.len());
    let line = &text[..end];
    assert!(line.starts_with(response.version.as_str().as_bytes()));
    let (status, reason) = line[9..].split_at(3);
    assert_eq!(line[8], b' ');
    assert_eq!(status, response.status.to_string().as_bytes());
    assert!((100..=999).contains(&response.status));
    assert!(reason.is_empty() || reason[0] == b' ');
    let is_text = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    assert!(
        response.reason().iter().all(is_text),
        "a reason of more than one line"
    );
    let kept = response.reason();
    assert!(kept.is_empty() || reason.ends_with(kept));
}

/// Written again with our framing, the answer reads as the same answer.
fn as_the_client_gets_it(response: &ResponseHead, body: BodyLen) {
    let listed = hop::listed_in(&response.fields);
    let passes = |field: &croupier_http::Field<'_>| {
        let other =
            field.name == Name::OTHER && listed.others && hop::is_listed(field, &response.fields);
        !hop::HOP.contains(field.name) && !listed.names.contains(field.name) && !other
    };
    let mut out = Vec::new();
    encode::status_line(&mut out, response);
    for field in response.fields.iter().filter(&passes) {
        encode::field(&mut out, field.raw_name, field.value);
    }
    let sent = if body == BodyLen::UntilClose {
        BodyLen::Chunked
    } else {
        body
    };
    match sent {
        BodyLen::Length(length) => encode::content_length(&mut out, length),
        BodyLen::Chunked => encode::field(&mut out, b"transfer-encoding", b"chunked"),
        BodyLen::None | BodyLen::UntilClose => {}
    }
    out.extend_from_slice(b"\r\n");
    let room = HeadLimits {
        head_bytes: 2 * HEAD_LIMITS.head_bytes,
        target_bytes: 2 * HEAD_LIMITS.target_bytes,
        fields: HEAD_LIMITS.fields + 1,
        field_bytes: 2 * HEAD_LIMITS.field_bytes,
    };
    assert_eq!(HeadScan::default().find(&out, &room), Ok(Some(out.len())));
    assert!(
        grammar::head(&out).is_some(),
        "we would send {:?}",
        out.escape_ascii().to_string()
    );
    let mut again = ResponseHead::default();
    assert_eq!(head::response(&out, &HEAD_LIMITS, &mut again), Ok(()));
    assert_eq!(again.status, response.status);
    if !response.reason().is_empty() {
        assert_eq!(again.reason(), response.reason());
    }
    assert_eq!(framing::response(Method::Get, &again), Ok(sent));
    let mine = |field: &croupier_http::Field<'_>| {
        ![Name::CONTENT_LENGTH, Name::TRANSFER_ENCODING].contains(&field.name)
    };
    assert!(
        again
            .fields
            .iter()
            .filter(mine)
            .eq(response.fields.iter().filter(&passes)),
        "fields change on the way"
    );
}
