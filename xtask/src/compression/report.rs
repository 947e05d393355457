//! The table of a run, and the file it is kept in.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::corpus::Corpus;
use crate::{Outcome, machine, repository};

/// A proxy in a coding.
pub(super) struct Row {
    /// Its place among the peers.
    pub(super) peer: usize,
    pub(super) name: String,
    /// Empty: none.
    pub(super) coding: &'static str,
    /// Bytes of all bodies.
    pub(super) len: usize,
    /// Milliseconds of CPU per megabyte that were spent once, before.
    pub(super) once_millis: Option<f64>,
    /// Milliseconds of CPU per megabyte of files, one for each round.
    pub(super) cpu_millis: Vec<f64>,
}

impl Row {
    fn median(&self) -> f64 {
        let mut values = self.cpu_millis.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Who took part, and how each tells its version.
const VERSIONS: [(&str, &str); 1] = [("nginx", "-v")];
const CADDY: [(&str, &str); 1] = [("caddy", "version")];

pub(super) fn text(
    rows: &[Row],
    corpus: &Corpus,
    arguments: &[String],
    (machine_lines, rounds): (&[String], usize),
) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# Compression, {}\n", machine::today());
    let words = ["cargo xtask compression".to_owned()];
    // Where the binary lies is nobody's business.
    let shown = (arguments.iter()).map(|word| match word.contains('/') {
        true => "PATH".to_owned(),
        false => word.clone(),
    });
    let words: Vec<String> = words.into_iter().chain(shown).collect();
    let _ = writeln!(text, "`{}`\n", words.join(" "));
    let _ = writeln!(text, "- {}", machine_lines.join("\n- "));
    let _ = writeln!(text, "- {}", machine::versions(&VERSIONS).join("\n- "));
    for version in machine::versions(&CADDY) {
        let _ = writeln!(text, "- caddy {version}"); // it tells the number alone
    }
    let _ = writeln!(text, "- {}", corpus.lines().join("\n- "));
    let _ = writeln!(
        text,
        "- medians of {rounds} in turn; proxy on CPU 0 with one worker, origin and client (one \
         connection) on CPU 1; CPU time of the proxy's processes by the kernel, with all that \
         proxying takes, per MB (10^6 bytes) of files\n\
         - every answer was undone by its coding's own program and compared with the file\n\
         - once: what was spent before, while the answers that are kept became as small as they \
         get, the first answers and all checks among it; without a number in time they did not\n\
         - nginx, level 1 is its default for gzip; level 6 is the default of its brotli filter; \
         caddy with its defaults (`encode`)"
    );
    for (coding, title) in [
        ("", "As it is"),
        ("gzip", "gzip"),
        ("br", "brotli"),
        ("zstd", "zstd"),
    ] {
        let own: Vec<&Row> = rows.iter().filter(|row| row.coding == coding).collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "\n## {title}\n\n| | bytes | of the files | CPU ms per MB | once, CPU ms per MB |\n\
             | --- | --: | --: | --: | --: |"
        );
        for row in own {
            #[expect(clippy::cast_precision_loss, reason = "megabytes")]
            let share = row.len as f64 * 100.0 / corpus.len() as f64;
            let once = row
                .once_millis
                .map_or_else(|| "-".to_owned(), |millis| format!("{millis:.0}"));
            let _ = writeln!(
                text,
                "| {} | {} | {share:.1} % | {:.2} | {once} |",
                match coding {
                    "" => row.name.split(", level").next().unwrap_or_default(),
                    _ => &row.name,
                },
                row.len,
                row.median()
            );
        }
    }
    text
}

pub(super) fn write(text: &str) -> Outcome<PathBuf> {
    let folder = repository::root()?.join("bench").join("results");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let name = format!("{}-compression-{}.md", machine::today(), machine::word());
    let path = folder.join(name);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}
