//! A route: when it matches, what it does, and what it changes on the way.

use super::{HeaderLine, Headers, Hide, PoolId, Template, TimeoutOverrides};
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
    pub span: Span,
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
    Redirect(Redirect),
    Respond(Respond),
    Deny(Deny),
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
