//! What must not pass through (RFC 9110 section 7.6.1, RFC 9112 section 3.2).
//!
//! Three kinds of field end here: those of the connection, those that we write ourselves, and
//! those by which an outsider could pose as a proxy of ours.

use super::inspect::Listed;
use crate::{
    fields::{Field, Fields, members},
    names::{Name, NameSet},
};

/// Fields of the connection, and framing, which each side writes for itself.
pub const HOP: NameSet = NameSet::of(&[
    Name::CONNECTION,
    Name::CONTENT_LENGTH,
    Name::HTTP2_SETTINGS,
    Name::KEEP_ALIVE,
    Name::PROXY_AUTHENTICATE,
    Name::PROXY_AUTHORIZATION,
    Name::PROXY_CONNECTION,
    Name::TE,
    Name::TRANSFER_ENCODING,
    Name::UPGRADE,
]);

/// Fields in which proxies speak to origins: an outsider's are dropped.
pub const FORWARDED: NameSet = NameSet::of(&[
    Name::FORWARDED,
    Name::X_FORWARDED_FOR,
    Name::X_FORWARDED_HOST,
    Name::X_FORWARDED_PORT,
    Name::X_FORWARDED_PREFIX,
    Name::X_FORWARDED_PROTO,
    Name::X_REAL_IP,
]);

/// Names outside the table that pose as a proxy's word: client addresses, and paths or
/// methods that some frameworks let override the request line.
const POSING: [&[u8]; 11] = [
    b"cf-connecting-ip",
    b"fastly-client-ip",
    b"true-client-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-envoy-external-address",
    b"x-host",
    b"x-original-host",
    b"x-original-url",
    b"x-originating-ip",
    b"x-rewrite-url",
];

/// Is this line, of a name outside the table, to be dropped from an outsider's request?
#[must_use]
pub fn is_posing(raw_name: &[u8]) -> bool {
    let prefix = raw_name.get(..12);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"x-forwarded-"))
        || POSING
            .iter()
            .any(|posing| raw_name.eq_ignore_ascii_case(posing))
}

/// Names, outside the table, by which a request says that its method stands for another. Many
/// applications heed them, so the answer may be to another question than method and target ask.
#[must_use]
pub fn overrides_method(raw_name: &[u8]) -> bool {
    const OVERRIDES: [&[u8]; 3] = [
        b"x-http-method-override",
        b"x-http-method",
        b"x-method-override",
    ];
    OVERRIDES
        .iter()
        .any(|name| raw_name.eq_ignore_ascii_case(name))
}

/// Names, outside the table, in which we tell an origin who the client proved to be: nobody else's
/// word passes, not even a trusted peer's (RFC 9440 section 4).
#[must_use]
pub fn is_client_cert(raw_name: &[u8]) -> bool {
    const OURS: &[u8] = b"x-client-cert-";
    let prefix = raw_name.get(..OURS.len());
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(OURS))
        || raw_name.eq_ignore_ascii_case(b"x-client-cert")
        || raw_name.eq_ignore_ascii_case(b"client-cert")
        || raw_name.eq_ignore_ascii_case(b"client-cert-chain")
}

/// Does a name hold an underscore? Many applications can not tell `_` from `-`, so such a
/// line could stand in for another (nginx drops them too).
#[must_use]
pub fn is_alias(raw_name: &[u8]) -> bool {
    memchr::memchr(b'_', raw_name).is_some()
}

/// Longer names with underscores stand for anything.
pub const ALIAS_MAX: usize = 64;

/// A name with hyphens where it has underscores, as applications read it that can not tell them
/// apart; None when it is too long to say.
#[must_use]
pub fn with_hyphens<'a>(raw_name: &[u8], room: &'a mut [u8; ALIAS_MAX]) -> Option<&'a [u8]> {
    let name = room.get_mut(..raw_name.len())?;
    for (to, from) in name.iter_mut().zip(raw_name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    Some(name)
}

/// Would a name, as [`with_hyphens`] gives it, stand for a field that has a meaning to us: one of
/// the table, or one that only a proxy may say?
#[must_use]
pub fn is_guarded(name: &[u8]) -> bool {
    Name::from_bytes(name) != Name::OTHER || is_posing(name) || is_client_cert(name)
}

/// Does a name with underscores stand for a field that has a meaning to us?
fn is_harmful_alias(raw_name: &[u8]) -> bool {
    is_alias(raw_name) && with_hyphens(raw_name, &mut [0; ALIAS_MAX]).is_none_or(is_guarded)
}

/// Does `Connection` name this line, whose name is outside the table?
#[must_use]
pub fn is_listed(field: &Field<'_>, fields: &Fields) -> bool {
    fields
        .all(Name::CONNECTION)
        .flat_map(members)
        .any(|member| member.eq_ignore_ascii_case(field.raw_name))
}

/// How many more proxies a request may pass, when it says so in lawful form (RFC 9110 section
/// 7.6.2). Binding for OPTIONS and TRACE only.
#[must_use]
pub fn forwards_left(fields: &Fields) -> Option<u64> {
    let mut lines = fields.all(Name::MAX_FORWARDS);
    let (Some(value), None) = (lines.next(), lines.next()) else {
        return None;
    };
    // 18 digits need no further arithmetic.
    let is_number = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        value
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
    })
}

