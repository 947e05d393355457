//! How a client comes back to the server that it had, and the secret that keeps it honest.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fmt, fs, io};

/// `sticky`: a cookie that brings a client back to the server that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The cookie's name: a token (RFC 6265, 4.1.1).
    pub cookie: String,
    /// `Max-Age`, at least a second; `None`: until the browser closes.
    pub ttl: Option<Duration>,
    /// `Path`; begins with `/`.
    pub path: String,
    /// Whether the cookie is sent over https only. Always true with [`SameSite::None`].
    pub secure: bool,
    pub same_site: SameSite,
    /// Signs the cookie, so that a client cannot choose its server; `None`: the cookie is not signed.
    pub secret: Option<Secret>,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            cookie: "croupier_id".into(),
            ttl: None,
            path: "/".into(),
            secure: false,
            same_site: SameSite::default(),
            secret: None,
        }
    }
}

/// `same_site` of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SameSite {
    #[default]
    Lax,
    Strict,
    None,
}

/// A secret, or where it is. It never shows itself in logs: `Debug` leaves the text out.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the config itself; at least [`Secret::BYTES_MIN`] bytes.
    Text(String),
    /// `{ file = ".." }`: the file's content less one final line end. A relative path begins where the process runs.
    File(PathBuf),
    /// `{ env = ".." }`: a variable of the environment.
    Env(String),
}

impl Secret {
    /// The shortest secret that is worth the name, in bytes.
    pub const BYTES_MIN: usize = 16;
    /// The longest; more is the wrong file.
    pub const BYTES_MAX: usize = 4096;

    /// The secret itself; reads the file or the environment. Not called by the config's checks: `croupier check` may
    /// run where the secret is not.
    ///
    /// # Errors
    /// One sentence that names the place and what is wrong with it, never the content.
    pub fn load(&self) -> Result<Vec<u8>, String> {
        let (place, mut bytes) = match self {
            Self::Text(text) => ("the secret".to_owned(), text.clone().into_bytes()),
            Self::Env(name) => {
                let place = format!("the environment variable `{name}`");
                let Some(value) = env::var_os(name) else {
                    return Err(format!("{place} is not set"));
                };
                (place, value.into_encoded_bytes())
            }
            Self::File(path) => {
                let place = format!("the secret file `{}`", path.display());
                let bytes =
                    read(path).map_err(|error| format!("{place} cannot be read: {error}"))?;
                (place, bytes)
            }
        };
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        match bytes.len() {
            len if len < Self::BYTES_MIN => Err(format!(
                "{place} has {len} bytes, a secret has at least {}",
                Self::BYTES_MIN
            )),
            len if len > Self::BYTES_MAX => Err(format!(
                "{place} has more than {} bytes, which no secret has",
                Self::BYTES_MAX
            )),
            _ => Ok(bytes),
        }
    }
}

/// No more than shows that it is too long, and a final line end.
fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = Secret::BYTES_MAX as u64 + 3;
    io::Read::read_to_end(
        &mut io::Read::take(fs::File::open(path)?, limit),
        &mut bytes,
    )?;
    Ok(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::Text("correct horse battery".into());
        assert_eq!(format!("{secret:?}"), "Text(..)");
        assert_eq!(secret.load().unwrap(), b"correct horse battery");
        let short = Secret::Text("hunter2".into()).load().unwrap_err();
        assert!(!short.contains("hunter2"), "{short}");
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_by_its_place() {
        let missing = Secret::File("/nowhere/secret".into()).load().unwrap_err();
        assert!(missing.contains("`/nowhere/secret`"), "{missing}");
        let unset = Secret::Env("CROUPIER_TEST_UNSET".into())
            .load()
            .unwrap_err();
        assert_eq!(
            unset,
            "the environment variable `CROUPIER_TEST_UNSET` is not set"
        );
    }
}
