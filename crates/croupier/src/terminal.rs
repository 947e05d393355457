//! Writing to people: whole texts to standard output or standard error, in color where it is
//! welcome, and messages that fit in 80 columns.

use std::io::{self, IsTerminal as _, Write as _};

use croupier_config::render::Style;

/// What a message fits in.
pub(crate) const COLUMNS: usize = 80;

/// Writes to standard output. Whoever closed it wants no more, so errors are no matter.
pub(crate) fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes to standard error.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Says on standard error what is wrong and what to do.
pub(crate) fn error(message: &str, help: &[&str]) {
    let paint = Paint::of_stderr();
    let mut text = labelled(&paint.bold_red("error"), "error", ": ", message);
    for help in help {
        text.push_str(&labelled("  = help", "  = help", ": ", help));
    }
    err(&text);
}

/// A label and words behind it, wrapped so that they stay right of it. `plain` is the label
/// without color.
fn labelled(label: &str, plain: &str, between: &str, words: &str) -> String {
    let indent = if plain.starts_with(' ') {
        plain.len() + between.len()
    } else {
        0
    };
    let mut text = format!("{label}{between}");
    let mut column = plain.len() + between.len();
    for (index, word) in words.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > COLUMNS {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text.push('\n');
    text
}

/// Words in lines of at most so many columns; a longer word has a line of its own.
pub(crate) fn lines(words: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Colors, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    style: Style,
}

impl Paint {
    /// No color.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        style: Style::Plain,
    };

    pub(crate) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    pub(crate) fn of_stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    /// Color on a terminal that can show it, unless its owner wants none (no-color.org).
    fn of(is_terminal: bool) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let style = if is_terminal && !is_dumb && !is_set("NO_COLOR") {
            Style::Color
        } else {
            Style::Plain
        };
        Self { style }
    }

    /// The same, for diagnostics.
    pub(crate) fn style(self) -> Style {
        self.style
    }

    /// Text in an SGR color, `1;31` for bold red.
    pub(crate) fn sgr(self, code: &str, text: &str) -> String {
        match self.style {
            Style::Color => format!("\x1b[{code}m{text}\x1b[0m"),
            Style::Plain => text.to_owned(),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.sgr("32", text)
    }

    pub(crate) fn bold_red(self, text: &str) -> String {
        self.sgr("1;31", text)
    }
}

/// `1 site`, `3 sites`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

#[cfg(test)]
mod tests {
    use super::{labelled, lines};

    #[test]
    fn words_fill_lines() {
        assert_eq!(lines("a bc def", 4), ["a bc", "def"]);
        assert_eq!(lines("abcdef g", 4), ["abcdef", "g"]);
    }

    #[test]
    fn long_help_stays_right_of_its_label() {
        let words = "word ".repeat(30);
        let text = labelled("  = help", "  = help", ": ", words.trim());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        let second = text.lines().nth(1).unwrap();
        assert!(second.starts_with("          word"), "{text}");
    }
}
