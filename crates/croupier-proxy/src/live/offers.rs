//! What handshakes are made with, by what it is made of: the same object for the same settings,
//! across reloads.
//!
//! Two connections with the same [`Offer`] were shown the same certificate and let in by the same
//! rules, so a request of the one may come over the other. Whoever compares them compares pointers.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use croupier_config::model::TlsProfile;
use croupier_net::tls::{
    TlsError,
    certs::Slot,
    client_auth::ClientAuthTerms,
    server::{self, Offer, Profile, ServerTerms},
};

use super::certs::Certs;

/// Whom a site lets in: which client certificates are believed.
#[derive(Clone)]
pub struct Policy {
    id: u64,
    auth: Option<Arc<ClientAuth>>,
}

/// What [`ClientAuthTerms`] are made of.
struct ClientAuth {
    is_required: bool,
    ca: Vec<Vec<u8>>,
    crl: Vec<Vec<u8>>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.auth {
            None => f.write_str("everybody"),
            Some(auth) if auth.is_required => write!(f, "{:016x} required", self.id),
            Some(_) => write!(f, "{:016x} optional", self.id),
        }
    }
}

impl Policy {
    /// Everybody is let in.
    #[must_use]
    pub fn everybody() -> Self {
        Self { id: 0, auth: None }
    }

    /// The identity of the rules: 0 without any, else of their contents.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Are clients asked for a certificate?
    #[must_use]
    pub fn asks(&self) -> bool {
        self.auth.is_some()
    }

    /// Is nobody let in without one?
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.is_required)
    }
}

/// Everything but the certificate itself that a handshake is made with.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Versions and suites.
    pub profile: TlsProfile,
    /// Whom it lets in.
    pub policy: Policy,
}

/// The slot by its address, which nobody else has while an offer holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    slot: usize,
    profile: TlsProfile,
    policy: u64,
}

/// The offers of the process.
#[derive(Debug, Default)]
pub struct Offers {
    known: Mutex<HashMap<Key, Arc<Offer>>>,
    /// Keyed at random: nobody outside can make two policies look the same.
    identity: RandomState,
}

impl Offers {
    /// The rules of these files' contents, PEM.
    #[must_use]
    pub fn policy(&self, is_required: bool, ca: Vec<Vec<u8>>, crl: Vec<Vec<u8>>) -> Policy {
        let id = self.identity.hash_one((is_required, &ca, &crl)).max(1);
        let auth = ClientAuth {
            is_required,
            ca,
            crl,
        };
        Policy {
            id,
            auth: Some(Arc::new(auth)),
        }
    }

    /// The offer of what lies in `slot` on these terms.
    ///
    /// # Errors
    /// When the client authorities or revocation lists can not be used: they are never left out.
    pub fn offer(
        &self,
        certs: &Certs,
        slot: Arc<Slot>,
        terms: &Terms,
    ) -> Result<Arc<Offer>, TlsError> {
        let key = Key {
            slot: Arc::as_ptr(&slot).addr(),
            profile: terms.profile,
            policy: terms.policy.id,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offer) = known.get(&key) {
            return Ok(Arc::clone(offer));
        }
        let auth = terms.policy.auth.as_deref();
        let config = server::server_config(ServerTerms {
            profile: match terms.profile {
                TlsProfile::Intermediate => Profile::Intermediate,
                TlsProfile::Modern => Profile::Modern,
            },
            client_auth: auth.map(|auth| ClientAuthTerms {
                required: auth.is_required,
                ca: auth.ca.clone(),
                crl: auth.crl.clone(),
            }),
            tickets: certs.tickets(terms.policy.id),
            slot: Arc::clone(&slot),
        })?;
        let offer = Arc::new(Offer {
            config,
            slot,
            policy: terms.policy.id,
        });
        known.insert(key, Arc::clone(&offer));
        Ok(offer)
    }

    /// Forgets offers that no plan and no connection holds any more. Those of names on demand are
    /// made again when the name is asked for again.
    pub fn release(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, offer| Arc::strong_count(offer) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use croupier_config::model::TlsProfile;
    use croupier_net::tls::certs::Slot;

    use super::{Offers, Policy, Terms};
    use crate::live::certs::Certs;

    #[test]
    fn the_same_settings_are_the_same_offer_and_others_are_not() {
        let (offers, certs) = (Offers::default(), Certs::default());
        let slot = Slot::empty();
        let terms = |profile| Terms {
            profile,
            policy: Policy::everybody(),
        };
        let offer = |slot: &Arc<Slot>, profile| {
            let offer = offers.offer(&certs, Arc::clone(slot), &terms(profile));
            offer.unwrap()
        };
        let first = offer(&slot, TlsProfile::Intermediate);
        offers.release();
        assert!(Arc::ptr_eq(&first, &offer(&slot, TlsProfile::Intermediate)));
        assert!(!Arc::ptr_eq(&first, &offer(&slot, TlsProfile::Modern)));
        assert!(!Arc::ptr_eq(
            &first,
            &offer(&Slot::empty(), TlsProfile::Intermediate)
        ));
        offers.release();
        assert_eq!(offers.known.lock().unwrap().len(), 1);
    }

    #[test]
    fn authorities_without_a_certificate_are_no_authorities() {
        let (offers, certs) = (Offers::default(), Certs::default());
        for ca in [vec![], vec![Vec::new()], vec![b"rubbish".to_vec()]] {
            let policy = offers.policy(true, ca, Vec::new());
            let terms = Terms {
                profile: TlsProfile::Modern,
                policy,
            };
            assert!(offers.offer(&certs, Slot::empty(), &terms).is_err());
        }
    }

    #[test]
    fn a_policy_is_known_by_all_of_its_contents() {
        let offers = Offers::default();
        let id = |required, ca: &str, crl: &str| {
            let file = |text: &str| vec![text.as_bytes().to_vec()];
            offers.policy(required, file(ca), file(crl)).id()
        };
        assert_eq!(id(true, "a", "b"), id(true, "a", "b"));
        for other in [id(false, "a", "b"), id(true, "ab", ""), id(true, "a", "c")] {
            assert_ne!(id(true, "a", "b"), other);
        }
        assert_eq!(Policy::everybody().id(), 0);
    }
}
