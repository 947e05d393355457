//! A client's byte stream: heads, their judgement and their bodies, one message after another.

use croupier_http::{
    BodyLen, Fields, Method, Name, RequestHead, Scheme, Target, Version,
    h1::{
        chunked::{ChunkDecoder, ChunkError},
        encode, head,
        scan::{HeadError, HeadLimits, HeadScan, leading_empty_line},
    },
    rules::{
        hop,
        inspect::{self, Lawful},
    },
    target::Form,
};

use super::{CHUNK_LIMITS, HEAD_LIMITS, Verdict, cuts, grammar, tight_head_limits};

/// Messages of one input that are looked at.
const MESSAGES_MAX: usize = 16;

pub fn check(bytes: &[u8]) -> Verdict {
    for limits in [HEAD_LIMITS, tight_head_limits(cuts::seed(bytes))] {
        read_every_way(bytes, &limits, |text| {
            head::request(text, &limits, &mut RequestHead::default())
        });
    }
    let mut rest = bytes;
    let mut served = 0;
    while served < MESSAGES_MAX {
        if served > 0 {
            match leading_empty_line(rest) {
                Some(skip) => rest = &rest[skip..],
                None if rest.is_empty() => return Verdict::Accepted(served),
                None => return Verdict::Incomplete(served),
            }
        }
        match message(rest) {
            Reading::Whole(length) => rest = &rest[length..],
            Reading::Refused => return Verdict::Refused(served),
            Reading::Incomplete => return Verdict::Incomplete(served),
        }
        served += 1;
    }
    Verdict::Accepted(served)
}

enum Reading {
    Whole(usize),
    Refused,
    Incomplete,
}

fn message(bytes: &[u8]) -> Reading {
    let length = match HeadScan::default().find(bytes, &HEAD_LIMITS) {
        Ok(Some(length)) => length,
        Ok(None) => return Reading::Incomplete,
        Err(_) => return Reading::Refused,
    };
    let text = &bytes[..length];
    let mut request = RequestHead::default();
    if head::request(text, &HEAD_LIMITS, &mut request).is_err() {
        return Reading::Refused;
    }
    let Some(strict) = grammar::head(text) else {
        unreachable!(
            "a malformed head was parsed: {:?}",
            text.escape_ascii().to_string()
        );
    };
    same_fields(&strict, &request.fields);
    let mut target = Target::default();
    let Ok(lawful) = inspect::request(&request, Scheme::Http, &mut target) else {
        return Reading::Refused;
    };
    strictly_lawful(&strict, &request, &target, lawful.body);
    as_the_origin_gets_it(&request, &target, &lawful);
    let body = &bytes[length..];
    match lawful.body {
        BodyLen::None => Reading::Whole(length),
        BodyLen::Length(wanted) => match usize::try_from(wanted) {
            Ok(wanted) if wanted <= body.len() => Reading::Whole(length + wanted),
            _ => Reading::Incomplete,
        },
        BodyLen::Chunked => match chunks(body) {
            Ok(Some(taken)) => Reading::Whole(length + taken),
            Ok(None) => Reading::Incomplete,
            Err(_) => Reading::Refused,
        },
        BodyLen::UntilClose => unreachable!("a request can not end with its connection"),
    }
}

fn chunks(body: &[u8]) -> Result<Option<usize>, ChunkError> {
    let mut decoder = ChunkDecoder::default();
    let mut at = 0;
    loop {
        let step = decoder.step(&body[at..], &CHUNK_LIMITS)?;
        at += step.skip + step.data;
        if step.data == 0 {
            return Ok(decoder.is_done().then_some(at));
        }
        decoder.took(step.data);
    }
}

/// Whether a head is taken, and where it ends, depends on its bytes alone, not on how they
/// arrive. Scan and parser are judged together: either may be the one that refuses, and a head
/// that has no end yet may be refused early or late.
pub fn read_every_way(
    bytes: &[u8],
    limits: &HeadLimits,
    parse: impl Fn(&[u8]) -> Result<(), HeadError>,
) {
    let mut first = None;
    for pattern in cuts::patterns(bytes) {
        let mut scan = HeadScan::default();
        let mut found = Ok(None);
        for end in pattern {
            found = scan.find(&bytes[..end], limits);
            if found != Ok(None) {
                break;
            }
        }
        let taken = found.ok().flatten().filter(|&length| {
            assert!(length <= bytes.len());
            assert!(bytes[..length].ends_with(b"\r\n\r\n"));
            parse(&bytes[..length]).is_ok()
        });
        assert_eq!(
            *first.get_or_insert(taken),
            taken,
            "the verdict depends on the cuts"
        );
    }
}

/// The strict reading sees the same lines in the same order.
pub fn same_fields(strict: &grammar::Head<'_>, fields: &Fields) {
    assert_eq!(
        strict.fields.len(),
        fields.len(),
        "the readings differ in lines"
    );
    for ((name, value), field) in strict.fields.iter().zip(fields.iter()) {
        assert_eq!(*name, field.raw_name.to_ascii_lowercase());
        assert_eq!(*value, field.value);
        let known = field.name != Name::OTHER;
        assert!(!known || field.name.as_str().as_bytes() == name.as_slice());
        assert!(!known || fields.contains(field.name));
    }
}

