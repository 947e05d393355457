//! The field table: an ordered list of field lines as spans into one text.
//!
//! Keeps order and case as received. A table belongs to a head, is cleared and used again,
//! and costs no allocation per field once it has grown. This is the only file that knows the
//! representation.

use crate::{
    head::Span,
    names::{Name, NameSet},
};

#[derive(Clone, Copy, Debug)]
struct Line {
    name_at: u32,
    value_at: u32,
    value_len: u32,
    name_len: u16,
    name: Name,
}

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name's number, `Name::OTHER` when it is not in the table of names.
    pub name: Name,
    /// The name as received, in its original case.
    pub raw_name: &'a [u8],
    /// The value without surrounding white space.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Is this the field of that name? `lower` must be in lower case.
    #[must_use]
    pub fn is_named(&self, lower: &[u8]) -> bool {
        self.raw_name.eq_ignore_ascii_case(lower)
    }
}

/// An ordered, recyclable table of field lines.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    text: Vec<u8>,
    lines: Vec<Line>,
    present: NameSet,
}

impl Fields {
    /// An empty table; allocates on first use.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: Vec::new(),
            lines: Vec::new(),
            present: NameSet::EMPTY,
        }
    }

    /// Forgets all lines, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.present = NameSet::EMPTY;
    }

    /// Bytes of memory this table keeps for its next use.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.text.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    /// Bytes of names, values and whatever else the head is made of.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// No lines?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends a line. Name and value must be lawful (`rules::lawful`); a line longer than
    /// the representation can span is refused by the limits long before.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name_at = self.text.len();
        self.text.extend_from_slice(name);
        let value_at = self.text.len();
        self.text.extend_from_slice(value);
        self.push_span(name_at, name.len(), value_at, value.len());
    }

    /// Replaces the text that spans refer to; used by the codec, which then adds spans.
    pub(crate) fn set_text(&mut self, head: &[u8]) {
        self.clear();
        self.text.extend_from_slice(head);
    }

    /// Puts texts that are no field lines before them.
    pub(crate) fn set_parts(&mut self, first: &[u8], second: &[u8]) -> (Span, Span) {
        self.set_text(first);
        self.text.extend_from_slice(second);
        let span = |at: usize, bytes: &[u8]| Span {
            at: u32::try_from(at).unwrap_or(0),
            len: u32::try_from(bytes.len()).unwrap_or(0),
        };
        (span(0, first), span(first.len(), second))
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a head is limited to far below 64 KiB names and 4 GiB"
    )]
    pub(crate) fn push_span(
        &mut self,
        name_at: usize,
        name_len: usize,
        value_at: usize,
        value_len: usize,
    ) {
        debug_assert!(name_len <= usize::from(u16::MAX) && value_at + value_len <= self.text.len());
        let name = Name::from_bytes(&self.text[name_at..name_at + name_len]);
        self.present.insert(name);
        self.lines.push(Line {
            name_at: name_at as u32,
            value_at: value_at as u32,
            value_len: value_len as u32,
            name_len: name_len as u16,
            name,
        });
    }

    /// All lines in the order received.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.lines.iter().map(|line| self.field(line))
    }

    fn field(&self, line: &Line) -> Field<'_> {
        let name_at = line.name_at as usize;
        let value_at = line.value_at as usize;
        Field {
            name: line.name,
            raw_name: &self.text[name_at..name_at + usize::from(line.name_len)],
            value: &self.text[value_at..value_at + line.value_len as usize],
        }
    }

    /// Which table names occur at all.
    #[must_use]
    pub fn present(&self) -> NameSet {
        self.present
    }

    /// Does a line of this name exist?
    #[must_use]
    pub fn contains(&self, name: Name) -> bool {
        self.present.contains(name)
    }

    /// The first value of a table name.
    #[must_use]
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        if !self.contains(name) {
            return None;
        }
        self.all(name).next()
    }

    /// The value of a table name that occurs exactly once.
    #[must_use]
    pub fn sole(&self, name: Name) -> Option<&[u8]> {
        let mut lines = self.lines.iter().filter(|line| line.name == name);
        let line = lines.next()?;
        lines.next().is_none().then(|| self.field(line).value)
    }

    /// All values of a table name, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> + Clone {
        self.lines
            .iter()
            .filter(move |line| line.name == name)
            .map(|line| self.field(line).value)
    }

    /// All values of any name, given in lower case.
    pub fn all_named<'a>(&'a self, lower: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.iter()
            .filter(move |field| field.is_named(lower))
            .map(|field| field.value)
    }
}

/// The comma-separated members of a list value, trimmed, empty ones left out
/// (RFC 9110 section 5.6.1). Quoted commas are not understood: use it for tokens only.
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Fields, members};
    use crate::names::Name;

    #[test]
    fn keeps_order_case_and_repeats() {
        let mut fields = Fields::new();
        fields.push(b"Host", b"a");
        fields.push(b"X-Odd", b"1");
        fields.push(b"Set-Cookie", b"a=1");
        fields.push(b"set-cookie", b"b=2");
        let names: Vec<_> = fields.iter().map(|field| field.raw_name.to_vec()).collect();
        assert_eq!(
            names,
            [&b"Host"[..], b"X-Odd", b"Set-Cookie", b"set-cookie"]
        );
        assert_eq!(fields.get(Name::HOST), Some(&b"a"[..]));
        assert_eq!(fields.all(Name::SET_COOKIE).count(), 2);
        assert_eq!(fields.all_named(b"x-odd").next(), Some(&b"1"[..]));
        assert!(fields.get(Name::VIA).is_none());
        fields.clear();
        assert!(fields.is_empty() && !fields.contains(Name::HOST));
    }

    #[test]
    fn list_members_are_trimmed() {
        let all: Vec<_> = members(b" close , ,\tTE,").collect();
        assert_eq!(all, [&b"close"[..], b"TE"]);
    }
}
