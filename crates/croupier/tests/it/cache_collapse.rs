//! However many ask at once, the origin is asked once; nobody waits for what is not for him, and
//! what broke off is nobody's whole answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use croupier_testkit::h2::{self, Head};
use croupier_testkit::wire::pattern;
use croupier_testkit::{End, Event, Proxy};

use crate::{
    prelude::{Client, Origin, Reply, SOON},
    shelf::{ask, did, is_hit, keeping, keeping_with},
};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=3600");

/// A long wait, where what is tested is that nobody has to.
const WAITS: &str = "collapse_wait = \"60s\"";

/// So many streams on each connection.
const STREAMS: usize = 50;

/// Opens `count` requests over HTTP/2, without waiting for their answers.
fn crowd(proxy: &Proxy, count: usize, path: &str) -> Vec<(h2::Client, Vec<u32>)> {
    (0..count / STREAMS)
        .map(|_| {
            let mut client = h2::Client::connect(proxy.address());
            let streams = (0..STREAMS)
                .map(|_| client.open(&Head::get(path)))
                .collect();
            (client, streams)
        })
        .collect()
}

fn send(proxy: &Proxy, path: &str) -> Client {
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", path, &[], "");
    client
}

#[test]
fn a_thousand_clients_are_one_request() {
    for workers in ["workers = 1", "workers = 2"] {
        let go = [Event::new(), Event::new()];
        let gates = go.clone();
        let origin = Origin::start(move |request| {
            let round = usize::from(request.header("if-none-match").is_some());
            let line = ["no-cache", "max-age=3600"][round];
            let answer = Reply::ok(["first", "second"][round])
                .header("ETag", "\"one\"")
                .header("Cache-Control", line);
            Reply::wait_for(&gates[round]).then(answer)
        });
        let proxy = keeping_with(&origin, workers, WAITS);
        // Once with nothing held, once with what has gone stale.
        for (round, text) in ["first", "second"].into_iter().enumerate() {
            let mut crowd = crowd(&proxy, 1000, "/a");
            // Every request has been read when the ping behind it is answered.
            for (client, _) in &mut crowd {
                client.expect_alive();
            }
            go[round].fire();
            for (client, streams) in &mut crowd {
                for stream in std::mem::take(streams) {
                    assert_eq!(client.answer(stream).text(), text);
                }
            }
            assert_eq!(origin.requests().len(), round + 1, "{workers}");
        }
        let held = ask(&proxy, "/a", &[]);
        assert!(is_hit(&held), "{}", did(&held));
    }
}

