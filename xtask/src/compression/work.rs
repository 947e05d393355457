//! The corpus asked for, one file after another: until what is kept is as small as it gets, to check
//! what comes, and to measure what it costs.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;
use super::corpus::Corpus;
use super::peers::{Peer, decoder};
use crate::Outcome;
use crate::process::Scratch;

/// So long the background may take for what is kept.
const STRONG_WITHIN: Duration = Duration::from_secs(40);

/// Asks for the whole corpus; gives the bytes of the bodies.
fn pass(client: &mut Client, coding: &str, corpus: &Corpus) -> Outcome<usize> {
    let mut len = 0;
    for file in &corpus.files {
        let answer = client.ask(&file.path, coding);
        let answer = answer.map_err(|error| format!("{}: {error}", file.path))?;
        if answer.status != 200 {
            return Err(format!("{}: status {}", file.path, answer.status));
        }
        len += answer.body.len();
    }
    Ok(len)
}

/// Asks until the bodies get no smaller and the proxy is at rest; gives the milliseconds of CPU per
/// megabyte that this took, or None when it does not come to an end in time.
pub(super) fn settle(peer: &Peer, coding: &str, corpus: &Corpus) -> Outcome<Option<f64>> {
    let mut client = Client::connect(peer.address).map_err(|error| error.to_string())?;
    let before = peer.running.cpu_nanoseconds();
    let deadline = Instant::now() + STRONG_WITHIN;
    let mut last = (pass(&mut client, coding, corpus)?, 0);
    while Instant::now() < deadline {
        let since = peer.running.cpu_nanoseconds();
        std::thread::sleep(Duration::from_millis(700));
        let worked = peer.running.cpu_nanoseconds() - since;
        if worked > 5_000_000 {
            continue;
        }
        let len = pass(&mut client, coding, corpus)?;
        let same = if len == last.0 { last.1 + 1 } else { 0 };
        last = (len, same);
        // The first passes may only have brought the files into the store.
        if same == 3 {
            let spent = peer.running.cpu_nanoseconds() - before;
            return Ok(Some(millis_per_megabyte(spent, corpus.len())));
        }
    }
    println!("what is kept in {coding} is not at its smallest after {STRONG_WITHIN:?}");
    Ok(None)
}

/// Undoes every answer, and wants the file; gives the bytes of the bodies.
pub(super) fn check(
    peer: &Peer,
    coding: &str,
    corpus: &Corpus,
    scratch: &Scratch,
) -> Outcome<usize> {
    let mut client = Client::connect(peer.address).map_err(|error| error.to_string())?;
    let mut len = 0;
    for file in &corpus.files {
        let answer = client.ask(&file.path, coding);
        let answer = answer.map_err(|error| format!("{}: {error}", file.path))?;
        len += answer.body.len();
        if answer.status != 200 {
            return Err(format!("{}: status {}", file.path, answer.status));
        }
        if answer.coding != coding {
            return Err(format!("{} comes in `{}`", file.path, answer.coding));
        }
        let bytes = match coding {
            "" => answer.body,
            _ => undo(coding, &scratch.write("answer", &answer.body)?)?,
        };
        if bytes != file.bytes {
            return Err(format!("{} comes back as something else", file.path));
        }
    }
    Ok(len)
}

fn undo(coding: &str, path: &Path) -> Outcome<Vec<u8>> {
    let coded = File::open(path).map_err(|error| error.to_string())?;
    let mut command = Command::new(decoder(coding)?);
    let output = (command
        .args(["-d", "-c"])
        .stdin(Stdio::from(coded))
        .output())
    .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Milliseconds of CPU per megabyte of files.
pub(super) fn measure(peer: &Peer, coding: &str, corpus: &Corpus, enough: u64) -> Outcome<f64> {
    /// What costs next to nothing is not asked for any longer than this.
    const PASSES_MAX: usize = 60;
    let mut client = Client::connect(peer.address).map_err(|error| error.to_string())?;
    let before = peer.running.cpu_nanoseconds();
    for number in 1.. {
        pass(&mut client, coding, corpus)?;
        let spent = peer.running.cpu_nanoseconds() - before;
        if spent >= enough || number == PASSES_MAX {
            return Ok(millis_per_megabyte(spent, number * corpus.len()));
        }
    }
    Err("it never ends".into())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of work and megabytes of files"
)]
fn millis_per_megabyte(nanoseconds: u64, len: usize) -> f64 {
    nanoseconds as f64 / len as f64 // ns per byte are ms per MB
}
