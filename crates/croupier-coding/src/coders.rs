//! A thread's encoders between two uses, so that a small answer costs no large allocation.

use std::cell::RefCell;

use crate::{Coding, Encoder, Error, Level};

/// Idle encoders kept of each coding: what a thread may need at once without asking for memory.
const KEPT_MAX: usize = 4;

/// Lends encoders of [`Level::Fast`] and takes them back. One for each thread.
#[derive(Debug, Default)]
pub struct Coders {
    idle: RefCell<[Vec<Encoder>; 3]>,
}

impl Coders {
    /// An encoder at the beginning of a stream; `size` as in [`Encoder::new`].
    ///
    /// # Errors
    /// When the library refuses, which means that there is no memory.
    pub fn lend(&self, coding: Coding, size: Option<u64>) -> Result<Encoder, Error> {
        let kept = self.idle.borrow_mut()[coding as usize].pop();
        match kept {
            Some(mut encoder) => {
                encoder.reset(size)?;
                Ok(encoder)
            }
            None => Encoder::new(coding, Level::Fast, size),
        }
    }

    /// Keeps it for another stream, or drops it: when there are enough, when it is a strong one, and
    /// one of brotli always, which has nothing that another stream could use. It may be in the
    /// middle of its stream.
    pub fn take_back(&self, encoder: Encoder) {
        let is_worth_it = encoder.level() == Level::Fast && encoder.coding() != Coding::Brotli;
        let kept = &mut self.idle.borrow_mut()[encoder.coding() as usize];
        if is_worth_it && kept.len() < KEPT_MAX {
            kept.push(encoder);
        }
    }
}
