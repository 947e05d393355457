//! Keeps one set of names supplied by our own authority: a week's certificate, renewed at 2/3.

use std::{rc::Rc, sync::Arc};

use croupier_net::tls::certs::Slot;
use croupier_telemetry::{Counter, WorkerCells};
use tokio::time::sleep;

use super::{
    authority::Authority,
    schedule::{Next, Schedule, Stretch, Windows},
    tell, unix_now,
};

/// One set of names.
pub(super) struct Keeper {
    authority: Rc<Authority>,
    names: Vec<String>,
    slot: Arc<Slot>,
    cells: Rc<WorkerCells>,
    schedule: Schedule,
}

impl Keeper {
    /// Issues at once.
    pub(super) fn new(
        authority: &Rc<Authority>,
        names: &[String],
        slot: Arc<Slot>,
        cells: &Rc<WorkerCells>,
    ) -> Self {
        let mut this = Self {
            authority: Rc::clone(authority),
            names: names.to_vec(),
            slot,
            cells: Rc::clone(cells),
            schedule: Schedule::new(Windows::Unknown),
        };
        this.issue();
        this
    }

    fn issue(&mut self) {
        let now = unix_now();
        match self.authority.issue(&self.names, now) {
            Ok(certificate) => {
                self.cells.add(Counter::CertificateInternalSuccess, 1);
                tell::issued(&self.names, "internal", &certificate);
                let life = Stretch {
                    start: certificate.not_before(),
                    end: certificate.not_after(),
                };
                self.schedule.has(life, fastrand::u32(..));
                self.slot.set(Arc::new(certificate));
            }
            Err(error) => {
                self.cells.add(Counter::CertificateInternalFailure, 1);
                let wait = self.schedule.failed(now, None, fastrand::u32(..));
                let help = "a name that cannot be in a certificate needs another kind of `tls`";
                tell::failed(&self.names, &error, help, wait, self.slot.get());
            }
        }
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        loop {
            match self.schedule.next(unix_now()) {
                Next::Wait(time) => sleep(time).await,
                Next::Order | Next::AskWindow => self.issue(),
            }
        }
    }
}
