//! `PURGE`: whoever is listed may take out what is held; for others it is a method like any other.

use crate::{
    prelude::{Client, Origin, Reply},
    shelf::{ask, is_hit, keeping, keeping_with},
};

fn origin() -> Origin {
    Origin::start(|request| match &*request.method {
        "PURGE" => Reply::ok("the origin was asked").status(405),
        _ => Reply::ok(request.header("accept-language").unwrap_or("none"))
            .header("Cache-Control", "max-age=3600")
            .header("Vary", "Accept-Language"),
    })
}

#[test]
fn a_purge_from_outside_is_the_origins_to_refuse() {
    let origin = origin();
    for proxy in [
        keeping(&origin),
        keeping_with(&origin, "", "purge_from = [\"10.0.0.0/8\", \"127.0.0.2\"]"),
    ] {
        ask(&proxy, "/a", &[]);
        let told = [
            ("X-Forwarded-For", "127.0.0.2"),
            ("Forwarded", "for=10.0.0.1"),
        ];
        for headers in [&[][..], &told] {
            let mut client = Client::connect(proxy.address());
            let response = client.request("PURGE", "/a", headers, "");
            assert_eq!(response.status, 405);
            assert_eq!(response.text(), "the origin was asked");
        }
    }
}

#[test]
fn a_purge_that_is_refused_takes_nothing_away() {
    let origin = origin();
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    Client::connect(proxy.address()).request("PURGE", "/a", &[], "");
    assert!(is_hit(&ask(&proxy, "/a", &[])));
}

#[test]
fn a_purge_from_a_listed_address_takes_every_variant() {
    let origin = origin();
    let proxy = keeping_with(&origin, "", "purge_from = [\"127.0.0.2\"]");
    for language in ["de", "en"] {
        ask(&proxy, "/a?x=1", &[("Accept-Language", language)]);
    }
    ask(&proxy, "/a", &[]);
    let source = "127.0.0.2".parse().unwrap();
    let mut operator = Client::connect_from(source, proxy.address());
    let purged = operator.request("PURGE", "/a?x=1", &[], "");
    assert_eq!((purged.status, &*purged.text()), (200, "{\"objects\":2}\n"));
    let again = operator.request("PURGE", "/a?x=1", &[], "");
    assert_eq!(again.text(), "{\"objects\":0}\n");
    for language in ["de", "en"] {
        let response = ask(&proxy, "/a?x=1", &[("Accept-Language", language)]);
        assert!(!is_hit(&response));
    }
    assert!(is_hit(&ask(&proxy, "/a", &[])), "another target");
    let others = origin.requests();
    assert!(others.iter().all(|request| request.method == "GET"));
}
