//! One TLS session without a socket: records in, plaintext out, and back. Sans-IO: bytes wait
//! in blocks of the worker, and none is held while nothing waits.
//!
//! Records are decrypted where they were read. The library's unbuffered interface is what makes
//! that possible; its buffered one keeps 4 KiB for as long as a connection lives.
//!
//! ```text
//!  socket -> input (ciphertext) -> room of the caller, what does not fit: plain -> caller
//!  socket <- output (ciphertext) <- caller
//! ```

use std::{fmt, io, ops::Deref, rc::Rc};

use rustls::{
    CommonState, Error, ProtocolVersion,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic},
};

use crate::{
    buffers::{Buffer, Buffers, Size},
    local::Local,
};

/// Plaintext that is encrypted in one go: four records into a block of 64 KiB, with room for
/// what the library has to say in between.
const PLAIN_MAX: usize = 63 << 10;
/// A record is longer than its plaintext by at most this: header 5, nonce 8, type 1, tag 16.
const RECORD_EXTRA: usize = 32;
const RECORD_PLAIN: usize = 16 << 10;
/// Room for a key update or an alert before the data.
const SLACK: usize = 512;
/// What waits may grow this large and still be joined by data.
const SMALL: usize = 4 << 10;

/// Either side of a session.
pub(super) enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl Deref for Side {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }
}

/// How the peer's direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    Open,
    /// The peer said that it sends no more.
    Closed,
    /// The peer's bytes ended without that: something may be missing.
    Cut,
}

/// Where a session stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Something was done, there may be more.
    On,
    /// Needs more bytes of the peer.
    Blocked,
    /// Data may be sent, and needs more bytes of the peer to receive.
    Open,
    /// As much data was encrypted.
    Encrypted(usize),
    /// Nothing will come any more.
    PeerClosed,
}

/// What to do when data may be sent.
#[derive(Clone, Copy)]
enum Work<'a> {
    Nothing,
    Data(&'a [u8]),
    CloseNotify,
}

/// A session and the bytes that wait in it.
pub(super) struct Session {
    side: Side,
    local: Rc<Local>,
    pub(super) input: Buffer,
    pub(super) output: Buffer,
    /// Plaintext that the last reader had no room for.
    plain: Vec<u8>,
    taken: usize,
    /// No whole record lies in the input.
    is_drained: bool,
    pub(super) receiving: Receiving,
    /// What the next read is likely to fill.
    size: Size,
    failure: Option<Error>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("receiving", &self.receiving)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(side: Side, input: Buffer, local: Rc<Local>) -> Self {
        let size = match side {
            Side::Server(_) => Size::Small,
            Side::Client(_) => Size::Page,
        };
        Self {
            side,
            local,
            is_drained: input.is_empty(),
            input,
            output: Buffer::default(),
            plain: Vec::new(),
            taken: 0,
            receiving: Receiving::Open,
            size,
            failure: None,
        }
    }

    pub(super) fn facts(&self) -> &CommonState {
        &self.side
    }

