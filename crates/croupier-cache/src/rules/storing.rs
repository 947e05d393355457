//! May an answer be kept, and on which terms (RFC 9111 sections 3 and 4.2)?
//!
//! An answer is kept when it may be *and* when it can be of use: fresh for a time, or good for a
//! grace, or with a validator to ask again by.

use std::time::Duration;

use croupier_http::{Fields, Method, Name, ResponseHead};

use super::{
    Because, VaryNames,
    control::{Asked, Told, Wish, Word, withheld},
    date,
    list::{SECONDS_MAX, members, seconds},
    policy::{Cookies, Policy},
    range::ContentRange,
};
use crate::terms::{Rules, Terms};

/// The request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// GET and QUERY are kept; QUERY only if the key holds its content (RFC 10008 section 2.7). A
    /// POST see [`super::invalidate::is_kept_for_get`].
    pub method: Method,
    /// Its fields as the client sent them.
    pub fields: &'a Fields,
    /// What becomes of a 206.
    pub parts: Parts,
}

/// What becomes of an answer that is only a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// It is not kept.
    #[default]
    Refuse,
    /// The caller keeps it as what its `Content-Range` says it is.
    Keep,
}

/// When things happened, milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The request was sent to the origin.
    pub asked_ms: u64,
    /// The head of the answer had arrived.
    pub received_ms: u64,
}

/// May the answer be kept, and what does it live by then?
///
/// Decided here where the RFC leaves a choice:
/// - No 5xx is fresh for longer than `policy.errors_max`, whatever it states, and none is ever kept
///   for a `ttl`, nor guessed at, but 501 and those that say `public` (section 4.2.2).
/// - 206 is kept only if the caller can combine parts; 304, 412 and 416 answer a condition of the
///   request and are not kept.
/// - `stale-while-revalidate` and `stale-if-error` that an answer states hold beside `s-maxage`,
///   which otherwise forbids stale use (section 5.2.2.10): whoever writes both means both. The
///   policy's graces do not.
/// - The policy's graces are for answers that are fresh for a time: what is stale from the start is
///   given only after asking.
/// - A 200 that states no freshness is not kept for its validator alone.
///
/// # Errors
/// Why it may not, or need not, be kept.
pub fn may_store(
    asking: &Asking<'_>,
    head: &ResponseHead,
    policy: &Policy,
    moments: Moments,
) -> Result<Terms, Because> {
    let fields = &head.fields;
    let told = Told::of(fields);
    permit(asking, head, &told, policy)?;

    let now_secs = moments.received_ms / 1000;
    let sent_secs = fields
        .get(Name::DATE)
        .and_then(|value| date::parse(value, now_secs))
        .unwrap_or(now_secs);
    let initial_age = initial_age(fields, sent_secs, moments);
    let (lifetime, rules) = lifetime(head, &told, policy, sent_secs)?;
    let lifetime = match head.status {
        500.. => lifetime.min(whole_seconds(policy.errors_max)),
        _ => lifetime,
    };

    let graces = Graces::of(&told, policy, lifetime);
    let useful = lifetime.saturating_add(graces.longest());
    let has_validator = fields.contains(Name::ETAG) || fields.contains(Name::LAST_MODIFIED);
    let is_useful = initial_age < useful && !told.says(Word::NO_CACHE);
    if !is_useful && !has_validator {
        return Err(Because::NoValidator);
    }
    Ok(Terms {
        received_ms: moments.received_ms,
        initial_age,
        lifetime,
        stale_while_revalidate: graces.revalidate,
        stale_if_error: graces.error,
        rules: rules.and(words(head.status, &told)),
    })
}

/// Section 3: what forbids to keep it.
fn permit(
    asking: &Asking<'_>,
    head: &ResponseHead,
    told: &Told,
    policy: &Policy,
) -> Result<(), Because> {
    let fields = &head.fields;
    if !matches!(asking.method, Method::Get | Method::Query) {
        return Err(Because::Method);
    }
    match head.status {
        ..200 | 304 | 412 | 416 | 1000.. => return Err(Because::Status),
        206 if asking.parts == Parts::Refuse || ContentRange::of(fields).is_none() => {
            return Err(Because::Partial);
        }
        _ => {}
    }
    if Asked::of(asking.fields).wishes(Wish::NO_STORE) {
        return Err(Because::AskedNoStore);
    }
    if told.says(Word::MUST_UNDERSTAND) {
        // It stands for `no-store` where the status is known (section 5.2.2.3).
        if !is_understood(head.status) {
            return Err(Because::MustUnderstand);
        }
    } else if told.says(Word::NO_STORE) {
        return Err(Because::NoStore);
    }
    if told.says(Word::PRIVATE) {
        return Err(Because::Private);
    }
    if asking.fields.contains(Name::AUTHORIZATION) && !told.is_for_all() {
        return Err(Because::Authorization);
    }
    if VaryNames::of(fields).is_none() {
        return Err(Because::VaryStar);
    }
    if policy.cookies == Cookies::Refuse
        && fields.contains(Name::SET_COOKIE)
        && !withheld(told, fields, b"set-cookie")
    {
        return Err(Because::SetCookie);
    }
    let length = fields.get(Name::CONTENT_LENGTH).and_then(decimal);
    if length.is_some_and(|length| length > policy.max_object) {
        return Err(Because::TooLarge);
    }
    Ok(())
}

