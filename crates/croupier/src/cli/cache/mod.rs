//! `croupier cache`: what the running process keeps, and taking it out. The process answers over
//! its control socket, in JSON; here it is told to people.

mod amounts;
mod ask;
mod tell;

use clap::Subcommand;

use self::ask::{Asking, Failed};
use super::{Code, control::Process};
use crate::terminal;

const NOTES: &str = "\
Without a verb: what each store holds, for which sites, and how often it
answered. What a route keeps is said in the config (`cache`).

Examples:
  croupier cache list --host shop.example.com
  croupier cache show https://shop.example.com/assets/app.css
  croupier cache purge https://shop.example.com/assets/app.css
  croupier cache purge --prefix https://shop.example.com/assets/
  croupier cache purge --tag product-17 --soft";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    process: Process,
    /// Only this store
    #[arg(long, value_name = "STORE", global = true)]
    store: Option<String>,
    /// One JSON object on each line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what is kept, in the order of URLs
    #[command(after_help = LIST_NOTES)]
    List(List),
    /// Show all that is kept of a URL, or why nothing is
    #[command(after_help = SHOW_NOTES)]
    Show(Show),
    /// Take out what is kept, before its time
    #[command(after_help = PURGE_NOTES)]
    Purge(Purge),
}

const LIST_NOTES: &str = "\
Ages and freshness (`ttl`) are told in the largest units. What lies on disk and
was not asked for since the start has not been given: its hits are 0.";

const SHOW_NOTES: &str = "\
Parameters that the route ignores make no difference. Without a scheme, `http`
and `https` are meant.";

const PURGE_NOTES: &str = "\
In force when the command ends: nothing of it is given after that, and what is
being fetched meanwhile is not kept. `--soft` leaves it as stale: it is asked
for again, and still given when no server answers.";

#[derive(Debug, clap::Args)]
struct List {
    /// Only of this host, on all its ports
    #[arg(long, value_name = "HOST", conflicts_with = "prefix")]
    host: Option<String>,
    /// Only URLs that begin so
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max: u64,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The URL
    #[arg(value_name = "URL")]
    url: String,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
struct Purge {
    /// This URL, with all its variants
    #[arg(value_name = "URL", group = "what")]
    url: Option<String>,
    /// URLs that begin so
    #[arg(long, value_name = "URL", group = "what")]
    prefix: Option<String>,
    /// Everything of this host, on all its ports
    #[arg(long, value_name = "HOST", group = "what")]
    host: Option<String>,
    /// What has this tag (`Surrogate-Key`, `Cache-Tag`, `Cache-Groups`)
    #[arg(long, value_name = "TAG", group = "what")]
    tag: Option<String>,
    /// Everything
    #[arg(long, group = "what")]
    all: bool,
    /// Make it stale instead of taking it out
    #[arg(long)]
    soft: bool,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    let socket = match arguments.process.socket("nobody was asked", &[]) {
        Ok(socket) => socket,
        Err(code) => return code,
    };
    let asking = Asking::new(&socket, arguments.store.as_deref());
    let done = match &arguments.verb {
        None => totals(arguments, &asking),
        Some(Verb::List(list)) => self::list(arguments, &asking, list),
        Some(Verb::Show(show)) => self::show(arguments, &asking, show),
        Some(Verb::Purge(purge)) => self::purge(arguments, &asking, purge),
    };
    match done {
        Ok(()) => Code::Done,
        Err(failed) => failed.say(&socket),
    }
}

fn totals(arguments: &Arguments, asking: &Asking<'_>) -> Result<(), Failed> {
    let answer = asking.ask("", &[])?;
    terminal::out(&match arguments.json {
        true => format!("{answer}\n"),
        false => tell::totals(&answer),
    });
    Ok(())
}

/// Page by page, so that a list of any length takes no memory.
fn list(arguments: &Arguments, asking: &Asking<'_>, list: &List) -> Result<(), Failed> {
    let mut left = list.max;
    let mut after = None;
    let mut listed = 0;
    while left > 0 {
        let page = left.to_string();
        let mut parameters = vec![("max", page.as_str())];
        parameters.extend(list.host.as_deref().map(|host| ("host", host)));
        parameters.extend(list.prefix.as_deref().map(|prefix| ("prefix", prefix)));
        parameters.extend(after.as_deref().map(|after| ("after", after)));
        let answer = asking.ask("/list", &parameters)?;
        let items = tell::items(&answer);
        for item in items {
            terminal::out(&match arguments.json {
                true => format!("{item}\n"),
                false => tell::row(item, listed == 0),
            });
            listed += 1;
        }
        left = left.saturating_sub(u64::try_from(items.len()).unwrap_or(u64::MAX));
        after = answer["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    if !arguments.json {
        terminal::out(&match (listed, after) {
            (0, _) => "nothing is kept of that\n".to_owned(),
            (_, Some(_)) => format!(
                "... and more: `--max {}` lists twice as much\n",
                list.max * 2
            ),
            _ => String::new(),
        });
    }
    Ok(())
}

fn show(arguments: &Arguments, asking: &Asking<'_>, show: &Show) -> Result<(), Failed> {
    let answer = asking.ask("/show", &[("url", &show.url)])?;
    terminal::out(&match arguments.json {
        true => format!("{answer}\n"),
        false => tell::shown(&show.url, &answer),
    });
    Ok(())
}

fn purge(arguments: &Arguments, asking: &Asking<'_>, purge: &Purge) -> Result<(), Failed> {
    let what = [
        ("url", purge.url.as_deref()),
        ("prefix", purge.prefix.as_deref()),
        ("host", purge.host.as_deref()),
        ("tag", purge.tag.as_deref()),
        ("all", purge.all.then_some("yes")),
    ];
    let mut parameters: Vec<(&str, &str)> = what
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    parameters.push(("how", if purge.soft { "soft" } else { "hard" }));
    let answer = asking.ask("/purge", &parameters)?;
    terminal::out(&match arguments.json {
        true => format!("{answer}\n"),
        false => tell::purged(&answer, purge.soft),
    });
    Ok(())
}
