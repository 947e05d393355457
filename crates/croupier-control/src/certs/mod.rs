//! Certificates of sites: where they come from, and that they never end unnoticed. One task a
//! source, beside the traffic; what handshakes see is in `live.certs`.
//!
//! [`files`] watches files, [`authority`] and [`internal`] are our own authority, [`acme`] asks a
//! public one, [`demand`] does so when a client comes. [`schedule`] says when (pure), [`state`]
//! keeps what must outlive the process, [`outside`] is the way out, [`expiry`] warns, [`tell`] is
//! the log, [`check`] the same for `croupier check`.

mod schedule;
mod state;

mod files;

mod authority;
mod internal;

mod outside;

mod acme;
mod demand;

mod expiry;
mod tell;

pub(crate) mod check;

#[cfg(test)]
pub(crate) mod scratch;

use std::{
    collections::HashMap,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use croupier_config::{
    Config, Spanned,
    model::{self, CertificateFrom, Site},
};
use croupier_net::{
    Local,
    timers::{TICK, ticks},
    tls::connect::{OriginTerms, origin_tls},
};
use croupier_proxy::{
    Live,
    live::certs::{Shown, Source},
};
use croupier_telemetry::WorkerCells;
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use acme::{Acme, Begins, For};
use authority::Authority;
use demand::Demand;
use outside::Outside;
use state::State;

/// Seconds since 1970.
fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The certificates of the config in force. Dropping it ends all work on them.
#[derive(Debug)]
pub(crate) struct Certificates {
    live: Arc<Live>,
    cells: Rc<WorkerCells>,
    /// What connections to authorities need; its clock runs while this lives.
    local: Rc<Local>,
    running: Vec<JoinHandle<()>>,
    tasks: HashMap<Source, Task>,
    acme: Option<Rc<Acme>>,
    demand: Option<Demand>,
    authority: Option<Rc<Authority>>,
    state: Kept,
    told: expiry::Told,
    begins: Begins,
}

/// The state directory, as far as it is known.
#[derive(Debug, Default)]
enum Kept {
    /// No certificate needs it.
    #[default]
    NotNeeded,
    At(PathBuf, State),
    Not(String),
}

/// A source that is kept supplied; dropping it ends that.
#[derive(Debug)]
struct Task {
    running: JoinHandle<()>,
    /// Somebody may have mended what failed: do not wait so long.
    nudge: Rc<Notify>,
}

impl Task {
    fn start(work: impl Future<Output = ()> + 'static, nudge: Rc<Notify>) -> Self {
        let running = tokio::task::spawn_local(work);
        Self { running, nudge }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        for running in &self.running {
            running.abort();
        }
    }
}

impl Certificates {
    /// Nothing to supply yet.
    pub(crate) fn new(live: &Arc<Live>) -> Self {
        let local = Rc::new(Local::default());
        let ticking = Rc::clone(&local);
        let clock = tokio::task::spawn_local(async move {
            let began = Instant::now();
            loop {
                sleep(TICK).await;
                ticking.timers.advance(ticks(began.elapsed()));
            }
        });
        let told = expiry::Told::default();
        let watching = expiry::watch(Arc::downgrade(live), told.clone());
        Self {
            live: Arc::clone(live),
            cells: Rc::new(live.registry.worker()),
            local,
            running: vec![clock, tokio::task::spawn_local(watching)],
            tasks: HashMap::new(),
            acme: None,
            demand: None,
            authority: None,
            state: Kept::NotNeeded,
            told,
            begins: Begins::WithProcess,
        }
    }

    /// Another config is about to be in force: what its sites show is there when this returns, as
    /// far as it needs no authority outside, and the rest is under way. Sources that stay are not
    /// disturbed; what fails is told and tried again.
    pub(crate) fn adopt(&mut self, config: &Config) {
        let wanted: Vec<(&Site, Source)> = config
            .sites
            .iter()
            .filter_map(|site| Some((site, Source::of(site)?)))
            .collect();
        let is_on_demand = config.sites.iter().any(is_on_demand);
        let asks = |source: &Source| matches!(source, Source::Auto { .. });
        let is_acme = is_on_demand || wanted.iter().any(|(_, source)| asks(source));
        let is_internal = |source: &Source| matches!(source, Source::Internal { .. });
        let is_internal = wanted.iter().any(|(_, source)| is_internal(source));

        self.open_state(config, is_acme || is_internal);
        let had = self.acme.clone();
        self.open_acme(config, is_acme);
        if !is_same(had.as_ref(), self.acme.as_ref()) {
            // With other terms, or none: what is shown stays until these have brought another.
            self.demand = None;
            self.tasks.retain(|source, _| !asks(source));
        }
        if is_internal {
            self.open_authority();
        }

        let mut before = std::mem::take(&mut self.tasks);
        for (_, source) in &wanted {
            if self.tasks.contains_key(source) {
                continue;
            }
            let kept = before
                .remove(source)
                .inspect(|task| task.nudge.notify_one());
            if let Some(task) = kept.or_else(|| self.start(source)) {
                self.tasks.insert(source.clone(), task);
            }
        }
        drop(before);
        self.demand = match (&self.acme, self.demand.take()) {
            (Some(_), Some(demand)) if is_on_demand => Some(demand),
            (Some(acme), None) if is_on_demand => Some(Demand::start(acme)),
            _ => None,
        };
        let shown = wanted.iter().map(|(site, source)| Shown {
            site: site.host.to_string(),
            source: source.as_str(),
            slot: self.live.certs.slot(source),
        });
        self.live.certs.set_shown(shown.collect());
        self.told.look(&self.live.certs.shown(), unix_now());
        self.begins = Begins::WithReload;
    }

    /// Opens the state directory when it is needed, another place, or was out of order.
    fn open_state(&mut self, config: &Config, is_needed: bool) {
        if !is_needed {
            return;
        }
        let place = place(config);
        if matches!((&self.state, &place), (Kept::At(at, _), Some(place)) if at == place) {
            return;
        }
        // What was opened by way of another directory goes with it.
        (self.acme, self.authority) = (None, None);
        self.state = match place {
            None => Kept::Not("there is no place for state".into()),
            Some(place) => match State::open(&place) {
                Ok(state) => Kept::At(place, state),
                Err(error) => Kept::Not(format!("`{}`: {error}", place.display())),
            },
        };
    }

    fn open_acme(&mut self, config: &Config, is_needed: bool) {
        if !is_needed {
            self.acme = None;
            return;
        }
        if let Some(acme) = &self.acme
            && are_same(&acme.terms, &config.acme)
        {
            return;
        }
        self.acme = match &self.state {
            Kept::At(_, state) => match outside(&config.acme, &self.local) {
                Ok(outside) => {
                    let (live, cells) = (&self.live, &self.cells);
                    Some(Rc::new(Acme::new(
                        &config.acme,
                        live,
                        cells,
                        state,
                        outside,
                        self.begins,
                    )))
                }
                Err(error) => {
                    tell::no_way_outside(&error);
                    None
                }
            },
            Kept::Not(error) => {
                tell::no_state(error);
                None
            }
            Kept::NotNeeded => None,
        };
    }

    fn open_authority(&mut self) {
        if self.authority.is_some() {
            return;
        }
        let (state, why) = match &self.state {
            Kept::At(_, state) => (Some(state), None),
            Kept::Not(error) => (None, Some(error.clone())),
            Kept::NotNeeded => (None, None),
        };
        let now = unix_now();
        let (opened, why) = match Authority::open(state, now) {
            Err(error) => (Authority::open(None, now), Some(error)),
            opened => (opened, why),
        };
        if let Some(why) = why {
            tell::authority_in_memory(&why);
        }
        match opened {
            Ok(authority) => {
                if let Some(root) = &authority.root {
                    tell::trust(root, authority.origin);
                }
                self.authority = Some(Rc::new(authority));
            }
            Err(error) => tell::authority_in_memory(&error),
        }
    }

    /// Starts to supply a source; what can be had at once is shown when this returns.
    fn start(&self, source: &Source) -> Option<Task> {
        let slot = self.live.certs.slot(source);
        let nudge = Rc::new(Notify::new());
        match source {
            Source::Files { certificate, key } => {
                let mut keeper = files::Keeper::new(certificate, key, slot, &self.cells);
                keeper.look();
                Some(Task::start(keeper.run(), nudge))
            }
            Source::Internal { names } => {
                let authority = self.authority.as_ref()?;
                let keeper = internal::Keeper::new(authority, names, slot, &self.cells);
                Some(Task::start(keeper.run(), nudge))
            }
            Source::Auto { names } if !names.is_empty() => {
                let nudged = Rc::clone(&nudge);
                let keeper = acme::Keeper::new(self.acme.as_ref()?, names, slot, For::Site(nudged));
                Some(Task::start(keeper.run(), nudge))
            }
            // `check` has said that there is no name to order for.
            Source::Auto { .. } | Source::OnDemand { .. } => None,
        }
    }
}

fn is_on_demand(site: &Site) -> bool {
    let tls = site.tls.as_ref();
    tls.is_some_and(|tls| tls.certificate.value == CertificateFrom::OnDemand)
}

/// Where state is kept.
fn place(config: &Config) -> Option<PathBuf> {
    let written = config.server.state.as_ref().map(|path| path.value.clone());
    let is_root = rustix::process::geteuid().is_root();
    written.or_else(|| state::usual(|name| std::env::var_os(name), is_root))
}

/// A client that believes the authorities of the system, or the one of `[acme] ca`.
fn outside(terms: &model::Acme, local: &Rc<Local>) -> Result<Outside, String> {
    let ca = match &terms.ca {
        Some(path) => {
            let read = std::fs::read(&path.value);
            let read = read.map_err(|error| format!("`{}`: {error}", path.value.display()))?;
            vec![read]
        }
        None => Vec::new(),
    };
    let tls = origin_tls(&OriginTerms {
        ca,
        client: None,
        verify: true,
        http2: false,
    });
    let tls = tls.map_err(|error| error.to_string())?;
    Ok(Outside::new(tls, local))
}

fn is_same(a: Option<&Rc<Acme>>, b: Option<&Rc<Acme>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Rc::ptr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The same terms, wherever they are written.
fn are_same(a: &model::Acme, b: &model::Acme) -> bool {
    let binding = |terms: &model::Acme| {
        let binding = terms.binding.as_ref();
        binding.map(|binding| (binding.id.clone(), binding.key.clone()))
    };
    let value = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
    let path = |path: &Option<Spanned<PathBuf>>| path.as_ref().map(|path| path.value.clone());
    a.directory.value == b.directory.value
        && path(&a.ca) == path(&b.ca)
        && (&a.contact, &a.challenges, a.key) == (&b.contact, &b.challenges, b.key)
        && binding(a) == binding(b)
        && a.profile == b.profile
        && value(&a.ask) == value(&b.ask)
}
