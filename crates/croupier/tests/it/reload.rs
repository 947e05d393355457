//! A changed config takes over in the middle of everything, or changes nothing and says why.

use std::time::Duration;

use croupier_testkit::{Connections, Event, Load, Signal, closed_address, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config, config_with, metric, start};

/// Sends the hangup for a file that must be refused, and gives the line that says why.
#[track_caller]
fn refused(proxy: &Proxy, config: &str) -> String {
    let before = proxy.log_lines().len();
    proxy.rewrite(config);
    proxy.signal(Signal::Hangup);
    proxy.wait_for_log_after(before, |line| line.contains("config.rejected"))
}

#[test]
fn the_next_request_sees_the_new_config_on_the_same_connection() {
    let proxy = start(&config("respond = \"old\""));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/").text(), "old");
    proxy.reload(&config("respond = \"new\""));
    assert_eq!(client.get("/").text(), "new");
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "new");
}

#[test]
fn not_one_request_fails_under_load_while_everything_changes() {
    let origins: Vec<_> = (0..3)
        .map(|_| Origin::start(|r| Reply::ok(r.path())))
        .collect();
    let (a, b, c) = (
        origins[0].address(),
        origins[1].address(),
        origins[2].address(),
    );
    let configs = [
        config(&format!("proxy = [\"{a}\", \"{b}\"]")),
        config(&format!(
            "routes = [{{ path = \"/load/*\", proxy = \"{c}\", headers.response = {{ set = {{ X-New = \"1\" }} }} }}]\nproxy = \"{a}\""
        )),
        format!(
            "{}[limits]\nhead_bytes = \"16KiB\"\n[site.\"more.test\"]\nrespond = \"x\"\n[site.\"example.test\"]\nproxy = [\"{b}\", \"{c}\"]\n",
            config(&format!("proxy = \"{a}\""))
        ),
        config(&format!("proxy = \"{a}\"\npool = \"missing\"")),
    ];
    // The last one must be refused, and that changes nothing either.
    let proxy = start(&configs[0]);
    let kept = Load::start(
        proxy.address(),
        3,
        Duration::from_millis(1),
        Connections::Kept,
    );
    let new = Load::start(
        proxy.address(),
        2,
        Duration::from_millis(1),
        Connections::NewEachTime,
    );
    let (threads, mut reloads) = (proxy.thread_count(), 0);
    for _ in 0..8 {
        for config in &configs[..3] {
            let line = proxy.reload(config);
            assert!(line.contains("config.reloaded"), "{line}");
            reloads += 1;
            kept.wait_for_good(5, SOON);
        }
        refused(&proxy, &configs[3]);
    }
    assert_eq!(reloads, 24);
    for load in [kept, new] {
        let tally = load.stop();
        assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    }
    assert!(origins.iter().all(|origin| !origin.requests().is_empty()));
    assert_eq!(proxy.thread_count(), threads);
}

#[test]
fn a_storm_of_signals_ends_with_the_last_config() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let numbered = |number: usize| {
        config(&format!(
            "routes = [{{ path = \"/number\", respond = \"{number}\" }}]\nproxy = \"{}\"",
            origin.address()
        ))
    };
    let proxy = start(&numbered(0));
    let load = Load::start(
        proxy.address(),
        2,
        Duration::from_millis(1),
        Connections::Kept,
    );
    load.wait_for_good(50, SOON);
    let before = proxy.rss_bytes();
    for number in 1..=60 {
        proxy.rewrite(&numbered(number));
        proxy.signal(Signal::Hangup);
    }
    let mut client = Client::connect(proxy.address());
    assert!(wait_until(SOON, || client.get("/number").text() == "60"));
    load.wait_for_good(20, SOON);
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 12 << 20, "{grown} bytes for plans of old");
}

