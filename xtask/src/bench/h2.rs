//! As much of an HTTP/2 client as it takes to hold a connection that has asked once: the preface,
//! one request at a time, and the end of its answer (RFC 9113).

use std::io::{Error, Read, Result, Write};

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;

/// A connection, and the next stream on it.
pub(super) struct Connection<S> {
    stream: S,
    next: u32,
}

impl<S: Read + Write> Connection<S> {
    pub(super) fn begin(mut stream: S) -> Result<Self> {
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        push_frame(&mut first, SETTINGS, 0, 0, &[]);
        // Room for all answers that will ever come.
        push_frame(
            &mut first,
            WINDOW_UPDATE,
            0,
            0,
            &(1_u32 << 30).to_be_bytes(),
        );
        stream.write_all(&first)?;
        Ok(Self { stream, next: 1 })
    }

    /// Asks for this path, which is short, and reads the answer; true when it ended well.
    pub(super) fn ask(&mut self, path: &str, authority: &str) -> Result<bool> {
        // Of the static table: GET, http; literals for what differs (RFC 7541 section 6).
        let mut block = vec![0x82, 0x86];
        for (index, value) in [(0x04, path), (0x01, authority)] {
            block.extend([index, u8::try_from(value.len()).map_err(Error::other)?]);
            block.extend_from_slice(value.as_bytes());
        }
        let id = self.next;
        self.next += 2;
        let mut frame = Vec::new();
        // END_HEADERS and END_STREAM.
        push_frame(&mut frame, HEADERS, 0x4 | END_STREAM, id, &block);
        self.stream.write_all(&frame)?;
        let mut is_good = false;
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head)?;
            let [a, b, c, kind, flags, d, e, f, g] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload)?;
            let stream = u32::from_be_bytes([d, e, f, g]);
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    let mut frame = Vec::new();
                    push_frame(&mut frame, SETTINGS, ACK, 0, &[]);
                    self.stream.write_all(&frame)?;
                }
                // `:status: 200` of the static table comes first, unless a size update does.
                HEADERS if stream == id => {
                    let first = payload.iter().find(|byte| **byte & 0xe0 != 0x20);
                    is_good = first == Some(&0x88);
                }
                GOAWAY => return Ok(false),
                _ => {}
            }
            if stream == id && (kind == HEADERS || kind == DATA) && flags & END_STREAM != 0 {
                return Ok(is_good);
            }
        }
    }
}

fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    // A payload of ours is far below 2^24 bytes.
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend([kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}
