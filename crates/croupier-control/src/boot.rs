//! The start, top to bottom, and the loop that waits for what happens next.

use std::{fmt, io, path::PathBuf, sync::Arc};

use croupier_config::{Config, Diagnostics, model::AccessLog as LogChoice};
use croupier_net::address::Address;
use croupier_proxy::{Live, Plan, plan};
use croupier_telemetry::{Counter, Level, WorkerCells, event, events};
use tokio::sync::{mpsc, oneshot};

use crate::{
    admin,
    certs::Certificates,
    checks::Checks,
    discover::Discovery,
    disks, drain,
    listeners::Listeners,
    logs::{self, Logs},
    reload,
    signals::Watch,
    workers::Workers,
};

/// Where the config comes from.
#[derive(Debug)]
pub enum Source {
    /// A file: a reload reads it again.
    File(PathBuf),
    /// Given by the command line: there is nothing to reload.
    Given(Box<Config>),
}

/// Told where the listeners are.
pub type Ready = Box<dyn FnOnce(&[Address])>;

/// What the caller wants to know and to decide.
#[derive(Default)]
pub struct Options {
    /// Called once, when all listeners accept, with their addresses.
    pub ready: Option<Ready>,
    /// Ends the run as a stop signal does.
    pub stop: Option<oneshot::Receiver<Stop>>,
    /// Instead of the config's access log.
    pub log: Option<LogChoice>,
    /// Whether signals of the process are ours to act on.
    pub signals: Signals,
}

/// Whether signals of the process are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signals {
    #[default]
    Ours,
    Not,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// Ends a run from another thread. Dropping it ends the run too.
#[derive(Debug)]
pub struct Stopper(oneshot::Sender<Stop>);

impl Stopper {
    /// A stopper, and what goes into [`Options::stop`].
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Stop>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Ends the run, if it has not ended.
    pub fn stop(self, how: Stop) {
        let _ = self.0.send(how);
    }
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Let exchanges end within `shutdown_grace` (TERM, INT).
    Bounded,
    /// Let exchanges end, however long that takes (QUIT).
    Unbounded,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every exchange came to its end.
    Clean,
    /// So many connections were cut.
    Cut(usize),
}

/// Why nothing was started.
#[derive(Debug)]
pub enum BootError {
    /// The config is wrong.
    Config(Diagnostics),
    /// Something of the system is in the way: what, why, and what to do.
    System {
        what: String,
        error: io::Error,
        help: &'static str,
    },
    /// The plan could not be built.
    Plan(String),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(_) => f.write_str("the config has errors"),
            Self::System { what, error, help } => {
                write!(f, "{what}: {}", plain(error))?;
                if help.is_empty() {
                    Ok(())
                } else {
                    write!(f, "\n  = help: {help}")
                }
            }
            Self::Plan(error) => f.write_str(error),
        }
    }
}

/// An error in the system's words, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

/// Everything that is running.
pub(crate) struct Control {
    pub(crate) source: Option<PathBuf>,
    pub(crate) live: Arc<Live>,
    pub(crate) cells: WorkerCells,
    pub(crate) config: Config,
    pub(crate) plan: Arc<Plan>,
    pub(crate) workers: Workers,
    pub(crate) listeners: Listeners,
    pub(crate) logs: Logs,
    pub(crate) admin: admin::Doors,
    /// What the names in the config stand for.
    pub(crate) discovery: Discovery,
    pub(crate) checks: Checks,
    pub(crate) certificates: Certificates,
    /// Client connections the process has descriptors for.
    pub(crate) connections: usize,
}

/// Starts the proxy and runs it until it is told to stop.
///
/// # Errors
/// When it could not be started; then nothing is running.
pub fn run(source: Source, options: Options) -> Result<Exit, BootError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| BootError::System {
            what: "cannot make a runtime".into(),
            error,
            help: "",
        })?;
    runtime.block_on(async {
        let Options {
            ready,
            mut stop,
            log,
            signals,
        } = options;
        let mut watch = match signals {
            Signals::Ours => Some(Watch::new()?),
            Signals::Not => None,
        };
        let (sender, mut reloads) = mpsc::channel(16);
        let mut control = start(source, log, sender).await?;
        control.say_ready();
        if let Some(ready) = ready {
            ready(control.listeners.addresses());
        }
        let how = match &mut watch {
            Some(watch) => wait(&mut control, watch, &mut reloads, stop.take()).await,
            None => wait_unwatched(&mut control, stop.take()).await,
        };
        Ok(Box::pin(drain::run(control, how, watch)).await)
    })
}

async fn wait_for_stop(stop: Option<oneshot::Receiver<Stop>>) -> Stop {
    match stop {
        Some(stop) => stop.await.unwrap_or(Stop::Bounded),
        None => std::future::pending().await,
    }
}

/// Waits without signals: somebody else has them.
async fn wait_unwatched(control: &mut Control, stop: Option<oneshot::Receiver<Stop>>) -> Stop {
    let mut stop = std::pin::pin!(wait_for_stop(stop));
    loop {
        tokio::select! {
            how = &mut stop => return how,
            () = control.discovery.changed() => reload::follow_names(control).await,
        }
    }
}

