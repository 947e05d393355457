//! Sending a part of a file inside the kernel (`sendfile(2)`): a body that lies on disk reaches a
//! plain TCP client without passing through memory of ours.

use std::{
    fs::File,
    io,
    task::{Context, Poll, ready},
};

use rustix::fs::sendfile;
use tokio::{io::Interest, net::TcpStream};

use crate::error::NetError;

/// Bytes of one call: what a client's window may take, and no more than keeps others waiting for
/// some hundred microseconds.
const CALL_BYTES: u64 = 1 << 20;

/// Sends up to `length` bytes of the file from `offset` on, and gives their number; 0 is the end of
/// the file.
pub fn poll_send_file(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    file: &File,
    offset: u64,
    length: u64,
) -> Poll<Result<usize, NetError>> {
    let count = usize::try_from(length.min(CALL_BYTES)).unwrap_or(usize::MAX);
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let result = socket.try_io(Interest::WRITABLE, || {
            let mut at = offset;
            Ok(sendfile(socket, file, Some(&mut at), count)?)
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other.map_err(NetError::Io)),
        }
    }
}
