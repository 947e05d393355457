//! What is promised about the writer: a worker never waits, and every line is written whole, in its
//! worker's order, or counted as lost.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::id;
use std::thread;
use std::time::{Duration, Instant};

use super::line_tests::FULL;
use super::*;
use crate::record::Record;

/// A directory of this test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("croupier-log-{name}-{}", id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn open(path: &Path, format: &str) -> AccessLog {
    AccessLog::open(Sink::File(path.to_owned()), Format::parse(format).unwrap()).unwrap()
}

fn numbered<'a>(worker: &'a str, id: &'a str) -> Record<'a> {
    Record {
        site: worker,
        request_id: id,
        ..Record::EMPTY
    }
}

/// All lines, split into worker and number; panics at a line that is not whole.
fn read_back(text: &str) -> Vec<(String, u64)> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let pair = |line: &str| {
        let (worker, rest) = line.split_once(' ').unwrap();
        (
            worker.to_owned(),
            rest.strip_suffix('|').unwrap().parse().unwrap(),
        )
    };
    text.lines().map(pair).collect()
}

const NUMBERED: &str = "{site} {request_id}|";

#[test]
fn lines_are_whole_and_in_order_and_survive_a_rename() {
    let scratch = Scratch::new("order");
    let (path, renamed) = (scratch.file("access.log"), scratch.file("access.log.1"));
    let log = open(&path, NUMBERED);
    let lines = 20_000_u64;
    thread::scope(|scope| {
        for worker in ["a", "b", "c"] {
            let mut buffer = log.buffer();
            scope.spawn(move || {
                for number in 0..lines {
                    buffer.record(&numbered(worker, &number.to_string()));
                    if number % 97 == 0 {
                        buffer.flush();
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(1));
        fs::rename(&path, &renamed).unwrap();
        log.reopen();
    });
    assert!(log.close(Duration::from_secs(10)));
    let text = fs::read_to_string(&renamed).unwrap() + &fs::read_to_string(&path).unwrap();
    let all = read_back(&text);
    assert_eq!(
        all.len() as u64 + log.dropped(),
        3 * lines,
        "written or counted"
    );
    for worker in ["a", "b", "c"] {
        let numbers: Vec<u64> = all
            .iter()
            .filter(|(who, _)| who == worker)
            .map(|(_, number)| *number)
            .collect();
        assert!(numbers.is_sorted(), "{worker}");
    }
    // Both files have mode 0640, less what the umask takes.
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn reopening_an_idle_log_makes_the_new_file() {
    let scratch = Scratch::new("reopen");
    let path = scratch.file("access.log");
    let log = open(&path, "json");
    fs::rename(&path, scratch.file("old")).unwrap();
    log.reopen();
    let until = Instant::now() + Duration::from_secs(5);
    while !path.exists() && Instant::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
    assert!(path.exists());
    assert!(log.close(Duration::from_secs(5)));
}

#[test]
fn a_sink_that_nobody_reads_holds_up_nobody() {
    let (mut reader, pipe) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd()));
    let log = open(&path, NUMBERED);
    let mut buffer = log.buffer();
    // Over 11 MB; the pipe takes 64 KiB and the queue 64 buffers.
    let lines = 700_000_u64;
    let mut longest = Duration::ZERO;
    for number in 0..lines {
        let text = number.to_string();
        let start = Instant::now();
        buffer.record(&numbered("worker-0", &text));
        longest = longest.max(start.elapsed());
    }
    assert!(log.dropped() > 0, "the queue is bounded");
    assert!(longest < Duration::from_secs(1), "waited {longest:?}");
    let start = Instant::now();
    assert!(
        !log.close(Duration::from_millis(50)),
        "it cannot be done in time, and says so"
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    drop((buffer, pipe));

    // Once somebody reads, all that was accepted arrives, in order and whole.
    let counted = log.clone();
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let all = read_back(&text);
    assert_eq!(all.len() as u64 + counted.dropped(), lines);
    assert!(all.is_sorted());
}

#[test]
fn a_sink_that_fails_is_tried_again() {
    let log = open(&PathBuf::from("/dev/full"), NUMBERED);
    let mut buffer = log.buffer();
    for (number, expected) in [("0", 1), ("1", 2)] {
        buffer.record(&numbered("a", number));
        buffer.flush();
        let until = Instant::now() + Duration::from_secs(5);
        while log.dropped() < expected && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(log.dropped(), expected, "lost lines are counted");
    }
    drop(buffer);
    assert!(log.close(Duration::from_secs(5)));
}

#[test]
fn lines_after_the_end_are_counted() {
    let scratch = Scratch::new("end");
    let path = scratch.file("access.log");
    let log = open(&path, "terminal");
    let mut buffer = log.buffer();
    buffer.record(&FULL);
    buffer.flush();
    assert!(log.close(Duration::from_secs(5)));
    assert_eq!(
        fs::read_to_string(&path).unwrap().lines().count(),
        1,
        "what came before is there"
    );
    assert!(log.close(Duration::ZERO), "closing twice is no harm");
    for expected in 1..4 {
        buffer.record(&FULL);
        assert_eq!(log.dropped(), expected);
    }
}

#[test]
fn a_sink_that_cannot_be_opened_is_an_error_at_once() {
    let sink = Sink::File(PathBuf::from("/nonexistent/access.log"));
    assert!(AccessLog::open(sink, Format::Json).is_err());
}
