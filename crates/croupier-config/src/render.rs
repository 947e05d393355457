//! Diagnostics as people and machines read them: text with the line and a caret, or JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use crate::source::{FileId, Sources};

/// Whether the text is for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// With ANSI colors.
    Color,
}

/// Narrow enough for a terminal of 80 columns; longer source lines are cut around the caret.
const WIDTH: usize = 80;

impl Diagnostics {
    /// All of them as text, separated by empty lines.
    pub fn text(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Color => Renderer::styled(),
        }
        .term_width(WIDTH);
        let mut text = String::new();
        for diagnostic in self {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&one(&renderer, &self.sources, diagnostic));
            text.push('\n');
        }
        text
    }

    /// All of them as a JSON array. `line`, `column`, `end_line` and `end_column` count from 1, columns in
    /// characters; they are absent for a problem that has no place in a file.
    pub fn json(&self) -> Value {
        self.iter()
            .map(|diagnostic| object(&self.sources, diagnostic))
            .collect()
    }
}

fn one(renderer: &Renderer, sources: &Sources, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(printable(&diagnostic.message))
        .id(diagnostic.code.id);
    let mut group = Group::with_title(title);
    // One snippet for each file, in the order in which the labels name them.
    let mut files: Vec<FileId> = Vec::new();
    for label in &diagnostic.labels {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    for file in files {
        if let Some(snippet) = snippet(sources, file, &diagnostic.labels) {
            group = group.element(snippet);
        }
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    let text = renderer.render(&[group]);
    // The renderer pads some lines on the right.
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The lines that the labels touch, so that the renderer never walks a whole large file.
fn snippet<'a>(
    sources: &'a Sources,
    file: FileId,
    labels: &[Label],
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let source = sources.file(file)?;
    let text = &source.text;
    let here: Vec<(usize, &Label)> = labels
        .iter()
        .enumerate()
        .filter(|(_, label)| label.span.file == file)
        .collect();
    let first = here
        .iter()
        .map(|(_, label)| label.span.start as usize)
        .min()?
        .min(text.len());
    let last = here
        .iter()
        .map(|(_, label)| label.span.end as usize)
        .max()?
        .min(text.len());
    let start = text.get(..first)?.rfind('\n').map_or(0, |at| at + 1);
    let end = text
        .get(last..)?
        .find('\n')
        .map_or(text.len(), |at| last + at + 1);
    let line = sources.position_at(file, start)?.line;
    let window = text.get(start..end)?;
    let mut snippet = Snippet::source(window)
        .line_start(line)
        .path(printable(&source.name))
        .fold(true);
    for (index, label) in here {
        let kind = if index == 0 {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let from =
            window.floor_char_boundary((label.span.start as usize).clamp(start, end) - start);
        // A value over many lines is marked on its first: the caret says where to look, not how much there is.
        let to = window.floor_char_boundary((label.span.end as usize).clamp(start, end) - start);
        let to = window[from..]
            .find(['\r', '\n'])
            .map_or(to, |at| to.min(from + at))
            .max(from);
        let annotation = kind.span(from..to);
        snippet = snippet.annotation(if label.text.is_empty() {
            annotation
        } else {
            annotation.label(printable(&label.text))
        });
    }
    Some(snippet)
}

/// Text from the config never moves the cursor or colors the terminal.
fn printable(text: &str) -> String {
    annotate_snippets::normalize_untrusted_str(text)
}

fn object(sources: &Sources, diagnostic: &Diagnostic) -> Value {
    let place = |label: &Label| {
        let mut place = json!({ "text": label.text });
        let span = label.span;
        if let (Some(file), Some(start), Some(end)) = (
            sources.file(span.file),
            sources.position(span),
            sources.position_at(span.file, span.end as usize),
        ) {
            place["file"] = file.name.as_str().into();
            place["line"] = start.line.into();
            place["column"] = start.column.into();
            place["end_line"] = end.line.into();
            place["end_column"] = end.column.into();
        }
        place
    };
    let mut labels = diagnostic.labels.iter().map(place);
    let mut object = labels.next().unwrap_or_else(|| json!({}));
    object["label"] = object["text"].take();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("text");
    }
    object["severity"] = diagnostic.severity.word().into();
    object["code"] = diagnostic.code.id.into();
    object["message"] = diagnostic.message.as_str().into();
    object["help"] = diagnostic.help.clone().into();
    object["related"] = labels.collect();
    object
}
