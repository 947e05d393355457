//! What is written of every exchange, and that writing it never holds one up.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use croupier_testkit::wire::json_value;
use croupier_testkit::{Connections, Load, Signal, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config, config_with, metric, start};

fn launch() -> croupier_testkit::Launch {
    Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
}

fn lines_of(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_json_line_tells_the_whole_story() {
    let origin = Origin::start(|_| Reply::ok("four"));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[pool.app]\nservers = [\"{}\"]\n\
         [site.\"shop.test\"]\nroutes = [{{ name = \"api\", path = \"/api/*\", pool = \"app\" }}]\n",
        origin.address()
    ));
    Client::connect(proxy.address()).host("shop.test").request(
        "POST",
        "/api/%C3%A4?q=1&x=%00",
        &[
            ("User-Agent", "say \"hi\" \\ \t\u{e9}"),
            ("Referer", "http://a/"),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
        ],
        "body!",
    );
    let line = proxy.wait_for_access(|_| true);
    let log: serde_json::Value = serde_json::from_str(&line).expect(&line);
    for (key, value) in [
        ("client_ip", "127.0.0.1"),
        ("site", "shop.test"),
        ("route", "api"),
        ("pool", "app"),
        ("method", "POST"),
        ("scheme", "http"),
        ("host", "shop.test"),
        ("path", "/api/%C3%A4"),
        ("query", "q=1&x=%00"),
        ("proto", "HTTP/1.1"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("user_agent", "say \"hi\" \\ \t\u{e9}"),
        ("referer", "http://a/"),
    ] {
        assert_eq!(log[key], value, "{key} in {line}");
    }
    assert_eq!(log["server"], origin.address().to_string());
    assert_eq!(
        log["request_id"],
        origin.requests()[0]
            .header("x-request-id")
            .unwrap_or_default()
    );
    assert_eq!(
        (&log["status"], &log["bytes_in"], &log["bytes_out"]),
        (&200.into(), &5.into(), &4.into())
    );
    assert_eq!(log["retries"], 0);
    for key in ["dur_ms", "ttfb_ms", "origin_connect_ms", "origin_ttfb_ms"] {
        assert!(
            log[key]
                .as_f64()
                .is_some_and(|ms| (0.0..10_000.0).contains(&ms)),
            "{key} in {line}"
        );
    }
    let ts = log["ts"].as_str().unwrap_or_default();
    assert!(ts.len() == 24 && ts.ends_with('Z'), "{ts}");
    assert!(log.get("fault").is_none());
}

#[test]
fn what_never_became_a_request_is_logged_with_its_fault() {
    let proxy = start(&config("respond = \"x\""));
    for (bytes, fault, status) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "client.head.malformed",
            "400",
        ),
        ("BROKEN\r\n\r\n", "client.head.malformed", "400"),
        (
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "client.head.version",
            "505",
        ),
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(bytes);
        let response = client.read_response();
        assert_eq!(response.status.to_string(), status);
        let id = response
            .header("x-request-id")
            .unwrap_or_default()
            .to_owned();
        let line = proxy.wait_for_access(|line| line.contains(&id));
        assert_eq!(json_value(&line, "fault").as_deref(), Some(fault), "{line}");
        assert_eq!(
            json_value(&line, "status").as_deref(),
            Some(status),
            "{line}"
        );
    }
    // A connection that only comes and goes is no request.
    let before = proxy.access_log().len();
    Client::connect(proxy.address()).close();
    Client::connect(proxy.address()).get("/last");
    proxy.wait_for_access(|line| line.contains("/last"));
    assert_eq!(proxy.access_log().len(), before + 1);
}

