//! A TLS connection as a [`Transport`] is one: the same verbs over a session and the socket
//! below it.
//!
//! What was accepted for sending is encrypted at once. Ciphertext that the socket has no room
//! for waits here, in at most one block, and nothing more is accepted before it has gone:
//! whoever has sent must flush. An idle connection holds no block.

use std::{
    cell::RefCell,
    fmt,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
};

use rustls::CommonState;

use super::{
    failure::TlsFailure,
    session::{Receiving, Session, Side},
};
use crate::{buffers::Buffer, error::NetError, local::Local, transport::Transport};

/// A session on a socket.
pub struct TlsStream {
    /// Plain.
    io: Transport,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    session: Session,
    sending: Sending,
    /// The socket had no room for what waits in the output.
    is_stuck: bool,
}

/// How our direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// We said, or are about to, that we send no more.
    Notified,
    /// That, and the socket is to be shut behind it.
    Shutting,
    /// All of that has gone.
    Shut,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

impl TlsStream {
    /// `input` was read from `io` already.
    pub(super) fn new(io: Transport, side: Side, input: Buffer, local: Rc<Local>) -> Self {
        Self {
            io,
            state: RefCell::new(State {
                session: Session::new(side, input, local),
                sending: Sending::Open,
                is_stuck: false,
            }),
        }
    }

    /// What the handshake agreed on.
    pub(super) fn facts<T>(&self, look: impl FnOnce(&CommonState) -> T) -> T {
        look(self.state.borrow().session.facts())
    }

    /// The socket below.
    #[must_use]
    pub fn below(&self) -> &Transport {
        &self.io
    }

    /// Ready when the handshake is over. Tickets for a client may still wait: they leave with
    /// the first data, or when a read has to wait.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let state = self.state.get_mut();
        loop {
            match state.session.shake() {
                Ok(true) => {
                    if !state.session.has_only_tickets_to_say() {
                        ready!(state.poll_flush(&self.io, cx))?;
                    }
                    return Poll::Ready(Ok(()));
                }
                Ok(false) => {}
                Err(error) => {
                    // The peer shall know why; it may be gone already.
                    let _ = state.poll_flush(&self.io, cx);
                    return Poll::Ready(Err(NetError::Tls(TlsFailure::from(&error))));
                }
            }
            ready!(state.poll_flush(&self.io, cx))?;
            ready!(state.poll_fill(&mut self.io, cx))?;
            if state.session.receiving != Receiving::Open {
                return Poll::Ready(Err(NetError::Truncated));
            }
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if room.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let state = self.state.get_mut();
        loop {
            match state.session.read(room) {
                Ok(0) if state.session.receiving == Receiving::Open => {}
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) => {
                    let _ = state.poll_flush(&self.io, cx);
                    return Poll::Ready(Err(error));
                }
            }
            ready!(state.poll_fill(&mut self.io, cx))?;
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = self.state.get_mut();
        if state.sending != Sending::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.is_stuck {
            ready!(state.poll_flush(&self.io, cx))?;
        }
        let mut count = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let mut taken = state.session.write(piece)?;
            if taken == 0 && count == 0 {
                ready!(state.poll_flush(&self.io, cx))?;
                taken = state.session.write(piece)?;
            }
            count += taken;
            if taken < piece.len() {
                break;
            }
        }
        // These bytes are on their way, even if the socket takes them later.
        if let Poll::Ready(Err(error)) = state.poll_flush(&self.io, cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    /// Ready when the socket has taken everything.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.get_mut().poll_flush(&self.io, cx)
    }

    /// Has the socket taken everything?
    pub(crate) fn is_flushed(&self) -> bool {
        self.state.borrow().session.output.is_empty()
    }

    #[cfg(test)]
    pub(super) fn holds_blocks(&self) -> bool {
        let session = &self.state.borrow().session;
        session.input.has_block() || session.output.has_block()
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        if state.session.has_data() {
            return Poll::Ready(Ok(()));
        }
        // Who waits for the peer has nothing more to say for now.
        if let Poll::Ready(Err(error)) = state.poll_flush(&self.io, cx) {
            return Poll::Ready(Err(error));
        }
        self.io.poll_readable(cx)
    }

    pub(crate) fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        loop {
            let count = state.session.read(room)?;
            if count > 0 || room.is_empty() || state.session.receiving != Receiving::Open {
                return Ok(count);
            }
            let space = state.session.room();
            let asked = space.len();
            let result = if asked == 0 {
                Err(io::ErrorKind::InvalidData.into())
            } else {
                self.io.try_read(space)
            };
            if result.is_err() {
                state.session.release();
            }
            state.session.filled(result?, asked);
        }
    }

    /// Has the peer neither sent anything nor left?
    pub(crate) fn peek_is_empty(&self) -> bool {
        !self.state.borrow().session.has_data() && self.io.peek_is_empty()
    }

    /// Did the stream end without the peer having said so? Then what came may not be all.
    pub(crate) fn is_cut(&self) -> bool {
        self.state.borrow().session.receiving == Receiving::Cut
    }

    /// Says that nothing more will be sent, as far as the socket takes it now.
    pub(crate) fn notify(&mut self) {
        let state = self.state.get_mut();
        state.notify(Sending::Notified);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = state.poll_flush(&self.io, &mut cx);
    }

    /// The same, and shuts the socket behind it; [`Self::poll_flush`] goes on with what the
    /// socket does not take now.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        let state = self.state.get_mut();
        state.notify(Sending::Shutting);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match state.poll_flush(&self.io, &mut cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }
}

impl State {
    /// Reads ciphertext once. Ready without any when the peer has ended.
    fn poll_fill(&mut self, io: &mut Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = self.session.room();
        let asked = room.len();
        if asked == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        match io.poll_read(cx, room) {
            Poll::Ready(Ok(count)) => {
                self.session.filled(count, asked);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.session.release();
                // Who waits for the peer has nothing more to say for now.
                if let Poll::Ready(Err(error)) = self.poll_flush(io, cx) {
                    return Poll::Ready(Err(error));
                }
                Poll::Pending
            }
        }
    }

    fn poll_flush(&mut self, io: &Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.output.is_empty() {
            self.is_stuck = true;
            match io.try_write(self.session.output.bytes()) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.session.output.consume(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(io.poll_writable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.is_stuck = false;
        self.session.release();
        if self.sending == Sending::Shutting {
            self.sending = Sending::Shut;
            return Poll::Ready(io.shutdown_socket());
        }
        Poll::Ready(Ok(()))
    }

    fn notify(&mut self, then: Sending) {
        match (self.sending, then) {
            (Sending::Open, _) => {
                // A session that can not say it any more has said worse.
                let _ = self.session.close_notify();
                self.sending = then;
            }
            (Sending::Notified, Sending::Shutting) => self.sending = then,
            _ => {}
        }
    }
}
