//! Frames as bytes (RFC 9113, section 4 and 6): nine octets, then what they announce.
//!
//! A [`Frame`] says whatever it is told; what may stand in one is the test's business.

use std::fmt;

/// What every client says first (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload without a setting that allows more.
pub const FRAME_MAX: usize = 16_384;

/// The window of a connection, and of a stream unless settings say otherwise.
pub const WINDOW: u32 = 65_535;

/// The largest window.
pub const WINDOW_MAX: i64 = 0x7fff_ffff;

/// Frame types (RFC 9113, 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags; which of them mean something depends on the type.
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes of `RST_STREAM` and `GOAWAY` (RFC 9113, 7).
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const SETTINGS_TIMEOUT: u32 = 4;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const CONNECT_ERROR: u32 = 10;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
    pub const INADEQUATE_SECURITY: u32 = 12;
    pub const HTTP_1_1_REQUIRED: u32 = 13;
}

/// Settings (RFC 9113, 6.5.2; RFC 8441, 3; RFC 9218, 2.1).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
    pub const NO_RFC7540_PRIORITIES: u16 = 9;
}

/// One frame, lawful or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    /// 31 bits; the reserved bit is sent when it is set here.
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// Frames of every type.
impl Frame {
    /// Any frame.
    #[must_use]
    pub fn raw(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.as_ref().to_vec(),
        }
    }

    /// `DATA` without flags.
    #[must_use]
    pub fn data(stream: u32, bytes: impl AsRef<[u8]>) -> Self {
        Self::raw(kind::DATA, 0, stream, bytes)
    }

    /// `HEADERS` with `END_HEADERS`.
    #[must_use]
    pub fn headers(stream: u32, block: impl AsRef<[u8]>) -> Self {
        Self::raw(kind::HEADERS, flag::END_HEADERS, stream, block)
    }

    /// `CONTINUATION` without flags.
    #[must_use]
    pub fn continuation(stream: u32, block: impl AsRef<[u8]>) -> Self {
        Self::raw(kind::CONTINUATION, 0, stream, block)
    }

    /// `PRIORITY`, depending on another stream; `weight` as on the wire, one less than meant.
    #[must_use]
    pub fn priority(stream: u32, on: u32, weight: u8) -> Self {
        let payload = [&on.to_be_bytes()[..], &[weight]].concat();
        Self::raw(kind::PRIORITY, 0, stream, payload)
    }

    #[must_use]
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::raw(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    #[must_use]
    pub fn settings(values: &[(u16, u32)]) -> Self {
        let pairs = values.iter();
        let payload: Vec<u8> = pairs
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        Self::raw(kind::SETTINGS, 0, 0, payload)
    }

    #[must_use]
    pub fn settings_ack() -> Self {
        Self::raw(kind::SETTINGS, flag::ACK, 0, "")
    }

    #[must_use]
    pub fn push_promise(stream: u32, promised: u32, block: impl AsRef<[u8]>) -> Self {
        let payload = [&promised.to_be_bytes()[..], block.as_ref()].concat();
        Self::raw(kind::PUSH_PROMISE, flag::END_HEADERS, stream, payload)
    }

    #[must_use]
    pub fn ping(opaque: [u8; 8]) -> Self {
        Self::raw(kind::PING, 0, 0, opaque)
    }

    #[must_use]
    pub fn goaway(last: u32, code: u32, debug: impl AsRef<[u8]>) -> Self {
        let payload = [&last.to_be_bytes()[..], &code.to_be_bytes(), debug.as_ref()].concat();
        Self::raw(kind::GOAWAY, 0, 0, payload)
    }

    #[must_use]
    pub fn window_update(stream: u32, bytes: u32) -> Self {
        Self::raw(kind::WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }
}

/// Changes, and what a frame says.
impl Frame {
    /// Sets a flag.
    #[must_use]
    pub fn flag(mut self, flag: u8) -> Self {
        self.flags |= flag;
        self
    }

    /// Takes a flag away.
    #[must_use]
    pub fn unflag(mut self, flag: u8) -> Self {
        self.flags &= !flag;
        self
    }

    /// Sets `END_STREAM`.
    #[must_use]
    pub fn end_stream(self) -> Self {
        self.flag(flag::END_STREAM)
    }

    /// Puts the payload between a length and that many zeros.
    #[must_use]
    pub fn padded(mut self, length: u8) -> Self {
        self.payload.insert(0, length);
        self.payload.extend(vec![0; usize::from(length)]);
        self.flag(flag::PADDED)
    }

    /// Puts a dependency and a weight before the block of `HEADERS`.
    #[must_use]
    pub fn prioritized(mut self, on: u32, weight: u8) -> Self {
        self.payload
            .splice(0..0, [&on.to_be_bytes()[..], &[weight]].concat());
        self.flag(flag::PRIORITY)
    }

    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// As on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + self.payload.len());
        bytes.extend(
            &u32::try_from(self.payload.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes()[1..],
        );
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The first frame of `bytes` and how many of them it takes; `None` until all are there.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (head, rest) = bytes.split_at_checked(9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(..length)?;
        let frame = Self::raw(head[3], head[4], number(&head[5..9]) & 0x7fff_ffff, payload);
        Some((frame, 9 + length))
    }

    /// The payload without padding, and without the priority of `HEADERS`; `None` when they do not
    /// fit.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        let is_padded = matches!(self.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE)
            && self.has(flag::PADDED);
        let mut rest = &self.payload[..];
        if is_padded {
            let (length, behind) = rest.split_first()?;
            rest = behind.get(..behind.len().checked_sub(usize::from(*length))?)?;
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            rest = rest.get(5..)?;
        }
        Some(rest)
    }

    /// The four bytes at `offset` of the payload as a number, 0 when they are not there.
    #[must_use]
    pub fn number_at(&self, offset: usize) -> u32 {
        self.payload.get(offset..offset + 4).map_or(0, number)
    }

    /// The pairs of a `SETTINGS` frame.
    #[must_use]
    pub fn settings_pairs(&self) -> Vec<(u16, u32)> {
        let pairs = self.payload.chunks_exact(6);
        pairs
            .map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), number(&pair[2..])))
            .collect()
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |n, byte| n << 8 | u32::from(*byte))
}

