//! What a route says about its answers where the answers themselves say nothing.

use std::time::Duration;

/// A route's policy: plain data. `Policy::default()` is what RFC 9111 allows without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Freshness of answers that state none, for the statuses that may be kept so
    /// ([`super::storing::is_guessable`]). Never overrides what an answer states. Default: none.
    pub ttl: Option<Duration>,
    /// How freshness is guessed where no `ttl` is set (RFC 9111 section 4.2.2).
    pub heuristic: Option<Heuristic>,
    /// For so long a stale answer that states nothing of the kind is given while it is asked for
    /// again (RFC 5861 section 3). Default: none.
    pub stale_while_revalidate: Option<Duration>,
    /// For so long a stale answer that states nothing of the kind is given when asking fails
    /// (RFC 5861 section 4). Only for answers that were fresh at some time. Default: an hour.
    pub stale_if_error: Option<Duration>,
    /// No 5xx is fresh for longer, whatever it states. Default: a minute.
    pub errors_max: Duration,
    /// Bodies longer than this are not kept. Bytes. Default: 64 MiB.
    pub max_object: u64,
    /// Answers that set cookies. Default: not kept.
    pub cookies: Cookies,
}

/// How freshness is guessed: from how long a thing had not changed when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heuristic {
    /// Per cent of the time between `Last-Modified` and `Date`.
    pub percent: u8,
    /// Never longer than this.
    pub max: Duration,
}

/// What becomes of answers with `Set-Cookie`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// They are not kept: a cookie is for one client. An answer whose `no-cache` or `private` names
    /// `Set-Cookie` is kept without it.
    #[default]
    Refuse,
    /// They are kept and given to everybody, as RFC 9111 section 7.3 allows.
    Store,
}

impl Default for Heuristic {
    fn default() -> Self {
        Self {
            percent: 10,
            max: Duration::from_hours(24),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ttl: None,
            heuristic: Some(Heuristic::default()),
            stale_while_revalidate: None,
            stale_if_error: Some(Duration::from_hours(1)),
            errors_max: Duration::from_mins(1),
            max_object: 64 << 20,
            cookies: Cookies::Refuse,
        }
    }
}
