//! Requests that find no server wait for one: in order, within bounds, and none is forgotten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use croupier_testkit::{Event, Signal, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

/// A pool of these servers, written as in the config.
fn config_of(workers: usize, servers: &str, pool: &str, site: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = {workers}\nmetrics = \"127.0.0.1:0\"\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [{servers}]\n{pool}\n\
         [site.\"*\"]\npool = \"app\"\n{site}\n"
    )
}

fn limited(origin: &Origin, limit: &str) -> String {
    format!("{{ address = \"{}\", {limit} }}", origin.address())
}

fn plain(origin: &Origin) -> String {
    format!("\"{}\"", origin.address())
}

fn waiting(proxy: &Proxy) -> usize {
    metric(proxy, "croupier_pool_queue{pool=\"app\"}") as usize
}

#[track_caller]
fn wait_for_waiting(proxy: &Proxy, count: usize) {
    let reached = wait_until(SOON, || waiting(proxy) == count);
    assert!(reached, "{} wait instead of {count}", waiting(proxy));
}

fn refused(proxy: &Proxy, reason: &str) -> f64 {
    metric(
        proxy,
        &format!("croupier_pool_queue_refused_total{{pool=\"app\",reason=\"{reason}\"}}"),
    )
}

/// An origin that answers after this event, and tells how many requests it holds.
fn holding(open: &Event) -> Origin {
    let open = open.clone();
    Origin::start(move |request| Reply::wait_for(&open).then(Reply::ok(request.path())))
}

/// A client that has asked and waits for its answer.
fn asking(proxy: &Proxy, path: &str) -> Client {
    let mut client = Client::connect(proxy.address()).patience(Duration::from_secs(20));
    client.send_request("GET", path, &[], "");
    client
}

/// Counts what is under way at an origin.
#[derive(Clone, Default)]
struct Meter(Arc<(AtomicUsize, AtomicUsize)>);

impl Meter {
    fn work(&self, time: Duration) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(time);
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[test]
fn a_restart_of_the_only_server_costs_no_request() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = start(&config_of(
        2,
        &plain(&origin),
        "queue = { time = \"10s\" }",
        "",
    ));
    assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    origin.stop();
    let mut clients: Vec<_> = (0..20)
        .map(|number| {
            let mut client = Client::connect(proxy.address()).patience(Duration::from_secs(20));
            let method = ["GET", "POST"][number % 2];
            client.send_request(method, "/", &[], format!("{number}"));
            client
        })
        .collect();
    wait_for_waiting(&proxy, 20);
    origin.restart();
    for (number, client) in clients.iter_mut().enumerate() {
        let response = client.read_response();
        assert_eq!(
            (response.status, response.text()),
            (200, number.to_string())
        );
    }
    assert_eq!(origin.requests().len(), 21, "each was sent once");
    // One that looks in vain whether the server is back waits a second time.
    assert!(metric(&proxy, "croupier_pool_queued_total{pool=\"app\"}") >= 20.0);
    assert_eq!(waiting(&proxy), 0);
}

#[test]
fn nobody_is_lost_when_many_wait_and_the_server_comes_back() {
    const CLIENTS: usize = 200;
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let server = limited(&origin, "max_requests = 10");
    let proxy = start(&config_of(4, &server, "queue = { time = \"20s\" }", ""));
    origin.stop();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| asking(&proxy, &format!("/{number}")))
        .collect();
    wait_for_waiting(&proxy, CLIENTS);
    origin.restart();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("/{number}"));
    }
    assert_eq!(origin.requests().len(), CLIENTS);
}

#[test]
fn waiting_has_an_end() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = start(&config_of(
        1,
        &plain(&origin),
        "queue = { time = \"400ms\" }",
        "",
    ));
    origin.stop();
    let mut client = Client::connect(proxy.address());
    let began = Instant::now();
    let response = client.get("/");
    let time = began.elapsed();
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(response.header("Retry-After"), Some("1"));
    assert!(
        response.text().contains("proxy.queue.timeout"),
        "{}",
        response.text()
    );
    assert!((300..3000).contains(&time.as_millis()), "{time:?}");
    assert_eq!(refused(&proxy, "timeout"), 1.0);
    let line = proxy.wait_for_access(|line| line.contains("\"status\":503"));
    assert!(line.contains("\"fault\":\"proxy.queue.timeout\""), "{line}");
    assert!(line.contains("\"no_retry\":\"queue\""), "{line}");
    // The connection lives on.
    origin.restart();
    assert!(wait_until(SOON, || client.get("/").status == 200));
}

