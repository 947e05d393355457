//! Asking a running process over its control socket.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long a verdict may take.
const TIME: Duration = Duration::from_secs(60);

/// Sends `POST path` to the control socket and gives status and text of the answer.
///
/// # Errors
/// When nobody listens there, or no whole answer came.
pub fn ask(socket: &Path, path: &str) -> io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIME))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    stream.take(4 << 20).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not an answer of croupier");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(invalid)?;
    Ok((status, body.to_owned()))
}