#[test]
fn combined_and_vcombined_are_what_scripts_know() {
    for (format, start_of_line) in [
        ("combined", "127.0.0.1 - - ["),
        ("vcombined", "shop.test:80 127.0.0.1 - - ["),
    ] {
        let proxy = start(&config_with(
            &format!("access_log = {{ path = \"stdout\", format = \"{format}\" }}"),
            "respond = \"hello\"",
        ));
        let headers = [("User-Agent", "curl \"x\""), ("Referer", "http://a/b")];
        Client::connect(proxy.address())
            .host("shop.test")
            .request("GET", "/p?q=1", &headers, "");
        let line = proxy.wait_for_access(|_| true);
        assert!(line.starts_with(start_of_line), "{line}");
        assert!(
            line.ends_with("] \"GET /p?q=1 HTTP/1.1\" 200 5 \"http://a/b\" \"curl \\x22x\\x22\""),
            "{line}"
        );
    }
}

#[test]
fn a_template_is_what_it_says() {
    let proxy = start(&config_with(
        "access_log = { path = \"-\", format = \"{method} {path} -> {status} {{{fault}}} {server} \\\"{user_agent}\\\"\" }",
        "deny = 403",
    ));
    let headers = [("User-Agent", "a\"b")];
    Client::connect(proxy.address()).request("GET", "/x", &headers, "");
    let line = proxy.wait_for_access(|_| true);
    assert_eq!(line, "GET /x -> 403 {proxy.denied} - \"a\\x22b\"");
}

#[test]
fn nothing_a_client_sends_breaks_a_line() {
    for format in ["json", "combined", "{path} {host} {user_agent} {referer}"] {
        let proxy = start(&config_with(
            &format!("access_log = {{ path = \"stdout\", format = \"{format}\" }}"),
            "respond = \"x\"",
        ));
        let mut client = Client::connect(proxy.address());
        client.send(
            b"GET /a?c=%0d%0a%1b HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe\"\\\xc2\x85\xe2\x80\xa8\t\x80\r\nReferer: </script>\r\n\r\n",
        );
        let _ = client.read_response_to("GET");
        client.get("/second");
        proxy.wait_for_access(|line| line.contains("/second"));
        let lines = proxy.access_log();
        assert_eq!(lines.len(), 2, "{format}: {lines:?}");
        assert!(!lines[0].chars().any(char::is_control), "{:?}", lines[0]);
        if format == "json" {
            serde_json::from_str::<serde_json::Value>(&lines[0]).expect(&lines[0]);
        }
    }
}

#[test]
fn a_log_can_be_off() {
    for off in ["false", "\"off\""] {
        let mut proxy = start(&config_with(
            &format!("access_log = {off}"),
            "respond = \"x\"",
        ));
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
        proxy.signal(Signal::Terminate);
        assert_eq!(proxy.wait_exit(SOON), 0);
        assert!(proxy.access_log().is_empty());
    }
}

#[test]
fn a_rotated_file_is_opened_again_and_no_line_is_lost() {
    let launch = launch();
    let path = launch.directory().join("access.log");
    let old = launch.directory().join("access.log.1");
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let mut proxy = launch.start(&config_with(
        &format!("access_log = \"{}\"", path.display()),
        &format!("proxy = \"{}\"", origin.address()),
    ));
    let load = Load::start(
        proxy.address(),
        2,
        Duration::from_millis(1),
        Connections::Kept,
    );
    load.wait_for_good(100, SOON);
    assert!(wait_until(SOON, || !lines_of(&path).is_empty()));
    std::fs::rename(&path, &old).unwrap();
    proxy.signal(Signal::User1);
    proxy.wait_for_log(|line| line.contains("logs.reopened"));
    load.wait_for_good(100, SOON);
    assert!(
        wait_until(SOON, || lines_of(&path).len() > 10),
        "the new file stays empty"
    );
    let frozen = lines_of(&old).len();
    load.wait_for_good(100, SOON);
    let tally = load.stop();
    assert!(tally.failures.is_empty());
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    assert_eq!(lines_of(&old).len(), frozen, "the old file still grows");
    let all = lines_of(&old).len() + lines_of(&path).len();
    assert_eq!(all, origin.requests().len());
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
}

