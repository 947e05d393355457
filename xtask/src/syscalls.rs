//! System calls per proxied request: the cost that counts most, seen by strace.
//!
//! `cargo xtask syscalls [--requests N] [--limit KIND=COUNT]..`, for instance
//! `--limit reads=2 --limit writes=2`: each kind's calls per request must not exceed its limit
//! (five hundredths of tolerance). Calls on standard output are the access log and counted apart.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use crate::process::{self, Running, Scratch};

const TOLERANCE: f64 = 0.05;

type Names = &'static [&'static str];

/// Which calls are of one kind.
const KINDS: [(&str, Names); 5] = [
    (
        "reads",
        &["read", "readv", "recvfrom", "recvmsg", "pread64"],
    ),
    ("writes", &["write", "writev", "sendto", "sendmsg"]),
    ("moves", &["splice", "sendfile", "tee"]),
    (
        "waits",
        &["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"],
    ),
    ("interest", &["epoll_ctl"]),
];

pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut requests, mut limits, mut binary) = (1000_u32, Vec::new(), None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("`{word}` wants a value"))
        };
        match word.as_str() {
            "--requests" => {
                requests = value()?
                    .parse()
                    .map_err(|_| "`--requests` wants a number")?;
            }
            "--limit" => {
                let limit = value()?;
                let pair = limit
                    .split_once('=')
                    .and_then(|(kind, count)| Some((kind.to_owned(), count.parse::<f64>().ok()?)));
                limits.push(pair.ok_or_else(|| format!("`{limit}` is not KIND=COUNT"))?);
            }
            "--binary" => binary = Some(PathBuf::from(value()?)),
            _ => return Err(format!("`{word}` is not known here")),
        }
    }
    process::require(&[("strace", "strace"), ("taskset", "util-linux")])?;
    let binary = match binary {
        Some(binary) => binary,
        None => process::release_binary("croupier")?,
    };
    let counts = measure(&binary, requests)?;
    judge(&counts, requests, &limits)
}

/// Calls by name; those on standard output under `log`.
type Counts = BTreeMap<String, u64>;

fn measure(binary: &Path, requests: u32) -> Outcome<Counts> {
    let scratch = Scratch::create("syscalls")?;
    let origin = small_origin()?;
    let address = SocketAddr::from(([127, 0, 0, 1], process::free_port()?));
    let metrics = process::free_port()?;
    let config = scratch.write(
        "croupier.toml",
        format!(
            "[server]\nlisten = [\"{address}\"]\nworkers = 1\nmetrics = \"127.0.0.1:{metrics}\"\n\n\
             [site.\"*\"]\nproxy = \"{origin}\"\n"
        ),
    )?;
    let trace = scratch.0.join("trace");
    let words = [trace.display(), binary.display(), config.display()].map(|path| path.to_string());
    let [trace_word, binary_word, config_word] = words.each_ref().map(String::as_str);
    let strace = process::find("strace").ok_or("strace is gone")?;
    let arguments = [
        "-f",
        "-qq",
        "-ttt",
        "-o",
        trace_word,
        binary_word,
        "run",
        "-c",
        config_word,
    ];
    let mut running = Running::start("croupier", "0", &strace, &arguments, &scratch.0)?;
    running.wait_for(address, &scratch.0)?;
    let mut client = TcpStream::connect(address).map_err(|error| error.to_string())?;
    for _ in 0..100 {
        ask(&mut client)?;
    }
    std::thread::sleep(Duration::from_millis(300)); // what the warm-up left behind, the log above all
    let from = now();
    for _ in 0..requests {
        ask(&mut client)?;
    }
    let until = now();
    drop(client);
    drop(running);
    let text = fs::read_to_string(&trace).map_err(|error| error.to_string())?;
    Ok(count(&text, from, until))
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// Counts the calls that began between two moments. A line is `PID SECONDS NAME(..`, or `PID
/// SECONDS <... NAME resumed> ..` for one that began earlier.
fn count(text: &str, from: f64, until: f64) -> Counts {
    let mut counts = Counts::new();
    for line in text.lines() {
        let mut words = line
            .splitn(3, ' ')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let (Some(_), Some(at), Some(call)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Ok(at) = at.parse::<f64>() else { continue };
        let Some((name, rest)) = call.split_once('(') else {
            continue;
        };
        if at < from || at > until || call.starts_with('<') {
            continue;
        }
        let is_log =
            name.starts_with("write") && (rest.starts_with("1,") || rest.starts_with("1<"));
        *counts
            .entry(if is_log {
                "log".to_owned()
            } else {
                name.to_owned()
            })
            .or_default() += 1;
    }
    counts
}

fn judge(counts: &Counts, requests: u32, limits: &[(String, f64)]) -> Outcome<()> {
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let each = |count: u64| count as f64 / f64::from(requests);
    println!("{requests} requests, keep-alive on both sides\n");
    println!("{:<16} {:>8} {:>12}", "call", "count", "per request");
    for (name, count) in counts {
        println!("{name:<16} {count:>8} {:>12.3}", each(*count));
    }
    println!();
    let mut exceeded = Vec::new();
    for (kind, names) in KINDS {
        let sum = names.iter().filter_map(|name| counts.get(*name)).sum();
        println!("{kind:<16} {sum:>8} {:>12.3}", each(sum));
        if let Some((_, limit)) = limits.iter().find(|(limited, _)| limited == kind)
            && each(sum) > limit + TOLERANCE
        {
            exceeded.push(format!(
                "{kind}: {:.3} per request, {limit} allowed",
                each(sum)
            ));
        }
    }
    match limits
        .iter()
        .find(|(limited, _)| KINDS.iter().all(|(kind, _)| kind != limited))
    {
        Some((kind, _)) => Err(format!("no kind is named `{kind}`")),
        None if exceeded.is_empty() => Ok(()),
        None => Err(exceeded.join("; ")),
    }
}

const BODY: &str = "a small answer, as most of them are";

/// An origin that answers every request with the same few bytes, on as many connections as come.
fn small_origin() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, &answer));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, answer: &str) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        head.extend_from_slice(&buffer[..count]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn ask(client: &mut TcpStream) -> Outcome<()> {
    let mut talk = || -> std::io::Result<Vec<u8>> {
        client.set_read_timeout(Some(Duration::from_secs(5)))?;
        client.write_all(b"GET /small HTTP/1.1\r\nHost: example.test\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !answer.ends_with(BODY.as_bytes()) {
            match client.read(&mut buffer)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(answer)
    };
    let answer = talk().map_err(|error| format!("the proxy did not answer: {error}"))?;
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok(())
    } else {
        Err(format!(
            "the proxy answered: {}",
            String::from_utf8_lossy(&answer)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_inside_the_window_only() {
        let text = "\
10 1.0 read(5, \"x\", 1) = 1
10 2.0 recvfrom(5, \"GET\", 4096, 0, NULL, NULL) = 3
11 2.1 epoll_wait(3,  <unfinished ...>
10 2.2 writev(6, [..], 2) = 3
11 2.3 <... epoll_wait resumed>[..], 1024, -1) = 1
12 2.4 write(1, \"{..}\", 100) = 100
10 3.5 read(5, \"\", 1) = 0
";
        let counts = count(text, 1.5, 3.0);
        let names: Vec<&str> = counts.keys().map(String::as_str).collect();
        assert_eq!(names, ["epoll_wait", "log", "recvfrom", "writev"]);
        assert!(counts.values().all(|count| *count == 1));
    }
}
