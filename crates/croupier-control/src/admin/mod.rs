//! The side doors: `/metrics`, `/healthz` and `/readyz` on their own listener, and the control
//! socket by which `croupier reload` asks and waits for the verdict.
//!
//! A client of the same objects as everybody else, never a second truth.

mod cache;
mod client;
mod samples;
mod server;

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use croupier_config::{Config, model::Listen};
use croupier_net::address::Address;
use croupier_proxy::{Live, Plan};
use croupier_telemetry::{AccessLog, Metric, Sample, render};
use tokio::sync::{mpsc, oneshot};

use crate::{boot::BootError, logs::Logs, reload::Verdict};

pub use client::ask;

/// Somebody wants a reload and waits for the verdict.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) verdict: oneshot::Sender<Verdict>,
}

/// What the side doors show.
#[derive(Debug)]
pub(crate) struct Face {
    live: Arc<Live>,
    /// In force.
    plan: RefCell<Arc<Plan>>,
    log: Option<AccessLog>,
    draining: Cell<bool>,
    last_reload: Cell<u64>,
    orders: mpsc::Sender<Order>,
}

/// The side doors that are open.
#[derive(Debug)]
pub(crate) struct Doors {
    face: Rc<Face>,
    metrics: Option<Address>,
    control: Option<PathBuf>,
}

fn unix_secs() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Doors {
    /// Opens what the config asks for.
    pub(crate) async fn open(
        config: &Config,
        live: &Arc<Live>,
        plan: &Arc<Plan>,
        logs: &Logs,
        orders: &mpsc::Sender<Order>,
    ) -> Result<Self, BootError> {
        let face = Rc::new(Face {
            live: Arc::clone(live),
            plan: RefCell::new(Arc::clone(plan)),
            log: logs.access().cloned(),
            draining: Cell::new(false),
            last_reload: Cell::new(unix_secs()),
            orders: orders.clone(),
        });
        let metrics = match &config.server.metrics {
            Some(listen) => Some(server::open_metrics(&listen.value, &face).map_err(|error| {
                BootError::System {
                    what: format!("cannot listen on `{}` for metrics", listen.value),
                    error,
                    help: "choose another address for `server.metrics`",
                }
            })?),
            None => None,
        };
        let control = config.server.admin.as_ref().map(|path| path.value.clone());
        if let Some(path) = &control {
            server::open_control(path, &face).map_err(|error| BootError::System {
                what: format!("cannot open the control socket `{}`", path.display()),
                error,
                help: "its directory must exist and be writable; another instance may be using it",
            })?;
        }
        Ok(Self {
            face,
            metrics,
            control,
        })
    }

    /// Where metrics are shown.
    pub(crate) fn metrics_address(&self) -> Option<Address> {
        self.metrics.clone()
    }

    /// From now on we are not ready.
    pub(crate) fn drain(&self) {
        self.face.draining.set(true);
    }

    /// Another plan is in force.
    pub(crate) fn adopt(&self, plan: &Arc<Plan>) {
        self.face.plan.replace(Arc::clone(plan));
    }

    /// A reload has succeeded.
    pub(crate) fn note_reload(&self) {
        self.face.last_reload.set(unix_secs());
    }

    /// Removes the control socket.
    pub(crate) fn clean_up(&self) {
        if let Some(path) = &self.control {
            let _ = std::fs::remove_file(path);
        }
        if let Some(Address::Unix(path)) = &self.metrics {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Face {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.borrow())
    }

    fn metrics(&self) -> String {
        let mut samples = samples::of_pools(&self.live);
        samples.extend(samples::of_certificates(&self.live));
        samples.extend(samples::of_stores(&self.plan()));
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds and counts are far below 2^52"
        )]
        {
            let last = self.last_reload.get() as f64;
            samples.push(Sample::new(Metric::ConfigLastReload, &[], last));
            let dropped = self.log.as_ref().map_or(0, AccessLog::dropped) as f64;
            samples.push(Sample::new(Metric::AccessLogDropped, &[], dropped));
        }
        samples.push(Sample::new(
            Metric::BuildInfo,
            &[env!("CARGO_PKG_VERSION")],
            1.0,
        ));
        render(&self.live.registry, &samples)
    }
}

/// The address of a metrics listener.
fn address(listen: &Listen) -> Address {
    match listen {
        Listen::Port(port) => Address::Ip((std::net::Ipv6Addr::UNSPECIFIED, *port).into()),
        Listen::Socket(address) => Address::Ip(*address),
        Listen::Unix(path) => Address::Unix(path.clone()),
    }
}
