//! The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1).
//!
//! One object is shared by all workers and outlives reloads, so a client comes back to any of
//! them. What a ticket says of its client is believed without another look at a certificate:
//! each way to ask clients for certificates needs tickets of its own, and new ones when what
//! it believes changes.

use std::sync::Arc;

use rustls::{crypto::aws_lc_rs::Ticketer, server::ProducesTickets};

/// Keys that are made here, change every six hours and are never written anywhere. A ticket is
/// good for six to twelve hours.
#[derive(Debug)]
pub struct Tickets {
    /// None when the system gave no randomness: every handshake is a full one then.
    keys: Option<Arc<dyn ProducesTickets>>,
}

impl Tickets {
    /// New keys, known to nobody.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            keys: Ticketer::new().ok(),
        })
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.keys.is_some()
    }

    /// What clients are told, in seconds. A key lives twice as long as it makes tickets: half of
    /// that is what every ticket has for certain.
    fn lifetime(&self) -> u32 {
        self.keys.as_ref().map_or(0, |keys| keys.lifetime() / 2)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.as_ref()?.encrypt(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.keys.as_ref()?.decrypt(ticket)
    }
}
