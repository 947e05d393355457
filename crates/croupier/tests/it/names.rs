//! Servers that have names: what DNS says becomes true in time, and what it fails to say changes
//! nothing.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use croupier_testkit::{Dns, DnsAnswer, Event, RecordKind, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

/// One worker, so that turns can be counted; names are asked of this server.
fn config(dns: &Dns, rest: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
         resolver = [\"{}\"]\n{rest}\n",
        dns.address()
    )
}

/// A site for every host with these servers.
fn dealing_to(dns: &Dns, servers: &str) -> String {
    config(
        dns,
        &format!(
            "[pool.app]\nbalance = \"round-robin\"\nservers = [{servers}]\n[site.\"*\"]\npool = \"app\""
        ),
    )
}

fn origin_at(address: SocketAddr, word: &'static str) -> Origin {
    Origin::start_at(address, move |_| Reply::ok(word))
}

/// An origin at 127.0.0.2 and others at the same port of the next addresses.
fn neighbours<const N: usize>(words: [&'static str; N]) -> ([Origin; N], u16) {
    let mut port = 0;
    let origins = std::array::from_fn(|index| {
        let last = u8::try_from(index + 2).unwrap();
        let origin = origin_at(SocketAddr::from(([127, 0, 0, last], port)), words[index]);
        port = origin.address().port();
        origin
    });
    (origins, port)
}

#[test]
fn a_changed_address_is_followed_within_its_ttl_and_nobody_else_notices() {
    let dns = Dns::start();
    let ([old, new], port) = neighbours(["old", "new"]);
    let fixed = Origin::start(|_| Reply::ok("fixed"));
    dns.addresses("app.test", 1, &["127.0.0.2"]);
    let servers = format!("\"app.test:{port}\", \"{}\"", fixed.address());
    let proxy = start(&dealing_to(&dns, &servers));
    let mut client = Client::connect(proxy.address());
    for _ in 0..4 {
        client.get("/");
    }
    assert_eq!((old.requests().len(), fixed.requests().len()), (2, 2));

    let changed = Instant::now();
    dns.addresses("app.test", 1, &["127.0.0.3"]);
    let is_new = wait_until(SOON, || client.get("/").text() == "new");
    assert!(
        is_new && changed.elapsed() <= Duration::from_secs(2),
        "{:?}",
        changed.elapsed()
    );
    let line = proxy.wait_for_log(|line| line.contains("pool.name.changed") && line.contains(".3"));
    for part in [
        "pool=app",
        "name=app.test",
        "added=127.0.0.3",
        "removed=127.0.0.2",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    // The connection that waits at the old address closes; that to the other server stays.
    old.wait_for_connections(SOON, |all| all.iter().all(|one| one.ended.is_some()));
    let seen = old.requests().len();
    for _ in 0..6 {
        assert_ne!(client.get("/").text(), "old");
    }
    assert_eq!(old.requests().len(), seen);
    assert_eq!(
        (fixed.connections().len(), fixed.open_connections()),
        (1, 1)
    );
    assert_eq!(new.connections().len(), 1);
    let up = |last: u8| {
        let name = format!("app.test:{port}@127.0.0.{last}:{port}");
        metric(
            &proxy,
            &format!("croupier_server_up{{pool=\"app\",server=\"{name}\"}}"),
        )
    };
    assert_eq!((up(2), up(3)), (0.0, 1.0));
    let reloads = metric(&proxy, "croupier_config_reloads_total{result=\"success\"}");
    assert!(reloads < 1.0, "a found address is no reload");
}

#[test]
fn a_request_in_flight_ends_at_an_address_that_is_gone() {
    let dns = Dns::start();
    let go_on = Event::new();
    let told = go_on.clone();
    let old = Origin::start_at(SocketAddr::from(([127, 0, 0, 2], 0)), move |_| {
        Reply::wait_for(&told).then(Reply::ok("late"))
    });
    let port = old.address().port();
    let _new = origin_at(SocketAddr::from(([127, 0, 0, 3], port)), "new");
    dns.addresses("app.test", 1, &["127.0.0.2"]);
    let proxy = start(&dealing_to(&dns, &format!("\"app.test:{port}\"")));
    let mut waiting = Client::connect(proxy.address());
    waiting.send_request("GET", "/", &[], "");
    old.wait_for_requests(1, SOON);
    dns.addresses("app.test", 1, &["127.0.0.3"]);
    proxy.wait_for_log(|line| line.contains("removed=127.0.0.2"));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "new");
    go_on.fire();
    assert_eq!(waiting.read_response().text(), "late");
    // Nobody keeps what led there.
    old.wait_for_connections(SOON, |all| all.iter().all(|one| one.ended.is_some()));
}

#[test]
fn a_bad_answer_keeps_the_last_good_one() {
    let dns = Dns::start();
    let origin = origin_at(SocketAddr::from(([127, 0, 0, 2], 0)), "here");
    let port = origin.address().port();
    // Of the right question and id, and no message at all.
    let garbage = |question: &[u8]| {
        let mut packet = question[..2].to_vec();
        packet.extend([
            0x81, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0,
        ]);
        vec![vec![], packet[..7].to_vec(), packet]
    };
    let cases = [
        ("failure", DnsAnswer::Failure, "error=ServFail"),
        ("silence", DnsAnswer::Silence, "error=timeout"),
        ("nothing", DnsAnswer::Nothing, "error=\"no addresses\""),
        ("no-name", DnsAnswer::NoSuchName, "error=NXDOMAIN"),
        ("garbage", DnsAnswer::Packets(Arc::new(garbage)), "error="),
    ];
    let mut sites = String::new();
    for (name, _, _) in &cases {
        dns.addresses(&format!("{name}.test"), 1, &["127.0.0.2"]);
        sites += &format!("[site.\"{name}.site\"]\nproxy = \"{name}.test:{port}\"\n");
    }
    let proxy = start(&config(&dns, &sites));
    let before = proxy.log_lines().len();
    for (name, bad, _) in &cases {
        dns.say_both(&format!("{name}.test"), bad);
    }
    for (name, _, error) in &cases {
        let line = proxy.wait_for_log_after(before, |line| {
            line.contains("pool.name.unresolved") && line.contains(&format!("name={name}.test"))
        });
        assert!(line.contains(error) && line.contains("kept=1"), "{line}");
        let mut client = Client::connect(proxy.address()).host(&format!("{name}.site"));
        assert_eq!(client.get("/").text(), "here", "{name}");
    }
    // And each recovers by itself.
    let _moved = origin_at(SocketAddr::from(([127, 0, 0, 3], port)), "there");
    for (name, _, _) in &cases {
        dns.addresses(&format!("{name}.test"), 1, &["127.0.0.3"]);
    }
    for (name, _, _) in &cases {
        let mut client = Client::connect(proxy.address()).host(&format!("{name}.site"));
        let is_back = wait_until(2 * SOON, || client.get("/").text() == "there");
        assert!(is_back, "{name}");
    }
}

#[test]
fn one_family_that_fails_takes_nothing_away() {
    let dns = Dns::start();
    let ([_one, two], port) = neighbours(["one", "two"]);
    dns.addresses("app.test", 1, &["127.0.0.2"]);
    dns.say("app.test", RecordKind::Aaaa, DnsAnswer::Silence);
    let proxy = start(&dealing_to(&dns, &format!("\"app.test:{port}\"")));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/").text(), "one", "found within the start");
    dns.addresses("app.test", 1, &["127.0.0.2", "127.0.0.3"]);
    dns.say("app.test", RecordKind::Aaaa, DnsAnswer::Failure);
    assert!(wait_until(SOON, || client.get("/").text() == "two"));
    dns.say("app.test", RecordKind::A, DnsAnswer::Failure);
    proxy.wait_for_log(|line| line.contains("pool.name.unresolved") && line.contains("kept=2"));
    let seen = two.requests().len();
    for _ in 0..4 {
        client.get("/");
    }
    assert_eq!(two.requests().len(), seen + 2);
}

#[test]
fn a_name_that_does_not_exist_yet_stops_nothing_and_is_found_when_it_does() {
    let dns = Dns::start();
    let origin = origin_at(SocketAddr::from(([127, 0, 0, 2], 0)), "born");
    let port = origin.address().port();
    let other = Origin::start(|_| Reply::ok("other"));
    let proxy = start(&config(
        &dns,
        &format!(
            "[site.\"late.site\"]\nproxy = \"late.test:{port}\"\n[site.\"*\"]\nproxy = \"{}\"",
            other.address()
        ),
    ));
    let mut client = Client::connect(proxy.address()).host("late.site");
    assert_eq!(client.get("/").status, 503);
    proxy.wait_for_access(|line| line.contains("proxy.pool.empty"));
    proxy.wait_for_log(|line| line.contains("pool.name.unresolved") && line.contains("kept=0"));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "other");
    dns.addresses("late.test", 60, &["127.0.0.2"]);
    assert!(wait_until(SOON, || client.get("/").status == 200));
}

