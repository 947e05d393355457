//! One connection that asks for files in a coding, and what came: head apart, body as on the wire
//! but for chunks.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Content-Encoding`; empty: none.
    pub(super) coding: String,
    /// The body without what carried it.
    pub(super) body: Vec<u8>,
}

pub(super) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let stream = BufReader::with_capacity(256 << 10, stream);
        Ok(Self { stream, address })
    }

    /// Asks for a file; an empty coding asks for the file as it is.
    pub(super) fn ask(&mut self, path: &str, coding: &str) -> std::io::Result<Answer> {
        let accept = if coding.is_empty() {
            "identity"
        } else {
            coding
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: {accept}\r\n\r\n",
            self.address
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| wrong("no status line"))?;
        let (mut length, mut chunked, mut coding) = (None, false, String::new());
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "content-encoding" => value.clone_into(&mut coding),
                _ => {}
            }
        }
        let mut body = Vec::new();
        if chunked {
            while self.chunk(&mut body)? > 0 {}
        } else {
            self.exactly(
                length.ok_or_else(|| wrong("neither length nor chunks"))?,
                &mut body,
            )?;
        }
        Ok(Answer {
            status,
            coding,
            body,
        })
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    /// One chunk, and how long it was; 0: it was the last.
    fn chunk(&mut self, body: &mut Vec<u8>) -> std::io::Result<u64> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| wrong("a chunk without a size"))?;
        self.exactly(size, body)?;
        self.line()?; // behind the data, or the end of no trailers
        Ok(size)
    }

    fn exactly(&mut self, length: u64, body: &mut Vec<u8>) -> std::io::Result<()> {
        let count = (&mut self.stream).take(length).read_to_end(body)?;
        match count as u64 == length {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}
