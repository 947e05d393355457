//! One look-up of one name, from the question to an answer in a stable order.
//!
//! IPv4 and IPv6 are asked for at the same time. An answer is used when it is there; a server that
//! never answers the other half holds it up for a moment only.

use std::{cell::RefCell, net::IpAddr, net::SocketAddr, rc::Rc, time::Duration};

use croupier_proxy::live::{Name, NamedAddress, Source};
use hickory_resolver::{
    net::{DnsError, NetError},
    proto::rr::{Name as DnsName, RData, RecordType},
};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::{
    halves::{ADDRESSES_MAX, Half, Missing, TTL_PARTIAL, has_route, join, with_a_route},
    srv,
    system::System,
};

/// One look-up, with all its questions.
const LOOK_UP_TIME: Duration = Duration::from_secs(10);
/// How long the first half of an answer waits for the second.
const HALF_TIME: Duration = Duration::from_millis(500);
/// Questions at once. Each has a socket of its own, and descriptors are for traffic.
const QUESTIONS_MAX: usize = 32;
/// How long the hosts file is good for: it is on this machine, and cheap to look at.
const HOSTS_TTL: Duration = Duration::from_secs(5);

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// At least one, in a stable order.
    pub(super) addresses: Vec<NamedAddress>,
    pub(super) ttl: Duration,
    pub(super) source: Source,
    /// Records there were, when not all are used.
    pub(super) cut_from: Option<usize>,
}

/// The addresses of a host, at least one.
struct Addresses {
    all: Vec<IpAddr>,
    ttl: Duration,
    source: Source,
}

/// Asks the DNS servers and the files of the system.
pub(super) struct Asker {
    servers: Vec<SocketAddr>,
    system: RefCell<Option<Rc<System>>>,
    room: Semaphore,
}

impl Asker {
    /// Asks these servers, or those of the system when there are none.
    pub(super) fn new(servers: &[SocketAddr]) -> Rc<Self> {
        Rc::new(Self {
            servers: servers.to_vec(),
            system: RefCell::default(),
            room: Semaphore::new(QUESTIONS_MAX),
        })
    }

    pub(super) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// Looks a name up. `known` is what it stood for until now.
    pub(super) async fn look_up(
        self: &Rc<Self>,
        name: &Name,
        known: &[NamedAddress],
    ) -> Result<Answer, String> {
        let look_up = async {
            match name {
                Name::Host(host) => self.host(host, known).await,
                Name::Srv(name) => self.srv(name, known).await,
            }
        };
        match timeout(LOOK_UP_TIME, look_up).await {
            Ok(answer) => answer.map_err(Missing::reason),
            Err(_) => Err("timeout".into()),
        }
    }

    /// The system's view, fresh.
    fn system(&self) -> Result<Rc<System>, Missing> {
        let mut held = self.system.borrow_mut();
        if let Some(system) = &*held
            && !system.is_stale()
        {
            return Ok(Rc::clone(system));
        }
        match System::read(&self.servers) {
            Ok(system) => Ok(Rc::clone(held.insert(Rc::new(system)))),
            Err(error) => Err(Missing::Unknown(error.to_string())),
        }
    }

    async fn host(&self, host: &str, known: &[NamedAddress]) -> Result<Answer, Missing> {
        let known: Vec<IpAddr> = known.iter().map(|one| one.address).collect();
        let mut found = self.addresses(host, &known).await?;
        let count = found.all.len();
        found.all.truncate(ADDRESSES_MAX);
        let named = |address| NamedAddress {
            host: host.to_owned(),
            address,
            port: None,
            weight: 1,
            tier: 0,
        };
        Ok(Answer {
            cut_from: (count > ADDRESSES_MAX).then_some(count),
            addresses: found.all.into_iter().map(named).collect(),
            ttl: found.ttl,
            source: found.source,
        })
    }

    async fn addresses(&self, host: &str, known: &[IpAddr]) -> Result<Addresses, Missing> {
        let system = self.system()?;
        let mut all = system.in_hosts(host);
        if !all.is_empty() {
            all.sort_unstable();
            all.dedup();
            return Ok(Addresses {
                all: with_a_route(all, has_route),
                ttl: HOSTS_TTL,
                source: Source::Hosts,
            });
        }
        let mut missing = Missing::Absent("not a name");
        for name in system.candidates(host) {
            let (v4, v6) = both(
                self.half(&system, &name, RecordType::A),
                self.half(&system, &name, RecordType::AAAA),
            )
            .await;
            match join(v4, v6, known) {
                Ok((all, ttl)) => {
                    return Ok(Addresses {
                        all: with_a_route(all, has_route),
                        ttl,
                        source: Source::Dns,
                    });
                }
                Err(other) => is_next_tried(&mut missing, other, known.is_empty())?,
            }
        }
        Err(missing)
    }

