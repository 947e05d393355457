//! Flow control (RFC 9113, 5.2 and 6.9), for either direction.

use std::collections::BTreeMap;

use super::frame::{WINDOW, WINDOW_MAX};

/// How much may go one way: on the connection, and on each stream.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub(super) connection: i64,
    streams: BTreeMap<u32, i64>,
    initial: i64,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self {
            connection: i64::from(WINDOW),
            streams: BTreeMap::new(),
            initial: i64::from(WINDOW),
        }
    }

    pub(super) fn stream(&self, stream: u32) -> i64 {
        self.streams.get(&stream).copied().unwrap_or(self.initial)
    }

    /// `SETTINGS_INITIAL_WINDOW_SIZE` moves every window by the difference (6.9.2).
    pub(super) fn set_initial(&mut self, bytes: u32) {
        let initial = i64::from(bytes);
        for window in self.streams.values_mut() {
            *window += initial - self.initial;
        }
        self.initial = initial;
    }

    pub(super) fn open(&mut self, stream: u32) {
        self.streams.insert(stream, self.initial);
    }

    /// `WINDOW_UPDATE`; `false` when the window becomes larger than one may be.
    pub(super) fn grow(&mut self, stream: u32, bytes: u32) -> bool {
        let window = match stream {
            0 => Some(&mut self.connection),
            _ => self.streams.get_mut(&stream),
        };
        window.is_none_or(|window| {
            *window += i64::from(bytes);
            *window <= WINDOW_MAX
        })
    }

    /// `DATA`; `false` when there was no room for it.
    pub(super) fn take(&mut self, stream: u32, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.connection -= bytes;
        let fits = self.connection >= 0;
        match self.streams.get_mut(&stream) {
            Some(window) => {
                *window -= bytes;
                fits && (*window >= 0 || bytes == 0)
            }
            None => fits,
        }
    }

    /// How much may go on this stream now.
    pub(super) fn room(&self, stream: u32) -> usize {
        let least = self.connection.min(self.stream(stream));
        usize::try_from(least).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_moves_open_windows_and_may_make_them_negative() {
        let mut windows = Windows::new();
        windows.open(1);
        assert!(windows.take(1, 60_000));
        windows.set_initial(100);
        assert_eq!((windows.stream(1), windows.room(1)), (100 - 60_000, 0));
        assert!(windows.grow(1, 60_000));
        assert_eq!(windows.room(1), 100);
        assert!(!windows.take(1, 101));
        assert!(!windows.grow(0, 0x7fff_ffff));
    }
}
