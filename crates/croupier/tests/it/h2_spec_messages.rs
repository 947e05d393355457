//! RFC 9113 section 8 and RFC 7541: messages and their compression, as conformance suites ask it.

use croupier_testkit::h2::{Block, Frame, Head, hpack};

use crate::h2_spec::{COMPRESSION, Due, MALFORMED, block, open, play, say};

/// A whole request with this line behind the others.
fn with(name: &str, value: &str) -> Frame {
    Frame::headers(1, block().literal(name, value)).end_stream()
}

/// A whole request with this head.
fn asking(head: Head) -> Frame {
    Frame::headers(1, Block::new().lines(head.0)).end_stream()
}

fn get() -> Head {
    Head::get("/")
}

#[test]
fn section_8_1_exchanges() {
    play(&[
        ("GET", Due::Answer, |c| say(c, &[asking(get())])),
        ("HEAD", Due::Answer, |c| {
            c.opened(1, "HEAD");
            let _ = c.try_send(&asking(Head::new("HEAD", "/")));
        }),
        ("POST", Due::Answer, |c| {
            say(c, &[open(), Frame::data(1, "x").end_stream()])
        }),
        ("POST with trailers", Due::Answer, |c| {
            let trailers = Frame::headers(1, Block::new().literal("x-t", "1")).end_stream();
            say(c, &[open(), Frame::data(1, "x"), trailers]);
        }),
        ("a second head without the end", MALFORMED, |c| {
            let more = Frame::headers(1, Block::new().literal("x-t", "1"));
            say(
                c,
                &[
                    open(),
                    Frame::data(1, "x"),
                    more,
                    Frame::data(1, "y").end_stream(),
                ],
            );
        }),
        ("trailers in two heads", MALFORMED, |c| {
            let more = Frame::headers(1, Block::new().literal("x-t", "1"));
            say(c, &[open(), more.clone(), more.end_stream()]);
        }),
    ]);
}

#[test]
fn section_8_2_fields() {
    play(&[
        ("a capital in a name", MALFORMED, |c| {
            say(c, &[with("X-Test", "ok")])
        }),
        ("a capital in a pseudo-header", MALFORMED, |c| {
            say(c, &[with(":Path", "/")])
        }),
        ("a space in a name", MALFORMED, |c| {
            say(c, &[with("x test", "ok")])
        }),
        ("an empty name", MALFORMED, |c| say(c, &[with("", "ok")])),
        ("a line break in a value", MALFORMED, |c| {
            say(c, &[with("x", "a\r\nb: c")])
        }),
        ("a NUL in a value", MALFORMED, |c| {
            say(c, &[with("x", "a\0b")])
        }),
        // The library lets this one pass: our own answer is a 400.
        ("a space before a value", Due::Refusal, |c| {
            say(c, &[with("x", " a")])
        }),
        ("connection", MALFORMED, |c| {
            say(c, &[with("connection", "keep-alive")])
        }),
        ("keep-alive", MALFORMED, |c| {
            say(c, &[with("keep-alive", "timeout=5")])
        }),
        ("proxy-connection", MALFORMED, |c| {
            say(c, &[with("proxy-connection", "close")])
        }),
        ("transfer-encoding", MALFORMED, |c| {
            say(c, &[with("transfer-encoding", "chunked")])
        }),
        ("upgrade", MALFORMED, |c| {
            say(c, &[with("upgrade", "foo/2")])
        }),
        ("te with more than trailers", MALFORMED, |c| {
            say(c, &[with("te", "trailers, deflate")])
        }),
        ("te with trailers", Due::Answer, |c| {
            say(c, &[with("te", "trailers")])
        }),
    ]);
}

#[test]
fn section_8_3_pseudo_headers() {
    play(&[
        ("an unknown one", MALFORMED, |c| {
            say(c, &[asking(get().first(":test", "ok"))])
        }),
        ("one of an answer", MALFORMED, |c| {
            say(c, &[asking(get().first(":status", "200"))])
        }),
        // The library drops it unseen; what matters is that it goes nowhere (b02).
        ("one in trailers", Due::Fine, |c| {
            let trailers = Frame::headers(1, Block::new().literal(":method", "GET")).end_stream();
            say(c, &[open(), Frame::data(1, "x"), trailers]);
        }),
        ("one in trailers that are not the end", MALFORMED, |c| {
            let trailers = Frame::headers(1, Block::new().literal(":method", "POST"));
            say(c, &[open(), Frame::data(1, "test"), trailers]);
        }),
        ("one behind a field", MALFORMED, |c| {
            say(
                c,
                &[asking(
                    get().without(":path").field("x", "y").field(":path", "/"),
                )],
            );
        }),
        ("an empty path", MALFORMED, |c| {
            say(c, &[asking(get().with(":path", ""))])
        }),
        ("no method", MALFORMED, |c| {
            say(c, &[asking(get().without(":method"))])
        }),
        ("no scheme", MALFORMED, |c| {
            say(c, &[asking(get().without(":scheme"))])
        }),
        ("no path", MALFORMED, |c| {
            say(c, &[asking(get().without(":path"))])
        }),
        ("two methods", MALFORMED, |c| {
            say(c, &[asking(get().first(":method", "GET"))])
        }),
        ("two schemes", MALFORMED, |c| {
            say(c, &[asking(get().first(":scheme", "http"))])
        }),
        ("two paths", MALFORMED, |c| {
            say(c, &[asking(get().first(":path", "/"))])
        }),
        ("two authorities", MALFORMED, |c| {
            say(c, &[asking(get().first(":authority", "example.test"))]);
        }),
        ("any order", Due::Answer, |c| {
            let head = Head(Vec::new());
            let head = head.field(":path", "/").field(":authority", "a.test");
            say(
                c,
                &[asking(
                    head.field(":scheme", "http").field(":method", "GET"),
                )],
            );
        }),
        ("a star for OPTIONS", Due::Answer, |c| {
            say(c, &[asking(Head::new("OPTIONS", "*"))])
        }),
    ]);
}

