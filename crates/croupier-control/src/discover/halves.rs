//! The two halves of a host's addresses, IPv4 and IPv6, put together: pure.
//!
//! Each half is an answer, an empty answer or a failure. A failure of one half must not look as
//! if its addresses had been taken away.

use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

/// Addresses of one name that are used; the rest of a larger answer is left out.
pub(super) const ADDRESSES_MAX: usize = 64;
/// An answer of which a part is missing is asked for again after this, or its TTL.
pub(super) const TTL_PARTIAL: Duration = Duration::from_secs(5);

/// What came of the question for one family, or for SRV records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Half<T> {
    /// Records, and how long they are good for.
    Found(Vec<T>, Duration),
    /// The name has none of these, or is not there at all.
    Nothing(&'static str),
    /// No word about them.
    Failed(String),
}

/// Why a name was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The answer is that there is nothing.
    Absent(&'static str),
    /// There is no answer.
    Unknown(String),
}

impl Missing {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Absent(reason) => reason.to_owned(),
            Self::Unknown(reason) => reason,
        }
    }
}

/// Both halves as one answer, ordered and each address once. A half that failed keeps what is
/// `known` of its family.
pub(super) fn join(
    v4: Half<IpAddr>,
    v6: Half<IpAddr>,
    known: &[IpAddr],
) -> Result<(Vec<IpAddr>, Duration), Missing> {
    let (mut all, mut ttl) = (Vec::new(), Duration::MAX);
    let mut is_whole = true;
    let mut missing = None;
    let mut is_found = false;
    for (half, is_v4) in [(v4, true), (v6, false)] {
        match half {
            Half::Found(addresses, good_for) => {
                is_found = true;
                ttl = ttl.min(good_for);
                all.extend(addresses);
            }
            Half::Nothing(reason) => {
                missing.get_or_insert(Missing::Absent(reason));
            }
            Half::Failed(reason) => {
                is_whole = false;
                all.extend(known.iter().filter(|address| address.is_ipv4() == is_v4));
                missing = Some(Missing::Unknown(reason));
            }
        }
    }
    match missing {
        Some(missing) if !is_found => Err(missing),
        _ if all.is_empty() => Err(Missing::Absent("no addresses")),
        _ => {
            all.sort_unstable();
            all.dedup();
            let ttl = if is_whole { ttl } else { ttl.min(TTL_PARTIAL) };
            Ok((all, ttl))
        }
    }
}

/// Leaves out what this machine has no route to, unless that is everything: then connecting
/// shall say so.
pub(super) fn with_a_route(all: Vec<IpAddr>, has_route: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
    let (near, far): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| has_route(*address));
    if near.is_empty() { far } else { near }
}

/// Would the kernel know where to send to? Connecting a UDP socket asks it and sends nothing.
pub(super) fn has_route(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((address, 9)).is_ok())
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{Half, Missing, has_route, join, with_a_route};

    const TTL: Duration = Duration::from_secs(60);

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn found(texts: &[&str], ttl: u64) -> Half<IpAddr> {
        Half::Found(ips(texts), Duration::from_secs(ttl))
    }

    #[test]
    fn both_families_are_used_in_a_stable_order_for_the_shorter_time() {
        let v4 = found(&["10.0.0.2", "10.0.0.1", "10.0.0.2"], 60);
        let v6 = found(&["fd00::1"], 20);
        let wanted = (
            ips(&["10.0.0.1", "10.0.0.2", "fd00::1"]),
            Duration::from_secs(20),
        );
        assert_eq!(join(v4, v6, &[]), Ok(wanted));
    }

    #[test]
    fn an_empty_half_takes_its_addresses_away_and_a_failed_half_does_not() {
        let known = ips(&["10.0.0.1", "fd00::1"]);
        let v4 = || found(&["10.0.0.2"], 60);
        let only_v4 = join(v4(), Half::Nothing("no addresses"), &known);
        assert_eq!(only_v4, Ok((ips(&["10.0.0.2"]), TTL)));
        let (both, ttl) = join(v4(), Half::Failed("timeout".into()), &known).unwrap();
        assert_eq!(both, ips(&["10.0.0.2", "fd00::1"]));
        assert!(ttl < TTL, "the missing half is asked for soon");
    }

    #[test]
    fn without_one_address_there_is_no_answer() {
        let known = ips(&["10.0.0.1"]);
        let failed = || Half::Failed("SERVFAIL".into());
        let nothing = || Half::Nothing("NXDOMAIN");
        let unknown = Err(Missing::Unknown("SERVFAIL".into()));
        assert_eq!(join(failed(), failed(), &known), unknown);
        assert_eq!(join(failed(), nothing(), &known), unknown);
        assert_eq!(join(nothing(), failed(), &known), unknown);
        assert_eq!(
            join(nothing(), nothing(), &known),
            Err(Missing::Absent("NXDOMAIN"))
        );
    }

    #[test]
    fn addresses_without_a_route_are_left_out_but_never_all() {
        let all = ips(&["10.0.0.1", "fd00::1"]);
        assert_eq!(
            with_a_route(all.clone(), |one| one.is_ipv4()),
            ips(&["10.0.0.1"])
        );
        assert_eq!(with_a_route(all.clone(), |_| false), all);
        assert!(has_route([127, 0, 0, 1].into()));
    }
}
