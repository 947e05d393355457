//! What TLS comes to for each site, once its listeners are known: whose certificate, and whether one can be had.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Acme, CertificateFrom, Challenge, ClientAuthMode, Config, HostPattern, Listen, Plain, Site,
    SiteTls, TlsProfile,
};
use crate::names::{NameKind, kind};
use crate::read::{Asked, Reader, Terms, Written};
use crate::source::{Span, Spanned};

/// Names of one certificate of Let's Encrypt.
const NAMES_MAX: usize = 100;

/// What the names of a site call for when nobody says it.
enum Calls<'a> {
    Auto,
    Internal,
    /// Some call for `auto`, the others do not go with it.
    Mixed {
        public: &'a Spanned<HostPattern>,
        odd: &'a Spanned<HostPattern>,
    },
    /// Some call for `internal`, the others for nothing.
    Partly,
    Nothing,
}

fn calls(site: &Site) -> Calls<'_> {
    let find = |is: fn(NameKind) -> bool| site.hosts().find(|host| is(kind(&host.value)));
    let public = find(|kind| kind == NameKind::Public);
    let inside = find(is_inside);
    if let Some(public) = public {
        return match find(|kind| kind != NameKind::Public) {
            None => Calls::Auto,
            Some(odd) => Calls::Mixed { public, odd },
        };
    }
    match (inside, find(|kind| !is_inside(kind))) {
        (Some(_), None) => Calls::Internal,
        (Some(_), Some(_)) => Calls::Partly,
        (None, _) => Calls::Nothing,
    }
}

fn is_inside(kind: NameKind) -> bool {
    matches!(kind, NameKind::Internal | NameKind::Address)
}

/// Whether a site that names no listener wants one for TLS.
pub(super) fn wants_listener(written: &[Written], config: &Config) -> bool {
    let sites = config.sites.iter().zip(written);
    sites
        .filter(|(site, _)| site.listen.is_empty())
        .any(|(site, written)| match written.tls {
            Asked::Tls(_) => true,
            Asked::Off => false,
            Asked::Nothing => {
                matches!(
                    calls(site),
                    Calls::Auto | Calls::Internal | Calls::Mixed { .. }
                )
            }
        })
}

/// Decides for every site; the listeners of the process are known.
pub(super) fn check(reader: &mut Reader, config: &mut Config) {
    let written = std::mem::take(&mut reader.written);
    let mut sites = std::mem::take(&mut config.sites);
    for (site, written) in sites.iter_mut().zip(written) {
        let listen: &[Spanned<Listen>] = match site.listen.is_empty() {
            true => &config.server.listen,
            false => &site.listen,
        };
        let (plain, hsts) = (written.plain, written.hsts);
        let was_asked = matches!(written.tls, Asked::Tls(_));
        site.tls = match written.tls {
            Asked::Tls(terms) => {
                note_unix_only(reader, listen, terms.span);
                asked(reader, site, terms, &config.acme)
            }
            Asked::Nothing if listen.iter().any(|listen| has_port(listen, 443)) => {
                unasked(reader, site)
            }
            Asked::Nothing | Asked::Off => None,
        };
        match &site.tls {
            Some(tls) => {
                note_unreachable(reader, config, site, tls);
                note_open_back(reader, site, tls, plain);
            }
            // What was asked for and is not there was said already.
            None if was_asked => {}
            None => {
                note_without_tls(reader, "plain", plain);
                note_without_tls(reader, "hsts", hsts);
            }
        }
    }
    config.sites = sites;
}

fn has_port(listen: &Listen, port: u16) -> bool {
    match listen {
        Listen::Port(other) => *other == port,
        Listen::Socket(address) => address.port() == port,
        Listen::Unix(_) => false,
    }
}

/// A site that says nothing, on port 443.
fn unasked(reader: &mut Reader, site: &Site) -> Option<SiteTls> {
    let certificate = match calls(site) {
        Calls::Auto => CertificateFrom::Auto,
        Calls::Internal => CertificateFrom::Internal,
        Calls::Mixed { public, odd } => {
            let message = format!(
                "`{}` would get a certificate by itself, and `{}` of the same site cannot",
                public.value, odd.value
            );
            let diagnostic = Diagnostic::error(codes::NO_CERTIFICATE, odd.span, message)
                .and(public.span, "the public name");
            reader.note(diagnostic.help(format!(
                "put `{}` into a site of its own, or say for both where the certificate is, `tls = {{ certificate = .., key = .. }}`, or that there is none, `tls = \"off\"`",
                odd.value
            )));
            return None;
        }
        Calls::Partly => {
            let message = "the site is plain on port 443: its names do not all call for a certificate of our own authority";
            reader.note(
                Diagnostic::warning(codes::HARDLY_MEANT, site.host.span, message)
                    .help("write `tls = \"internal\"` or `tls = \"off\"`"),
            );
            return None;
        }
        Calls::Nothing => return None,
    };
    Some(SiteTls {
        certificate: Spanned::default_of(certificate),
        profile: TlsProfile::default(),
        client_auth: None,
    })
}

