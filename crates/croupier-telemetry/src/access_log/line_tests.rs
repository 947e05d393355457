//! What is promised about lines: one for each record, readable by a machine, whatever a client sends.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::template::NAMES;
use super::*;
use crate::date::Stamp;
use crate::record::{Record, TlsFacts};

pub(super) const FULL: Record<'static> = Record {
    ts: 1_795_435_200_120,
    client_ip: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))),
    remote_ip: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))),
    site: "shop.example.com",
    route: "/assets/*",
    pool: "web",
    server: "10.0.1.11:8080",
    method: b"GET",
    scheme: "https",
    host: b"shop.example.com",
    path: b"/assets/app.js",
    query: b"v=1",
    proto: "HTTP/2",
    tls: TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS13_AES_128_GCM_SHA256",
        group: "X25519MLKEM768",
        is_resumed: true,
        sni: "shop.example.com",
        client: "CN=alice",
    },
    status: 200,
    bytes_in: 0,
    bytes_out: 12_345,
    duration: Duration::from_micros(4_250),
    ttfb: Some(Duration::from_micros(3_000)),
    connect: Some(Duration::from_micros(150)),
    origin_ttfb: Some(Duration::from_micros(2_900)),
    retries: 1,
    no_retry: "method",
    cache: "miss",
    request_id: "019aafd8-a5f8-7000-8000-000000000000",
    trace_id: Some("0af7651916cd43dd8448eb211c80319c"),
    fault: "origin.body.truncated",
    user_agent: b"curl/8.11.0",
    referer: b"https://shop.example.com/",
    tunnel: true,
};

fn line(format: &str, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Format::parse(format)
        .unwrap()
        .write(record, &mut Stamp::default(), &mut out);
    String::from_utf8(out).expect("every format writes UTF-8")
}

#[test]
fn a_json_line_in_full() {
    assert_eq!(
        line("json", &FULL),
        concat!(
            r#"{"ts":"2026-11-23T12:00:00.120Z","client_ip":"203.0.113.9","remote_ip":"10.0.0.7","#,
            r#""site":"shop.example.com","route":"/assets/*","pool":"web","server":"10.0.1.11:8080","#,
            r#""method":"GET","scheme":"https","host":"shop.example.com","path":"/assets/app.js","#,
            r#""query":"v=1","proto":"HTTP/2","tls":"TLSv1.3","tls_cipher":"TLS13_AES_128_GCM_SHA256","#,
            r#""tls_group":"X25519MLKEM768","tls_resumed":true,"sni":"shop.example.com","#,
            r#""client_cert":"CN=alice","status":200,"bytes_in":0,"bytes_out":12345,"#,
            r#""dur_ms":4.250,"ttfb_ms":3.000,"origin_connect_ms":0.150,"origin_ttfb_ms":2.900,"#,
            r#""retries":1,"no_retry":"method","cache":"miss","request_id":"019aafd8-a5f8-7000-8000-000000000000","#,
            r#""trace_id":"0af7651916cd43dd8448eb211c80319c","fault":"origin.body.truncated","#,
            r#""tunnel":true,"user_agent":"curl/8.11.0","referer":"https://shop.example.com/"}"#,
            "\n"
        )
    );
}

#[test]
fn json_keys_and_template_fields_are_the_same_words() {
    let line = line("json", &FULL);
    let keys: Vec<_> = NAMES
        .iter()
        .map(|name| line.find(&format!("\"{name}\":")))
        .collect();
    assert!(
        keys.iter().all(Option::is_some) && keys.is_sorted(),
        "{keys:?}"
    );
    let Value::Object(object) = serde_json::from_str(&line).unwrap() else {
        panic!("{line}")
    };
    assert_eq!(object.len(), NAMES.len());
}

#[test]
fn an_empty_record_has_few_keys() {
    assert_eq!(
        line("json", &Record::EMPTY),
        "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"bytes_in\":0,\"bytes_out\":0,\"dur_ms\":0.000,\"retries\":0}\n"
    );
    assert_eq!(
        line("combined", &Record::EMPTY),
        "- - - [01/Jan/1970:00:00:00 +0000] \"- - -\" 000 0 \"-\" \"-\"\n"
    );
}

