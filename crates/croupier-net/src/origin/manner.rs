//! How the servers of a pool are spoken to. What is decided here is decided once for a pool;
//! connections are shared among those only who speak in the same manner.

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3).
    H2c,
}

/// A way to speak.
#[derive(Debug)]
pub struct Manner {
    id: u32,
    protocol: Protocol,
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
        }
    }

    /// Whoever makes two of them gives them two ids, and none [`Self::PLAIN`].
    #[must_use]
    pub fn new(id: u32, protocol: Protocol) -> Self {
        Self { id, protocol }
    }

    /// Connections are used again where this is the same.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// May a connection carry several exchanges at once?
    #[must_use]
    pub fn may_share(&self) -> bool {
        match self.protocol {
            Protocol::Http1 => false,
            Protocol::H2c => true,
        }
    }

    /// What is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}
