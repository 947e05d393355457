//! Answers before the answer: `100 Continue`, `103 Early Hints`, and who must never see them.

use croupier_testkit::Event;

use crate::prelude::{Client, Origin, Reply, SOON, in_front_of};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn a_body_is_asked_for_by_the_server_itself() {
    let may_go_on = Event::new();
    let told = may_go_on.clone();
    let origin = Origin::builder()
        .without_continue()
        .at_head(move |request| {
            (request.method == "POST").then(|| {
                Reply::wait_for(&told)
                    .then(Reply::interim(100))
                    .then(Reply::read_body())
                    .then(Reply::ok("thanks"))
            })
        })
        .start(|_| Reply::ok("next"));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let heads = origin.wait_for_heads(1, SOON);
    assert_eq!(heads[0].header("expect"), Some("100-continue"));
    client.expect_silence(std::time::Duration::from_millis(30));
    may_go_on.fire();
    assert_eq!(client.read_bytes(CONTINUE.len()), CONTINUE);
    client.send("body");
    let response = client.read_response_to("POST");
    assert_eq!((response.status, response.text().as_str()), (200, "thanks"));
    assert!(response.interim.is_empty());
    assert_eq!(origin.requests()[0].text(), "body");
    assert_eq!(client.get("/next").text(), "next");
}

#[test]
fn a_client_that_does_not_wait_for_the_100_is_served_all_the_same() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
    );
    let response = client.read_response_to("POST");
    assert_eq!(response.text(), "body");
    assert_eq!(client.get("/next").status, 200);
}

#[test]
fn a_final_answer_instead_of_the_100_ends_the_matter() {
    let origin = Origin::builder()
        .without_continue()
        .at_head(|request| (request.method == "POST").then(|| Reply::ok("no").status(403)))
        .start(|_| Reply::ok("smuggled"));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    let response = client.read_response_to("POST");
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    assert!(response.interim.is_empty());
    // Nobody can say whether the body will come now: the connection must not guess.
    assert!(response.says_close());
    client.expect_close(SOON);
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].complete);
}

#[test]
fn a_refusal_of_our_own_instead_of_the_100_closes_too() {
    let proxy = crate::prelude::start(&crate::prelude::config("deny = 403"));
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let response = client.read_response_to("POST");
    assert_eq!(response.status, 403);
    assert!(response.interim.is_empty() && response.says_close());
    client.expect_close(SOON);
}

#[test]
fn early_hints_arrive_before_the_answer_exists() {
    let answer = Event::new();
    let told = answer.clone();
    let origin = Origin::start(move |_| {
        Reply::interim(103)
            .header("Link", "</style.css>; rel=preload")
            .then(Reply::wait_for(&told))
            .then(Reply::interim(103).header("Link", "</more.css>"))
            .then(Reply::interim(199))
            .then(Reply::ok("page"))
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/", &[], "");
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    assert_eq!(client.read_bytes(hints.len()), hints);
    answer.fire();
    let response = client.read_response();
    let interim: Vec<_> = response.interim.iter().map(|i| i.status).collect();
    assert_eq!(interim, [103, 199]);
    assert_eq!(response.interim[0].headers.get("link"), Some("</more.css>"));
    assert_eq!(response.text(), "page");
    assert_eq!(client.get("/").text(), "page");
}

#[test]
fn hints_name_no_server_and_carry_nothing_of_a_connection() {
    let origin = Origin::start(|_| {
        Reply::interim(103)
            .header("Server", "inside/1.0")
            .header("Connection", "x-own")
            .header("X-Own", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Link", "</a>")
            .then(Reply::ok("x"))
    });
    let proxy = in_front_of(&origin);
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.interim[0].headers.names(), ["Link"]);
}

#[test]
fn an_answer_100_that_nobody_asked_for_stays_here() {
    let origin = Origin::start(|_| Reply::interim(100).then(Reply::ok("x")));
    let proxy = in_front_of(&origin);
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!((response.status, response.interim.len()), (200, 0));
}

#[test]
fn http_1_0_sees_no_interim_answer() {
    let origin = Origin::start(|_| {
        Reply::interim(100)
            .then(Reply::interim(103).header("Link", "</a>"))
            .then(Reply::ok("x"))
    });
    let proxy = in_front_of(&origin);
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = Client::connect(proxy.address());
        client.send(format!(
            "POST / HTTP/1.0\r\nHost: a\r\n{expect}Content-Length: 4\r\n\r\nbody"
        ));
        let response = client.read_response_to("POST");
        assert_eq!((response.status, response.interim.len()), (200, 0));
        assert_eq!(response.text(), "x");
    }
    // HTTP/1.0 knows no expectation, so none was passed on.
    assert!(origin.requests().iter().all(|r| !r.headers.has("expect")));
}

#[test]
fn interim_answers_without_end_are_the_servers_fault() {
    let origin = Origin::start(|_| {
        (0..40)
            .fold(Reply::interim(103), |reply, _| {
                reply.then(Reply::interim(103))
            })
            .then(Reply::ok("x"))
    });
    let proxy = in_front_of(&origin);
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.status, 502);
    assert!(response.text().contains("origin.interim"));
    assert_eq!(response.interim.len(), 32);
}
