//! A route: when it matches, what it does, and what it changes on the way.

use super::{
    CacheEdits, CompressEdits, HashKey, HeaderLine, Headers, Hedge, Hide, Percent, PoolId,
    Priority, RetryEdits, Switch, Template, TimeoutOverrides,
};
use crate::source::{Span, Spanned};

/// One entry of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    /// Label in logs, metrics and tests: `name`, else the path as written, else `*` (the catch-all).
    pub name: Spanned<String>,
    pub when: When,
    pub action: Action,
    pub path_edit: PathEdit,
    pub headers: Headers,
    /// `None`: as the site says.
    pub hide: Option<Hide>,
    pub timeout: TimeoutOverrides,
    pub traffic: Traffic,
    /// `None`: as the site says.
    pub cache: Option<Switch<CacheEdits>>,
    /// `None`: as the site says.
    pub compress: Option<Switch<CompressEdits>>,
    pub span: Span,
}

/// How requests of a site or route travel to their pool; `None`: as whoever is wider says.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub retry: Option<Switch<RetryEdits>>,
    pub hedge: Option<Switch<Hedge>>,
    pub priority: Option<Priority>,
    pub mirror: Option<Switch<Mirror>>,
}

/// Conditions of a route; all must hold.
#[derive(Clone, Debug, Default)]
pub struct When {
    pub path: PathMatch,
    /// Empty: every method. Compared with case.
    pub methods: Vec<Spanned<String>>,
    /// Names compare without case.
    pub headers: Vec<Condition>,
    /// Names compare with case.
    pub query: Vec<Condition>,
}

/// Which paths a route takes.
#[derive(Clone, Debug, Default)]
pub enum PathMatch {
    #[default]
    Any,
    /// `"/exact"`.
    Exact(Spanned<String>),
    /// `"/x/*"`, kept as `/x`: matches `/x` itself and everything below `/x/`. `"/*"` is kept as the empty string.
    Prefix(Spanned<String>),
    /// `path_regex`; compiles with [`crate::pattern::compile`].
    Regex(Spanned<String>),
}

/// A condition on one header or query parameter.
#[derive(Clone, Debug)]
pub struct Condition {
    pub name: Spanned<String>,
    pub value: Spanned<ValueMatch>,
}

/// What a header or parameter must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// `"value"`: one of the lines is exactly this.
    Equals(String),
    /// `"~regex"`, kept without `~`; compiles with [`crate::pattern::compile`]. One of the lines matches.
    Regex(String),
    /// `true`
    Present,
    /// `false`
    Absent,
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum Action {
    /// `pool` or `proxy`.
    Pool(Spanned<PoolId>),
    /// `split`
    Split(Split),
    Redirect(Redirect),
    Respond(Respond),
    Deny(Deny),
}

impl Action {
    /// The pools that requests may go to: one, those of a split, or none.
    pub fn pools(&self) -> impl Iterator<Item = Spanned<PoolId>> + '_ {
        let (one, split) = match self {
            Self::Pool(pool) => (Some(*pool), &[][..]),
            Self::Split(split) => (None, &split.parts[..]),
            Self::Redirect(_) | Self::Respond(_) | Self::Deny(_) => (None, &[][..]),
        };
        one.into_iter().chain(split.iter().map(|part| part.pool))
    }
}

/// `split`: several pools, each with its share of the clients.
#[derive(Clone, Debug)]
pub struct Split {
    /// At least one, no pool twice; the weights are not all 0.
    pub parts: Vec<SplitPart>,
    /// Requests that are alike in this go to the same pool.
    pub by: HashKey,
    pub span: Span,
}

/// One pool of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitPart {
    pub pool: Spanned<PoolId>,
    /// 0 to 10,000.
    pub weight: u16,
}

/// `mirror`: a copy of requests for another pool, whose answers nobody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// None of the pools of the route itself.
    pub pool: Spanned<PoolId>,
    /// The share of requests that are copied; above 0% and at most 100%.
    pub share: Percent,
    /// Requests with a larger body are not copied, in bytes.
    pub body: u64,
}

impl Mirror {
    /// What is copied when nothing else is written.
    pub const SHARE: Percent = Percent::whole(100);
    /// The largest body that is copied when nothing else is written, in bytes.
    pub const BODY: u64 = 64 << 10;
}

/// `redirect`.
#[derive(Clone, Debug)]
pub struct Redirect {
    pub to: Spanned<Template>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// `respond`: an answer from the config itself.
#[derive(Clone, Debug)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    pub body: String,
    pub content_type: String,
    pub headers: Vec<HeaderLine>,
}

/// `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deny {
    /// 400 to 599.
    pub status: u16,
}

/// What happens to the path before it goes to the origin. The query always stays.
#[derive(Clone, Debug, Default)]
pub enum PathEdit {
    #[default]
    Keep,
    /// `strip_prefix` takes off (whole segments, only where the path has it), then `add_prefix` puts on. Both
    /// begin with `/` and do not end with one; at least one is there.
    Prefix {
        strip: Option<Spanned<String>>,
        add: Option<Spanned<String>>,
    },
    /// `rewrite`: the new path.
    Rewrite(Spanned<Template>),
}