#[test]
fn each_address_of_a_name_has_its_own_health() {
    let dns = Dns::start();
    let ([dead, alive], port) = neighbours(["dead", "alive"]);
    dead.stop();
    dns.addresses("app.test", 60, &["127.0.0.2", "127.0.0.3"]);
    let servers = format!("\"app.test:{port}\"");
    let text = dealing_to(&dns, &servers);
    let proxy = start(&text.replace("[pool.app]\n", "[pool.app]\nhost = \"server\"\n"));
    let mut client = Client::connect(proxy.address());
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "alive");
    }
    let requests = alive.requests();
    assert_eq!(
        requests[0].headers.get("host"),
        Some(format!("app.test:{port}").as_str())
    );
    let line = proxy.wait_for_log(|line| line.contains("pool.server.state"));
    assert!(
        line.contains(&format!("server=app.test:{port}@127.0.0.2:{port}")),
        "{line}"
    );
    dead.restart();
    assert!(wait_until(SOON, || client.get("/").text() == "dead"));
}

#[test]
fn answers_hide_the_name_and_the_address() {
    let dns = Dns::start();
    let origin = Origin::start_at(SocketAddr::from(([127, 0, 0, 2], 0)), |request| {
        let to = request.headers.get("x-to").unwrap().to_owned();
        Reply::redirect(&format!("http://{to}/next"))
    });
    let port = origin.address().port();
    dns.addresses("app.test", 60, &["127.0.0.2"]);
    let proxy = start(&dealing_to(&dns, &format!("\"app.test:{port}\"")));
    for to in [format!("app.test:{port}"), format!("127.0.0.2:{port}")] {
        let mut client = Client::connect(proxy.address()).host("shop.site");
        let response = client.request("GET", "/", &[("x-to", &to)], "");
        let location = response.headers.get("location").unwrap();
        assert!(location.contains("shop.site/next"), "{location}");
    }
}

