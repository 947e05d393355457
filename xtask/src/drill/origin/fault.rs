//! What can be wrong with a server of the drill, and its spelling on the control port.

use std::fmt;
use std::str::FromStr;

/// What a server does wrong from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drill) enum Fault {
    None,
    /// Nobody listens; idle connections are closed, busy ones end with their answer.
    Refuse,
    /// Nobody accepts and the queue is full, so that new connections hang; nobody reads either.
    Blackhole,
    /// Requests are read and never answered.
    Silent,
    /// FIN where the answer should begin.
    Close,
    /// RST where the answer should begin.
    Reset,
    /// RST after half a body.
    ResetBody,
    /// FIN after half a body.
    CloseBody,
    /// Something that is not HTTP.
    Garbage,
    /// Answers are this many milliseconds late.
    Slow(u64),
    /// Every answer has this status; the health page is still well.
    Status(u16),
    /// FIN behind this many answers of a connection, without a word of it in the last.
    CloseAfter(u64),
    /// FIN when no request came for this many milliseconds.
    IdleClose(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::None => "none",
            Self::Refuse => "refuse",
            Self::Blackhole => "blackhole",
            Self::Silent => "silent",
            Self::Close => "close",
            Self::Reset => "reset",
            Self::ResetBody => "reset-body",
            Self::CloseBody => "close-body",
            Self::Garbage => "garbage",
            Self::Slow(ms) => return write!(f, "slow:{ms}"),
            Self::Status(status) => return write!(f, "status:{status}"),
            Self::CloseAfter(count) => return write!(f, "close-after:{count}"),
            Self::IdleClose(ms) => return write!(f, "idle-close:{ms}"),
        };
        f.write_str(word)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("no fault is named `{text}`");
        let (word, number) = match text.split_once(':') {
            Some((word, number)) => (word, Some(number.parse::<u64>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        Ok(match (word, number) {
            ("none", None) => Self::None,
            ("refuse", None) => Self::Refuse,
            ("blackhole", None) => Self::Blackhole,
            ("silent", None) => Self::Silent,
            ("close", None) => Self::Close,
            ("reset", None) => Self::Reset,
            ("reset-body", None) => Self::ResetBody,
            ("close-body", None) => Self::CloseBody,
            ("garbage", None) => Self::Garbage,
            ("slow", Some(ms)) => Self::Slow(ms),
            ("status", Some(status)) => Self::Status(u16::try_from(status).map_err(|_| unknown())?),
            ("close-after", Some(count)) => Self::CloseAfter(count),
            ("idle-close", Some(ms)) => Self::IdleClose(ms),
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn every_fault_is_understood_as_it_is_spelled() {
        for fault in [
            Fault::None,
            Fault::Refuse,
            Fault::Blackhole,
            Fault::Silent,
            Fault::Close,
            Fault::Reset,
            Fault::ResetBody,
            Fault::CloseBody,
            Fault::Garbage,
            Fault::Slow(2000),
            Fault::Status(503),
            Fault::CloseAfter(3),
            Fault::IdleClose(15),
        ] {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        for wrong in ["", "slow", "slow:x", "none:1", "status:70000"] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }
}
