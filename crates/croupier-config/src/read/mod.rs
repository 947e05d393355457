//! The reader: spanned trees in, model out, every problem on the way noted.
//!
//! A function here returns `None` when it has noted a problem; nobody reports the same thing twice, and nobody stops.

mod acme;
mod action;
mod address;
mod amount;
mod balance;
mod cache;
mod compress;
mod condition;
mod field;
mod fields;
mod headers;
mod health;
mod host;
mod limits;
mod origin;
mod path;
mod pool;
mod process;
mod retry;
mod route;
mod scalar;
mod server;
mod site;
mod sticky;
mod template;
mod test;
mod tls;
mod traffic;
mod url;

pub(crate) use cache::StoreBook;
pub(crate) use field::Field;
pub(crate) use fields::Fields;
#[cfg(test)]
pub(crate) use fields::seen;
pub(crate) use host::pattern;
pub(crate) use pool::PoolBook;
pub(crate) use tls::{Asked, Terms, Written};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::codes::{self, Code};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::keys;
use crate::model::{Acme, Config, Limits, Process, Timeouts};
use crate::source::{FileId, Sources, Span, Spanned};
use crate::syntax::line_start;
use crate::tree::{Entry, Node};

/// More problems than anyone reads; what comes after is dropped.
const DIAGNOSTICS_MAX: usize = 200;

/// Why a text is not what it should be, before anyone knows where it stands.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What was noted so far.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) list: Vec<Diagnostic>,
    /// Lines (by their first byte) that have a syntax error: other problems there are only its echo.
    pub(crate) echoes: HashMap<FileId, BTreeSet<usize>>,
    /// A file could not be read or parsed, so what it defines is not known.
    pub(crate) is_partial: bool,
    /// What each site of the config says of TLS, in the same order; the checks decide what it comes to.
    pub(crate) written: Vec<Written>,
    /// Where `[acme]` stands.
    pub(crate) acme_at: Option<Span>,
}

impl Reader {
    pub(crate) fn note(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        }
    }

    /// The list, less what a syntax error on the same line explains.
    pub(crate) fn without_echoes(self, sources: &Sources) -> Vec<Diagnostic> {
        let Self {
            list,
            echoes,
            is_partial,
            ..
        } = self;
        let is_echo = |diagnostic: &Diagnostic| {
            let span = diagnostic.span();
            let lines = echoes.get(&span.file).filter(|lines| !lines.is_empty());
            let is_syntax = [codes::SYNTAX, codes::DUPLICATE_KEY].contains(&diagnostic.code);
            let is_missing = is_partial && diagnostic.code == codes::NO_SUCH_POOL;
            let text = sources
                .file(span.file)
                .map_or("", |file| file.text.as_str());
            is_missing
                || !is_syntax
                    && lines
                        .is_some_and(|lines| lines.contains(&line_start(text, span.start as usize)))
        };
        list.into_iter()
            .filter(|diagnostic| !is_echo(diagnostic))
            .collect()
    }

    /// Turns a text into a value, or notes why it cannot be.
    pub(crate) fn parse<T>(
        &mut self,
        text: Spanned<&str>,
        code: Code,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<Spanned<T>> {
        match parse(text.value) {
            Ok(value) => Some(Spanned::new(value, text.span)),
            Err(complaint) => {
                self.complain(code, text.span, complaint);
                None
            }
        }
    }

    pub(crate) fn complain(&mut self, code: Code, span: Span, complaint: Complaint) {
        let mut diagnostic = Diagnostic::error(code, span, complaint.message);
        diagnostic.help.extend(complaint.help);
        self.note(diagnostic);
    }
}

/// One parsed file.
pub(crate) struct File {
    pub(crate) tree: Node,
    pub(crate) is_main: bool,
}

