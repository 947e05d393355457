//! Laws that hold for all fields, times and answers.

use std::time::Duration;

use croupier_cache::{
    Body, Object, Rules, Terms,
    rules::{
        Asked, Asking, Give, Moments, Parts, Policy, Told, VaryNames,
        conditional::{Validators, if_range, judge, matches_weakly},
        control::withheld,
        date,
        groups::{Tags, invalidated},
        kept,
        list::{members, parts, trim},
        may_give, may_give_on_error, may_store,
        range::{ContentRange, Ranges},
        structured::{dictionary, list},
        update::refresh,
        vary::variant,
    },
};
use croupier_http::{Fields, Method, ResponseHead};
use proptest::{collection::vec, prelude::*};

/// Bytes that field values may hold, those of grammar often.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => prop::sample::select(b"=,;\" \t\\*/-+.:()'@%?".to_vec()),
        8 => prop::sample::select(b"aAgmxW019".to_vec()),
        1 => (0x21_u8..=0xff).prop_filter("DEL", |byte| *byte != 0x7f),
    ];
    let words = prop::sample::select(vec![
        &b"max-age=60"[..],
        b"s-maxage=",
        b"no-store",
        b"private=\"a\"",
        b"no-cache",
        b"public",
        b"stale-while-revalidate=9999999999",
        b"stale-if-error=1",
        b"max-stale",
        b"must-revalidate",
        b"bytes=0-1",
        b"Mon, 23 Nov 2026 00:00:00 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"\"a\"",
        b"W/\"a\"",
        b"gzip;q=0.5",
        b"close, x-a",
        b"*",
        b"2147483648",
    ]);
    let piece = prop_oneof![vec(byte, 0..6), words.prop_map(<[u8]>::to_vec)];
    vec(piece, 0..6).prop_map(|pieces| trim(&pieces.concat()).to_vec())
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Cache-Control",
        "CDN-Cache-Control",
        "Surrogate-Control",
        "Expires",
        "Date",
        "Age",
        "ETag",
        "Last-Modified",
        "Vary",
        "Set-Cookie",
        "Connection",
        "Content-Length",
        "Content-Range",
        "Content-Encoding",
        "Transfer-Encoding",
        "X-A",
        "Cache-Groups",
        "Surrogate-Key",
        "Pragma",
        "Authorization",
        "Accept-Encoding",
        "Accept-Language",
        "If-None-Match",
        "If-Modified-Since",
        "If-Range",
        "Range",
        "Content-Type",
    ])
}

fn fields() -> impl Strategy<Value = Fields> {
    vec((name(), value()), 0..8).prop_map(|lines| {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name.as_bytes(), &value);
        }
        fields
    })
}

fn head() -> impl Strategy<Value = ResponseHead> {
    let status = prop_oneof![6 => Just(200_u16), 1 => Just(206), 2 => 100_u16..=999];
    (status, fields()).prop_map(|(status, fields)| {
        let mut head = ResponseHead::of_status(status);
        head.fields = fields;
        head
    })
}

