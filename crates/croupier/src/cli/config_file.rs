//! Which config file is meant.

use std::path::{Path, PathBuf};

use crate::terminal;

const HERE: &str = "croupier.toml";
const INSTALLED: &str = "/etc/croupier/croupier.toml";

/// The file that was named, else the first of the usual ones that is there. When there is none,
/// says so.
pub(super) fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let found = [HERE, INSTALLED]
        .into_iter()
        .find(|path| Path::new(path).exists());
    if found.is_none() {
        terminal::error(
            &format!("no config: neither `{HERE}` here nor `{INSTALLED}` exists"),
            &[
                "name one with `-c FILE`",
                "no file is needed for `croupier proxy --from :8080 --to 127.0.0.1:3000`",
            ],
        );
    }
    found.map(PathBuf::from)
}
