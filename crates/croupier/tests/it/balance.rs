//! Whom a request is dealt to: every word of `balance` does what it says, weights and tiers hold,
//! and all workers deal as one.
//!
//! Where chance decides, bounds are wider than six standard deviations: a false alarm is rarer
//! than one in a thousand million.

use std::{ops::RangeInclusive, sync::mpsc, time::Duration};

use croupier_testkit::{Event, wait_until};

use crate::{
    crowd::{Holding, ask, list, numbered, pooled, shares, weighted},
    prelude::{Client, Origin, Reply, SOON, start},
};

fn within(counts: &[usize], bounds: &[RangeInclusive<usize>]) -> bool {
    let mut both = counts.iter().zip(bounds);
    counts.len() == bounds.len() && both.all(|(count, bounds)| bounds.contains(count))
}

#[test]
fn every_word_keeps_to_the_weights() {
    // Of 600 requests one, two and three sixths. Who looks at the load sees now and then that the
    // last request is just ending, and goes elsewhere: those are nearer to each other.
    let by_lot = [40..=160, 125..=275, 220..=380];
    let by_load = [40..=190, 125..=290, 180..=380];
    for (word, bounds) in [
        ("random", &by_lot),
        ("round-robin", &[99..=101, 199..=201, 299..=301]),
        ("two-choices", &by_load),
        ("least-requests", &by_load),
    ] {
        let origins = numbered(3);
        let servers = weighted(&origins, &["", "weight = 2", "weight = 3"]);
        let proxy = start(&pooled(
            "workers = 1",
            &format!("balance = \"{word}\"\nservers = {servers}"),
        ));
        let counts = shares(&mut Client::connect(proxy.address()), 3, 600);
        assert!(within(&counts, bounds), "{word}: {counts:?}");
    }
}

#[test]
fn workers_count_each_others_requests() {
    let held = Holding::start(8);
    let proxy = start(&pooled(
        "workers = 4",
        &format!(
            "balance = \"least-requests\"\nservers = {}",
            list(&held.origins)
        ),
    ));
    let (mut clients, counts) = held.send(proxy.address(), 8, &[]);
    assert_eq!(counts, [1; 8], "each server has one before one has two");
    let (more, counts) = held.send(proxy.address(), 8, &[]);
    assert_eq!(counts, [1; 8]);
    clients.extend(more);
    held.finish(clients);
}

#[test]
fn least_requests_are_by_weight() {
    let held = Holding::start(3);
    let servers = weighted(&held.origins, &["weight = 4", "weight = 2", "weight = 1"]);
    let proxy = start(&pooled(
        "",
        &format!("balance = \"least-requests\"\nservers = {servers}"),
    ));
    let (clients, counts) = held.send(proxy.address(), 14, &[]);
    assert!(
        within(&counts, &[7..=9, 3..=5, 1..=3]),
        "by weight 8, 4 and 2: {counts:?}"
    );
    held.finish(clients);
}

#[test]
fn a_server_that_holds_its_requests_gets_few_more() {
    for word in ["two-choices", "least-requests"] {
        let (tell, told) = mpsc::channel();
        let go = Event::new();
        let holds = (tell.clone(), go.clone());
        let slow = Origin::start(move |_| {
            let _ = holds.0.send(true);
            Reply::wait_for(&holds.1).then(Reply::ok("slow"))
        });
        let quick = Origin::start(move |_| {
            let _ = tell.send(false);
            Reply::ok("quick")
        });
        let proxy = start(&pooled(
            "workers = 1",
            &format!(
                "balance = \"{word}\"\nservers = [\"{}\", \"{}\"]",
                slow.address(),
                quick.address()
            ),
        ));
        let mut client = Client::connect(proxy.address());
        let mut held = Vec::new();
        for _ in 0..100 {
            client.send_request("GET", "/", &[], "");
            if told.recv_timeout(SOON).unwrap() {
                held.push(std::mem::replace(
                    &mut client,
                    Client::connect(proxy.address()),
                ));
            } else {
                assert_eq!(client.read_response().text(), "quick");
            }
        }
        // With two in hand it is never the less loaded one.
        assert!(held.len() <= 2, "{word}: {} of 100", held.len());
        go.fire();
        for mut client in held {
            assert_eq!(client.read_response().text(), "slow");
        }
    }
}