/// A site that says it.
fn asked(reader: &mut Reader, site: &Site, terms: Terms, acme: &Acme) -> Option<SiteTls> {
    let certificate = match terms.certificate {
        Some(certificate) => certificate,
        None => match calls(site) {
            Calls::Auto => Spanned::default_of(CertificateFrom::Auto),
            Calls::Internal => Spanned::default_of(CertificateFrom::Internal),
            _ => {
                let message = "`tls` does not say where the certificate is, and the names of the site do not either";
                reader.note(
                    Diagnostic::error(codes::MISSING_KEY, terms.span, message)
                        .and(site.host.span, "this site")
                        .help("add `certificate = \"/etc/croupier/shop.pem\"`, or one of `auto`, `on-demand` and `internal`"),
                );
                return None;
            }
        },
    };
    let place = match certificate.span.is_written() {
        true => certificate.span,
        false => terms.span,
    };
    let fits = match certificate.value {
        CertificateFrom::Auto => fits_auto(reader, site, place, acme),
        CertificateFrom::OnDemand => fits_on_demand(reader, site, place, acme),
        // Our own authority vouches for anybody; for `*` it names this machine.
        CertificateFrom::Internal | CertificateFrom::Files { .. } => true,
    };
    fits.then_some(SiteTls {
        certificate,
        profile: terms.profile,
        client_auth: terms.client_auth,
    })
}

/// An authority of somebody's own may know names that the public ones do not.
fn is_public_authority(acme: &Acme) -> bool {
    [Acme::DIRECTORY, Acme::STAGING].contains(&acme.directory.value.as_str())
}

fn fits_auto(reader: &mut Reader, site: &Site, place: Span, acme: &Acme) -> bool {
    let mut fits = true;
    for host in site.hosts() {
        let name = &host.value;
        let help = match kind(name) {
            NameKind::Wildcard => Some(
                "a wildcard is proven by DNS-01, which comes with a later version: give files, or write `on-demand`".to_owned(),
            ),
            NameKind::Internal if matches!(name, HostPattern::Below(_)) => {
                Some("write `internal`, or give files".to_owned())
            }
            NameKind::Any => Some(
                "no certificate is for every name: give files, or write `on-demand`".to_owned(),
            ),
            NameKind::Address => Some("write `internal`, or give files".to_owned()),
            kind => foreign(kind, acme),
        };
        if let Some(help) = help {
            fits = false;
            let message = format!("no certificate comes by `auto` for `{name}`");
            note_name(reader, place, host, message, help);
        }
    }
    let names = site.hosts().count();
    if fits && names > NAMES_MAX && is_public_authority(acme) {
        let message = format!("a certificate has at most {NAMES_MAX} names, this site {names}");
        reader.note(
            Diagnostic::error(codes::TOO_LARGE, place, message)
                .and(site.host.span, "this site")
                .help("make two sites of it"),
        );
        return false;
    }
    fits
}

/// What to do with an exact name that a public authority does not know.
fn foreign(kind: NameKind, acme: &Acme) -> Option<String> {
    if !is_public_authority(acme) {
        return None;
    }
    let why = match kind {
        NameKind::Internal => "no public authority knows a name of a private network",
        NameKind::Reserved => "the name is reserved, and nobody owns it",
        NameKind::Single => "no public authority knows a name without a dot",
        NameKind::Underscore => "public authorities refuse names with `_`",
        _ => return None,
    };
    Some(format!("{why}: write `internal`, or give files"))
}

