//! The certificate that every proxy shows: ECDSA on P-256, made by `openssl` for one run.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;
use crate::process::{self, Scratch};

/// Files in PEM.
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub(super) both: PathBuf,
}

impl Identity {
    pub(super) fn make(scratch: &Scratch) -> Outcome<Self> {
        let identity = Self {
            certificate: scratch.0.join("site.pem"),
            key: scratch.0.join("site.key"),
            both: scratch.0.join("both.pem"),
        };
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=bench"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&identity.key)
            .arg("-out")
            .arg(&identity.certificate);
        process::output(&mut command)?;
        let read = |path| fs::read(path).map_err(|error| error.to_string());
        let both = [read(&identity.certificate)?, read(&identity.key)?].concat();
        fs::write(&identity.both, both).map_err(|error| error.to_string())?;
        Ok(identity)
    }
}
