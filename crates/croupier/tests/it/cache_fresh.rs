//! What is held is given again: whole, in part, as the word that nothing has changed; and what has
//! gone stale, or was changed, is asked for again (RFC 9111).

use croupier_testkit::h2::{self, Head};
use croupier_testkit::wire::pattern;
use croupier_testkit::{End, Proxy, Request};

use crate::{
    prelude::{Client, Origin, Reply},
    shelf::{ask, did, is_hit, keeping, keeping_with},
};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Answers that are fresh for an hour, numbered.
fn numbered() -> Origin {
    Origin::start(|request| {
        Reply::ok(format!("{} {}", request.target, request.number))
            .header("Cache-Control", "max-age=3600")
    })
}

/// A thousand bytes with both validators.
fn tagged(_: &Request) -> Reply {
    Reply::ok(pattern(1000))
        .header("Cache-Control", "max-age=3600")
        .header("Content-Type", "text/plain")
        .header("ETag", "\"one\"")
        .header("Last-Modified", DATE)
}

#[test]
fn the_second_request_is_answered_without_the_origin() {
    let origin = Origin::start(|_| {
        Reply::ok("kept")
            .header("Cache-Control", "max-age=3600")
            .header("Age", "7")
            .header("X-Of-Origin", "yes")
            .header("Date", DATE)
    });
    let proxy = keeping(&origin);
    let first = ask(&proxy, "/a", &[]);
    assert_eq!(
        did(&first).split(';').nth(1),
        Some(" fwd=uri-miss"),
        "{}",
        did(&first)
    );
    assert!(did(&first).contains("; stored"), "{}", did(&first));
    let second = ask(&proxy, "/a", &[]);
    assert!(is_hit(&second), "{}", did(&second));
    assert!(did(&second).contains("ttl=35"), "{}", did(&second));
    assert_eq!(second.text(), "kept");
    assert_eq!(second.header("x-of-origin"), Some("yes"));
    assert_eq!(second.header("content-length"), Some("4"));
    assert_eq!(second.headers.all("date"), [DATE]);
    let age: u32 = second.header("age").unwrap().parse().unwrap();
    assert!((7..60).contains(&age), "{age}");
    assert_eq!(second.headers.all("age").len(), 1);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn both_versions_share_what_is_held() {
    let origin = Origin::start(tagged);
    let proxy = keeping(&origin);
    let body = pattern(1000);
    let mut two = h2::Client::connect(proxy.address());
    assert_eq!(two.get("/a").body, body);
    let mut one = Client::connect(proxy.address());
    assert_eq!(one.get("/a").body, body);
    for _ in 0..3 {
        let again = two.get("/a");
        assert_eq!((again.status, &again.body), (200, &body));
        assert!(
            again
                .header("cache-status")
                .unwrap()
                .starts_with("croupier; hit")
        );
    }
    let head = two.request(&Head::new("HEAD", "/a"), "");
    assert_eq!(head.header("content-length"), Some("1000"));
    assert!(head.body.is_empty());
    let part = two.request(&Head::get("/a").field("range", "bytes=10-19"), "");
    assert_eq!((part.status, &part.body[..]), (206, &body[10..20]));
    assert_eq!(part.header("content-range"), Some("bytes 10-19/1000"));
    let parts = two.request(&Head::get("/a").field("range", "bytes=0-1,5-6"), "");
    assert_eq!(parts.status, 206);
    assert_eq!(
        parts.header("content-length"),
        Some(&*parts.body.len().to_string())
    );
    let none = two.request(&Head::get("/a").field("range", "bytes=5000-"), "");
    assert_eq!((none.status, none.body.len()), (416, 0));
    let same = two.request(&Head::get("/a").field("if-none-match", "\"one\""), "");
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), Some("\"one\""));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn head_is_answered_from_a_held_get_and_fills_nothing_itself() {
    let origin = numbered();
    let proxy = keeping(&origin);
    let mut client = Client::connect(proxy.address());
    client.request("HEAD", "/a", &[], "");
    assert_eq!(client.get("/a").text(), "/a 1");
    let head = client.request("HEAD", "/a", &[], "");
    assert!(is_hit(&head), "{}", did(&head));
    assert_eq!(head.header("content-length"), Some("4"));
    assert_eq!(client.get("/a").text(), "/a 1");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_client_that_has_it_is_told_so() {
    let origin = Origin::start(tagged);
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    let mut client = Client::connect(proxy.address());
    for (name, value, status) in [
        ("If-None-Match", "\"one\"", 304),
        ("If-None-Match", "W/\"one\"", 304),
        ("If-None-Match", "\"zero\", \"one\"", 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "\"two\"", 200),
        ("If-Modified-Since", DATE, 304),
        ("If-Modified-Since", "Sat, 05 Nov 1994 08:49:37 GMT", 200),
        ("If-Modified-Since", "yesterday", 200),
    ] {
        let response = client.request("GET", "/a", &[(name, value)], "");
        assert_eq!(response.status, status, "{name}: {value}");
        assert!(is_hit(&response), "{name}: {value}: {}", did(&response));
        if status == 304 {
            assert_eq!(response.header("etag"), Some("\"one\""));
            assert_eq!(response.header("cache-control"), Some("max-age=3600"));
            assert!(response.headers.has("date") && response.headers.has("age"));
            assert!(!response.headers.has("content-length"), "{response:?}");
            assert!(!response.headers.has("content-type"), "{response:?}");
        }
    }
    // The tag counts, whatever the date says.
    let both = [("If-None-Match", "\"two\""), ("If-Modified-Since", DATE)];
    assert_eq!(client.request("GET", "/a", &both, "").status, 200);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_miss_asks_for_all_of_it_whatever_the_client_has() {
    let origin = Origin::start(tagged);
    let proxy = keeping(&origin);
    let same = ask(&proxy, "/a", &[("If-None-Match", "\"one\"")]);
    assert_eq!(same.status, 304, "{same:?}");
    let requests = origin.requests();
    assert_eq!(requests[0].header("if-none-match"), None);
    let whole = ask(&proxy, "/a", &[]);
    assert!(is_hit(&whole) && whole.body.len() == 1000);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn parts_are_cut_from_what_is_held() {
    let origin = Origin::start(tagged);
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    let body = pattern(1000);
    let mut client = Client::connect(proxy.address());
    for (range, status, first, end) in [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=0-", 206, 0, 1000),
        ("bytes=-1", 206, 999, 1000),
        ("bytes=990-5000", 206, 990, 1000),
        ("bytes=-5000", 206, 0, 1000),
        ("bytes=5-4", 200, 0, 1000),
        ("lines=0-1", 200, 0, 1000),
        ("bytes=1000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ] {
        let response = client.request("GET", "/a", &[("Range", range)], "");
        assert_eq!(response.status, status, "{range}");
        assert_eq!(response.body, body[first..end], "{range}");
        let told = match status {
            206 => Some(format!("bytes {first}-{}/1000", end - 1)),
            416 => Some("bytes */1000".to_owned()),
            _ => None,
        };
        assert_eq!(response.header("content-range"), told.as_deref(), "{range}");
    }
    for (condition, status) in [
        ("\"one\"", 206),
        ("W/\"one\"", 200),
        ("\"two\"", 200),
        (DATE, 206),
    ] {
        let headers = [("Range", "bytes=0-9"), ("If-Range", condition)];
        let response = client.request("GET", "/a", &headers, "");
        assert_eq!(response.status, status, "{condition}");
    }
    let head = client.request("HEAD", "/a", &[("Range", "bytes=0-9")], "");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("1000"))
    );
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn several_parts_come_in_one_answer() {
    let origin = Origin::start(tagged);
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    let response = ask(&proxy, "/a", &[("Range", "bytes=0-1,10-12,-2")]);
    assert_eq!(response.status, 206);
    let of = response.header("content-type").unwrap().to_owned();
    let boundary = of.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let boundary = boundary.trim_matches('"');
    let body = pattern(1000);
    let mut expected = Vec::new();
    for (first, end) in [(0, 2), (10, 13), (998, 1000)] {
        expected.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {first}-{}/1000\r\n\r\n",
                end - 1
            )
            .as_bytes(),
        );
        expected.extend_from_slice(&body[first..end]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    assert_eq!(
        lower(&response.body).trim_start(),
        lower(&expected).trim_start()
    );
    assert!(!response.headers.has("content-range"));
}

#[test]
fn what_has_gone_stale_is_asked_about_and_its_fields_are_renewed() {
    let origin = Origin::start(|request| {
        if request.header("if-none-match") == Some("\"one\"") {
            return Reply::empty(304)
                .header("ETag", "\"one\"")
                .header("Cache-Control", "max-age=3600")
                .header("X-Version", "second");
        }
        Reply::ok("kept")
            .header("ETag", "\"one\"")
            .header("Last-Modified", DATE)
            .header("Cache-Control", "max-age=60")
            .header("Age", "100")
            .header("X-Version", "first")
    });
    let proxy = keeping(&origin);
    assert_eq!(ask(&proxy, "/a", &[]).header("x-version"), Some("first"));
    let second = ask(&proxy, "/a", &[]);
    assert_eq!((second.status, second.text()), (200, "kept".into()));
    assert_eq!(second.header("x-version"), Some("second"));
    assert!(did(&second).contains("fwd=stale"), "{}", did(&second));
    assert!(did(&second).contains("fwd-status=304"), "{}", did(&second));
    let third = ask(&proxy, "/a", &[]);
    assert!(is_hit(&third), "{}", did(&third));
    assert_eq!(third.headers.all("x-version"), ["second"]);
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("if-modified-since"), Some(DATE));
}

#[test]
fn a_new_answer_takes_the_place_of_a_stale_one() {
    let origin = Origin::start(|request| {
        let number = request.header("if-none-match").map_or(1, |_| 2);
        Reply::ok(format!("answer {number}"))
            .header("ETag", &format!("\"{number}\""))
            .header(
                "Cache-Control",
                if number == 1 {
                    "no-cache"
                } else {
                    "max-age=3600"
                },
            )
    });
    let proxy = keeping(&origin);
    let texts: Vec<_> = (0..3).map(|_| ask(&proxy, "/a", &[]).text()).collect();
    assert_eq!(texts, ["answer 1", "answer 2", "answer 2"]);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn variants_are_kept_side_by_side() {
    let origin = Origin::start(|request| {
        let language = request.header("accept-language").unwrap_or("none");
        Reply::ok(language)
            .header("Cache-Control", "max-age=3600")
            .header("Vary", "Accept-Language")
    });
    let proxy = keeping(&origin);
    for _ in 0..3 {
        for language in ["de", "en", "fr"] {
            let response = ask(&proxy, "/a", &[("Accept-Language", language)]);
            assert_eq!(response.text(), language);
        }
        assert_eq!(ask(&proxy, "/a", &[]).text(), "none");
    }
    assert_eq!(origin.requests().len(), 4);
}

#[test]
fn what_varies_on_everything_is_never_given_again() {
    let origin = Origin::start(|request| {
        Reply::ok(request.number.to_string())
            .header("Cache-Control", "max-age=3600")
            .header("Vary", "*")
    });
    let proxy = keeping(&origin);
    for _ in 0..3 {
        assert!(!is_hit(&ask(&proxy, "/a", &[])));
    }
    assert_eq!(origin.requests().len(), 3);
}

fn changed(proxy: &Proxy, method: &str, target: &str) {
    let mut client = Client::connect(proxy.address());
    let response = client.request(method, target, &[], "x");
    assert!(response.status < 500, "{}", response.status);
}

#[test]
fn what_a_request_changes_is_asked_for_again() {
    let origin = Origin::start(|request| match &*request.method {
        "GET" => Reply::ok(&request.target).header("Cache-Control", "max-age=3600"),
        _ if request.path() == "/refused" => Reply::empty(403),
        _ => Reply::empty(201)
            .header("Location", "/new")
            .header("Content-Location", "http://elsewhere.test/other"),
    });
    let proxy = keeping(&origin);
    let gets = |origin: &Origin| {
        let requests = origin.requests();
        requests.iter().filter(|r| r.method == "GET").count()
    };
    let look = || {
        for path in ["/a", "/new", "/other", "/refused"] {
            assert_eq!(ask(&proxy, path, &[]).text(), path);
        }
    };
    look();
    assert_eq!(gets(&origin), 4);
    for (round, method) in ["POST", "PUT", "DELETE", "PATCH"].into_iter().enumerate() {
        changed(&proxy, method, "/a");
        look();
        // Itself and its `Location`; another host's content is not its to change.
        assert_eq!(gets(&origin), 4 + 2 * (round + 1), "{method}");
    }
    changed(&proxy, "POST", "/refused");
    look();
    assert_eq!(gets(&origin), 12, "an error has changed nothing");
}

#[test]
fn a_client_may_ask_for_the_word_of_the_origin_or_for_none_of_it() {
    let origin = numbered();
    let proxy = keeping(&origin);
    let only = [("Cache-Control", "only-if-cached")];
    let absent = ask(&proxy, "/a", &only);
    assert_eq!(absent.status, 504);
    assert!(origin.requests().is_empty());
    ask(&proxy, "/a", &[]);
    assert!(is_hit(&ask(&proxy, "/a", &only)));
    let anew = ask(&proxy, "/a", &[("Cache-Control", "no-cache")]);
    assert!(did(&anew).contains("fwd=request"), "{}", did(&anew));
    assert_eq!(origin.requests().len(), 2);
    // What it got is held from now on.
    assert_eq!(ask(&proxy, "/a", &[]).text(), anew.text());
    ask(&proxy, "/b", &[("Cache-Control", "no-store")]);
    assert!(!is_hit(&ask(&proxy, "/b", &[])));
    assert_eq!(origin.requests().len(), 4);
}

#[test]
fn what_must_not_be_kept_is_not() {
    for line in [
        "no-store",
        "private",
        "max-age=0, private",
        "max-age=3600, no-store",
        "PRIVATE=\"x\", max-age=3600, No-Store",
    ] {
        let origin = Origin::start(move |_| Reply::ok("for one").header("Cache-Control", line));
        let proxy = keeping(&origin);
        for _ in 0..3 {
            assert!(!is_hit(&ask(&proxy, "/a", &[])), "{line}");
        }
        assert_eq!(origin.requests().len(), 3, "{line}");
    }
}

#[test]
fn answers_of_every_framing_are_kept_whole() {
    let body = pattern(300_000);
    let text = body.clone();
    let origin = Origin::start(move |request| {
        let fresh = |reply: Reply| reply.header("Cache-Control", "max-age=3600");
        match request.path() {
            "/length" => fresh(Reply::ok(&text)),
            "/chunks" => fresh(Reply::empty(200).chunked(&text.chunks(7001).collect::<Vec<_>>())),
            "/close" => fresh(Reply::ok(&text).close_delimited()),
            "/none" => fresh(Reply::ok("")),
            _ => fresh(Reply::empty(404)),
        }
    });
    let proxy = keeping(&origin);
    for path in ["/length", "/chunks", "/close"] {
        for round in 0..3 {
            let response = ask(&proxy, path, &[]);
            assert_eq!(response.end, End::Complete);
            assert!(response.body == body, "{path} in round {round}");
        }
        let held = ask(&proxy, path, &[]);
        assert!(is_hit(&held), "{path}");
        assert_eq!(held.header("content-length"), Some("300000"), "{path}");
    }
    for (path, status) in [("/none", 200), ("/missing", 404)] {
        for _ in 0..3 {
            assert_eq!(ask(&proxy, path, &[]).status, status);
        }
    }
    assert_eq!(origin.requests().len(), 5);
}

#[test]
fn freshness_that_no_answer_states_comes_from_the_config() {
    let origin = Origin::start(|request| Reply::ok(request.number.to_string()));
    let proxy = keeping_with(&origin, "", "ttl = \"1h\"");
    ask(&proxy, "/a", &[]);
    assert!(is_hit(&ask(&proxy, "/a", &[])));
    let without = keeping(&origin);
    ask(&without, "/a", &[]);
    assert!(!is_hit(&ask(&without, "/a", &[])));
}