/// The fields a response's `Connection` names. Framing fields are never dropped by it: a
/// response that names them is only odd.
#[must_use]
pub fn listed_in(fields: &Fields) -> Listed {
    let mut listed = Listed::default();
    if fields.contains(Name::CONNECTION) {
        if fields
            .sole(Name::CONNECTION)
            .is_some_and(|only| only.eq_ignore_ascii_case(b"keep-alive"))
        {
            listed.names.insert(Name::KEEP_ALIVE);
            return listed;
        }
        for member in fields.all(Name::CONNECTION).flat_map(members) {
            match Name::from_bytes(member) {
                Name::OTHER => listed.others = true,
                name => listed.names.insert(name),
            }
        }
    }
    listed
}

/// Trailer fields that would change a message if somebody merged them (RFC 9110 section 6.5.1):
/// framing, routing, authentication, and what we write ourselves.
const NO_TRAILER: NameSet = NameSet::of(&[
    Name::AGE,
    Name::AUTHORIZATION,
    Name::CACHE_CONTROL,
    Name::CONTENT_ENCODING,
    Name::CONTENT_LOCATION,
    Name::CONTENT_RANGE,
    Name::CONTENT_TYPE,
    Name::COOKIE,
    Name::DATE,
    Name::EXPECT,
    Name::HOST,
    Name::LOCATION,
    Name::MAX_FORWARDS,
    Name::RANGE,
    Name::RETRY_AFTER,
    Name::SET_COOKIE,
    Name::TRACEPARENT,
    Name::TRAILER,
    Name::VARY,
    Name::VIA,
    Name::X_REQUEST_ID,
])
.union(HOP)
.union(FORWARDED);

/// May this line stand in a trailer section? Underscores are no harm in themselves: no application
/// takes trailers for what a proxy answers for, and calls of gRPC end with such names.
#[must_use]
pub fn may_trail(field: &Field<'_>) -> bool {
    !NO_TRAILER.contains(field.name)
        && !is_harmful_alias(field.raw_name)
        && !is_posing(field.raw_name)
        && !is_client_cert(field.raw_name)
}

#[cfg(test)]
mod tests {
    use super::{
        ALIAS_MAX, forwards_left, is_alias, is_client_cert, is_guarded, is_posing, may_trail,
        with_hyphens,
    };
    use crate::fields::Fields;

    #[test]
    fn poses_and_aliases() {
        for name in ["X-Forwarded-Anything", "x-original-URL", "True-Client-IP"] {
            assert!(is_posing(name.as_bytes()), "{name}");
        }
        assert!(!is_posing(b"X-Forward") && !is_posing(b"X-Custom"));
        assert!(is_alias(b"Transfer_Encoding") && !is_alias(b"Transfer-Encoding"));
    }

    #[test]
    fn an_alias_is_judged_by_what_it_stands_for() {
        let is_harm = |name: &str| {
            let mut room = [0; ALIAS_MAX];
            with_hyphens(name.as_bytes(), &mut room).is_none_or(is_guarded)
        };
        for name in [
            "Transfer_Encoding",
            "x_forwarded_for",
            "x_Forwarded-anything",
            "true_client_ip",
            "x_client_cert_subject",
        ] {
            assert!(is_harm(name), "{name}");
        }
        assert!(is_harm(&"a_".repeat(40)), "too long to say");
        assert!(!is_harm("shop_order_id") && !is_harm("a_b"));
    }

    #[test]
    fn who_a_client_proved_to_be() {
        for name in [
            "X-Client-Cert-Verified",
            "x-client-cert-anything",
            "X-CLIENT-CERT",
            "Client-Cert",
            "client-cert-chain",
        ] {
            assert!(is_client_cert(name.as_bytes()), "{name}");
        }
        assert!(!is_client_cert(b"X-Client-Certain") && !is_client_cert(b"Client"));
    }

    #[test]
    fn how_far_a_request_may_go() {
        let of = |values: &[&str]| {
            let mut fields = Fields::new();
            for value in values {
                fields.push(b"Max-Forwards", value.as_bytes());
            }
            forwards_left(&fields)
        };
        assert_eq!((of(&["0"]), of(&["10"])), (Some(0), Some(10)));
        for values in [
            &[][..],
            &[""],
            &["-1"],
            &["1, 2"],
            &["1", "1"],
            &["9999999999999999999"],
        ] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }

    #[test]
    fn trailers_carry_nothing_that_matters_to_a_recipient() {
        let mut fields = Fields::new();
        for name in [
            "Content-Length",
            "Host",
            "Authorization",
            "X-Forwarded-For",
            "Cookie",
            "Client-Cert",
            "x-client-cert-subject",
            "content_length",
            "X_Forwarded_For",
            "x_client-cert_subject",
        ] {
            fields.push(name.as_bytes(), b"x");
        }
        assert!(!fields.iter().any(|field| may_trail(&field)));
        fields.clear();
        fields.push(b"grpc-status", b"0");
        fields.push(b"Server-Timing", b"x");
        fields.push(b"shop_order_id", b"x");
        assert!(fields.iter().all(|field| may_trail(&field)));
    }
}
