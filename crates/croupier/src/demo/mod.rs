//! `croupier demo`: three small servers and the proxy before them, all in this process. Everything
//! here is for play; the proxy is the real one, started as `croupier run` starts it.
//!
//! `server` and `http` are the servers, `cards` what they say; `tail` shows the requests dealt,
//! each as a `line`; `game` is the demo for a person, `script` the one that plays itself
//! (`--once`) with `client`.

mod cards;
mod client;
mod game;
mod http;
mod line;
mod script;
mod server;
mod tail;

use std::{
    io::{self, PipeWriter},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use croupier_config::{
    Config, Spanned,
    model::{AccessLog, LogFormat, LogTarget},
};
use croupier_control::{Options, Source, Stopper};

use crate::{
    cli::{Code, run::ended},
    terminal,
};
use cards::Suit;
use server::{Ports, Server};
use tail::Tail;

/// A port that people expect, if it is free.
const PORT: u16 = 8080;
const METRICS_PORT: u16 = 9145;

const NOTES: &str = "\
Three small servers and the real proxy before them, in this process, on
127.0.0.1. Type 1, 2 or 3 to stop a server and again to start it, and watch
requests move. Answers to /app.js and /news are kept.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(crate) struct Arguments {
    /// Play a scripted round without a keyboard, and end
    #[arg(long)]
    once: bool,
    /// The proxy's port; else 8080, or any that is free
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// What both kinds of demo play with.
struct Table {
    servers: Vec<Arc<Server>>,
    /// Where the proxy listens.
    address: SocketAddr,
    metrics: SocketAddr,
    tail: Arc<Tail>,
}

pub(crate) fn run(arguments: &Arguments) -> Code {
    match set_up(arguments) {
        Ok((servers, config, pipe, tail)) => play(arguments, servers, config, &pipe, tail),
        Err(error) => {
            let message = format!("cannot set up the demo: {error}");
            terminal::error(&message, &["it needs five free ports on 127.0.0.1"]);
            Code::Refused
        }
    }
}

type Parts = (Vec<Arc<Server>>, Setting, PipeWriter, Arc<Tail>);

/// The config of the demo's proxy, and what it does not tell.
struct Setting {
    config: Config,
    metrics: SocketAddr,
}

fn set_up(arguments: &Arguments) -> io::Result<Parts> {
    // Who wants no particular port may have company.
    let ports = if arguments.once || arguments.port.is_some() {
        Ports::Any
    } else {
        Ports::Known
    };
    let servers = Suit::ALL
        .iter()
        .map(|suit| Server::start(*suit, ports).map(Arc::new))
        .collect::<io::Result<Vec<_>>>()?;
    let port = match arguments.port {
        Some(port) => port,
        None if arguments.once => 0,
        None => free(PORT).map_or(0, |address| address.port()),
    };
    let metrics = match free(METRICS_PORT) {
        Some(address) if ports == Ports::Known => address,
        _ => free(0).ok_or(io::ErrorKind::AddrInUse)?,
    };
    let listed: Vec<String> = servers
        .iter()
        .map(|server| format!("\"{}\"", server.address()))
        .collect();
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nmetrics = \"{metrics}\"\nworkers = 1\n\
         log_level = \"error\"\nshutdown_grace = \"1s\"\n\n\
         [pool.table]\nservers = [{}]\nbalance = \"round-robin\"\n\n\
         [site.\"*\"]\ncompress = [\"zstd\", \"br\", \"gzip\"]\nroutes = [\n\
         {{ path = \"/app.js\", pool = \"table\", cache = true }},\n\
         {{ path = \"/news\", pool = \"table\", cache = true }},\n\
         {{ pool = \"table\" }},\n]\n",
        listed.join(", ")
    );
    let config = Config::from_str("demo", &text).map_err(io::Error::other)?;
    let (reader, writer) = io::pipe()?;
    let tail = Tail::follow(reader, &servers);
    Ok((servers, Setting { config, metrics }, writer, tail))
}

/// The address on the loopback with this port, if it is free; 0 is any port.
fn free(port: u16) -> Option<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    listener.local_addr().ok()
}

/// Runs the proxy on this thread and the demo on another, until either ends.
fn play(
    arguments: &Arguments,
    servers: Vec<Arc<Server>>,
    setting: Setting,
    pipe: &PipeWriter,
    tail: Arc<Tail>,
) -> Code {
    let (stopper, stop) = Stopper::new();
    let (ready, is_ready) = mpsc::channel();
    let Setting { config, metrics } = setting;
    let once = arguments.once;
    let playing = {
        let tail = Arc::clone(&tail);
        thread::spawn(move || {
            // No address: the proxy did not start, and says so itself.
            let address = is_ready.recv().ok()?;
            let table = Table {
                servers,
                address,
                metrics,
                tail,
            };
            let outcome = if once {
                Some(script::play(&table))
            } else {
                game::play(&table);
                None
            };
            stopper.stop(croupier_control::Stop::Bounded);
            outcome
        })
    };
    let options = Options {
        ready: Some(Box::new(move |addresses| {
            let first = addresses
                .iter()
                .find_map(|one| one.to_string().parse().ok());
            if let Some(address) = first {
                let _ = ready.send(address);
            }
        })),
        stop: Some(stop),
        log: Some(into_pipe(pipe)),
        ..Options::default()
    };
    let result = croupier_control::run(Source::Given(Box::new(config)), options);
    if result.is_err() {
        return ended(result);
    }
    if !once {
        // A player who is still reading from the keyboard has nothing more to say.
        tail.farewell();
        return Code::Done;
    }
    match playing.join() {
        Ok(Some(outcome)) => outcome,
        _ => Code::Refused,
    }
}

/// The access log goes to the demo, which knows its servers by name and bounds how much is shown.
fn into_pipe(pipe: &PipeWriter) -> AccessLog {
    let path = PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd()));
    AccessLog::To {
        target: Spanned::default_of(LogTarget::File(path)),
        format: Spanned::default_of(LogFormat::Template(line::TEMPLATE.to_owned())),
    }
}