#[test]
fn an_srv_record_says_who_is_asked_how_often_and_who_only_in_need() {
    let dns = Dns::start();
    let ([heavy, light, spare], port) = neighbours(["heavy", "light", "spare"]);
    let records = vec![
        DnsAnswer::srv(20, 1, port, "spare.test"),
        DnsAnswer::srv(10, 1, port, "light.test"),
        DnsAnswer::srv(10, 3, port, "Heavy.test"),
    ];
    dns.say(
        "_http._tcp.web.test",
        RecordKind::Srv,
        DnsAnswer::Records(1, records),
    );
    for (host, address) in [("heavy", 2), ("light", 3), ("spare", 4)] {
        dns.addresses(
            &format!("{host}.test"),
            60,
            &[&format!("127.0.0.{address}")],
        );
    }
    let proxy = start(&dealing_to(&dns, "\"dns+srv://_http._tcp.web.test\""));
    let mut client = Client::connect(proxy.address());
    for _ in 0..40 {
        client.get("/");
    }
    let counts = [&heavy, &light, &spare].map(|origin| origin.requests().len());
    assert_eq!(counts, [30, 10, 0]);
    heavy.stop();
    light.stop();
    assert_eq!(client.get("/").text(), "spare", "nobody before it is left");
    proxy.wait_for_access(|line| line.contains(&format!("spare.test:{port}@127.0.0.4:{port}")));

    // The service moves; a host that can not be looked up does not hold the others up.
    light.restart();
    let records = vec![
        DnsAnswer::srv(1, 0, port, "light.test"),
        DnsAnswer::srv(1, 0, port, "nowhere.test"),
    ];
    dns.say(
        "_http._tcp.web.test",
        RecordKind::Srv,
        DnsAnswer::Records(1, records),
    );
    proxy.wait_for_log(|line| line.contains("pool.name.changed") && line.contains("removed=127"));
    assert!(wait_until(SOON, || client.get("/").text() == "light"));
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "light");
    }
    // A target that is the root says that there is no service: not believed, as an empty answer.
    let none = vec![DnsAnswer::srv(0, 0, 0, "")];
    dns.say(
        "_http._tcp.web.test",
        RecordKind::Srv,
        DnsAnswer::Records(1, none),
    );
    proxy.wait_for_log(|line| line.contains("pool.name.unresolved") && line.contains("kept=1"));
    assert_eq!(client.get("/").text(), "light");
}

