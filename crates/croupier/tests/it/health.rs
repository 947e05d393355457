//! What is known of a server: from checks beside the traffic, and from the traffic itself.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use croupier_testkit::{Dns, Event, closed_address, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

fn config_of(servers: &[String], pool: &str) -> String {
    let servers: Vec<_> = servers
        .iter()
        .map(|server| format!("\"{server}\""))
        .collect();
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [{}]\n{pool}\n\
         [site.\"*\"]\npool = \"app\"\n",
        servers.join(", ")
    )
}

fn names(origins: &[&Origin]) -> Vec<String> {
    origins
        .iter()
        .map(|origin| origin.address().to_string())
        .collect()
}

fn dealing_to(origins: &[&Origin], pool: &str) -> Proxy {
    start(&config_of(&names(origins), pool))
}

fn is_in_state(proxy: &Proxy, server: &str, state: &str) -> bool {
    let series = |state| {
        format!("croupier_server_state{{pool=\"app\",server=\"{server}\",state=\"{state}\"}}")
    };
    metric(proxy, &series(state)) == 1.0
}

#[track_caller]
fn wait_for_state(proxy: &Proxy, server: &str, state: &str) {
    let reached = wait_until(SOON, || is_in_state(proxy, server, state));
    assert!(reached, "{server} did not become {state}");
}

/// Requests that are no checks.
fn traffic(origin: &Origin) -> usize {
    let requests = origin.requests();
    requests.iter().filter(|r| r.path() != "/health").count()
}

fn checks(origin: &Origin) -> usize {
    origin.requests().len() - traffic(origin)
}

/// A server whose health is what this says.
fn with_health(status: &Arc<AtomicU16>) -> Origin {
    let status = Arc::clone(status);
    Origin::start(move |request| {
        if request.path() == "/health" {
            Reply::empty(status.load(Ordering::SeqCst))
        } else {
            Reply::ok("x")
        }
    })
}

const QUICK: &str = "interval = \"100ms\", interval_changing = \"50ms\"";

#[test]
fn a_server_that_fails_its_check_gets_no_requests_until_it_passes() {
    let health = [(); 2].map(|()| Arc::new(AtomicU16::new(200)));
    let [a, b] = [with_health(&health[0]), with_health(&health[1])];
    let check = format!("health = {{ path = \"/health\", {QUICK} }}");
    let proxy = dealing_to(&[&a, &b], &check);
    let name = a.address().to_string();
    let mut client = Client::connect(proxy.address());
    for status in [500, 404, 199 + 300] {
        health[0].store(status, Ordering::SeqCst);
        wait_for_state(&proxy, &name, "down");
        proxy.wait_for_log(|line| {
            line.contains("pool.server.state")
                && line.contains(&name)
                && line.contains("to=down reason=check.status")
        });
        let before = traffic(&a);
        for _ in 0..10 {
            assert_eq!(client.get("/").status, 200);
        }
        assert_eq!(traffic(&a), before, "{status}");
        health[0].store(302, Ordering::SeqCst);
        wait_for_state(&proxy, &name, "up");
        for _ in 0..10 {
            assert_eq!(client.get("/").status, 200);
        }
        assert!(traffic(&a) > before, "{status}");
    }
    let counted = |result: &str| {
        let labels = format!("{{pool=\"app\",server=\"{name}\",result=\"{result}\"}}");
        metric(&proxy, &format!("croupier_health_checks_total{labels}"))
    };
    assert!(counted("failed") >= 7.0 && counted("passed") >= 6.0);
}

#[test]
fn a_server_that_is_ill_from_the_start_is_found_out_by_one_check() {
    let (good, bad) = (
        with_health(&Arc::new(AtomicU16::new(200))),
        with_health(&Arc::new(AtomicU16::new(500))),
    );
    let proxy = dealing_to(
        &[&bad, &good],
        "health = { path = \"/health\", interval = \"60s\" }",
    );
    wait_for_state(&proxy, &bad.address().to_string(), "down");
    for _ in 0..10 {
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    }
    assert_eq!((traffic(&bad), checks(&bad)), (0, 1));
}

