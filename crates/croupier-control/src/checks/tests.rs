//! Checks against servers that play what they are told.

use std::{
    future::Future,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use croupier_config::Config;
use croupier_proxy::{
    Live, Plan,
    live::{
        Reason, State,
        policy::{CheckKind, CheckPolicy, HttpCheck},
    },
    plan,
};
use croupier_testkit::{BlackHole, Origin, Reply, closed_address};

use super::{
    Checks,
    prober::{Question, Spoken, ask},
};

fn run<R>(story: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap()
        .block_on(story)
}

fn http(change: impl FnOnce(&mut HttpCheck)) -> CheckPolicy {
    let mut check = HttpCheck::default();
    change(&mut check);
    CheckPolicy {
        kind: CheckKind::Http(check),
        interval: Duration::from_millis(100),
        interval_changing: Duration::from_millis(20),
        timeout: Duration::from_millis(500),
        ..CheckPolicy::default()
    }
}

/// A plan whose one pool has these servers, checked like this.
fn plan_of(live: &Live, servers: &[String], check: Option<&CheckPolicy>) -> Plan {
    let quoted: Vec<String> = servers.iter().map(|name| format!("{name:?}")).collect();
    let text = format!(
        "[pool.app]\nservers = [{}]\n[site.\"*\"]\npool = \"app\"\n",
        quoted.join(", ")
    );
    let config = Config::from_str("test", &text).unwrap();
    let mut plan = plan::build(&config, live, 100).unwrap();
    plan.pools[0].check = check.cloned().map(Arc::new);
    plan.adopt(live.now_ms());
    plan
}

fn asked(address: &str, policy: &CheckPolicy) -> Option<Result<(), Reason>> {
    let live = Live::new();
    let plan = plan_of(&live, &[address.to_owned()], None);
    let spoken = Spoken::of(&plan.pools[0]);
    let question = Question::new(&plan.pools[0].servers[0].server, policy, &spoken);
    run(ask(&question, policy, &Rc::default()))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen in time");
}

#[test]
fn a_check_asks_as_configured_on_a_connection_of_its_own() {
    let origin = Origin::start(|_| Reply::ok("all is ready here"));
    let policy = http(|check| {
        check.path = "/healthz?deep=1".into();
        check.host = Some("app.internal".into());
        check.fields = Box::new([("X-Check".into(), "yes".into())]);
        check.body = Some("ready".into());
    });
    assert_eq!(asked(&origin.address().to_string(), &policy), Some(Ok(())));
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, "/healthz?deep=1");
    for (name, value) in [
        ("host", "app.internal"),
        ("user-agent", "croupier-check"),
        ("connection", "close"),
        ("x-check", "yes"),
    ] {
        assert_eq!(requests[0].header(name), Some(value), "{name}");
    }
    assert_eq!(origin.violations(), []);
}

#[test]
fn what_is_wrong_with_a_server_has_a_word() {
    let cases: [(Reply, Option<&str>, Result<(), Reason>); 8] = [
        (Reply::empty(204), None, Ok(())),
        (Reply::empty(503), None, Err("check.status")),
        (Reply::ok("no"), Some("ready"), Err("check.body")),
        (
            Reply::empty(200).chunked(&["rea", "dy"]),
            Some("ready"),
            Ok(()),
        ),
        (
            Reply::bytes("\x16\x03\x01\x02\r\n\r\n"),
            None,
            Err("check.head"),
        ),
        (Reply::stall(), None, Err("check.timeout")),
        (Reply::close(), None, Err("check.closed")),
        (Reply::reset(), None, Err("check.closed")),
    ];
    for (reply, body, expected) in cases {
        let told = reply.clone();
        let origin = Origin::start(move |_| told.clone());
        let policy = http(|check| check.body = body.map(Into::into));
        let verdict = asked(&origin.address().to_string(), &policy);
        assert_eq!(verdict, Some(expected), "{reply:?}");
    }
    let policy = http(|_| ());
    let dead = closed_address().to_string();
    assert_eq!(asked(&dead, &policy), Some(Err("check.connect")));
    let hole = BlackHole::open();
    let verdict = asked(&hole.address().to_string(), &policy);
    assert_eq!(verdict, Some(Err("check.timeout")));
}

