//! The numbers: their names, that they move, and that nobody outside can make more of them.

use std::collections::HashMap;

use croupier_testkit::{Event, closed_address, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config_with, metric, start};

fn page(proxy: &Proxy) -> String {
    let response = Client::connect(proxy.metrics_address()).get("/metrics");
    assert_eq!(response.status, 200);
    let content_type = response
        .header("content-type")
        .unwrap_or_default()
        .to_owned();
    assert!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "{content_type}"
    );
    response.text()
}

fn behind(origin: &Origin) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\n\
         [pool.app]\nservers = [\"{}\"]\n\
         [site.\"shop.test\"]\nroutes = [{{ name = \"api\", path = \"/api/*\", pool = \"app\" }}, {{ path = \"/deny\", deny = 403 }}]\n",
        origin.address()
    ))
}

#[test]
fn the_families_have_the_names_that_were_promised() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin);
    Client::connect(proxy.address())
        .host("shop.test")
        .get("/api/x");
    assert!(wait_until(SOON, || page(&proxy)
        .contains("http_server_request_duration_seconds_count")));
    let page = page(&proxy);
    for (name, kind) in [
        ("http_server_request_duration_seconds", "histogram"),
        ("http_server_active_requests", "gauge"),
        ("http_server_request_body_size_bytes", "summary"),
        ("http_server_response_body_size_bytes", "summary"),
        ("http_client_request_duration_seconds", "histogram"),
        ("croupier_server_up", "gauge"),
        ("croupier_server_connections", "gauge"),
        ("croupier_server_retries_total", "counter"),
        ("croupier_faults_total", "counter"),
        ("croupier_connections", "gauge"),
        ("croupier_connections_total", "counter"),
        ("croupier_connections_refused_total", "counter"),
        ("croupier_accept_errors_total", "counter"),
        ("croupier_tunnels", "gauge"),
        ("croupier_bytes_total", "counter"),
        ("croupier_config_reloads_total", "counter"),
        (
            "croupier_config_last_reload_success_timestamp_seconds",
            "gauge",
        ),
        ("croupier_access_log_dropped_total", "counter"),
        ("croupier_build_info", "gauge"),
    ] {
        assert!(
            page.contains(&format!("\n# TYPE {name} {kind}\n")),
            "{name}\n{page}"
        );
        assert!(page.contains(&format!("# HELP {name} ")), "{name}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(page.contains(&format!("croupier_build_info{{version=\"{version}\"}} 1")));
}

#[test]
fn the_page_can_be_parsed_and_its_histograms_add_up() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin);
    let mut client = Client::connect(proxy.address()).host("shop.test");
    for _ in 0..10 {
        client.get("/api/x");
    }
    let series = "http_client_request_duration_seconds_count";
    assert!(wait_until(SOON, || page(&proxy).contains(series)));
    let page = page(&proxy);
    let mut last: HashMap<String, f64> = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().expect(line);
        assert!(seen.insert(series.to_owned()), "twice: {series}");
        if let Some((family, rest)) = series.split_once("_bucket{") {
            let (labels, le) = rest.rsplit_once("le=\"").expect(series);
            let key = format!("{family}{labels}");
            let before = last.insert(key.clone(), value).unwrap_or(0.0);
            assert!(value >= before, "{series} shrinks");
            if le.starts_with("+Inf") {
                let labels = labels.trim_end_matches(',');
                let count = format!("{family}_count{{{labels}}} {value}");
                assert!(page.contains(&count), "no {count}\n{page}");
            }
        }
    }
}

#[test]
fn counters_move_with_what_happens() {
    let origin = Origin::start(|_| Reply::ok(vec![b'x'; 1000]));
    let proxy = behind(&origin);
    let count = |method: &str, status: u16, route: &str, version: &str| {
        metric(
            &proxy,
            &format!(
                "http_server_request_duration_seconds_count{{site=\"shop.test\",route=\"{route}\",http_request_method=\"{method}\",http_response_status_code=\"{status}\",network_protocol_version=\"{version}\"}}"
            ),
        )
    };
    let mut client = Client::connect(proxy.address()).host("shop.test");
    for _ in 0..3 {
        client.get("/api/x");
    }
    client.request("POST", "/api/x", &[], "12345");
    client.request("BREW", "/api/x", &[], "");
    client.get("/deny");
    client.send("GET /api/x HTTP/1.0\r\nHost: shop.test\r\n\r\n");
    client.read_response_to("GET");
    assert!(wait_until(SOON, || count("GET", 200, "api", "1.0") == 1.0));
    assert_eq!(count("GET", 200, "api", "1.1"), 3.0);
    assert_eq!(count("POST", 200, "api", "1.1"), 1.0);
    assert_eq!(count("_OTHER", 200, "api", "1.1"), 1.0);
    assert_eq!(count("GET", 403, "/deny", "1.1"), 1.0);
    let route = "{site=\"shop.test\",route=\"api\"}";
    let server = format!("{{pool=\"app\",server=\"{}\"}}", origin.address());
    for (series, value) in [
        (
            format!("http_server_request_body_size_bytes_sum{route}"),
            5.0,
        ),
        (
            format!("http_server_response_body_size_bytes_sum{route}"),
            6000.0,
        ),
        (
            format!("http_client_request_duration_seconds_count{server}"),
            6.0,
        ),
        (format!("croupier_server_up{server}"), 1.0),
        ("croupier_faults_total{fault=\"proxy.denied\"}".into(), 1.0),
        ("croupier_connections_total".into(), 1.0),
    ] {
        assert_eq!(metric(&proxy, &series), value, "{series}");
    }
    for side in ["client", "origin"] {
        for direction in ["in", "out"] {
            let labels = format!("{{side=\"{side}\",direction=\"{direction}\"}}");
            let series = format!("croupier_bytes_total{labels}");
            let moved = wait_until(SOON, || metric(&proxy, &series) > 250.0);
            assert!(moved, "{series}: {}", metric(&proxy, &series));
        }
    }
}