#[test]
fn a_server_goes_down_with_the_last_failure_and_up_with_the_last_pass() {
    // Every check waits for its turn, so that nothing is in doubt.
    let script: &'static [u16] = &[200, 500, 500, 200, 500, 500, 500, 200, 500, 200, 200];
    let expected = [
        "up", "up", "up", "up", "up", "up", "down", "down", "down", "down", "up",
    ];
    let number = Arc::new(AtomicUsize::new(0));
    let gates: Arc<Vec<Event>> = Arc::new((0..=script.len()).map(|_| Event::new()).collect());
    let (count, told) = (Arc::clone(&number), Arc::clone(&gates));
    let ill = Origin::start(move |request| {
        if request.path() != "/health" {
            return Reply::ok("x");
        }
        let number = count.fetch_add(1, Ordering::SeqCst).min(script.len());
        let _ = told[number].wait(SOON);
        Reply::empty(script.get(number).copied().unwrap_or(200))
    });
    let well = with_health(&Arc::new(AtomicU16::new(200)));
    let pool = "health = { path = \"/health\", interval = \"100ms\", interval_changing = \"50ms\", \
                timeout = \"20s\", fall = 3, rise = 2 }";
    let proxy = dealing_to(&[&ill, &well], pool);
    let name = ill.address().to_string();
    for (index, state) in expected.iter().enumerate() {
        gates[index].fire();
        // The next check comes when the answer of this one has been judged.
        let judged = wait_until(SOON, || number.load(Ordering::SeqCst) > index + 1);
        assert!(judged, "check {index}");
        assert!(is_in_state(&proxy, &name, state), "after check {index}");
    }
}

#[test]
fn whatever_is_wrong_with_a_check_has_its_word() {
    let well = with_health(&Arc::new(AtomicU16::new(200)));
    let told = |reply: Reply| {
        Origin::start(move |request| {
            if request.path() == "/health" {
                reply.clone()
            } else {
                Reply::ok("x")
            }
        })
    };
    for (reply, more, reason) in [
        (Reply::ok("warming up"), ", body = \"ready\"", "check.body"),
        (
            Reply::ok("x").status(204),
            ", status = \"200\"",
            "check.status",
        ),
        (Reply::stall(), ", timeout = \"200ms\"", "check.timeout"),
        (Reply::close(), "", "check.closed"),
        (
            Reply::bytes("SSH-2.0-OpenSSH\r\n\r\n").and_close(),
            "",
            "check.head",
        ),
    ] {
        let ill = told(reply);
        let pool = format!("health = {{ path = \"/health\", interval = \"200ms\"{more} }}");
        let origins = if reason == "check.body" || reason == "check.status" {
            vec![&ill]
        } else {
            vec![&ill, &well]
        };
        let proxy = dealing_to(&origins, &pool);
        let name = ill.address().to_string();
        proxy.wait_for_log(|line| {
            line.contains("pool.server.state")
                && line.contains(&name)
                && line.contains(&format!("to=down reason={reason}"))
        });
        // The last one is used all the same: it does answer.
        assert_eq!(
            Client::connect(proxy.address()).get("/").status,
            200,
            "{reason}"
        );
    }
    let dead = closed_address().to_string();
    for kind in [
        "\"tcp\"",
        "\"/health\"",
        "{ kind = \"tcp\", interval = \"100ms\" }",
    ] {
        let servers = [dead.clone(), well.address().to_string()];
        let proxy = start(&config_of(&servers, &format!("health = {kind}")));
        proxy.wait_for_log(|line| line.contains(&dead) && line.contains("reason=check.connect"));
        assert!(
            is_in_state(&proxy, &well.address().to_string(), "up"),
            "{kind}"
        );
    }
    // Text that is there, in chunks too.
    let ready = told(Reply::empty(200).chunked(&["not yet re", "ady"]));
    let pool = "health = { path = \"/health\", body = \"ready\", interval = \"100ms\" }";
    let proxy = dealing_to(&[&ready], pool);
    assert!(wait_until(SOON, || checks(&ready) > 3));
    wait_for_state(&proxy, &ready.address().to_string(), "up");
    assert!(
        !proxy
            .log_lines()
            .iter()
            .any(|line| line.contains("to=down"))
    );
}

#[test]
fn a_check_at_another_port_asks_there_only() {
    let server = Origin::start(|_| Reply::ok("x"));
    let health = Arc::new(AtomicU16::new(200));
    let beside = with_health(&health);
    let pool = format!(
        "health = {{ path = \"/health\", port = {}, interval = \"100ms\" }}",
        beside.address().port()
    );
    let proxy = dealing_to(&[&server], &pool);
    assert!(wait_until(SOON, || checks(&beside) > 2));
    assert_eq!(server.connections().len(), 0);
    health.store(503, Ordering::SeqCst);
    wait_for_state(&proxy, &server.address().to_string(), "down");
}

