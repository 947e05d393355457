//! What a pool and its routes say arrives in the model, and what they do not say is the default.

use std::time::Duration;

use croupier_config::Config;
use croupier_config::model::{
    Action, Balance, Eject, HashBalance, HashKey, HashTable, HealthCheck, Hedge, HedgeAfter,
    Percent, Priority, Queue, Retry, RetryOn, SameSite, Secret, ServerAddress,
};

const EVERY_KEY: &str = include_str!("good/every-key.toml");

#[expect(clippy::unwrap_used, reason = "a broken sample is a failed test")]
fn load(text: &str) -> Config {
    let config = Config::from_str("a.toml", text);
    assert!(config.is_ok(), "{config:?}");
    config.unwrap()
}

#[test]
fn a_pool_that_says_nothing_has_the_defaults() {
    let config = load("[site.\"*\"]\nproxy = \"10.0.1.1:80\"\n");
    let pool = &config.pools[0];
    assert_eq!(pool.balance, Balance::TwoChoices);
    assert_eq!(pool.health, None);
    assert_eq!(pool.eject, Some(Eject::default()));
    assert_eq!(pool.slow_start, None);
    assert_eq!(pool.queue, Queue::default());
    assert_eq!(pool.sticky, None);
    assert_eq!(pool.retry, Some(Retry::default()));
    assert_eq!(pool.hedge, None);
    assert!(pool.resume);
    assert!(config.server.resolver.is_empty());
    let (site, route) = (&config.sites[0], &config.sites[0].routes[0]);
    assert_eq!(config.priority_of(site, route), Priority::Normal);
    assert!(config.mirror_of(site, route).is_none());
}

#[test]
fn what_a_pool_says_is_in_the_model() {
    let config = load(EVERY_KEY);
    let [web, app, canary, shadow] = &config.pools[..4] else {
        panic!("{:?}", config.pools);
    };
    assert_eq!(config.server.resolver[0].to_string(), "127.0.0.53:53");
    assert_eq!(
        web.balance,
        Balance::Hash(HashBalance {
            key: HashKey::Cookie("session".into()),
            table: HashTable::Ring,
            load: Some(Percent::whole(150)),
        })
    );
    let backup = &web.servers[3];
    assert_eq!((backup.tier, backup.max_requests), (1, Some(100)));
    assert_eq!(backup.max_connections, Some(50));
    let health = web.health.as_ref().unwrap();
    let HealthCheck::Http(check) = &health.check else {
        panic!("{health:?}");
    };
    assert_eq!(check.path, "/healthz?deep=1");
    assert!(check.takes(204) && check.takes(301) && !check.takes(302));
    assert_eq!(check.body.as_deref(), Some("ready"));
    assert_eq!((health.port, health.rise, health.fall), (Some(9000), 2, 3));
    let eject = web.eject.as_ref().unwrap();
    assert_eq!((eject.gateway_errors, eject.panic), (None, None));
    assert_eq!(web.panic(), None);
    assert_eq!(web.slow_start, Some(Duration::from_secs(30)));
    let retry = web.retry.as_ref().unwrap();
    assert!(retry.covers(RetryOn::Status(429)) && !retry.covers(RetryOn::Status(503)));
    assert_eq!(retry.try_timeout, Some(Duration::from_secs(5)));

    assert_eq!(app.balance, Balance::Ewma);
    assert!(
        matches!(&app.servers[0].address.value, ServerAddress::Srv { name } if name == "_http._tcp.app.internal")
    );
    assert_eq!((&app.eject, &app.retry), (&None, &None));
    assert_eq!(app.panic(), Some(Percent::whole(50)));
    let sticky = app.sticky.as_ref().unwrap();
    assert_eq!(sticky.ttl, Some(Duration::from_secs(3600)));
    assert_eq!((sticky.secure, sticky.same_site), (true, SameSite::None));
    assert_eq!(
        sticky.secret,
        Some(Secret::File("/etc/croupier/secret".into()))
    );
    let after = HedgeAfter::Time(Duration::from_millis(500));
    assert_eq!(app.hedge, Some(Hedge { after }));

    assert_eq!(canary.servers[0].weight, 0);
    assert_eq!(canary.servers[1].tier, 2);
    assert_eq!(shadow.balance, Balance::Hash(HashBalance::default()));
    // A short interval makes the others short too.
    let health = shadow.health.as_ref().unwrap();
    assert_eq!(health.check, HealthCheck::Tcp);
    assert_eq!(health.timeout, Duration::from_millis(200));
    assert_eq!(health.interval_changing, Duration::from_millis(200));
    assert_eq!(shadow.queue.requests, 0);
}

#[test]
fn a_route_lies_over_its_site_and_the_site_over_the_pool() {
    let config = load(EVERY_KEY);
    let site = &config.sites[0];
    let find = |name: &str| site.routes.iter().find(|route| route.name.value == name);
    let (api, new) = (find("api").unwrap(), find("/new/*").unwrap());
    let (web, app) = (&config.pools[0], &config.pools[1]);

    let retry = config.retry_of(site, api, web).unwrap();
    assert_eq!((retry.max, retry.idempotent), (3, false));
    assert!(retry.covers(RetryOn::Status(429)), "the pool's own list");
    assert_eq!(config.hedge_of(site, api, web), None);
    assert_eq!(config.priority_of(site, api), Priority::High);
    let mirror = config.mirror_of(site, api).unwrap();
    assert_eq!(mirror.share, Percent::whole(10));
    assert_eq!(config.pool(mirror.pool.value).name.value, "shadow");

    // The pool says `retry = false`; the tables of site and route switch it on again.
    let retry = config.retry_of(site, new, app).unwrap();
    assert_eq!((retry.max, retry.idempotent), (3, true));
    let after = HedgeAfter::Quantile(Percent::of_hundredths(9990));
    assert_eq!(config.hedge_of(site, new, app), Some(Hedge { after }));
    assert_eq!(config.priority_of(site, new), Priority::Low);
    assert!(config.mirror_of(site, new).is_none());
    let Action::Split(split) = &new.action else {
        panic!("{:?}", new.action);
    };
    assert_eq!(split.by, HashKey::Header("x-tenant".into()));
    let weights: Vec<u16> = split.parts.iter().map(|part| part.weight).collect();
    assert_eq!(weights, [95, 5]);
    let names: Vec<&str> = new
        .action
        .pools()
        .map(|pool| config.pool(pool.value).name.as_str())
        .collect();
    assert_eq!(names, ["app", "canary"]);
}
