//! The stream of a wire: simply there, until the wire is taken apart.

use std::ops::{Deref, DerefMut};

use crate::transport::Transport;

/// A wire's stream. [`super::Wire::into_stream`] takes it out and ends the wire with it;
/// [`super::Wire::take_stream`] does until another one is put in its place.
#[derive(Debug)]
pub(crate) struct Socket(Option<Transport>);

impl Socket {
    pub(super) fn new(stream: Transport) -> Self {
        Self(Some(stream))
    }

    /// Takes the stream out.
    pub(crate) fn take(&mut self) -> Option<Transport> {
        self.0.take()
    }
}

impl Deref for Socket {
    type Target = Transport;

    #[expect(clippy::expect_used, reason = "it is taken by whoever ends the wire")]
    fn deref(&self) -> &Transport {
        self.0.as_ref().expect("a wire has its stream to its end")
    }
}

impl DerefMut for Socket {
    #[expect(clippy::expect_used, reason = "it is taken by whoever ends the wire")]
    fn deref_mut(&mut self) -> &mut Transport {
        self.0.as_mut().expect("a wire has its stream to its end")
    }
}