#[test]
fn a_huge_answer_is_cut_in_a_stable_order_and_said_so() {
    let dns = Dns::start();
    let address = |n: u16| {
        vec![
            127,
            1,
            u8::try_from(n / 250).unwrap(),
            u8::try_from(n % 250 + 1).unwrap(),
        ]
    };
    let many: Vec<_> = (0..500).map(address).collect();
    dns.say(
        "many.test",
        RecordKind::A,
        DnsAnswer::Records(1, many.clone()),
    );
    dns.say("many.test", RecordKind::Aaaa, DnsAnswer::Nothing);
    let proxy = start(&dealing_to(&dns, "\"many.test:80\""));
    let line = proxy.wait_for_log(|line| line.contains("pool.name.cut"));
    assert!(
        line.contains("records=500") && line.contains("kept=64"),
        "{line}"
    );
    assert!(dns.questions().iter().any(|question| question.is_tcp));
    let servers = || {
        let page = Client::connect(proxy.metrics_address())
            .get("/metrics")
            .text();
        let lines = page
            .lines()
            .filter(|line| line.starts_with("croupier_server_up{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = servers();
    assert_eq!(before.len(), 64);
    // The same in another order is the same.
    let lines = proxy.log_lines().len();
    let turned: Vec<_> = many.into_iter().rev().collect();
    dns.say("many.test", RecordKind::A, DnsAnswer::Records(1, turned));
    let asked = dns.count("many.test", RecordKind::A);
    dns.wait_for("many.test", RecordKind::A, asked + 4, SOON);
    assert_eq!(servers(), before);
    let log = proxy.log_lines();
    assert!(
        !log[lines..].iter().any(|line| line.contains("pool.name")),
        "{log:?}"
    );
}

#[test]
fn a_ttl_of_zero_is_asked_for_once_a_second_at_most() {
    let dns = Dns::start();
    dns.addresses("app.test", 0, &["127.0.0.2"]);
    let _proxy = start(&dealing_to(&dns, "\"app.test:80\""));
    dns.wait_for("app.test", RecordKind::A, 4, SOON);
    let times: Vec<_> = dns
        .questions()
        .into_iter()
        .filter(|question| question.kind == RecordKind::A)
        .map(|question| question.at)
        .collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] > Duration::from_millis(990), "{times:?}");
    }
}

#[test]
fn a_forged_packet_is_passed_over() {
    let dns = Dns::start();
    let origin = origin_at(SocketAddr::from(([127, 0, 0, 2], 0)), "true");
    let port = origin.address().port();
    let answer = |question: &[u8]| {
        let end = question[12..].iter().position(|byte| *byte == 0).unwrap() + 12 + 5;
        let make = |id: [u8; 2], address: u8| {
            let mut packet = id.to_vec();
            packet.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            packet.extend(&question[12..end]);
            packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, address]);
            packet
        };
        let id = [question[0], question[1]];
        vec![vec![1], make([!id[0], id[1]], 66), make(id, 2)]
    };
    dns.say(
        "app.test",
        RecordKind::A,
        DnsAnswer::Packets(Arc::new(answer)),
    );
    let proxy = start(&dealing_to(&dns, &format!("\"app.test:{port}\"")));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "true");
    assert!(
        !proxy
            .log_lines()
            .iter()
            .any(|line| line.contains("127.0.0.66"))
    );
}

#[test]
fn localhost_needs_no_dns() {
    let dns = Dns::start();
    let origin = Origin::start(|_| Reply::ok("here"));
    let servers = format!("\"localhost:{}\"", origin.address().port());
    let proxy = start(&dealing_to(&dns, &servers));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "here");
    assert!(dns.questions().is_empty());
}

#[test]
fn a_reload_asks_for_new_names_only_and_keeps_what_is_known() {
    let dns = Dns::start();
    let ([one, two], port) = neighbours(["one", "two"]);
    dns.addresses("one.test", 60, &["127.0.0.2"]);
    dns.addresses("two.test", 60, &["127.0.0.3"]);
    let proxy = start(&dealing_to(&dns, &format!("\"one.test:{port}\"")));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/").text(), "one");
    let both = format!("\"one.test:{port}\", \"two.test:{port}\"");
    let line = proxy.reload(&dealing_to(&dns, &both));
    assert!(line.contains("two.test"), "{line}");
    for _ in 0..4 {
        client.get("/");
    }
    assert_eq!((one.requests().len(), two.requests().len()), (3, 2));
    assert_eq!(one.connections().len(), 1);
    assert_eq!(dns.count("one.test", RecordKind::A), 1);
    let line = proxy.reload(&dealing_to(&dns, &format!("\"two.test:{port}\"")));
    assert!(line.contains("removed"), "{line}");
    one.wait_for_connections(SOON, |all| all.iter().all(|one| one.ended.is_some()));
    assert_eq!(client.get("/").text(), "two");
}

#[test]
fn check_and_explain_ask_nobody() {
    let dns = Dns::start();
    dns.say_both("app.test", &DnsAnswer::Silence);
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let text = dealing_to(&dns, "\"app.test:80\", \"dns+srv://_http._tcp.web.test\"");
    let launch = launch.file("croupier.toml", &text);
    let exit = launch.run(&["check"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let exit = launch.run(&["explain", "GET", "http://shop.site/"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    for name in ["app.test:80", "dns+srv://_http._tcp.web.test"] {
        assert!(exit.stdout.contains(name), "{name}: {}", exit.stdout);
    }
    assert!(dns.questions().is_empty());
}