#[test]
fn a_check_says_who_asks_and_nothing_of_any_client() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = dealing_to(
        &[&origin],
        "health = { path = \"/health?deep=1\", interval = \"100ms\" }",
    );
    let asked = || {
        origin
            .requests()
            .into_iter()
            .find(|r| r.path() == "/health")
    };
    assert!(wait_until(SOON, || asked().is_some()));
    let request = asked().unwrap();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", "/health?deep=1")
    );
    assert_eq!(
        request.header("Host"),
        Some(origin.address().to_string().as_str())
    );
    assert_eq!(request.header("User-Agent"), Some("croupier-check"));
    assert_eq!(request.header("Connection"), Some("close"));
    assert_eq!(request.headers.len(), 3, "{:?}", request.headers);
    let config = config_of(
        &names(&[&origin]),
        "health = { path = \"/other\", method = \"HEAD\", host = \"app.test\", interval = \"100ms\" }",
    );
    proxy.reload(&config);
    let asked = || origin.requests().into_iter().find(|r| r.path() == "/other");
    assert!(wait_until(SOON, || asked().is_some()));
    let request = asked().unwrap();
    assert_eq!(
        (request.method.as_str(), request.header("Host")),
        ("HEAD", Some("app.test"))
    );
    assert!(proxy.access_log().is_empty(), "checks are no exchanges");
}

#[test]
fn who_waits_for_a_server_that_goes_down_is_sent_to_another_at_once() {
    let health = Arc::new(AtomicU16::new(200));
    let (told, go) = (Arc::clone(&health), Event::new());
    let open = go.clone();
    let ill = Origin::start(move |request| match request.path() {
        "/health" => Reply::empty(told.load(Ordering::SeqCst)),
        _ => Reply::wait_for(&open).then(Reply::ok("late")),
    });
    let well = with_health(&Arc::new(AtomicU16::new(200)));
    let check =
        format!("health = {{ path = \"/health\", {QUICK} }}\nretry = {{ budget = \"off\" }}");
    let proxy = dealing_to(&[&ill, &well], &check);
    let ask = |method: &str| {
        let mut client = Client::connect(proxy.address()).patience(Duration::from_secs(20));
        client.send_request(method, "/", &[], "");
        client
    };
    let mut gets: Vec<_> = (0..8).map(|_| ask("GET")).collect();
    let mut posts: Vec<_> = (0..4).map(|_| ask("POST")).collect();
    assert!(wait_until(SOON, || traffic(&ill) == 6));
    health.store(500, Ordering::SeqCst);
    for client in &mut gets {
        assert_eq!(client.read_response().text(), "x");
    }
    let line = proxy.wait_for_log(|line| line.contains("origin.gone"));
    assert!(line.contains(&ill.address().to_string()), "{line}");
    go.fire();
    let late = posts
        .iter_mut()
        .filter(|_| true)
        .map(|client| client.read_response().text());
    assert_eq!(
        late.filter(|text| text == "late").count(),
        2,
        "a POST waits for its server"
    );
}

#[test]
fn a_reload_keeps_what_is_known_and_starts_and_ends_checks() {
    let health = Arc::new(AtomicU16::new(500));
    let (ill, well) = (
        with_health(&health),
        with_health(&Arc::new(AtomicU16::new(200))),
    );
    let name = ill.address().to_string();
    let check = format!("health = {{ path = \"/health\", {QUICK} }}");
    let servers = names(&[&ill, &well]);
    let proxy = start(&config_of(&servers, &check));
    wait_for_state(&proxy, &name, "down");
    // Something else changes.
    proxy.reload(&config_of(
        &servers,
        &format!("{check}\nretry = {{ max = 1 }}"),
    ));
    assert!(is_in_state(&proxy, &name, "down"));
    let asked = checks(&ill);
    assert!(
        wait_until(SOON, || checks(&ill) > asked + 1),
        "checks go on"
    );
    for _ in 0..6 {
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    }
    assert_eq!(traffic(&ill), 0);
    // No checks: the traffic decides.
    proxy.reload(&config_of(&servers, ""));
    proxy.wait_for_log(|line| line.contains(&name) && line.contains("check.removed"));
    assert!(is_in_state(&proxy, &name, "up"));
    let asked = checks(&ill);
    for _ in 0..6 {
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    }
    assert!(traffic(&ill) > 0);
    assert!(checks(&ill) <= asked + 1, "at most one was under way");
    // And again.
    let count = proxy.log_lines().len();
    proxy.reload(&config_of(&servers, &check));
    proxy.wait_for_log_after(count, |line| {
        line.contains(&name) && line.contains("to=down")
    });
    // A server that comes with a reload is checked as at the start.
    let third = with_health(&Arc::new(AtomicU16::new(500)));
    proxy.reload(&config_of(&names(&[&well, &third]), &check));
    wait_for_state(&proxy, &third.address().to_string(), "down");
    let asked = checks(&ill);
    assert!(wait_until(SOON, || checks(&third) > 3));
    assert!(checks(&ill) <= asked + 1, "who is gone is not asked");
}

