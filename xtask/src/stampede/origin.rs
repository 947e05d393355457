//! The origin of a stampede: it thinks, answers, and counts.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the origin gives, and how long it thinks before.
pub(super) const BODY_BYTES: usize = 10_000;
pub(super) const THINKS: Duration = Duration::from_millis(300);

/// Thinks, answers, counts.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    pub(super) count: Arc<AtomicU64>,
}

impl Origin {
    /// A thread for each connection; all of them end with the program.
    pub(super) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&counted);
                let thread = std::thread::Builder::new().stack_size(256 << 10);
                let _ = thread.spawn(move || serve(&stream, &count));
            }
        });
        Ok(Self { address, count })
    }
}

fn serve(mut stream: &TcpStream, count: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    // What each request has is the empty line at its end.
    while lines.read_line(&mut line)? > 0 {
        if line == "\r\n" {
            count.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(THINKS);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\nCache-Control: max-age=1\r\n\
                 Content-Type: text/plain\r\n\r\n{}",
                "x".repeat(BODY_BYTES)
            );
            stream.write_all(answer.as_bytes())?;
        }
        line.clear();
    }
    Ok(())
}
