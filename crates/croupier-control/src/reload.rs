//! A reload, top to bottom: read, check, build, bind, swap, release, report.
//!
//! Any error before the swap leaves the old world untouched; nothing after it can fail.

use std::sync::Arc;

use croupier_config::{Config, Diagnostic, Diagnostics, Severity};
use croupier_proxy::plan;
use croupier_telemetry::{Counter, Level, event};

use crate::{boot::Control, logs, resolve};

/// What a reload came to, for whoever asked: `Ok` says what changed, `Err` why nothing did.
pub(crate) type Verdict = Result<String, String>;

/// Reloads the config file.
pub(crate) async fn run(control: &mut Control) -> Verdict {
    let verdict = attempt(control).await;
    match &verdict {
        Ok(report) => {
            control.count_reload(Counter::ReloadSuccess);
            control.admin.note_reload();
            event(Level::Info, "config.reloaded", &[("changes", report)]);
        }
        Err(reason) => {
            control.count_reload(Counter::ReloadFailure);
            let first = reason.lines().next().unwrap_or_default();
            event(
                Level::Error,
                "config.rejected",
                &[
                    ("reason", &first),
                    (
                        "help",
                        &"the running config stays; `croupier check` shows all errors",
                    ),
                ],
            );
        }
    }
    verdict
}

async fn attempt(control: &mut Control) -> Verdict {
    let Some(path) = &control.source else {
        return Err("started without a config file: there is nothing to reload".into());
    };
    let config = croupier_config::load(path).map_err(|diagnostics| {
        let errors = diagnostics.count(Severity::Error);
        let first = diagnostics.iter().find(|d| d.severity == Severity::Error);
        let first = first.map(|error| at_its_place(&diagnostics, error));
        let first = first.unwrap_or_default();
        let more = if errors > 1 {
            format!(" (and {} more)", errors - 1)
        } else {
            String::new()
        };
        let text = diagnostics.text(croupier_config::render::Style::Plain);
        format!("{first}{more}\n{text}")
    })?;
    let plan = plan::build(&config, &control.live, control.connections)?;
    let mut change = control
        .listeners
        .compare(&plan, control.workers.len())
        .map_err(|error| error.to_string())?;
    let plan = Arc::new(plan);
    resolve::first(&control.live).await;
    let report = plan::digest::compare(&control.plan, &plan);
    control.workers.install(&plan, &mut change).await;
    control.listeners.changed(&mut change);
    plan.adopt(control.live.now_ms());
    control.checks.adopt(&plan);
    control.plan = plan;
    control.live.release();
    logs::set_level(&config);
    let mut report = report;
    report.extend(logs::needs_restart(&control.config, &config));
    if report.is_empty() {
        let texts = |config: &Config| -> Vec<String> {
            config
                .sources
                .files()
                .map(|file| file.text.clone())
                .collect()
        };
        let same = texts(&control.config) == texts(&config);
        report.push(if same { "nothing" } else { "settings" }.into());
    }
    control.config = config;
    Ok(report.join("; "))
}

/// An error as compilers write it: `FILE:LINE:COLUMN: MESSAGE`.
fn at_its_place(diagnostics: &Diagnostics, error: &Diagnostic) -> String {
    let (sources, span, message) = (&diagnostics.sources, error.span(), &error.message);
    match (sources.file(span.file), sources.position(span)) {
        (Some(file), Some(at)) => format!("{}:{}:{}: {message}", file.name, at.line, at.column),
        _ => message.clone(),
    }
}
