//! May a failed attempt be made again, and at whose expense? One pure function of what failed, what had left us, what
//! the request is, and what the route allows.
//!
//! A request that may have reached a server is repeated only when that is harmless. What a server
//! certainly never saw goes elsewhere for free.

use crate::fault::{Code, Retry};

/// Attempts of one request that may have reached a server, whatever else is allowed.
pub const REACHED_MAX: u32 = 9;

/// Attempts of one request in all. Those that reach nobody are bounded by time: a server out of
/// reach is asked ten times a second at most, and waiting ends.
pub const ATTEMPTS_MAX: u32 = 64;

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Attempts made so far.
    pub attempts: u32,
    /// Those of them that may have reached a server.
    pub reached: u32,
    /// Of those so many may follow the first.
    pub retries_max: u32,
    /// What had left us.
    pub sent: Sent,
    /// Repeating the request is harmless.
    pub repeatable: Repeatable,
    /// What is left of the body.
    pub body: Body,
}

/// What of a request had left us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not one byte.
    Nothing,
    /// Bytes of the head, none of the body.
    Head,
    /// Bytes of the body.
    Body,
}

/// May the request be repeated: by its method (RFC 9110 section 9.2.2), its `Idempotency-Key`, or
/// because the route says so?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    Yes,
    No,
}

/// Is the request body at hand for another attempt?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// From its first byte.
    Whole,
    /// It outgrew what may be kept.
    Gone,
}

/// What another attempt costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing: no server has worked on the request.
    Free,
    /// A part of the pool's retry budget.
    Budget,
}

/// What another attempt would cost.
///
/// # Errors
/// When there must not be one: why, in a word for the log; empty when nobody would expect one.
pub fn may_retry(code: Code, progress: Progress) -> Result<Cost, &'static str> {
    let retry = code.retry();
    if retry == Retry::Never {
        return Err("");
    }
    let is_free = retry == Retry::Elsewhere || progress.sent == Sent::Nothing;
    if !is_free && progress.repeatable == Repeatable::No {
        return Err("method");
    }
    if progress.sent == Sent::Body && progress.body == Body::Gone {
        return Err("body>cap");
    }
    if progress.attempts >= ATTEMPTS_MAX {
        return Err("attempts");
    }
    // A connection that the server closed while it was idle: no work was done.
    if is_free || retry == Retry::Afresh {
        return Ok(Cost::Free);
    }
    if progress.reached > progress.retries_max.min(REACHED_MAX - 1) {
        return Err("attempts");
    }
    Ok(Cost::Budget)
}

/// The same for an answer whose status says that its server could not do it.
///
/// # Errors
/// Why not.
pub fn may_retry_status(progress: Progress) -> Result<(), &'static str> {
    if progress.repeatable == Repeatable::No {
        return Err("method");
    }
    if progress.body == Body::Gone {
        return Err("body>cap");
    }
    if progress.attempts >= ATTEMPTS_MAX || progress.reached > progress.retries_max {
        return Err("attempts");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        ATTEMPTS_MAX, Body, Cost, Progress, Repeatable, Sent, may_retry, may_retry_status,
    };
    use crate::fault::{Code, Retry};

    fn at(sent: Sent, repeatable: Repeatable) -> Progress {
        Progress {
            attempts: 1,
            reached: 1,
            retries_max: 2,
            sent,
            repeatable,
            body: Body::Whole,
        }
    }

    #[test]
    fn a_post_that_may_have_reached_a_server_is_never_sent_twice() {
        for code in Code::ALL {
            for sent in [Sent::Head, Sent::Body] {
                let verdict = may_retry(*code, at(sent, Repeatable::No));
                assert!(
                    verdict.is_err() || code.retry() == Retry::Elsewhere,
                    "{code:?}"
                );
            }
        }
        assert_eq!(
            may_retry_status(at(Sent::Body, Repeatable::No)),
            Err("method")
        );
    }

    #[test]
    fn what_never_left_us_may_go_elsewhere_for_free() {
        let nothing = at(Sent::Nothing, Repeatable::No);
        assert_eq!(
            may_retry(Code::OriginConnectRefused, nothing),
            Ok(Cost::Free)
        );
        assert_eq!(may_retry(Code::OriginReusedClosed, nothing), Ok(Cost::Free));
        assert_eq!(may_retry(Code::ProxyTimeout, nothing), Err(""));
    }

    #[test]
    fn gets_are_repeated_at_the_expense_of_the_budget_until_the_attempts_are_used_up() {
        let mut progress = at(Sent::Head, Repeatable::Yes);
        assert_eq!(may_retry(Code::OriginClosed, progress), Ok(Cost::Budget));
        progress.reached = 3;
        assert_eq!(may_retry(Code::OriginClosed, progress), Err("attempts"));
        assert_eq!(
            may_retry(Code::OriginReusedClosed, progress),
            Ok(Cost::Free)
        );
        progress.attempts = ATTEMPTS_MAX;
        assert_eq!(
            may_retry(Code::OriginReusedClosed, progress),
            Err("attempts")
        );
    }

    #[test]
    fn a_body_that_is_gone_can_not_be_sent_again() {
        let gone = Progress {
            body: Body::Gone,
            ..at(Sent::Body, Repeatable::Yes)
        };
        assert_eq!(may_retry(Code::OriginReset, gone), Err("body>cap"));
        assert_eq!(may_retry_status(gone), Err("body>cap"));
        let unsent = Progress {
            sent: Sent::Head,
            ..gone
        };
        assert_eq!(may_retry(Code::OriginReset, unsent), Ok(Cost::Budget));
    }
}