fn moment() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..u64::MAX,
        1_700_000_000_000..1_900_000_000_000_u64,
        Just(0),
        Just(u64::MAX)
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    let number = || prop_oneof![any::<u32>(), 0..100_u32, Just(u32::MAX)];
    (
        moment(),
        number(),
        number(),
        number(),
        number(),
        any::<u16>(),
    )
        .prop_map(
            |(received_ms, initial_age, lifetime, revalidate, error, bits)| Terms {
                received_ms,
                initial_age,
                lifetime,
                stale_while_revalidate: revalidate,
                stale_if_error: error,
                rules: Rules::from_bits(bits & 0xff),
            },
        )
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<u64>(),
        any::<bool>(),
    )
        .prop_map(|(ttl, grace, most, guesses)| Policy {
            ttl: ttl.map(Duration::from_secs),
            stale_while_revalidate: grace.map(Duration::from_secs),
            errors_max: Duration::from_secs(most),
            heuristic: guesses.then(Default::default),
            ..Policy::default()
        })
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_fail(value in value(), any in vec(any::<u8>(), 0..64), length: u64) {
        for text in [&value, &any] {
            let _ = members(text).count() + parts(text, b';').count();
            let _ = (dictionary(text, |_, _| Ok(())), list(text, |_| Ok(())));
            let _ = (date::parse(text, length), ContentRange::read(text));
            let _ = matches_weakly(text, &value);
            if let Ok(Some(ranges)) = Ranges::of(text, length) {
                for span in ranges.spans() {
                    prop_assert!(span.first <= span.last && span.last < length);
                }
            }
        }
    }

    #[test]
    fn no_message_makes_a_decision_fail(
        request in fields(), head in head(), policy in policy(),
        asked_ms in moment(), received_ms in moment(), now_ms in moment(),
    ) {
        let asking = Asking { method: Method::Get, fields: &request, parts: Parts::Keep };
        let moments = Moments { asked_ms, received_ms };
        let asked = Asked::of(&request);
        let held = Validators::of(&head.fields);
        let _ = (judge(Method::Get, &request, head.status, &held), if_range(&request, &held));
        let _ = (Tags::of(&head.fields, b"o"), invalidated(&head.fields, b"o"));
        if let Some(names) = VaryNames::of(&head.fields) {
            let mut out = Vec::new();
            variant(&names, &request, &mut out);
        }
        if let Ok(terms) = may_store(&asking, &head, &policy, moments) {
            prop_assert!(terms.initial_age <= 1 << 31 && terms.lifetime <= 1 << 31);
            let _ = may_give(&asked, &terms, now_ms);
            let _ = may_give_on_error(&asked, &terms, now_ms);
            let told = Told::of(&head.fields);
            let mut lines = Vec::new();
            kept::write_lines(&head.fields, moments, &mut lines);
            for (name, _) in croupier_cache::object::lines(&lines) {
                prop_assert!(!withheld(&told, &head.fields, name));
                prop_assert!(!name.eq_ignore_ascii_case(b"transfer-encoding"));
            }
        }
    }

    #[test]
    fn nothing_grows_younger_or_fresh_again(
        terms in terms(), one in moment(), other in moment(), request in fields(),
    ) {
        let (early, late) = (one.min(other), one.max(other));
        prop_assert!(terms.age(early) <= terms.age(late));
        prop_assert!(terms.left(early) >= terms.left(late));
        prop_assert!(terms.is_fresh(early) || !terms.is_fresh(late));
        let asked = Asked::of(&request);
        if may_give(&asked, &terms, late) == Give::Fresh {
            prop_assert_eq!(may_give(&asked, &terms, early), Give::Fresh);
        }
        if may_give_on_error(&asked, &terms, late).is_ok() {
            prop_assert!(may_give_on_error(&asked, &terms, early).is_ok());
        }
    }

    #[test]
    fn what_must_be_asked_for_is_never_given(terms in terms(), now in moment()) {
        let terms = Terms { rules: terms.rules.and(Rules::NO_CACHE), ..terms };
        prop_assert!(matches!(may_give(&Asked::default(), &terms, now), Give::Ask(_)));
        prop_assert!(may_give_on_error(&Asked::default(), &terms, now).is_err());
    }

    #[test]
    fn a_304_never_touches_framing_nor_what_the_body_is(
        head in head(), update in fields(), request in fields(), late in 0..1_000_000_u64,
    ) {
        let asking = Asking { method: Method::Get, fields: &request, parts: Parts::Refuse };
        let at = |ms| Moments { asked_ms: ms, received_ms: ms };
        let start = 1_795_392_000_000;
        let Ok(terms) = may_store(&asking, &head, &Policy::default(), at(start)) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        kept::write_lines(&head.fields, at(start), &mut lines);
        let body = Body::Memory(b"x"[..].into());
        let object = Object::new(Box::new([]), head.status, lines.into(), body, terms);
        let of = |text: &[u8], wanted: &[u8]| {
            croupier_cache::object::lines(text)
                .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_vec())
                .collect::<Vec<_>>()
        };
        if let Ok((new, _)) = refresh(&asking, &object, &update, &Policy::default(), at(start + late)) {
            for name in [&b"content-encoding"[..], b"content-range", b"etag"] {
                // Unless a list of what is not to be kept comes with the update.
                let (old, new) = (of(&object.lines, name), of(&new, name));
                prop_assert!(new == old || new.is_empty(), "{:?} {:?}", old, new);
            }
            for name in [&b"content-length"[..], b"transfer-encoding", b"connection", b"age"] {
                prop_assert!(of(&new, name).is_empty());
            }
            prop_assert_eq!(of(&new, b"date").is_empty(), false);
        }
    }

    #[test]
    fn a_variant_does_not_depend_on_the_order_of_names(
        request in fields(), names in vec(name(), 0..6),
    ) {
        let of = |names: &[&str]| {
            let mut answer = Fields::new();
            answer.push(b"Vary", names.join(", ").as_bytes());
            let mut out = Vec::new();
            variant(&VaryNames::of(&answer).unwrap(), &request, &mut out);
            out
        };
        let turned: Vec<&str> = names.iter().rev().copied().collect();
        prop_assert_eq!(of(&names), of(&turned));
    }
}
