//! The request target: its four forms (RFC 9112 section 3.2), read into one normal form.
//!
//! `authority` is the effective one: that of an absolute target, else of `Host`. Whoever
//! routes, logs, keys or forwards uses this value and nothing else.

use crate::{
    authority::Authority,
    method::Method,
    path::{self, PathError, Shape},
};

/// Which of the legal forms was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Origin,
    Absolute,
    Asterisk,
}

/// The scheme of what a connection carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The word before the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant when none is written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A target in normal form. All buffers are kept across uses.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The form it was sent in.
    pub form: Form,
    /// The effective host and port.
    pub authority: Authority,
    path: String,
    query: String,
    has_query: bool,
    lenient: String,
}

/// Why a target was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    Form,
    Scheme,
    Authority,
    Path(PathError),
    Query,
}

impl Target {
    /// Reads a request target that came over a connection of `scheme`. The authority is filled
    /// only by the absolute form.
    ///
    /// # Errors
    /// When the form is not legal for the method, or a part of it is malformed.
    pub fn read(
        &mut self,
        scheme: Scheme,
        method: Method,
        bytes: &[u8],
    ) -> Result<(), TargetError> {
        self.clear();
        if bytes == b"*" {
            if method != Method::Options {
                return Err(TargetError::Form);
            }
            self.form = Form::Asterisk;
            self.path.push('*');
            return Ok(());
        }
        let rest = if bytes.first() == Some(&b'/') {
            bytes
        } else {
            self.read_absolute(scheme, bytes)?
        };
        let (path, query) = match memchr::memchr(b'?', rest) {
            Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
            None => (rest, None),
        };
        let path = if path.is_empty() { b"/" } else { path };
        let shape = path::normalize(path, &mut self.path).map_err(TargetError::Path)?;
        if shape == Shape::Odd {
            path::lenient(&self.path, &mut self.lenient).map_err(TargetError::Path)?;
        }
        if let Some(query) = query {
            if !path::is_query(query) {
                return Err(TargetError::Query);
            }
            self.query
                .push_str(str::from_utf8(query).map_err(|_| TargetError::Query)?);
            self.has_query = true;
        }
        Ok(())
    }

    /// Reads scheme and authority, returns the rest.
    fn read_absolute<'a>(
        &mut self,
        scheme: Scheme,
        bytes: &'a [u8],
    ) -> Result<&'a [u8], TargetError> {
        let behind = |prefix: &[u8]| {
            let (start, rest) = bytes.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then_some(rest)
        };
        let (written, rest) = match (behind(b"http://"), behind(b"https://")) {
            (Some(rest), _) => (Scheme::Http, rest),
            (_, Some(rest)) => (Scheme::Https, rest),
            (None, None) => return Err(TargetError::Form),
        };
        if written != scheme {
            return Err(TargetError::Scheme);
        }
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        self.authority
            .read(&rest[..end])
            .map_err(|_| TargetError::Authority)?;
        self.form = Form::Absolute;
        Ok(&rest[end..])
    }

    /// Bytes of memory this value keeps for its next use.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.path.capacity() + self.query.capacity() + self.lenient.capacity()
    }

    /// Forgets the value, keeps the memory.
    pub fn clear(&mut self) {
        self.form = Form::Origin;
        self.authority.clear();
        self.path.clear();
        self.query.clear();
        self.has_query = false;
        self.lenient.clear();
    }

    /// The path in normal form; `*` for the asterisk form.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as sent, without the question mark. `/a?` has an empty one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.has_query.then_some(self.query.as_str())
    }

    /// How a forgiving server might read the path, when that differs from [`Target::path`].
    #[must_use]
    pub fn lenient_path(&self) -> Option<&str> {
        (!self.lenient.is_empty() && self.lenient != self.path).then_some(self.lenient.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Scheme, Target, TargetError};
    use crate::method::Method;

    fn read(method: Method, text: &str) -> Result<Target, TargetError> {
        let mut target = Target::default();
        target
            .read(Scheme::Http, method, text.as_bytes())
            .map(|()| target)
    }

    #[test]
    fn forms() {
        let target = read(Method::Get, "/a/../b?x=/../y").unwrap();
        assert_eq!((target.path(), target.query()), ("/b", Some("x=/../y")));
        let target = read(Method::Get, "HTTP://A.b:80?q").unwrap();
        assert_eq!(target.form, Form::Absolute);
        assert_eq!(target.authority.as_str(), "a.b:80");
        assert_eq!((target.path(), target.query()), ("/", Some("q")));
        assert_eq!(read(Method::Options, "*").unwrap().path(), "*");
        assert_eq!(read(Method::Get, "/a?").unwrap().query(), Some(""));
        assert_eq!(
            read(Method::Get, "/a%2fb").unwrap().lenient_path(),
            Some("/a/b")
        );
        assert_eq!(read(Method::Get, "/a.js").unwrap().lenient_path(), None);
    }

    #[test]
    fn an_absolute_target_has_the_scheme_of_its_connection() {
        let mut target = Target::default();
        let mut read = |scheme, text: &str| target.read(scheme, Method::Get, text.as_bytes());
        assert_eq!(read(Scheme::Https, "HTTPS://a/x"), Ok(()));
        assert_eq!(read(Scheme::Https, "http://a/x"), Err(TargetError::Scheme));
        assert_eq!(read(Scheme::Http, "https://a/x"), Err(TargetError::Scheme));
        assert_eq!(read(Scheme::Https, "wss://a/x"), Err(TargetError::Form));
    }

    #[test]
    fn refused() {
        for text in [
            "*",
            "foo",
            "",
            "http://",
            "http:///x",
            "https://a/",
            "ftp://a/",
            "http://u@a/",
            "http://a:0/",
            "/a#b",
            "/a?b#c",
            "/a?\u{e9}",
            "/a?b c",
            "//",
            "a:80",
            "http:/a",
            "\\a",
        ] {
            if text == "//" {
                assert_eq!(read(Method::Get, text).unwrap().path(), "/");
                continue;
            }
            assert!(read(Method::Get, text).is_err(), "{text:?} was accepted");
        }
    }
}
