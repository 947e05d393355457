//! The text is read back by a parser that knows only the format's description.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::*;
use crate::cells::{Finished, MethodLabel, ProtoVersion, ServerGauge};
use crate::table::Kind;

type Labels = BTreeMap<String, String>;

#[derive(Default)]
struct Parsed {
    types: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Parsed {
    /// Panics wherever the text is not what the format allows.
    fn of(text: &str) -> Self {
        let (mut parsed, mut helped, mut seen) = (Self::default(), HashSet::new(), HashSet::new());
        let mut family = String::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(helped.insert(name.to_owned()), "{name} is announced twice");
                assert!(!help.is_empty());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(helped.contains(name));
                assert!(
                    parsed
                        .types
                        .insert(name.to_owned(), kind.to_owned())
                        .is_none()
                );
                family = name.to_owned();
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(&family).expect(line);
                assert!(
                    matches!(suffix, "" | "_bucket" | "_sum" | "_count"),
                    "{line}"
                );
                assert!(
                    seen.insert((name.clone(), labels.clone())),
                    "{line} is there twice"
                );
                parsed.samples.push((name, labels, value));
            }
        }
        parsed
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let of = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
        let labels: Labels = labels.iter().map(of).collect();
        let found = self
            .samples
            .iter()
            .find(|sample| sample.0 == name && sample.1 == labels);
        found.map(|sample| sample.2)
    }
}

/// One line: `name{label="value",...} number`.
fn sample(line: &str) -> (String, Labels, f64) {
    let name_ends = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(name_ends);
    assert!(
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        "{line}"
    );
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"").expect(line);
            let (mut text, mut chars) = (String::new(), value.char_indices());
            let end = loop {
                match chars.next().expect(line) {
                    (at, '"') => break at,
                    (_, '\\') => text.push(match chars.next().expect(line).1 {
                        'n' => '\n',
                        char @ ('"' | '\\') => char,
                        other => panic!("escape {other} in {line}"),
                    }),
                    (_, char) => text.push(char),
                }
            };
            assert!(labels.insert(label.to_owned(), text).is_none(), "{line}");
            rest = &value[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect(line);
    }
    let number = rest.strip_prefix(' ').expect(line);
    (name.to_owned(), labels, number.parse().expect(line))
}

fn finished(route: crate::RouteSlot, status: u16, ms: u64) -> Finished {
    Finished {
        route,
        method: MethodLabel::Post,
        status,
        version: ProtoVersion::H2,
        duration: Duration::from_millis(ms),
        bytes_in: 7,
        bytes_out: 1000,
    }
}

#[test]
fn a_histogram_is_cumulative_and_agrees_with_itself() {
    let registry = Registry::new(&[]);
    let cells = registry.worker();
    let route = registry.route("shop.example.com", "/api/*");
    for ms in [1, 5, 6, 300, 20_000] {
        cells.exchange(&finished(route, 201, ms));
    }
    let parsed = Parsed::of(&render(&registry, &[]));
    let name = "http_server_request_duration_seconds";
    assert_eq!(parsed.types[name], "histogram");
    let labels = [
        ("site", "shop.example.com"),
        ("route", "/api/*"),
        ("http_request_method", "POST"),
        ("http_response_status_code", "201"),
        ("network_protocol_version", "2"),
    ];
    for (le, count) in [
        ("0.005", 2.0),
        ("0.01", 3.0),
        ("0.5", 4.0),
        ("10", 4.0),
        ("+Inf", 5.0),
    ] {
        let with_le = [&labels[..], &[("le", le)]].concat();
        assert_eq!(
            parsed.value(&format!("{name}_bucket"), &with_le),
            Some(count),
            "le {le}"
        );
    }
    assert_eq!(parsed.value(&format!("{name}_count"), &labels), Some(5.0));
    assert_eq!(parsed.value(&format!("{name}_sum"), &labels), Some(20.312));

    let by_route = &labels[..2];
    let (request, response) = (
        "http_server_request_body_size_bytes",
        "http_server_response_body_size_bytes",
    );
    assert_eq!(parsed.types[request], "summary");
    assert_eq!(
        parsed.value(&format!("{request}_sum"), by_route),
        Some(35.0)
    );
    assert_eq!(
        parsed.value(&format!("{response}_sum"), by_route),
        Some(5000.0)
    );
    assert_eq!(
        parsed.value(&format!("{response}_count"), by_route),
        Some(5.0)
    );
}

#[test]
fn an_exchange_without_an_answer_has_an_empty_status() {
    let registry = Registry::new(&[]);
    registry
        .worker()
        .exchange(&finished(crate::RouteSlot::OTHER, 0, 1));
    let text = render(&registry, &[]);
    assert!(text.contains("_count{site=\"other\",route=\"other\",http_request_method=\"POST\",http_response_status_code=\"\","), "{text}");
}