/// Reads all files into one config. Pools come first, since routes refer to them.
pub(crate) fn config(reader: &mut Reader, files: &[File]) -> Config {
    let mut server = Process::default();
    let mut timeouts = Timeouts::default();
    let mut limits = Limits::default();
    let mut acme = Acme::default();
    let mut book = PoolBook::default();
    let mut stores = StoreBook::default();
    let mut sites = Vec::new();
    let mut tests = Vec::new();
    let tops: Vec<Fields<'_>> = files.iter().filter_map(|file| top(reader, file)).collect();
    for top in &tops {
        if let Some(version) = top.get("version") {
            check_version(reader, &version);
        }
        if let Some(table) = top.table(reader, "server", &keys::SERVER_TABLE) {
            server = process::process(reader, &table);
        }
        if let Some(table) = top.table(reader, "timeouts", &keys::TIMEOUTS) {
            limits::timeouts(reader, &table, &mut timeouts);
        }
        if let Some(table) = top.table(reader, "limits", &keys::LIMITS) {
            limits::limits(reader, &table, &mut limits);
        }
        if let Some(table) = top.table(reader, "acme", &keys::ACME) {
            reader.acme_at = top.get("acme").map(|field| field.name);
            acme = acme::acme(reader, &table);
        }
        for entry in named(reader, top, "cache", &keys::STORE) {
            stores.read(reader, entry);
        }
        for entry in named(reader, top, "pool", &keys::POOL) {
            book.name(reader, entry);
        }
    }
    for top in &tops {
        for entry in named(reader, top, "pool", &keys::POOL) {
            book.read(reader, entry);
        }
    }
    for top in &tops {
        for entry in named(reader, top, "site", &keys::SITE) {
            sites.extend(site::site(reader, entry, &mut book, &mut stores));
        }
        if let Some(field) = top.get("test") {
            tests.extend(test::tests(reader, &field));
        }
    }
    let pools = book.into_pools();
    let stores = stores.into_stores(&sites);
    let warnings = Diagnostics::default();
    let sources = Arc::new(Sources::default());
    Config {
        sources,
        server,
        timeouts,
        limits,
        acme,
        stores,
        pools,
        sites,
        tests,
        warnings,
    }
}

fn top<'a>(reader: &mut Reader, file: &'a File) -> Option<Fields<'a>> {
    let top = Fields::open(reader, &file.tree, &keys::ROOT)?;
    if file.is_main {
        return Some(top);
    }
    for name in ["version", "server", "timeouts", "limits", "acme", "cache"] {
        if let Some(field) = top.get(name).filter(|_| name != "version") {
            let message = format!("`{name}` belongs to the main file");
            reader.note(
                Diagnostic::error(codes::MAIN_FILE_ONLY, field.name, message)
                    .help("an included file holds `pool`, `site`, `test` and `include` only"),
            );
        }
    }
    Some(top)
}

/// The entries of `pool` or `site`.
fn named<'a>(
    reader: &mut Reader,
    top: &Fields<'a>,
    name: &'static str,
    spec: &'static keys::Table,
) -> &'a [Entry] {
    let Some(field) = top.get(name) else {
        return &[];
    };
    match field.node.as_table() {
        Some(entries) => entries,
        None => {
            // Pools are visited twice and must complain once.
            if !reader
                .list
                .iter()
                .any(|diagnostic| diagnostic.span() == field.node.span)
            {
                let message = format!(
                    "`{name}` takes tables such as `{}`, not {}",
                    spec.title,
                    field.node.found()
                );
                reader.note(Diagnostic::error(
                    codes::WRONG_TYPE,
                    field.node.span,
                    message,
                ));
            }
            &[]
        }
    }
}

fn check_version(reader: &mut Reader, version: &Field<'_>) {
    if version
        .integer_in(reader, 0, u64::MAX)
        .is_some_and(|version| version.value != 1)
    {
        reader.note(
            Diagnostic::error(
                codes::VERSION,
                version.node.span,
                "this version is not known",
            )
            .help("this program reads `version = 1`"),
        );
    }
}
