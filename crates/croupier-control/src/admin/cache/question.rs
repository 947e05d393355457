//! The query of a question: names and values, percent-encoded.

use std::fmt::Write as _;

/// Parameters of a question; nobody needs more.
const PARAMETERS_MAX: usize = 16;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question(Vec<(String, String)>);

impl Question {
    /// Takes a query apart.
    pub(super) fn of(query: &str) -> Result<Self, String> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut all = Vec::new();
        for pair in pairs.take(PARAMETERS_MAX) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(|| format!("`{name}` is not readable\n"))?;
            all.push((name.to_owned(), value));
        }
        Ok(Self(all))
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }

    /// Where a list goes on, as [`place`] wrote it.
    pub(super) fn place(&self) -> Result<(usize, Vec<u8>), String> {
        let Some(text) = self.get("after") else {
            return Ok((0, Vec::new()));
        };
        let read = || {
            let (at, key) = text.split_once('.')?;
            Some((at.parse().ok()?, unhexed(key)?))
        };
        read().ok_or_else(|| "`after` is none that a list has given".into())
    }
}

/// A place in a list: in which of several, and behind which key.
pub(super) fn place(at: usize, key: &[u8]) -> String {
    let mut text = format!("{at}.");
    for byte in key {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhexed(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Question, place};

    #[test]
    fn a_question_comes_apart() {
        let question = Question::of("url=https%3A%2F%2Fa%2F%C3%A9&max=7&all").unwrap();
        assert_eq!(question.get("url"), Some("https://a/\u{e9}"));
        assert_eq!(question.number("max"), Some(7));
        assert_eq!(question.get("all"), Some(""));
        assert_eq!(question.get("tag"), None);
        for bad in ["url=%", "url=%2", "url=%zz", "url=%ff"] {
            assert!(Question::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_goes_on_where_it_stopped() {
        let after = place(3, &[0, 255, 10]);
        let question = Question::of(&format!("after={after}")).unwrap();
        assert_eq!(question.place(), Ok((3, vec![0, 255, 10])));
        assert_eq!(Question::of("").unwrap().place(), Ok((0, Vec::new())));
        for bad in ["after=3", "after=x.00", "after=3.0", "after=3.zz"] {
            assert!(Question::of(bad).unwrap().place().is_err(), "{bad}");
        }
    }
}