#[test]
fn a_bad_file_changes_nothing_and_says_why_and_where() {
    let origin = Origin::start(|_| Reply::ok("old"));
    let good = config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!("proxy = \"{}\"", origin.address()),
    );
    let proxy = start(&good);
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/").text(), "old");
    let line = refused(&proxy, &good.replace("proxy =", "proxi ="));
    assert!(line.contains("proxi"), "{line}");
    assert!(line.contains("croupier.toml:6"), "no place in {line}");
    let line = refused(&proxy, "[server\n");
    assert!(line.contains("croupier.toml:1"), "no place in {line}");
    let line = refused(&proxy, &format!("include = [\"missing.toml\"]\n{good}"));
    assert!(line.contains("missing.toml"), "{line}");
    // Half written: an editor has truncated it and not yet filled it again.
    let line = refused(&proxy, "");
    assert!(line.contains("no site"), "{line}");
    std::fs::remove_file(proxy.config_path()).unwrap();
    let before = proxy.log_lines().len();
    proxy.signal(Signal::Hangup);
    proxy.wait_for_log_after(before, |line| line.contains("config.rejected"));
    assert_eq!(client.get("/").text(), "old");
    assert_eq!(
        metric(&proxy, "croupier_config_reloads_total{result=\"failure\"}"),
        5.0
    );
    let line = proxy.reload(&good.replace("[site", "\n[site"));
    assert!(line.contains("config.reloaded"), "{line}");
    assert_eq!(
        metric(&proxy, "croupier_config_reloads_total{result=\"success\"}"),
        1.0
    );
}

#[test]
fn a_listener_that_can_not_be_bound_changes_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = start(&config("respond = \"old\""));
    let line = refused(
        &proxy,
        &format!(
            "[server]\nlisten = [\"127.0.0.1:0\", \"{}\"]\n[site.\"*\"]\nrespond = \"new\"\n",
            taken.local_addr().unwrap()
        ),
    );
    assert!(line.contains("in use"), "{line}");
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "old");
}

