//! Templates of redirects and rewrites, and what their variables stand for.

use croupier_config::model::{self, Piece};
use croupier_http::Target;

use crate::router::path::PathRule;

/// Text with variables.
#[derive(Clone, Debug)]
pub struct Template(Vec<Piece>);

impl Template {
    pub(super) fn new(template: &model::Template) -> Self {
        Self(template.pieces.clone())
    }

    /// The text for one request. Everything a request can put in is in normal form: no
    /// controls, no spaces, a path with one leading slash.
    #[must_use]
    pub fn expand(&self, scheme: &str, target: &Target, rule: &PathRule) -> String {
        let mut text = String::new();
        let captures = match rule {
            PathRule::Regex(regex) => regex.captures(target.path().as_bytes()),
            _ => None,
        };
        for piece in &self.0 {
            match piece {
                Piece::Text(written) => text.push_str(written),
                Piece::Scheme => text.push_str(scheme),
                Piece::Host => text.push_str(target.authority.host()),
                Piece::Path => text.push_str(target.path()),
                Piece::Rest => text.push_str(rule.rest(target.path())),
                Piece::Query => {
                    if let Some(query) = target.query() {
                        text.push('?');
                        text.push_str(query);
                    }
                }
                Piece::Group(number) => {
                    let group = captures.as_ref().and_then(|captures| captures.get(*number));
                    let group = group.and_then(|group| str::from_utf8(group.as_bytes()).ok());
                    text.push_str(group.unwrap_or_default());
                }
            }
        }
        text
    }
}
