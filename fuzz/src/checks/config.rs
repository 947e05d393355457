//! Configuration text: reading is total, and every problem can be shown.

use croupier_config::{Config, render::Style};

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let diagnostics = match Config::from_str("fuzz.toml", text) {
        Ok(config) => config.warnings,
        Err(diagnostics) => {
            assert!(diagnostics.has_errors(), "refused without an error");
            diagnostics
        }
    };
    let _ = diagnostics.text(Style::Plain);
    let _ = diagnostics.json();
    for diagnostic in &diagnostics {
        assert!(!diagnostic.message.is_empty());
        let span = diagnostic.span();
        if span.is_written() {
            // Of the text as kept: without a byte order mark.
            let kept = diagnostics.sources.file(span.file);
            let (start, end) = (span.start as usize, span.end as usize);
            let lies_inside = kept.is_some_and(|file| file.text.get(start..end).is_some());
            assert!(lies_inside, "{diagnostic:?}");
        }
    }
}
