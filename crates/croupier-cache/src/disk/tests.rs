//! Bad days that need a hand on the disk: a gate before every write.

use std::{
    io,
    sync::{Condvar, Mutex},
};

/// Before every write: lets it pass, holds it, or fails it.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Clone, Copy, Default)]
pub(super) enum State {
    #[default]
    Open,
    Shut,
    Fails(i32),
}

impl Gate {
    pub(super) fn pass(&self) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let shut = |state: &mut State| matches!(state, State::Shut);
        let state = self.turned.wait_while(state, shut).unwrap();
        match *state {
            State::Fails(number) => Err(io::Error::from_raw_os_error(number)),
            State::Open | State::Shut => Ok(()),
        }
    }

    pub(super) fn turn(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.turned.notify_all();
    }
}
