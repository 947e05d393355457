//! Parts: RFC 9110 section 14.

use croupier_cache::rules::range::{
    ContentRange, Multipart, RANGES_MAX, Ranges, Span, Unsatisfiable, write_content_range,
};

fn spans(value: &str, length: u64) -> Result<Option<Vec<(u64, u64)>>, Unsatisfiable> {
    let ranges = Ranges::of(value.as_bytes(), length)?;
    Ok(ranges.map(|ranges| {
        let pair = |span: &Span| (span.first, span.last);
        ranges.spans().iter().map(pair).collect()
    }))
}

#[test]
fn a_range_is_cut_to_what_there_is() {
    let table: [(&str, &[(u64, u64)]); 11] = [
        ("bytes=0-1", &[(0, 1)]),
        ("bytes=1-", &[(1, 9)]),
        ("bytes=-1", &[(9, 9)]),
        ("bytes=-10", &[(0, 9)]),
        ("bytes=-99999999999999999999999", &[(0, 9)]),
        ("bytes=9-99999999999999999999999", &[(9, 9)]),
        ("BYTES=0-0", &[(0, 0)]),
        ("bytes=0-0, -1", &[(0, 0), (9, 9)]),
        ("bytes=5-6,0-1", &[(5, 6), (0, 1)]),
        ("bytes=0-1,,2-3, ", &[(0, 1), (2, 3)]),
        ("bytes=0-1,20-30", &[(0, 1)]),
    ];
    for (value, expected) in table {
        assert_eq!(spans(value, 10), Ok(Some(expected.to_vec())), "{value}");
    }
}

#[test]
fn what_is_no_range_or_too_much_is_the_whole() {
    let many: Vec<String> = (0..=RANGES_MAX)
        .map(|at| format!("{}-{}", at * 2, at * 2))
        .collect();
    let many = format!("bytes={}", many.join(","));
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=2-1",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes =1-2",
        "lines=1-2",
        "bytes=1-2-3",
        "bytes=0-1,x",
        "bytes=0-5,3-8",
        "bytes=0-,0-",
        "bytes=95-95,-10",
        &many,
    ] {
        assert_eq!(spans(value, 100), Ok(None), "{value}");
    }
}

#[test]
fn a_range_behind_the_end_cannot_be_satisfied() {
    for (value, length) in [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=20-30, 40-50", 10),
        ("bytes=0-", 0),
        ("bytes=-1", 0),
    ] {
        assert_eq!(spans(value, length), Err(Unsatisfiable), "{value} {length}");
    }
}

#[test]
fn a_206_says_which_part_it_is() {
    let read = |value: &str| {
        let range = ContentRange::read(value.as_bytes())?;
        Some((range.span.first, range.span.last, range.length))
    };
    assert_eq!(read("bytes 4-9/10"), Some((4, 9, Some(10))));
    assert_eq!(read("Bytes 4-9/*"), Some((4, 9, None)));
    for none in [
        "bytes 4-10/10",
        "bytes 9-4/10",
        "bytes */10",
        "bytes=4-9/10",
        "bytes 4-9",
        "bytes -9/10",
        "lines 4-9/10",
        "",
    ] {
        assert_eq!(read(none), None, "{none}");
    }
}

#[test]
fn several_parts_are_framed_and_their_length_is_known_before() {
    let multipart = Multipart {
        boundary: "b1",
        content_type: Some(b"text/plain"),
        length: 10,
    };
    let ranges = Ranges::of(b"bytes=0-1,8-9", 10).unwrap().unwrap();
    assert_eq!(ranges.single(), None);
    let content = b"0123456789";
    let mut body = Vec::new();
    for span in ranges.spans() {
        multipart.write_head(&mut body, *span);
        let bytes = usize::try_from(span.first).unwrap()..=usize::try_from(span.last).unwrap();
        body.extend_from_slice(&content[bytes]);
    }
    multipart.write_end(&mut body);
    assert_eq!(multipart.body_length(&ranges), body.len() as u64);
    let text = "\r\n--b1\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
                \r\n--b1\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\
                \r\n--b1--\r\n";
    assert_eq!(String::from_utf8(body).unwrap(), text);
    assert_eq!(
        multipart.content_type(),
        "multipart/byteranges; boundary=b1"
    );
    let mut none = Vec::new();
    write_content_range(&mut none, None, 10);
    assert_eq!(none, b"bytes */10");
}
