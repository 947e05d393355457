//! How the servers of a pool are spoken to. What is decided here is decided once for a pool;
//! connections are shared among those only who speak in the same manner.

use std::sync::Arc;

use crate::tls::connect::OriginTls;

/// What is spoken.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3).
    H2c,
    /// What the server chooses, over TLS.
    Https(Https),
}

/// TLS to a server.
#[derive(Clone, Debug)]
pub struct Https {
    /// What is offered, and who is believed.
    pub tls: Arc<OriginTls>,
    /// The same with HTTP/1.1 alone on offer; None: it is anyway.
    pub without_http2: Option<Arc<OriginTls>>,
    /// The name asked for and to be proven; None: the server's own.
    pub name: Option<Box<str>>,
}

/// May connections be used by several clients?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// One after another, or at once.
    ByAll,
    /// Each begins with whose it is (PROXY protocol), and is that client's only.
    ByOne,
}

/// A way to speak.
#[derive(Debug)]
pub struct Manner {
    id: u32,
    protocol: Protocol,
    used: Used,
}

impl Manner {
    /// The id of plain HTTP/1: connections without TLS, which nothing tells apart.
    pub const PLAIN: u32 = 0;

    /// Plain HTTP/1.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            id: Self::PLAIN,
            protocol: Protocol::Http1,
            used: Used::ByAll,
        }
    }

    /// Whoever makes two of them gives them two ids, and none [`Self::PLAIN`].
    #[must_use]
    pub fn new(id: u32, protocol: Protocol, used: Used) -> Self {
        Self { id, protocol, used }
    }

    /// Connections are used again where this is the same.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What is spoken.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// May a connection carry several exchanges at once?
    #[must_use]
    pub fn may_share(&self) -> bool {
        self.used == Used::ByAll
            && match &self.protocol {
                Protocol::Http1 => false,
                Protocol::H2c => true,
                Protocol::Https(https) => https.without_http2.is_some(),
            }
    }

    /// May a connection be used again by another client?
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.used == Used::ByAll
    }
}
