//! Reuse of origin connections does not fall as workers are added: what one worker does not need
//! any worker may take.
//!
//! Clients come over new connections, which the kernel spreads over the workers. The origin says
//! how many connections it saw, the metrics when one has become a spare.

use std::{fs, time::Duration};

use croupier_testkit::{Event, Signal, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

const REQUESTS: usize = 24;

fn behind(server: &str, workers: usize, idle: &str) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nworkers = {workers}\n\
         [timeouts]\norigin_idle = \"{idle}\"\n\
         [pool.app]\nservers = [\"{server}\"]\n[site.\"*\"]\npool = \"app\"\n"
    ))
}

fn spares(proxy: &Proxy) -> f64 {
    metric(proxy, "croupier_spare_connections")
}

fn idle(proxy: &Proxy, server: &str) -> f64 {
    let series =
        format!("croupier_server_connections{{pool=\"app\",server=\"{server}\",state=\"idle\"}}");
    metric(proxy, &series)
}

fn leases(proxy: &Proxy, connection: &str) -> f64 {
    metric(
        proxy,
        &format!("croupier_leases_total{{connection=\"{connection}\"}}"),
    )
}

/// Waits until that many connections are idle, and all of them where any worker may take them.
fn wait_for_spares(proxy: &Proxy, server: &str, count: usize) {
    assert!(
        wait_until(SOON, || spares(proxy) == count as f64
            && idle(proxy, server) == count as f64),
        "{} spares, {} idle, {count} expected",
        spares(proxy),
        idle(proxy, server)
    );
}

fn get(proxy: &Proxy, path: &str) {
    assert_eq!(Client::connect(proxy.address()).get(path).status, 200);
}

#[test]
fn thin_traffic_needs_as_many_connections_with_four_workers_as_with_one() {
    let mut ratios = Vec::new();
    for workers in [1, 4] {
        let origin = Origin::start(|_| Reply::ok("x"));
        let server = origin.address().to_string();
        let proxy = behind(&server, workers, "60s");
        for _ in 0..REQUESTS {
            get(&proxy, "/");
            if workers > 1 {
                wait_for_spares(&proxy, &server, 1);
            }
        }
        let connections = origin.connections().len();
        ratios.push(1.0 - connections as f64 / REQUESTS as f64);
        assert_eq!(connections, 1, "with {workers} workers");
        assert_eq!(leases(&proxy, "dialled"), 1.0);
        let again = (REQUESTS - 1) as f64;
        let from = if workers > 1 { "spare" } else { "kept" };
        assert_eq!(leases(&proxy, from), again, "with {workers} workers");
    }
    println!("reuse with 1 and with 4 workers: {ratios:?}");
    assert_eq!(ratios[0], ratios[1]);
}

#[test]
fn steady_traffic_costs_at_most_a_connection_a_worker() {
    for workers in [1, 4] {
        let origin = Origin::start(|_| Reply::ok("x"));
        let proxy = behind(&origin.address().to_string(), workers, "60s");
        for _ in 0..4 * REQUESTS {
            get(&proxy, "/");
        }
        let connections = origin.connections().len();
        println!("{connections} connections with {workers} workers");
        assert!(connections <= workers, "{connections} of {workers} workers");
    }
}

#[test]
fn a_second_burst_finds_the_connections_of_the_first_wherever_it_lands() {
    const BURST: usize = 12;
    let gates = [Event::new(), Event::new()];
    let told = gates.clone();
    let origin = Origin::start(move |request| {
        Reply::wait_for(&told[usize::from(request.path() == "/1")]).then(Reply::ok("x"))
    });
    let server = origin.address().to_string();
    let proxy = behind(&server, 4, "60s");
    for (round, gate) in gates.iter().enumerate() {
        let mut clients: Vec<_> = (0..BURST)
            .map(|_| Client::connect(proxy.address()))
            .collect();
        for client in &mut clients {
            client.send_request("GET", &format!("/{round}"), &[], "");
        }
        origin.wait_for_heads(BURST * (round + 1), SOON);
        gate.fire();
        for client in &mut clients {
            assert_eq!(client.read_response().status, 200);
        }
        wait_for_spares(&proxy, &server, BURST);
    }
    assert_eq!(origin.connections().len(), BURST);
    assert_eq!(leases(&proxy, "spare"), BURST as f64);
}

