//! Where we listen and whom we connect to: TCP of both families and Unix sockets, at once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use croupier_testkit::{Connections, Load, Signal, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config, config_with, metric, start};

/// What a refused start says, whatever the width of its lines.
fn said(exit: &croupier_testkit::Exit) -> String {
    let words: Vec<_> = exit.stderr.split_whitespace().collect();
    words.join(" ")
}

fn launch() -> croupier_testkit::Launch {
    Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
}

#[test]
fn a_server_may_live_behind_a_unix_socket() {
    let launch = launch();
    let path = launch.directory().join("app.sock");
    let origin = Origin::start_unix(&path, |request| Reply::ok(request.text()));
    let proxy = launch.start(&config(&format!("proxy = \"unix:{}\"", path.display())));
    let mut client = Client::connect(proxy.address());
    let body = vec![b'x'; 300_000];
    for _ in 0..3 {
        assert_eq!(client.request("POST", "/", &[], &body).body, body);
    }
    assert_eq!(origin.connections().len(), 1);
    assert_eq!(origin.requests()[0].header("host"), Some("example.test"));
    // A client without a host still makes a lawful request.
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.read_response_to("GET").status, 200);
    assert_eq!(origin.requests()[3].header("host"), Some("localhost"));
}

#[test]
fn a_unix_server_that_is_not_there_is_refused_at_once() {
    let launch = launch();
    let path = launch.directory().join("missing.sock");
    let proxy = launch.start(&config(&format!(
        "pool = \"app\"\n[pool.app]\nservers = [\"unix:{}\"]\nqueue = {{ requests = 0 }}",
        path.display()
    )));
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.status, 502);
    assert!(
        response.text().contains("origin.connect"),
        "{}",
        response.text()
    );
    let origin = Origin::start_unix(&path, |_| Reply::ok("here"));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "here");
    drop(origin);
}

#[test]
fn clients_may_come_through_a_unix_socket() {
    let origin = Origin::start(|_| Reply::ok("hello"));
    let launch = launch();
    let path = launch.directory().join("front.sock");
    // What an earlier run left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path));
    assert!(path.exists());
    let mut proxy = launch.start(&format!(
        "[server]\nlisten = [\"unix:{}\", \"127.0.0.1:0\"]\n[site.\"*\"]\nproxy = \"{}\"\n",
        path.display(),
        origin.address()
    ));
    assert_eq!(proxy.listens()[0], format!("unix:{}", path.display()));
    let mut client = Client::connect_unix(&path);
    for _ in 0..2 {
        assert_eq!(client.get("/unix").text(), "hello");
    }
    assert_eq!(Client::connect(proxy.address()).get("/tcp").text(), "hello");
    // Nobody knows an address of such a client.
    assert!(!origin.requests()[0].headers.has("x-forwarded-for"));
    let line = proxy.wait_for_access(|line| line.contains("/unix"));
    assert!(!line.contains("client_ip"), "{line}");
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn a_unix_socket_in_use_or_a_file_in_the_way_stops_the_start() {
    let launch = launch();
    let (used, file) = (
        launch.directory().join("used.sock"),
        launch.directory().join("file"),
    );
    let _listener = std::os::unix::net::UnixListener::bind(&used).unwrap();
    std::fs::write(&file, "precious").unwrap();
    for (path, why) in [(&used, "in use"), (&file, "in the way")] {
        let exit = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")).start_in_vain(&format!(
            "[server]\nlisten = [\"unix:{}\"]\n[site.\"*\"]\nrespond = \"x\"\n",
            path.display()
        ));
        assert_eq!(exit.code, Some(1));
        assert!(said(&exit).contains(why), "{}", exit.stderr);
        assert!(said(&exit).contains(&path.display().to_string()));
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn ipv6_on_both_sides() {
    let at = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
    let origin = Origin::start_at(at, |_| Reply::ok("six"));
    let proxy = start(&format!(
        "[server]\nlisten = [\"[::1]:0\"]\n[site.\"[::1]\"]\nproxy = \"{}\"\n",
        origin.address()
    ));
    assert!(proxy.address().is_ipv6());
    let host = format!("[::1]:{}", proxy.address().port());
    let mut client = Client::connect(proxy.address()).host(&host);
    assert_eq!(client.get("/").text(), "six");
    let request = &origin.requests()[0];
    assert_eq!(request.header("x-forwarded-for"), Some("::1"));
    assert_eq!(request.header("host"), Some(host.as_str()));
    let line = proxy.wait_for_access(|_| true);
    assert!(line.contains("\"client_ip\":\"::1\""), "{line}");
}

#[test]
fn a_port_alone_takes_both_families() {
    let proxy = start("[server]\nlisten = [\":0\"]\n[site.\"*\"]\nrespond = \"x\"\n");
    let port = proxy.address().port();
    for ip in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(ip.parse().unwrap(), port);
        assert_eq!(Client::connect(address).get("/").text(), "x");
    }
    // An IPv4 client is one in the log, whatever the socket says.
    proxy.wait_for_access(|line| line.contains("\"client_ip\":\"127.0.0.1\""));
}

