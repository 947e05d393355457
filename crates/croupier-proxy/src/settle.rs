//! Last: what happened is recorded and counted. Always runs, from the exchange's `Drop`.

use std::time::Duration;

use croupier_http::{Name, Version};
use croupier_net::tls::accept::Secured;
use croupier_telemetry::{
    Counter, Finished, MethodLabel, ProtoVersion, Record, RouteSlot, TlsFacts, Traceparent,
};

use crate::{
    exchange::{Became, Exchange},
    incoming::Incoming,
};

impl Exchange {
    /// Records and counts a finished exchange.
    pub(crate) fn settle(&self) {
        let duration = self.incoming.began.elapsed();
        self.record(duration);
        self.count(duration);
    }

    fn count(&self, duration: Duration) {
        let head = &self.incoming.head;
        self.worker.cells.exchange(&Finished {
            route: (self.route_plan().map(|route| route.slot))
                .or_else(|| Some(self.plan().sites[self.site?.0].slot))
                .unwrap_or(RouteSlot::OTHER),
            method: MethodLabel::of(head.method_bytes()),
            status: self.tally.status,
            version: match head.version {
                Version::Http10 => ProtoVersion::H1_0,
                Version::Http11 => ProtoVersion::H1_1,
                Version::Http2 => ProtoVersion::H2,
            },
            duration,
            bytes_in: self.tally.bytes_in,
            bytes_out: self.tally.bytes_out,
        });
        if let Some(counter) = Counter::of_refused_retry(self.tally.no_retry) {
            self.worker.cells.add(counter, 1);
        }
        if let Some(counter) = Counter::of_cache(self.tally.cache.word) {
            self.worker.cells.add(counter, 1);
        }
        if let (Some(server), None) = (&self.tally.server, self.tally.fault) {
            self.worker.cells.server_exchange(server.slot, duration);
        }
    }

    fn record(&self, duration: Duration) {
        let Some(log) = &mut *self.worker.log.borrow_mut() else {
            return;
        };
        let Incoming { head, target, .. } = &self.incoming;
        let site = self.site.map(|site| &self.plan().sites[site.0]);
        let route = self.route_plan();
        let server = self.tally.server.as_deref();
        let raw = head.target_bytes();
        let path = if target.path().is_empty() {
            raw
        } else {
            target.path().as_bytes()
        };
        log.record(&Record {
            ts: self.incoming.unix_ms,
            client_ip: self.incoming.client_ip,
            remote_ip: self.incoming.peer_ip,
            site: site.map_or("", |site| site.name.as_str()),
            route: route.map_or("", |route| route.name.as_str()),
            pool: server.map_or("", |server| server.pool.as_str()),
            server: server.map_or("", |server| server.name.as_str()),
            method: head.method_bytes(),
            scheme: self.incoming.scheme,
            host: target.authority.as_str().as_bytes(),
            path,
            query: target.query().unwrap_or_default().as_bytes(),
            proto: head.version.as_str(),
            tls: (self.incoming.secure.as_deref())
                .map_or(TlsFacts::NONE, |secure| facts(&secure.secured)),
            status: self.tally.status,
            bytes_in: self.tally.bytes_in,
            bytes_out: self.tally.bytes_out,
            duration,
            ttfb: self.tally.ttfb,
            connect: self.tally.connect,
            origin_ttfb: self.tally.origin_ttfb,
            retries: u8::try_from(self.tally.attempts.saturating_sub(1)).unwrap_or(u8::MAX),
            no_retry: self.tally.no_retry,
            cache: self.tally.cache.word,
            request_id: self.incoming.id(),
            trace_id: self.incoming.trace.as_ref().map(Traceparent::trace_id),
            fault: self.tally.fault.map_or("", |fault| fault.code.as_str()),
            user_agent: head.fields.get(Name::USER_AGENT).unwrap_or_default(),
            referer: head.fields.get(Name::REFERER).unwrap_or_default(),
            tunnel: self.tally.became == Became::Tunnel,
        });
    }
}

fn facts(secured: &Secured) -> TlsFacts<'_> {
    TlsFacts {
        version: secured.version,
        cipher: secured.cipher,
        group: secured.group,
        is_resumed: secured.is_resumed,
        sni: secured.name.as_deref().unwrap_or_default(),
        client: (secured.client.as_ref()).map_or("", |client| client.subject.as_str()),
    }
}