#[test]
fn spares_over_a_unix_socket_are_as_good() {
    let directory = std::env::temp_dir().join(format!("croupier-reuse-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("origin.sock");
    let origin = Origin::start_unix(&path, |request| Reply::ok(&request.body));
    let server = format!("unix:{}", path.display());
    let proxy = behind(&server, 3, "60s");
    for _ in 0..4 {
        let reply = Client::connect(proxy.address()).request("POST", "/", &[], "as sent");
        assert_eq!(reply.text(), "as sent");
        wait_for_spares(&proxy, &server, 1);
    }
    assert_eq!(origin.connections().len(), 1);
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn a_spare_that_its_server_closed_is_never_used() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let server = origin.address().to_string();
    let proxy = behind(&server, 4, "60s");
    for round in 1..=5 {
        get(&proxy, "/");
        wait_for_spares(&proxy, &server, 1);
        assert_eq!(origin.kill_idle_connections(), 1);
        // Some asked before the next sweep, some behind it; none may be repeated.
        if round % 2 == 0 {
            wait_for_spares(&proxy, &server, 0);
        }
        let reply = Client::connect(proxy.address()).request("POST", "/", &[], "once");
        assert_eq!(reply.status, 200);
        wait_for_spares(&proxy, &server, 1);
        assert_eq!(origin.kill_idle_connections(), 1);
        wait_for_spares(&proxy, &server, 0);
    }
    assert_eq!(origin.requests().len(), 10);
    assert_eq!(
        metric(&proxy, "croupier_server_retries_total{pool=\"app\"}"),
        0.0
    );
}

#[test]
fn what_a_server_says_unasked_on_a_spare_reaches_nobody() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/seed" => Reply::ok("seeded")
            .then(Reply::wait_for(&told))
            .then(Reply::bytes(
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            ))
            .then(Reply::stall()),
        path => Reply::ok(path),
    });
    let server = origin.address().to_string();
    let proxy = behind(&server, 4, "60s");
    get(&proxy, "/seed");
    wait_for_spares(&proxy, &server, 1);
    go.fire();
    wait_for_spares(&proxy, &server, 0);
    let reply = Client::connect(proxy.address()).get("/next");
    assert_eq!(reply.text(), "/next");
    assert_eq!(origin.connections()[0].requests, 1);
}

#[test]
fn spares_end_with_their_time_and_with_the_process() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let server = origin.address().to_string();
    let proxy = behind(&server, 4, "1s");
    get(&proxy, "/");
    wait_for_spares(&proxy, &server, 1);
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    wait_for_spares(&proxy, &server, 0);
    drop(proxy);

    let mut proxy = behind(&server, 4, "60s");
    get(&proxy, "/");
    wait_for_spares(&proxy, &server, 1);
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    origin.wait_for_connections(SOON, |all| all.iter().all(|one| one.ended.is_some()));
}

#[test]
fn spares_of_a_server_that_left_the_config_are_swept() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let server = origin.address().to_string();
    let proxy = behind(&server, 4, "1s");
    get(&proxy, "/");
    wait_for_spares(&proxy, &server, 1);
    proxy.reload(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nworkers = 4\n\
         [timeouts]\norigin_idle = \"1s\"\n[site.\"*\"]\nrespond = \"x\"\n",
    );
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert!(wait_until(SOON, || spares(&proxy) == 0.0));
}

#[test]
fn idle_connections_are_kept_without_end_when_nobody_says_otherwise() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let server = origin.address().to_string();
    for workers in [1, 2] {
        let proxy = behind(&server, workers, "off");
        let before = origin.connections().len();
        let mut client = Client::connect(proxy.address());
        client.get("/");
        if workers > 1 {
            wait_for_spares(&proxy, &server, 1);
        } else {
            client.expect_silence(Duration::from_millis(300)); // some ticks pass
        }
        client.get("/");
        assert_eq!(origin.connections().len(), before + 1, "{workers}");
    }
}