#[test]
fn a_full_server_lets_wait_as_many_as_are_allowed() {
    let open = Event::new();
    let origin = holding(&open);
    let server = limited(&origin, "max_requests = 1");
    let proxy = start(&config_of(
        2,
        &server,
        "queue = { requests = 2, time = \"10s\" }",
        "",
    ));
    let mut clients = vec![asking(&proxy, "/0")];
    origin.wait_for_requests(1, SOON);
    for number in 1..3 {
        clients.push(asking(&proxy, &format!("/{number}")));
        wait_for_waiting(&proxy, number);
    }
    let response = Client::connect(proxy.address()).get("/too-many");
    assert_eq!(response.status, 503);
    assert_eq!(response.header("Retry-After"), Some("1"));
    assert!(
        response.text().contains("proxy.queue.full"),
        "{}",
        response.text()
    );
    assert_eq!(refused(&proxy, "full"), 1.0);
    open.fire();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("/{number}"));
    }
    // Without a line it is refused at once.
    let open = Event::new();
    let origin = holding(&open);
    let server = limited(&origin, "max_requests = 1");
    let proxy = start(&config_of(1, &server, "queue = { requests = 0 }", ""));
    let mut first = asking(&proxy, "/0");
    origin.wait_for_requests(1, SOON);
    let response = Client::connect(proxy.address()).get("/");
    assert!(
        response.text().contains("proxy.pool.busy"),
        "{}",
        response.text()
    );
    open.fire();
    assert_eq!(first.read_response().status, 200);
}

/// Many clients, each with several requests, on kept and new connections.
fn storm(proxy: &Proxy, clients: usize, requests: usize) {
    let address = proxy.address();
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address).patience(Duration::from_secs(30));
                for request in 0..requests {
                    if number % 2 == 0 {
                        client = Client::connect(address).patience(Duration::from_secs(30));
                    }
                    let path = format!("/{number}/{request}");
                    assert_eq!(client.get(&path).text(), path);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_server_never_has_more_requests_than_it_may() {
    let meter = Meter::default();
    let told = meter.clone();
    let origin = Origin::start(move |request| {
        told.work(Duration::from_millis(2));
        Reply::ok(request.path())
    });
    let server = limited(&origin, "max_requests = 3");
    let proxy = start(&config_of(4, &server, "queue = { time = \"20s\" }", ""));
    storm(&proxy, 32, 12);
    assert_eq!(meter.most(), 3, "all of what is allowed, and not one more");
    assert_eq!(origin.requests().len(), 32 * 12);
    assert_eq!(waiting(&proxy), 0);
}

#[test]
fn a_server_never_has_more_connections_than_it_may() {
    let origin = Origin::start(|request| {
        std::thread::sleep(Duration::from_millis(2));
        Reply::ok(request.path())
    });
    let server = limited(&origin, "max_connections = 3");
    let proxy = start(&config_of(4, &server, "queue = { time = \"20s\" }", ""));
    storm(&proxy, 32, 12);
    let opened = origin.connections().len();
    assert!((1..=3).contains(&opened), "{opened} connections");
    assert_eq!(origin.requests().len(), 32 * 12);
    // Connections that the server closes make room for others.
    for round in 0..5 {
        let before = origin.connections().len();
        origin.kill_idle_connections();
        storm(&proxy, 8, 4);
        let opened = origin.connections().len() - before;
        assert!(opened <= 3, "{opened} connections in round {round}");
    }
}

#[test]
fn a_server_that_closes_after_each_answer_keeps_to_its_connections_too() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, max) = (Arc::clone(&open), Arc::clone(&most));
    let origin = Origin::start(move |request| {
        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
        max.fetch_max(count, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::ok(request.path())
            .header("Connection", "close")
            .and_close()
    });
    let server = limited(&origin, "max_connections = 2");
    let proxy = start(&config_of(4, &server, "queue = { time = \"20s\" }", ""));
    storm(&proxy, 16, 6);
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert_eq!(origin.connections().len(), 16 * 6);
}

