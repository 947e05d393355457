//! Making a connection to a server.

use std::{future::poll_fn, io, pin::pin, task::Poll};

use tokio::net::{TcpStream, UnixStream};

use crate::{
    address::Address,
    error::NetError,
    timers::{Tick, Timer},
    transport::Transport,
};

/// Connects before the deadline `until`.
///
/// # Errors
/// `Timeout`, or what the operating system says.
pub async fn dial(address: &Address, until: Tick, timer: &Timer) -> Result<Transport, NetError> {
    timer.arm(until);
    let mut connecting = pin!(connect(address));
    poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(NetError::Io)),
        Poll::Pending if timer.is_expired(cx) => Poll::Ready(Err(NetError::Timeout)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

async fn connect(address: &Address) -> io::Result<Transport> {
    match address {
        Address::Ip(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Transport::Tcp(stream))
        }
        Address::Unix(path) => UnixStream::connect(path).await.map(Transport::Unix),
    }
}

/// Did this fail for want of descriptors, ports or memory here, rather than for the peer? Then
/// trying again at once would spin.
#[must_use]
pub fn is_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)
    )
}
