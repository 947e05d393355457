//! An exchange: one request on its way to its answer.

use std::{rc::Rc, sync::Arc, time::Duration};

use croupier_cache::rules::{Because, status::Did};
use croupier_coding::Coding;
use croupier_http::NameSet;
use croupier_net::client::ClientStream;
use croupier_telemetry::{Gauge, event};

use crate::{
    fault::{Code, Fault},
    incoming::{Incoming, UNKNOWN},
    live::Server,
    plan::{Plan, RouteId, RoutePlan, SitePlan, Times, Way},
    router::host::SiteId,
    worker::{Installed, Worker},
};

/// One request, the plan it sees from first byte to last, and what happened to it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) worker: Rc<Worker>,
    pub(crate) installed: Rc<Installed>,
    pub(crate) incoming: Incoming,
    /// The site of its host, once that is known.
    pub(crate) site: Option<SiteId>,
    pub(crate) route: Option<RouteId>,
    /// Which of the route's ways it goes, once that is known.
    pub(crate) way: Option<usize>,
    /// What a server is asked otherwise than the client wrote it.
    pub(crate) asks: Asks,
    pub(crate) recoding: Recoding,
    pub(crate) tally: Tally,
}

/// What a server is asked otherwise than the client wrote it, for the sake of what is kept.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// Lines of the client that do not pass.
    pub(crate) drop: NameSet,
    /// Lines instead of them.
    pub(crate) lines: Vec<(&'static str, Box<[u8]>)>,
    /// The query in normal form, when the client's is another.
    pub(crate) query: Option<Box<str>>,
    /// The request's content, when it was read before anybody was asked.
    pub(crate) content: Option<Rc<[u8]>>,
    /// A stale answer is given if no server can be asked: it is not worth a wait for one.
    pub(crate) has_stand_in: bool,
}

/// What the record will say.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) status: u16,
    pub(crate) fault: Option<Fault>,
    pub(crate) server: Option<Arc<Server>>,
    pub(crate) attempts: u32,
    /// The server of the pool, by index, that the client is to stick to from now on.
    pub(crate) stick: Option<usize>,
    pub(crate) no_retry: &'static str,
    /// The attempts that told the client to continue, and whose other interim heads it saw.
    pub(crate) continued: Option<u32>,
    pub(crate) hinted: Option<u32>,
    pub(crate) ttfb: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) origin_ttfb: Option<Duration>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) became: Became,
    /// What the cache did; empty when it had no part in it.
    pub(crate) cache: CacheNote,
    /// Something of the request was received: it is worth a record.
    pub(crate) begun: Begun,
}

/// What happens to a body's coding on its way to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Recoding {
    /// Nothing, nor would it have for any other client.
    #[default]
    Nothing,
    /// Nothing, for this client.
    Chosen,
    /// Nothing: the client has it, recoded as it was then.
    Before,
    /// It is compressed.
    Encode(Coding),
    /// It is given as it was encoded before, once: the name of the coding.
    Made(&'static str),
    /// It is given as it was before somebody compressed it: this client does not take that.
    Decode(Coding),
}

/// What the cache did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CacheNote {
    /// In the log.
    pub(crate) word: &'static str,
    /// To the client, if the route tells it.
    pub(crate) did: Option<Did>,
    /// Seconds of freshness left.
    pub(crate) ttl: Option<i64>,
    pub(crate) because: Option<Because>,
}

/// What an exchange became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Became {
    #[default]
    Answered,
    Tunnel,
}

/// Has a request been received at all?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begun {
    #[default]
    No,
    Yes,
}

