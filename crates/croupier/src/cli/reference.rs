//! `croupier reference`: the pages of docs/reference, from the tables in the code.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::Code;
use crate::terminal;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    Config,
    Metrics,
    Faults,
    Cli,
}

pub(super) fn run(arguments: &Arguments, command: &clap::Command) -> Code {
    terminal::out(&match arguments.page {
        Page::Config => croupier_config::reference(),
        Page::Metrics => croupier_telemetry::reference(),
        Page::Faults => croupier_proxy::fault::reference(),
        Page::Cli => cli(command),
    });
    Code::Done
}

const OPENING: &str = "\
# Command line

<!-- Generated from the command line's own definition: `croupier reference cli`. -->

`croupier COMMAND --help` shows the same in the terminal.

| exit code | meaning |
| --: | --- |
| 0 | all is well |
| 1 | the config is invalid, the reload was refused, or the start failed |
| 2 | the command line is wrong |
| 3 | stopped, but connections were cut |
| 4 | nobody answers at the control socket |

| signal to `croupier run` | meaning |
| --- | --- |
| HUP | reload the config |
| USR1 | open log files again |
| TERM, INT | stop, within `server.shutdown_grace`; a second one stops at once |
| QUIT | stop when all exchanges have come to their end |

Color is used on a terminal only, and never when `NO_COLOR` is set.
";

/// The page of all commands.
fn cli(root: &clap::Command) -> String {
    let mut root = root.clone();
    root.build();
    let mut page = OPENING.to_owned();
    for command in root.get_subcommands().filter(|one| !one.is_hide_set()) {
        section(command, "", &mut page);
    }
    page
}

fn section(command: &clap::Command, above: &str, page: &mut String) {
    let about = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string);
    let name = format!("{above}{}", command.get_name());
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## `croupier {name}`\n\n");
    if let Some(short) = about(command.get_about()) {
        let _ = writeln!(page, "{short}.");
    }
    let aliases: Vec<String> = command
        .get_all_aliases()
        .map(|alias| format!("`croupier {alias}`"))
        .chain(
            command
                .get_short_flag()
                .map(|flag| format!("`croupier -{flag}`")),
        )
        .collect();
    if !aliases.is_empty() {
        let _ = writeln!(page, "Also: {}.", aliases.join(", "));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let notes = command
        .get_after_help()
        .map(|notes| format!("\n{notes}\n"))
        .unwrap_or_default();
    let _ = write!(page, "\n```text\n{usage}\n{notes}```\n");
    let arguments: Vec<&clap::Arg> = command
        .get_arguments()
        .filter(|argument| argument.get_id() != "help" && !argument.is_hide_set())
        // What belongs to the command above is told there.
        .filter(|argument| above.is_empty() || !argument.is_global_set())
        .collect();
    if !arguments.is_empty() {
        page.push_str("\n| argument | meaning |\n| --- | --- |\n");
    }
    for argument in arguments {
        let help = argument.get_help().map(ToString::to_string);
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|_| {
                argument.get_action().takes_values() && !argument.is_hide_possible_values_set()
            })
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        let mut help = help.unwrap_or_default();
        if !values.is_empty() {
            let _ = write!(help, ": {}", values.join(", "));
        }
        if let [default] = argument.get_default_values()
            && argument.get_action().takes_values()
            && !argument.is_hide_default_value_set()
        {
            let _ = write!(help, " (default `{}`)", default.to_string_lossy());
        }
        let spelling = spelling(argument).replace('|', "\\|");
        let _ = writeln!(page, "| `{spelling}` | {help} |");
    }
    for verb in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        if verb.get_name() != "help" {
            section(verb, &format!("{name} "), page);
        }
    }
}

/// `-c, --config FILE`
fn spelling(argument: &clap::Arg) -> String {
    let mut parts = Vec::new();
    if let Some(short) = argument.get_short() {
        parts.push(format!("-{short}"));
    }
    if let Some(long) = argument.get_long() {
        parts.push(format!("--{long}"));
    }
    let names: Vec<&str> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| name.as_str())
        .collect();
    let mut spelling = parts.join(", ");
    if argument.get_action().takes_values() || argument.is_positional() {
        if !spelling.is_empty() {
            spelling.push(' ');
        }
        spelling.push_str(&names.join(" "));
    }
    spelling
}
