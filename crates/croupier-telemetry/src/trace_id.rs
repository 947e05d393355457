//! The trace that others may have begun: W3C Trace Context, read and continued.
//!
//! A trace is continued only when its header is exactly what the specification allows; anything else is
//! no trace. We do not begin traces of our own: a request id does that work in the log.

use crate::text::hex;

/// A `traceparent` as received: which trace, which caller, sampled or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    trace_id: [u8; 32],
    parent_id: [u8; 16],
    flags: u8,
}

impl Traceparent {
    /// Reads a header's value. `None` unless it is exactly what the specification allows: lower-case
    /// hex, ids that are not all zero, version 00, or a later one (not ff) that begins the same way.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(55)?;
        if known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
            return None;
        }
        match (byte(&known[0..2])?, rest.first()) {
            (0xff, _) | (0, Some(_)) => return None,
            (_, None | Some(b'-')) => {}
            (_, Some(_)) => return None,
        }
        let trace_id: [u8; 32] = known[3..35].try_into().ok()?;
        let parent_id: [u8; 16] = known[36..52].try_into().ok()?;
        if !is_id(&trace_id) || !is_id(&parent_id) {
            return None;
        }
        Some(Self {
            trace_id,
            parent_id,
            flags: byte(&known[53..55])?,
        })
    }

    /// 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        str::from_utf8(&self.trace_id).unwrap_or_default()
    }

    /// 16 hex digits: the caller's own id.
    #[must_use]
    pub fn parent_id(&self) -> &str {
        str::from_utf8(&self.parent_id).unwrap_or_default()
    }

    /// Whether the caller records this trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The header for a request made on behalf of this one: the same trace, `parent_id` as the caller
    /// (0 is not an id and becomes 1), version 00, and of the flags those that version 00 defines.
    #[must_use]
    pub fn child(&self, parent_id: u64) -> [u8; 55] {
        let mut value = [b'-'; 55];
        value[0..2].copy_from_slice(b"00");
        value[3..35].copy_from_slice(&self.trace_id);
        hex(&mut value[36..52], parent_id.max(1));
        hex(&mut value[53..55], u64::from(self.flags & 0x03));
        value
    }
}

fn is_id(text: &[u8]) -> bool {
    text.iter().all(|digit| nibble(*digit).is_some()) && text.iter().any(|digit| *digit != b'0')
}

fn byte(two: &[u8]) -> Option<u8> {
    Some(nibble(two[0])? << 4 | nibble(two[1])?)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_continued() {
        let parent = Traceparent::parse(HEADER).unwrap();
        assert_eq!(parent.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.parent_id(), "b7ad6b7169203331");
        assert!(parent.is_sampled());
        let child = parent.child(0xabc);
        assert_eq!(
            &child,
            b"00-0af7651916cd43dd8448eb211c80319c-0000000000000abc-01"
        );
        assert_eq!(
            Traceparent::parse(&parent.child(0)).unwrap().parent_id(),
            "0000000000000001"
        );
    }

    #[test]
    fn later_versions_are_read_as_far_as_we_know_them() {
        let mut later = HEADER.to_vec();
        later[..2].copy_from_slice(b"cc");
        assert!(Traceparent::parse(&later).is_some());
        later.extend_from_slice(b"-what-the-future-brings");
        let parent = Traceparent::parse(&later).unwrap();
        assert!(
            parent.child(1).starts_with(b"00-"),
            "we speak our own version"
        );
        later[55] = b'.';
        assert!(Traceparent::parse(&later).is_none());
    }

    #[test]
    fn malformed_headers_are_no_trace() {
        let change = |at: usize, to: &[u8]| {
            let mut value = HEADER.to_vec();
            value[at..at + to.len()].copy_from_slice(to);
            value
        };
        for (why, value) in [
            ("empty", Vec::new()),
            ("short", HEADER[..54].to_vec()),
            ("long for version 00", [HEADER, b"-"].concat()),
            ("version ff", change(0, b"ff")),
            ("version not hex", change(0, b"0g")),
            ("upper case", change(3, b"A")),
            ("trace all zero", change(3, &[b'0'; 32])),
            ("parent all zero", change(36, &[b'0'; 16])),
            ("no hyphen", change(35, b"0")),
            ("flags not hex", change(53, b"0x")),
            ("not ASCII", change(10, b"\xff")),
        ] {
            assert!(Traceparent::parse(&value).is_none(), "{why}");
        }
    }
}
