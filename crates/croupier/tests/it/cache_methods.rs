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
