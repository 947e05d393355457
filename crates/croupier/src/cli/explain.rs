//! `croupier explain`: what would happen to a request and why, told by the code that routes live
//! requests; or what a code of the config or of a fault means.

use std::{fmt::Write as _, net::IpAddr, path::PathBuf};

use croupier_config::{codes, model::Percent};
use croupier_proxy::{
    Plan,
    explain::{Explanation, Outcome, Shares},
    fault,
    plan::WrittenServer,
};

use super::{
    Code, config_file,
    question::{self, Reply, Request},
};
use crate::terminal::{self, COLUMNS, Paint};

const USAGE: &str = "\
croupier explain [OPTIONS] [METHOD] URL
       croupier explain CODE";

const NOTES: &str = "\
Examples:
  croupier explain POST http://shop.example.com/x -H 'Accept: text/html'
                                     which site, route and pool take the request
  croupier explain C201              what a code of a config problem means
  croupier explain client.framing    what a fault in the log means";

#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE, after_help = NOTES)]
pub(super) struct Arguments {
    /// A URL, a method and a URL, or a code
    #[arg(value_name = "WORDS", num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// A header line of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The client's address
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// The config [default: croupier.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn header(written: &str) -> Result<(String, String), String> {
    let (name, value) = written
        .split_once(':')
        .ok_or("a header is written `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn run(arguments: &Arguments) -> Code {
    let (method, url) = match arguments.words.as_slice() {
        [method, url] => (method.as_str(), url.as_str()),
        [word] => {
            if let Some(page) = page(word) {
                terminal::out(&page);
                return Code::Done;
            }
            if let Some(meant) = meant(word) {
                let message = format!("no code is named `{word}`");
                terminal::error(&message, &[&meant]);
                return Code::Usage;
            }
            ("GET", word.as_str())
        }
        _ => return Code::Usage,
    };
    let request = match Request::new(method, url, arguments.headers.clone(), arguments.client) {
        Ok(request) => request,
        Err(complaint) => {
            let help = "give a whole URL, as in `croupier explain http://app.example.com/x`";
            terminal::error(&complaint, &[help]);
            return Code::Usage;
        }
    };
    let Some(path) = config_file::find(arguments.config.as_deref()) else {
        return Code::Refused;
    };
    let config = match croupier_config::load(&path) {
        Ok(config) => config,
        Err(diagnostics) => {
            terminal::err(&diagnostics.text(Paint::of_stderr().style()));
            return Code::Refused;
        }
    };
    match question::plan(&config) {
        Ok(plan) => {
            let reply = request.ask(&plan);
            terminal::out(&tell(&request, &plan, &reply, Paint::of_stdout()));
            Code::Done
        }
        Err(message) => {
            terminal::error(&message, &[]);
            Code::Refused
        }
    }
}

/// The page of a code, if there is such a code.
fn page(word: &str) -> Option<String> {
    if let Some(code) = codes::find(word) {
        return Some(format!(
            "{}, a problem in a config\n\n{}\n",
            code.id, code.explanation
        ));
    }
    let code = *fault::Code::ALL.iter().find(|code| code.as_str() == word)?;
    let status = match code.status() {
        0 => "none: the answer had begun, or nobody was left to get one".to_owned(),
        status => status.to_string(),
    };
    Some(format!(
        "{word}, a fault\n\n{}.\n\n  status   {status}\n  retried  {}\n\n\
         The word is the same in the access log (`fault`), in the process log, in the\n\
         metric `croupier_faults_total` and on the error page.\n",
        capitalized(code.sentence()),
        fault::retried(code),
    ))
}

fn capitalized(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// What to do about a word that is more likely a slip in a code than a host.
fn meant(word: &str) -> Option<String> {
    let digits = word.strip_prefix(['C', 'c']).unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("`croupier reference config` ends with a list of them".into());
    }
    let shared = |code: &str| {
        let pairs = code.bytes().zip(word.bytes());
        pairs.take_while(|(one, other)| one == other).count()
    };
    let codes = fault::Code::ALL.iter().map(|code| code.as_str());
    let nearest = codes.max_by_key(|code| shared(code))?;
    // The side, its dot, and the beginning of what may go wrong there.
    let is_near = shared(nearest) >= nearest.find('.')? + 4;
    is_near.then(|| format!("did you mean `{nearest}`? A host is written `http://{word}/`"))
}

/// Columns of the labels.
const LABEL: usize = 10;
/// Servers that are listed; of more than these, how many more there are.
const SERVERS: usize = 20;

/// The whole story.
fn tell(request: &Request, plan: &Plan, reply: &Reply, paint: Paint) -> String {
    let Explanation {
        site,
        tls,
        hsts,
        routes,
        outcome,
    } = &reply.explanation;
    let mut text = format!(
        "{}\n\n",
        paint.bold(&format!("{} {}", request.method, request.url()))
    );
    let mut line = |label: &str, words: &str| {
        let _ = writeln!(text, "{label:LABEL$}{words}");
    };
    if let Some(listener) = plan.listeners.get(reply.listener) {
        let note = if reply.is_port_served {
            String::new()
        } else {
            format!(" (no listener has port {})", request.port())
        };
        line("listener", &format!("{}{note}", listener.address));
    }
    line("site", site.as_deref().unwrap_or("none"));
    if let Some(tls) = tls {
        line("tls", tls);
    }
    if let Some(hsts) = hsts {
        line("hsts", hsts);
    }
    let width = routes.iter().map(|(name, _)| name.chars().count());
    let width = width.max().unwrap_or(0).min(40);
    let mut label = "routes";
    for (name, why_not) in routes {
        let verdict = match why_not {
            Some(reason) => paint.dim(&format!("no: {reason}")),
            None => paint.green("yes"),
        };
        line(label, &format!("{name:width$}  {verdict}"));
        label = "";
    }
    happens(outcome, paint, &mut line);
    text
}

fn happens(outcome: &Outcome, paint: Paint, line: &mut dyn FnMut(&str, &str)) {
    match outcome {
        Outcome::Pool {
            pool,
            split,
            servers,
            told,
            cache,
            coding,
            path,
            host,
            edits: (to_origin, to_client),
            hidden,
            ..
        } => {
            let by_lot = split
                .as_ref()
                .map_or("", |split| tell_split(split, pool, line));
            line("pool", &format!("{}{by_lot}", paint.green(pool)));
            tell_servers(servers, line);
            let cached = cache.iter().flat_map(|cached| &cached.told);
            let told = cached.chain(told).map(|(key, words)| (*key, words));
            let coding = coding.iter().map(|words| ("coding", words));
            for (mut label, words) in told.chain(coding) {
                for words in terminal::lines(words, COLUMNS - LABEL) {
                    line(label, &words);
                    label = "";
                }
            }
            line("path", path);
            line(
                "host",
                host.as_deref().unwrap_or("the server's own address"),
            );
            for (label, lines) in [("to origin", to_origin), ("to client", to_client)] {
                let mut label = label;
                for edit in lines {
                    line(label, edit);
                    label = "";
                }
            }
            let guard = if *hidden {
                "headers that show the servers are removed"
            } else {
                "off: headers that show the servers pass"
            };
            line("hide", guard);
        }
        Outcome::Answer {
            status, location, ..
        } => {
            line("answer", &paint.green(&status.to_string()));
            if let Some(location) = location {
                line("location", location);
            }
        }
        Outcome::Https { status, location } => {
            let answer = paint.green(&status.to_string());
            line("answer", &format!("{answer}, since it came without TLS"));
            line("location", location);
        }
        Outcome::Fault { fault, .. } => {
            let status = fault.code.status().to_string();
            line(
                "refused",
                &format!("{}: {}", paint.bold_red(&status), fault.sentence()),
            );
            line("fault", fault.code.as_str());
        }
    }
}

/// The pools of a split with their shares. Gives what to add behind the one that was chosen.
fn tell_split(split: &Shares, chosen: &str, line: &mut dyn FnMut(&str, &str)) -> &'static str {
    let width = split.pools.iter().map(|(name, _)| name.chars().count());
    let width = width.max().unwrap_or(0).min(40);
    let mut label = "split";
    for (name, share) in &split.pools {
        let share = Percent::of_hundredths(*share).to_string();
        let why = match (name == chosen, split.is_certain) {
            (false, _) => String::new(),
            (true, true) => format!("  by `{}` of this request", split.by),
            (true, false) => format!("  by lot: the request has no `{}`", split.by),
        };
        line(label, &format!("{name:width$}  {share:>6}{why}"));
        label = "";
    }
    if split.is_certain { "" } else { ", this time" }
}

fn tell_servers(servers: &[WrittenServer], line: &mut dyn FnMut(&str, &str)) {
    let width = servers.iter().map(|server| server.address.chars().count());
    let width = width.max().unwrap_or(0).min(40);
    let mut label = "servers";
    for server in servers.iter().take(SERVERS) {
        let mut notes = Vec::new();
        match server.weight {
            1 => {}
            0 => notes.push("weight 0: no new clients".to_owned()),
            weight => notes.push(format!("weight {weight}")),
        }
        match server.tier {
            0 => {}
            1 => notes.push("backup".to_owned()),
            tier => notes.push(format!("backup {tier}")),
        }
        let text = format!("{:width$}  {}", server.address, notes.join(", "));
        line(label, text.trim_end());
        label = "";
    }
    if servers.len() > SERVERS {
        line("", &format!("and {} more", servers.len() - SERVERS));
    }
}