fn fits_on_demand(reader: &mut Reader, site: &Site, place: Span, acme: &Acme) -> bool {
    if acme.ask.is_none() {
        let message = "`on-demand` needs somebody who says which names may have a certificate";
        let note = Diagnostic::error(codes::MISSING_KEY, place, message);
        reader.note(note.help(
            "add `ask = \"http://127.0.0.1:9000/may-have\"` to `[acme]`: without it, anybody could have us ask for any name",
        ));
        return false;
    }
    let mut fits = true;
    for host in site.hosts() {
        let help = match (kind(&host.value), &host.value) {
            (NameKind::Address, _) => Some("write `internal`, or give files".to_owned()),
            (_, HostPattern::Any) => None,
            // A name below it is asked for, and it is of the same kind.
            (NameKind::Wildcard, HostPattern::Below(name)) => {
                foreign(kind(&HostPattern::Exact(name.clone())), acme)
            }
            (kind, _) => foreign(kind, acme),
        };
        if let Some(help) = help {
            fits = false;
            let message = format!("no certificate comes by `on-demand` for `{}`", host.value);
            note_name(reader, place, host, message, help);
        }
    }
    fits
}

fn note_name(
    reader: &mut Reader,
    place: Span,
    host: &Spanned<HostPattern>,
    message: String,
    help: String,
) {
    reader.note(
        Diagnostic::error(codes::NO_CERTIFICATE, place, message)
            .and(host.span, "this name")
            .help(help),
    );
}

fn note_unix_only(reader: &mut Reader, listen: &[Spanned<Listen>], place: Span) {
    let is_unix = |listen: &Spanned<Listen>| matches!(listen.value, Listen::Unix(_));
    if let Some(first) = listen.first()
        && listen.iter().all(is_unix)
    {
        let message =
            "the site is reached through Unix sockets only, where hardly anybody speaks TLS";
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, place, message)
                .and(first.span, "the socket")
                .help("write `tls = \"off\"`, or add a listener such as `:443`"),
        );
    }
}

/// Challenges are asked at fixed ports; a mapping of ports is not seen from here.
fn note_unreachable(reader: &mut Reader, config: &Config, site: &Site, tls: &SiteTls) {
    let (CertificateFrom::Auto | CertificateFrom::OnDemand) = tls.certificate.value else {
        return;
    };
    let port = |challenge: &Challenge| match challenge {
        Challenge::TlsAlpn01 => 443,
        Challenge::Http01 => 80,
    };
    let challenges = &config.acme.challenges;
    let all = &config.server.listen;
    let is_heard = |challenge: &Challenge| all.iter().any(|at| has_port(at, port(challenge)));
    if challenges.iter().any(is_heard) {
        return;
    }
    let asked: Vec<&str> = challenges
        .iter()
        .map(|challenge| match challenge {
            Challenge::TlsAlpn01 => "port 443 (`tls-alpn-01`)",
            Challenge::Http01 => "port 80 (`http-01`)",
        })
        .collect();
    let asked = asked.join(" or ");
    let message = format!("the authority asks at {asked}, where the process does not listen");
    let place = match tls.certificate.span.is_written() {
        true => tls.certificate.span,
        false => site.host.span,
    };
    let note = Diagnostic::warning(codes::HARDLY_MEANT, place, message);
    let note = match config.server.listen.first() {
        Some(first) => note.and(first.span, "its listeners"),
        None => note,
    };
    reader.note(
        note.help("listen there too, unless that port is mapped to one of these from outside"),
    );
}

/// `plain = "serve"` beside a certificate that clients must show.
fn note_open_back(reader: &mut Reader, site: &Site, tls: &SiteTls, plain: Option<Span>) {
    let is_required =
        (tls.client_auth.as_ref()).is_some_and(|terms| terms.mode == ClientAuthMode::Require);
    if let (Some(plain), Plain::Serve, true) = (plain, site.plain, is_required) {
        let message = "clients that must show a certificate come in without one over plain HTTP";
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, plain, message)
                .help("leave out `plain = \"serve\"`, or `client_auth`"),
        );
    }
}

fn note_without_tls(reader: &mut Reader, name: &str, place: Option<Span>) {
    if let Some(place) = place {
        let message = format!("`{name}` has no effect: the site has no TLS");
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, place, message)
                .help("add `tls`, or leave it out"),
        );
    }
}

/// `[acme]` that no site needs.
pub(super) fn unused(reader: &mut Reader, config: &Config) {
    let Some(place) = reader.acme_at else { return };
    let is_needed = config.sites.iter().any(|site| {
        matches!(
            site.tls.as_ref().map(|tls| &tls.certificate.value),
            Some(CertificateFrom::Auto | CertificateFrom::OnDemand)
        )
    });
    if !is_needed {
        let message = "no site gets its certificate from the authority of `[acme]`";
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, place, message)
                .help("write `tls = \"auto\"` in a site, or leave `[acme]` out"),
        );
    }
}
