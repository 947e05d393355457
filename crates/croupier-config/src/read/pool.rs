//! Pools: the named ones, and those that `proxy` makes.

use std::collections::HashMap;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{
    Balance, Health, HostHeader, Pool, PoolId, PoolKind, Protocol, Server, ServerAddress, Switch,
};
use crate::nearest::nearest;
use crate::read::{
    Complaint, Field, Fields, Reader, address, balance, health, host, limits, origin, retry,
    server, sticky,
};
use crate::source::Spanned;
use crate::tree::Entry;

/// The pools found so far. Names are known before any route is read.
#[derive(Default)]
pub(crate) struct PoolBook {
    pools: Vec<Pool>,
    names: HashMap<String, PoolId>,
    anonymous: HashMap<String, PoolId>,
}

impl PoolBook {
    pub(crate) fn into_pools(self) -> Vec<Pool> {
        self.pools
    }

    /// First pass: the name, so that whoever refers to it finds it.
    pub(crate) fn name(&mut self, reader: &mut Reader, entry: &Entry) {
        let key = &entry.key;
        if entry.node.as_table().is_none() {
            return;
        }
        if let Some(first) = self.names.get(&key.value) {
            let message = format!("a pool `{}` exists already", key.value);
            reader.note(
                Diagnostic::error(codes::DUPLICATE_POOL, key.span, message)
                    .and(self.pools[first.0].name.span, "first here")
                    .help("give one of them another name"),
            );
            return;
        }
        self.names
            .insert(key.value.clone(), PoolId(self.pools.len()));
        let (kind, span) = (PoolKind::Named, entry.node.span);
        self.pools
            .push(Pool::new(key.clone(), kind, Vec::new(), span));
    }

    /// Second pass: what the pool says.
    pub(crate) fn read(&mut self, reader: &mut Reader, entry: &Entry) {
        let key = Spanned::new(entry.key.value.as_str(), entry.key.span);
        if entry.node.as_table().is_none() {
            let diagnostic = if keys::POOL.key(key.value).is_some() {
                let message = "a pool needs a name";
                Diagnostic::error(codes::WRONG_TYPE, key.span, message)
                    .help("write its header as `[pool.web]`")
            } else {
                let message = format!("a pool is a table, not {}", entry.node.found());
                let help = format!("write `[pool.{}]` and its keys below", key.value);
                Diagnostic::error(codes::WRONG_TYPE, entry.node.span, message).help(help)
            };
            reader.note(diagnostic);
            return;
        }
        reader.parse(key, codes::NAME, host::label);
        let Some(table) = Fields::open(reader, &entry.node, &keys::POOL) else {
            return;
        };
        let servers = match table.need(reader, "servers") {
            Some(field) => server::servers(reader, &field),
            None => Vec::new(),
        };
        let name = Spanned::new(key.value.to_owned(), key.span);
        let mut read = Pool::new(name, PoolKind::Named, servers, entry.node.span);
        conduct(reader, &table, &mut read);
        read.timeout = limits::overrides(reader, &table);
        if let Some(host) = table
            .get("host")
            .and_then(|field| host_header(reader, &field))
        {
            read.host = host;
        }
        origin::speech(reader, &table, &mut read);
        let idle = table
            .get("idle_per_server")
            .and_then(|field| field.integer(reader));
        read.idle_per_server = idle.and_then(|idle| usize::try_from(idle.value).ok());
        // A second pool of the same name was noted; its content is of no use.
        let id = self.names.get(key.value).copied();
        if let Some(pool) = id.and_then(|id| self.pools.get_mut(id.0))
            && pool.name.span == key.span
        {
            *pool = read;
        }
    }

    /// The name of a pool that was found.
    pub(crate) fn name_of(&self, id: PoolId) -> &str {
        self.pools.get(id.0).map_or("", |pool| pool.name.as_str())
    }

    /// The pool of this name, or a note that there is none.
    pub(crate) fn find(&self, reader: &mut Reader, name: Spanned<&str>) -> Option<Spanned<PoolId>> {
        if let Some(id) = self.names.get(name.value) {
            return Some(Spanned::new(*id, name.span));
        }
        let message = format!("no pool is named `{}`", name.value);
        let mut diagnostic = Diagnostic::error(codes::NO_SUCH_POOL, name.span, message);
        let known = || {
            self.pools
                .iter()
                .filter(|pool| pool.kind == PoolKind::Named)
        };
        if let Some(near) = nearest(name.value, known().map(|pool| pool.name.as_str()))
            && let Some(id) = self.names.get(near)
        {
            diagnostic = diagnostic
                .and(self.pools[id.0].name.span, "defined here")
                .help(format!("did you mean `{near}`?"));
        } else if address::server(name.value).is_ok() {
            let help = format!(
                "for a server without a pool write `proxy = \"{}\"`",
                name.value
            );
            diagnostic = diagnostic.help(help);
        } else if known().next().is_none() {
            let help = format!("define it: `[pool.{}]` with `servers = [..]`", name.value);
            diagnostic = diagnostic.help(help);
        } else {
            let names: Vec<&str> = known().take(8).map(|pool| pool.name.as_str()).collect();
            diagnostic = diagnostic.help(match names[..] {
                [only] => format!("the only pool is `{only}`"),
                _ => format!("the pools are {}", keys::all_of(&names)),
            });
        }
        reader.note(diagnostic);
        None
    }

