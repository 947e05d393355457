//! The request head as the origin gets it: the client's fields seen through what ends here,
//! what we know better, and the route's edits. Nothing is copied until it is encoded.

use std::{fmt::Write as _, net::IpAddr};

use croupier_http::{Field, Method, Name, NameSet, Version, fields::members, rules::hop};
use croupier_net::{
    origin::{Manner, manner::Protocol},
    side::Outgoing,
};
use croupier_telemetry::text;

use super::client_cert;
use crate::{exchange::Exchange, grpc, plan::RoutePlan};

/// The lines of a request on its way to an origin.
pub(crate) struct RequestLines<'a> {
    pub(crate) x: &'a Exchange,
    pub(crate) route: &'a RoutePlan,
    /// How the server is spoken to.
    pub(crate) manner: &'a Manner,
    /// Lines beside those of every request.
    pub(crate) extra: &'a [(&'a [u8], &'a [u8])],
}

/// Names that we write ourselves on every request.
const OURS: NameSet = NameSet::of(&[
    Name::EXPECT,
    Name::HOST,
    Name::TRACEPARENT,
    Name::X_FORWARDED_FOR,
    Name::X_FORWARDED_HOST,
    Name::X_FORWARDED_PORT,
    Name::X_FORWARDED_PROTO,
    Name::X_REQUEST_ID,
]);

impl Outgoing for RequestLines<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        let incoming = &self.x.incoming;
        let fields = &incoming.head.fields;
        let listed = incoming.lawful.listed;
        let edits = &self.route.request_edits;
        let mut drop = hop::HOP
            .union(OURS)
            .union(listed.names)
            .union(edits.dropped())
            .union(self.x.asks.drop);
        if !incoming.is_trusted {
            drop = drop.union(hop::FORWARDED);
        }
        let forwards_left = self.forwards_left();
        if forwards_left.is_some() {
            drop.insert(Name::MAX_FORWARDS);
        }
        let time_left = grpc::time_left(incoming, self.x.times().exchange);
        for field in fields.iter() {
            if drop.contains(field.name) || field.name == Name::OTHER && self.drops(&field) {
                continue;
            }
            if let Some(left) = time_left
                && field.is_named(grpc::TIMEOUT)
            {
                self.x.worker.with_scratch(|value| {
                    grpc::write_timeout(value, left);
                    emit(field.raw_name, value);
                });
                continue;
            }
            emit(field.raw_name, field.value);
        }
        self.own_lines(emit);
        client_cert::lines(self.x, &mut |name, value| {
            if !edits.drops_named(name) {
                emit(name, value);
            }
        });
        if let Some(left) = forwards_left
            && !edits.dropped().contains(Name::MAX_FORWARDS)
        {
            self.x.worker.with_scratch(|value| {
                text::number(value, left.saturating_sub(1));
                emit(Name::MAX_FORWARDS.as_str().as_bytes(), value);
            });
        }
        for line in &edits.lines {
            emit(&line.name, &line.value);
        }
        for (name, value) in self.extra {
            emit(name, value);
        }
        for (name, value) in &self.x.asks.lines {
            emit(name.as_bytes(), value);
        }
    }
}

