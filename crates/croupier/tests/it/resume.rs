//! A download that its server breaks off goes on at another, byte for byte, or the client sees
//! the cut. Never a wrong byte.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use croupier_testkit::{
    Event, Request, wait_until,
    wire::{difference, pattern},
};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

const SIZE: usize = 300_000;
const TAG: &str = "\"v1\"";

/// The first of these servers is asked first, then the others in their order; nobody is put aside.
fn dealing_to(servers: &[&Origin], pool: &str) -> Proxy {
    let server = |(tier, server): (usize, &&Origin)| match tier {
        0 => format!("\"{}\"", server.address()),
        _ => format!("{{ address = \"{}\", backup = {tier} }}", server.address()),
    };
    let servers: Vec<_> = servers.iter().enumerate().map(server).collect();
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
         [pool.app]\nbalance = \"round-robin\"\neject = false\nservers = [{}]\n{pool}\n\
         [site.\"*\"]\npool = \"app\"\n",
        servers.join(", ")
    ))
}

/// The head of a whole answer of this length.
fn whole(length: usize) -> Reply {
    Reply::head(200)
        .length(length as u64)
        .header("ETag", TAG)
        .header("Accept-Ranges", "bytes")
        .header("X-From", "first")
}

/// Where a request wants the rest from; None when it wants all.
fn from(request: &Request) -> Option<usize> {
    let range = request.header("Range")?;
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

/// The head of the part from `at` on.
fn part(body: &[u8], at: usize) -> Reply {
    let (last, length) = (body.len() - 1, body.len());
    Reply::head(206)
        .length((length - at) as u64)
        .header("ETag", TAG)
        .header("Content-Range", &format!("bytes {at}-{last}/{length}"))
        .header("X-From", "second")
}

/// A server that gives what it is asked for, all of it or a part.
fn honest(body: Vec<u8>) -> Origin {
    Origin::start(move |request| match from(request) {
        Some(at) => part(&body, at).then(Reply::bytes(&body[at..])),
        None => whole(body.len()).then(Reply::bytes(&body)),
    })
}

/// A server that gives `bytes` of what it is asked for, and then does this.
fn breaking(body: Vec<u8>, bytes: usize, then: Reply) -> Origin {
    Origin::start(move |request| {
        let at = from(request).unwrap_or(0);
        let head = match from(request) {
            Some(at) => part(&body, at),
            None => whole(body.len()),
        };
        let end = (at + bytes).min(body.len());
        head.then(Reply::bytes(&body[at..end])).then(then.clone())
    })
}

/// One whole answer, as if nothing had happened.
#[track_caller]
fn is_unbroken(client: &mut Client, body: &[u8]) {
    let response = client.get("/file");
    assert_eq!(difference(&response.body, body), None);
    assert!(response.is_complete());
    assert_eq!(response.status, 200);
    assert_eq!(response.header("X-From"), Some("first"));
    assert_eq!(response.header("Content-Range"), None);
}

#[test]
fn a_download_that_is_cut_goes_on_elsewhere() {
    let body = pattern(SIZE);
    for (name, how) in [
        ("FIN", Reply::close()),
        ("RST", Reply::reset()),
        ("stall", Reply::stall()),
    ] {
        for bytes in [0, 1, 1000, 40_000, 150_000, SIZE - 1] {
            if name == "stall" && ![1000, 150_000].contains(&bytes) {
                continue;
            }
            let bad = breaking(body.clone(), bytes, how.clone());
            let good = honest(body.clone());
            let proxy = dealing_to(&[&bad, &good], "timeout = { response_body = \"300ms\" }");
            let mut client = Client::connect(proxy.address());
            is_unbroken(&mut client, &body);
            let rest = good.requests().remove(0);
            // A reset may destroy what was under way, so it may go on before where the first ended.
            assert!(from(&rest).is_some_and(|at| at <= bytes), "{name} {bytes}");
            assert_eq!(rest.header("If-Range"), Some(TAG));
            // The connection goes on as if nothing had happened.
            is_unbroken(&mut client, &body);
            proxy.wait_for_log(|line| line.contains("pool.resume") && line.contains("goes on"));
            let line = proxy.wait_for_access(|line| line.contains("\"retries\":1"));
            assert!(line.contains("\"status\":200"), "{line}");
            assert!(line.contains(&format!("\"bytes_out\":{SIZE}")), "{line}");
            assert!(!line.contains("\"fault\""), "{line}");
        }
    }
}

#[test]
fn a_request_that_says_it_has_no_body_has_none() {
    let body = pattern(SIZE);
    let bad = breaking(body.clone(), 100_000, Reply::reset());
    let good = honest(body.clone());
    let proxy = dealing_to(&[&bad, &good], "");
    let mut client = Client::connect(proxy.address());
    client.send("GET /file HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let response = client.read_response();
    assert_eq!(difference(&response.body, &body), None);
    assert!(response.is_complete());
}

#[test]
fn a_download_survives_several_cuts() {
    let body = pattern(SIZE);
    let origins: Vec<_> = (0..3)
        .map(|_| breaking(body.clone(), 70_000, Reply::close()))
        .collect();
    let servers: Vec<_> = origins.iter().collect();
    let proxy = dealing_to(&servers, "");
    is_unbroken(&mut Client::connect(proxy.address()), &body);
    let asked: usize = origins.iter().map(|origin| origin.requests().len()).sum();
    assert_eq!(asked, 5, "the first part and four more");
}

#[test]
fn servers_that_give_nothing_are_not_asked_for_ever() {
    let body = pattern(SIZE);
    let origins: Vec<_> = (0..3)
        .map(|_| breaking(body.clone(), 0, Reply::close()))
        .collect();
    let servers: Vec<_> = origins.iter().collect();
    let proxy = dealing_to(&servers, "");
    let response = {
        let mut client = Client::connect(proxy.address());
        client.send_request("GET", "/file", &[], "");
        client.read_response()
    };
    assert!(!response.is_complete());
    let asked: usize = origins.iter().map(|origin| origin.requests().len()).sum();
    assert!(asked <= 6, "{asked} attempts for one download");
}

/// The client must see the cut, and what it got must be the beginning of the body.
#[track_caller]
fn is_cut(proxy: &Proxy, method: &str, headers: &[(&str, &str)], payload: &str, body: &[u8]) {
    let mut client = Client::connect(proxy.address());
    client.send_request(method, "/file", headers, payload);
    let response = client.read_response();
    assert!(!response.is_complete(), "{method} {headers:?}");
    let got = response.body.len();
    assert_eq!(difference(&response.body, &body[..got]), None);
    proxy.wait_for_access(|line| line.contains("\"fault\":\"origin.body.truncated\""));
}

#[test]
fn a_sibling_that_has_something_else_is_not_used() {
    let body = pattern(SIZE);
    type Answer = fn(&[u8], usize) -> Reply;
    let cases: [(&str, Answer); 9] = [
        ("a weak tag", |body, at| {
            let (last, length) = (body.len() - 1, body.len());
            Reply::head(206)
                .length((length - at) as u64)
                .header("ETag", "W/\"v1\"")
                .header("Content-Range", &format!("bytes {at}-{last}/{length}"))
                .then(Reply::bytes(vec![b'!'; length - at]))
        }),
        ("a new tag", |body, at| {
            let (last, length) = (body.len() - 1, body.len());
            Reply::head(206)
                .length((length - at) as u64)
                .header("ETag", "\"v2\"")
                .header("Content-Range", &format!("bytes {at}-{last}/{length}"))
                .then(Reply::bytes(vec![b'!'; length - at]))
        }),
        ("no tag", |body, at| {
            let (last, length) = (body.len() - 1, body.len());
            Reply::head(206)
                .length((length - at) as u64)
                .header("Content-Range", &format!("bytes {at}-{last}/{length}"))
                .then(Reply::bytes(vec![b'!'; length - at]))
        }),
        ("the whole again", |body, _| {
            whole(body.len()).then(Reply::bytes(body))
        }),
        ("another range", |body, at| {
            part(body, at + 1).then(Reply::bytes(&body[at + 1..]))
        }),
        ("another length", |body, at| {
            let length = body.len() + 1;
            Reply::head(206)
                .length((length - at) as u64)
                .header("ETag", TAG)
                .header(
                    "Content-Range",
                    &format!("bytes {at}-{}/{length}", length - 1),
                )
                .then(Reply::bytes(vec![b'!'; length - at]))
        }),
        ("another coding", |body, at| {
            part(body, at)
                .header("Content-Encoding", "gzip")
                .then(Reply::bytes(vec![b'!'; body.len() - at]))
        }),
        ("not there", |_, _| Reply::ok("gone").status(404)),
        ("many parts", |body, at| {
            Reply::head(206)
                .length((body.len() - at) as u64)
                .header("ETag", TAG)
                .header("Content-Type", "multipart/byteranges; boundary=x")
                .then(Reply::bytes(vec![b'!'; body.len() - at]))
        }),
    ];
    for (name, answer) in cases {
        let bad = breaking(body.clone(), 50_000, Reply::close());
        let told = body.clone();
        let other = Origin::start(move |request| answer(&told, from(request).unwrap_or(0)));
        let proxy = dealing_to(&[&bad, &other], "");
        is_cut(&proxy, "GET", &[], "", &body);
        assert_eq!(other.requests().len(), 1, "{name}");
        // With a third one that has it, it goes on there.
        let good = honest(body.clone());
        let bad = breaking(body.clone(), 50_000, Reply::close());
        let proxy = dealing_to(&[&bad, &other, &good], "");
        is_unbroken(&mut Client::connect(proxy.address()), &body);
    }
}

#[test]
fn what_can_not_be_continued_is_cut() {
    let body = pattern(SIZE);
    let good = honest(body.clone());
    let asked = |good: &Origin| good.requests().len();
    // No promise in the first answer.
    let cut = |head: Reply| {
        let body = pattern(SIZE);
        Origin::start(move |_| {
            head.clone()
                .then(Reply::bytes(&body[..5000]))
                .then(Reply::close())
        })
    };
    let length = SIZE as u64;
    let heads = [
        Reply::head(200).length(length).header("ETag", TAG),
        Reply::head(200)
            .length(length)
            .header("Accept-Ranges", "bytes"),
        Reply::head(200)
            .length(length)
            .header("ETag", "W/\"v1\"")
            .header("Accept-Ranges", "bytes"),
        Reply::head(200)
            .length(length)
            .header("ETag", TAG)
            .header("Accept-Ranges", "none"),
        Reply::head(206)
            .length(length)
            .header("ETag", TAG)
            .header("Accept-Ranges", "bytes")
            .header("Content-Range", &format!("bytes 0-{}/{SIZE}", SIZE - 1)),
    ];
    for head in heads {
        let bad = cut(head.clone());
        let proxy = dealing_to(&[&bad, &good], "");
        is_cut(&proxy, "GET", &[], "", &body);
        assert_eq!(asked(&good), 0, "{head:?}");
    }
    // Requests that are not plain downloads.
    for (method, headers, payload) in [
        ("POST", &[][..], "x"),
        ("GET", &[("Range", "bytes=0-")][..], ""),
        ("GET", &[("Content-Length", "1")][..], "x"),
    ] {
        let bad = breaking(body.clone(), 5000, Reply::close());
        let proxy = dealing_to(&[&bad, &good], "");
        is_cut(&proxy, method, headers, payload, &body);
        assert_eq!(asked(&good), 0, "{method} {headers:?}");
    }
    let bad = breaking(body.clone(), 5000, Reply::close());
    for pool in ["resume = false", "retry = false"] {
        let proxy = dealing_to(&[&bad, &good], pool);
        is_cut(&proxy, "GET", &[], "", &body);
        assert_eq!(asked(&good), 0, "{pool}");
    }
    // Chunks have no length.
    let told = body.clone();
    let bad = Origin::start(move |_| {
        Reply::head(200)
            .chunked::<&[u8]>(&[])
            .header("ETag", TAG)
            .header("Accept-Ranges", "bytes")
            .then(Reply::chunk(&told[..5000]))
            .then(Reply::close())
    });
    let proxy = dealing_to(&[&bad, &good], "");
    is_cut(&proxy, "GET", &[], "", &body);
    assert_eq!(asked(&good), 0);
}

#[test]
fn a_large_download_goes_on_without_being_held_in_memory() {
    let body = Arc::new(pattern(24 << 20));
    let serve = |bytes: usize, how: Option<Reply>| {
        let body = Arc::clone(&body);
        Origin::start(move |request| {
            let at = from(request).unwrap_or(0);
            let head = match from(request) {
                Some(at) => part(&body, at),
                None => whole(body.len()),
            };
            let end = (at + bytes).min(body.len());
            let reply = head.then(Reply::bytes(&body[at..end]));
            match &how {
                Some(how) => reply.then(how.clone()),
                None => reply,
            }
        })
    };
    for how in [Reply::close(), Reply::reset()] {
        let bad = serve(10 << 20, Some(how.clone()));
        let good = serve(usize::MAX / 2, None);
        let proxy = dealing_to(&[&bad, &good], "");
        let before = proxy.rss_bytes();
        is_unbroken(&mut Client::connect(proxy.address()), &body);
        let grown = proxy.rss_bytes().saturating_sub(before);
        assert!(grown < 6 << 20, "{grown} bytes for one download");
        let at = from(&good.requests()[0]);
        assert!(at.is_some_and(|at| at > 0 && at <= 10 << 20), "{at:?}");
    }
}

#[test]
fn a_slow_reader_gets_every_byte_once_too() {
    let body = pattern(6 << 20);
    let bad = breaking(body.clone(), 3 << 20, Reply::close());
    let good = honest(body.clone());
    let proxy = dealing_to(&[&bad, &good], "");
    let mut client = Client::connect(proxy.address()).receive_buffer(16 << 10);
    client.send_request("GET", "/file", &[], "");
    // The first server is done long before the client begins to read.
    assert!(wait_until(SOON, || bad.requests().len() == 1));
    let response = client.read_response();
    assert_eq!(difference(&response.body, &body), None);
    assert!(response.is_complete());
}

#[test]
fn a_client_that_leaves_meanwhile_ends_it() {
    let body = pattern(SIZE);
    let bad = breaking(body, 50_000, Reply::close());
    let asked = Event::new();
    let told = asked.clone();
    let slow = Origin::start(move |_| Reply::fire(&told).then(Reply::stall()));
    let proxy = dealing_to(&[&bad, &slow], "");
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/file", &[], "");
    assert!(asked.wait(SOON));
    client.reset();
    let closed = wait_until(SOON, || slow.open_connections() == 0);
    assert!(closed, "the second server works for nobody");
    proxy.wait_for_access(|line| line.contains("/file"));
}

#[test]
fn continuing_pays_from_the_budget() {
    let body = pattern(SIZE);
    let bad = breaking(body.clone(), 50_000, Reply::close());
    let good = honest(body.clone());
    let proxy = dealing_to(
        &[&bad, &good],
        "retry = { budget = \"0%\", budget_floor = 0 }",
    );
    is_cut(&proxy, "GET", &[], "", &body);
    assert_eq!(good.requests().len(), 0);
}

#[test]
fn a_rolling_restart_breaks_no_download() {
    // The first server dies in the middle of several downloads at once.
    let body = Arc::new(pattern(2 << 20));
    let (go, begun) = (Event::new(), Arc::new(AtomicUsize::new(0)));
    let (told, count, bytes) = (go.clone(), Arc::clone(&begun), Arc::clone(&body));
    let first = Origin::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        whole(bytes.len())
            .then(Reply::bytes(&bytes[..1 << 20]))
            .then(Reply::wait_for(&told))
            .then(Reply::close())
    });
    let second = honest(body.to_vec());
    let proxy = dealing_to(&[&first, &second], "retry = { budget_floor = 16 }");
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (address, body) = (proxy.address(), Arc::clone(&body));
            std::thread::spawn(move || {
                let mut client = Client::connect(address).patience(Duration::from_secs(30));
                let response = client.get("/file");
                assert_eq!(difference(&response.body, &body), None);
                assert!(response.is_complete());
            })
        })
        .collect();
    assert!(wait_until(SOON, || begun.load(Ordering::SeqCst) == 16));
    first.stop();
    go.fire();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(
        metric(&proxy, "croupier_faults_total{fault=\"client.gone\"}"),
        0.0
    );
}