#[test]
fn a_server_whose_connections_are_all_in_use_is_full() {
    let open = Event::new();
    let (small, large) = (holding(&open), Origin::start(|_| Reply::ok("large")));
    let servers = format!(
        "{}, {}",
        limited(&small, "max_connections = 1"),
        limited(&large, "backup = true")
    );
    let proxy = start(&config_of(2, &servers, "queue = { time = \"300ms\" }", ""));
    let mut first = asking(&proxy, "/first");
    small.wait_for_requests(1, SOON);
    for _ in 0..6 {
        assert_eq!(Client::connect(proxy.address()).get("/").text(), "large");
    }
    // Alone it lets the others wait.
    proxy.reload(&config_of(
        2,
        &limited(&small, "max_connections = 1"),
        "queue = { time = \"10s\" }",
        "",
    ));
    let mut second = asking(&proxy, "/second");
    wait_for_waiting(&proxy, 1);
    assert_eq!(small.connections().len(), 1);
    open.fire();
    assert_eq!(first.read_response().text(), "/first");
    assert_eq!(second.read_response().text(), "/second");
    assert_eq!(small.connections().len(), 1);
}

#[test]
fn a_tunnel_takes_a_connection_for_as_long_as_it_lasts() {
    let origin = Origin::start(|request| {
        if request.header("Upgrade").is_some() {
            Reply::switch_to_websocket().then(Reply::echo())
        } else {
            Reply::ok("x")
        }
    });
    let server = limited(&origin, "max_connections = 1");
    let proxy = start(&config_of(2, &server, "queue = { time = \"10s\" }", ""));
    let mut tunnel = Client::connect(proxy.address());
    tunnel.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(tunnel.read_head().status, 101);
    let mut client = asking(&proxy, "/");
    wait_for_waiting(&proxy, 1);
    tunnel.close();
    assert_eq!(client.read_response().text(), "x");
}

#[test]
fn who_came_first_is_served_first_within_the_priority_of_the_route() {
    let open = Event::new();
    let origin = holding(&open);
    let site = "routes = [{ path = \"/high/*\", pool = \"app\", priority = \"high\" },\n\
                { path = \"/low/*\", pool = \"app\", priority = \"low\" }]";
    // One worker: two that are called at nearly the same time may look in any order elsewhere.
    let server = limited(&origin, "max_requests = 1");
    let proxy = start(&config_of(1, &server, "queue = { time = \"20s\" }", site));
    let mut clients = vec![asking(&proxy, "/held")];
    origin.wait_for_requests(1, SOON);
    let paths = ["/low/1", "/1", "/high/1", "/2", "/low/2", "/high/2", "/3"];
    for (number, path) in paths.iter().enumerate() {
        clients.push(asking(&proxy, path));
        wait_for_waiting(&proxy, number + 1);
    }
    open.fire();
    for client in &mut clients {
        assert_eq!(client.read_response().status, 200);
    }
    let order: Vec<_> = origin
        .requests()
        .iter()
        .map(|r| r.path().to_owned())
        .collect();
    assert_eq!(
        order,
        [
            "/held", "/high/1", "/high/2", "/1", "/2", "/3", "/low/1", "/low/2"
        ]
    );
}

#[test]
fn newcomers_do_not_pass_those_who_wait() {
    let meter = Meter::default();
    let origin = Origin::start(move |request| {
        meter.work(Duration::from_millis(5));
        Reply::ok(request.path())
    });
    let server = limited(&origin, "max_requests = 1");
    let proxy = start(&config_of(2, &server, "queue = { time = \"20s\" }", ""));
    let stops = Event::new();
    // Four that ask again as soon as they have their answer would always be quicker.
    let eager: Vec<_> = (0..4)
        .map(|_| {
            let (address, stops) = (proxy.address(), stops.clone());
            std::thread::spawn(move || {
                let mut client = Client::connect(address).patience(Duration::from_secs(20));
                while !stops.is_fired() {
                    assert_eq!(client.get("/eager").status, 200);
                }
            })
        })
        .collect();
    assert!(wait_until(SOON, || origin.requests().len() > 10));
    for number in 0..10 {
        let before = origin.requests().len();
        let path = format!("/patient/{number}");
        assert_eq!(Client::connect(proxy.address()).get(&path).text(), path);
        let passed = origin.requests().len() - before;
        // Those before it in the line, one at work, and what came while this was counted.
        assert!(passed <= 10, "{passed} were served before one that waited");
    }
    stops.fire();
    for thread in eager {
        thread.join().unwrap();
    }
}

