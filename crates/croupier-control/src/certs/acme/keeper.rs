//! Keeps one set of names supplied: shows what is kept, orders what is missing, renews in time.
//! The certificate in use stays until the next one is there.

use std::{rc::Rc, sync::Arc, time::Duration};

use croupier_net::tls::certs::{Certificate, Slot};
use croupier_telemetry::Counter;
use tokio::{sync::Notify, time::sleep};

use super::{Acme, Begins, Window};
use crate::certs::{
    demand,
    schedule::{Failed, Next, Schedule, Stretch, Windows},
    tell, unix_now,
};

/// Who asked for these names.
#[derive(Debug)]
pub(in crate::certs) enum For {
    /// The config: they are kept supplied for ever. A nudge says that what failed may be mended.
    Site(Rc<Notify>),
    /// A client: before each order somebody is asked whether they may have it.
    Client,
}

/// One set of names.
pub(in crate::certs) struct Keeper {
    acme: Rc<Acme>,
    /// In order; at least one.
    names: Vec<String>,
    slot: Arc<Slot>,
    asked_by: For,
    schedule: Schedule,
    /// What is shown and was issued for exactly these names.
    present: Option<Arc<Certificate>>,
}

impl Keeper {
    /// Shows at once what is kept of these names.
    pub(in crate::certs) fn new(
        acme: &Rc<Acme>,
        names: &[String],
        slot: Arc<Slot>,
        asked_by: For,
    ) -> Self {
        let mut this = Self {
            acme: Rc::clone(acme),
            names: names.to_vec(),
            slot,
            asked_by,
            schedule: Schedule::new(Windows::Asked),
            present: None,
        };
        if let Some(kept) = acme.store.find(names) {
            tell::shown(names, "acme", &kept);
            this.show(kept);
        } else if this.slot.get().is_none()
            && matches!(this.asked_by, For::Site(_))
            && let Some(similar) = acme.store.similar(names, unix_now())
        {
            this.slot.set(Arc::new(similar));
        }
        this.remember();
        this
    }

    /// What failed before this process began is not forgotten.
    fn remember(&mut self) {
        if self.acme.begins != Begins::WithProcess {
            return;
        }
        let Some(failed) = self.acme.store.failure(&self.names) else {
            return;
        };
        let now = unix_now();
        self.schedule.failed_before(failed, now);
        let is_due = matches!(self.schedule.next(now), Next::Order);
        if let For::Site(_) = self.asked_by
            && !is_due
        {
            tell::waits(&self.names, failed.count);
        }
    }

    fn show(&mut self, certificate: Certificate) {
        let life = Stretch {
            start: certificate.not_before(),
            end: certificate.not_after(),
        };
        self.schedule.has(life, fastrand::u32(..));
        let certificate = Arc::new(certificate);
        self.slot.set(Arc::clone(&certificate));
        self.present = Some(certificate);
        if matches!(self.asked_by, For::Client) {
            self.acme.live.certs.grant(&self.names[0]);
        }
    }

    /// For ever; for a client's name until somebody says no.
    pub(in crate::certs) async fn run(mut self) {
        loop {
            let next = self.schedule.next(unix_now());
            if let (For::Client, None, Next::Wait(time)) = (&self.asked_by, &self.present, next) {
                // It failed before a restart: nobody waits for what is not even ordered.
                self.acme.live.certs.refuse(&self.names[0], time);
                return;
            }
            match next {
                Next::Wait(time) => self.wait(time).await,
                Next::AskWindow => self.ask_window().await,
                Next::Order => {
                    let is_client = matches!(self.asked_by, For::Client);
                    if is_client && !self.may_have().await {
                        return;
                    }
                    self.order().await;
                    if is_client && self.present.is_none() {
                        // Whoever comes next begins anew.
                        self.acme
                            .live
                            .certs
                            .refuse(&self.names[0], demand::FAILED_TIME);
                        return;
                    }
                }
            }
        }
    }

    async fn wait(&mut self, time: Duration) {
        match &self.asked_by {
            For::Client => sleep(time).await,
            For::Site(nudge) => tokio::select! {
                () = sleep(time) => {}
                () = nudge.notified() => self.schedule.nudge(),
            },
        }
    }

    async fn ask_window(&mut self) {
        let Some(certificate) = &self.present else {
            return;
        };
        let window = self.acme.window(certificate).await;
        let now = unix_now();
        match window {
            Window::Told(window, again) => self.schedule.window(window, again, now),
            Window::Unknown => self.schedule.no_windows(),
            Window::Failed => self.schedule.window_failed(now),
        }
    }

    async fn order(&mut self) {
        let replaces = self.present.clone();
        let ordered = self.acme.order(&self.names, replaces.as_deref()).await;
        match ordered {
            Ok(certificate) => {
                self.acme.cells.add(Counter::CertificateAcmeSuccess, 1);
                self.acme.store.forget_failure(&self.names);
                tell::issued(&self.names, &self.acme.terms.directory.value, &certificate);
                self.show(certificate);
            }
            Err(failure) => {
                self.acme.cells.add(Counter::CertificateAcmeFailure, 1);
                let (now, chance) = (unix_now(), fastrand::u32(..));
                let wait = self.schedule.failed(now, failure.retry_after, chance);
                let failed = Failed {
                    count: self.schedule.failures(),
                    at: now,
                    asked: failure.retry_after.unwrap_or(0),
                };
                self.acme.store.keep_failure(&self.names, failed);
                tell::failed(
                    &self.names,
                    &failure.what,
                    failure.help,
                    wait,
                    self.slot.get(),
                );
            }
        }
    }

    async fn may_have(&self) -> bool {
        let name = &self.names[0];
        let Some(time) = demand::refusal(&self.acme, name).await else {
            return true;
        };
        if self.present.is_some() {
            self.acme.live.certs.forget(name);
        } else {
            self.acme.live.certs.refuse(name, time);
        }
        false
    }
}