/// `freshness_lifetime` (section 4.2.1) or a guess, and whether it is one.
fn lifetime(
    head: &ResponseHead,
    told: &Told,
    policy: &Policy,
    sent_secs: u64,
) -> Result<(u32, Rules), Because> {
    if let Some(stated) = told.s_maxage.or(told.max_age) {
        return Ok((stated, Rules::NONE));
    }
    if !told.says(Word::TARGETED)
        && let Some(value) = head.fields.get(Name::EXPIRES)
    {
        // A date that is none is a date in the past (section 5.3).
        let expires = date::parse(value, sent_secs).unwrap_or(0);
        return Ok((bounded(expires.saturating_sub(sent_secs)), Rules::NONE));
    }
    if told.says(Word::NO_CACHE) {
        return Ok((0, Rules::NONE));
    }
    let is_guessable = is_guessable(head.status);
    if let Some(ttl) = policy.ttl.filter(|_| is_guessable) {
        return Ok((whole_seconds(ttl), Rules::NONE));
    }
    let changed = head
        .fields
        .get(Name::LAST_MODIFIED)
        .and_then(|value| date::parse(value, sent_secs));
    match (policy.heuristic, changed) {
        (Some(heuristic), Some(changed)) if is_guessable || told.says(Word::PUBLIC) => {
            let unchanged = sent_secs.saturating_sub(changed);
            let guess = unchanged.saturating_mul(u64::from(heuristic.percent)) / 100;
            let guess = bounded(guess).min(whole_seconds(heuristic.max));
            Ok((guess, Rules::HEURISTIC))
        }
        _ => Err(Because::NoFreshness),
    }
}

/// `corrected_initial_age` (section 4.2.3), seconds.
fn initial_age(fields: &Fields, sent_secs: u64, moments: Moments) -> u32 {
    let apparent = (moments.received_ms / 1000).saturating_sub(sent_secs);
    let delay = moments.received_ms.saturating_sub(moments.asked_ms) / 1000;
    // The first member of the first line; what is no number is not there (section 5.1).
    let told = fields
        .get(Name::AGE)
        .and_then(|value| members(value).next())
        .and_then(seconds)
        .unwrap_or(0);
    bounded(apparent.max(u64::from(told).saturating_add(delay)))
}

/// How long after its freshness an answer may be given, seconds.
struct Graces {
    revalidate: u32,
    error: u32,
}

impl Graces {
    fn of(told: &Told, policy: &Policy, lifetime: u32) -> Self {
        if told.forbids_stale() {
            return Self {
                revalidate: 0,
                error: 0,
            };
        }
        let has_policy = told.s_maxage.is_none() && lifetime > 0;
        let grace = |stated: Option<u32>, policy: Option<Duration>| {
            let policy = policy.filter(|_| has_policy).map_or(0, whole_seconds);
            stated.unwrap_or(policy)
        };
        Self {
            revalidate: grace(told.stale_while_revalidate, policy.stale_while_revalidate),
            error: grace(told.stale_if_error, policy.stale_if_error),
        }
    }

    fn longest(&self) -> u32 {
        self.revalidate.max(self.error)
    }
}

fn words(status: u16, told: &Told) -> Rules {
    let revalidates = told.forbids_stale() || told.s_maxage.is_some();
    let table = [
        (told.says(Word::NO_CACHE), Rules::NO_CACHE),
        (revalidates, Rules::MUST_REVALIDATE),
        (told.says(Word::NO_TRANSFORM), Rules::NO_TRANSFORM),
        (told.says(Word::IMMUTABLE), Rules::IMMUTABLE),
        (told.is_for_all(), Rules::FOR_AUTHORIZED),
        (status == 206, Rules::PARTIAL),
    ];
    table
        .into_iter()
        .filter(|(holds, _)| *holds)
        .fold(Rules::NONE, |rules, (_, rule)| rules.and(rule))
}

/// May freshness that nobody stated be assumed of this status (RFC 9110 section 15.1)?
#[must_use]
pub fn is_guessable(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// Do we know what this status demands of caches: is it one of RFC 9110, and not answered to a
/// condition?
#[must_use]
pub fn is_understood(status: u16) -> bool {
    matches!(
        status,
        200..=206 | 300..=303 | 305 | 307 | 308 | 400..=411 | 413..=415 | 417 | 421 | 422 | 426
            | 500..=505
    )
}

/// Whole seconds, at most [`SECONDS_MAX`].
fn whole_seconds(duration: Duration) -> u32 {
    bounded(duration.as_secs())
}

fn bounded(seconds: u64) -> u32 {
    u32::try_from(seconds)
        .unwrap_or(SECONDS_MAX)
        .min(SECONDS_MAX)
}

/// `1*DIGIT`; too many of them are the greatest number.
fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}
