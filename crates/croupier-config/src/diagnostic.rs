//! What is wrong or odd in a config, collected: code, message, places, help.
//!
//! A diagnostic is data; [`crate::render`] makes text and JSON of it. Whoever finds a problem later than the reader
//! (the plan builder, a certificate loader) adds to the same list with the spans of the model.

use std::fmt;
use std::sync::Arc;

use crate::codes::Code;
use crate::source::{Sources, Span};

/// Whether a config with this problem is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place and what is to be said of it there; the text may be empty.
#[derive(Clone, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: Code,
    /// What is wrong: one sentence without a final period, literals in backticks.
    pub message: String,
    /// The first is the place of the problem, the others explain it.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message)
    }

    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message)
    }

    fn new(severity: Severity, code: Code, span: Span, message: impl Into<String>) -> Self {
        let labels = vec![Label {
            span,
            text: String::new(),
        }];
        Self {
            severity,
            code,
            message: message.into(),
            labels,
            help: Vec::new(),
        }
    }

    /// Text at the place of the problem.
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// Another place that explains the problem; a default has none.
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        if span.is_written() {
            self.labels.push(Label {
                span,
                text: text.into(),
            });
        }
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// The place of the problem.
    pub fn span(&self) -> Span {
        self.labels
            .first()
            .map_or(Span::NOWHERE, |label| label.span)
    }
}

/// Problems of one load, and the texts they point into.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub sources: Arc<Sources>,
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// In the order of the text: by file, then by place.
    pub fn new(sources: Arc<Sources>, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(Diagnostic::span);
        Self { sources, list }
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.list
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    /// All of them as text without color.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(crate::render::Style::Plain))
    }
}

impl std::error::Error for Diagnostics {}