impl RequestLines<'_> {
    /// Binding for OPTIONS alone, since TRACE does not come this far.
    fn forwards_left(&self) -> Option<u64> {
        let head = &self.x.incoming.head;
        (head.method == Method::Options)
            .then(|| hop::forwards_left(&head.fields))
            .flatten()
    }

    fn drops(&self, field: &Field<'_>) -> bool {
        let incoming = &self.x.incoming;
        hop::is_alias(field.raw_name) && !self.is_metadata(field)
            || hop::is_client_cert(field.raw_name)
            || !incoming.is_trusted && hop::is_posing(field.raw_name)
            || incoming.lawful.listed.others && hop::is_listed(field, &incoming.head.fields)
            || self.route.request_edits.drops_other(field)
    }

    /// Is a name with an underscore one that a call of gRPC may have? Its server does not confuse
    /// `_` with `-`; should it do so all the same, the name must mean nothing to us or to the route.
    fn is_metadata(&self, field: &Field<'_>) -> bool {
        let head = &self.x.incoming.head;
        if head.version != Version::Http2
            || matches!(self.manner.protocol(), Protocol::Http1)
            || !grpc::is_call(&head.fields)
        {
            return false;
        }
        let mut room = [0; hop::ALIAS_MAX];
        hop::with_hyphens(field.raw_name, &mut room).is_some_and(|name| {
            !hop::is_guarded(name) && !self.route.request_edits.drops_named(name)
        })
    }

    /// What we say about the client and about ourselves. A name the route edits is the route's.
    fn own_lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        let incoming = &self.x.incoming;
        let fields = &incoming.head.fields;
        let edited = self.route.request_edits.dropped();
        let mut line = |name: Name, value: &[u8]| {
            if !edited.contains(name) {
                emit(name.as_str().as_bytes(), value);
            }
        };
        self.forwarded_for(&mut line);
        let trusted = |name: Name| fields.get(name).filter(|_| incoming.is_trusted);
        line(Name::X_FORWARDED_PROTO, incoming.scheme.as_bytes());
        let authority = &incoming.target.authority;
        let host = trusted(Name::X_FORWARDED_HOST).unwrap_or(authority.as_str().as_bytes());
        if !host.is_empty() {
            line(Name::X_FORWARDED_HOST, host);
        }
        let default = if incoming.scheme == "https" { 443 } else { 80 };
        self.x.worker.with_scratch(|port| {
            text::number(port, authority.port().unwrap_or(default).into());
            let port = trusted(Name::X_FORWARDED_PORT).unwrap_or(port);
            line(Name::X_FORWARDED_PORT, port);
        });
        if let Some(via) = &self.x.plan().via {
            line(Name::VIA, via.member(incoming.head.version));
        }
        line(Name::X_REQUEST_ID, incoming.id().as_bytes());
        if incoming.trace.is_some()
            && let Some(value) = fields.get(Name::TRACEPARENT)
        {
            line(Name::TRACEPARENT, value);
        }
        if incoming.lawful.expects_continue {
            line(Name::EXPECT, b"100-continue");
        }
        if self.route.forwarded {
            self.forwarded(&mut line);
        }
        if fields.contains(Name::TE)
            && (fields.all(Name::TE).flat_map(members))
                .any(|member| member.eq_ignore_ascii_case(b"trailers"))
            && !incoming.lawful.wants_websocket
        {
            emit(b"te", b"trailers");
            emit(b"connection", b"te");
        }
    }

    fn forwarded_for(&self, line: &mut impl FnMut(Name, &[u8])) {
        let incoming = &self.x.incoming;
        let Some(ip) = incoming.peer_ip else {
            // A unix peer has no address; what it says is all there is.
            if incoming.is_trusted {
                for value in incoming.head.fields.all(Name::X_FORWARDED_FOR) {
                    line(Name::X_FORWARDED_FOR, value);
                }
            }
            return;
        };
        self.x.worker.with_scratch(|value| {
            if incoming.is_trusted {
                for before in incoming.head.fields.all(Name::X_FORWARDED_FOR) {
                    value.extend_from_slice(before);
                    value.extend_from_slice(b", ");
                }
            }
            text::address(value, ip);
            line(Name::X_FORWARDED_FOR, value);
        });
    }

    /// RFC 7239; a trusted peer's own elements were kept as lines before this one.
    fn forwarded(&self, line: &mut impl FnMut(Name, &[u8])) {
        let incoming = &self.x.incoming;
        let mut value = String::with_capacity(96);
        match incoming.peer_ip {
            Some(IpAddr::V6(v6)) => _ = write!(value, "for=\"[{v6}]\""),
            Some(v4) => _ = write!(value, "for={v4}"),
            None => value.push_str("for=unknown"),
        }
        let host = incoming.target.authority.as_str();
        if !host.is_empty() {
            let _ = write!(value, ";host=\"{host}\"");
        }
        let _ = write!(value, ";proto={}", incoming.scheme);
        line(Name::FORWARDED, value.as_bytes());
    }
}
