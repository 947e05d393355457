//! TLS of sites and listeners, from config. Client authorities and revocation lists are read here:
//! a file that can not be used refuses the whole plan, it never weakens it.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use croupier_config::{
    Config, Spanned,
    model::{CertificateFrom, ClientAuth, ClientAuthMode, Site, SiteTls as Written},
};
use croupier_net::tls::{certs::Slot, server::Offer};

use crate::{
    live::{
        Live,
        certs::Source,
        offers::{Policy, Terms},
    },
    plan::tls::{HttpsPort, ListenerTls, Shown, SiteTls},
    router::host::{Hosts, SiteId},
};

/// Of one file. The largest revocation lists have some ten million bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// TLS of a site; `None` when it is plain.
pub(super) fn site(
    config: &Config,
    site: &Site,
    live: &Live,
) -> Result<Option<Box<SiteTls>>, String> {
    let Some(written) = &site.tls else {
        return Ok(None);
    };
    let name = &site.host.value;
    let wrong = |what: String| format!("site `{name}`: {what}");
    let terms = Terms {
        profile: written.profile,
        policy: match &written.client_auth {
            None => Policy::everybody(),
            Some(auth) => policy(auth, live).map_err(wrong)?,
        },
    };
    let shown = match Source::of(site) {
        None => {
            // Nobody may come to know at a handshake that the authorities can not be used.
            let probe = Slot::empty();
            offered(live, probe, written, &terms).map_err(wrong)?;
            Shown::OnDemand
        }
        Some(source) => {
            let slot = live.certs.slot(&source);
            Shown::Same(offered(live, slot, written, &terms).map_err(wrong)?)
        }
    };
    let listeners = if site.listen.is_empty() {
        &config.server.listen
    } else {
        &site.listen
    };
    Ok(Some(Box::new(SiteTls {
        shown,
        terms,
        plain: site.plain,
        port: HttpsPort::of(listeners.iter().map(|listen| &listen.value)),
        source: words(&written.certificate.value).into(),
    })))
}

/// Where a certificate comes from.
fn words(from: &CertificateFrom) -> String {
    match from {
        CertificateFrom::Auto => "a certificate that gets itself (`auto`)".into(),
        CertificateFrom::OnDemand => "a certificate for each name, when it is asked for".into(),
        CertificateFrom::Internal => "a certificate of our own authority (`internal`)".into(),
        CertificateFrom::Files { certificate, .. } => certificate.display().to_string(),
    }
}

fn offered(
    live: &Live,
    slot: Arc<Slot>,
    written: &Written,
    terms: &Terms,
) -> Result<Arc<Offer>, String> {
    let offered = live.offers.offer(&live.certs, slot, terms);
    offered.map_err(|error| match &written.client_auth {
        None => error.to_string(),
        Some(auth) => {
            let files: Vec<String> = (auth.ca.iter().chain(&auth.crl))
                .map(|path| format!("`{}`", path.value.display()))
                .collect();
            format!("`client_auth` with {}: {error}", files.join(", "))
        }
    })
}

fn policy(auth: &ClientAuth, live: &Live) -> Result<Policy, String> {
    let all = |paths: &[Spanned<PathBuf>], kind: &Kind| {
        let files = paths.iter().map(|path| read(&path.value, kind));
        files.collect::<Result<Vec<_>, _>>()
    };
    let ca = all(&auth.ca, &AUTHORITIES)?;
    let crl = all(&auth.crl, &REVOKED)?;
    if ca.is_empty() {
        return Err("`client_auth` names no authority".into());
    }
    let is_required = auth.mode == ClientAuthMode::Require;
    Ok(live.offers.policy(is_required, ca, crl))
}

/// What must be in a file.
struct Kind {
    name: &'static str,
    block: &'static [u8],
}

const AUTHORITIES: Kind = Kind {
    name: "certificate",
    block: b"-----BEGIN CERTIFICATE-----",
};

const REVOKED: Kind = Kind {
    name: "revocation list",
    block: b"-----BEGIN X509 CRL-----",
};

fn read(path: &Path, kind: &Kind) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error| format!("`client_auth`: cannot read `{shown}`: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > FILE_BYTES_MAX {
        return Err(format!("`client_auth`: `{shown}` is larger than 64 MiB"));
    }
    let holds = bytes
        .windows(kind.block.len())
        .any(|window| window == kind.block);
    if holds {
        Ok(bytes)
    } else {
        let name = kind.name;
        Err(format!("`client_auth`: `{shown}` holds no PEM {name}"))
    }
}

/// Names to sites with TLS, of those that are on a listener; `None` when there is none.
pub(super) fn listener<'a>(here: impl Iterator<Item = (SiteId, &'a Site)>) -> Option<ListenerTls> {
    let mut sites = Hosts::default();
    let mut first = None;
    for (id, site) in here.filter(|(_, site)| site.tls.is_some()) {
        first = first.or(Some(id));
        for host in site.hosts() {
            sites.insert(&host.value, id);
        }
    }
    // The site for every host is found for every name.
    let default = sites.find("").or(first)?;
    Some(ListenerTls { sites, default })
}
