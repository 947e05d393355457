//! What is tried again, on which failures and how often; and what is tried twice at once.

use std::time::Duration;

use super::Percent;

/// Something that may be switched off where it is overridden: `KEY = false`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch<T> {
    Off,
    On(T),
}

/// `retry`: another attempt after one that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// What is tried again; at least one, none of them twice.
    pub on: Vec<RetryOn>,
    /// Further attempts after the first; 0 to 8.
    pub max: u32,
    /// Attempts after the first are at most this share of the active requests; `None`: `"off"`.
    pub budget: Option<Percent>,
    /// So many are allowed whatever `budget` says, so that a quiet pool may try again at all.
    pub budget_floor: u32,
    /// How long one attempt may take to its response head; `None`: `[timeouts] response_head`.
    pub try_timeout: Option<Duration>,
    /// How much of a request body is kept in memory in order to send it again, in bytes; 0: nothing.
    pub body: u64,
    /// How much further is kept in a file, in bytes; 0: nothing.
    pub body_file: u64,
    /// The application says that repeating these requests is safe, whatever their method.
    pub idempotent: bool,
}

impl Retry {
    /// Whether this failure is tried again.
    pub fn covers(&self, on: RetryOn) -> bool {
        self.on.contains(&on)
    }
}

impl Default for Retry {
    fn default() -> Self {
        use RetryOn::{Closed, Connect, Malformed, Status, Timeout};
        Self {
            on: vec![
                Connect,
                Closed,
                Timeout,
                Malformed,
                Status(502),
                Status(503),
                Status(504),
            ],
            max: 2,
            budget: Some(Percent::whole(20)),
            budget_floor: 3,
            try_timeout: None,
            body: 64 << 10,
            body_file: 0,
            idempotent: false,
        }
    }
}

/// A failure that may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// No connection.
    Connect,
    /// Closed or reset before an answer.
    Closed,
    /// No response head in time.
    Timeout,
    /// An answer that could not be parsed.
    Malformed,
    /// 429, or 500 to 599.
    Status(u16),
}

/// `retry` of a site or route: what it says lies over what its pool says, key by key.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RetryEdits {
    pub on: Option<Vec<RetryOn>>,
    pub max: Option<u32>,
    pub budget: Option<Option<Percent>>,
    pub budget_floor: Option<u32>,
    pub try_timeout: Option<Duration>,
    pub body: Option<u64>,
    pub body_file: Option<u64>,
    pub idempotent: Option<bool>,
}

impl RetryEdits {
    /// Lays these over what is wider.
    pub fn apply(&self, retry: &mut Retry) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(from) = from {
                to.clone_from(from);
            }
        }
        set(&mut retry.on, self.on.as_ref());
        set(&mut retry.max, self.max.as_ref());
        set(&mut retry.budget, self.budget.as_ref());
        set(&mut retry.budget_floor, self.budget_floor.as_ref());
        set(&mut retry.body, self.body.as_ref());
        set(&mut retry.body_file, self.body_file.as_ref());
        set(&mut retry.idempotent, self.idempotent.as_ref());
        retry.try_timeout = self.try_timeout.or(retry.try_timeout);
    }
}

impl Switch<RetryEdits> {
    /// What is left of a wider `retry`, `None` being `false`. A table switches it on again, from the defaults.
    pub fn over(&self, wider: Option<Retry>) -> Option<Retry> {
        match self {
            Self::Off => None,
            Self::On(edits) => {
                let mut retry = wider.unwrap_or_default();
                edits.apply(&mut retry);
                Some(retry)
            }
        }
    }
}

/// `hedge`: a second attempt at another server while the first is still out; the first answer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    pub after: HedgeAfter,
}

/// When the second attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// `"95%"`: when the first takes longer than this share of the pool's requests (Dean and Barroso, "The tail at
    /// scale", 2013); above 0% and below 100%.
    Quantile(Percent),
    /// `"500ms"`; at least 1 ms.
    Time(Duration),
}

impl Default for Hedge {
    fn default() -> Self {
        Self {
            after: HedgeAfter::Quantile(Percent::whole(95)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Retry, RetryEdits, Switch};

    #[test]
    fn a_route_changes_what_it_says_and_keeps_the_rest() {
        let pool = Retry {
            max: 5,
            ..Retry::default()
        };
        let route = Switch::On(RetryEdits {
            idempotent: Some(true),
            ..RetryEdits::default()
        });
        let retry = route.over(Some(pool)).unwrap();
        assert_eq!((retry.max, retry.idempotent), (5, true));
        assert_eq!(Switch::Off.over(Some(Retry::default())), None);
        assert_eq!(route.over(None).unwrap().max, Retry::default().max);
    }
}
