//! May what is kept be given now (RFC 9111 section 4), and when asking failed (section 4.2.4 and RFC
//! 5861)? Bit tests and comparisons: what a head said has become numbers when it was kept, the
//! policy's graces included.

use super::{
    Because,
    control::{Asked, Wish},
};
use crate::terms::{Rules, Terms};

/// What is done with a kept answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Give {
    /// It is given.
    Fresh,
    /// It is given, and somebody asks for it again meanwhile (RFC 5861 section 3).
    StaleWhileRevalidate,
    /// It is given: the client takes it stale (`max-stale`).
    StaleByConsent,
    /// The origin is asked first, conditionally if there is a validator. A request that says
    /// `only-if-cached` gets a 504 instead (section 5.2.1.7).
    Ask(Because),
}

/// What is done with an answer that is kept and is the right one for the request.
#[must_use]
pub fn may_give(asked: &Asked, terms: &Terms, now_ms: u64) -> Give {
    if asked.wishes(Wish::NO_STORE) {
        return Give::Ask(Because::AskedNoStore);
    }
    if asked.wishes(Wish::NO_CACHE) {
        return Give::Ask(Because::AskedNoCache);
    }
    if terms.rules.has(Rules::NO_CACHE) {
        return Give::Ask(Because::NoCache);
    }
    let is_fresh = terms.is_fresh(now_ms);
    let is_settled = is_fresh && terms.rules.has(Rules::IMMUTABLE);
    // A reload need not ask for what never changes (RFC 8246 section 2).
    if !is_settled && asked.max_age.is_some_and(|most| terms.age(now_ms) > most) {
        return Give::Ask(Because::AskedMaxAge);
    }
    let wanted = asked.min_fresh.unwrap_or(0);
    if wanted > 0 && terms.left(now_ms) < i64::from(wanted) {
        return Give::Ask(Because::AskedMinFresh);
    }
    if is_fresh {
        return Give::Fresh;
    }
    let staleness = staleness(terms, now_ms);
    // Who says how old is too old wants nothing stale, unless it says that too (section 5.2.1.1).
    let takes_stale = asked.max_age.is_none() || asked.max_stale.is_some();
    if takes_stale && staleness < i64::from(terms.stale_while_revalidate) {
        return Give::StaleWhileRevalidate;
    }
    if let Some(most) = asked.max_stale
        && may_consent(terms)
        && !terms.rules.has(Rules::MARKED_STALE)
        && (most == u32::MAX || staleness <= i64::from(most))
    {
        return Give::StaleByConsent;
    }
    Give::Ask(if terms.rules.has(Rules::MARKED_STALE) {
        Because::Marked
    } else {
        Because::Stale
    })
}

/// May a stale answer be given because asking for it failed: no server was reached, or an error came
/// ([`is_error`])? What the request says of `stale-if-error` stands for what the answer said, where
/// stale use is not forbidden.
///
/// # Errors
/// Why not.
pub fn may_give_on_error(asked: &Asked, terms: &Terms, now_ms: u64) -> Result<(), Because> {
    if asked.wishes(Wish::NO_STORE) {
        return Err(Because::AskedNoStore);
    }
    if asked.wishes(Wish::NO_CACHE) {
        return Err(Because::AskedNoCache);
    }
    if terms.rules.has(Rules::NO_CACHE) {
        return Err(Because::NoCache);
    }
    let grace = match asked.stale_if_error {
        Some(grace) if may_consent(terms) => grace,
        Some(grace) => grace.min(terms.stale_if_error),
        None => terms.stale_if_error,
    };
    if staleness(terms, now_ms) < i64::from(grace) || terms.is_fresh(now_ms) {
        return Ok(());
    }
    Err(if terms.rules.has(Rules::MUST_REVALIDATE) {
        Because::MustRevalidate
    } else {
        Because::GraceOver
    })
}

/// The statuses for which a stale answer is better (RFC 5861 section 4).
#[must_use]
pub fn is_error(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// May a client's word make stale use lawful (section 4.2.4)?
fn may_consent(terms: &Terms) -> bool {
    !terms.rules.has(Rules::MUST_REVALIDATE)
}

/// Seconds since it went stale. What was marked while fresh went stale just now.
fn staleness(terms: &Terms, now_ms: u64) -> i64 {
    (-terms.left(now_ms)).max(0)
}
