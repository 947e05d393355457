//! How pools' servers are spoken to, as objects that stay the same while nothing changes: a reload
//! that changes nothing keeps the connections.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use croupier_net::{
    origin::{
        Manner,
        manner::{Https, Protocol, Used},
    },
    tls::connect::{OriginTerms, origin_tls},
};

/// What a pool's config says about how its servers are spoken to, files read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What is spoken.
    pub speech: Speech,
    /// What connections begin with.
    pub greeting: Greeting,
}

/// What is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1.1 without TLS.
    Http,
    /// HTTP/2 without TLS.
    H2c,
    /// Over TLS.
    Https(Tls),
}

/// What connections begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Nothing.
    None,
    /// Whose they are (PROXY protocol).
    Proxy,
}

/// Settings of TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM of authorities; none: those of the system.
    pub ca: Vec<Vec<u8>>,
    /// PEM of our certificate and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// Is it asked who answers?
    pub verify: bool,
    /// Is HTTP/2 offered?
    pub http2: bool,
    /// The name to be proven; None: the server's own.
    pub name: Option<String>,
}

impl fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("verify", &self.verify)
            .field("http2", &self.http2)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
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
    /// The same object for the same settings, as long as somebody holds it. May read the system's
    /// authorities.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn manner(&self, spoken: Spoken) -> Result<Arc<Manner>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.all.retain(|(_, manner)| manner.strong_count() > 0);
        let mut same = known.all.iter().filter(|(other, _)| *other == spoken);
        if let Some(manner) = same.find_map(|(_, manner)| manner.upgrade()) {
            return Ok(manner);
        }
        let id = known.last_id + 1;
        let used = match spoken.greeting {
            Greeting::None => Used::ByAll,
            Greeting::Proxy => Used::ByOne,
        };
        let protocol = match &spoken.speech {
            Speech::Http => Protocol::Http1,
            Speech::H2c => Protocol::H2c,
            Speech::Https(tls) => Protocol::Https(https(tls)?),
        };
        let manner = Arc::new(match (&spoken.speech, spoken.greeting) {
            (Speech::Http, Greeting::None) => Manner::plain(),
            _ => Manner::new(id, protocol, used),
        });
        known.last_id = id;
        known.all.push((spoken, Arc::downgrade(&manner)));
        Ok(manner)
    }
}

fn https(tls: &Tls) -> Result<Https, String> {
    let mut terms = OriginTerms {
        ca: tls.ca.clone(),
        client: tls.client.clone(),
        verify: tls.verify,
        http2: tls.http2,
    };
    let offered = origin_tls(&terms).map_err(|error| error.to_string())?;
    let without_http2 = if tls.http2 {
        terms.http2 = false;
        Some(origin_tls(&terms).map_err(|error| error.to_string())?)
    } else {
        None
    };
    Ok(Https {
        tls: offered,
        without_http2,
        name: tls.name.as_deref().map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Greeting, Manners, Speech, Spoken, Tls};

    fn tls(name: &str) -> Spoken {
        Spoken {
            speech: Speech::Https(Tls {
                ca: Vec::new(),
                client: Some((b"chain".to_vec(), b"secret".to_vec())),
                verify: false,
                http2: true,
                name: Some(name.to_owned()),
            }),
            greeting: Greeting::None,
        }
    }

    #[test]
    fn who_speaks_alike_shares_and_nobody_else() {
        let manners = Manners::default();
        let plain = |greeting| Spoken {
            speech: Speech::H2c,
            greeting,
        };
        let first = manners.manner(plain(Greeting::None)).unwrap();
        let again = manners.manner(plain(Greeting::None)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = manners.manner(plain(Greeting::Proxy)).unwrap();
        assert_ne!(first.id(), other.id());
        assert!(first.may_share() && !other.may_share());
        let http = Spoken {
            speech: Speech::Http,
            greeting: Greeting::None,
        };
        assert_eq!(manners.manner(http).unwrap().id(), 0);
    }

    #[test]
    fn a_key_that_is_none_is_an_error_that_does_not_show_it() {
        let error = Manners::default().manner(tls("a")).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
        assert!(!format!("{:?}", tls("a")).contains("ecret"));
    }
}
