//! Every row of `[timeouts]`: what it protects, what the client sees, and that it starts again with
//! every byte where it says so. Deadlines have a resolution of 100 ms.

use std::time::{Duration, Instant};

use croupier_testkit::wire::pattern;
use croupier_testkit::{BlackHole, End, Event, Failure, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config, config_with, metric, start};

const SHORT: Duration = Duration::from_millis(300);
/// What a short timeout may take on a busy machine.
const LATE: Duration = Duration::from_millis(2_500);

fn behind(origin: &Origin, timeouts: &str) -> Proxy {
    start(&format!(
        "{}\n[timeouts]\n{timeouts}\n",
        config(&format!("proxy = \"{}\"", origin.address()))
    ))
}

#[track_caller]
fn in_time(began: Instant) {
    let took = began.elapsed();
    assert!(took >= SHORT, "{took:?} is too early");
    assert!(took < LATE, "{took:?} is too late");
}

#[test]
fn client_head_ends_a_head_that_drips() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin, "client_head = \"300ms\"");
    let began = Instant::now();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut dripped = 0;
    while began.elapsed() < SHORT * 2 && client.try_send("X: 1\r\n").is_ok() {
        dripped += 1;
        client.expect_silence(Duration::from_millis(20));
        if began.elapsed() > SHORT / 2 {
            break;
        }
    }
    assert!(dripped > 0);
    let response = client.read_response_to("GET");
    assert_eq!(response.status, 408);
    assert!(response.text().contains("client.head.timeout") && response.says_close());
    in_time(began);
    client.expect_close(SOON);
    // A connection that never says a word is just closed.
    let began = Instant::now();
    let mut client = Client::connect(proxy.address());
    client.expect_close(LATE);
    in_time(began);
    assert!(origin.requests().is_empty());
}

#[test]
fn client_idle_ends_a_connection_that_waits_for_its_next_request() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin, "client_idle = \"300ms\"\nclient_head = \"20s\"");
    let mut client = Client::connect(proxy.address());
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 200);
    }
    let began = Instant::now();
    client.expect_close(LATE);
    in_time(began);
    // Half a head is not idle.
    let mut client = Client::connect(proxy.address());
    client.get("/");
    client.send("GET / HTTP/1.1\r\n");
    client.expect_silence(SHORT * 2);
    client.send("Host: a\r\n\r\n");
    assert_eq!(client.read_response_to("GET").status, 200);
}

#[test]
fn client_body_ends_an_upload_that_stalls() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin, "client_body = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    let began = Instant::now();
    let response = client.read_response_to("POST");
    assert_eq!(response.status, 408);
    assert!(response.text().contains("client.body.timeout") && response.says_close());
    in_time(began);
    client.expect_close(SOON);
    let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert_eq!(connections.len(), 1, "the stalled upload was tried again");
    // Slow is not stalled: each byte starts the clock again.
    let mut client = Client::connect(proxy.address());
    let began = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    client.send_slowly("12345678", Duration::from_millis(100));
    assert!(began.elapsed() > SHORT * 2);
    assert_eq!(client.read_response_to("POST").status, 200);
}

#[test]
fn client_send_ends_an_answer_that_nobody_takes() {
    let origin = Origin::start(|_| Reply::ok(vec![b'x'; 64 << 20]));
    let proxy = behind(&origin, "client_send = \"300ms\"");
    let mut client = Client::connect(proxy.address()).receive_buffer(4096);
    client.send_request("GET", "/", &[], "").read_head();
    let line = proxy.wait_for_access(|line| line.contains("client.send.timeout"));
    assert!(line.contains("\"status\":200"), "{line}");
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
}

