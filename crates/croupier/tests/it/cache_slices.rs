//! Files that are too large for one object: slice by slice, each byte asked for once.

use croupier_testkit::{Request, h2, wire::difference};

use crate::cache_parts::Library;

/// The store's largest object is 1 MiB; slices are of 64 KiB.
const STORE: &str = "memory = \"16MiB\"\nslice = \"64KiB\"\n";
const SLICE: usize = 64 << 10;
const LENGTH: usize = (2 << 20) + 1234;

/// A large file whose head is known: it was asked for once.
fn known() -> Library {
    let library = Library::open(LENGTH, STORE);
    library.part("bytes=0-0");
    assert_eq!(library.asked(), ["bytes=0-0"]);
    library
}

#[test]
fn a_part_of_a_large_file_takes_no_more_than_its_slices() {
    let library = known();
    library.part("bytes=100000-100099");
    assert_eq!(library.asked()[1..], ["bytes=65536-131071"]);
    let asked = &library.requests()[1];
    assert_eq!(asked.headers.get("if-match"), Some("\"one\""));
    library.part("bytes=65536-131071");
    library.part("bytes=70000-70000");
    assert_eq!(library.asked().len(), 2, "it is held");
    library.part("bytes=130000-200000");
    assert_eq!(
        library.asked()[2..],
        ["bytes=131072-196607", "bytes=196608-262143"]
    );
    assert_eq!(library.sent(), 1 + 3 * SLICE);
    library.part("bytes=-100");
    assert_eq!(
        library.asked()[4..],
        [format!("bytes={}-{}", 2 << 20, LENGTH - 1)]
    );
}

#[test]
fn the_whole_of_a_large_file_comes_from_its_slices_and_each_is_asked_for_once() {
    let library = known();
    library.part("bytes=1000000-1000001");
    let whole = library.whole();
    let length = LENGTH.to_string();
    assert_eq!(whole.header("content-length"), Some(&*length));
    assert_eq!(library.sent(), 1 + LENGTH);
    let asked = library.asked().len();
    library.whole();
    library.part("bytes=5-1500000");
    assert_eq!(library.asked().len(), asked, "all of it is held");
}

#[test]
fn a_large_file_that_was_given_whole_is_held_slice_by_slice_from_then_on() {
    let library = Library::open(LENGTH, STORE);
    library.change(|file| file.fields.push(("Accept-Ranges".into(), "bytes".into())));
    library.whole();
    assert_eq!(library.asked(), ["all"]);
    library.part("bytes=10-20");
    assert_eq!(library.asked()[1..], ["bytes=0-65535"]);
    library.whole();
    library.whole();
    assert_eq!(library.sent(), 2 * LENGTH);
}

#[test]
fn a_head_of_a_large_file_is_known_without_its_slices() {
    let library = known();
    let head = library.ask("HEAD", &[]);
    let length = LENGTH.to_string();
    assert_eq!(head.header("content-length"), Some(&*length));
    assert_eq!(library.get(&[("If-None-Match", "\"one\"")]).status, 304);
    let behind = format!("bytes={LENGTH}-");
    assert_eq!(library.get(&[("Range", &behind)]).status, 416);
    assert_eq!(library.asked().len(), 1);
}

#[test]
fn a_file_that_changed_is_asked_for_anew_before_anything_is_promised() {
    let library = known();
    library.part("bytes=0-10");
    library.change(|file| {
        file.etag = "\"two\"".into();
        file.bytes.reverse();
    });
    // The first slice of this one is not held: the origin says that there is another file.
    library.part("bytes=500000-500010");
    library.part("bytes=0-10");
    library.whole();
}

#[test]
fn slices_of_two_files_are_never_mixed_in_one_answer() {
    let library = known();
    library.part("bytes=0-10");
    let old = library.file.lock().unwrap().bytes.clone();
    library.change(|file| {
        file.etag = "\"two\"".into();
        file.bytes.reverse();
    });
    // The first slice is held, the second one is another file's.
    let mut client = croupier_testkit::Client::connect(library.proxy.address());
    client.send("GET /file HTTP/1.1\r\nHost: files.example.com\r\nRange: bytes=0-200000\r\n\r\n");
    let mut cut = client.read_head();
    assert_eq!(cut.status, 206);
    let bytes = client.read_until_close();
    cut.body.extend_from_slice(&bytes);
    assert!(
        bytes.len() <= SLICE && old.starts_with(&bytes),
        "{}",
        bytes.len()
    );
    library.part("bytes=0-200000");
}

#[test]
fn a_stale_large_file_is_asked_about_and_its_slices_stay() {
    let library = Library::open(LENGTH, STORE);
    library.change(|file| file.fields = vec![("Cache-Control".into(), "no-cache".into())]);
    library.part("bytes=0-0");
    library.part("bytes=0-10");
    let sent = library.sent();
    library.part("bytes=20-30");
    let asks = |request: &&Request| request.headers.get("if-none-match") == Some("\"one\"");
    assert_eq!(library.requests().iter().filter(asks).count(), 2);
    assert_eq!(library.sent(), sent, "it held still, and the slice is held");
    library.whole();
}

#[test]
fn an_origin_without_ranges_or_strong_validators_is_passed_on() {
    let library = Library::open(LENGTH, STORE);
    library.change(|file| file.knows_ranges = false);
    for round in 1..=2 {
        library.whole();
        assert_eq!(library.asked().len(), round);
    }
    let library = Library::open(LENGTH, STORE);
    library.change(|file| file.etag = "W/\"one\"".into());
    for round in 1..=2 {
        library.part("bytes=0-10");
        assert_eq!(library.asked().len(), round);
    }
}

#[test]
fn many_who_want_the_same_slices_ask_for_each_once() {
    let library = known();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| library.part("bytes=300000-600000"));
        }
    });
    let slices = 600_000 / SLICE - 300_000 / SLICE + 1;
    assert_eq!(library.asked().len(), 1 + slices);
}

#[test]
fn a_purge_takes_the_slices_with_it() {
    let library = known();
    library.part("bytes=0-10");
    let asked = library.asked().len();
    library.ask("DELETE", &[]);
    library.part("bytes=0-10");
    library.part("bytes=0-20");
    let now = library.asked();
    assert_eq!(now[asked + 1..], ["bytes=0-10", "bytes=0-65535"]);
}

#[test]
fn over_http2_what_is_held_goes_out_as_it_lies() {
    let library = known();
    library.whole();
    let small = Library::open(300_000, STORE);
    small.whole();
    for (library, asked) in [(&library, library.asked().len()), (&small, 1)] {
        let mut client = h2::Client::connect(library.proxy.address());
        let bytes = library.file.lock().unwrap().bytes.clone();
        let head = h2::Head::get("/file").with(":authority", "files.example.com");
        let answer = client.request(&head, "");
        assert_eq!(difference(&answer.body, &bytes), None);
        let part = client.request(&head.clone().field("range", "bytes=70000-299999"), "");
        assert_eq!(part.status, 206);
        assert_eq!(difference(&part.body, &bytes[70_000..300_000]), None);
        assert_eq!(library.asked().len(), asked);
    }
}
