//! May a failed attempt be made again? One pure function; its refusals go to the log.

use crate::fault::{Code, Retry};

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Attempts made so far.
    pub attempts: u32,
    /// Attempts allowed.
    pub attempts_max: u32,
    /// What had left us.
    pub sent: Sent,
    /// Repeating the request is harmless by its method.
    pub repeatable: Repeatable,
}

/// What of a request had left us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not one byte.
    Nothing,
    /// Bytes of the head, none of the body.
    Head,
    /// Bytes of the body, which are gone.
    Body,
}

/// Is the method one that may be repeated (RFC 9110 section 9.2.2)?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    Yes,
    No,
}

/// Gives the word of the refusal.
///
/// # Errors
/// When the attempt must not be repeated: why.
pub fn may_retry(code: Code, progress: Progress) -> Result<(), &'static str> {
    if code.retry() == Retry::Never {
        return Err("");
    }
    if progress.attempts >= progress.attempts_max {
        return Err("attempts");
    }
    if progress.sent == Sent::Body {
        return Err("body-sent");
    }
    match code.retry() {
        Retry::Elsewhere => Ok(()),
        _ if progress.sent == Sent::Nothing || progress.repeatable == Repeatable::Yes => Ok(()),
        _ => Err("method"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, Repeatable, Sent, may_retry};
    use crate::fault::Code;

    fn at(sent: Sent, repeatable: Repeatable) -> Progress {
        Progress {
            attempts: 1,
            attempts_max: 3,
            sent,
            repeatable,
        }
    }

    #[test]
    fn a_post_that_may_have_reached_a_server_is_never_sent_twice() {
        for code in Code::ALL {
            assert!(may_retry(*code, at(Sent::Body, Repeatable::No)).is_err());
            let verdict = may_retry(*code, at(Sent::Head, Repeatable::No));
            assert!(
                verdict.is_err() || code.as_str().starts_with("origin.connect"),
                "{code:?}"
            );
        }
    }

    #[test]
    fn what_never_left_us_may_go_elsewhere() {
        let nothing = at(Sent::Nothing, Repeatable::No);
        assert_eq!(may_retry(Code::OriginConnectRefused, nothing), Ok(()));
        assert_eq!(may_retry(Code::OriginReusedClosed, nothing), Ok(()));
        assert_eq!(may_retry(Code::OriginHeadMalformed, nothing), Err(""));
    }

    #[test]
    fn gets_are_repeated_until_the_attempts_are_used_up() {
        let mut progress = at(Sent::Head, Repeatable::Yes);
        assert_eq!(may_retry(Code::OriginClosed, progress), Ok(()));
        progress.attempts = 3;
        assert_eq!(may_retry(Code::OriginClosed, progress), Err("attempts"));
    }
}
