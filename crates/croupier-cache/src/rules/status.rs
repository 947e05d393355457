//! `Cache-Status` (RFC 9211): one cache's account of one answer. Each cache on the way appends a
//! member; ours goes behind those that are there.

use std::io::Write;

use super::Because;

/// Why a request went forward (section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fwd {
    /// The cache was not asked.
    Bypass,
    /// The method is never answered from here.
    Method,
    /// Nothing is kept under this URI.
    UriMiss,
    /// Something is kept, but not for such requests.
    VaryMiss,
    /// Nothing is kept, and it is not known which of the two it is.
    Miss,
    /// The request wants the origin asked.
    Request,
    /// What is kept is stale.
    Stale,
    /// What is kept is only a part.
    Partial,
}

impl Fwd {
    /// Its token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// Gave what it had.
    Hit,
    /// Asked onwards.
    Forward {
        /// Why.
        fwd: Fwd,
        /// The status that came, where it is not the one given: a 304 that made a 200.
        status: Option<u16>,
        /// What became of the answer.
        stored: Stored,
        /// Whose asking it was.
        asked: AskedBy,
    },
}

/// What became of an answer that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is kept.
    Yes,
    /// It is not.
    No,
}

/// Whose asking brought an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// This request's own.
    Itself,
    /// Another's, which this one waited for.
    Another,
}

/// A member of `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// Who speaks: `croupier`, or as configured. A token, or anything printable.
    pub cache: &'a str,
    /// What it did.
    pub did: Did,
    /// Seconds of freshness left, negative when stale.
    pub ttl: Option<i64>,
    /// Why.
    pub detail: Option<Because>,
}

impl CacheStatus<'_> {
    /// Appends the member, without anything before it.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_name(self.cache, out);
        let parameter = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
        match self.did {
            Did::Hit => parameter(out, "; hit"),
            Did::Forward {
                fwd,
                status,
                stored,
                asked,
            } => {
                parameter(out, "; fwd=");
                parameter(out, fwd.as_str());
                if let Some(status) = status {
                    // Writing to a vector never fails.
                    let _ = write!(out, "; fwd-status={status}");
                }
                if stored == Stored::Yes {
                    parameter(out, "; stored");
                }
                if asked == AskedBy::Another {
                    parameter(out, "; collapsed");
                }
            }
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(out, "; ttl={ttl}");
        }
        if let Some(because) = self.detail {
            parameter(out, "; detail=");
            parameter(out, because.as_str());
        }
    }
}

/// A token if it is one, else a string without what strings may not hold.
fn write_name(name: &str, out: &mut Vec<u8>) {
    let mut bytes = name.bytes();
    let is_token = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
    if is_token {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in name.bytes().filter(|byte| matches!(byte, b' '..=b'~')) {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