#[test]
fn a_log_that_can_not_be_opened_stops_the_start_with_a_remedy() {
    for (access_log, why) in [
        (
            "\"/no/such/directory/access.log\"",
            "/no/such/directory/access.log",
        ),
        ("{ path = \"stdout\", format = \"jason\" }", "json"),
        ("{ path = \"stdout\", format = \"{methd}\" }", "method"),
    ] {
        let exit = launch().start_in_vain(&config_with(
            &format!("access_log = {access_log}"),
            "respond = \"x\"",
        ));
        assert_eq!(exit.code, Some(1));
        assert!(exit.stderr.contains(why), "{}", exit.stderr);
    }
}

fn fifo(launch: &croupier_testkit::Launch) -> std::path::PathBuf {
    let path = launch.directory().join("access.fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()));
    path
}

#[test]
fn a_sink_that_nobody_reads_holds_up_no_request_and_counts_what_is_lost() {
    let launch = launch();
    let path = fifo(&launch);
    let opened = path.clone();
    // Opens for reading, and does not read.
    let reader = std::thread::spawn(move || std::fs::File::open(opened).unwrap());
    let proxy = launch.start(&config_with(
        &format!(
            "workers = 1\nmetrics = \"127.0.0.1:0\"\naccess_log = \"{}\"",
            path.display()
        ),
        "respond = \"x\"",
    ));
    let reader = reader.join().unwrap();
    let agent = "a".repeat(8000);
    let mut client = Client::connect(proxy.address());
    let dropped = || metric(&proxy, "croupier_access_log_dropped_total");
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut sent = 0;
    while dropped() == 0.0 && began.elapsed() < Duration::from_secs(20) {
        for _ in 0..50 {
            let asked = Instant::now();
            let headers = [("User-Agent", agent.as_str()), ("Referer", agent.as_str())];
            assert_eq!(client.request("GET", "/", &headers, "").status, 200);
            slowest = slowest.max(asked.elapsed());
            sent += 1;
        }
    }
    assert!(
        dropped() > 0.0,
        "{sent} lines fit into a pipe that nobody reads"
    );
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    // As soon as somebody reads, whole lines come again.
    let mut lines = BufReader::new(reader).lines();
    client.get("/after");
    let found = lines.any(|line| {
        let line = line.unwrap();
        serde_json::from_str::<serde_json::Value>(&line).expect("a whole line");
        line.contains("/after")
    });
    assert!(found);
}

#[test]
fn a_sink_without_a_reader_does_not_hold_up_the_start() {
    let launch = launch();
    let path = fifo(&launch);
    let proxy = launch.start(&config_with(
        &format!("access_log = \"{}\"", path.display()),
        "respond = \"x\"",
    ));
    assert_eq!(Client::connect(proxy.address()).get("/first").text(), "x");
    let file = std::fs::File::open(&path).unwrap();
    let line = BufReader::new(file).lines().next().unwrap().unwrap();
    assert!(line.contains("/first"), "{line}");
}

#[test]
fn the_process_log_has_levels_and_a_limit() {
    let proxy = start(&config_with(
        "log_level = \"debug\"",
        "routes = [{ path = \"/x\", deny = 403 }]\npool = \"dead\"\n\
         [pool.dead]\nservers = [\"127.0.0.1:1\"]\nqueue = { requests = 0 }",
    ));
    let mut client = Client::connect(proxy.address());
    client.get("/x");
    proxy.wait_for_log(|line| line.contains("debug") && line.contains("proxy.denied"));
    for _ in 0..200 {
        client.get("/");
    }
    // A storm is some lines and a count.
    let line = proxy.wait_for_log(|line| line.contains("suppressed="));
    assert!(line.contains("proxy.pool.busy"), "{line}");
    let told = proxy
        .log_lines()
        .iter()
        .filter(|l| l.contains("proxy.pool.busy"))
        .count();
    assert!(told < 80, "{told} lines of one kind");

    let quiet = start(&config_with("log_level = \"info\"", "deny = 403"));
    Client::connect(quiet.address()).get("/");
    quiet.wait_for_access(|_| true);
    assert!(
        !quiet
            .log_lines()
            .iter()
            .any(|line| line.contains("proxy.denied"))
    );
}
