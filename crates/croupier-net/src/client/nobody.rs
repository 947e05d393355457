//! A client that asks nothing and takes everything: an answer is fetched for whoever asks next.
//!
//! What is fetched for the cache runs through the same stages as any exchange. This is its client's
//! end: it never leaves, sends no body, and hands what it is given to a [`Keeper`].

use std::{
    fmt,
    rc::Rc,
    task::{Context, Poll},
};

use crate::{address::Peer, error::NetError, local::Local, timers::Timer};

/// Who keeps an answer that no client gets.
pub trait Keeper: fmt::Debug {
    /// Takes the first bytes of `data` and gives their number, at least 1.
    fn poll_take(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>>;

    /// The body is whole.
    ///
    /// # Errors
    /// When it is not what its head had said.
    fn finish(&mut self) -> Result<(), NetError>;

    /// The body broke off: what was taken is a part.
    fn cut(&mut self);
}

/// The client's end of an exchange without a client.
#[derive(Debug)]
pub struct Nobody {
    pub(super) keeper: Box<dyn Keeper>,
    pub(super) timer: Timer,
    pub(super) local: Rc<Local>,
    pub(super) peer: Peer,
    pub(super) taken: u64,
}

impl Nobody {
    /// Hands what comes to `keeper`. `peer` is who made us ask.
    #[must_use]
    pub fn new(keeper: Box<dyn Keeper>, peer: Peer, local: &Rc<Local>) -> Self {
        Self {
            keeper,
            timer: local.timers.timer(),
            local: Rc::clone(local),
            peer,
            taken: 0,
        }
    }

    pub(super) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, NetError>> {
        let polled = self.keeper.poll_take(cx, data);
        if let Poll::Ready(Ok(count)) = &polled {
            self.taken += *count as u64;
        }
        polled
    }
}