impl Exchange {
    /// Begins one; pins the plan for as long as it lives.
    pub(crate) fn open(
        worker: &Rc<Worker>,
        conn: &ClientStream,
        (installed, listener): (Rc<Installed>, usize),
    ) -> Self {
        let (began, unix_ms) = worker.last_moment();
        let peer_ip = conn.peer().ip;
        let secure = conn.peer().secure.clone();
        let incoming = Incoming {
            head: worker.local.lend_request(),
            target: worker.lend_target(),
            lawful: UNKNOWN,
            listener,
            scheme: if secure.is_some() { "https" } else { "http" },
            secure,
            peer_ip,
            peer_port: conn.peer().port,
            client_ip: peer_ip,
            is_trusted: installed.plan.trusted.holds_peer(peer_ip),
            request_id: worker.next_id(unix_ms),
            given_id: None,
            trace: None,
            began,
            unix_ms,
        };
        worker.cells.gauge(Gauge::ActiveRequests, 1);
        Self {
            worker: Rc::clone(worker),
            installed,
            incoming,
            site: None,
            route: None,
            way: None,
            asks: Asks::default(),
            recoding: Recoding::Nothing,
            tally: Tally::default(),
        }
    }

    /// An exchange of the same request that no client waits for and no record tells of.
    pub(crate) fn beside(other: &Self) -> Self {
        let incoming = &other.incoming;
        other.worker.cells.gauge(Gauge::ActiveRequests, 1);
        Self {
            worker: Rc::clone(&other.worker),
            installed: Rc::clone(&other.installed),
            incoming: incoming.again(),
            site: other.site,
            route: other.route,
            way: other.way,
            asks: Asks {
                query: other.asks.query.clone(),
                content: other.asks.content.clone(),
                ..Asks::default()
            },
            recoding: Recoding::Nothing,
            tally: Tally {
                server: other.tally.server.clone(),
                attempts: other.tally.attempts,
                ..Tally::default()
            },
        }
    }

    /// The plan this exchange sees.
    pub(crate) fn plan(&self) -> &Plan {
        &self.installed.plan
    }

    /// The route that took it, once that is known.
    pub(crate) fn route_plan(&self) -> Option<&RoutePlan> {
        self.route.map(|id| self.installed.plan.route(id))
    }

    /// The site of its host; as long as that is not known, that of the connection's handshake.
    pub(crate) fn site_plan(&self) -> Option<&SitePlan> {
        let plan = self.plan();
        let site = self.site.or_else(|| {
            let secure = self.incoming.secure.as_deref()?;
            let listener = plan.listeners.get(self.incoming.listener)?;
            let tls = listener.tls.as_ref()?;
            Some(tls.find(secure.secured.name.as_deref(), None))
        });
        site.map(|site| &plan.sites[site.0])
    }

    /// The way to its pool, once that is known.
    pub(crate) fn way(&self) -> Option<&Way> {
        self.route_plan()?.action.ways().get(self.way?)
    }

    /// How long each part may take.
    pub(crate) fn times(&self) -> Times {
        match (self.way(), self.route_plan()) {
            (Some(way), _) => way.times,
            (None, Some(route)) => route.times,
            (None, None) => self.plan().limits.times,
        }
    }

    /// Something failed: the record will name it, the counters count it.
    pub(crate) fn failed(&mut self, fault: Fault) {
        self.tally.fault = Some(fault);
        self.worker.cells.fault(fault.code as usize);
        if fault.code == Code::ClientGone {
            return;
        }
        let server = self
            .tally
            .server
            .as_ref()
            .map_or("", |server| server.name.as_str());
        let pool = self
            .tally
            .server
            .as_ref()
            .map_or("", |server| server.pool.as_str());
        event(
            fault.code.level(),
            fault.code.as_str(),
            &[
                ("detail", &fault.sentence()),
                ("pool", &pool),
                ("server", &server),
                ("request_id", &self.incoming.id()),
            ],
        );
    }
}

impl Drop for Exchange {
    /// However an exchange ends, it is recorded once and gives back what it borrowed.
    fn drop(&mut self) {
        self.worker.cells.gauge(Gauge::ActiveRequests, -1);
        if self.tally.begun == Begun::Yes {
            self.settle();
        }
        let head = std::mem::take(&mut self.incoming.head);
        self.worker.local.take_back_request(head);
        let target = std::mem::take(&mut self.incoming.target);
        self.worker.take_back_target(target);
    }
}