#[test]
fn levels_rise_and_fall_with_what_happens() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |_| Reply::wait_for(&told).then(Reply::ok("x")));
    let proxy = behind(&origin);
    let server = format!("pool=\"app\",server=\"{}\"", origin.address());
    let busy = format!("croupier_server_connections{{{server},state=\"busy\"}}");
    let reaches = |series: &str, value: f64| {
        let reached = wait_until(SOON, || metric(&proxy, series) == value);
        assert!(reached, "{series} is {}", metric(&proxy, series));
    };
    let mut clients: Vec<_> = (0..3)
        .map(|_| Client::connect(proxy.address()).host("shop.test"))
        .collect();
    for client in &mut clients[1..] {
        client.send_request("GET", "/api/wait", &[], "");
    }
    origin.wait_for_requests(2, SOON);
    reaches("http_server_active_requests", 2.0);
    reaches(&busy, 2.0);
    reaches("croupier_connections", 3.0);
    go.fire();
    for client in &mut clients[1..] {
        client.read_response();
    }
    reaches("http_server_active_requests", 0.0);
    reaches(&busy, 0.0);
    reaches("croupier_connections", 3.0);
    drop(clients);
    reaches("croupier_connections", 0.0);
}

#[test]
fn a_stranger_can_not_make_new_series() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin);
    let series = |proxy: &Proxy| {
        page(proxy)
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count()
    };
    let ask = |number: usize| {
        let host = if number.is_multiple_of(2) {
            "shop.test".into()
        } else {
            format!("host-{number}.test")
        };
        let mut client = Client::connect(proxy.address()).host(&host);
        client.request(
            &format!("METHOD{number}"),
            &format!("/path-{number}"),
            &[],
            "",
        );
        client.request("GET", &format!("/api/{number}?q={number}"), &[], "");
    };
    for number in 0..4 {
        ask(number);
    }
    let faults = "croupier_faults_total{fault=\"proxy.site.none\"}";
    assert!(wait_until(SOON, || metric(&proxy, faults) == 4.0));
    let before = series(&proxy);
    for number in 4..40 {
        ask(number);
    }
    assert!(wait_until(SOON, || metric(&proxy, faults) == 40.0));
    assert_eq!(series(&proxy), before);
    let page = page(&proxy);
    assert!(!page.contains("host-") && !page.contains("path-") && !page.contains("METHOD"));
}

#[test]
fn failures_are_counted_where_they_happen() {
    let dead = closed_address();
    let proxy = start(&config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!(
            "pool = \"dead\"\n[pool.dead]\nservers = [\"{dead}\"]\nqueue = {{ requests = 0 }}"
        ),
    ));
    assert_eq!(Client::connect(proxy.address()).get("/").status, 502);
    let labels = format!("{{pool=\"dead\",server=\"{dead}\"}}");
    assert!(wait_until(SOON, || {
        metric(
            &proxy,
            "croupier_faults_total{fault=\"origin.connect.refused\"}",
        ) == 1.0
    }));
    assert_eq!(
        metric(&proxy, &format!("croupier_server_failures_total{labels}")),
        1.0
    );
    assert_eq!(metric(&proxy, &format!("croupier_server_up{labels}")), 0.0);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_response_to("GET").status, 400);
    assert!(wait_until(SOON, || {
        metric(
            &proxy,
            "croupier_faults_total{fault=\"client.head.malformed\"}",
        ) == 1.0
    }));
}

#[test]
fn the_side_door_answers_its_three_questions_and_nothing_else() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = behind(&origin);
    let mut client = Client::connect(proxy.metrics_address());
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get("/readyz").status, 200);
    assert_eq!(client.request("HEAD", "/metrics", &[], "").status, 200);
    for path in ["/", "/metrics/", "/metricsx", "/v1/reload"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert_eq!(client.request("POST", "/v1/reload", &[], "").status, 404);
    let mut client = Client::connect(proxy.metrics_address());
    client
        .send("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.read_response_to("GET").status, 400);
    // And clients find none of it where they come in.
    for path in ["/metrics", "/healthz", "/readyz"] {
        let status = Client::connect(proxy.address())
            .host("shop.test")
            .get(path)
            .status;
        assert_eq!(status, 404, "{path}");
    }
    // Nor do these questions count as requests.
    assert!(wait_until(SOON, || metric(&proxy, "croupier_connections") == 0.0));
    assert_eq!(metric(&proxy, "croupier_connections_total"), 3.0);
}

#[test]
fn the_side_door_may_be_a_unix_socket_and_takes_care_of_itself() {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let path = launch.directory().join("metrics.sock");
    let proxy = launch.start(&config_with(
        &format!("metrics = \"unix:{}\"", path.display()),
        "respond = \"x\"",
    ));
    assert_eq!(Client::connect_unix(&path).get("/healthz").status, 200);
    // Somebody who takes all its places blocks neither clients nor, when he leaves, the next one.
    let crowd: Vec<_> = (0..80).map(|_| Client::connect_unix(&path)).collect();
    assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    drop(crowd);
    let back = wait_until(SOON, || {
        let mut client = Client::connect_unix(&path);
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        client
            .try_read_response()
            .is_ok_and(|response| response.status == 200)
    });
    assert!(back);
}
