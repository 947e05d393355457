//! TLS handshakes under way in the process: each costs memory and half a millisecond of a core,
//! before anybody has asked for anything.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::Live;

/// How many there are.
#[derive(Debug, Default)]
pub struct Handshakes(AtomicUsize);

/// One of them; dropping it ends it.
#[derive(Debug)]
pub struct Handshake(Arc<Live>);

impl Handshake {
    /// Begins one, unless there are `max` already.
    #[must_use]
    pub fn begin(live: &Arc<Live>, max: usize) -> Option<Self> {
        let count = &live.handshakes.0;
        if count.fetch_add(1, Ordering::Relaxed) >= max {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Arc::clone(live)))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Handshake;
    use crate::live::Live;

    #[test]
    fn no_more_than_the_bound_at_once() {
        let live = Live::new();
        let one = Handshake::begin(&live, 1);
        assert!(one.is_some());
        assert!(Handshake::begin(&live, 1).is_none());
        drop(one);
        assert!(Handshake::begin(&live, 1).is_some());
    }
}