/// The name of an error code.
#[must_use]
pub fn code_name(code: u32) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let at = usize::try_from(code).unwrap_or(usize::MAX);
    NAMES.get(at).copied().unwrap_or("an unknown code")
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 10] = [
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH_PROMISE",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        match NAMES.get(usize::from(self.kind)) {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "type {:#x}", self.kind)?,
        }
        write!(
            f,
            " stream {} flags {:#x} {} bytes",
            self.stream,
            self.flags,
            self.payload.len()
        )?;
        match self.kind {
            kind::RST_STREAM => write!(f, " {}", code_name(self.number_at(0))),
            kind::GOAWAY => {
                let debug = String::from_utf8_lossy(self.payload.get(8..).unwrap_or_default());
                let (last, code) = (self.number_at(0), code_name(self.number_at(4)));
                write!(f, " last {last} {code} {debug:?}")
            }
            kind::WINDOW_UPDATE => write!(f, " +{}", self.number_at(0)),
            kind::SETTINGS => write!(f, " {:?}", self.settings_pairs()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_not_before_it_is_whole() {
        let frames = [
            Frame::data(1, "abc").end_stream().padded(4),
            Frame::headers(3, [0x82]).prioritized(1, 15).padded(1),
            Frame::priority(5, 3, 255),
            Frame::reset(1, code::CANCEL),
            Frame::settings(&[(setting::MAX_FRAME_SIZE, 20_000), (4, 0)]),
            Frame::settings_ack(),
            Frame::push_promise(1, 2, [0x82]),
            Frame::ping(*b"01234567"),
            Frame::goaway(7, code::ENHANCE_YOUR_CALM, "calm"),
            Frame::window_update(0, 1),
            Frame::continuation(9, vec![0; 70_000]),
            Frame::raw(0xfe, 0xff, 0x7fff_ffff, "?"),
        ];
        for frame in frames {
            let bytes = frame.encode();
            assert_eq!(
                Frame::decode(&bytes),
                Some((frame.clone(), bytes.len())),
                "{frame}"
            );
            assert_eq!(Frame::decode(&bytes[..bytes.len() - 1]), None, "{frame}");
        }
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        assert_eq!(Frame::data(1, "abc").padded(9).content(), Some(&b"abc"[..]));
        let headers = Frame::headers(1, "block").prioritized(3, 1).padded(2);
        assert_eq!(headers.content(), Some(&b"block"[..]));
        assert_eq!(Frame::data(1, [4, 0, 0]).flag(flag::PADDED).content(), None);
        assert_eq!(Frame::data(1, "").flag(flag::PADDED).content(), None);
    }

    #[test]
    fn a_frame_shows_what_matters_of_it() {
        assert_eq!(
            Frame::goaway(3, 11, "x").to_string(),
            "GOAWAY stream 0 flags 0x0 9 bytes last 3 ENHANCE_YOUR_CALM \"x\""
        );
        assert_eq!(
            Frame::settings(&[(3, 100)]).settings_pairs(),
            [(setting::MAX_CONCURRENT_STREAMS, 100)]
        );
    }
}
