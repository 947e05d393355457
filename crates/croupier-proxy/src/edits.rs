//! Header edits of a route, compiled: a set of names to drop and lines to write.

use croupier_config::model::{HeaderEdits, HeaderLine, Hide};
use croupier_http::{Field, Name, NameSet, rules::hide};

/// A line that the config writes.
#[derive(Clone, Debug)]
pub struct Line {
    /// In the case written.
    pub name: Box<[u8]>,
    /// Without controls.
    pub value: Box<[u8]>,
}

impl Line {
    /// From what the config says.
    #[must_use]
    pub fn new(line: &HeaderLine) -> Self {
        Self {
            name: line.name.value.as_bytes().into(),
            value: line.value.value.as_bytes().into(),
        }
    }
}

/// Edits of one direction.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    drop: NameSet,
    /// Names outside the table, in lower case.
    drop_others: Box<[Box<[u8]>]>,
    /// Lines to write after the others.
    pub lines: Box<[Line]>,
}

impl Edits {
    /// From what the config says; a line that is set replaces all of its name.
    #[must_use]
    pub fn new(edits: &HeaderEdits) -> Self {
        let removed = edits.remove.iter().map(|name| name.value.as_str());
        let set = edits.set.iter().map(|line| line.name.value.as_str());
        let mut this = Self::dropping(removed.chain(set));
        this.lines = edits.set.iter().chain(&edits.add).map(Line::new).collect();
        this
    }

    fn dropping<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut drop = NameSet::EMPTY;
        let mut others: Vec<Box<[u8]>> = Vec::new();
        for name in names {
            match Name::from_bytes(name.as_bytes()) {
                Name::OTHER => others.push(name.to_ascii_lowercase().into_bytes().into()),
                name => drop.insert(name),
            }
        }
        Self {
            drop,
            drop_others: others.into(),
            lines: Box::default(),
        }
    }

    /// Table names to drop.
    #[must_use]
    pub fn dropped(&self) -> NameSet {
        self.drop
    }

    /// Is a line of a name outside the table to be dropped?
    #[must_use]
    pub fn drops_other(&self, field: &Field<'_>) -> bool {
        self.drop_others.iter().any(|name| field.is_named(name))
    }

    /// Is a line of this name, outside the table, to be dropped?
    #[must_use]
    pub fn drops_named(&self, name: &[u8]) -> bool {
        let mut others = self.drop_others.iter();
        others.any(|other| other.eq_ignore_ascii_case(name))
    }

    /// Does any line carry this table name?
    #[must_use]
    pub fn writes(&self, name: Name) -> bool {
        self.lines
            .iter()
            .any(|line| Name::from_bytes(&line.name) == name)
    }
}

/// The invisible-server guard of a route, compiled.
#[derive(Clone, Debug)]
pub struct Guard {
    is_on: bool,
    drop: NameSet,
    drop_others: Box<[Box<[u8]>]>,
    keep_others: Box<[Box<[u8]>]>,
}

impl Guard {
    /// From what the config says.
    #[must_use]
    pub fn new(hide: &Hide) -> Self {
        let Hide::On { headers, keep } = hide else {
            return Self {
                is_on: false,
                drop: NameSet::EMPTY,
                drop_others: Box::default(),
                keep_others: Box::default(),
            };
        };
        let more = Edits::dropping(headers.iter().map(|name| name.value.as_str()));
        let kept = Edits::dropping(keep.iter().map(|name| name.value.as_str()));
        let mut drop = hide::IDENTITY.union(more.drop);
        for name in keep {
            drop.remove(Name::from_bytes(name.value.as_bytes()));
        }
        Self {
            is_on: true,
            drop,
            drop_others: more.drop_others,
            keep_others: kept.drop_others,
        }
    }

    /// Is the guard on?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Table names to drop.
    #[must_use]
    pub fn dropped(&self) -> NameSet {
        self.drop
    }

    /// Is a line of a name outside the table to be dropped?
    #[must_use]
    pub fn drops_other(&self, field: &Field<'_>) -> bool {
        self.is_on
            && (self.drop_others.iter().any(|name| field.is_named(name))
                || hide::is_identity(field.raw_name)
                    && !self.keep_others.iter().any(|name| field.is_named(name)))
    }
}
