//! A canary gets its share of the clients, and always the same ones.
//!
//! Bounds are wider than six standard deviations.

use std::net::Ipv4Addr;

use crate::{
    crowd::{ask, numbered},
    prelude::{Client, Origin, Proxy, start},
};

/// A site that splits between two pools of one server each: 0 is `stable`, 1 is `canary`.
fn config(origins: &[Origin], weights: (u32, u32), more: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
         [pool.stable]\nservers = [\"{}\"]\n[pool.canary]\nservers = [\"{}\"]\n\
         [site.\"*\"]\nsplit = [{{ pool = \"stable\", weight = {} }}, \
         {{ pool = \"canary\", weight = {} }}]\n{more}\n",
        origins[0].address(),
        origins[1].address(),
        weights.0,
        weights.1
    )
}

/// Where each of so many clients is sent, by address.
fn clients(proxy: &Proxy, count: u32) -> Vec<usize> {
    let mut client = Client::connect(proxy.address());
    (0..count)
        .map(|number| {
            let address = Ipv4Addr::from(0x0a01_0000 + number).to_string();
            ask(&mut client, "/", &[("X-Forwarded-For", &address)])
        })
        .collect()
}

fn canaries(all: &[usize]) -> usize {
    all.iter().sum()
}

#[test]
fn a_tenth_of_the_clients_is_the_canarys_and_stays() {
    let origins = numbered(2);
    let proxy = start(&config(&origins, (90, 10), ""));
    let first = clients(&proxy, 1_000);
    assert!((40..=160).contains(&canaries(&first)), "{first:?}");
    assert_eq!(clients(&proxy, 200), first[..200]);
    // The next process decides the same.
    let other = start(&config(&origins, (90, 10), ""));
    assert_eq!(clients(&other, 200), first[..200]);
}

#[test]
fn a_canary_that_grows_moves_only_whom_it_gains() {
    let origins = numbered(2);
    let proxy = start(&config(&origins, (95, 5), ""));
    let mut before = clients(&proxy, 500);
    for canary in [10, 50, 100] {
        proxy.reload(&config(&origins, (100 - canary, canary), ""));
        let after = clients(&proxy, 500);
        let left = before
            .iter()
            .zip(&after)
            .any(|(before, after)| before > after);
        assert!(!left, "a client left the canary at {canary} %");
        let expected = canary as usize * 5;
        let share = canaries(&after);
        assert!(share.abs_diff(expected) <= 70, "{share} at {canary} %");
        before = after;
    }
    assert_eq!(canaries(&before), 500);
    proxy.reload(&config(&origins, (100, 0), ""));
    assert_eq!(canaries(&clients(&proxy, 100)), 0);
}

#[test]
fn a_split_by_cookie_or_header_knows_the_user_wherever_he_is() {
    for (by, name) in [("cookie.uid", "Cookie"), ("header.X-User", "X-User")] {
        let origins = numbered(2);
        let by = format!("split_by = \"{by}\"");
        let proxy = start(&config(&origins, (50, 50), &by));
        let mut client = Client::connect(proxy.address());
        let mut users = |address: &str| -> Vec<usize> {
            (0..200)
                .map(|user| {
                    let value = match name {
                        "Cookie" => format!("x=1; uid=u{user}"),
                        _ => format!("u{user}"),
                    };
                    let fields = [(name, value.as_str()), ("X-Forwarded-For", address)];
                    ask(&mut client, "/", &fields)
                })
                .collect()
        };
        let home = users("192.0.2.1");
        assert_eq!(home, users("192.0.2.2"), "{name}");
        assert!((55..=145).contains(&canaries(&home)), "{name}: {home:?}");
        // Who has none is sent by lot.
        let lots: Vec<_> = (0..200).map(|_| ask(&mut client, "/", &[])).collect();
        assert!((55..=145).contains(&canaries(&lots)), "{name}: {lots:?}");
    }
}

#[test]
fn routes_split_for_themselves() {
    let origins = numbered(3);
    let addresses: Vec<_> = origins.iter().map(|o| o.address().to_string()).collect();
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
         [pool.a]\nservers = [\"{}\"]\n[pool.b]\nservers = [\"{}\"]\n[pool.c]\nservers = [\"{}\"]\n\
         [site.\"*\"]\nroutes = [\n\
         {{ path = \"/ab/*\", split = [{{ pool = \"a\" }}, {{ pool = \"b\" }}] }},\n\
         {{ path = \"/ac/*\", split = [{{ pool = \"a\" }}, {{ pool = \"c\" }}] }},\n]\npool = \"c\"\n",
        addresses[0], addresses[1], addresses[2]
    ));
    let mut client = Client::connect(proxy.address());
    let mut pairs = [[0; 2]; 2];
    for number in 0..400_u32 {
        let address = Ipv4Addr::from(0x0a02_0000 + number).to_string();
        let fields = [("X-Forwarded-For", address.as_str())];
        let ab = ask(&mut client, "/ab/x", &fields);
        let ac = ask(&mut client, "/ac/x", &fields);
        pairs[ab][usize::from(ac == 2)] += 1;
        assert_eq!(ask(&mut client, "/other", &fields), 2);
    }
    // Each a quarter: who is somebody's canary here need not be one there.
    for count in pairs.iter().flatten() {
        assert!((45..=155).contains(count), "{pairs:?}");
    }
}
