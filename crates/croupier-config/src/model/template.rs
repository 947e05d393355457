//! Text with `$variables`, as `redirect` and `rewrite` take it.

use std::fmt;

/// Pieces to be joined.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    pub pieces: Vec<Piece>,
}

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$host`: the request's host without its port.
    Host,
    /// `$path`: the request's path as received.
    Path,
    /// `$query`: `?` and the query, or nothing.
    Query,
    /// `$rest`: what `*` matched, without a leading `/`; the path without its first `/` if there is no `*`.
    Rest,
    /// `$1` to `$99`: a group of `path_regex`; nothing if it did not take part.
    Group(usize),
}

impl fmt::Display for Template {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('$', "$$"))?,
                Piece::Scheme => f.write_str("${scheme}")?,
                Piece::Host => f.write_str("${host}")?,
                Piece::Path => f.write_str("${path}")?,
                Piece::Query => f.write_str("${query}")?,
                Piece::Rest => f.write_str("${rest}")?,
                Piece::Group(group) => write!(f, "${{{group}}}")?,
            }
        }
        Ok(())
    }
}
