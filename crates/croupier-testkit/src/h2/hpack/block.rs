//! A header block said piece by piece, each in the way the test asks for.

use super::huffman;

/// Bytes of a header block in the making. It keeps no table: which index means what is for the
/// test to know.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Block(pub Vec<u8>);

impl Block {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An indexed line (6.1).
    #[must_use]
    pub fn indexed(mut self, index: usize) -> Self {
        integer(&mut self.0, 0x80, 7, index);
        self
    }

    /// The same line `count` times: what a bomb is made of.
    #[must_use]
    pub fn indexed_often(mut self, index: usize, count: usize) -> Self {
        let mut one = Vec::new();
        integer(&mut one, 0x80, 7, index);
        self.0.extend(one.repeat(count));
        self
    }

    /// A literal line that leaves the table alone (6.2.2), not compressed.
    #[must_use]
    pub fn literal(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0);
        string(&mut self.0, name.as_ref());
        string(&mut self.0, value.as_ref());
        self
    }

    /// A literal line that must never be indexed (6.2.3).
    #[must_use]
    pub fn secret(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0x10);
        string(&mut self.0, name.as_ref());
        string(&mut self.0, value.as_ref());
        self
    }

    /// A literal line that enters the table (6.2.1).
    #[must_use]
    pub fn insert(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0x40);
        string(&mut self.0, name.as_ref());
        string(&mut self.0, value.as_ref());
        self
    }

    /// A literal value under an indexed name, leaving the table alone.
    #[must_use]
    pub fn named(mut self, index: usize, value: impl AsRef<[u8]>) -> Self {
        integer(&mut self.0, 0, 4, index);
        string(&mut self.0, value.as_ref());
        self
    }

    /// A literal value under an indexed name, entering the table.
    #[must_use]
    pub fn insert_named(mut self, index: usize, value: impl AsRef<[u8]>) -> Self {
        integer(&mut self.0, 0x40, 6, index);
        string(&mut self.0, value.as_ref());
        self
    }

    /// A literal line with both strings in Huffman code, leaving the table alone.
    #[must_use]
    pub fn coded(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0);
        coded_string(&mut self.0, name.as_ref());
        coded_string(&mut self.0, value.as_ref());
        self
    }

    /// A size update (6.3).
    #[must_use]
    pub fn size(mut self, bytes: usize) -> Self {
        integer(&mut self.0, 0x20, 5, bytes);
        self
    }

    /// Bytes as they are.
    #[must_use]
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// Every line literally.
    #[must_use]
    pub fn lines<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        self,
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let lines = lines.into_iter();
        lines.fold(self, |block, (name, value)| block.literal(name, value))
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// An integer behind the bits of `first` (5.1).
pub(super) fn integer(bytes: &mut Vec<u8>, first: u8, prefix: u8, value: usize) {
    let most = (1_usize << prefix) - 1;
    if value < most {
        bytes.push(first | value as u8);
        return;
    }
    bytes.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

pub(super) fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    integer(bytes, 0, 7, text.len());
    bytes.extend(text);
}

pub(super) fn coded_string(bytes: &mut Vec<u8>, text: &[u8]) {
    let coded = huffman::encode(text);
    integer(bytes, 0x80, 7, coded.len());
    bytes.extend(coded);
}
