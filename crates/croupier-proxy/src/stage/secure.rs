//! Between stages 1 and 2: is the way by which a request came good enough for where it goes?
//!
//! A plain request to a site with TLS is sent there, unless it is an authority's question about a
//! pending certificate. A request over TLS passes when its connection could have been made for its
//! site: else a client that one site let in would walk into another (RFC 9110 section 7.4).

use std::{borrow::Cow, rc::Rc};

use croupier_config::model::{Plain, TlsProfile};
use croupier_http::Method;
use croupier_net::address::Secure;

use super::route;
use crate::{
    answer::{Answer, Bytes, Made},
    exchange::Exchange,
    fault::{Code, Fault},
    incoming::Incoming,
    plan::{Plan, SitePlan},
    router::host::SiteId,
};

/// Where an authority looks for the answer to a challenge (RFC 8555 section 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The status that sends a client to https. Not 301: a POST stays one.
pub(crate) const TO_HTTPS: u16 = 308;

/// Finds the site, and gives the answer of its door; None when the request may go on.
pub(crate) fn run(x: &mut Exchange) -> Result<Option<Answer>, Fault> {
    if let Some(answer) = challenge(x) {
        return Ok(Some(answer));
    }
    let installed = Rc::clone(&x.installed);
    let site = route::site(&installed.plan, &x.incoming).ok_or(Code::ProxySiteNone)?;
    x.site = Some(site);
    let location = judge(&installed.plan, site, &x.incoming)?;
    Ok(location.map(|location| {
        Answer::Made(Made {
            status: TO_HTTPS,
            body: Bytes::Own(Vec::new()),
            content_type: Cow::Borrowed(""),
            lines: vec![(Cow::Borrowed("location"), Cow::Owned(location))],
        })
    }))
}

/// Only what a pending order waits for is answered; any other path of this kind is the site's.
fn challenge(x: &Exchange) -> Option<Answer> {
    let target = &x.incoming.target;
    let token = target.path().strip_prefix(CHALLENGES)?;
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if x.incoming.head.method != Method::Get || !token.bytes().all(is_base64url) {
        return None;
    }
    let answer = (x.worker.live.certs).token(target.authority.host(), token)?;
    Some(Answer::Made(Made {
        status: 200,
        body: Bytes::Own(answer.into_bytes()),
        content_type: Cow::Borrowed("application/octet-stream"),
        lines: vec![(Cow::Borrowed("cache-control"), Cow::Borrowed("no-store"))],
    }))
}

/// Where the request is sent for the sake of TLS; None when it may go on.
pub(crate) fn judge(
    plan: &Plan,
    site: SiteId,
    incoming: &Incoming,
) -> Result<Option<String>, Fault> {
    let site = &plan.sites[site.0];
    match &incoming.secure {
        Some(secure) if may_carry(site, secure, incoming.target.authority.host()) => Ok(None),
        Some(_) => Err(Code::ProxyMisdirected.into()),
        // A trusted peer may have taken the TLS off.
        None if incoming.scheme == "http" => to_https(plan, site, incoming),
        None => Ok(None),
    }
}

/// Could the connection have been made for this site? It was shown the same certificate and let in
/// by the same rules; or by rules that are the same, and what it was shown covers the host.
fn may_carry(site: &SitePlan, secure: &Secure, host: &str) -> bool {
    let Some(tls) = &site.tls else {
        return false;
    };
    let offer = &secure.offer;
    let is_new_enough =
        tls.terms.profile != TlsProfile::Modern || secure.secured.version == "TLSv1.3";
    tls.is_of(offer)
        || tls.terms.policy.id() == offer.policy
            && is_new_enough
            && (offer.slot.get()).is_some_and(|certificate| certificate.covers(host))
}

fn to_https(plan: &Plan, site: &SitePlan, incoming: &Incoming) -> Result<Option<String>, Fault> {
    let Some(tls) = &site.tls else {
        return Ok(None);
    };
    if tls.plain == Plain::Serve {
        return Ok(None);
    }
    let target = &incoming.target;
    let host = match target.authority.host() {
        "" if site.name.contains('*') => {
            let sentence = "a redirect to https needs a `Host`";
            return Err(Fault::because(Code::ClientHeadMalformed, sentence));
        }
        "" => site.name.as_str(),
        host => host,
    };
    let listener = plan.listeners.get(incoming.listener);
    let asked = target.authority.port();
    let port = listener.map(|listener| tls.port.from(&listener.address, asked));
    let mut location = format!("https://{host}");
    if let Some(port) = port.filter(|port| *port != 443) {
        location.push_str(&format!(":{port}"));
    }
    // `OPTIONS *` has no path.
    location.push_str(if target.path() == "*" {
        "/"
    } else {
        target.path()
    });
    if let Some(query) = target.query() {
        location.push('?');
        location.push_str(query);
    }
    Ok(Some(location))
}
