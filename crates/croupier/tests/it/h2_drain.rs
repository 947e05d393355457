//! The end of an HTTP/2 connection: announced by `GOAWAY`, with every exchange that was begun
//! brought to its end.

use std::time::{Duration, Instant};

use croupier_testkit::h2::{self, Frame, Head, code};
use croupier_testkit::{Event, Origin, Proxy, Reply, Signal, wait_until};

use crate::prelude::{SOON, config, config_with, start};

fn connect(proxy: &Proxy) -> h2::Client {
    h2::Client::connect(proxy.address())
}

fn patient(go: &Event) -> Origin {
    let told = go.clone();
    Origin::start(move |request| match request.path() {
        "/quick" => Reply::ok("quick"),
        "/socket" => Reply::switch_to_websocket().then(Reply::echo()),
        "/trickle" => Reply::head(200)
            .chunked(&[""; 0])
            .then(Reply::chunk("one "))
            .then(Reply::wait_for(&told))
            .then(Reply::chunk("two"))
            .then(Reply::last_chunk()),
        _ => Reply::wait_for(&told).then(Reply::ok(request.text())),
    })
}

fn behind(origin: &Origin, server: &str) -> Proxy {
    start(&config_with(
        server,
        &format!("proxy = \"{}\"", origin.address()),
    ))
}

#[test]
fn term_finishes_every_stream_and_says_goaway_before() {
    let go = Event::new();
    let origin = patient(&go);
    let mut proxy = behind(&origin, "");
    let mut client = connect(&proxy);
    let waiting: Vec<u32> = (0..20).map(|_| client.open(&Head::get("/slow"))).collect();
    let trickle = client.open(&Head::get("/trickle"));
    let upload = client.open_with_body(&Head::post("/upload"));
    client.send_data(upload, "first ");
    client.read_body(trickle, 4);
    origin.wait_for_heads(22, SOON);
    proxy.signal(Signal::Terminate);
    proxy.wait_for_log(|line| line.contains("draining"));
    client.wait("a GOAWAY", |client| !client.goaways().is_empty());
    let first = client.goaways()[0].clone();
    assert_eq!(first.code, code::NO_ERROR);
    assert!(first.last >= upload, "{first:?}");
    // The rest of what was begun is taken.
    client.send_data(upload, "second");
    client.finish(upload);
    go.fire();
    for stream in waiting {
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.is_complete), (200, true));
    }
    assert_eq!(client.answer(trickle).text(), "one two");
    assert_eq!(client.answer(upload).text(), "first second");
    client.expect_close(SOON);
    // First a warning, then the number of the last one (RFC 9113, 6.8).
    let told: Vec<u32> = client.goaways().iter().map(|g| g.last).collect();
    assert_eq!(told, [0x7fff_ffff, upload]);
    assert_eq!(proxy.wait_exit(SOON), 0);
}

#[test]
fn a_stream_that_crosses_the_warning_is_served() {
    let origin = patient(&Event::new());
    let mut proxy = behind(&origin, "workers = 1");
    let mut client = connect(&proxy);
    assert_eq!(client.get("/quick").status, 200);
    let tunnel = client.open_with_body(&Head::websocket("/socket"));
    client.head(tunnel);
    proxy.signal(Signal::Terminate);
    proxy.wait_for_log(|line| line.contains("draining"));
    // The client has not read the warning yet, or has just sent this.
    let late = client.open(&Head::get("/quick"));
    let answer = client.try_answer(late);
    let last = client.goaways().last().unwrap().last;
    assert!(
        answer.text() == "quick" || last < late,
        "{answer:?}, last {last}"
    );
    client.finish(tunnel);
    client.answer(tunnel);
    client.expect_close(SOON);
    assert_eq!(proxy.wait_exit(SOON), 0);
}

#[test]
fn an_idle_connection_delays_nobody() {
    let mut proxy = start(&config("respond = \"x\""));
    let mut clients: Vec<h2::Client> = (0..5).map(|_| connect(&proxy)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let mut silent = connect(&proxy);
    let began = Instant::now();
    proxy.signal(Signal::Terminate);
    for client in clients.iter_mut().chain([&mut silent]) {
        client.expect_goaway(&[code::NO_ERROR], SOON);
    }
    assert_eq!(proxy.wait_exit(SOON), 0);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_client_that_keeps_its_connection_after_goaway_is_cut_in_the_end() {
    let mut proxy = start(&config("respond = \"x\""));
    // It answers no PING and closes nothing.
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    let mut bytes = h2::PREFACE.to_vec();
    bytes.extend(Frame::settings(&[]).encode());
    std::io::Write::write_all(&mut stream, &bytes).unwrap();
    assert_eq!(connect(&proxy).get("/").status, 200);
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(Duration::from_secs(20)), 0);
}

#[test]
fn grace_bounds_what_is_under_way() {
    let origin = patient(&Event::new());
    let mut proxy = behind(&origin, "shutdown_grace = \"400ms\"");
    let mut client = connect(&proxy);
    let stream = client.open(&Head::get("/slow"));
    origin.wait_for_heads(1, SOON);
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 3);
    client.expect_close(SOON);
    assert!(!client.so_far(stream).is_complete);
}

