//! An answer: a head, and where its bytes come from.

use std::{borrow::Cow, sync::Arc};

use croupier_http::{BodyLen, ResponseHead};

use crate::{kept::Kept, pool::lease::Lease, relay::upload::Upload};

/// What the client will get.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A server's answer; its body is still to come.
    Dealt(Dealt),
    /// A server has agreed to become a WebSocket.
    Switch(Dealt),
    /// What the cache holds.
    Kept(Box<Kept>),
    /// An answer of our own.
    Made(Made),
    /// Nothing: the connection ends.
    Silence,
}

/// An answer that a server gives.
#[derive(Debug)]
pub(crate) struct Dealt {
    pub(crate) lease: Lease,
    pub(crate) head: ResponseHead,
    pub(crate) body: BodyLen,
    /// The request body, which may still be on its way.
    pub(crate) upload: Upload,
}

/// An answer of our own: small and whole.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) lines: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// A body of our own.
#[derive(Debug)]
pub(crate) enum Bytes {
    Own(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl Bytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}