#[test]
fn servers_faults_and_plain_numbers_are_there() {
    let registry = Registry::new(&["client.gone", "origin.connect.refused"]);
    let cells = registry.worker();
    let (one, two) = (
        registry.server("web", "10.0.0.1:80"),
        registry.server("web", "b"),
    );
    cells.server_exchange(one, Duration::from_millis(2));
    cells.server_failure(two);
    cells.server_retry(one);
    cells.server_retry(two);
    cells.server_gauge(one, ServerGauge::Idle, 3);
    cells.server_gauge(one, ServerGauge::Busy, -1);
    cells.fault(1);
    cells.add(Counter::RefusedOverload, 4);
    cells.gauge(Gauge::Tunnels, 2);

    let parsed = Parsed::of(&render(&registry, &[]));
    let server = [("pool", "web"), ("server", "10.0.0.1:80")];
    let state = |state| [&server[..], &[("state", state)]].concat();
    for (name, labels, expected) in [
        (
            "http_client_request_duration_seconds_count",
            server.to_vec(),
            1.0,
        ),
        (
            "croupier_server_failures_total",
            vec![("pool", "web"), ("server", "b")],
            1.0,
        ),
        ("croupier_server_retries_total", vec![("pool", "web")], 2.0),
        ("croupier_server_connections", state("idle"), 3.0),
        ("croupier_server_connections", state("busy"), 0.0),
        (
            "croupier_faults_total",
            vec![("fault", "origin.connect.refused")],
            1.0,
        ),
        ("croupier_faults_total", vec![("fault", "client.gone")], 0.0),
        (
            "croupier_connections_refused_total",
            vec![("reason", "overload")],
            4.0,
        ),
        (
            "croupier_connections_refused_total",
            vec![("reason", "limit")],
            0.0,
        ),
        ("croupier_tunnels", vec![], 2.0),
        ("croupier_connections_total", vec![], 0.0),
    ] {
        assert_eq!(
            parsed.value(name, &labels),
            Some(expected),
            "{name} {labels:?}"
        );
    }
}

#[test]
fn samples_join_their_family() {
    let registry = Registry::new(&[]);
    let text = render(
        &registry,
        &[
            Sample::new(Metric::ServerUp, &["web", "a"], 1.0),
            Sample::new(Metric::BuildInfo, &["0.1.0"], 1.0),
            Sample::new(Metric::ServerUp, &["web", "b"], 0.0),
            Sample::new(Metric::ConfigLastReload, &[], 1_795_435_200.0),
            Sample::new(Metric::AccessLogDropped, &[], f64::INFINITY),
        ],
    );
    let parsed = Parsed::of(&text);
    assert_eq!(
        parsed.value("croupier_server_up", &[("pool", "web"), ("server", "b")]),
        Some(0.0)
    );
    assert_eq!(
        parsed.value("croupier_build_info", &[("version", "0.1.0")]),
        Some(1.0)
    );
    assert!(
        text.contains("_timestamp_seconds 1795435200\n"),
        "no exponent"
    );
    assert!(text.contains("croupier_access_log_dropped_total +Inf\n"));
}

#[test]
fn label_values_are_escaped() {
    let registry = Registry::new(&[]);
    let (site, route) = ("a\"b\\c\nd", "}\\n{,x=\"1\"\u{e9}");
    registry
        .worker()
        .exchange(&finished(registry.route(site, route), 200, 1));
    let sample = Sample::new(Metric::ServerUp, &[site, route], 0.5);
    let parsed = Parsed::of(&render(&registry, &[sample]));
    let up = parsed.value("croupier_server_up", &[("pool", site), ("server", route)]);
    assert_eq!(up, Some(0.5));
    let sum = "http_server_request_body_size_bytes_sum";
    assert_eq!(
        parsed.value(sum, &[("site", site), ("route", route)]),
        Some(7.0)
    );
}

#[test]
fn families_follow_the_table() {
    let registry = Registry::new(&[]);
    let text = render(&registry, &[]);
    let parsed = Parsed::of(&text);
    for metric in Metric::ALL {
        let spec = metric.spec();
        if let Some(kind) = parsed.types.get(spec.name) {
            assert_eq!(kind, spec.kind.as_str());
        } else {
            // Labelled by configuration, or known only to the caller: nothing to show yet.
            assert!(!text.contains(spec.name), "{}", spec.name);
            assert!(spec.kind != Kind::Counter || spec.name != "croupier_panics_total");
        }
    }
}