    async fn srv(self: &Rc<Self>, name: &str, known: &[NamedAddress]) -> Result<Answer, Missing> {
        let (records, mut ttl) = self.records(name, known.is_empty()).await?;
        let count = records.len();
        let ranked = srv::rank(records);
        if ranked.is_empty() {
            return Err(Missing::Absent("the service is said not to be there"));
        }
        let mut cut = count > srv::RECORDS_MAX;
        let mut hosts = JoinSet::new();
        for (at, one) in ranked.iter().enumerate() {
            let (asker, host) = (Rc::clone(self), one.host.clone());
            let known: Vec<IpAddr> = known
                .iter()
                .filter(|other| other.host == one.host)
                .map(|other| other.address)
                .collect();
            hosts.spawn_local(async move {
                let found = asker.addresses(&host, &known).await;
                (at, found.map(|found| (found.all, found.ttl)), known)
            });
        }
        let mut found: Vec<Vec<IpAddr>> = vec![Vec::new(); ranked.len()];
        let mut missing = Missing::Absent("no addresses");
        while let Some(Ok((at, addresses, known))) = hosts.join_next().await {
            match addresses {
                Ok((all, good_for)) => {
                    ttl = ttl.min(good_for);
                    found[at] = all;
                }
                Err(reason) => {
                    // It is listed, so it is still meant: what was known of it stays.
                    missing = reason;
                    ttl = ttl.min(TTL_PARTIAL);
                    found[at] = known;
                }
            }
        }
        let mut all = Vec::new();
        for (one, addresses) in ranked.into_iter().zip(found) {
            all.extend(addresses.into_iter().map(|address| NamedAddress {
                host: one.host.clone(),
                address,
                port: Some(one.port),
                weight: one.weight,
                tier: one.tier,
            }));
        }
        if all.is_empty() {
            return Err(missing);
        }
        let count = count.max(all.len());
        cut |= all.len() > ADDRESSES_MAX;
        all.truncate(ADDRESSES_MAX);
        Ok(Answer {
            addresses: all,
            ttl,
            source: Source::Dns,
            cut_from: cut.then_some(count),
        })
    }

    async fn records(
        &self,
        name: &str,
        is_new: bool,
    ) -> Result<(Vec<srv::Record>, Duration), Missing> {
        let system = self.system()?;
        let mut missing = Missing::Absent("not a name");
        for name in system.candidates(name) {
            let half = self.question(&system, &name, RecordType::SRV, |data| match data {
                RData::SRV(srv) => Some(srv::Record {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: host_text(&srv.target),
                }),
                _ => None,
            });
            let other = match half.await {
                Half::Found(records, ttl) => return Ok((records, ttl)),
                Half::Nothing(reason) => Missing::Absent(reason),
                Half::Failed(reason) => Missing::Unknown(reason),
            };
            is_next_tried(&mut missing, other, is_new)?;
        }
        Err(missing)
    }

    async fn half(&self, system: &System, name: &DnsName, kind: RecordType) -> Half<IpAddr> {
        self.question(system, name, kind, |data| match (kind, data) {
            (RecordType::A, RData::A(address)) => Some(IpAddr::V4(address.0)),
            (RecordType::AAAA, RData::AAAA(address)) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }

    async fn question<T>(
        &self,
        system: &System,
        name: &DnsName,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Half<T> {
        let _room = self.room.acquire().await;
        match system.resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                let records = lookup.answers();
                // The aliases on the way count too: when they change, so does the answer.
                let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
                let found: Vec<T> = records.iter().filter_map(|r| pick(&r.data)).collect();
                if found.is_empty() {
                    Half::Nothing("no addresses")
                } else {
                    Half::Found(found, Duration::from_secs(ttl.into()))
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                if none.response_code == hickory_resolver::proto::op::ResponseCode::NXDomain {
                    Half::Nothing("NXDOMAIN")
                } else {
                    Half::Nothing("no addresses")
                }
            }
            Err(NetError::Timeout) => Half::Failed("timeout".into()),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => Half::Failed(format!("{code:?}")),
            Err(error) => Half::Failed(error.to_string()),
        }
    }
}

/// The next search domain is tried when this one has no such name. When there is no word from it,
/// the next is tried only while nothing is known: a name must not change its meaning because a
/// DNS server was slow.
fn is_next_tried(missing: &mut Missing, other: Missing, is_new: bool) -> Result<(), Missing> {
    match (&missing, &other) {
        (_, Missing::Unknown(_)) if !is_new => return Err(other),
        (Missing::Unknown(_), Missing::Absent(_)) => {}
        _ => *missing = other,
    }
    Ok(())
}

/// Both halves of an answer; the first that holds something waits for the other only so long.
async fn both(
    v4: impl Future<Output = Half<IpAddr>>,
    v6: impl Future<Output = Half<IpAddr>>,
) -> (Half<IpAddr>, Half<IpAddr>) {
    let (mut v4, mut v6) = (std::pin::pin!(v4), std::pin::pin!(v6));
    tokio::select! {
        first = &mut v4 => {
            let second = rest(&first, v6).await;
            (first, second)
        }
        first = &mut v6 => {
            let second = rest(&first, v4).await;
            (second, first)
        }
    }
}

async fn rest(first: &Half<IpAddr>, second: impl Future<Output = Half<IpAddr>>) -> Half<IpAddr> {
    if matches!(first, Half::Found(..)) {
        let waited = timeout(HALF_TIME, second).await;
        waited.unwrap_or_else(|_| Half::Failed("timeout".into()))
    } else {
        second.await
    }
}

/// A name of the wire as it is written in a config: lower case, no last dot.
fn host_text(name: &DnsName) -> String {
    let text = name.to_lowercase().to_ascii();
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Missing, is_next_tried};

    #[test]
    fn a_slow_dns_server_does_not_change_what_a_known_name_means() {
        let absent = || Missing::Absent("NXDOMAIN");
        let unknown = || Missing::Unknown("timeout".into());
        let mut missing = absent();
        assert!(is_next_tried(&mut missing, absent(), false).is_ok());
        assert_eq!(
            is_next_tried(&mut missing, unknown(), false),
            Err(unknown())
        );
        // While nothing is known anything is better; the reason that says more is told.
        assert!(is_next_tried(&mut missing, unknown(), true).is_ok());
        assert!(is_next_tried(&mut missing, absent(), true).is_ok());
        assert_eq!(missing, unknown());
    }
}
