//! `[[test]]`: a config carries its own tests. They are read here and run by whoever owns the router.

use std::net::IpAddr;

use super::HeaderLine;
use crate::source::{Span, Spanned};

/// One test.
#[derive(Clone, Debug)]
pub struct Test {
    pub request: Spanned<TestRequest>,
    pub headers: Vec<HeaderLine>,
    /// The client's address; `None`: any.
    pub client: Option<IpAddr>,
    pub expect: Expect,
    pub span: Span,
}

/// `request = "GET https://host/path?query"`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRequest {
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Lower case, without port.
    pub host: String,
    /// As written; `None`: the scheme's own.
    pub port: Option<u16>,
    /// Begins with `/`; without the query.
    pub path: String,
    /// Without `?`.
    pub query: Option<String>,
}

/// What must come out; at least one is there.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The site's host as written in its header.
    pub site: Option<Spanned<String>>,
    /// The route's name.
    pub route: Option<Spanned<String>>,
    /// The pool's name; for a split, any of its pools holds.
    pub pool: Option<Spanned<String>>,
    /// Of a `deny`, `redirect` or `respond`.
    pub status: Option<Spanned<u16>>,
    /// Where a redirect leads.
    pub location: Option<Spanned<String>>,
    /// Path and query as the origin sees them.
    pub path: Option<Spanned<String>>,
    /// Whether a kept answer may answer the request.
    pub cache: Option<Spanned<ExpectCache>>,
}

/// `expect = { cache = .. }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectCache {
    /// The store of this name is asked.
    Store(String),
    /// `false`: no store is asked.
    Nothing,
}