/// Every step is a line.
async fn start(
    source: Source,
    log: Option<LogChoice>,
    reloads: mpsc::Sender<admin::Order>,
) -> Result<Control, BootError> {
    let (path, mut config) = match source {
        Source::File(path) => {
            let config = croupier_config::load(&path).map_err(BootError::Config)?;
            (Some(path), config)
        }
        Source::Given(config) => (None, *config),
    };
    if let Some(log) = log {
        config.server.access_log = log;
    }
    logs::set_level(&config);
    let live = Live::new();
    let count = Workers::count(&config);
    let connections = connections(count);
    for unusable in disks::open(&config, &live) {
        unusable.tell();
    }
    let plan = plan::build(&config, &live, connections).map_err(BootError::Plan)?;
    let logs = Logs::open(&config)?;
    let mut listeners = Listeners::default();
    let sockets = listeners.bind(&plan, count)?;
    let mut discovery = Discovery::new(&live);
    discovery.follow(&config).await;
    let found = discovery.catch_up();
    // Again, with the servers that were found.
    let plan = plan::rebuild(&config, &live, connections, &plan).map_err(BootError::Plan)?;
    let plan = Arc::new(plan);
    plan.adopt(live.now_ms());
    // Before the first handshake, so that it finds what is at hand.
    let mut certificates = Certificates::new(&live);
    certificates.adopt(&config);
    let workers = Workers::start(count, &live, &plan, logs.access())?;
    workers.listen(sockets).await;
    found.tell();
    let cells = live.registry.worker();
    let admin = admin::Doors::open(&config, &live, &plan, &logs, &reloads).await?;
    let checks = Checks::start(&live, &plan);
    Ok(Control {
        source: path,
        live,
        cells,
        config,
        plan,
        workers,
        listeners,
        logs,
        admin,
        discovery,
        checks,
        certificates,
        connections,
    })
}

impl Control {
    fn say_ready(&self) {
        let addresses = self.listeners.addresses();
        let mut values: Vec<(&str, &dyn fmt::Display)> = Vec::new();
        for address in addresses {
            values.push(("listen", address));
        }
        let metrics = self.admin.metrics_address();
        if let Some(metrics) = &metrics {
            values.push(("metrics", metrics));
        }
        let workers = self.workers.len();
        values.push(("workers", &workers));
        let sites = self.plan.sites.len();
        values.push(("sites", &sites));
        event(Level::Info, "ready", &values);
        if let Some(wanted) = self.config.limits.connections
            && wanted > self.connections
        {
            event(
                Level::Warn,
                "limits.connections",
                &[
                    ("wanted", &wanted),
                    ("descriptors_for", &self.connections),
                    (
                        "help",
                        &"raise `LimitNOFILE`, or lower `limits.connections`",
                    ),
                ],
            );
        }
        for warning in self.config.warnings.iter() {
            event(
                Level::Warn,
                "config.warning",
                &[("message", &warning.message)],
            );
        }
    }
}

/// Waits for signals and orders; ends with how to stop.
async fn wait(
    control: &mut Control,
    watch: &mut Watch,
    orders: &mut mpsc::Receiver<admin::Order>,
    stop: Option<oneshot::Receiver<Stop>>,
) -> Stop {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    let mut stop = std::pin::pin!(wait_for_stop(stop));
    loop {
        tokio::select! {
            _ = watch.hup.recv() => {
                let _ = reload::run(control).await;
            }
            Some(order) = orders.recv() => {
                let verdict = reload::run(control).await;
                let _ = order.verdict.send(verdict);
            }
            _ = watch.usr1.recv() => {
                control.logs.reopen();
                event(Level::Info, "logs.reopened", &[]);
            }
            _ = watch.usr2.recv() => {
                let help = "an upgrade of the running binary is not known yet; restart instead";
                event(Level::Warn, "signal.ignored", &[("signal", &"USR2"), ("help", &help)]);
            }
            _ = watch.term.recv() => return Stop::Bounded,
            _ = watch.int.recv() => return Stop::Bounded,
            _ = watch.quit.recv() => return Stop::Unbounded,
            how = &mut stop => return how,
            () = control.discovery.changed() => reload::follow_names(control).await,
            _ = tick.tick() => {
                events::tick();
                disks::tell_events(&control.live);
                // The last exchange of a server that is gone may have ended.
                control.live.release();
            }
        }
    }
}

/// How many client connections there are descriptors for: the limit is raised as far as it may
/// be, some are kept for listeners, logs and the rest, and each exchange may need two.
fn connections(workers: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let mut raised = limit;
        raised.current = limit.maximum;
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let descriptors = limit
        .current
        .map_or(1 << 20, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let kept = 64 + 48 * workers;
    (descriptors.saturating_sub(kept) / 2).max(16)
}

impl Control {
    /// Counts a reload.
    pub(crate) fn count_reload(&self, counter: Counter) {
        self.cells.add(counter, 1);
    }
}