#[test]
fn ewma_learns_who_is_slow() {
    let slow = Origin::start(|_| Reply::ok("slow").after(Duration::from_millis(900)));
    let quick = Origin::start(|_| Reply::ok("quick"));
    let proxy = start(&pooled(
        "",
        &format!(
            "balance = \"ewma\"\nservers = [\"{}\", \"{}\"]",
            slow.address(),
            quick.address()
        ),
    ));
    let mut client = Client::connect(proxy.address());
    let answers: Vec<_> = (0..150).map(|_| client.get("/").text()).collect();
    let slow = answers.iter().filter(|text| *text == "slow").count();
    assert!((1..=3).contains(&slow), "it was asked {slow} times of 150");
}

#[test]
fn chance_and_turns_do_not_care_who_is_slow() {
    let held = Holding::start(2);
    let proxy = start(&pooled(
        "workers = 1",
        &format!(
            "balance = \"round-robin\"\nservers = {}",
            list(&held.origins)
        ),
    ));
    let (clients, counts) = held.send(proxy.address(), 10, &[]);
    assert_eq!(counts, [5, 5]);
    held.finish(clients);
}

/// A request that differs from others in what the key is, and in nothing else.
fn keyed(client: &mut Client, key: &str, value: usize) -> usize {
    let text = format!("v{value}");
    let address = format!("192.0.2.{value}");
    let cookie = format!("a=1; session={text}; b=2");
    match key {
        "client.ip" => ask(client, "/", &[("X-Forwarded-For", &address)]),
        "header.X-User" => ask(client, "/", &[("x-user", &text)]),
        "cookie.session" => ask(client, "/", &[("Cookie", &cookie)]),
        "path" => ask(client, &format!("/{text}?x={}", fastrand()), &[]),
        "uri" => ask(client, &format!("/same?{text}"), &[]),
        "query.id" => ask(client, &format!("/{}?a=b&id={text}", fastrand()), &[]),
        other => panic!("no such key: {other}"),
    }
}

/// Anything: what must not matter.
fn fastrand() -> u128 {
    std::time::Instant::now().elapsed().as_nanos()
}

#[test]
fn the_same_key_goes_to_the_same_server() {
    for key in [
        "client.ip",
        "header.X-User",
        "cookie.session",
        "path",
        "uri",
        "query.id",
    ] {
        let origins = numbered(5);
        let proxy = start(&pooled(
            "trusted_proxies = [\"127.0.0.0/8\"]",
            &format!(
                "balance = {{ hash = \"{key}\" }}\nservers = {}",
                list(&origins)
            ),
        ));
        let mut client = Client::connect(proxy.address());
        let first: Vec<_> = (1..120).map(|v| keyed(&mut client, key, v)).collect();
        let mut client = Client::connect(proxy.address());
        let again: Vec<_> = (1..120).map(|v| keyed(&mut client, key, v)).collect();
        assert_eq!(first, again, "{key}");
        for server in 0..5 {
            // 24 are expected, and the table's shares are even.
            let count = first.iter().filter(|other| **other == server).count();
            assert!((1..=55).contains(&count), "{key}: {count} for {server}");
        }
    }
}

