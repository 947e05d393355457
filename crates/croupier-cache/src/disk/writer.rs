//! The thread that writes: takes what waits, has the log write it, and rests when that fails.

use std::{io, sync::Arc};

use super::{
    Settled,
    events::Event,
    log::{Log, Trouble},
    shared::Shared,
    writes::Work,
};

/// The body of the writing thread.
pub(super) fn run(shared: &Arc<Shared>, log: Log) {
    let _ending = Ending(shared);
    let mut writer = Writer {
        shared,
        log,
        has_failed: false,
    };
    loop {
        let done = match shared.writes.next() {
            Work::Nothing => return,
            Work::Object(hash, object) => writer.object(hash, &object),
            Work::Marks(marks, settling) => {
                let written = writer.log.mark(&marks);
                let written = written.and_then(|()| match settling.is_empty() {
                    true => Ok(()),
                    false => writer.log.sync_marks(),
                });
                let settled = match &written {
                    Ok(()) => Settled::Durable,
                    Err(_) => Settled::NotYet,
                };
                if written.is_err() {
                    shared.writes.put_back(marks);
                }
                settling
                    .into_iter()
                    .for_each(|promise| promise.keep(settled));
                written
            }
        };
        match done.and_then(|()| writer.log.spare()) {
            Ok(()) => writer.works(),
            Err(error) => writer.fails(error),
        }
    }
}

struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.writes.end();
    }
}

struct Writer<'a> {
    shared: &'a Arc<Shared>,
    log: Log,
    has_failed: bool,
}

impl Writer<'_> {
    fn object(&mut self, hash: u64, object: &crate::Object) -> io::Result<()> {
        let counters = &self.shared.counters;
        let index = &self.shared.index;
        match self.log.write(hash, object) {
            Ok(place) => {
                if self.shared.writes.publish(hash, place, index) {
                    counters.written.bump();
                }
                Ok(())
            }
            Err(trouble) => {
                self.shared.writes.give_up(hash, index);
                counters.dropped.bump();
                match trouble {
                    Trouble::Source => {
                        counters.checksum_failures.bump();
                        Ok(())
                    }
                    Trouble::Disk(error) => Err(error),
                }
            }
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.has_failed) {
            self.shared.events.push(Event::Writing);
        }
        self.shared.counters.resting.set(0);
    }

    fn fails(&mut self, error: io::Error) {
        self.has_failed = true;
        let time = self.shared.settings.rest;
        let counters = &self.shared.counters;
        counters.write_errors.bump();
        counters.resting.set(1);
        let dropped = self.shared.writes.rest(time, &self.shared.index);
        counters.dropped.add(dropped);
        self.shared.events.push(Event::Resting { time, error });
    }
}
