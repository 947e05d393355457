//! Certificates from the authority of `[acme]` (RFC 8555), with renewal windows (RFC 9773).
//!
//! [`Keeper`] keeps one set of names supplied, for ever; [`order`] is one order, [`account`] and
//! [`store`] what is kept between them, [`client`] the way to the authority, [`words`] what its
//! refusals mean. Only this room knows the ACME library.

mod account;
mod client;
mod keeper;
mod order;
mod store;
mod words;

#[cfg(test)]
mod tests;

use std::{rc::Rc, sync::Arc, time::Duration};

use croupier_config::model;
use croupier_net::tls::certs::Certificate;
use croupier_proxy::Live;
use croupier_telemetry::WorkerCells;
use instant_acme::Error;
use tokio::sync::{Mutex, Semaphore};

use super::{
    demand,
    outside::Outside,
    schedule::Stretch,
    state::{State, file_name},
};
use client::Client;
use store::Store;
use words::Failure;

pub(super) use keeper::{For, Keeper};

/// Orders at once: an authority is no place to storm, and a start with many sites would.
const ORDERS_AT_ONCE: usize = 2;

/// When the work on certificates of these terms began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// With the process: what failed before it is remembered.
    WithProcess,
    /// With a reload: somebody has mended the terms.
    WithReload,
}

/// The authority and what all its keepers share.
#[derive(Debug)]
pub(super) struct Acme {
    pub(super) terms: model::Acme,
    pub(super) live: Arc<Live>,
    pub(super) cells: Rc<WorkerCells>,
    begins: Begins,
    state: State,
    outside: Outside,
    folder: String,
    store: Store,
    account_turn: Mutex<()>,
    orders: Semaphore,
    /// Turns of those who ask whether a name may have a certificate.
    pub(super) questions: Semaphore,
}

/// What came of asking for a renewal window.
#[derive(Debug)]
pub(super) enum Window {
    /// Renew within this time; ask again after that.
    Told(Stretch, Duration),
    /// The authority knows no windows.
    Unknown,
    /// It could not be asked now.
    Failed,
}

impl Acme {
    pub(super) fn new(
        terms: &model::Acme,
        live: &Arc<Live>,
        cells: &Rc<WorkerCells>,
        state: &State,
        outside: Outside,
        begins: Begins,
    ) -> Self {
        let directory = &terms.directory.value;
        let host = directory.split('/').nth(2).unwrap_or("directory");
        let folder = format!("acme/{}", file_name(host, directory));
        let store = Store::new(state, format!("{folder}/certificates"));
        store.sweep(super::unix_now());
        Self {
            terms: terms.clone(),
            live: Arc::clone(live),
            cells: Rc::clone(cells),
            begins,
            state: state.clone(),
            outside,
            store,
            folder,
            account_turn: Mutex::default(),
            orders: Semaphore::new(ORDERS_AT_ONCE),
            questions: Semaphore::new(demand::ASKED_AT_ONCE),
        }
    }

    /// Who asks `ask` and the authority.
    pub(super) fn outside(&self) -> &Outside {
        &self.outside
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// When the authority wants a certificate renewed.
    async fn window(&self, certificate: &Certificate) -> Window {
        let Some(identifier) = order::identifier(certificate) else {
            return Window::Unknown;
        };
        let client = Client::new(&self.outside);
        let Ok(account) = account::open(self, &client).await else {
            return Window::Failed;
        };
        match account.renewal_info(&identifier).await {
            Ok((info, again)) => {
                let unix = |time: i64| u64::try_from(time).unwrap_or(0);
                let window = Stretch {
                    start: unix(info.suggested_window.start.unix_timestamp()),
                    end: unix(info.suggested_window.end.unix_timestamp()),
                };
                Window::Told(window, again)
            }
            Err(Error::Unsupported(_)) => Window::Unknown,
            Err(_) => Window::Failed,
        }
    }

    /// Orders a certificate and keeps it. Waits its turn.
    async fn order(
        &self,
        names: &[String],
        replaces: Option<&Certificate>,
    ) -> Result<Certificate, Failure> {
        let _turn = self.orders.acquire().await;
        let issued = order::run(self, names, replaces).await?;
        if let Err(what) = self.store.keep(names, &issued.pem) {
            // It is shown all the same; after a restart it is ordered again.
            let failure = Failure::new(words::STATE, what);
            super::tell::not_kept(names, &failure.what, failure.help);
        }
        Ok(issued.certificate)
    }
}