#[test]
fn a_name_reaches_whatever_address_it_stands_for() {
    let origin = Origin::start(|_| Reply::ok("named"));
    let proxy = start(&config(&format!(
        "proxy = \"localhost:{}\"",
        origin.address().port()
    )));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "named");
}

#[test]
fn a_name_that_does_not_resolve_never_stops_the_start() {
    let proxy = start(&config("proxy = \"no-such-host.invalid:80\""));
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.status, 503);
    assert!(response.text().contains("proxy.pool.empty"));
    assert!(response.headers.has("retry-after"));
    proxy.wait_for_log(|line| line.contains("no-such-host.invalid"));
}

#[test]
fn a_site_may_keep_to_one_listener() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\", \"[::1]:0\"]\n\
         [site.\"inside.test\"]\nlisten = \"127.0.0.2:0\"\nrespond = \"inside\"\n\
         [site.\"open.test\"]\nrespond = \"open\"\n\
         [site.\"*\"]\nlisten = [\"[::1]:0\"]\nrespond = \"default\"\n",
    );
    let addresses = proxy.addresses();
    assert_eq!(addresses.len(), 3);
    assert!(addresses[2].is_ipv6());
    let ask = |listener: usize, host: &str| {
        let response = Client::connect(addresses[listener]).host(host).get("/");
        (response.status, response.text())
    };
    for listener in 0..3 {
        assert_eq!(ask(listener, "open.test"), (200, "open".into()));
    }
    assert_eq!(ask(0, "inside.test").0, 404);
    assert_eq!(ask(1, "inside.test"), (200, "inside".into()));
    assert_eq!(ask(2, "inside.test"), (200, "default".into()));
    assert_eq!(ask(0, "other.test").0, 404);
    assert_eq!(ask(1, "other.test").0, 404);
    assert_eq!(ask(2, "other.test"), (200, "default".into()));
}

#[test]
fn listeners_named_by_sites_alone_are_all_there_is() {
    let proxy = start(
        "[site.\"a.test\"]\nlisten = \"127.0.0.1:0\"\nrespond = \"a\"\n\
         [site.\"b.test\"]\nlisten = \"127.0.0.2:0\"\nrespond = \"b\"\n",
    );
    let addresses = proxy.addresses();
    assert_eq!(addresses.len(), 2);
    let ask = |listener: usize, host: &str| {
        Client::connect(addresses[listener])
            .host(host)
            .get("/")
            .status
    };
    assert_eq!([ask(0, "a.test"), ask(1, "b.test")], [200, 200]);
    assert_eq!([ask(0, "b.test"), ask(1, "a.test")], [404, 404]);
}

#[test]
fn a_port_in_use_stops_the_start_with_a_remedy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let site = "[site.\"*\"]\nrespond = \"x\"\n";
    for server in [
        format!("listen = [\"{address}\"]"),
        format!("listen = [\":{}\"]", address.port()),
        format!("listen = [\"127.0.0.1:0\"]\nmetrics = \"{address}\""),
    ] {
        let exit = launch().start_in_vain(&format!("[server]\n{server}\n{site}"));
        assert_eq!(exit.code, Some(1), "{server}: {}", exit.stderr);
        assert!(said(&exit).contains("in use"), "{}", exit.stderr);
        assert!(said(&exit).contains(&address.port().to_string()));
        assert!(said(&exit).contains("help"), "{}", exit.stderr);
    }
}