#[test]
fn a_client_that_leaves_gives_its_place_to_another() {
    let open = Event::new();
    let origin = holding(&open);
    let server = limited(&origin, "max_requests = 1");
    let proxy = start(&config_of(
        2,
        &server,
        "queue = { requests = 1, time = \"20s\" }",
        "",
    ));
    let mut first = asking(&proxy, "/first");
    origin.wait_for_requests(1, SOON);
    for (method, body) in [("GET", ""), ("POST", "a body that nobody has read")] {
        let mut leaving = Client::connect(proxy.address());
        leaving.send_request(method, "/left", &[], body);
        wait_for_waiting(&proxy, 1);
        leaving.reset();
        wait_for_waiting(&proxy, 0);
    }
    let mut second = asking(&proxy, "/second");
    wait_for_waiting(&proxy, 1);
    open.fire();
    assert_eq!(first.read_response().text(), "/first");
    assert_eq!(second.read_response().text(), "/second");
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.path() != "/left")
    );
}

#[test]
fn a_reload_forgets_nobody_who_waits() {
    let open = Event::new();
    let origin = holding(&open);
    let config = |limit: usize, more: &str| {
        let server = limited(&origin, &format!("max_requests = {limit}"));
        config_of(2, &server, "queue = { time = \"20s\" }", more)
    };
    let proxy = start(&config(1, ""));
    let mut clients = vec![asking(&proxy, "/0")];
    origin.wait_for_requests(1, SOON);
    for number in 1..5 {
        clients.push(asking(&proxy, &format!("/{number}")));
        wait_for_waiting(&proxy, number);
    }
    proxy.reload(&config(1, "headers.response = { set = { X-New = \"1\" } }"));
    assert_eq!(waiting(&proxy), 4);
    clients.push(asking(&proxy, "/5"));
    wait_for_waiting(&proxy, 5);
    open.fire();
    for (number, client) in clients.iter_mut().enumerate() {
        let response = client.read_response();
        assert_eq!(response.text(), format!("/{number}"));
        assert_eq!(response.header("X-New"), (number == 5).then_some("1"));
    }
}

#[test]
fn a_stop_waits_for_those_who_wait() {
    let open = Event::new();
    let origin = holding(&open);
    let server = limited(&origin, "max_requests = 1");
    let mut proxy = start(&config_of(2, &server, "queue = { time = \"20s\" }", ""));
    let mut clients: Vec<_> = vec![asking(&proxy, "/0")];
    origin.wait_for_requests(1, SOON);
    for number in 1..4 {
        clients.push(asking(&proxy, &format!("/{number}")));
        wait_for_waiting(&proxy, number);
    }
    proxy.signal(Signal::Terminate);
    proxy.wait_for_log(|line| line.contains("drain"));
    open.fire();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("/{number}"));
    }
    assert_eq!(proxy.wait_exit(SOON), 0);
}

#[test]
fn a_stale_answer_stands_in_when_no_server_came_in_time() {
    let origin = Origin::start(|_| {
        Reply::ok("kept")
            .header("Cache-Control", "max-age=60")
            .header("Age", "100")
            .header("ETag", "\"one\"")
    });
    let proxy = start(&config_of(
        1,
        &plain(&origin),
        "queue = { time = \"100ms\" }",
        "cache = true",
    ));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/a").text(), "kept");
    origin.stop();
    // The first finds out that the server is gone, the others that nobody is left.
    for _ in 0..3 {
        let response = Client::connect(proxy.address()).get("/a");
        assert_eq!((response.status, &*response.text()), (200, "kept"));
    }
    // Who has nothing to stand in is told of the server, or that there is none.
    let other = Client::connect(proxy.address()).get("/b");
    assert!(matches!(other.status, 502 | 503), "{}", other.status);
}
