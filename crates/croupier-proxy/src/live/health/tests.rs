//! The state of one server, in stories with times written out.

use std::time::Duration;

use super::{Admit, Failure, Health, Pace, Rank, Role, State, Wish, slow_start_256};
use crate::live::policy::HealthPolicy;

/// In the middle of the spread: times as written.
const EXACT: u32 = 200;

fn health() -> Health {
    Health::new(HealthPolicy::default(), 0)
}

fn usual(health: &Health) -> Admit {
    Admit {
        epoch: health.epoch(),
        role: Role::Usual,
    }
}

/// A failure, and the ejection if it asks for one.
fn fail(health: &mut Health, admit: Admit, failure: Failure, now: u64) -> Option<u64> {
    (health.failed(admit, failure, now) == Wish::Eject)
        .then(|| health.eject(failure, "test", now, EXACT))
}

fn fail_usual(health: &mut Health, failure: Failure, now: u64) -> Option<u64> {
    let admit = usual(health);
    fail(health, admit, failure, now)
}

#[test]
fn one_refused_connection_puts_it_aside_for_a_second() {
    let mut health = health();
    assert_eq!(
        fail_usual(&mut health, Failure::Refused, 10),
        Some(1000),
        "it may be restarting"
    );
    assert_eq!(
        (health.state(), health.rank()),
        (State::Ejected, Rank::Gone)
    );
    assert_eq!((health.reason(), health.since_ms()), ("test", 10));
    assert_eq!(health.claim_probe(1009), None);
    assert!(health.claim_probe(1010).is_some());
}

#[test]
fn other_failures_count_only_in_a_row() {
    for (failure, enough) in [(Failure::Transport, 3), (Failure::Gateway, 5)] {
        let mut health = health();
        for round in 0..3 {
            for _ in 1..enough {
                assert_eq!(fail_usual(&mut health, failure, round), None, "{failure:?}");
            }
            health.succeeded(usual(&health), round);
        }
        for _ in 1..enough {
            assert_eq!(fail_usual(&mut health, failure, 9), None);
        }
        assert_eq!(fail_usual(&mut health, failure, 9), Some(5000));
        assert_eq!(health.rank(), Rank::Failing, "it does answer");
    }
}

#[test]
fn a_gateway_error_is_an_answer_and_ends_a_row_of_transport_failures() {
    let mut health = health();
    for _ in 0..4 {
        assert_eq!(fail_usual(&mut health, Failure::Transport, 1), None);
        assert_eq!(fail_usual(&mut health, Failure::Transport, 1), None);
        assert_eq!(fail_usual(&mut health, Failure::Gateway, 1), None);
    }
}

#[test]
fn many_that_fail_at_once_are_one_failure() {
    let mut health = health();
    let before = usual(&health);
    fail(&mut health, before, Failure::Refused, 5);
    for now in 6..500 {
        assert_eq!(fail(&mut health, before, Failure::Refused, now), None);
    }
    let probe = health.claim_probe(2000).unwrap();
    assert_eq!(
        fail(&mut health, before, Failure::Refused, 2001),
        None,
        "not the probe's word"
    );
    health.succeeded(before, 2001);
    assert_eq!(health.state(), State::Probation, "nor this");
    health.succeeded(probe, 2002);
    assert_eq!(
        (health.state(), health.reason()),
        (State::Up, "probe.passed")
    );
    assert_eq!(fail(&mut health, before, Failure::Unreachable, 2003), None);
}