#[test]
fn another_proxy_of_ours_does_not_share_the_port_by_accident() {
    let proxy = start(&config("respond = \"first\""));
    let exit = launch().start_in_vain(&format!(
        "[server]\nlisten = [\"{}\"]\n[site.\"*\"]\nrespond = \"second\"\n",
        proxy.address()
    ));
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    for _ in 0..10 {
        assert_eq!(Client::connect(proxy.address()).get("/").text(), "first");
    }
}

#[test]
fn a_missing_directory_or_address_is_explained() {
    for (listen, why) in [
        ("unix:/no/such/directory/a.sock", "directory"),
        ("203.0.113.7:0", "address"),
    ] {
        let exit = launch().start_in_vain(&format!(
            "[server]\nlisten = [\"{listen}\"]\n[site.\"*\"]\nrespond = \"x\"\n"
        ));
        assert_eq!(exit.code, Some(1), "{}", exit.stderr);
        assert!(
            said(&exit).contains(listen) && said(&exit).contains(why),
            "{}",
            exit.stderr
        );
    }
}

#[test]
fn descriptors_used_up_neither_spin_nor_break_those_who_are_in() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = launch().descriptors(64).start(&format!(
        "{}\n[limits]\nconnections = 1000\n",
        config_with(
            "workers = 1\nmetrics = \"127.0.0.1:0\"",
            &format!("proxy = \"{}\"", origin.address())
        )
    ));
    let load = Load::start(
        proxy.address(),
        2,
        Duration::from_millis(2),
        Connections::Kept,
    );
    let mut metrics = Client::connect(proxy.metrics_address());
    let mut errors = move || {
        let page = metrics.get("/metrics").text();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("croupier_accept_errors_total "));
        line.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    load.wait_for_good(10, SOON);
    assert_eq!(errors(), 0);
    // Connections that say nothing eat what is left.
    let mut crowd = Vec::new();
    let full = wait_until(SOON, || {
        crowd.push(Client::connect(proxy.address()));
        crowd.len() > 40 && errors() > 0
    });
    assert!(full, "descriptors are not used up");
    let (cpu, from, began) = (proxy.cpu_time(), errors(), Instant::now());
    load.wait_for_good(50, SOON);
    assert!(wait_until(SOON, || began.elapsed() > Duration::from_millis(1000)));
    let spent = (proxy.cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(spent < 0.5, "{spent} of a core is spent");
    let more = errors() - from;
    assert!(more < 40, "{more} failed accepts in a second or so");
    assert!(proxy.log_lines().len() < 100);
    drop(crowd);
    let freed = Instant::now();
    let response = Client::connect(proxy.address()).get("/back");
    assert_eq!(response.text(), "/back");
    assert!(freed.elapsed() < Duration::from_secs(2));
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert_eq!(metric(&proxy, "croupier_panics_total"), 0.0);
}

#[test]
fn without_a_descriptor_for_a_server_the_client_gets_503_and_soon_an_answer() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = launch().descriptors(40).start(&format!(
        "{}\n[limits]\nconnections = 1000\n",
        config_with("workers = 1", &format!("proxy = \"{}\"", origin.address()))
    ));
    let mut client = Client::connect(proxy.address());
    let mut crowd = Vec::new();
    let full = wait_until(SOON, || {
        crowd.push(Client::connect(proxy.address()));
        proxy
            .log_lines()
            .iter()
            .any(|line| line.contains("listener.accept"))
    });
    assert!(full, "descriptors are not used up");
    let response = client.get("/");
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.text().contains("proxy.exhausted"));
    drop(crowd);
    let back = wait_until(SOON, || client.get("/").status == 200);
    assert!(back, "it does not recover");
}

#[test]
fn a_proxy_that_nobody_uses_sleeps() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = start(&config(&format!("proxy = \"{}\"", origin.address())));
    let mut idle: Vec<_> = (0..20).map(|_| Client::connect(proxy.address())).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    let (cpu, began) = (proxy.cpu_time(), Instant::now());
    assert!(wait_until(SOON, || began.elapsed() > Duration::from_secs(2)));
    let spent = (proxy.cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(spent < 0.02, "{spent} of a core is spent on nothing");
}