#[test]
fn listeners_come_and_go() {
    let (first, second) = (closed_address(), closed_address());
    let listening =
        |listens: &[String], sites: &str| format!("[server]\nlisten = {listens:?}\n{sites}");
    let sites = "[site.\"*\"]\nrespond = \"x\"\n";
    let proxy = start(&listening(&[first.to_string()], sites));
    let load = Load::start(
        proxy.address(),
        1,
        Duration::from_millis(1),
        Connections::NewEachTime,
    );
    assert!(Client::try_connect(second).is_err());
    proxy.reload(&listening(&[first.to_string(), second.to_string()], sites));
    let mut kept = Client::connect(second);
    assert_eq!(kept.get("/").text(), "x");
    // Another order is no change; a third one is a Unix socket.
    let path = proxy.directory().join("more.sock");
    let unix = format!("unix:{}", path.display());
    proxy.reload(&listening(
        &[unix, second.to_string(), first.to_string()],
        sites,
    ));
    assert_eq!(kept.get("/").text(), "x");
    assert_eq!(Client::connect_unix(&path).get("/").text(), "x");
    proxy.reload(&listening(&[first.to_string()], sites));
    assert!(wait_until(SOON, || Client::try_connect(second).is_err()));
    assert!(wait_until(SOON, || !path.exists()));
    assert_eq!(Client::connect(first).get("/").text(), "x");
    let tally = load.stop();
    let bad: Vec<_> = tally
        .failures
        .iter()
        .filter(|f| !f.contains("answer for somebody"))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_connection_of_a_listener_that_is_gone_never_sees_the_sites_of_another() {
    let (front, back) = (closed_address(), closed_address());
    let with = |listens: &str, sites: &str| format!("[server]\nlisten = [{listens}]\n{sites}");
    let public = format!("[site.\"public.test\"]\nlisten = \"{front}\"\nrespond = \"public\"\n");
    let inside = format!("[site.\"*\"]\nlisten = \"{back}\"\nrespond = \"inside\"\n");
    let proxy = start(&with(
        &format!("\"{front}\", \"{back}\""),
        &(public + &inside),
    ));
    let mut client = Client::connect(front).host("public.test");
    let mut neighbour = Client::connect(back);
    assert_eq!(client.get("/").text(), "public");
    assert_eq!(neighbour.get("/").text(), "inside");
    // The inner listener takes the place of the outer one in the list.
    proxy.reload(&with(&format!("\"{back}\""), &inside));
    client.send_request("GET", "/", &[], "");
    if let Ok(response) = client.try_read_response() {
        assert_ne!(response.text(), "inside", "{response:?}");
        assert!(response.says_close());
    }
    assert_eq!(neighbour.get("/").text(), "inside");
}

#[test]
fn marks_connections_and_counters_of_what_did_not_change_are_kept() {
    let dead = Origin::builder()
        .at_connect(|_| Reply::reset())
        .start(|_| Reply::ok("never"));
    let origin = Origin::start(|_| Reply::ok("x"));
    let text = |more: &str| {
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
             [timeouts]\norigin_idle = \"60s\"\n\
             [pool.app]\nservers = [\"{}\", \"{}\"]\n\
             [site.\"*\"]\npool = \"app\"\n{more}",
            dead.address(),
            origin.address()
        )
    };
    let up = format!(
        "croupier_server_up{{pool=\"app\",server=\"{}\"}}",
        dead.address()
    );
    let count = "http_server_response_body_size_bytes_count{site=\"*\",route=\"*\"}";
    let proxy = start(&text(""));
    let mut client = Client::connect(proxy.address());
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(metric(&proxy, &up), 0.0);
    assert!(wait_until(SOON, || metric(&proxy, count) == 20.0));
    let (connects, connections) = (dead.connections().len(), origin.connections().len());
    proxy.reload(&text("[site.\"new.test\"]\nrespond = \"x\"\n"));
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    // At most the one probe that was due.
    assert!(dead.connections().len() <= connects + 1);
    assert_eq!(origin.connections().len(), connections);
    assert!(wait_until(SOON, || metric(&proxy, count) == 40.0));
    // A server that left and comes back is a new one.
    proxy.reload(&text("").replace(&format!("\"{}\", ", dead.address()), ""));
    assert_eq!(metric(&proxy, &up), 0.0);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn an_exchange_under_way_ends_under_the_plan_it_began_with() {
    let (up, down) = (Event::new(), Event::new());
    let told = (up.clone(), down.clone());
    let origin = Origin::start(move |_| {
        Reply::wait_for(&told.0)
            .then(Reply::head(200).length(4))
            .then(Reply::bytes("ol"))
            .then(Reply::wait_for(&told.1))
            .then(Reply::bytes("d!"))
    });
    let proxy = start(&config(&format!(
        "proxy = \"{}\"\nheaders.response = {{ set = {{ X-Plan = \"old\" }} }}",
        origin.address()
    )));
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/", &[], "");
    origin.wait_for_requests(1, SOON);
    proxy.reload(&config("respond = \"new\""));
    up.fire();
    let mut response = client.read_head();
    assert_eq!(response.header("x-plan"), Some("old"));
    proxy.reload(&config("respond = \"newer\""));
    down.fire();
    client.read_body(&mut response);
    assert_eq!(response.text(), "old!");
    assert_eq!(client.get("/").text(), "newer");
}

#[test]
fn tunnels_and_streams_survive_reloads() {
    let next = Event::new();
    let told = next.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/socket" => Reply::switch_to_websocket().then(Reply::echo()),
        _ => Reply::head(200)
            .chunked::<&str>(&[])
            .then(Reply::chunk("one"))
            .then(Reply::wait_for(&told))
            .then(Reply::chunk("two"))
            .then(Reply::last_chunk()),
    });
    let site = |more: &str| config(&format!("proxy = \"{}\"\n{more}", origin.address()));
    let proxy = start(&site(""));
    let mut tunnel = Client::connect(proxy.address());
    let headers = [("Connection", "upgrade"), ("Upgrade", "websocket")];
    assert_eq!(
        tunnel
            .send_request("GET", "/socket", &headers, "")
            .read_head()
            .status,
        101
    );
    let mut stream = Client::connect(proxy.address());
    stream.send_request("GET", "/stream", &[], "").read_head();
    assert_eq!(stream.read_bytes(8), b"3\r\none\r\n");
    for number in 0..5 {
        proxy.reload(&site(&format!(
            "headers.response = {{ set = {{ X-N = \"{number}\" }} }}"
        )));
        tunnel.send("ping");
        assert_eq!(tunnel.read_bytes(4), b"ping");
    }
    next.fire();
    assert_eq!(stream.read_bytes(13), b"3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn what_needs_a_restart_is_said() {
    let proxy = start(&config_with("workers = 1", "respond = \"x\""));
    let line = proxy.reload(&config_with("workers = 2", "respond = \"y\""));
    assert!(line.contains("workers") && line.contains("start"), "{line}");
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "y");
}

#[test]
fn the_control_socket_waits_for_the_verdict() {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let path = launch.directory().join("admin.sock");
    let admin = format!("admin = \"unix:{}\"", path.display());
    let proxy = launch.start(&config_with(&admin, "respond = \"old\""));
    let order = || Client::connect_unix(&path).request("POST", "/v1/reload", &[], "");
    proxy.rewrite(&config_with(&admin, "respond = \"new\""));
    assert_eq!(order().status, 200);
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "new");
    proxy.rewrite(&config_with(&admin, "respnd = \"newer\""));
    let refusal = order();
    assert_eq!(refusal.status, 422);
    assert!(refusal.text().contains("respnd") && refusal.text().contains("croupier.toml"));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "new");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}
