//! A strict decoder: what a careful encoder never sends is an error here.

use super::{Lines, huffman, table::Table};

/// Decodes the blocks of one connection, in the order in which they came.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: Table,
    /// The largest table that settings allow.
    limit: usize,
    /// Settings made the limit smaller: the next block has to say so (4.2).
    owes_update: bool,
}

impl Decoder {
    /// With the table of 4096 bytes that every connection begins with.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Table::new(4096),
            limit: 4096,
            owes_update: false,
        }
    }

    /// Our own `SETTINGS_HEADER_TABLE_SIZE` was acknowledged.
    pub fn limit(&mut self, bytes: u32) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.owes_update = bytes < self.limit;
        self.limit = bytes;
    }

    /// The lines of a block, or what is wrong with it.
    pub fn decode(&mut self, block: &[u8]) -> Result<Lines, String> {
        let mut reader = Reader(block);
        let mut lines = Lines::new();
        while let Some(first) = reader.0.first().copied() {
            if first & 0xe0 == 0x20 {
                let size = reader.integer(5)?;
                if !lines.is_empty() || size > self.limit {
                    return Err(format!("a size update to {size} where none may be"));
                }
                self.table.resize(size);
                self.owes_update = false;
                continue;
            }
            if self.owes_update {
                return Err("a table made smaller was not acknowledged by a size update".into());
            }
            lines.push(self.line(first, &mut reader)?);
        }
        Ok(lines)
    }

    fn line(&mut self, first: u8, reader: &mut Reader<'_>) -> Result<(Vec<u8>, Vec<u8>), String> {
        let known = |table: &Table, index: usize| {
            table
                .get(index)
                .ok_or_else(|| format!("nothing has the index {index}"))
        };
        if first & 0x80 != 0 {
            let index = reader.integer(7)?;
            return known(&self.table, index);
        }
        let is_kept = first & 0x40 != 0;
        let name = match reader.integer(if is_kept { 6 } else { 4 })? {
            0 => reader.string()?,
            index => known(&self.table, index)?.0,
        };
        let value = reader.string()?;
        if is_kept {
            self.table.insert(&name, &value);
        }
        Ok((name, value))
    }

    /// Bytes that the peer's lines take in the dynamic table, with 32 for each (4.1).
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.table.bytes()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (byte, rest) = self.0.split_first().ok_or("the block ends in a line")?;
        self.0 = rest;
        Ok(*byte)
    }

    fn integer(&mut self, prefix: u8) -> Result<usize, String> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in (0..28).step_by(7) {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("an integer of more than 28 bits".into())
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        let is_coded = self.0.first().is_some_and(|byte| byte & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("the block ends in a string")?;
        self.0 = rest;
        if is_coded {
            huffman::decode(text)
        } else {
            Ok(text.to_vec())
        }
    }
}