#[test]
fn ejections_double_up_to_the_longest_and_calm_shortens_them() {
    let mut health = health();
    let mut now = 0;
    let mut times = Vec::new();
    for _ in 0..9 {
        let admit = health.claim_probe(now).unwrap_or_else(|| usual(&health));
        let time = fail(&mut health, admit, Failure::Unreachable, now).unwrap();
        times.push(time / 1000);
        now += time;
    }
    assert_eq!(times, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    let probe = health.claim_probe(now).unwrap();
    health.succeeded(probe, now);
    // Three times half a minute: three steps.
    now += 95_000;
    assert_eq!(
        fail_usual(&mut health, Failure::Unreachable, now),
        Some(160_000 + 140_000)
    );
    let probe = health.claim_probe(now + 300_000).unwrap();
    health.succeeded(probe, now + 300_000);
    now += 300_000 + 600_000;
    assert_eq!(
        fail_usual(&mut health, Failure::Unreachable, now),
        Some(5000),
        "after ten calm minutes nothing is held against it"
    );
}

#[test]
fn ejections_are_spread_by_a_fifth() {
    let time = |chance| {
        let mut health = health();
        health.eject(Failure::Transport, "test", 0, chance)
    };
    assert_eq!((time(0), time(200), time(400)), (4000, 5000, 6000));
    assert!((0..1000).all(|chance| (4000..=6000).contains(&time(chance * 7919))));
}

#[test]
fn exactly_one_probe_is_out_and_one_that_is_silent_is_replaced() {
    let mut health = health();
    fail_usual(&mut health, Failure::Refused, 0);
    let silent = health.claim_probe(1000).unwrap();
    assert!((1000..11_000).all(|now| health.claim_probe(now).is_none()));
    let second = health.claim_probe(11_000).unwrap();
    health.succeeded(silent, 11_001);
    assert_eq!(health.state(), State::Probation, "it was given up");
    health.withdrew(silent);
    assert!(health.claim_probe(11_002).is_none());
    health.withdrew(second);
    assert!(health.claim_probe(11_003).is_some(), "its client has left");
}

#[test]
fn the_first_check_decides_and_later_ones_need_company() {
    let mut health = health();
    let rise_fall = (2, 3);
    assert_eq!(
        health.checked(Err("check.connect"), rise_fall, 1),
        Pace::Steady
    );
    assert_eq!(
        (health.state(), health.reason(), health.rank()),
        (State::Down, "check.connect", Rank::Unchecked)
    );
    assert_eq!(health.checked(Ok(()), rise_fall, 2), Pace::Changing);
    assert_eq!(
        health.checked(Err("check.status"), rise_fall, 3),
        Pace::Steady
    );
    assert_eq!(health.checked(Ok(()), rise_fall, 4), Pace::Changing);
    assert_eq!(health.checked(Ok(()), rise_fall, 5), Pace::Steady);
    assert_eq!(
        (health.state(), health.reason()),
        (State::Up, "check.passed")
    );
    assert_eq!(health.recovered(), Some(5), "a slow start");
    for now in 6..8 {
        assert_eq!(
            health.checked(Err("check.timeout"), rise_fall, now),
            Pace::Changing
        );
    }
    assert_eq!(health.state(), State::Up);
    health.checked(Err("check.timeout"), rise_fall, 8);
    assert_eq!((health.state(), health.since_ms()), (State::Down, 8));
    assert_eq!(health.recovered(), None);
}

#[test]
fn a_server_that_starts_well_has_no_slow_start() {
    let mut health = health();
    health.checked(Ok(()), (2, 3), 1);
    assert_eq!((health.state(), health.recovered()), (State::Up, None));
}

#[test]
fn a_server_that_is_down_gets_no_probe_and_one_that_comes_up_begins_with_it() {
    let mut health = health();
    fail_usual(&mut health, Failure::Transport, 0);
    health.eject(Failure::Transport, "test", 0, EXACT);
    health.checked(Err("check.status"), (2, 3), 1);
    assert_eq!((health.state(), health.rank()), (State::Down, Rank::Gone));
    assert_eq!(health.claim_probe(1_000_000), None);
    health.checked(Ok(()), (2, 3), 2);
    health.checked(Ok(()), (2, 3), 3);
    assert_eq!(health.state(), State::Ejected, "traffic has the last word");
    assert_eq!(health.recovered(), None);
    let probe = health.claim_probe(3).unwrap();
    health.succeeded(probe, 4);
    assert_eq!((health.state(), health.recovered()), (State::Up, Some(4)));
}

#[test]
fn checks_that_never_failed_shorten_one_ejection_and_no_more() {
    let mut health = health();
    health.checked(Ok(()), (2, 3), 0);
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let admit = health.claim_probe(now).unwrap_or_else(|| usual(&health));
        if health.failed(admit, Failure::Unreachable, now) == Wish::Eject {
            health.eject(Failure::Unreachable, "test", now, EXACT);
        }
        let since = now;
        while health.probe_at().is_some_and(|at| at > now) {
            now += 1000;
            health.checked(Ok(()), (2, 3), now);
        }
        waits.push((now - since) / 1000);
    }
    assert_eq!(waits, [2, 10, 20, 40, 80]);
}

#[test]
fn without_checks_only_traffic_counts() {
    let mut health = health();
    health.checked(Err("check.status"), (1, 1), 1);
    health.forget_checks(2);
    assert_eq!(
        (health.state(), health.reason()),
        (State::Up, "check.removed")
    );
}

#[test]
fn a_failure_ratio_needs_enough_attempts_within_its_window() {
    let mut health = health();
    let admit = usual(&health);
    assert_eq!(health.failed(admit, Failure::Transport, 0), Wish::Recount);
    health.succeeded(admit, 1);
    assert!(!health.has_ratio(18) && health.has_ratio(19));
    assert_eq!(health.failure_percent(19), 5);
    health.tick(9_999);
    assert!(health.is_counting());
    health.tick(10_000);
    assert!(!health.is_counting());
    assert_eq!(health.failure_percent(100), 0);
}

#[test]
fn an_outlier_is_worse_than_the_others_not_than_an_ideal() {
    use super::is_clearly_worse;
    assert!(is_clearly_worse(40, [0, 5, 10], 30));
    assert!(!is_clearly_worse(60, [50, 60, 40], 30), "all are bad");
    assert!(!is_clearly_worse(100, [], 30), "nobody to compare with");
}

#[test]
fn a_slow_start_grows_from_a_tenth_to_all() {
    assert_eq!(slow_start_256(0, 10_000), 26);
    assert_eq!(slow_start_256(5_000, 10_000), 141);
    assert_eq!(slow_start_256(10_000, 10_000), 256);
    assert_eq!(slow_start_256(0, 0), 256);
    let shares: Vec<u32> = (0..10_000).map(|at| slow_start_256(at, 10_000)).collect();
    assert!(shares.is_sorted());
}

#[test]
fn a_slow_start_ends() {
    let mut health = Health::new(
        HealthPolicy {
            slow_start: Some(Duration::from_secs(10)),
            ..HealthPolicy::default()
        },
        0,
    );
    fail_usual(&mut health, Failure::Refused, 0);
    let probe = health.claim_probe(1000).unwrap();
    health.succeeded(probe, 1000);
    health.tick(10_999);
    assert_eq!(health.recovered(), Some(1000));
    health.tick(11_000);
    assert_eq!(health.recovered(), None);
}
