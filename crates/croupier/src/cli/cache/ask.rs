//! Asking the running process about its cache.

use std::{fmt::Write as _, io, path::Path};

use serde_json::Value;

use crate::{
    cli::{Code, control},
    terminal,
};

/// Where to ask, and about what.
pub(super) struct Asking<'a> {
    socket: &'a Path,
    store: Option<&'a str>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody is there.
    Unreachable(io::Error),
    /// It is not croupier, or an older one.
    Stranger(u16),
    /// The process says that it can not.
    Refused(String),
}

impl Failed {
    /// Says it, with what to do.
    pub(super) fn say(&self, socket: &Path) -> Code {
        match self {
            Self::Unreachable(error) => control::unreachable(socket, error),
            Self::Stranger(404) => {
                let message = "the running process knows no `croupier cache`";
                terminal::error(message, &["it is older than this program: start it anew"]);
                Code::Refused
            }
            Self::Stranger(status) => control::stranger(socket, *status),
            Self::Refused(reason) => {
                let mut lines = reason.lines();
                let message = lines.next().unwrap_or_default();
                terminal::error(message, &lines.collect::<Vec<_>>());
                Code::Refused
            }
        }
    }
}

impl<'a> Asking<'a> {
    pub(super) fn new(socket: &'a Path, store: Option<&'a str>) -> Self {
        Self { socket, store }
    }

    /// Asks for `/v1/cache` and what is behind it.
    pub(super) fn ask(&self, verb: &str, parameters: &[(&str, &str)]) -> Result<Value, Failed> {
        let store = self.store.map(|store| ("store", store));
        let mut path = format!("/v1/cache{verb}");
        for (at, (name, value)) in parameters.iter().copied().chain(store).enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            // Writing to a String cannot fail.
            let _ = write!(path, "{mark}{name}={}", escaped(value));
        }
        let (status, text) =
            croupier_control::ask(self.socket, &path).map_err(Failed::Unreachable)?;
        match status {
            200 => serde_json::from_str(&text).map_err(|_| Failed::Stranger(status)),
            400 | 414 | 422 | 431 | 503 => Err(Failed::Refused(text.trim_end().to_owned())),
            status => Err(Failed::Stranger(status)),
        }
    }
}

/// Percent-encoding (RFC 3986 section 2.1) of all that is not unreserved.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn whatever_a_url_holds_is_one_parameter() {
        assert_eq!(
            escaped("https://a/b?c=d&e#%é"),
            "https%3A%2F%2Fa%2Fb%3Fc%3Dd%26e%23%25%C3%A9"
        );
    }
}