/// One method, one target, one host, one framing.
fn strictly_lawful(
    strict: &grammar::Head<'_>,
    request: &RequestHead,
    target: &Target,
    body: BodyLen,
) {
    let [method, raw_target, version] = strict.start[..] else {
        unreachable!(
            "a request line of other than three words: {:?}",
            strict.start
        );
    };
    assert!(!method.is_empty() && method.iter().all(|byte| grammar::is_tchar(*byte)));
    assert_eq!(
        (method, raw_target),
        (request.method_bytes(), request.target_bytes())
    );
    assert!(raw_target.iter().all(|byte| (0x21..0x7f).contains(byte)));
    assert!([&b"HTTP/1.0"[..], b"HTTP/1.1"].contains(&version));
    assert_eq!(request.version.as_str().as_bytes(), version);
    let hosts = strict.all("host").len();
    assert!(
        hosts == 1 || hosts == 0 && request.version == Version::Http10,
        "{hosts} hosts"
    );
    let framing = grammar::framing(strict);
    let same = matches!(
        (framing, body),
        (Some(grammar::Framing::Nothing), BodyLen::None)
            | (Some(grammar::Framing::Chunked), BodyLen::Chunked)
    ) || matches!((framing, body), (Some(grammar::Framing::Length(a)), BodyLen::Length(b)) if a == b);
    assert!(same, "{framing:?} was taken for {body:?}");
    assert!(!(request.version == Version::Http10 && body == BodyLen::Chunked));
    if target.form == Form::Asterisk {
        assert_eq!((request.method, target.path()), (Method::Options, "*"));
    } else {
        assert!(
            grammar::is_normal_path(target.path()),
            "{:?}",
            target.path()
        );
    }
    assert!(!matches!(request.method, Method::Connect | Method::Trace));
    let authority = target.authority.as_str();
    assert!(authority.is_empty() || grammar::is_normal_authority(authority));
    assert!(!authority.is_empty() || hosts == 0);
}

/// Written again with our framing, the request reads as the same request.
pub fn as_the_origin_gets_it(request: &RequestHead, target: &Target, lawful: &Lawful) {
    let host = match target.authority.as_str() {
        "" => "server.example",
        host => host,
    };
    let passes = |field: &croupier_http::Field<'_>| {
        let dropped = hop::HOP.contains(field.name)
            || hop::FORWARDED.contains(field.name)
            || lawful.listed.names.contains(field.name)
            || [Name::HOST, Name::EXPECT].contains(&field.name);
        let other = field.name == Name::OTHER
            && (hop::is_alias(field.raw_name)
                || hop::is_posing(field.raw_name)
                || lawful.listed.others && hop::is_listed(field, &request.fields));
        !dropped && !other
    };
    let mut out = Vec::new();
    encode::request_line(
        &mut out,
        request.method_bytes(),
        target.path(),
        target.query(),
    );
    encode::field(&mut out, b"host", host.as_bytes());
    for field in request.fields.iter().filter(&passes) {
        encode::field(&mut out, field.raw_name, field.value);
    }
    match lawful.body {
        BodyLen::Length(length) => encode::content_length(&mut out, length),
        BodyLen::Chunked => encode::field(&mut out, b"transfer-encoding", b"chunked"),
        BodyLen::None | BodyLen::UntilClose => {}
    }
    out.extend_from_slice(b"\r\n");

    // Ours may be longer than the client's: escapes, and the framing in our words.
    let room = HeadLimits {
        head_bytes: 4 * HEAD_LIMITS.head_bytes,
        target_bytes: 4 * HEAD_LIMITS.target_bytes,
        fields: HEAD_LIMITS.fields + 2,
        field_bytes: 2 * HEAD_LIMITS.field_bytes,
    };
    assert_eq!(HeadScan::default().find(&out, &room), Ok(Some(out.len())));
    let Some(strict) = grammar::head(&out) else {
        unreachable!("we would send {:?}", out.escape_ascii().to_string());
    };
    assert_eq!(strict.all("host").len(), 1);
    let framings = strict.all("content-length").len() + strict.all("transfer-encoding").len();
    assert_eq!(framings, usize::from(lawful.body != BodyLen::None));
    assert!(strict.all("connection").is_empty());
    let mut again = RequestHead::default();
    assert_eq!(head::request(&out, &room, &mut again), Ok(()));
    assert_eq!(again.method, request.method);
    assert_eq!(again.method_bytes(), request.method_bytes());
    let mut same_target = Target::default();
    let judged = inspect::request(&again, Scheme::Http, &mut same_target);
    assert!(judged.is_ok(), "what we send is not lawful: {judged:?}");
    assert_eq!(judged.map(|judged| judged.body).ok(), Some(lawful.body));
    assert_eq!(same_target.path(), target.path());
    assert_eq!(same_target.query(), target.query());
    assert_eq!(same_target.lenient_path(), target.lenient_path());
    assert_eq!(same_target.authority.as_str(), host);
    let mine = |field: &croupier_http::Field<'_>| {
        ![Name::HOST, Name::CONTENT_LENGTH, Name::TRANSFER_ENCODING].contains(&field.name)
    };
    assert!(
        again
            .fields
            .iter()
            .filter(mine)
            .eq(request.fields.iter().filter(&passes)),
        "fields change on the way"
    );
}