#[test]
fn connecting_may_be_all_that_is_asked_and_at_another_port() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let connect = CheckPolicy::default();
    let address = origin.address().to_string();
    assert_eq!(asked(&address, &connect), Some(Ok(())));
    let dead = closed_address();
    let refused = asked(&dead.to_string(), &connect);
    assert_eq!(refused, Some(Err("check.connect")));
    let elsewhere = CheckPolicy {
        port: Some(origin.address().port()),
        ..connect
    };
    assert_eq!(asked(&dead.to_string(), &elsewhere), Some(Ok(())));
    assert!(origin.requests().is_empty());
}

#[test]
fn a_unix_socket_is_checked_like_any_other() {
    let path = std::env::temp_dir().join(format!("croupier-check-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let origin = Origin::builder().start_unix(&path, |_| Reply::ok("x"));
    let address = format!("unix:{}", path.display());
    assert_eq!(asked(&address, &http(|_| ())), Some(Ok(())));
    assert_eq!(origin.requests()[0].header("host"), Some("localhost"));
    let _ = std::fs::remove_file(&path);
}

#[test]
fn a_server_goes_down_and_comes_back_by_its_checks() {
    let status = Arc::new(AtomicU16::new(503));
    let told = Arc::clone(&status);
    let origin = Origin::start(move |_| Reply::empty(told.load(Ordering::Relaxed)));
    run(async {
        let live = Live::new();
        let policy = http(|_| ());
        let plan = plan_of(&live, &[origin.address().to_string()], Some(&policy));
        let server = Arc::clone(&plan.pools[0].servers[0].server);
        let _checks = Checks::start(&live, &plan);
        until("the first check", || server.status().state == State::Down).await;
        assert_eq!(server.status().reason, "check.status");
        assert_eq!(server.checks(), (0, 1), "the first one decides");
        status.store(200, Ordering::Relaxed);
        until("the way back", || server.status().state == State::Up).await;
        assert_eq!(server.checks().0, 2, "two must pass");
        status.store(500, Ordering::Relaxed);
        until("the way down", || server.status().state == State::Down).await;
        assert!(
            server.checks().1 >= 4,
            "three must fail: {:?}",
            server.checks()
        );
    });
}

#[test]
fn a_reload_starts_keeps_and_ends_checks() {
    let origins = [(); 2].map(|()| Origin::start(|_| Reply::ok("x")));
    let names = origins
        .each_ref()
        .map(|origin| origin.address().to_string());
    run(async {
        let live = Live::new();
        let policy = http(|_| ());
        let plan = plan_of(&live, &names[..1], Some(&policy));
        let mut checks = Checks::start(&live, &plan);
        let first = checks.tasks.values().next().unwrap().running.id();
        until("a check", || !origins[0].requests().is_empty()).await;

        drop(plan);
        let plan = plan_of(&live, &names, Some(&policy));
        checks.adopt(&plan);
        assert_eq!(checks.tasks.len(), 2);
        let is_kept = checks.tasks.values().any(|task| task.running.id() == first);
        assert!(is_kept, "nothing changed for the first server");
        until("a check of the new one", || {
            !origins[1].requests().is_empty()
        })
        .await;

        let other = http(|check| check.path = "/other".into());
        checks.adopt(&plan_of(&live, &names, Some(&other)));
        until("the other path", || {
            origins[0].requests().iter().any(|r| r.target == "/other")
        })
        .await;
        assert!(checks.tasks.values().all(|task| task.running.id() != first));

        checks.adopt(&plan_of(&live, &names[..1], None));
        assert!(checks.tasks.is_empty());
        drop(plan);
        live.release();
        assert_eq!(live.servers().len(), 0, "checks keep nobody alive");
    });
}
