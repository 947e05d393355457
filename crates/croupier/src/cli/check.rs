//! `croupier check`: everything a start does short of opening anything, then the config's tests.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use croupier_config::{
    Config, Diagnostic, Diagnostics, Severity, codes,
    model::{AccessLog, LogFormat},
};

use super::{Code, config_file, config_tests, question};
use crate::terminal::{self, Paint, count};

const NOTES: &str = "\
Prints every problem with its place, and runs the `[[test]]` entries of the
config through the code that routes live requests. Nothing is bound or
looked up, but files of certificates are read. Exit code 0: valid, 1: not.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The config [default: croupier.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For people (`text`, the default), or one JSON object
    #[arg(long, value_enum, value_name = "text|json", default_value_t = Format::Text)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    format: Format,
    /// A warning is as bad as an error
    #[arg(long)]
    deny_warnings: bool,
    /// Say nothing when all is well
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What was found.
#[derive(Default)]
struct Findings {
    diagnostics: Diagnostics,
    sites: usize,
    pools: usize,
    tests: usize,
    passed: usize,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    let Some(path) = config_file::find(arguments.config.as_deref()) else {
        return Code::Refused;
    };
    let findings = check(&path);
    let is_valid = !findings.diagnostics.has_errors();
    let is_denied = arguments.deny_warnings && !findings.diagnostics.is_empty();
    match arguments.format {
        Format::Json => terminal::out(&json(&findings, is_valid && !is_denied)),
        Format::Text => text(arguments, &path, &findings, is_valid),
    }
    if is_valid && !is_denied {
        Code::Done
    } else {
        Code::Refused
    }
}

fn check(path: &Path) -> Findings {
    let mut config = match croupier_config::load(path) {
        Ok(config) => config,
        Err(diagnostics) => {
            return Findings {
                diagnostics,
                ..Findings::default()
            };
        }
    };
    let mut findings = Findings {
        sites: config.sites.len(),
        pools: config.pools.len(),
        tests: config.tests.len(),
        ..Findings::default()
    };
    let mut list = std::mem::take(&mut config.warnings.list);
    list.extend(log_format(&config));
    list.extend(certificates(&config));
    match question::plan(&config) {
        Ok(plan) => {
            let (passed, failures) = config_tests::run(&config, &plan);
            findings.passed = passed;
            list.extend(failures);
        }
        Err(message) => list.push(Diagnostic::error(
            codes::CERTIFICATE,
            croupier_config::Span::NOWHERE,
            message,
        )),
    }
    findings.diagnostics = Diagnostics::new(config.sources, list);
    findings
}

/// What the files of certificates are like is known to whoever watches them.
fn certificates(config: &Config) -> impl Iterator<Item = Diagnostic> {
    let problems = croupier_control::check_certificates(config);
    problems.into_iter().map(|problem| {
        let message = problem.message;
        let diagnostic = match problem.severity {
            Severity::Error => Diagnostic::error(codes::CERTIFICATE, problem.span, message),
            Severity::Warning => Diagnostic::warning(codes::CERTIFICATE, problem.span, message),
        };
        match problem.help {
            help if help.is_empty() => diagnostic,
            help => diagnostic.help(help),
        }
    })
}

/// The fields of a log template are the log writer's to know.
fn log_format(config: &Config) -> Option<Diagnostic> {
    let AccessLog::To { format, .. } = &config.server.access_log else {
        return None;
    };
    let LogFormat::Template(template) = &format.value else {
        return None;
    };
    let complaint = croupier_telemetry::Format::parse(template).err()?;
    Some(Diagnostic::error(codes::TEMPLATE, format.span, complaint))
}

fn text(arguments: &Arguments, path: &Path, findings: &Findings, is_valid: bool) {
    let Findings { diagnostics, .. } = findings;
    terminal::err(&diagnostics.text(Paint::of_stderr().style()));
    let (errors, warnings) = (
        diagnostics.count(Severity::Error),
        diagnostics.count(Severity::Warning),
    );
    let shown = path.display();
    let warned = match warnings {
        0 => String::new(),
        some => format!(", {}", count(some, "warning")),
    };
    if !is_valid {
        let errors = count(errors, "error");
        terminal::err(&format!("\n{shown} is not valid: {errors}{warned}\n"));
        return;
    }
    if warnings > 0 && arguments.deny_warnings {
        let warnings = count(warnings, "warning");
        terminal::err(&format!(
            "\n{shown} is valid, but warnings are denied: {warnings}\n"
        ));
        return;
    }
    if arguments.quiet {
        return;
    }
    let mut parts = vec![count(findings.sites, "site"), count(findings.pools, "pool")];
    if findings.tests > 0 {
        parts.push(format!("{} passed", count(findings.tests, "test")));
    }
    terminal::out(&format!("{shown} is valid: {}{warned}\n", parts.join(", ")));
}

/// One object; `diagnostics` is what `croupier_config` writes of each.
fn json(findings: &Findings, is_valid: bool) -> String {
    let Findings {
        sites,
        pools,
        tests,
        passed,
        ..
    } = findings;
    format!(
        "{{\"valid\":{is_valid},\"sites\":{sites},\"pools\":{pools},\
         \"tests\":{{\"run\":{tests},\"passed\":{passed}}},\"diagnostics\":{}}}\n",
        findings.diagnostics.json()
    )
}
