//! Parts of files: what an origin is asked for, and what of it is asked only once.

use std::sync::{Arc, Mutex};

use croupier_testkit::{Client, Origin, Proxy, Reply, Request, Response};

use crate::prelude::{config_with, start};

/// An origin with one file that knows ranges, validators and what it was asked.
pub(crate) struct Library {
    pub(crate) proxy: Proxy,
    pub(crate) file: Arc<Mutex<File>>,
    origin: Origin,
}

/// A file as it is now.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: String,
    /// Besides `ETag`.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) knows_ranges: bool,
    /// Bytes of bodies that were sent.
    pub(crate) sent: usize,
}

impl File {
    fn answer(&mut self, request: &Request) -> Reply {
        let length = self.bytes.len();
        let describe = |reply: Reply| {
            let reply = reply.header("ETag", &self.etag);
            let add = |reply: Reply, (name, value): &(String, String)| reply.header(name, value);
            self.fields.iter().fold(reply, add)
        };
        let header = |name: &str| request.headers.get(name);
        if header("if-none-match") == Some(&*self.etag) {
            return describe(Reply::empty(304));
        }
        if header("if-match").is_some_and(|tag| tag != self.etag) {
            return Reply::empty(412);
        }
        let is_heard = header("if-range").is_none_or(|tag| tag == self.etag);
        let range = header("range").filter(|_| self.knows_ranges && is_heard);
        let reply = match range.map(|range| span(range, length)) {
            Some(Some((first, last))) => {
                let part = &self.bytes[first..=last];
                let range = format!("bytes {first}-{last}/{length}");
                self.sent += part.len();
                Reply::ok(part).status(206).header("Content-Range", &range)
            }
            Some(None) => Reply::empty(416),
            None if request.method == "HEAD" => Reply::head(200).length(length as u64),
            None => {
                self.sent += length;
                Reply::ok(&self.bytes)
            }
        };
        describe(reply)
    }
}

/// First and last byte of a single range.
fn span(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => Some((first, last.min(end))),
        (Ok(first), Err(_)) => Some((first, end)),
        (Err(_), Ok(count)) => Some((length.saturating_sub(count), end)),
        _ => None,
    }
    .filter(|(first, _)| *first <= end)
}

impl Library {
    /// A file of this many bytes before a proxy whose store has these lines.
    pub(crate) fn open(bytes: usize, store: &str) -> Self {
        let file = Arc::new(Mutex::new(File {
            bytes: (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect(),
            etag: "\"one\"".into(),
            fields: vec![("Cache-Control".into(), "max-age=3600".into())],
            knows_ranges: true,
            sent: 0,
        }));
        let of_origin = Arc::clone(&file);
        let origin = Origin::start(move |request| of_origin.lock().unwrap().answer(request));
        let site = format!(
            "proxy = \"{}\"\ncache = \"edge\"\n\n[cache.edge]\n{store}",
            origin.address()
        );
        let proxy = start(&config_with("workers = 1", &site));
        Self {
            proxy,
            file,
            origin,
        }
    }

    pub(crate) fn get(&self, fields: &[(&str, &str)]) -> Response {
        self.ask("GET", fields)
    }

    pub(crate) fn ask(&self, method: &str, fields: &[(&str, &str)]) -> Response {
        let mut client = Client::connect(self.proxy.address()).host("files.example.com");
        client.send_request(method, "/file", fields, "");
        client.read_response_to(method)
    }

    /// The part with these bytes, and that it is they.
    #[track_caller]
    pub(crate) fn part(&self, range: &str) -> Response {
        let response = self.get(&[("Range", range)]);
        let bytes = self.file.lock().unwrap().bytes.clone();
        let (first, last) = span(range, bytes.len()).unwrap();
        assert_eq!(response.status, 206, "{range}");
        let told = format!("bytes {first}-{last}/{}", bytes.len());
        assert_eq!(response.header("content-range"), Some(&*told), "{range}");
        assert!(response.body == bytes[first..=last], "{range}: other bytes");
        response
    }

    /// The whole, and that it is it.
    #[track_caller]
    pub(crate) fn whole(&self) -> Response {
        let response = self.get(&[]);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-range"), None);
        let bytes = self.file.lock().unwrap().bytes.clone();
        assert!(response.body == bytes, "other bytes");
        response
    }

    /// What the origin was asked, in a word each: its `Range`, or `all`.
    pub(crate) fn asked(&self) -> Vec<String> {
        let requests = self.origin.requests();
        let word = |request: &Request| request.headers.get("range").unwrap_or("all").to_owned();
        requests.iter().map(word).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.origin.requests()
    }

    pub(crate) fn sent(&self) -> usize {
        self.file.lock().unwrap().sent
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut File)) {
        change(&mut self.file.lock().unwrap());
    }
}

fn small() -> Library {
    Library::open(1000, "memory = \"16MiB\"\n")
}

#[test]
fn a_part_is_asked_for_once_and_answers_what_lies_inside_it() {
    let library = small();
    library.part("bytes=100-199");
    for range in ["bytes=100-199", "bytes=120-130", "bytes=199-199"] {
        let part = library.part(range);
        assert!(part.header("age").is_some(), "{range}");
    }
    assert_eq!(library.asked(), ["bytes=100-199"]);
    let suffix = library.part("bytes=-50");
    assert_eq!(suffix.header("etag"), Some("\"one\""));
    library.part("bytes=-20");
    library.part("bytes=960-");
    assert_eq!(library.asked(), ["bytes=100-199", "bytes=-50"]);
    let none = library.get(&[("Range", "bytes=1000-")]);
    assert_eq!(none.status, 416);
    let same = library.get(&[("If-None-Match", "\"one\"")]);
    assert_eq!(same.status, 304);
    let head = library.ask("HEAD", &[]);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("1000"))
    );
    assert_eq!(library.asked().len(), 2);
}