#[test]
fn those_who_wait_read_along_while_it_arrives() {
    let whole = Event::new();
    let go = whole.clone();
    let body = pattern(100_000);
    let (first, second) = (body[..50_000].to_vec(), body[50_000..].to_vec());
    let origin = Origin::start(move |request| {
        let head = Reply::head(200).header(FRESH.0, FRESH.1);
        if request.path() == "/chunks" {
            return (head.chunked::<&[u8]>(&[]))
                .then(Reply::chunk(&first))
                .then(Reply::wait_for(&go))
                .then(Reply::chunk(&second))
                .then(Reply::last_chunk());
        }
        head.length(100_000)
            .then(Reply::bytes(&first))
            .then(Reply::wait_for(&go))
            .then(Reply::bytes(&second))
    });
    let proxy = keeping_with(&origin, "workers = 2", WAITS);
    let mut clients: Vec<_> = (0..20).map(|_| send(&proxy, "/length")).collect();
    for client in &mut clients {
        assert_eq!(client.read_head().header("content-length"), Some("100000"));
        assert!(client.read_bytes(50_000) == body[..50_000]);
    }
    let mut chunks: Vec<_> = (0..5)
        .map(|_| {
            let mut client = h2::Client::connect(proxy.address());
            let stream = client.open(&Head::get("/chunks"));
            client.read_body(stream, 50_000);
            (client, stream)
        })
        .collect();
    // Who comes now gets what there is.
    let mut late = send(&proxy, "/length");
    assert!(did(&late.read_head()).contains("collapsed"));
    late.read_bytes(50_000);
    clients.push(late);
    // A part that has arrived is given, whatever is still to come.
    let part = ask(&proxy, "/length", &[("Range", "bytes=100-199")]);
    assert_eq!((part.status, &part.body[..]), (206, &body[100..200]));
    whole.fire();
    for client in &mut clients {
        assert!(client.read_bytes(50_000) == body[50_000..]);
        // Its last byte is given a moment before it is held as a whole.
        let again = client.get("/length");
        assert!(is_hit(&again) || did(&again).contains("collapsed"));
    }
    for (client, stream) in &mut chunks {
        assert!(client.answer(*stream).body == body);
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn who_leaves_takes_nothing_from_the_others() {
    let go = Event::new();
    let gate = go.clone();
    let origin = Origin::start(move |_| {
        Reply::head(200)
            .header(FRESH.0, FRESH.1)
            .length(10)
            .then(Reply::bytes("01234"))
            .then(Reply::wait_for(&gate))
            .then(Reply::bytes("56789"))
    });
    let proxy = keeping_with(&origin, "", WAITS);
    let mut first = send(&proxy, "/a");
    first.read_head();
    first.read_bytes(5);
    let mut second = send(&proxy, "/a");
    second.read_head();
    second.read_bytes(5);
    first.reset();
    go.fire();
    assert_eq!(second.read_bytes(5), b"56789");
    assert!(is_hit(&ask(&proxy, "/a", &[])));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn what_everybody_has_left_is_held_all_the_same() {
    let go = Event::new();
    let gate = go.clone();
    let origin = Origin::start(move |_| {
        Reply::head(200)
            .header(FRESH.0, FRESH.1)
            .length(10)
            .then(Reply::bytes("01234"))
            .then(Reply::wait_for(&gate))
            .then(Reply::bytes("56789"))
    });
    let proxy = keeping_with(&origin, "", WAITS);
    let mut only = send(&proxy, "/a");
    only.read_head();
    only.reset();
    proxy.wait_for_access(|line| line.contains("/a"));
    go.fire();
    assert_eq!(ask(&proxy, "/a", &[]).text(), "0123456789");
    assert!(is_hit(&ask(&proxy, "/a", &[])));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn when_the_first_leaves_before_the_head_another_takes_over() {
    let go = Event::new();
    let gate = go.clone();
    let origin = Origin::start(move |_| {
        Reply::wait_for(&gate).then(Reply::ok("kept").header(FRESH.0, FRESH.1))
    });
    let proxy = keeping_with(&origin, "", WAITS);
    let first = send(&proxy, "/a");
    origin.wait_for_requests(1, SOON);
    let mut others: Vec<_> = (0..10).map(|_| send(&proxy, "/a")).collect();
    first.reset();
    origin.wait_for_requests(2, SOON);
    go.fire();
    for other in &mut others {
        assert_eq!(other.read_response().text(), "kept");
    }
    assert_eq!(origin.requests().len(), 2);
    assert!(is_hit(&ask(&proxy, "/a", &[])));
}

#[test]
fn an_answer_for_one_client_is_given_to_no_other() {
    let go = Event::new();
    let gate = go.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let (at, most) = (Arc::clone(&count), Event::new());
    let all = most.clone();
    // The first is held back until the others wait for it; then all of the others are held until
    // each has its own request: they do not stand in a line.
    let origin = Origin::start(move |_| {
        let number = at.fetch_add(1, Ordering::SeqCst);
        let answer = Reply::ok(number.to_string()).header("Cache-Control", "private");
        match number {
            0 => Reply::wait_for(&gate).then(answer),
            _ => Reply::wait_for(&all).then(answer),
        }
    });
    let proxy = keeping_with(&origin, "", WAITS);
    let mut clients = vec![send(&proxy, "/a")];
    origin.wait_for_requests(1, SOON);
    clients.extend((0..49).map(|_| send(&proxy, "/a")));
    go.fire();
    origin.wait_for_requests(50, SOON);
    most.fire();
    let mut texts: Vec<usize> = (clients.iter_mut())
        .map(|client| client.read_response().text().parse().unwrap())
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, (0..50).collect::<Vec<_>>());
}

#[test]
fn what_turns_out_to_be_for_keeping_is_kept_though_it_was_not_before() {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| {
        let line = match count.fetch_add(1, Ordering::SeqCst) {
            0 => "no-store",
            _ => "max-age=3600",
        };
        Reply::ok("text").header("Cache-Control", line)
    });
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    ask(&proxy, "/a", &[]);
    assert!(is_hit(&ask(&proxy, "/a", &[])));
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_slow_reader_holds_nobody() {
    let body = pattern(900_000);
    let text = body.clone();
    let origin = Origin::start(move |_| Reply::ok(&text).header(FRESH.0, FRESH.1));
    let proxy = keeping_with(&origin, "", WAITS);
    // It reads the head of it, and no more.
    let mut slow = Client::connect(proxy.address()).receive_buffer(4096);
    slow.send_request("GET", "/a", &[], "");
    slow.read_head();
    for _ in 0..5 {
        assert!(ask(&proxy, "/a", &[]).body == body);
    }
    assert!(is_hit(&ask(&proxy, "/a", &[])));
    assert!(slow.read_bytes(10_000) == body[..10_000]);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn waiting_is_bounded() {
    let go = Event::new();
    let gate = go.clone();
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| {
        let answer = Reply::ok("kept").header(FRESH.0, FRESH.1);
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::wait_for(&gate).then(answer),
            _ => answer,
        }
    });
    let proxy = keeping_with(&origin, "", "collapse_wait = \"50ms\"");
    let mut first = send(&proxy, "/a");
    origin.wait_for_requests(1, SOON);
    let second = ask(&proxy, "/a", &[]);
    assert_eq!(second.text(), "kept");
    go.fire();
    assert_eq!(first.read_response().text(), "kept");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn what_breaks_off_is_nobodys_whole_answer_and_is_not_held() {
    let half = || Reply::bytes("01234");
    let head = || Reply::head(200).header(FRESH.0, FRESH.1);
    let chunked = move || head().chunked::<&[u8]>(&[]).then(Reply::chunk("01234"));
    type Break = Arc<dyn Fn(&Event) -> Reply + Send + Sync>;
    let ways: [(&str, Break); 5] = [
        (
            "short",
            Arc::new(move |go| {
                head()
                    .length(10)
                    .then(half())
                    .then(Reply::wait_for(go))
                    .and_close()
            }),
        ),
        (
            "reset",
            Arc::new(move |go| {
                head()
                    .length(10)
                    .then(half())
                    .then(Reply::wait_for(go))
                    .and_reset()
            }),
        ),
        (
            "no last chunk",
            Arc::new(move |go| chunked().then(Reply::wait_for(go)).and_close()),
        ),
        (
            "chunks reset",
            Arc::new(move |go| chunked().then(Reply::wait_for(go)).and_reset()),
        ),
        (
            "a bad chunk",
            Arc::new(move |go| {
                chunked()
                    .then(Reply::wait_for(go))
                    .then(Reply::bytes("zz\r\n"))
            }),
        ),
    ];
    for (name, way) in ways {
        let go = Event::new();
        let gate = go.clone();
        let origin = Origin::start(move |request| match request.connection {
            0 => way(&gate),
            _ => Reply::ok("0123456789").header(FRESH.0, FRESH.1),
        });
        let proxy = crate::prelude::start(&crate::shelf::shelf_config(
            &origin,
            "",
            WAITS,
            "retry = false",
        ));
        let mut clients: Vec<_> = (0..3).map(|_| send(&proxy, "/a")).collect();
        let heads: Vec<_> = clients.iter_mut().map(Client::read_head).collect();
        go.fire();
        for (client, mut response) in clients.iter_mut().zip(heads) {
            client.read_body(&mut response);
            assert_eq!(response.end, End::Cut, "{name}");
        }
        let again = ask(&proxy, "/a", &[]);
        assert_eq!(again.text(), "0123456789", "{name}");
        assert!(!is_hit(&again), "{name}");
        assert!(is_hit(&ask(&proxy, "/a", &[])), "{name}");
    }
}

#[test]
fn who_waits_gets_what_he_asked_for_and_not_what_his_neighbour_did() {
    for line in ["max-age=3600", "no-cache", "private"] {
        let go = Event::new();
        let gate = go.clone();
        let origin = Origin::start(move |request| {
            let answer = Reply::ok(&request.target)
                .header("ETag", "\"one\"")
                .header("Cache-Control", line);
            Reply::wait_for(&gate).then(answer)
        });
        let proxy = keeping_with(&origin, "workers = 1", WAITS);
        let mut client = h2::Client::connect(proxy.address());
        let targets: Vec<_> = (0..90).map(|n| format!("/{}", n % 9)).collect();
        let streams: Vec<_> = (targets.iter())
            .map(|target| client.open(&Head::get(target)))
            .collect();
        origin.wait_for_requests(9, SOON);
        client.expect_alive();
        go.fire();
        for (stream, target) in streams.into_iter().zip(&targets) {
            assert_eq!(&client.answer(stream).text(), target, "{line}");
        }
        let asked = if line == "private" { 90 } else { 9 };
        assert_eq!(origin.requests().len(), asked, "{line}");
    }
}

#[test]
fn a_fault_before_the_head_lets_the_others_ask_for_themselves() {
    let go = Event::new();
    let gate = go.clone();
    let origin = Origin::start(move |request| match request.connection {
        0 => Reply::wait_for(&gate)
            .then(Reply::bytes("garbage\r\n\r\n"))
            .and_close(),
        _ => Reply::ok("kept").header(FRESH.0, FRESH.1),
    });
    let proxy = crate::prelude::start(&crate::shelf::shelf_config(
        &origin,
        "",
        WAITS,
        "retry = false",
    ));
    let mut first = send(&proxy, "/a");
    origin.wait_for_requests(1, SOON);
    let mut others: Vec<_> = (0..10).map(|_| send(&proxy, "/a")).collect();
    go.fire();
    assert_eq!(first.read_response().status, 502);
    for other in &mut others {
        assert_eq!(other.read_response().text(), "kept");
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn what_never_ends_passes_through() {
    const EACH: usize = 1 << 20;
    let stop = Event::new();
    let enough = stop.clone();
    let piece = pattern(EACH);
    let origin = Origin::builder().forget_bodies().start(move |_| {
        let mut reply = Reply::head(200)
            .header(FRESH.0, FRESH.1)
            .chunked::<&[u8]>(&[]);
        for _ in 0..48 {
            reply = reply.then(Reply::chunk(&piece));
        }
        reply
            .then(Reply::wait_for(&enough))
            .then(Reply::last_chunk())
    });
    let proxy = keeping_with(&origin, "", WAITS);
    let before = proxy.rss_bytes();
    let mut client = h2::Client::connect(proxy.address());
    client.forget_bodies();
    let stream = client.open(&Head::get("/a"));
    client.read_body(stream, 48 * EACH as u64);
    // The store is of 16 MiB, and one object of a sixteenth of that.
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown}");
    stop.fire();
    assert!(client.answer(stream).is_complete);
    let stream = client.open(&Head::get("/a"));
    let again = client.head(stream);
    let did = again.header("cache-status").unwrap();
    assert!(!did.starts_with("croupier; hit"), "{did}");
    assert_eq!(origin.wait_for_heads(2, SOON).len(), 2);
}

/// An origin whose first answer comes in two halves, the second when it is told to; and the client
/// that has the first.
struct Halfway {
    origin: Origin,
    go: Event,
}

impl Halfway {
    fn start() -> Self {
        let go = Event::new();
        let gate = go.clone();
        let count = AtomicUsize::new(0);
        let origin = Origin::start(move |request| {
            let fresh = |reply: Reply| {
                reply
                    .header("Cache-Control", "max-age=3600")
                    .header("Vary", "Accept-Language")
            };
            if request.method == "POST" {
                return Reply::empty(204);
            }
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                let login = request.header("authorization").unwrap_or("nobody");
                return fresh(Reply::ok(format!("new, for {login}")));
            }
            fresh(Reply::head(200))
                .length(10)
                .then(Reply::bytes("01234"))
                .then(Reply::wait_for(&gate))
                .then(Reply::bytes("56789"))
        });
        Self { origin, go }
    }

    /// The first client, and the rest of its answer after `meanwhile`.
    #[track_caller]
    fn and(&self, proxy: &Proxy, meanwhile: impl FnOnce()) {
        let mut first = send(proxy, "/a");
        first.read_head();
        first.read_bytes(5);
        meanwhile();
        self.go.fire();
        assert_eq!(first.read_bytes(5), b"56789");
    }
}

#[test]
fn who_wants_another_variant_waits_for_none_that_is_arriving() {
    let halfway = Halfway::start();
    let proxy = keeping_with(&halfway.origin, "", WAITS);
    let german = [("Accept-Language", "de")];
    halfway.and(&proxy, || {
        assert_eq!(ask(&proxy, "/a", &german).text(), "new, for nobody");
    });
    assert!(is_hit(&ask(&proxy, "/a", &german)));
    assert_eq!(ask(&proxy, "/a", &[]).text(), "0123456789");
}

#[test]
fn who_is_logged_in_does_not_read_along() {
    let halfway = Halfway::start();
    let proxy = keeping_with(&halfway.origin, "", WAITS);
    halfway.and(&proxy, || {
        let own = ask(&proxy, "/a", &[("Authorization", "alice")]);
        assert_eq!(own.text(), "new, for alice");
    });
    assert_eq!(ask(&proxy, "/a", &[]).text(), "0123456789");
}

#[test]
fn what_is_changed_while_it_arrives_is_not_held() {
    for method in ["POST", "PURGE"] {
        let halfway = Halfway::start();
        let purge = format!("{WAITS}, purge_from = [\"127.0.0.1\"]");
        let proxy = keeping_with(&halfway.origin, "", &purge);
        halfway.and(&proxy, || {
            let mut other = Client::connect(proxy.address());
            assert!(other.request(method, "/a", &[], "").status < 300);
        });
        assert_eq!(ask(&proxy, "/a", &[]).text(), "new, for nobody", "{method}");
    }
}