#[test]
fn section_8_1_1_lengths() {
    fn open_with_length(length: &str) -> Frame {
        let head = Head::post("/").field("content-length", length);
        Frame::headers(1, Block::new().lines(head.0))
    }
    play(&[
        ("less in one frame", MALFORMED, |c| {
            say(
                c,
                &[open_with_length("2"), Frame::data(1, "x").end_stream()],
            );
        }),
        ("more in one frame", MALFORMED, |c| {
            say(
                c,
                &[open_with_length("1"), Frame::data(1, "test").end_stream()],
            );
        }),
        ("more in two frames", MALFORMED, |c| {
            let data = [Frame::data(1, "test"), Frame::data(1, "test").end_stream()];
            say(c, &[&[open_with_length("1")][..], &data].concat());
        }),
        ("as said", Due::Answer, |c| {
            say(
                c,
                &[open_with_length("4"), Frame::data(1, "test").end_stream()],
            );
        }),
    ]);
}

#[test]
fn compression_that_is_lawful_is_understood() {
    fn asked(block: Block) -> Frame {
        Frame::headers(1, block).end_stream()
    }
    // :method GET, :scheme http, :path /, as indexes 2, 6 and 4.
    fn start() -> Block {
        Block::new()
            .indexed(2)
            .indexed(6)
            .indexed(4)
            .named(1, "example.test")
    }
    play(&[
        ("indexed lines", Due::Answer, |c| say(c, &[asked(start())])),
        ("a literal with an indexed name", Due::Answer, |c| {
            say(c, &[asked(start().insert_named(58, "me").indexed(62))]);
        }),
        ("a literal with a new name", Due::Answer, |c| {
            say(c, &[asked(start().insert("x-new", "me").indexed(62))]);
        }),
        ("a literal in Huffman code", Due::Answer, |c| {
            say(c, &[asked(start().coded("x-coded", "all of it ~ \u{e4}"))]);
        }),
        ("a literal never to be indexed", Due::Answer, |c| {
            say(c, &[asked(start().secret("authorization", "x"))]);
        }),
        ("a size update", Due::Answer, |c| {
            let sized = Block::new().size(4096).bytes(start());
            say(c, &[asked(sized)]);
        }),
        ("two size updates", Due::Answer, |c| {
            let sized = Block::new().size(0).size(128).bytes(start());
            say(c, &[asked(sized)]);
        }),
        ("an entry larger than the table", Due::Answer, |c| {
            say(c, &[asked(start().insert("x", "y".repeat(5000)))]);
        }),
        (
            "an integer with a zero byte more than it needs",
            Due::Answer,
            |c| {
                // The name 58 as 15 and 43.
                say(
                    c,
                    &[asked(start().bytes([0x0f, 0xab, 0, 3, b'm', b'e', b'!']))],
                );
            },
        ),
    ]);
}

#[test]
fn compression_that_is_not_lawful_ends_the_connection() {
    fn asked(block: Block) -> Frame {
        Frame::headers(1, block).end_stream()
    }
    play(&[
        ("index 0", COMPRESSION, |c| {
            say(c, &[asked(block().indexed(0))])
        }),
        ("an index behind the table", COMPRESSION, |c| {
            say(c, &[asked(block().indexed(70))])
        }),
        ("a name behind the table", COMPRESSION, |c| {
            say(c, &[asked(block().named(70, "x"))])
        }),
        ("an index that was evicted", COMPRESSION, |c| {
            let evicted = block()
                .insert("x", "y")
                .insert("z", "v".repeat(5000))
                .indexed(62);
            say(c, &[asked(evicted)]);
        }),
        ("a size update at the end", COMPRESSION, |c| {
            say(c, &[asked(block().size(100))])
        }),
        ("a size above the setting", COMPRESSION, |c| {
            say(c, &[asked(Block::new().size(4097).bytes(block()))]);
        }),
        ("more than 7 bits of padding", COMPRESSION, |c| {
            let value = [hpack::huffman("test"), vec![0xff]].concat();
            say(c, &[asked(coded(&value))]);
        }),
        ("padding of zeros", COMPRESSION, |c| {
            say(c, &[asked(coded(&[0b0001_1000]))])
        }),
        ("a coded end of string", COMPRESSION, |c| {
            say(c, &[asked(coded(&[0xff, 0xff, 0xff, 0xff]))]);
        }),
        ("an integer of 11 bytes", COMPRESSION, |c| {
            let endless = [&[0xff][..], &[0x80; 10], &[1]].concat();
            say(c, &[asked(block().bytes(endless))]);
        }),
        ("a string longer than the block", COMPRESSION, |c| {
            say(c, &[asked(block().bytes([0, 1, b'x', 100, b'y']))]);
        }),
        ("the block ends within an integer", COMPRESSION, |c| {
            say(c, &[asked(block().bytes([0xff]))]);
        }),
    ]);
    fn coded(value: &[u8]) -> Block {
        let length = 0x80 | u8::try_from(value.len()).unwrap();
        block().bytes([0, 1, b'x', length]).bytes(value)
    }
}