    /// The pool of `proxy = ..`; two with the same servers are one.
    pub(crate) fn anonymous(
        &mut self,
        reader: &mut Reader,
        field: &Field<'_>,
    ) -> Option<Spanned<PoolId>> {
        field.note_empty(reader);
        let texts = field.texts(reader);
        let count = texts.len();
        let servers: Vec<Spanned<(Protocol, ServerAddress)>> = texts
            .into_iter()
            .filter_map(|text| match self.names.get(text.value) {
                Some(_) => {
                    let message = format!("`{}` is a pool, not a server", text.value);
                    let help = format!("write `pool = \"{}\"`", text.value);
                    let note = Diagnostic::error(codes::ADDRESS, text.span, message).help(help);
                    reader.note(note);
                    None
                }
                None => reader.parse(text, codes::ADDRESS, origin::server),
            })
            .collect();
        let is_mixed = origin::note_mixed(reader, &servers);
        let protocol = servers
            .first()
            .map_or(Protocol::Http, |first| first.value.0);
        let addresses: Vec<Spanned<ServerAddress>> = servers
            .into_iter()
            .map(|server| server.map(|(_, address)| address))
            .collect();
        field.note_twice(reader, &addresses, ToString::to_string);
        if addresses.is_empty() || addresses.len() < count || is_mixed {
            return None;
        }
        let span = field.node.span;
        let scheme = origin::scheme(protocol);
        let name = addresses
            .iter()
            .map(|address| format!("{scheme}{}", address.value))
            .collect::<Vec<_>>()
            .join(",");
        if let Some(id) = self.anonymous.get(&name) {
            return Some(Spanned::new(*id, span));
        }
        let id = PoolId(self.pools.len());
        self.anonymous.insert(name.clone(), id);
        let servers = addresses.into_iter().map(Server::new).collect();
        let name = Spanned::new(name, span);
        let mut pool = Pool::new(name, PoolKind::Anonymous, servers, span);
        pool.protocol = protocol;
        self.pools.push(pool);
        Some(Spanned::new(id, span))
    }
}

/// Who is chosen, who is well, and what happens when something fails.
fn conduct(reader: &mut Reader, table: &Fields<'_>, pool: &mut Pool) {
    if let Some(balance) = table
        .get("balance")
        .and_then(|field| balance::balance(reader, &field))
    {
        pool.balance = balance;
    }
    pool.health = table
        .get("health")
        .and_then(|field| health::health(reader, &field));
    if let Some(field) = table.get("health") {
        note_port(reader, &field, pool);
    }
    if let Some(field) = table.get("eject") {
        pool.eject = health::eject(reader, &field);
    }
    pool.slow_start = table
        .get("slow_start")
        .filter(|field| !field.is_word("off"))
        .and_then(|field| field.time(reader, Duration::ZERO))
        .filter(|time| !time.is_zero());
    pool.queue = sticky::queue(reader, table);
    pool.sticky = table
        .get("sticky")
        .and_then(|field| sticky::sticky(reader, &field));
    if let (Balance::Hash(_), Some(balance), Some(sticky)) =
        (&pool.balance, table.get("balance"), table.get("sticky"))
    {
        balance::note_sticky(reader, &balance, &sticky);
    }
    pool.retry = retry::of_pool(reader, table);
    pool.hedge = match retry::hedge(reader, table) {
        Some(Switch::On(hedge)) => Some(hedge),
        Some(Switch::Off) | None => None,
    };
    pool.resume = table
        .get("resume")
        .and_then(|field| field.flag(reader))
        .unwrap_or(true);
}

/// A Unix socket has no port to be asked at.
fn note_port(reader: &mut Reader, health: &Field<'_>, pool: &Pool) {
    let unix = pool
        .servers
        .iter()
        .find(|server| matches!(server.address.value, ServerAddress::Unix(_)));
    if let (
        Some(Health {
            port: Some(port), ..
        }),
        Some(unix),
    ) = (&pool.health, unix)
    {
        let message = format!("a server on a Unix socket cannot be asked at port {port}");
        reader.note(
            Diagnostic::error(codes::CONFLICT, health.node.span, message)
                .and(unix.address.span, "this server")
                .help("leave out `port`, or put this server into a pool of its own"),
        );
    }
}

fn host_header(reader: &mut Reader, field: &Field<'_>) -> Option<HostHeader> {
    let text = field.full_text(reader)?;
    match text.value {
        "client" => Some(HostHeader::Client),
        "server" => Some(HostHeader::Server),
        _ => reader
            .parse(text, codes::HOST, literal_host)
            .map(|host| HostHeader::Literal(host.value)),
    }
}

/// A `Host` as it goes over the wire: name or address, and a port if need be.
pub(crate) fn literal_host(text: &str) -> Result<String, Complaint> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        return Err(Complaint::new(format!("`{text}` is not a host"))
            .help(format!("without the scheme: `{host}`")));
    }
    let name = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => {
            address::port(port)?;
            name
        }
        _ => text,
    };
    let is_address = name.parse::<std::net::Ipv4Addr>().is_ok()
        || name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .is_some_and(|name| name.parse::<std::net::Ipv6Addr>().is_ok());
    match host::name_problem(name) {
        Some(_) if is_address => Ok(text.to_owned()),
        Some(problem) => Err(Complaint::new(format!("`{text}` is not a host")).help(problem)),
        None => Ok(text.to_owned()),
    }
}