#[test]
fn an_idle_connection_ends_with_a_goaway() {
    let proxy = start(&format!(
        "{}[timeouts]\nclient_idle = \"500ms\"\n",
        config("respond = \"x\"")
    ));
    let mut client = connect(&proxy);
    let began = Instant::now();
    assert_eq!(client.get("/").status, 200);
    let goaway = client.expect_goaway(&[code::NO_ERROR], SOON);
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert!(goaway.last >= 1);
    // One that never asked anything ends as well, and pings keep nothing alive.
    let mut client = connect(&proxy);
    let began = Instant::now();
    while client.closed().is_none() {
        let _ = client.try_send(&Frame::ping([1; 8]));
        client.idle(Duration::from_millis(50));
        assert!(began.elapsed() < SOON, "pings keep an idle connection open");
    }
}

#[test]
fn a_busy_connection_is_not_idle() {
    let go = Event::new();
    let origin = patient(&go);
    let proxy = start(&format!(
        "{}[timeouts]\nclient_idle = \"300ms\"\n",
        config(&format!("proxy = \"{}\"", origin.address()))
    ));
    let mut client = connect(&proxy);
    let stream = client.open(&Head::get("/slow"));
    client.idle(Duration::from_millis(900));
    assert!(client.goaways().is_empty());
    go.fire();
    assert_eq!(client.answer(stream).status, 200);
    client.expect_goaway(&[code::NO_ERROR], SOON);
}

#[test]
fn after_its_share_of_requests_a_connection_is_asked_to_come_again() {
    let proxy = start(&format!(
        "{}[limits]\nh2_requests = 10\n",
        config("respond = \"x\"")
    ));
    let mut client = connect(&proxy);
    for number in 0..10 {
        assert_eq!(client.get("/").status, 200, "{number}");
    }
    let goaway = client.expect_goaway(&[code::NO_ERROR], SOON);
    assert!(goaway.last >= 19, "{goaway:?}");
    assert_eq!(connect(&proxy).get("/").status, 200);
}

#[test]
fn a_reload_is_seen_by_the_next_stream() {
    let proxy = start(&config("respond = \"old\""));
    let mut client = connect(&proxy);
    assert_eq!(client.get("/").text(), "old");
    proxy.reload(&config("respond = \"new\""));
    assert!(wait_until(SOON, || client.get("/").text() == "new"));
    assert!(client.goaways().is_empty());
}

#[test]
fn a_client_that_says_goaway_gets_its_answers() {
    let go = Event::new();
    let origin = patient(&go);
    let proxy = behind(&origin, "");
    let mut client = connect(&proxy);
    let streams: Vec<u32> = (0..5).map(|_| client.open(&Head::get("/slow"))).collect();
    origin.wait_for_heads(5, SOON);
    client.send(&Frame::goaway(0, code::NO_ERROR, "bye"));
    go.fire();
    for stream in streams {
        assert_eq!(client.answer(stream).status, 200);
    }
    client.expect_close(SOON);
}

#[test]
fn under_load_nothing_that_was_accepted_is_lost() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let mut proxy = behind(&origin, "");
    let mut client = connect(&proxy);
    for _ in 0..20 {
        assert_eq!(client.get("/warm").status, 200);
    }
    let mut streams: Vec<u32> = (0..50)
        .map(|n| client.open(&Head::get(format!("/{n}"))))
        .collect();
    proxy.signal(Signal::Terminate);
    while client.goaways().is_empty() && client.closed().is_none() && streams.len() < 5000 {
        streams.push(client.open(&Head::get("/more")));
        client.idle(Duration::from_micros(200));
    }
    let _ = client.wait_for(SOON, |c| c.closed().is_some());
    let last = client.goaways().last().unwrap().last;
    for stream in streams {
        let answer = client.so_far(stream);
        assert!(
            answer.is_complete || stream > last,
            "{stream} of {last} has no answer"
        );
    }
    assert_eq!(proxy.wait_exit(SOON), 0);
}
