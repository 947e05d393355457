//! An origin, a cache and a clock for stories of two requests.

use croupier_cache::{
    Terms,
    rules::{
        Asked, Asking, Because, Give, Moments, Parts, Policy, VaryNames, kept, may_give, may_store,
        vary,
    },
};
use croupier_http::{Fields, Method, ResponseHead, date};

pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

/// 2026-11-23, in milliseconds.
pub(crate) const NOW: u64 = 1_795_392_000_000;
pub(crate) const AT_ONCE: Moments = Moments {
    asked_ms: NOW,
    received_ms: NOW,
};

pub(crate) fn fields(lines: Lines<'_>) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    fields
}

pub(crate) fn head(status: u16, lines: Lines<'_>) -> ResponseHead {
    let mut head = ResponseHead::of_status(status);
    head.fields = fields(lines);
    head
}

/// The date so many seconds from now.
pub(crate) fn at(seconds: i64) -> String {
    date::format((NOW / 1000).saturating_add_signed(seconds))
}

/// Keeps a 200 to a plain GET.
pub(crate) fn keep(answer: Lines<'_>) -> Result<Terms, Because> {
    keep_as(&Policy::default(), &[], 200, answer)
}

pub(crate) fn keep_as(
    policy: &Policy,
    request: Lines<'_>,
    status: u16,
    answer: Lines<'_>,
) -> Result<Terms, Because> {
    let fields = fields(request);
    let asking = Asking {
        method: Method::Get,
        fields: &fields,
        parts: Parts::Refuse,
    };
    may_store(&asking, &head(status, answer), policy, AT_ONCE)
}

/// Is a 200 with these lines given to a plain GET some seconds later?
pub(crate) fn is_given(answer: Lines<'_>, seconds: u64) -> bool {
    keep(answer).is_ok_and(|terms| give(&terms, &[], seconds) == Give::Fresh)
}

/// What is done with a kept answer when a request comes some seconds later.
pub(crate) fn give(terms: &Terms, request: Lines<'_>, seconds: u64) -> Give {
    may_give(&Asked::of(&fields(request)), terms, NOW + seconds * 1000)
}

pub(crate) fn variant(answer: Lines<'_>, request: Lines<'_>) -> Option<Vec<u8>> {
    let names = VaryNames::of(&fields(answer))?;
    let mut out = Vec::new();
    vary::variant(&names, &fields(request), &mut out);
    Some(out)
}

/// The lines that are kept of an answer, as a text.
pub(crate) fn kept_lines(answer: Lines<'_>) -> String {
    let mut out = Vec::new();
    kept::write_lines(&fields(answer), AT_ONCE, &mut out);
    String::from_utf8(out).unwrap()
}
