//! What the log says of certificates: one place, so that the same thing has the same name.

use std::{path::Path, sync::Arc, time::Duration};

use croupier_net::tls::certs::Certificate;
use croupier_telemetry::{Level, Stamp, event};

use super::{authority::Origin, expiry::Concern, files::Complaint};

/// A moment, for people.
pub(super) fn date(unix: u64) -> String {
    Stamp::default().utc(unix)
}

/// A site shows this certificate now.
pub(super) fn shown(names: &[String], source: &str, certificate: &Certificate) {
    event(
        Level::Info,
        "certificate.shown",
        &[
            ("names", &names.join(" ")),
            ("source", &source),
            ("expires", &date(certificate.not_after())),
        ],
    );
}

/// An authority has issued one.
pub(super) fn issued(names: &[String], authority: &str, certificate: &Certificate) {
    event(
        Level::Info,
        "certificate.issued",
        &[
            ("names", &names.join(" ")),
            ("authority", &authority),
            ("expires", &date(certificate.not_after())),
        ],
    );
}

/// An order failed, and when it is tried again.
pub(super) fn failed(
    names: &[String],
    error: &str,
    help: &str,
    wait: Duration,
    shown: Option<Arc<Certificate>>,
) {
    let meanwhile = match shown {
        Some(old) => format!("the present one stays, until {}", date(old.not_after())),
        None => "handshakes for these names fail".into(),
    };
    event(
        Level::Error,
        "certificate.order.failed",
        &[
            ("names", &names.join(" ")),
            ("error", &error),
            ("again_in_s", &wait.as_secs()),
            ("meanwhile", &meanwhile),
            ("help", &help),
        ],
    );
}

/// Orders failed before this process began, and the next one is not yet due.
pub(super) fn waits(names: &[String], failures: u32) {
    event(
        Level::Warn,
        "certificate.order.waits",
        &[
            ("names", &names.join(" ")),
            ("failures", &failures),
            (
                "help",
                &"what is mended is tried a minute after the last failure, with a reload",
            ),
        ],
    );
}

/// A certificate is shown that a restart will not find again.
pub(super) fn not_kept(names: &[String], error: &str, help: &str) {
    let names = names.join(" ");
    event(
        Level::Error,
        "certificate.not_kept",
        &[("names", &names), ("error", &error), ("help", &help)],
    );
}

/// Files do not give a certificate.
pub(super) fn broken(complaint: &Complaint, shown: Option<Arc<Certificate>>) {
    let meanwhile = match shown {
        Some(_) => "the certificate in use stays",
        None => "handshakes of its sites fail",
    };
    event(
        Level::Error,
        "certificate.files.broken",
        &[
            ("error", &complaint.what),
            ("meanwhile", &meanwhile),
            ("help", &complaint.help),
        ],
    );
}

/// What is shown is, or will be, no use.
pub(super) fn concern(site: &str, source: &str, concern: Concern, certificate: &Certificate) {
    let (level, name, date) = match concern {
        Concern::Expired => (Level::Error, "certificate.expired", certificate.not_after()),
        Concern::NotYet => (
            Level::Error,
            "certificate.not_yet_valid",
            certificate.not_before(),
        ),
        Concern::Soon => (Level::Warn, "certificate.expires", certificate.not_after()),
    };
    let date = self::date(date);
    let help = match source {
        "files" => "put a new certificate and its key in the place of the files",
        _ => "see the events `certificate.order.failed` for the reason",
    };
    event(
        level,
        name,
        &[
            ("site", &site),
            ("date", &date),
            ("source", &source),
            ("help", &help),
        ],
    );
}

/// How clients come to trust our own authority.
pub(super) fn trust(root: &Path, origin: Origin) {
    let root = root.display();
    if origin == Origin::Made {
        event(Level::Info, "authority.created", &[("root", &root)]);
    }
    let system = format!(
        "sudo cp {root} /usr/local/share/ca-certificates/croupier.crt && sudo update-ca-certificates"
    );
    let once = format!("curl --cacert {root}");
    event(
        Level::Info,
        "authority.internal",
        &[
            ("root", &root),
            ("to_trust_it", &system),
            ("or_once", &once),
        ],
    );
}

/// Our own authority cannot be kept: clients would have to trust another one after a restart.
pub(super) fn authority_in_memory(error: &str) {
    let help = "make the state directory writable, or set `server.state`";
    event(
        Level::Warn,
        "authority.not_kept",
        &[
            ("error", &error),
            ("meanwhile", &"its certificates end with this process"),
            ("help", &help),
        ],
    );
}

/// Nothing is ordered: there is nowhere to keep it.
pub(super) fn no_state(error: &str) {
    let help = "make the state directory writable, or set `server.state`";
    event(
        Level::Error,
        "state.unusable",
        &[
            ("error", &error),
            ("meanwhile", &"no certificates are ordered"),
            ("help", &help),
        ],
    );
}

/// Nobody outside can be asked.
pub(super) fn no_way_outside(error: &str) {
    let help = "correct `acme.ca`: a PEM file with the authority of the directory's certificate";
    event(
        Level::Error,
        "acme.unusable",
        &[
            ("error", &error),
            ("meanwhile", &"no certificates are ordered"),
            ("help", &help),
        ],
    );
}