/// Two servers, the first of which answers with this while it is ill.
fn ill_and_well(reply: Reply) -> (Arc<AtomicBool>, Origin, Origin) {
    let is_ill = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&is_ill);
    let ill = Origin::start(move |_| {
        if told.load(Ordering::SeqCst) {
            reply.clone()
        } else {
            Reply::ok("back")
        }
    });
    (is_ill, ill, Origin::start(|_| Reply::ok("well")))
}

#[test]
fn traffic_puts_aside_who_fails_and_one_request_finds_out_that_it_is_back() {
    for (reply, reason, failures) in [
        (Reply::empty(503), "status.503", 5),
        (Reply::empty(502), "status.502", 5),
        (Reply::close(), "origin.closed", 3),
        (
            Reply::bytes("x\r\n\r\n").and_close(),
            "origin.head.malformed",
            3,
        ),
    ] {
        let (is_ill, ill, well) = ill_and_well(reply);
        let proxy = dealing_to(&[&ill, &well], "eject = { first = \"1s\" }");
        let name = ill.address().to_string();
        let mut client = Client::connect(proxy.address());
        let out = wait_until(SOON, || {
            assert_eq!(client.get("/").status, 200, "{reason}");
            proxy.log_lines().iter().any(|line| {
                line.contains(&name) && line.contains(&format!("to=ejected reason={reason}"))
            })
        });
        assert!(out, "{reason}");
        assert_eq!(ill.requests().len(), failures, "{reason}");
        assert!(is_in_state(&proxy, &name, "ejected"));
        is_ill.store(false, Ordering::SeqCst);
        let before = ill.requests().len();
        let back = wait_until(SOON, || client.get("/").text() == "back");
        assert!(back, "{reason}");
        assert_eq!(
            ill.requests().len(),
            before + 1,
            "one probe, and it was served"
        );
        assert!(is_in_state(&proxy, &name, "up"));
        proxy.wait_for_log(|line| line.contains(&name) && line.contains("probe.passed"));
    }
}

#[test]
fn a_post_is_no_probe_while_others_are_well() {
    let (is_ill, ill, well) = ill_and_well(Reply::close());
    let proxy = dealing_to(&[&ill, &well], "eject = { first = \"1s\" }");
    let name = ill.address().to_string();
    let mut client = Client::connect(proxy.address());
    assert!(wait_until(SOON, || {
        client.get("/").status == 200 && is_in_state(&proxy, &name, "ejected")
    }));
    let before = ill.requests().len();
    is_ill.store(false, Ordering::SeqCst);
    // Only a request that may be repeated finds out; the first GET does, since its time is over
    // by then or not, and no POST did before.
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        let response = client.request("POST", "/", &[], "x");
        assert_eq!(response.text(), "well");
    }
    assert_eq!(ill.requests().len(), before);
    assert!(wait_until(SOON, || client.get("/").text() == "back"));
}

#[test]
fn nobody_is_put_aside_when_that_is_switched_off() {
    let (_, ill, well) = ill_and_well(Reply::close());
    let proxy = dealing_to(&[&ill, &well], "eject = false");
    let mut client = Client::connect(proxy.address());
    for _ in 0..40 {
        assert_eq!(client.get("/").text(), "well");
    }
    assert_eq!(ill.requests().len(), 20);
    assert!(is_in_state(&proxy, &ill.address().to_string(), "up"));
    assert!(
        !proxy
            .log_lines()
            .iter()
            .any(|line| line.contains("to=ejected"))
    );
}

