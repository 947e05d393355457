//! As much of structured fields (RFC 9651) as the fields of dictionaries need. Strict: a value
//! that is wrong anywhere is wrong as a whole.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Members and items of one value; more are no lawful use.
const PARTS_MAX: usize = 64;

/// Padding may be missing (RFC 9651 section 4.2.7).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A value without its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    String(String),
    Token(String),
    Bytes(Vec<u8>),
    /// A list of strings in brackets.
    Strings(Vec<String>),
    /// A number, a boolean, a date, a list of other things: nothing of ours.
    Other,
}

/// What is not read yet. Every method gives None when the value is not lawful.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    parts: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value.trim_ascii(),
            parts: 0,
        }
    }

    /// The key of the next member of a dictionary; Some(None) at its end.
    pub(super) fn key(&mut self) -> Option<Option<&'a str>> {
        if self.parts > 0 {
            self.skip(|byte| byte == b' ' || byte == b'\t');
            if self.rest.is_empty() {
                return Some(None);
            }
            self.expect(b',')?;
            self.skip(|byte| byte == b' ' || byte == b'\t');
        } else if self.rest.is_empty() {
            return Some(None);
        }
        self.bare_key().map(Some)
    }

    /// The value behind a key: true when there is none.
    pub(super) fn member(&mut self) -> Option<Bare> {
        if !self.has(b'=') {
            self.parameters()?;
            return Some(Bare::Other);
        }
        self.value()
    }

    /// The whole value as one item.
    pub(super) fn item(&mut self) -> Option<Bare> {
        let value = self.value()?;
        self.rest.is_empty().then_some(value)
    }

    fn value(&mut self) -> Option<Bare> {
        let value = if self.has(b'(') {
            self.inner_list()?
        } else {
            self.bare()?
        };
        self.parameters()?;
        Some(value)
    }

    fn inner_list(&mut self) -> Option<Bare> {
        let mut strings = Some(Vec::new());
        loop {
            self.skip(|byte| byte == b' ');
            if self.has(b')') {
                return Some(strings.map_or(Bare::Other, Bare::Strings));
            }
            match (self.bare()?, &mut strings) {
                (Bare::String(text), Some(strings)) => strings.push(text),
                _ => strings = None,
            }
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn bare(&mut self) -> Option<Bare> {
        self.count()?;
        match *self.rest.first()? {
            b'"' => self.string().map(Bare::String),
            b':' => self.bytes().map(Bare::Bytes),
            b'?' => {
                self.rest = &self.rest[1..];
                (self.has(b'0') || self.has(b'1')).then_some(Bare::Other)
            }
            b'@' => {
                self.rest = &self.rest[1..];
                self.number().map(|()| Bare::Other)
            }
            b'-' | b'0'..=b'9' => self.number().map(|()| Bare::Other),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                let token = self
                    .take(|byte| byte.is_ascii_graphic() && !b"\"(),;<=>?@[\\]{}".contains(&byte));
                Some(Bare::Token(String::from_utf8_lossy(token).into_owned()))
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(text),
                b'\\' => {
                    let (&byte, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    if byte != b'"' && byte != b'\\' {
                        return None;
                    }
                    text.push(char::from(byte));
                }
                b' '..=b'~' => text.push(char::from(byte)),
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        self.expect(b':')?;
        let coded = self.take(|byte| byte != b':');
        self.expect(b':')?;
        BASE64.decode(coded).ok()
    }

    fn number(&mut self) -> Option<()> {
        self.has(b'-');
        let whole = self.take(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 {
            return None;
        }
        if self.has(b'.') {
            let digits = self.take(|byte| byte.is_ascii_digit());
            if whole.len() > 12 || digits.is_empty() || digits.len() > 3 {
                return None;
            }
        }
        Some(())
    }

    fn parameters(&mut self) -> Option<()> {
        while self.has(b';') {
            self.skip(|byte| byte == b' ');
            self.bare_key()?;
            if self.has(b'=') {
                self.bare()?;
            }
        }
        Some(())
    }

    fn bare_key(&mut self) -> Option<&'a str> {
        self.count()?;
        if !matches!(self.rest.first(), Some(b'a'..=b'z' | b'*')) {
            return None;
        }
        let key =
            self.take(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*'));
        std::str::from_utf8(key).ok()
    }

    fn count(&mut self) -> Option<()> {
        self.parts += 1;
        (self.parts <= PARTS_MAX).then_some(())
    }

    fn has(&mut self, byte: u8) -> bool {
        self.expect(byte).is_some()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn skip(&mut self, is_in: impl Fn(u8) -> bool) {
        self.take(is_in);
    }

    fn take(&mut self, is_in: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !is_in(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// Writes a string with its quotes; None when it has letters that strings can not have.
pub(super) fn write_string(out: &mut String, text: &str) -> Option<()> {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => return None,
        }
    }
    out.push('"');
    Some(())
}
