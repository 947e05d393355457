//! The client of `demo --once`: one request on one connection, its answer read to the end.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Nothing in the script takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// When each chunk came, if there were chunks.
    pub(super) chunks: Vec<Instant>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The server that laid this card.
    pub(super) fn server(&self) -> Option<usize> {
        let text = self.text();
        let (_, rest) = text.split_once("\"server\":")?;
        rest.chars()
            .next()?
            .to_digit(10)
            .map(|digit| digit as usize)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Asks, with more field lines, and reads the answer to its end; half an answer is an error.
pub(super) fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    lines: &str,
    body: &str,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    stream.write_all(
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\n\
             User-Agent: croupier-demo\r\nConnection: close\r\n{lines}{length}\r\n{body}"
        )
        .as_bytes(),
    )?;
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let mut answer = Answer {
        status: status.ok_or_else(|| invalid("no status line"))?,
        body: Vec::new(),
        chunks: Vec::new(),
    };
    let lower = head.to_ascii_lowercase();
    if lower.contains("\ntransfer-encoding: chunked") {
        chunks(&mut reader, &mut answer)?;
    } else {
        let (_, rest) = lower
            .split_once("\ncontent-length:")
            .ok_or_else(|| invalid("no framing"))?;
        let length = rest.lines().next().unwrap_or_default().trim();
        let length = length.parse().map_err(|_| invalid("no length"))?;
        answer.body = vec![0; length];
        reader.read_exact(&mut answer.body)?;
    }
    Ok(answer)
}

fn head(reader: &mut impl io::BufRead) -> io::Result<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if head[before..].trim_end().is_empty() {
            return Ok(head);
        }
    }
}

fn chunks(reader: &mut BufReader<TcpStream>, answer: &mut Answer) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(|_| invalid("no chunk size"))?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(());
        }
        answer.chunks.push(Instant::now());
        answer.body.extend_from_slice(&chunk[..size]);
    }
}
