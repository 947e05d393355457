//! Rust text without what is not code: enough of a lexer for the checks, and no more.

/// The text with comments, strings and character literals blanked out, line breaks kept.
pub(crate) fn without_words(text: &str) -> String {
    let mut lexer = Lexer {
        rest: text,
        code: String::with_capacity(text.len()),
    };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.code
}

struct Lexer<'a> {
    rest: &'a str,
    code: String,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.blank(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.blank(block_comment(rest));
        } else if let Some(length) = string(rest).filter(|_| !self.is_inside_word()) {
            self.blank(length);
        } else if let Some(length) = character(rest) {
            self.blank(length);
        } else {
            let letter = rest.chars().next().unwrap_or(' ');
            self.code.push(letter);
            self.rest = &rest[letter.len_utf8()..];
        }
    }

    /// `r` and `b` begin a string only where no word goes on: not in `for"..`.
    fn is_inside_word(&self) -> bool {
        let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
        !self.rest.starts_with('"') && self.code.ends_with(is_letter)
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.code.push(' ');
        self.code
            .extend(gone.chars().filter(|letter| *letter == '\n'));
        self.rest = rest;
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a string literal that begins here, prefix and hashes included.
fn string(rest: &str) -> Option<usize> {
    let prefix = rest
        .bytes()
        .take_while(|byte| b"brc".contains(byte))
        .count();
    let is_raw = rest[..prefix].contains('r');
    let hashes = rest[prefix..]
        .bytes()
        .take_while(|byte| *byte == b'#')
        .count();
    let start = prefix + hashes + 1;
    if prefix > 2 || !rest[prefix + hashes..].starts_with('"') || (hashes > 0 && !is_raw) {
        return None;
    }
    if is_raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(
            rest[start..]
                .find(&end)
                .map_or(rest.len(), |at| start + at + end.len()),
        );
    }
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(start) {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return Some(at + 1),
            _ => escaped = false,
        }
    }
    Some(rest.len())
}

/// The length of a character literal that begins here; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|at| 2 + first + at + 1);
    }
    let letter = inner.chars().next()?.len_utf8();
    inner[letter..].starts_with('\'').then_some(letter + 2)
}

/// Every identifier with its line, counted from 1.
pub(crate) fn identifiers(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(number, line)| {
        let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let is_name = |word: &&str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        words.filter(is_name).map(move |word| (number + 1, word))
    })
}

/// The words of an identifier in lower case: `HttpRequest`, `http_request` and `HTTP_REQUEST` all
/// say http and request.
pub(crate) fn words(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in identifier.chars() {
        if letter == '_' || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if let (Some(word), true) = (words.last_mut(), letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_code_goes() {
        let text = r##"let a = "b\"c"; // d
/* e /* f */ g */ h('i', '\'', '\u{1F600}', &'j str) r#"k"l"# b"m" br"n" fourteen"##;
        let code = without_words(text);
        let names: Vec<_> = identifiers(&code).collect();
        let expected = [
            (1, "let"),
            (1, "a"),
            (2, "h"),
            (2, "j"),
            (2, "str"),
            (2, "fourteen"),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn identifiers_fall_into_words() {
        assert_eq!(words("HttpRequest2"), ["http", "request2"]);
        assert_eq!(words("_max_idle_MS"), ["max", "idle", "ms"]);
        assert_eq!(words("BODY_BYTES"), ["body", "bytes"]);
    }
}
