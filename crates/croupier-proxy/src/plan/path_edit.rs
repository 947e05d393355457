//! What happens to a path on its way to the origin: always an explicit verb.

use std::borrow::Cow;

use croupier_http::{Target, path};

use super::template::Template;
use crate::{
    fault::Code,
    router::path::{PathRule, below},
};

/// An edit of the path. The query always stays.
#[derive(Clone, Debug)]
pub enum PathEdit {
    Keep,
    Prefix { strip: String, add: String },
    Rewrite(Template),
}

impl PathEdit {
    /// The path an origin gets: in normal form, whatever the edit did.
    ///
    /// # Errors
    /// When a rewritten path has no lawful normal form.
    pub fn apply<'t>(&self, target: &'t Target, rule: &PathRule) -> Result<Cow<'t, str>, Code> {
        match self {
            Self::Keep => Ok(Cow::Borrowed(target.path())),
            _ if target.path() == "*" => Ok(Cow::Borrowed("*")),
            Self::Prefix { strip, add } => {
                let rest = below(strip, target.path()).unwrap_or_else(|| target.path());
                let slash = if rest.is_empty() && add.is_empty() {
                    "/"
                } else {
                    ""
                };
                Ok(Cow::Owned([add.as_str(), slash, rest].concat()))
            }
            Self::Rewrite(template) => {
                let written = template.expand("http", target, rule);
                let mut normal = String::with_capacity(written.len());
                path::normalize(written.as_bytes(), &mut normal).map_err(|_| Code::ProxyRewrite)?;
                Ok(Cow::Owned(normal))
            }
        }
    }

    /// The prefix that was taken off, to be put back on what an origin links to.
    #[must_use]
    pub fn stripped(&self) -> &str {
        match self {
            Self::Prefix { strip, .. } => strip,
            Self::Keep | Self::Rewrite(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use croupier_http::{Method, Scheme, Target};

    use super::PathEdit;
    use crate::router::path::PathRule;

    fn apply(strip: &str, add: &str, path: &str) -> String {
        let mut target = Target::default();
        target
            .read(Scheme::Http, Method::Get, path.as_bytes())
            .unwrap();
        let edit = PathEdit::Prefix {
            strip: strip.into(),
            add: add.into(),
        };
        edit.apply(&target, &PathRule::Any).unwrap().into_owned()
    }

    #[test]
    fn prefixes_come_off_and_on_in_whole_segments() {
        assert_eq!(apply("/app", "", "/app/x"), "/x");
        assert_eq!(apply("/app", "", "/app"), "/");
        assert_eq!(apply("/app", "", "/apple"), "/apple");
        assert_eq!(apply("", "/v2", "/x/"), "/v2/x/");
        assert_eq!(apply("/app", "/v2", "/app"), "/v2");
        assert_eq!(apply("/app", "/v2", "/app/"), "/v2/");
    }
}