#[test]
fn connect_gives_up_on_a_server_that_swallows_connections() {
    let hole = BlackHole::open();
    let origin = Origin::start(|_| Reply::ok("other"));
    let proxy = start(&format!(
        "{}\n[timeouts]\nconnect = \"300ms\"\n",
        config(&format!(
            "routes = [{{ path = \"/alone\", pool = \"alone\" }}]\nproxy = [\"{0}\", \"{1}\"]\n\
             [pool.alone]\nservers = [\"{0}\"]\nqueue = {{ requests = 0 }}",
            hole.address(),
            origin.address()
        ))
    ));
    let began = Instant::now();
    let response = Client::connect(proxy.address()).get("/alone");
    assert_eq!(response.status, 504);
    assert!(
        response.text().contains("origin.connect.timeout"),
        "{}",
        response.text()
    );
    in_time(began);
    // With a second server the request moves on, whatever its method.
    let began = Instant::now();
    let response = Client::connect(proxy.address()).request("POST", "/", &[], "body");
    assert_eq!(response.text(), "other");
    assert!(began.elapsed() < LATE);
    assert_eq!(origin.requests()[0].text(), "body");
}

#[test]
fn response_head_ends_the_wait_for_a_server_that_thinks() {
    let origin = Origin::start(|request| match request.path() {
        "/never" => Reply::stall(),
        _ => Reply::ok("x"),
    });
    let proxy = behind(&origin, "response_head = \"300ms\"");
    for method in ["POST", "GET"] {
        let count = origin.requests().len();
        let began = Instant::now();
        let response = Client::connect(proxy.address()).request(method, "/never", &[], "");
        assert_eq!(response.status, 504, "{method}: {}", response.text());
        assert!(
            response.text().contains("origin.head.timeout"),
            "{method}: {}",
            response.text()
        );
        in_time(began);
        if method == "POST" {
            assert_eq!(origin.requests().len() - count, 1);
        }
    }
    // The clock begins at the end of the request: an upload may take its time.
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
    client.send_slowly("123456", Duration::from_millis(100));
    assert_eq!(client.read_response_to("POST").status, 200);
}

#[test]
fn response_head_ends_the_wait_for_a_server_that_takes_no_upload() {
    let never = Event::new();
    let origin = Origin::builder()
        .receive_buffer(4096)
        .at_head(move |_| Some(Reply::wait_for(&never)))
        .start(|_| Reply::ok("x"));
    let proxy = behind(&origin, "response_head = \"300ms\"");
    let mut client = Client::connect(proxy.address()).patience(SOON);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    let block = vec![b'x'; 1 << 20];
    let _ = (0..100).any(|_| client.try_send(&block).is_err());
    let response = client.read_response_to("POST");
    assert_eq!(response.status, 504, "{}", response.text());
    assert!(response.text().contains("origin.send.timeout"));
}

#[test]
fn response_body_ends_an_answer_that_stalls_and_cuts_it_visibly() {
    let origin = Origin::start(|request| match request.path() {
        "/length" => Reply::head(200)
            .length(100_000)
            .then(Reply::bytes(pattern(50_000)))
            .then(Reply::stall()),
        "/chunked" => Reply::head(200)
            .chunked::<&str>(&[])
            .then(Reply::chunk("part"))
            .then(Reply::stall()),
        "/large" => Reply::head(200)
            .length(1_000_000)
            .then(Reply::bytes(pattern(500_000)))
            .then(Reply::stall()),
        _ => Reply::ok(pattern(10)).slowly(5, Duration::from_millis(100)),
    });
    let proxy = behind(&origin, "response_body = \"300ms\"");
    for path in ["/length", "/chunked", "/large"] {
        let began = Instant::now();
        let mut client = Client::connect(proxy.address());
        client.send_request("GET", path, &[], "");
        match client.try_read_response() {
            Ok(response) => assert_eq!((response.status, response.end), (200, End::Cut)),
            Err(failure) => assert_eq!(failure, Failure::Reset),
        }
        in_time(began);
    }
    proxy.wait_for_access(|line| line.contains("origin.body.timeout"));
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    assert_eq!(
        Client::connect(proxy.address()).get("/slow").body,
        pattern(10)
    );
}