#[test]
fn when_a_server_leaves_few_keys_move_and_come_back_with_it() {
    for (table, moved_max) in [("maglev", 45), ("ring", 0)] {
        let origins = numbered(5);
        let all = |count| {
            pooled(
                "",
                &format!(
                    "balance = {{ hash = \"header.x-user\", table = \"{table}\" }}\nservers = {}",
                    list(&origins[..count])
                ),
            )
        };
        let proxy = start(&all(5));
        let mut client = Client::connect(proxy.address());
        let mut where_all = || -> Vec<usize> {
            let values = 0..200;
            values
                .map(|v| keyed(&mut client, "header.X-User", v))
                .collect()
        };
        let before = where_all();
        proxy.reload(&all(4));
        let without = where_all();
        let moved = before.iter().zip(&without);
        let moved = moved.filter(|(one, other)| **one != 4 && one != other);
        let moved = moved.count();
        assert!(moved <= moved_max, "{table}: {moved} of 200 moved");
        assert!(!without.contains(&4));
        proxy.reload(&all(5));
        assert_eq!(where_all(), before, "{table}");
    }
}

#[test]
fn keys_of_a_server_that_dies_move_alone_and_come_back() {
    let origins = numbered(4);
    let proxy = start(&pooled(
        "",
        &format!(
            "balance = {{ hash = \"header.x-user\", load = \"off\" }}\nservers = {}",
            list(&origins)
        ),
    ));
    let mut client = Client::connect(proxy.address());
    let mut where_all = || -> Vec<usize> {
        let values = 0..100;
        values
            .map(|v| keyed(&mut client, "header.X-User", v))
            .collect()
    };
    let before = where_all();
    origins[2].stop();
    let during = where_all();
    for (value, (before, during)) in before.iter().zip(&during).enumerate() {
        assert!(*before == 2 || before == during, "key {value}");
        assert_ne!(*during, 2);
    }
    origins[2].restart();
    assert!(wait_until(SOON, || where_all() == before));
}

#[test]
fn without_the_key_requests_are_spread() {
    let origins = numbered(4);
    let proxy = start(&pooled(
        "",
        &format!(
            "balance = {{ hash = \"cookie.session\" }}\nservers = {}",
            list(&origins)
        ),
    ));
    let mut client = Client::connect(proxy.address());
    let counts = shares(&mut client, 4, 400);
    assert!(within(&counts, &vec![45..=155; 4]), "{counts:?}");
    // An empty value is none: else all who have it would meet at one server.
    let mut counts = [0; 4];
    for _ in 0..400 {
        counts[ask(&mut client, "/", &[("Cookie", "session=")])] += 1;
    }
    assert!(within(&counts, &vec![45..=155; 4]), "{counts:?}");
}

#[test]
fn a_hot_key_overflows_to_the_next_servers_unless_it_may_not() {
    for (load, bounds) in [("125%", 0..=13), ("200%", 0..=20), ("off", 0..=40)] {
        let held = Holding::start(4);
        let proxy = start(&pooled(
            "workers = 2",
            &format!(
                "balance = {{ hash = \"header.x-key\", load = \"{load}\" }}\nservers = {}",
                list(&held.origins)
            ),
        ));
        let (clients, counts) = held.send(proxy.address(), 40, &[("X-Key", "hot")]);
        let most = counts.iter().max().unwrap();
        assert!(bounds.contains(most), "{load}: {counts:?}");
        assert_eq!(*most == 40, load == "off", "{load}: {counts:?}");
        held.finish(clients);
    }
}

#[test]
fn a_server_of_weight_0_gets_no_new_clients() {
    for balance in [
        "\"two-choices\"",
        "\"round-robin\"",
        "\"random\"",
        "\"least-requests\"",
        "\"ewma\"",
        "{ hash = \"path\" }",
        "{ hash = \"path\", table = \"ring\" }",
    ] {
        let origins = numbered(3);
        let servers = weighted(&origins, &["", "weight = 0", ""]);
        let proxy = start(&pooled(
            "",
            &format!("balance = {balance}\nservers = {servers}"),
        ));
        let mut client = Client::connect(proxy.address());
        for path in 0..60 {
            assert_ne!(
                ask(&mut client, &format!("/{path}"), &[]),
                1,
                "with {balance}"
            );
        }
    }
}

