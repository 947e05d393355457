//! What the system says about names: `/etc/resolv.conf`, `/etc/hosts` and which names to try for a
//! short one. Read again when a file has changed.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name as DnsName, RecordType},
    },
    system_conf::read_system_conf,
};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// How long one DNS server has for one question, and how often another or the same is asked; the
/// system's own choice where that is shorter.
const QUESTION_TIME: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// A file as it was when it was read: time of change and size.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &str) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// The system's view, as read.
pub(super) struct System {
    /// Asks the DNS servers.
    pub(super) resolver: TokioResolver,
    hosts: Hosts,
    search: Vec<DnsName>,
    /// Names with fewer dots are tried with the search domains first.
    ndots: usize,
    stamps: [Stamp; 2],
}

impl System {
    /// Reads the files. `servers` are asked instead of the system's, unless there are none.
    ///
    /// # Errors
    /// When no resolver can be made of it.
    pub(super) fn read(servers: &[SocketAddr]) -> Result<Self, NetError> {
        let stamps = [stamp(RESOLV_CONF), stamp(HOSTS)];
        // Without that file the C library asks this machine, and so do we.
        let (config, mut options) = read_system_conf().unwrap_or_else(|_| {
            let here = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_name_servers(vec![here]);
            (config, ResolverOpts::default())
        });
        options.timeout = options.timeout.min(QUESTION_TIME);
        options.attempts = options.attempts.min(ATTEMPTS);
        // We keep what was found, for as long as it is good for, and want to see the TTL.
        options.cache_size = 0;
        // Host files and search domains are looked at here, for both families at once.
        options.use_hosts_file = ResolveHosts::Never;
        let mut search = config.search().to_vec();
        if search.is_empty() {
            search.extend(config.domain().cloned());
        }
        let ndots = options.ndots;
        let asked = if servers.is_empty() {
            config.name_servers().to_vec()
        } else {
            servers.iter().map(name_server).collect()
        };
        let mut builder = TokioResolver::builder_with_config(
            ResolverConfig::from_name_servers(asked),
            TokioRuntimeProvider::default(),
        );
        *builder.options_mut() = options;
        Ok(Self {
            resolver: builder.build()?,
            hosts: Hosts::from_system().unwrap_or_default(),
            search,
            ndots,
            stamps,
        })
    }

    /// Has a file changed since it was read?
    pub(super) fn is_stale(&self) -> bool {
        self.stamps != [stamp(RESOLV_CONF), stamp(HOSTS)]
    }

    /// What the hosts file says; for `localhost` this machine, whatever it says not
    /// (RFC 6761 section 6.3).
    pub(super) fn in_hosts(&self, host: &str) -> Vec<IpAddr> {
        let Ok(name) = DnsName::from_ascii(host) else {
            return Vec::new();
        };
        let mut found: Vec<IpAddr> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| {
                self.hosts
                    .lookup_static_host(&Query::query(name.clone(), kind))
            })
            .flat_map(|lookup| {
                let answers = lookup.answers().iter();
                answers
                    .filter_map(|record| record.data.ip_addr())
                    .collect::<Vec<_>>()
            })
            .collect();
        let host = host.trim_end_matches('.');
        if found.is_empty() && (host == "localhost" || host.ends_with(".localhost")) {
            found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        found
    }

    /// The full names to ask for, in order.
    pub(super) fn candidates(&self, name: &str) -> Vec<DnsName> {
        candidates(name, &self.search, self.ndots)
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

/// As the C library has it: a name with a last dot as it is; one with fewer dots than `ndots` in
/// each search domain and then as it is; any other first as it is and then in the domains.
fn candidates(name: &str, search: &[DnsName], ndots: usize) -> Vec<DnsName> {
    let Ok(plain) = DnsName::from_ascii(name) else {
        return Vec::new();
    };
    let mut whole = plain.clone();
    whole.set_fqdn(true);
    if name.ends_with('.') {
        return vec![whole];
    }
    let mut all: Vec<DnsName> = search
        .iter()
        .filter_map(|domain| plain.clone().append_domain(domain).ok())
        .map(|mut name| {
            name.set_fqdn(true);
            name
        })
        .collect();
    let dots = name.matches('.').count();
    all.insert(if dots < ndots { all.len() } else { 0 }, whole);
    all
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name as DnsName;

    use super::candidates;

    fn said(name: &str, search: &[&str], ndots: usize) -> Vec<String> {
        let search: Vec<_> = search
            .iter()
            .map(|domain| DnsName::from_ascii(domain).unwrap())
            .collect();
        let all = candidates(name, &search, ndots);
        all.into_iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn search_domains_apply_as_the_system_says() {
        let kubernetes = ["default.svc.cluster.local", "svc.cluster.local"];
        assert_eq!(
            said("app", &kubernetes, 5),
            [
                "app.default.svc.cluster.local.",
                "app.svc.cluster.local.",
                "app."
            ]
        );
        assert_eq!(
            said("app.prod", &["lan"], 1),
            ["app.prod.", "app.prod.lan."]
        );
        assert_eq!(said("app.prod.", &["lan"], 5), ["app.prod."]);
        assert_eq!(said("app", &[], 0), ["app."], "as docker has it");
        assert_eq!(
            said("_http._tcp.web", &["lan."], 1),
            ["_http._tcp.web.", "_http._tcp.web.lan."]
        );
    }
}