#[test]
fn exchange_bounds_the_whole() {
    let origin = Origin::start(|request| match request.path() {
        "/never" => Reply::stall(),
        _ => Reply::ok(pattern(100_000)).slowly(1000, Duration::from_millis(20)),
    });
    let site = format!(
        "proxy = \"{}\"\ntimeout = {{ exchange = \"300ms\" }}",
        origin.address()
    );
    let proxy = start(&config(&site));
    let began = Instant::now();
    let response = Client::connect(proxy.address()).get("/never");
    assert_eq!(response.status, 504);
    assert!(
        response.text().contains("proxy.exchange.timeout"),
        "{}",
        response.text()
    );
    in_time(began);
    // One that makes progress all the time is cut all the same.
    let began = Instant::now();
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/slow", &[], "");
    match client.try_read_response() {
        Ok(response) => assert_eq!(response.end, End::Cut),
        Err(failure) => assert_eq!(failure, Failure::Reset),
    }
    in_time(began);
    // And so is an upload that drips.
    let began = Instant::now();
    let mut client = Client::connect(proxy.address());
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    while began.elapsed() < SHORT / 2 {
        client.send("x");
        client.expect_silence(Duration::from_millis(20));
    }
    let response = client.read_response_to("POST");
    assert_eq!(response.status, 504);
    in_time(began);
}

#[test]
fn exchange_bounds_a_request_that_is_tried_again_and_again() {
    let hole = BlackHole::open();
    let other = BlackHole::open();
    let site = format!(
        "proxy = [\"{}\", \"{}\"]\ntimeout = {{ exchange = \"300ms\", connect = \"20s\" }}",
        hole.address(),
        other.address()
    );
    let proxy = start(&config(&site));
    let began = Instant::now();
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.status, 504);
    in_time(began);
}

#[test]
fn drain_bounds_the_wait_for_a_body_that_nobody_wants() {
    let proxy = start(&format!(
        "{}\n[timeouts]\ndrain = \"300ms\"\n",
        config("respond = \"no need\"")
    ));
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    assert_eq!(client.read_response_to("POST").text(), "no need");
    let began = Instant::now();
    client.expect_close(LATE);
    assert!(began.elapsed() >= SHORT - Duration::from_millis(50));
    // One that comes is read away.
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    assert_eq!(client.read_response_to("POST").text(), "no need");
    client.send("def");
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn origin_idle_closes_what_rests_too_long() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = start(&format!(
        "{}\n[timeouts]\norigin_idle = \"300ms\"\n",
        config_with(
            "metrics = \"127.0.0.1:0\"",
            &format!("proxy = \"{}\"", origin.address())
        )
    ));
    let mut client = Client::connect(proxy.address());
    client.get("/");
    let began = Instant::now();
    client.get("/");
    assert_eq!(origin.open_connections(), 1);
    let series = format!(
        "croupier_server_connections{{pool=\"{0}\",server=\"{0}\",state=\"idle\"}}",
        origin.address()
    );
    assert!(wait_until(SHORT, || metric(&proxy, &series) == 1.0));
    origin.wait_for_connections(LATE, |all| all[0].ended.is_some());
    in_time(began);
    assert!(wait_until(SOON, || metric(&proxy, &series) == 0.0));
    assert_eq!(client.get("/").status, 200);
    assert_eq!(origin.connections().len(), 2);
}

#[test]
fn a_route_may_be_more_patient_than_its_site_and_a_site_than_its_pool() {
    let origin = Origin::start(|_| Reply::ok("x").after(Duration::from_millis(500)));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [pool.app]\nservers = [\"{}\"]\ntimeout = {{ response = \"200ms\" }}\n\
         [site.\"pool.test\"]\npool = \"app\"\n\
         [site.\"site.test\"]\npool = \"app\"\ntimeout = {{ response = \"10s\" }}\n\
         [site.\"route.test\"]\ntimeout = {{ response = \"200ms\" }}\n\
         routes = [{{ path = \"/slow\", pool = \"app\", timeout = {{ response = \"off\" }} }}, {{ pool = \"app\" }}]\n",
        origin.address()
    ));
    let ask = |host: &str, path: &str| {
        Client::connect(proxy.address())
            .host(host)
            .request("POST", path, &[], "")
            .status
    };
    assert_eq!(ask("pool.test", "/"), 504);
    assert_eq!(ask("site.test", "/"), 200);
    assert_eq!(ask("route.test", "/slow"), 200);
    assert_eq!(ask("route.test", "/"), 504);
}
