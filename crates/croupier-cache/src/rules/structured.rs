//! Structured fields (RFC 9651), as far as caches are spoken to in them: dictionaries
//! (`CDN-Cache-Control`, RFC 9213) and lists of strings (`Cache-Groups`, RFC 9875). Strict, as the
//! RFC wants it: one error, and the field counts for nothing.

/// An item without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// At most 15 digits.
    Integer(i64),
    /// What stands between the quotes, escapes as written.
    String(&'a [u8]),
    /// A token.
    Token(&'a [u8]),
    /// `?1` and `?0`; also a member without a value.
    Boolean(bool),
    /// A decimal, a date, bytes, a display string or an inner list: lawful, and nothing to us.
    Other,
}

/// The field is not lawful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Reads one line of a dictionary and shows its members in order. Of a key that comes twice the
/// last counts: the caller sees to it.
///
/// # Errors
/// When the line is no dictionary, or `show` refuses a member.
pub fn dictionary<'a>(
    line: &'a [u8],
    mut show: impl FnMut(&'a [u8], Item<'a>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    members(line, |reader| {
        let key = reader.key()?;
        let item = if reader.skip(b'=') {
            reader.member()?
        } else {
            Item::Boolean(true)
        };
        reader.parameters()?;
        show(key, item)
    })
}

/// Reads one line of a list and shows its members in order.
///
/// # Errors
/// When the line is no list, or `show` refuses a member.
pub fn list<'a>(
    line: &'a [u8],
    mut show: impl FnMut(Item<'a>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    members(line, |reader| {
        let item = reader.member()?;
        reader.parameters()?;
        show(item)
    })
}

fn members<'a>(
    line: &'a [u8],
    mut member: impl FnMut(&mut Reader<'a>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut reader = Reader { rest: line };
    reader.spaces(b" \t");
    while !reader.rest.is_empty() {
        member(&mut reader)?;
        reader.spaces(b" \t");
        if reader.rest.is_empty() {
            return Ok(());
        }
        reader.expect(b',')?;
        reader.spaces(b" \t");
        if reader.rest.is_empty() {
            return Err(Broken); // a comma with nothing behind it
        }
    }
    Ok(())
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.skip(byte) { Ok(()) } else { Err(Broken) }
    }

    fn spaces(&mut self, which: &[u8]) {
        self.take(|byte| which.contains(&byte));
    }

    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !belongs(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn key(&mut self) -> Result<&'a [u8], Broken> {
        if !matches!(self.peek(), b'a'..=b'z' | b'*') {
            return Err(Broken);
        }
        Ok(self.take(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*')))
    }

    fn parameters(&mut self) -> Result<(), Broken> {
        while self.skip(b';') {
            self.spaces(b" ");
            self.key()?;
            if self.skip(b'=') {
                self.bare()?;
            }
        }
        Ok(())
    }

    /// An item or an inner list, without the parameters behind it.
    fn member(&mut self) -> Result<Item<'a>, Broken> {
        if !self.skip(b'(') {
            return self.bare();
        }
        loop {
            self.spaces(b" ");
            if self.skip(b')') {
                return Ok(Item::Other);
            }
            self.bare()?;
            self.parameters()?;
            if !matches!(self.peek(), b' ' | b')') {
                return Err(Broken);
            }
        }
    }

    fn bare(&mut self) -> Result<Item<'a>, Broken> {
        match self.peek() {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => Ok(Item::Token(self.take(|byte| {
                byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
            }))),
            b'?' => {
                self.skip(b'?');
                if self.skip(b'1') {
                    return Ok(Item::Boolean(true));
                }
                self.expect(b'0')?;
                Ok(Item::Boolean(false))
            }
            b':' => {
                self.skip(b':');
                self.take(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                self.expect(b':')?;
                Ok(Item::Other)
            }
            b'@' => {
                self.skip(b'@');
                match self.number()? {
                    Item::Integer(_) => Ok(Item::Other),
                    _ => Err(Broken),
                }
            }
            b'%' => {
                self.skip(b'%');
                self.string()?;
                Ok(Item::Other)
            }
            _ => Err(Broken),
        }
    }

    fn number(&mut self) -> Result<Item<'a>, Broken> {
        let is_negative = self.skip(b'-');
        let digits = self.take(|byte| byte.is_ascii_digit());
        let is_decimal = self.skip(b'.');
        if is_decimal {
            let fraction = self.take(|byte| byte.is_ascii_digit());
            let is_lawful = (1..=12).contains(&digits.len()) && (1..=3).contains(&fraction.len());
            return if is_lawful {
                Ok(Item::Other)
            } else {
                Err(Broken)
            };
        }
        if !(1..=15).contains(&digits.len()) {
            return Err(Broken);
        }
        // 15 digits fit.
        let sum = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(Item::Integer(if is_negative { -sum } else { sum }))
    }

    fn string(&mut self) -> Result<Item<'a>, Broken> {
        self.expect(b'"')?;
        let mut at = 0;
        loop {
            match self.rest.get(at) {
                Some(b'"') => break,
                Some(b'\\') => match self.rest.get(at + 1) {
                    Some(b'"' | b'\\') => at += 2,
                    _ => return Err(Broken),
                },
                Some(b' '..=b'~') => at += 1,
                _ => return Err(Broken),
            }
        }
        let inner = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Ok(Item::String(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Item, dictionary, list};

    fn read(line: &str) -> Result<Vec<(String, Item<'_>)>, Broken> {
        let mut all = Vec::new();
        dictionary(line.as_bytes(), |key, item| {
            all.push((String::from_utf8_lossy(key).into_owned(), item));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn members_of_every_type_are_read() {
        let line = "max-age=60;x=1, no-store, a=?0 , b=\"c, \\\"d\\\"\",\te=f/g;h, i=(1 \"2\";j k), \
                    l=1.5, m=@1, n=:YQ==:, o=%\"p%c3\", q=-7";
        let all = read(line).unwrap();
        let items: Vec<_> = all.iter().map(|(_, item)| *item).collect();
        assert_eq!(all[1].0, "no-store");
        assert_eq!(
            items,
            [
                Item::Integer(60),
                Item::Boolean(true),
                Item::Boolean(false),
                Item::String(b"c, \\\"d\\\""),
                Item::Token(b"f/g"),
                Item::Other,
                Item::Other,
                Item::Other,
                Item::Other,
                Item::Other,
                Item::Integer(-7),
            ]
        );
        assert_eq!(read("").unwrap().len(), 0);
        assert_eq!(read("  ").unwrap().len(), 0);
    }

    #[test]
    fn one_error_breaks_the_whole_field() {
        for line in [
            "max-age=10000, &&&&&",
            "max-age =100",
            "max-age= 100",
            "Max-Age=100",
            "max-age=",
            "max-age=60,",
            ",max-age=60",
            "max-age=60 no-store",
            "max-age=1234567890123456",
            "max-age=-",
            "max-age=1.",
            "a=1.2345",
            "a=\"b",
            "a=\"\\b\"",
            "a=?2",
            "a=(1",
            "a=(1\"2\")",
            "a=:Y",
            "a;=1",
            "a=\u{e4}",
        ] {
            assert_eq!(read(line), Err(Broken), "{line}");
        }
    }

    #[test]
    fn lists_hold_items() {
        let mut strings = 0;
        let line = br#""a", "b";c=1, d"#;
        list(line, |item| {
            strings += u32::from(matches!(item, Item::String(_)));
            Ok(())
        })
        .unwrap();
        assert_eq!(strings, 2);
        assert_eq!(list(b"\"a\" \"b\"", |_| Ok(())), Err(Broken));
    }
}
