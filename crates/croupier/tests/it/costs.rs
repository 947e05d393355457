//! What was won stays won: system calls of a warm worker for one proxied request.
//!
//! Counted by strace, where there is one (`.ci/run` installs it). Counts, not times: the same on
//! every machine. Allocations are counted in `croupier-control/tests/allocations.rs`.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use croupier_testkit::{
    Authority, TlsClient,
    h2::{self, setting},
    wait_until,
    wire::{difference, pattern},
};

use crate::{
    prelude::{Client, Origin, Proxy, Reply, start},
    tls_sites::house,
};

const REQUESTS: u32 = 400;

/// A proxy with one worker, so that one thread does all the work.
fn single(origin: &Origin) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ))
}

/// The kernel's id of the only worker.
fn worker_id(proxy: &Proxy) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", proxy.id())).unwrap();
    let worker = tasks.map(|task| task.unwrap().path()).find(|path| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "worker-0")
    });
    worker
        .expect("a worker")
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

fn trace(thread: &str, report: &Path) -> Option<Child> {
    let child = Command::new("strace")
        .args(["-q", "-p", thread, "-o"])
        .arg(report)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // Attached when the kernel names a tracer.
    let status = format!("/proc/{thread}/status");
    let attached = wait_until(Duration::from_secs(5), || {
        fs::read_to_string(&status).is_ok_and(|text| {
            text.lines()
                .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        })
    });
    assert!(attached, "strace may not trace here");
    Some(child)
}

/// How often the report names a call.
fn count(report: &str, call: &str) -> usize {
    let call = format!("{call}(");
    report
        .lines()
        .filter(|line| line.starts_with(&call))
        .count()
}

/// Is there no strace?
fn is_blind() -> bool {
    let tried = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status();
    if tried.is_err() {
        croupier_testkit::tools::skip("strace is not installed");
    }
    tried.is_err()
}

/// What the proxy's worker asks of the kernel meanwhile.
fn traced(proxy: &Proxy, work: impl FnOnce()) -> String {
    let report = proxy.directory().join("strace");
    let mut strace = trace(&worker_id(proxy), &report).expect("strace starts");
    work();
    let killed = Command::new("kill")
        .args(["-INT", &strace.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let _ = strace.wait();
    fs::read_to_string(report).unwrap()
}

fn writes(report: &str) -> usize {
    count(report, "sendto") + count(report, "sendmsg") + count(report, "writev")
}

#[test]
fn a_warm_request_costs_two_reads_and_two_writes() {
    if is_blind() {
        return;
    }
    let origin = Origin::builder()
        .forget_bodies()
        .start(|_| Reply::ok("a small answer"));
    let proxy = single(&origin);
    let mut client = Client::connect(proxy.address());
    for _ in 0..50 {
        assert_eq!(client.get("/warm").status, 200);
    }
    let report = traced(&proxy, || {
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/counted").status, 200);
        }
    });
    let requests = REQUESTS as usize;
    let reads = count(&report, "recvfrom") + count(&report, "read");
    let writes = writes(&report);
    assert!(
        reads >= 2 * requests,
        "the count itself works: {reads} reads"
    );
    assert!(
        reads <= 2 * requests + 10,
        "{reads} reads for {requests} requests"
    );
    assert!(
        writes <= 2 * requests + 10,
        "{writes} writes for {requests} requests"
    );
    for call in [
        "setsockopt",
        "getsockopt",
        "connect",
        "accept4",
        "close",
        "mmap",
        "madvise",
    ] {
        let calls = count(&report, call);
        assert!(
            calls <= 10,
            "{calls} times `{call}` for {requests} requests"
        );
    }
}

#[test]
fn a_large_answer_over_http2_leaves_in_one_write() {
    if is_blind() {
        return;
    }
    let body = pattern(64 << 10);
    let sent = body.clone();
    let origin = Origin::builder()
        .forget_bodies()
        .start(move |_| Reply::ok(&sent));
    let proxy = single(&origin);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 1 << 30)];
    let mut client = h2::Client::connect_with(proxy.address(), &settings);
    client.grant(0, 1 << 30);
    for _ in 0..20 {
        assert_eq!(difference(&client.get("/warm").body, &body), None);
    }
    let report = traced(&proxy, || {
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/counted").body.len(), body.len());
        }
    });
    let (requests, writes) = (REQUESTS as usize, writes(&report));
    // One for the question. The answer's five frames were five writes once; now and then it comes
    // from the server in two parts.
    assert!(writes >= 2 * requests, "the count itself works: {writes}");
    assert!(
        writes <= 3 * requests,
        "{writes} writes for {requests} requests"
    );
    for call in ["mmap", "madvise"] {
        let calls = count(&report, call);
        assert!(calls <= 10, "{calls} times `{call}`: blocks are not reused");
    }
}

/// A proxy like [`single`] that its client reaches over TLS.
fn single_over_tls(origin: &Origin) -> (Proxy, Client) {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy = house(&authority, &[("a", &a)]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n\
         [site.\"a.example\"]\ntls = {{ certificate = \"a.pem\" }}\nproxy = \"{}\"\n",
        origin.address()
    ));
    let tls = TlsClient::trusting(&authority).alpn(&["http/1.1"]);
    let client = tls.connect(proxy.address(), "a.example");
    (proxy, client)
}

#[test]
fn a_warm_request_over_tls_costs_no_more_calls_than_one_without() {
    if is_blind() {
        return;
    }
    let origin = Origin::builder()
        .forget_bodies()
        .start(|_| Reply::ok("a small answer"));
    let (proxy, mut client) = single_over_tls(&origin);
    for _ in 0..50 {
        assert_eq!(client.get("/warm").status, 200);
    }
    let report = traced(&proxy, || {
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/counted").status, 200);
        }
    });
    let (requests, reads, writes) = (
        REQUESTS as usize,
        count(&report, "recvfrom") + count(&report, "read"),
        writes(&report),
    );
    assert!(reads >= 2 * requests, "the count itself works: {reads}");
    for calls in [reads, writes] {
        assert!(
            calls <= 2 * requests + 10,
            "{reads} reads and {writes} writes for {requests} requests"
        );
    }
}

#[test]
fn a_large_answer_over_tls_moves_in_large_pieces() {
    const ANSWERS: usize = 40;
    if is_blind() {
        return;
    }
    let body = pattern(1 << 20);
    let sent = body.clone();
    let origin = Origin::builder()
        .forget_bodies()
        .start(move |_| Reply::ok(&sent));
    let (proxy, mut client) = single_over_tls(&origin);
    for _ in 0..5 {
        assert_eq!(difference(&client.get("/warm").body, &body), None);
    }
    let report = traced(&proxy, || {
        for _ in 0..ANSWERS {
            assert_eq!(client.get("/counted").body.len(), body.len());
        }
    });
    let (reads, writes) = (count(&report, "recvfrom"), writes(&report));
    // Of 16 KiB each there were 64 reads and 64 writes for an answer once.
    assert!(writes >= 16 * ANSWERS, "the count itself works: {writes}");
    for calls in [reads, writes] {
        assert!(
            calls <= 48 * ANSWERS,
            "{reads} reads and {writes} writes for {ANSWERS} answers"
        );
    }
}
