//! Request methods, and what they promise (RFC 9110 section 9, RFC 10008 for QUERY).

/// A request method. Unregistered ones are `Other`; their bytes stay in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Connect,
    Delete,
    Get,
    Head,
    Options,
    Other,
    Patch,
    Post,
    Put,
    Query,
    Trace,
}

impl Method {
    /// Methods are case-sensitive: `get` is `Other`.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match bytes {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            b"QUERY" => Self::Query,
            _ => Self::Other,
        }
    }

    /// May be repeated without asking (RFC 9110 section 9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        matches!(
            self,
            Self::Delete
                | Self::Get
                | Self::Head
                | Self::Options
                | Self::Put
                | Self::Query
                | Self::Trace
        )
    }

    /// Requests that define a meaning for content: without a length they are suspicious in
    /// HTTP/1.0, where content used to end with the connection.
    #[must_use]
    pub fn carries_content(self) -> bool {
        matches!(self, Self::Patch | Self::Post | Self::Put | Self::Query)
    }
}
