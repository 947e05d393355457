//! What is shown although its time has not come, is over, or nearly is. Told once for each
//! certificate and concern; shown all the same, because a refused handshake helps nobody.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Weak},
    time::Duration,
};

use croupier_net::tls::certs::Certificate;
use croupier_proxy::{Live, live::certs::Shown};
use tokio::time::sleep;

use super::{tell, unix_now};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);

/// What is wrong with a certificate's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Concern {
    NotYet,
    /// In its last tenth: whoever renews has failed for long.
    Soon,
    Expired,
}

/// The concern at this moment, Unix seconds.
pub(crate) fn concern(not_before: u64, not_after: u64, now: u64) -> Option<Concern> {
    let life = not_after.saturating_sub(not_before);
    if now < not_before {
        Some(Concern::NotYet)
    } else if now >= not_after {
        Some(Concern::Expired)
    } else if not_after - now <= life / 10 {
        Some(Concern::Soon)
    } else {
        None
    }
}

/// A certificate, and the concern that was told of it.
type Of = (Weak<Certificate>, Option<Concern>);

/// What was told of the certificates of sites. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Rc<RefCell<HashMap<String, Of>>>);

impl Told {
    /// Tells what is new.
    pub(super) fn look(&self, shown: &[Shown], now: u64) {
        let mut all = self.0.borrow_mut();
        for Shown { site, source, slot } in shown {
            let Some(certificate) = slot.get() else {
                continue;
            };
            let found = concern(certificate.not_before(), certificate.not_after(), now);
            let weak = Arc::downgrade(&certificate);
            let told = all.get(site);
            if told.is_some_and(|(of, told)| of.ptr_eq(&weak) && *told == found) {
                continue;
            }
            if let Some(found) = found {
                tell::concern(site, source, found, &certificate);
            }
            all.insert(site.clone(), (weak, found));
        }
        all.retain(|site, _| shown.iter().any(|shown| shown.site == *site));
    }
}

/// Looks every minute, for as long as somebody holds `live`.
pub(super) async fn watch(live: Weak<Live>, told: Told) {
    loop {
        sleep(EVERY).await;
        let Some(live) = live.upgrade() else { return };
        told.look(&live.certs.shown(), unix_now());
    }
}

#[cfg(test)]
mod tests {
    use super::{Concern, concern};

    #[test]
    fn only_the_last_tenth_is_a_concern() {
        let of = |now| concern(1000, 2000, now);
        assert_eq!(of(999), Some(Concern::NotYet));
        assert_eq!(of(1000), None);
        assert_eq!(of(1899), None);
        assert_eq!(of(1900), Some(Concern::Soon));
        assert_eq!(of(1999), Some(Concern::Soon));
        assert_eq!(of(2000), Some(Concern::Expired));
        assert_eq!(
            concern(2, 1, 1),
            Some(Concern::NotYet),
            "nonsense does no harm"
        );
    }
}
