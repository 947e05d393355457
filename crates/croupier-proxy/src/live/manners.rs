//! How pools' servers are spoken to, as objects that stay the same while nothing changes: a reload
//! that changes nothing keeps the connections.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use croupier_net::origin::{Manner, manner::Protocol};

/// What a pool's config says about how its servers are spoken to, files read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1 without TLS.
    Http,
    /// HTTP/2 without TLS.
    H2c,
}

/// The manners in use.
#[derive(Debug, Default)]
pub struct Manners {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: Vec<(Spoken, Weak<Manner>)>,
    last_id: u32,
}

impl Manners {
    /// The same object for the same settings, as long as somebody holds it.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn manner(&self, spoken: Spoken) -> Result<Arc<Manner>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.all.retain(|(_, manner)| manner.strong_count() > 0);
        let mut same = known.all.iter().filter(|(other, _)| *other == spoken);
        if let Some(manner) = same.find_map(|(_, manner)| manner.upgrade()) {
            return Ok(manner);
        }
        let id = known.last_id + 1;
        let manner = Arc::new(match &spoken {
            Spoken::Http => Manner::plain(),
            Spoken::H2c => Manner::new(id, Protocol::H2c),
        });
        known.last_id = id;
        known.all.push((spoken, Arc::downgrade(&manner)));
        Ok(manner)
    }
}
