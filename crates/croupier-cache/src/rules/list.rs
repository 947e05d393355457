//! List values whose members may hold quoted strings (RFC 9110 section 5.6), and the directives of
//! `Cache-Control` (RFC 9111 section 5.2). Never fails: what has no grammar is `Broken`.

/// The greatest duration in seconds: larger ones count as this (RFC 9111 section 1.2.2).
pub const SECONDS_MAX: u32 = 1 << 31;

/// The comma-separated members of a value, trimmed, empty ones left out; commas in quoted strings
/// do not part. A quote that never closes reaches to the end.
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    parts(value, b',')
}

/// The same for any separator: `;` parts a member from its parameters.
pub fn parts(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let end = unquoted(text, separator);
            let part = &text[..end.unwrap_or(text.len())];
            rest = end.map(|end| &text[end + 1..]);
            let part = trim(part);
            if !part.is_empty() {
                return Some(part);
            }
        }
    })
}

/// Where a byte first stands outside quoted strings.
fn unquoted(text: &[u8], wanted: u8) -> Option<usize> {
    let mut is_quoted = false;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => at += 1,
            _ if byte == wanted && !is_quoted => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Without the white space around it: space and tab only.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = text.iter().position(|byte| !is_space(byte)) else {
        return b"";
    };
    let end = text.iter().rposition(|byte| !is_space(byte));
    &text[start..=end.unwrap_or(start)]
}

/// What stands behind the `=` of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// No `=`.
    None,
    /// A token.
    Token(&'a [u8]),
    /// A quoted string, its quotes taken off, its escapes not.
    Quoted(&'a [u8]),
    /// Neither, or white space beside the `=`.
    Broken,
}

/// One directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directive<'a> {
    /// As written: compare it without case.
    pub name: &'a [u8],
    /// Its argument.
    pub argument: Argument<'a>,
}

impl<'a> Directive<'a> {
    /// Reads one member of the list.
    #[must_use]
    pub fn read(member: &'a [u8]) -> Self {
        let Some(equals) = member.iter().position(|&byte| byte == b'=') else {
            return Self {
                name: member,
                argument: Argument::None,
            };
        };
        let (name, value) = (&member[..equals], &member[equals + 1..]);
        let argument = if trim(name) == name {
            argument(value)
        } else {
            Argument::Broken
        };
        Self {
            name: trim(name),
            argument,
        }
    }

    /// Is this its name? `lower` must be in lower case.
    #[must_use]
    pub fn is(&self, lower: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(lower)
    }

    /// Its argument as `delta-seconds`, as a token or quoted (RFC 9111 section 5.2), at most
    /// [`SECONDS_MAX`].
    #[must_use]
    pub fn seconds(&self) -> Option<u32> {
        match self.argument {
            Argument::Token(digits) | Argument::Quoted(digits) => seconds(digits),
            Argument::None | Argument::Broken => None,
        }
    }

    /// The field names that a quoted argument lists; `None` when it lists none, or not so.
    pub fn names(&self) -> Option<impl Iterator<Item = &'a [u8]> + Clone + use<'a>> {
        let Argument::Quoted(text) = self.argument else {
            return None;
        };
        let mut names = members(text).peekable();
        let is_list = names.peek().is_some() && members(text).all(is_token);
        is_list.then_some(names)
    }
}

fn argument(value: &[u8]) -> Argument<'_> {
    if is_token(value) {
        return Argument::Token(value);
    }
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    match inner {
        // The closing quote must not be an escaped one, nor may another stand between.
        Some(inner) if unquoted_end(inner) => Argument::Quoted(inner),
        _ => Argument::Broken,
    }
}

fn unquoted_end(inner: &[u8]) -> bool {
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return false,
            b'\\' if bytes.next().is_none() => return false,
            _ => {}
        }
    }
    true
}

/// `1*DIGIT`, at most [`SECONDS_MAX`].
#[must_use]
pub fn seconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let sum = digits.iter().fold(0_u32, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
    });
    Some(sum.min(SECONDS_MAX))
}

/// Is it a token (RFC 9110 section 5.6.2)?
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::{Argument, Directive, SECONDS_MAX, members, seconds};

    fn all(value: &str) -> Vec<&[u8]> {
        members(value.as_bytes()).collect()
    }

    #[test]
    fn commas_in_quoted_strings_do_not_part_members() {
        assert_eq!(all("a, b ,,\tc"), [b"a", b"b", b"c"]);
        assert_eq!(all(r#"a="b, c", d"#), [&br#"a="b, c""#[..], b"d"]);
        assert_eq!(all(r#"a="\", b", d"#), [&br#"a="\", b""#[..], b"d"]);
        assert_eq!(all(r#"a="b, c"#), [&br#"a="b, c"#[..]]);
        assert_eq!(all(" , ,"), [&b""[..]; 0]);
        assert_eq!(all(r#""\"#), [&br#""\"#[..]]);
    }

    #[test]
    fn arguments_are_tokens_or_quoted_strings_and_nothing_else() {
        let argument = |text: &'static str| Directive::read(text.as_bytes()).argument;
        assert_eq!(argument("a"), Argument::None);
        assert_eq!(argument("a=b"), Argument::Token(b"b"));
        assert_eq!(argument(r#"a="b c""#), Argument::Quoted(b"b c"));
        assert_eq!(argument(r#"a="""#), Argument::Quoted(b""));
        for broken in [
            "a =b",
            "a= b",
            "a=",
            "a=b c",
            "a=\"b",
            "a=\"b\"c\"",
            "a=\"b\\\"",
            "a=\"",
        ] {
            assert_eq!(argument(broken), Argument::Broken, "{broken}");
        }
    }

    #[test]
    fn seconds_are_digits_and_never_overflow() {
        let many = "9".repeat(101);
        let table = [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(SECONDS_MAX)),
            ("9223372036854775808", Some(SECONDS_MAX)),
            (many.as_str(), Some(SECONDS_MAX)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1s", None),
            ("'1'", None),
        ];
        for (text, expected) in table {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn lists_of_field_names_are_quoted() {
        let count = |text: &'static str| {
            Directive::read(text.as_bytes())
                .names()
                .map(|names| names.count())
        };
        assert_eq!(count(r#"private="a, Set-Cookie""#), Some(2));
        for none in [
            "private",
            "private=a",
            "private=\"\"",
            "private=\"a b\"",
            "private=\"a",
        ] {
            assert_eq!(count(none), None, "{none}");
        }
    }
}
