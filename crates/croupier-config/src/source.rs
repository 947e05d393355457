//! Where a value was written: files, spans, lines and columns.
//!
//! Every file of one load is kept as text for as long as its `Config` lives, so that a check that fails late (a
//! regex, an address, a certificate) can still point at the place. A span is a range of bytes in one file.

use std::ops::{Deref, Range};

/// A file of one load; index into [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u16);

/// A range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self::NOWHERE
    }
}

impl Span {
    /// The place of what nobody wrote: a default.
    pub const NOWHERE: Self = Self {
        file: FileId(u16::MAX),
        start: 0,
        end: 0,
    };

    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let clip = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            file,
            start: clip(range.start),
            end: clip(range.end),
        }
    }

    /// From here to the end of another span of the same file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            end: self.end.max(other.end),
            ..self
        }
    }

    #[must_use]
    pub(crate) fn shifted(self, bytes: usize) -> Self {
        let start = self.start as usize + bytes;
        Self::new(self.file, start..self.end as usize + bytes)
    }

    /// False for a default.
    pub fn is_written(self) -> bool {
        self.file != Self::NOWHERE.file
    }
}

/// A value and the place where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// A value that nobody wrote.
    pub fn default_of(value: T) -> Self {
        Self {
            value,
            span: Span::NOWHERE,
        }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned {
            value: change(self.value),
            span: self.span,
        }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One text that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As the user would type it: relative when the load was.
    pub name: String,
    pub text: String,
}

/// A place for people: both count from 1; the column counts characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// All texts of one load.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Keeps a text. The number of files of one load is bounded well below `u16::MAX`.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u16::try_from(self.files.len()).unwrap_or(u16::MAX - 1));
        self.files.push(SourceFile {
            name: name.into(),
            text: text.into(),
        });
        id
    }

    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::from(id.0))
    }

    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// The text under a span, cut to what the file really has.
    pub fn slice(&self, span: Span) -> &str {
        self.file(span.file)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or("")
    }

    /// Line and column of the first byte of a span; `None` for a default.
    pub fn position(&self, span: Span) -> Option<Position> {
        self.position_at(span.file, span.start as usize)
    }

    /// Line and column of a byte.
    pub fn position_at(&self, file: FileId, byte: usize) -> Option<Position> {
        let text = &self.file(file)?.text;
        let mut byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = &text[..byte];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Position {
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Sources, Span};

    #[test]
    fn columns_count_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a", "x = 1\nü = \"é\"\n");
        assert_eq!(
            sources.position(Span::new(file, 11..13)),
            Some(Position { line: 2, column: 5 })
        );
        // In the middle of a character and beyond the end: the nearest place, no panic.
        assert_eq!(
            sources.position_at(file, 7),
            Some(Position { line: 2, column: 1 })
        );
        assert_eq!(
            sources.position_at(file, 999),
            Some(Position { line: 3, column: 1 })
        );
        assert_eq!(sources.position(Span::NOWHERE), None);
    }
}