#[test]
fn combined_as_nginx_writes_it() {
    let combined = concat!(
        "203.0.113.9 - - [23/Nov/2026:12:00:00 +0000] \"GET /assets/app.js?v=1 HTTP/2\" 200 12345 ",
        "\"https://shop.example.com/\" \"curl/8.11.0\"\n"
    );
    assert_eq!(line("combined", &FULL), combined);
    assert_eq!(
        line("vcombined", &FULL),
        format!("shop.example.com:443 {combined}")
    );
    for (host, shown) in [
        ("a.example:8443", "a.example:8443 "),
        ("[::1]", "[::1]:443 "),
        ("[::1]:99", "[::1]:99 "),
    ] {
        let record = Record {
            host: host.as_bytes(),
            ..FULL
        };
        assert!(line("vcombined", &record).starts_with(shown), "{host}");
    }
}

#[test]
fn long_fields_are_cut() {
    let long = vec![b'a'; 100_000];
    let quotes = vec![b'"'; 100_000];
    let record = Record {
        path: &long,
        user_agent: &quotes,
        ..FULL
    };
    for format in [
        "json",
        "combined",
        "vcombined",
        "terminal",
        "{path} {user_agent}",
    ] {
        let line = line(format, &record);
        assert!(line.len() < 12_000, "{format}: {}", line.len());
    }
    let Value::Object(object) = serde_json::from_str(&line("json", &record)).unwrap() else {
        panic!("no object")
    };
    assert_eq!(
        object["path"].as_str().unwrap().chars().count(),
        FIELD_BYTES + 1
    );
    assert!(object["path"].as_str().unwrap().ends_with('\u{2026}'));
}

/// Bytes as they come: mostly text, sometimes anything.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        ".{0,40}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
        "[ -~]{0,40}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn json_decodes_to_what_was_received(
        fields in (bytes(), bytes(), bytes(), bytes(), bytes(), bytes()),
        names in (".{0,20}", ".{0,20}"),
        numbers in (any::<u64>(), 100_u16..1000, any::<u64>(), any::<u64>(), any::<u8>()),
        ip in any::<IpAddr>(),
    ) {
        let record = Record {
            ts: numbers.0, status: numbers.1, bytes_in: numbers.2, retries: numbers.4,
            duration: Duration::from_micros(numbers.3 >> 12), client_ip: Some(ip),
            site: &names.0, request_id: &names.1,
            method: &fields.0, host: &fields.1, path: &fields.2, query: &fields.3,
            user_agent: &fields.4, referer: &fields.5,
            ..Record::EMPTY
        };
        let line = line("json", &record);
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert!(line.ends_with("\n"));
        prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
        let object: Value = serde_json::from_str(&line).unwrap();
        for (key, value) in [
            ("method", &fields.0[..]), ("host", &fields.1), ("path", &fields.2),
            ("query", &fields.3), ("user_agent", &fields.4), ("referer", &fields.5),
            ("site", names.0.as_bytes()), ("request_id", names.1.as_bytes()),
        ] {
            let expected = String::from_utf8_lossy(value);
            prop_assert_eq!(object[key].as_str().unwrap_or_default(), expected, "{}", key);
        }
        prop_assert_eq!(object["status"].as_u64(), Some(numbers.1.into()));
        prop_assert_eq!(object["bytes_in"].as_u64(), Some(numbers.2));
        prop_assert_eq!(object["retries"].as_u64(), Some(numbers.4.into()));
        let read: IpAddr = object["client_ip"].as_str().unwrap().parse().unwrap();
        prop_assert_eq!(read, ip.to_canonical());
    }

    #[test]
    fn other_formats_are_one_line_of_ascii(
        fields in (bytes(), bytes(), bytes(), bytes(), bytes()), name in ".{0,30}",
    ) {
        let record = Record {
            method: &fields.0, host: &fields.1, path: &fields.2, query: &fields.3,
            user_agent: &fields.4, referer: &fields.4, server: &name, fault: &name,
            ..FULL
        };
        for format in ["combined", "vcombined", "terminal", "{method} \"{path}\" {user_agent}"] {
            let line = line(format, &record);
            let text = line.strip_suffix('\n').unwrap();
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{:?}", line);
        }
        prop_assert_eq!(line("combined", &record).matches('"').count(), 6);
    }
}
