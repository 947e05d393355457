//! What can be said of certificates before a start: files that do not fit, times that are over,
//! names that are not covered. Reads files, asks nobody, writes nothing.

use croupier_config::{
    Config, Severity, Span,
    model::{CertificateFrom, HostPattern, Site},
};
use croupier_net::tls::certs::Certificate;

use super::{expiry, files, unix_now};

/// Something about a site's certificate.
#[derive(Clone, Debug)]
pub struct CertificateProblem {
    /// An error: its handshakes would fail. A warning: they may.
    pub severity: Severity,
    /// Where the certificate is written.
    pub span: Span,
    /// One sentence without its full stop.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

/// Looks at the certificates of all sites.
#[must_use]
pub fn check_certificates(config: &Config) -> Vec<CertificateProblem> {
    let mut problems = Vec::new();
    for site in &config.sites {
        let Some(tls) = &site.tls else { continue };
        let span = tls.certificate.span;
        let span = if span.is_written() {
            span
        } else {
            site.host.span
        };
        let mut push = |severity, message, help: &str| {
            problems.push(CertificateProblem {
                severity,
                span,
                message,
                help: help.to_owned(),
            });
        };
        match &tls.certificate.value {
            CertificateFrom::Files { certificate, key } => match files::read(certificate, key) {
                Err(complaint) => push(Severity::Error, complaint.what, &complaint.help),
                Ok(read) => {
                    for (message, help) in doubts(site, &read, unix_now()) {
                        push(Severity::Warning, message, help);
                    }
                }
            },
            CertificateFrom::Auto | CertificateFrom::OnDemand | CertificateFrom::Internal => {}
        }
    }
    problems
}

/// What is odd about a certificate that can be used.
fn doubts(site: &Site, certificate: &Certificate, now: u64) -> Vec<(String, &'static str)> {
    let mut doubts = Vec::new();
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    let time = match expiry::concern(not_before, not_after, now) {
        Some(expiry::Concern::Expired) => Some("the certificate has expired"),
        Some(expiry::Concern::NotYet) => Some("the certificate is not valid yet"),
        Some(expiry::Concern::Soon) => Some("the certificate expires soon"),
        None => None,
    };
    if let Some(what) = time {
        let (from, until) = (super::tell::date(not_before), super::tell::date(not_after));
        let what = format!("{what}: it is valid from {from} to {until}");
        doubts.push((
            what,
            "clients refuse it outside of that time: get a new one",
        ));
    }
    for host in site.hosts() {
        let is_covered = match &host.value {
            HostPattern::Exact(name) => certificate.covers(name),
            HostPattern::Below(name) => certificate.names().contains(&format!("*.{name}")),
            HostPattern::Any => true,
        };
        if !is_covered {
            let names = certificate.names().join(", ");
            let what = format!(
                "the certificate is not for `{}`, but for {names}",
                host.value
            );
            doubts.push((
                what,
                "clients refuse it by that name: get one with all names",
            ));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use croupier_config::Severity;

    use super::{check_certificates, doubts};
    use crate::certs::{authority::Authority, scratch::Scratch};

    const NOW: u64 = 1_800_000_000;

    fn config(site: &str) -> croupier_config::Config {
        let text = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n\n{site}");
        croupier_config::Config::from_str("test.toml", &text).unwrap()
    }

    #[test]
    fn time_and_names_are_doubted() {
        let authority = Authority::open(None, NOW).unwrap();
        let names = ["a.example".to_owned(), "*.b.example".to_owned()];
        let certificate = authority.issue(&names, NOW).unwrap();
        let site = "[site.\"a.example\"]\naliases = [\"*.b.example\", \"c.example\"]\nrespond = { status = 204 }\n";
        let config = config(site);
        let said = doubts(&config.sites[0], &certificate, NOW);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].0.contains("not for `c.example`"), "{said:?}");
        let said = doubts(&config.sites[0], &certificate, NOW + 8 * 86_400);
        assert!(
            said[0].0.starts_with("the certificate has expired"),
            "{said:?}"
        );
        let said = doubts(&config.sites[0], &certificate, NOW - 86_400);
        assert!(
            said[0].0.starts_with("the certificate is not valid yet"),
            "{said:?}"
        );
    }

    #[test]
    fn files_that_are_not_there_are_errors_with_their_place() {
        let scratch = Scratch::new();
        let path = scratch.path().join("none.pem");
        let path = path.display();
        let site = format!(
            "[site.\"a.example\"]\ntls = {{ certificate = \"{path}\" }}\nrespond = {{ status = 204 }}\n"
        );
        let problems = check_certificates(&config(&site));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].severity, Severity::Error);
        assert!(problems[0].message.contains("none.pem") && problems[0].span.is_written());
    }
}
