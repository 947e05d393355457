//! What answers to other methods than GET do to what is held.

use crate::{
    cache_parts::Library,
    prelude::{Client, Origin, Proxy, Reply, config_with, start},
};

fn before(origin: &Origin) -> Proxy {
    let site = format!(
        "proxy = \"{}\"\ncache = \"edge\"\n\n[cache.edge]\nmemory = \"16MiB\"\n",
        origin.address()
    );
    start(&config_with("workers = 1", &site))
}

fn held_but_asked_about() -> Library {
    let library = Library::open(1000, "memory = \"16MiB\"\n");
    library.whole();
    library
}

#[test]
fn an_answer_to_head_that_says_the_same_makes_what_is_held_fresh() {
    let library = held_but_asked_about();
    library.change(|file| file.fields.push(("X-Round".into(), "two".into())));
    let head = library.ask("HEAD", &[("Cache-Control", "no-cache")]);
    assert_eq!(head.status, 200);
    assert_eq!(library.requests().len(), 2);
    let whole = library.whole();
    assert_eq!(whole.header("x-round"), Some("two"));
    assert_eq!(library.requests().len(), 2, "it was not asked for again");
}

#[test]
fn an_answer_to_head_that_says_otherwise_makes_what_is_held_stale() {
    let library = held_but_asked_about();
    library.change(|file| {
        file.etag = "\"two\"".into();
        file.bytes.reverse();
    });
    library.ask("HEAD", &[("Cache-Control", "no-cache")]);
    library.whole();
    let requests = library.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].headers.get("if-none-match"), Some("\"one\""));
}

#[test]
fn an_answer_to_post_that_is_its_targets_own_is_kept_for_get() {
    let origin = Origin::start(|request| {
        let reply = Reply::ok(format!("answer to {} {}", request.method, request.target));
        let location = match &*request.target {
            "/elsewhere" => "/other",
            target => target,
        };
        reply
            .header("Content-Location", location)
            .header("Cache-Control", "max-age=3600")
    });
    let proxy = before(&origin);
    let mut client = Client::connect(proxy.address());
    for (target, is_kept) in [("/form?a=1", true), ("/elsewhere", false)] {
        let before = origin.requests().len();
        client.request("POST", target, &[], "a=b");
        let get = client.get(target).text();
        let method = if is_kept { "POST" } else { "GET" };
        assert_eq!(get, format!("answer to {method} {target}"));
        assert_eq!(
            origin.requests().len() - before,
            if is_kept { 1 } else { 2 }
        );
        // Another POST is asked all the same, and its answer takes the place of the first.
        let post = client.request("POST", target, &[], "a=c").text();
        assert_eq!(post, format!("answer to POST {target}"));
    }
    assert_eq!(origin.requests().len(), 5);
}

fn ask(client: &mut Client, kind: &str, content: impl AsRef<[u8]>) -> String {
    let answer = client.request("QUERY", "/search", &[("Content-Type", kind)], content);
    assert_eq!(answer.status, 200);
    answer.text()
}

/// Answers what it was asked, and how often it was asked before.
fn oracle() -> Origin {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Origin::start(move |request| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let asked = request.body.len();
        Reply::ok(format!("{number}: {asked} bytes")).header("Cache-Control", "max-age=3600")
    })
}

#[test]
fn a_query_is_asked_once_for_each_content() {
    let origin = oracle();
    let proxy = before(&origin);
    let mut client = Client::connect(proxy.address());
    for _ in 0..2 {
        assert_eq!(ask(&mut client, "text/plain", "a question"), "0: 10 bytes");
        assert_eq!(ask(&mut client, "text/plain", "another one"), "1: 11 bytes");
        assert_eq!(ask(&mut client, "text/sql", "a question"), "2: 10 bytes");
        assert_eq!(ask(&mut client, "text/plain", ""), "3: 0 bytes");
        assert_eq!(
            ask(&mut client, "text/plain", vec![b'x'; 65_536]),
            "4: 65536 bytes"
        );
    }
    assert_eq!(
        client.get("/search").text(),
        "5: 0 bytes",
        "GET asks something else"
    );
    let contents: Vec<_> = origin
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(contents[0], b"a question");
    assert!(
        contents
            .iter()
            .any(|content| *content == vec![b'x'; 65_536])
    );
}

#[test]
fn a_query_with_much_content_passes_by() {
    let origin = oracle();
    let proxy = before(&origin);
    let mut client = Client::connect(proxy.address());
    for round in 0..2 {
        let answer = ask(&mut client, "text/plain", vec![b'x'; 65_537]);
        assert_eq!(answer, format!("{round}: 65537 bytes"));
    }
}

#[test]
fn who_changes_a_target_changes_the_answers_to_all_questions() {
    let origin = oracle();
    let proxy = before(&origin);
    let mut client = Client::connect(proxy.address());
    ask(&mut client, "text/plain", "one");
    ask(&mut client, "text/plain", "two");
    client.request("POST", "/search", &[], "news");
    assert_eq!(ask(&mut client, "text/plain", "one"), "3: 3 bytes");
    assert_eq!(ask(&mut client, "text/plain", "two"), "4: 3 bytes");
    assert_eq!(ask(&mut client, "text/plain", "two"), "4: 3 bytes");
}

#[test]
fn many_who_put_one_question_ask_it_once() {
    let origin = oracle();
    let proxy = before(&origin);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::connect(proxy.address());
                assert_eq!(ask(&mut client, "text/plain", "one"), "0: 3 bytes");
            });
        }
    });
    assert_eq!(origin.requests().len(), 1);
}