#[test]
fn parts_that_adjoin_are_joined_up_to_the_whole() {
    let library = small();
    library.part("bytes=0-399");
    library.part("bytes=300-599");
    library.part("bytes=100-500");
    assert_eq!(library.asked().len(), 2);
    library.part("bytes=600-999");
    library.whole();
    library.part("bytes=10-990");
    assert_eq!(library.asked().len(), 3, "all parts make the whole");
}

#[test]
fn of_a_whole_whose_beginning_is_held_only_the_rest_is_asked_for() {
    let library = small();
    library.part("bytes=0-249");
    let whole = library.whole();
    assert_eq!(whole.header("cache-control"), Some("max-age=3600"));
    assert_eq!(library.asked(), ["bytes=0-249", "bytes=250-"]);
    let rest = &library.requests()[1];
    assert_eq!(rest.headers.get("if-range"), Some("\"one\""));
    assert_eq!(library.sent(), 1000);
    library.whole();
    assert_eq!(library.asked().len(), 2);
}

#[test]
fn the_rest_of_something_else_is_never_put_behind_the_beginning() {
    let library = small();
    library.part("bytes=0-249");
    library.change(|file| {
        file.etag = "\"two\"".into();
        file.bytes.reverse();
    });
    library.whole();
    assert_eq!(library.asked(), ["bytes=0-249", "bytes=250-"]);
    library.whole();
    library.part("bytes=0-99");
    assert_eq!(library.asked().len(), 2, "the new one is held");
}

#[test]
fn an_origin_that_ignores_if_range_is_asked_for_all() {
    let origin = Origin::start(|request| {
        let is_first = request.headers.get("range") == Some("bytes=0-3");
        let (etag, part) = if is_first {
            ("\"a\"", "0123")
        } else {
            ("\"b\"", "efghij")
        };
        match request.headers.get("range") {
            Some(_) => {
                let range = if is_first {
                    "bytes 0-3/10"
                } else {
                    "bytes 4-9/10"
                };
                Reply::ok(part).status(206).header("Content-Range", range)
            }
            None => Reply::ok("abcdefghij"),
        }
        .header("ETag", etag)
        .header("Cache-Control", "max-age=3600")
    });
    let site = format!(
        "proxy = \"{}\"\ncache = \"edge\"\n\n[cache.edge]\nmemory = \"16MiB\"\n",
        origin.address()
    );
    let proxy = start(&config_with("", &site));
    let mut client = Client::connect(proxy.address());
    let first = client.request("GET", "/", &[("Range", "bytes=0-3")], "");
    assert_eq!(first.text(), "0123");
    assert_eq!(client.get("/").text(), "abcdefghij");
    assert_eq!(client.get("/").text(), "abcdefghij");
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn a_part_that_is_not_what_it_says_is_not_kept() {
    let library = small();
    for (range, body) in [
        ("bytes 4-9/10", "01234"),
        ("bytes 4-8/*", "01234"),
        ("x", "01234"),
    ] {
        let reply = Reply::ok(body)
            .status(206)
            .header("Content-Range", range)
            .header("Cache-Control", "max-age=3600");
        let origin = Origin::start(move |_| reply.clone());
        let site = format!(
            "proxy = \"{}\"\ncache = \"edge\"\n\n[cache.edge]\nmemory = \"16MiB\"\n",
            origin.address()
        );
        let proxy = start(&config_with("", &site));
        let mut client = Client::connect(proxy.address());
        for round in 1..=2 {
            let answer = client.request("GET", "/", &[("Range", "bytes=-5")], "");
            assert_eq!(
                (answer.status, answer.text()),
                (206, body.into()),
                "{range}"
            );
            assert_eq!(origin.requests().len(), round, "{range}");
        }
    }
    drop(library);
}

#[test]
fn a_stale_part_is_asked_about_before_it_is_given() {
    let library = small();
    library.change(|file| file.fields = vec![("Cache-Control".into(), "no-cache".into())]);
    library.part("bytes=0-99");
    library.part("bytes=10-19");
    let requests = library.requests();
    assert_eq!(requests[1].headers.get("if-none-match"), Some("\"one\""));
    library.part("bytes=20-29");
    assert_eq!(library.sent(), 100, "it held still");
    library.change(|file| {
        file.etag = "\"two\"".into();
        file.bytes.reverse();
    });
    library.part("bytes=10-19");
    library.part("bytes=12-15");
    assert_eq!(
        library.sent(),
        110,
        "a part of the new one came, and held still"
    );
}

#[test]
fn parts_with_weak_validators_are_kept_but_never_joined() {
    let library = small();
    library.change(|file| file.etag = "W/\"one\"".into());
    library.part("bytes=0-99");
    library.part("bytes=10-19");
    assert_eq!(library.asked().len(), 1);
    library.part("bytes=100-199");
    library.part("bytes=50-150");
    assert_eq!(library.asked().len(), 3);
    library.whole();
    assert_eq!(library.asked()[3], "all");
}
