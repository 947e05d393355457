//! An encoder that compresses like a browser: known lines by index, the rest inserted and in
//! Huffman code where that is shorter; what is secret or changes each time is not kept.

use super::block::{coded_string, integer, string};
use super::{huffman, table::Table};

/// Encodes the blocks of one connection, in the order in which they are sent.
#[derive(Clone, Debug)]
pub struct Encoder {
    table: Table,
    is_plain: bool,
    update: Option<usize>,
}

impl Encoder {
    /// With the table of 4096 bytes that every connection begins with.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Table::new(4096),
            is_plain: false,
            update: None,
        }
    }

    /// From now on only literals that depend on no table: for connections on which a test writes
    /// blocks of its own.
    pub fn plain(&mut self) {
        self.is_plain = true;
    }

    /// The peer allows a table of this size; it is used up to 4096 and announced before the next
    /// block (4.2).
    pub fn allow(&mut self, bytes: u32) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(4096);
        self.table.resize(bytes);
        self.update = Some(bytes);
    }

    /// A block with these lines.
    #[must_use]
    pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, lines: &[(N, V)]) -> Vec<u8> {
        let mut block = Vec::new();
        if let Some(size) = self.update.take() {
            integer(&mut block, 0x20, 5, size);
        }
        for (name, value) in lines {
            self.line(&mut block, name.as_ref(), value.as_ref());
        }
        block
    }

    fn line(&mut self, block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        if self.is_plain {
            block.push(0);
            string(block, name);
            string(block, value);
            return;
        }
        let (line_at, name_at) = self.table.find(name, value);
        if let Some(index) = line_at {
            integer(block, 0x80, 7, index);
            return;
        }
        let is_kept = !matches!(name, b":path" | b"content-length" | b"authorization");
        let (first, prefix) = match (is_kept, name) {
            (true, _) => (0x40, 6),
            (false, b"authorization") => (0x10, 4),
            (false, _) => (0, 4),
        };
        integer(block, first, prefix, name_at.unwrap_or(0));
        if name_at.is_none() {
            shorter(block, name);
        }
        shorter(block, value);
        if is_kept {
            self.table.insert(name, value);
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

fn shorter(block: &mut Vec<u8>, text: &[u8]) {
    if huffman::encode(text).len() < text.len() {
        coded_string(block, text);
    } else {
        string(block, text);
    }
}
