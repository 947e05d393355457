//! Header edits of a site or route, and the guard that keeps the servers invisible.

use crate::source::Spanned;

/// `headers = { request = .., response = .. }`.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// On the way to the origin.
    pub request: HeaderEdits,
    /// On the way to the client.
    pub response: HeaderEdits,
}

impl Headers {
    /// The edits of a route under those of its site: they merge by name, and the route wins.
    pub fn under(&self, outer: &Self) -> Self {
        Self {
            request: self.request.under(&outer.request),
            response: self.response.under(&outer.response),
        }
    }
}

/// Edits of one direction: `remove` first, then `set`, then `add`. No name is in both `set` and `remove`.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    /// Replaces every line of that name.
    pub set: Vec<HeaderLine>,
    /// One more line of that name.
    pub add: Vec<HeaderLine>,
    pub remove: Vec<Spanned<String>>,
}

impl HeaderEdits {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }

    fn names(&self, name: &str) -> bool {
        let line = |line: &HeaderLine| line.name.eq_ignore_ascii_case(name);
        self.set.iter().any(line)
            || self.add.iter().any(line)
            || self
                .remove
                .iter()
                .any(|removed| removed.eq_ignore_ascii_case(name))
    }

    fn under(&self, outer: &Self) -> Self {
        let keep = |lines: &[HeaderLine]| -> Vec<HeaderLine> {
            lines
                .iter()
                .filter(|line| !self.names(&line.name))
                .cloned()
                .collect()
        };
        let mut merged = Self {
            set: keep(&outer.set),
            add: keep(&outer.add),
            remove: outer
                .remove
                .iter()
                .filter(|name| !self.names(name))
                .cloned()
                .collect(),
        };
        merged.set.extend(self.set.iter().cloned());
        merged.add.extend(self.add.iter().cloned());
        merged.remove.extend(self.remove.iter().cloned());
        merged
    }
}

/// A header that the config writes: the name is a token, the value has no control characters.
#[derive(Clone, Debug)]
pub struct HeaderLine {
    /// In the case written.
    pub name: Spanned<String>,
    pub value: Spanned<String>,
}

/// `hide`: the guard that removes what would show the servers inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hide {
    /// `hide = false`.
    Off,
    /// `hide = true` (the default), or a table.
    On {
        /// Removed besides the usual ones.
        headers: Vec<Spanned<String>>,
        /// Kept although they are among the usual ones.
        keep: Vec<Spanned<String>>,
    },
}

impl Default for Hide {
    fn default() -> Self {
        Self::On {
            headers: Vec::new(),
            keep: Vec::new(),
        }
    }
}