    /// After a handshake: does the peer have all it needs to go on? A server's last messages in
    /// TLS 1.3 are tickets; everybody else's end the handshake.
    pub(super) fn has_only_tickets_to_say(&self) -> bool {
        matches!(self.side, Side::Server(_))
            && self.side.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Is plaintext there, or its end, without another read?
    pub(super) fn has_data(&self) -> bool {
        self.taken < self.plain.len()
            || !self.is_drained
            || self.receiving != Receiving::Open
            || self.failure.is_some()
    }

    /// Room for ciphertext; empty when a record can not be this long.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.input.is_smaller_than(self.size) {
            self.input.widen(&self.local.buffers);
        }
        self.input.room(self.size, &self.local.buffers)
    }

    /// `count` bytes were read into the room of `asked`; 0 is the end of the stream.
    pub(super) fn filled(&mut self, count: usize, asked: usize) {
        self.input.filled(count);
        if count == 0 {
            if self.receiving == Receiving::Open {
                self.receiving = Receiving::Cut;
            }
            return;
        }
        self.is_drained = false;
        // Grows with what the peer sends, and shrinks again.
        if count == asked {
            self.size = self.size.larger();
        } else if count < asked / 8 {
            self.size = self.size.smaller();
        }
    }

    /// Gives the blocks back that hold nothing.
    pub(super) fn release(&mut self) {
        self.input.release(&self.local.buffers);
        self.output.release(&self.local.buffers);
    }

    /// Decrypts into `room`; 0 when more bytes of the peer are needed, or it has ended.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut count = self.take_plain(room);
        while count < room.len() && !self.is_drained && self.receiving == Receiving::Open {
            match self.step(Work::Nothing, &mut room[count..]) {
                Ok((Step::Open | Step::Blocked, _)) => self.is_drained = true,
                Ok((_, more)) => {
                    count += more;
                    // The library would only say that it needs more; what it has to say by itself
                    // goes with the next step.
                    self.is_drained = self.input.is_empty() && !self.side.wants_write();
                }
                // What came before is whole.
                Err(_) if count > 0 => return Ok(count),
                Err(error) => return Err(broken(&error)),
            }
        }
        // Ciphertext behind the peer's last word means nothing.
        if self.receiving == Receiving::Closed {
            self.input.consume(self.input.len());
            self.is_drained = true;
        }
        Ok(count)
    }

    fn take_plain(&mut self, room: &mut [u8]) -> usize {
        let rest = &self.plain[self.taken..];
        let count = rest.len().min(room.len());
        room[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        if count > 0 && self.taken == self.plain.len() {
            self.plain = Vec::new();
            self.taken = 0;
        }
        count
    }

    /// Encrypts the first bytes of `bytes` behind what waits in the output, and gives their
    /// number; 0 when there is no room before that has gone.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let plain = bytes.len().min(PLAIN_MAX);
        if self.output.is_empty() {
            self.output.release(&self.local.buffers);
            let size = Size::holding(sealed(plain)).unwrap_or(Size::Large);
            self.output.room(size, &self.local.buffers);
        }
        // Tickets and other small things go in the same system call.
        while self.output.left() < sealed(plain) && self.output.len() <= SMALL {
            if !self.output.widen(&self.local.buffers) {
                break;
            }
        }
        let room = self.output.left();
        if sealed(plain) > room && !self.output.is_empty() {
            return Ok(0);
        }
        let plain = plain.min(room.saturating_sub(SLACK + 4 * RECORD_EXTRA));
        if plain == 0 {
            return Ok(0);
        }
        self.work(Work::Data(&bytes[..plain]))
    }

    /// Says in the output that nothing more will be sent.
    pub(super) fn close_notify(&mut self) -> io::Result<()> {
        self.work(Work::CloseNotify).map(|_| ())
    }

    fn work(&mut self, work: Work<'_>) -> io::Result<usize> {
        loop {
            match self.step(work, &mut []).map_err(|error| broken(&error))?.0 {
                Step::Encrypted(count) => return Ok(count),
                Step::On | Step::PeerClosed => {}
                Step::Open | Step::Blocked => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// One step of a handshake; true when it is over. False when it needs more bytes.
    pub(super) fn shake(&mut self) -> Result<bool, Error> {
        loop {
            if !self.side.is_handshaking() {
                self.collect();
                return Ok(true);
            }
            match self.step(Work::Nothing, &mut [])?.0 {
                Step::Blocked | Step::Open if self.side.is_handshaking() => {
                    self.is_drained = true;
                    return Ok(false);
                }
                Step::PeerClosed => return Err(Error::HandshakeNotComplete),
                _ => {}
            }
        }
    }

    /// One step of the library's. Data goes into `room` and, what does not fit, into `plain`.
    fn step(&mut self, work: Work<'_>, room: &mut [u8]) -> Result<(Step, usize), Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        // To send data, nothing needs to be decrypted. Where only a part of a record is left,
        // the library may have begun with a message in it and has to see it in its place; where
        // whole records are left, the last step ended behind one of data, and such never lie
        // within a message (RFC 8446 section 5.1).
        let input: &mut [u8] = match work {
            Work::Nothing => self.input.bytes_mut(),
            _ if self.is_drained => self.input.bytes_mut(),
            _ => &mut [],
        };
        let mut placing = Placing {
            room,
            count: 0,
            plain: &mut self.plain,
            output: &mut self.output,
            spare: &self.local.buffers,
        };
        let (discard, result) = match &mut self.side {
            Side::Server(side) => settle(side.process_tls_records(input), work, &mut placing),
            Side::Client(side) => settle(side.process_tls_records(input), work, &mut placing),
        };
        let count = placing.count;
        self.input.consume(discard);
        match result {
            Ok(Step::PeerClosed) => {
                self.receiving = Receiving::Closed;
                Ok((Step::PeerClosed, count))
            }
            Ok(step) => Ok((step, count)),
            Err(error) => {
                self.failure = Some(error.clone());
                self.collect();
                Err(error)
            }
        }
    }

    /// What the library has to say by itself goes into the output: last messages of a handshake,
    /// an alert.
    fn collect(&mut self) {
        while self.side.wants_write() {
            let mut placing = Placing {
                room: &mut [],
                count: 0,
                plain: &mut self.plain,
                output: &mut self.output,
                spare: &self.local.buffers,
            };
            // Waiting messages come before anything else, so the input is not looked at.
            let input = self.input.bytes_mut();
            let (_, result) = match &mut self.side {
                Side::Server(side) => {
                    settle(side.process_tls_records(input), Work::Nothing, &mut placing)
                }
                Side::Client(side) => {
                    settle(side.process_tls_records(input), Work::Nothing, &mut placing)
                }
            };
            if result.is_err() {
                return;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input.consume(self.input.len());
        self.output.consume(self.output.len());
        self.release();
    }
}

fn sealed(plain: usize) -> usize {
    plain + plain.div_ceil(RECORD_PLAIN) * RECORD_EXTRA + SLACK
}

/// Where the outcome of a step goes.
struct Placing<'a> {
    room: &'a mut [u8],
    count: usize,
    plain: &'a mut Vec<u8>,
    output: &'a mut Buffer,
    spare: &'a Buffers,
}

impl Placing<'_> {
    fn data(&mut self, data: &[u8]) {
        // What came earlier goes first.
        let room = if self.plain.is_empty() {
            &mut self.room[self.count..]
        } else {
            &mut []
        };
        let fits = data.len().min(room.len());
        room[..fits].copy_from_slice(&data[..fits]);
        self.count += fits;
        self.plain.extend_from_slice(&data[fits..]);
    }

    /// Room for at least `needed` bytes of output.
    fn output(&mut self, needed: usize) -> Option<&mut [u8]> {
        let size = Size::holding(needed).unwrap_or(Size::Huge);
        self.output.room(size, self.spare);
        while self.output.left() < needed {
            if !self.output.widen(self.spare) {
                return None;
            }
        }
        Some(self.output.room(size, self.spare))
    }
}

/// Does what a state of the library asks for. Gives how much of the input is done with.
fn settle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    work: Work<'_>,
    placing: &mut Placing<'_>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let state = match state {
        Ok(state) => state,
        Err(error) => return (discard, Err(error)),
    };
    let step = match state {
        ConnectionState::ReadTraffic(mut traffic) => loop {
            match traffic.next_record() {
                None => break Ok(Step::On),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    placing.data(record.payload);
                }
            }
        },
        ConnectionState::EncodeTlsData(mut message) => {
            let mut needed = 0;
            loop {
                let Some(room) = placing.output(needed.max(1)) else {
                    break Err(Error::EncryptError);
                };
                match message.encode(room) {
                    Ok(count) => {
                        placing.output.filled(count);
                        break Ok(Step::On);
                    }
                    Err(EncodeError::InsufficientSize(size)) => needed = size.required_size,
                    Err(EncodeError::AlreadyEncoded) => break Err(Error::EncryptError),
                }
            }
        }
        ConnectionState::TransmitTlsData(transmit) => {
            // It lies in the output, in its order; that is all the library needs to know.
            transmit.done();
            Ok(Step::On)
        }
        ConnectionState::WriteTraffic(traffic) => seal(traffic, work, placing),
        ConnectionState::BlockedHandshake => Ok(Step::Blocked),
        ConnectionState::PeerClosed => Ok(Step::PeerClosed),
        ConnectionState::Closed => Ok(Step::Blocked),
        // We never agree to early data (RFC 8446 section 8), nor to states made after this.
        _ => Err(Error::HandshakeNotComplete),
    };
    (discard, step)
}

fn seal<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    work: Work<'_>,
    placing: &mut Placing<'_>,
) -> Result<Step, Error> {
    let mut needed = match work {
        Work::Nothing => return Ok(Step::Open),
        Work::Data(bytes) => sealed(bytes.len()) - SLACK,
        Work::CloseNotify => SLACK,
    };
    loop {
        let room = placing.output(needed).ok_or(Error::EncryptError)?;
        let result = match work {
            Work::Data(bytes) => traffic
                .encrypt(bytes, room)
                .map(|sealed| (sealed, bytes.len())),
            _ => traffic.queue_close_notify(room).map(|sealed| (sealed, 0)),
        };
        match result {
            Ok((sealed, plain)) => {
                placing.output.filled(sealed);
                return Ok(Step::Encrypted(plain));
            }
            Err(EncryptError::InsufficientSize(size)) => needed = size.required_size,
            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
        }
    }
}

fn broken(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}