#[test]
fn a_server_that_fails_too_large_a_share_is_put_aside() {
    // Never two in a row: no streak would find it.
    let number = AtomicUsize::new(0);
    let flaky = Origin::start(move |_| {
        if number.fetch_add(1, Ordering::SeqCst) % 3 == 2 {
            Reply::ok("x")
        } else {
            Reply::empty(503)
        }
    });
    let [b, c] = [(); 2].map(|()| Origin::start(|_| Reply::ok("x")));
    let pool = "eject = { failures = 1000, gateway_errors = 1000, ratio = \"50%\" }";
    let proxy = dealing_to(&[&flaky, &b, &c], pool);
    let name = flaky.address().to_string();
    let mut client = Client::connect(proxy.address());
    let mut asked = 0;
    let out = wait_until(SOON, || {
        for _ in 0..10 {
            assert_eq!(client.get("/").status, 200);
        }
        asked += 10;
        is_in_state(&proxy, &name, "ejected")
    });
    assert!(out, "{asked} requests did not tell");
    assert!(flaky.requests().len() >= 20, "of at least twenty");
    proxy.wait_for_log(|line| line.contains("to=ejected reason=failure.ratio"));
}

#[test]
fn failing_answers_put_aside_half_of_a_pool_at_most() {
    let origins: Vec<_> = (0..4).map(|_| Origin::start(|_| Reply::close())).collect();
    let all: Vec<_> = origins.iter().collect();
    let proxy = dealing_to(&all, "retry = { budget = \"off\" }");
    for _ in 0..60 {
        assert_eq!(Client::connect(proxy.address()).get("/").status, 502);
    }
    let out = |proxy: &Proxy| {
        let of = |origin: &&Origin| is_in_state(proxy, &origin.address().to_string(), "ejected");
        all.iter().filter(|origin| of(origin)).count()
    };
    assert_eq!(out(&proxy), 2);
}

#[test]
fn a_pool_that_is_all_ill_by_its_checks_is_used_all_the_same() {
    let health = Arc::new(AtomicU16::new(200));
    let origins: Vec<_> = (0..3).map(|_| with_health(&health)).collect();
    let all: Vec<_> = origins.iter().collect();
    let check = format!("health = {{ path = \"/health\", {QUICK} }}");
    let proxy = dealing_to(&all, &check);
    health.store(500, Ordering::SeqCst);
    for origin in &origins {
        wait_for_state(&proxy, &origin.address().to_string(), "down");
    }
    proxy.wait_for_log(|line| line.contains("pool.fail_open"));
    assert_eq!(metric(&proxy, "croupier_pool_fail_open{pool=\"app\"}"), 1.0);
    for method in ["GET", "POST"] {
        for _ in 0..6 {
            let response = Client::connect(proxy.address()).request(method, "/", &[], "");
            assert_eq!(response.status, 200);
        }
    }
    assert!(origins.iter().all(|origin| traffic(origin) > 0));
    health.store(200, Ordering::SeqCst);
    proxy.wait_for_log(|line| line.contains("pool.well"));
    assert!(wait_until(SOON, || {
        metric(&proxy, "croupier_pool_fail_open{pool=\"app\"}") == 0.0
    }));
}

#[test]
fn each_address_of_a_name_is_checked_for_itself() {
    let dns = Dns::start();
    let health = Arc::new(AtomicU16::new(200));
    let told = Arc::clone(&health);
    let ill = Origin::start_at(
        SocketAddr::from(([127, 0, 0, 2], 0)),
        move |request| match request.path() {
            "/health" => Reply::empty(told.load(Ordering::SeqCst)),
            _ => Reply::ok("ill"),
        },
    );
    let port = ill.address().port();
    let well = Origin::start_at(SocketAddr::from(([127, 0, 0, 3], port)), |_| {
        Reply::ok("well")
    });
    dns.addresses("app.test", 300, &["127.0.0.2", "127.0.0.3"]);
    let config = config_of(
        &[format!("app.test:{port}")],
        &format!("health = {{ path = \"/health\", {QUICK} }}"),
    );
    let resolver = format!("workers = 1\nresolver = [\"{}\"]\n", dns.address());
    let proxy = start(&config.replace("workers = 1\n", &resolver));
    let mut client = Client::connect(proxy.address());
    assert!(wait_until(SOON, || client.get("/").text() == "ill"));
    let asked = ill.requests().into_iter().find(|r| r.path() == "/health");
    let asked = asked.or_else(|| {
        let _ = wait_until(SOON, || checks(&ill) > 0);
        ill.requests().into_iter().find(|r| r.path() == "/health")
    });
    let host = format!("app.test:{port}");
    assert_eq!(asked.unwrap().header("Host"), Some(host.as_str()));
    health.store(500, Ordering::SeqCst);
    proxy.wait_for_log(|line| line.contains("app.test") && line.contains("to=down"));
    for _ in 0..8 {
        assert_eq!(client.get("/").text(), "well");
    }
    assert!(!well.requests().is_empty());
}
