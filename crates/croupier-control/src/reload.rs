//! A reload, top to bottom: read, check, build, bind, swap, release, report.
//!
//! Any error before the swap leaves the old world untouched; nothing after it can fail.

use std::sync::Arc;

use croupier_config::{Config, Diagnostic, Diagnostics, Severity};
use croupier_proxy::{Plan, plan};
use croupier_telemetry::{Counter, Level, event};

use crate::{boot::Control, disks, listeners::Change, logs};

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
    for unusable in disks::open(&config, &control.live) {
        if !unusable.is_known(&control.config, &control.live) {
            return Err(refusal(&config, unusable.diagnostic()));
        }
        unusable.tell();
    }
    let plan = plan::build(&config, &control.live, control.connections)?;
    let mut change = control
        .listeners
        .compare(&plan, control.workers.len())
        .map_err(|error| error.to_string())?;
    control.discovery.follow(&config).await;
    let found = control.discovery.catch_up();
    // Again, with the servers that were found.
    let rebuilt = plan::rebuild(&config, &control.live, control.connections, &plan);
    let plan = rebuilt.unwrap_or(plan);
    let report = plan::digest::compare(&control.plan, &plan);
    control.certificates.adopt(&config);
    install(control, plan, &mut change).await;
    found.tell();
    logs::set_level(&config);
    let mut report = report;
    report.extend(logs::needs_restart(&control.config, &config));
    report.extend(disks::needs_restart(&control.config, &config));
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

/// A problem that only the running process could find, as the check would tell it.
fn refusal(config: &Config, problem: Diagnostic) -> String {
    let diagnostics = Diagnostics::new(Arc::clone(&config.sources), vec![problem]);
    let first = diagnostics.iter().next();
    let first = first.map(|error| at_its_place(&diagnostics, error));
    let text = diagnostics.text(croupier_config::render::Style::Plain);
    format!("{}\n{text}", first.unwrap_or_default())
}

/// Gives every worker the plan; servers that are not in it end with their last exchange.
async fn install(control: &mut Control, plan: Plan, change: &mut Change) {
    let plan = Arc::new(plan);
    control.workers.install(&plan, change).await;
    control.listeners.changed(change);
    control.live.retire_all_but(plan.servers());
    plan.adopt(control.live.now_ms());
    control.checks.adopt(&plan);
    control.admin.adopt(&plan);
    control.plan = plan;
    control.live.release();
}

/// Names stand for other addresses now: the same config becomes a new plan. What did not change
/// keeps its connections, marks and counters; nobody calls this a reload.
pub(crate) async fn follow_names(control: &mut Control) {
    let found = control.discovery.catch_up();
    let (config, connections) = (&control.config, control.connections);
    let built = plan::rebuild(config, &control.live, connections, &control.plan).and_then(|plan| {
        let change = control.listeners.compare(&plan, control.workers.len());
        Ok((plan, change.map_err(|error| error.to_string())?))
    });
    match built {
        Ok((plan, mut change)) => {
            install(control, plan, &mut change).await;
            found.tell();
        }
        // The same config was built and bound before.
        Err(error) => event(Level::Error, "pool.name.plan", &[("error", &error)]),
    }
}

/// An error as compilers write it: `FILE:LINE:COLUMN: MESSAGE`.
fn at_its_place(diagnostics: &Diagnostics, error: &Diagnostic) -> String {
    let (sources, span, message) = (&diagnostics.sources, error.span(), &error.message);
    match (sources.file(span.file), sources.position(span)) {
        (Some(file), Some(at)) => format!("{}:{}:{}: {message}", file.name, at.line, at.column),
        _ => message.clone(),
    }
}
