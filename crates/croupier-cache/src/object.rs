//! One answer that is kept: whole, unchangeable, shared by all who give it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use croupier_http::Fields;

use crate::terms::Terms;

/// A kept answer. What changes is a new object: a 304 makes one with another head and the same body.
#[derive(Debug)]
pub struct Object {
    /// All of what it was asked by, compared in full on a hit: see `store::key`.
    pub key: Box<[u8]>,
    /// 200, 203, 204, 301, ...
    pub status: u16,
    /// Its field lines as they came from the origin, hop fields left out: `name: value CRLF`.
    pub lines: Box<[u8]>,
    /// Where its bytes are.
    pub body: Body,
    /// What it lives by.
    pub terms: Terms,
    /// How often it was given.
    hits: AtomicU32,
}

/// Where the bytes of a kept answer are.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory.
    Memory(Arc<[u8]>),
    /// In the disk tier, whence it is sent without passing through memory.
    Disk(crate::disk::Extent),
}

impl Object {
    /// An object that nobody has been given yet.
    #[must_use]
    pub fn new(key: Box<[u8]>, status: u16, lines: Box<[u8]>, body: Body, terms: Terms) -> Self {
        Self {
            key,
            status,
            lines,
            body,
            terms,
            hits: AtomicU32::new(0),
        }
    }

    /// It is given once more.
    pub fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was given.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Its field lines in order: name, value.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        lines(&self.lines)
    }

    /// Its fields as a table, for whoever must ask many questions.
    pub fn fields(&self, into: &mut Fields) {
        into.clear();
        for (name, value) in self.lines() {
            into.push(name, value);
        }
    }
}

/// Writes a field line as objects keep it.
pub fn push_line(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    lines.extend_from_slice(name);
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// The field lines of a text that [`push_line`] wrote.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = rest.get(..end.checked_sub(1)?)?;
        rest = &rest[end + 1..];
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line.get(colon + 2..)?))
    })
}
