//! Text to tree: TOML, and JSON as the inline table that it nearly is.
//!
//! The parser recovers and reports several errors at once, but one slip can cause a chain of them; we keep the
//! first of each line and say it in words that name the usual slip.

mod explain;
mod json;

pub(crate) use json::parse_json;

use std::collections::BTreeSet;

use toml::de::DeTable;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::source::FileId;
use crate::tree::{self, Node};

/// A larger file with an error gets only its first one: recovery on a large binary would drown us in errors.
const RECOVER_BYTES_MAX: usize = 256 << 10;

/// What came out of one text.
pub(crate) struct Parsed {
    /// `None`: too broken to look for other problems in it.
    pub(crate) tree: Option<Node>,
    pub(crate) errors: Vec<Diagnostic>,
    /// Lines (by their first byte) with an error; other problems on them are only its echo.
    pub(crate) broken_lines: BTreeSet<usize>,
}

pub(crate) fn parse_toml(file: FileId, text: &str) -> Parsed {
    let recovers = text.len() <= RECOVER_BYTES_MAX;
    let (table, errors) = if recovers {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(table) => (table, Vec::new()),
            Err(error) => (toml::Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    };
    let tree = tree::from_toml(file, table);
    let mut said = explain::explain(file, text, &errors);
    for error in &mut said.diagnostics {
        if error.code == codes::DUPLICATE_KEY {
            explain::point_at_first(error, &tree, text);
        }
    }
    let is_usable = said.damage == Damage::Value && (recovers || errors.is_empty());
    Parsed {
        tree: is_usable.then_some(tree),
        errors: said.diagnostics,
        broken_lines: said.lines,
    }
}

/// Whether the rest of the file can still be trusted after an error.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Damage {
    Value,
    Structure,
}

pub(crate) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    before.rfind('\n').map_or(0, |newline| newline + 1)
}