#[test]
fn backups_take_over_tier_by_tier_and_give_back() {
    let origins = numbered(4);
    let servers = weighted(&origins, &["", "", "backup = true", "backup = 2"]);
    let proxy = start(&pooled("", &format!("servers = {servers}")));
    let mut client = Client::connect(proxy.address());
    let mut counts = || shares(&mut client, 4, 40);
    let before = counts();
    assert_eq!(before[2..], [0, 0], "while the first tier is well");
    origins[0].stop();
    origins[1].stop();
    let gone = counts();
    assert_eq!(gone, [0, 0, 40, 0], "the first backup alone");
    origins[2].stop();
    assert_eq!(counts(), [0, 0, 0, 40], "the second backup");
    origins[2].restart();
    let back = wait_until(SOON, || counts() == [0, 0, 40, 0]);
    assert!(back, "the first backup does not take back");
    origins[0].restart();
    origins[1].restart();
    let back = wait_until(SOON, || counts()[2..] == [0, 0]);
    assert!(back, "the first tier does not take back");
}

#[test]
fn the_last_tier_is_asked_too() {
    let origins = numbered(2);
    let servers = weighted(&origins, &["", "backup = 3"]);
    let proxy = start(&pooled("", &format!("servers = {servers}")));
    origins[0].stop();
    let counts = shares(&mut Client::connect(proxy.address()), 2, 20);
    assert_eq!(counts, [0, 20]);
}

#[test]
fn a_server_that_was_away_begins_slowly_and_a_new_one_does_not() {
    let origins = numbered(2);
    let proxy = start(&pooled(
        "workers = 1",
        &format!(
            "balance = \"round-robin\"\nslow_start = \"30m\"\nservers = {}",
            list(&origins)
        ),
    ));
    let mut client = Client::connect(proxy.address());
    assert_eq!(shares(&mut client, 2, 100), [50, 50], "after the start");
    origins[1].stop();
    assert_eq!(shares(&mut client, 2, 20), [20, 0]);
    origins[1].restart();
    let back = wait_until(SOON, || ask(&mut client, "/", &[]) == 1);
    assert!(back, "it is not asked again");
    // A tenth of its weight beside a whole one: one in eleven.
    let counts = shares(&mut client, 2, 220);
    assert!((14..=30).contains(&counts[1]), "{counts:?}");
}

#[test]
fn a_pool_of_a_thousand_servers_is_a_pool() {
    let everywhere = Origin::start_at("0.0.0.0:0".parse().unwrap(), |r| Reply::ok(r.path()));
    let port = everywhere.address().port();
    let servers: Vec<_> = (0..1_000)
        .map(|n| format!("\"127.0.{}.{}:{port}\"", 1 + n / 250, 1 + n % 250))
        .collect();
    let servers = servers.join(", ");
    for balance in [
        "\"two-choices\"",
        "\"round-robin\"",
        "\"random\"",
        "\"least-requests\"",
        "\"ewma\"",
        "{ hash = \"path\" }",
        "{ hash = \"path\", table = \"ring\" }",
    ] {
        let proxy = start(&pooled(
            "",
            &format!("balance = {balance}\nsticky = \"id\"\nservers = [{servers}]"),
        ));
        let mut client = Client::connect(proxy.address());
        for number in 0..50 {
            let path = format!("/{number}");
            assert_eq!(client.get(&path).text(), path, "{balance}");
        }
    }
}

#[test]
fn a_pool_that_is_only_asked_with_post_gets_its_servers_back() {
    let origins = numbered(2);
    let proxy = start(&pooled("", &format!("servers = {}", list(&origins))));
    let mut client = Client::connect(proxy.address());
    let mut post = || {
        let response = client.request("POST", "/", &[], "x");
        assert_eq!(response.status, 200, "{}", response.text());
        response.text()
    };
    origins[1].stop();
    for _ in 0..20 {
        assert_eq!(post(), "0");
    }
    origins[1].restart();
    assert!(wait_until(SOON, || post() == "1"), "it is not asked again");
}
