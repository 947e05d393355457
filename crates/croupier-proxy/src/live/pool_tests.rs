//! Servers of a pool together, and the laws that hold in any story about them.

use std::{sync::Arc, time::Duration};

use croupier_net::address::Address;

use crate::live::{
    Busy, Live, LivePool, Place, Rank, Server, State,
    health::{Failure, Pace, Role},
    policy::{CheckPolicy, HealthPolicy},
    seeds::for_each_seed,
};

struct Table {
    pool: Arc<LivePool>,
    servers: Vec<Arc<Server>>,
    _live: Arc<Live>,
}

fn table(tiers: &[usize]) -> Table {
    table_with(tiers, HealthPolicy::default(), None)
}

fn table_with(tiers: &[usize], policy: HealthPolicy, check: Option<&CheckPolicy>) -> Table {
    let live = Live::new();
    let pool = live.pool("web");
    let servers: Vec<_> = (0..tiers.len())
        .map(|index| {
            let address = format!("127.0.0.1:{}", 8000 + index).parse().unwrap();
            live.server("web", &Place::written(Address::Ip(address)))
        })
        .collect();
    pool.adopt(servers.iter().zip(tiers.iter().copied()), policy, check, 0);
    Table {
        pool,
        servers,
        _live: live,
    }
}

impl Table {
    fn eligible(&self, now: u64) -> Vec<usize> {
        (0..self.servers.len())
            .filter(|index| self.pool.is_eligible(&self.servers[*index], true, now))
            .collect()
    }

    fn enter(&self, index: usize, now: u64) -> Option<Busy> {
        self.pool.enter(&self.servers[index], 0, now)
    }

    fn fail(&self, index: usize, failure: Failure, now: u64) -> Option<u64> {
        let mut busy = self.enter(index, now)?;
        self.pool.failed(&mut busy, failure, "test", now)
    }

    fn fail_until_ejected(&self, index: usize, failure: Failure, now: u64) -> bool {
        (0..20).any(|_| self.fail(index, failure, now).is_some())
    }

    fn succeed(&self, index: usize, now: u64) {
        let mut busy = self.enter(index, now).unwrap();
        self.pool.succeeded(&mut busy, now);
    }

    fn aside(&self) -> usize {
        let aside = |server: &&Arc<Server>| server.marks.is_ejected();
        self.servers.iter().filter(aside).count()
    }

    fn state(&self, index: usize) -> State {
        self.servers[index].status().state
    }
}

#[test]
fn failing_answers_put_aside_half_of_the_pool_and_never_the_last() {
    for (servers, aside) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)] {
        let table = table(&vec![0; servers]);
        let ejected = (0..servers)
            .filter(|index| table.fail_until_ejected(*index, Failure::Gateway, 1))
            .count();
        assert_eq!(ejected, aside, "of {servers}");
        assert_eq!(table.eligible(1).len(), servers - aside);
    }
}

#[test]
fn servers_that_refuse_are_put_aside_whatever_their_share() {
    let table = table(&[0; 4]);
    for index in 0..3 {
        assert!(table.fail(index, Failure::Refused, 1).is_some());
    }
    assert_eq!(table.eligible(1), [3], "they would take nothing but time");
    assert!(table.fail(3, Failure::Refused, 1).is_some());
    assert_eq!(table.pool.mode(), Rank::Gone);
    assert_eq!(table.eligible(2), [0, 1, 2, 3], "asking beats refusing");
    let mut busy = table.enter(2, 2).unwrap();
    assert_eq!(busy.admit().role, Role::Resort);
    table.pool.succeeded(&mut busy, 2);
    assert_eq!(table.state(2), State::Up, "the first answer brings it back");
    assert_eq!(
        (table.pool.mode(), table.eligible(2)),
        (Rank::Failing, vec![2])
    );
}

#[test]
fn below_half_the_pool_fails_open_to_whoever_answers_at_all() {
    let table = table(&[0; 4]);
    assert!(table.fail_until_ejected(0, Failure::Gateway, 1));
    assert!(table.fail_until_ejected(1, Failure::Gateway, 1));
    assert_eq!(table.eligible(1), [2, 3]);
    assert!(table.fail(2, Failure::Refused, 1).is_some());
    assert_eq!(table.pool.mode(), Rank::Failing);
    assert_eq!(table.eligible(2), [0, 1, 3]);
    // The failing ones are asked as usual and stay aside until a probe has passed.
    table.succeed(0, 2);
    assert_eq!(table.state(0), State::Ejected);
    let mut probe = table.enter(0, 7000).unwrap();
    assert_eq!(probe.admit().role, Role::Probe);
    table.pool.succeeded(&mut probe, 7001);
    assert_eq!(
        (table.state(0), table.pool.mode()),
        (State::Up, Rank::Usable)
    );
}

#[test]
fn servers_whose_check_fails_are_used_when_nobody_else_is_left() {
    let check = CheckPolicy::default();
    let table = table_with(&[0; 3], HealthPolicy::default(), Some(&check));
    let down = |index: usize| {
        table
            .pool
            .checked(&table.servers[index], Err("check.status"), 1)
    };
    down(0);
    down(1);
    assert_eq!(table.eligible(1), [2]);
    down(2);
    assert_eq!(table.pool.mode(), Rank::Unchecked);
    assert_eq!(table.eligible(1), [0, 1, 2]);
    assert!(table.fail(0, Failure::Refused, 2).is_some());
    assert_eq!(table.eligible(2), [1, 2]);
    table.succeed(1, 2);
    assert_eq!(table.state(1), State::Down, "the check has the last word");
    assert_eq!(
        table.pool.checked(&table.servers[1], Ok(()), 3),
        Pace::Changing
    );
    assert_eq!(
        table.pool.checked(&table.servers[1], Ok(()), 4),
        Pace::Steady
    );
    assert_eq!((table.state(1), table.eligible(4)), (State::Up, vec![1]));
    assert_eq!(table.servers[1].checks(), (2, 1));
}

#[test]
fn one_that_fails_more_than_the_others_is_put_aside_even_with_answers_between() {
    let mixed = |table: &Table, index: usize, now| {
        let failed = table.fail(index, Failure::Transport, now);
        if failed.is_none() {
            table.succeed(index, now);
        }
        failed
    };
    let table = table(&[0; 3]);
    let ejected = (0..40).any(|now| {
        table.succeed(1, now);
        table.succeed(2, now);
        mixed(&table, 0, now).is_some()
    });
    assert!(ejected);
    assert_eq!(table.servers[0].status().reason, "failure.ratio");

    let table = self::table(&[0; 3]);
    let ejected = (0..400).any(|now| {
        (0..3).any(|index| table.state(index) == State::Up && mixed(&table, index, now).is_some())
    });
    assert!(!ejected, "a pool that fails as a whole has no outlier");
}

#[test]
fn a_server_of_which_nothing_is_known_costs_no_lock() {
    let table = table(&[0, 0]);
    let _held = table.servers[0].lock();
    for now in 0..100 {
        table.succeed(0, now);
        assert_eq!(table.servers[0].share_256(now), 256);
    }
}

#[test]
fn a_backup_takes_over_by_degrees_and_that_is_no_emergency() {
    let table = table(&[0, 0, 0, 0, 1, 1]);
    let share_of_backup = || {
        (0..10_000)
            .filter(|chance| table.pool.tier(*chance) == 1)
            .count()
    };
    assert_eq!(share_of_backup(), 0);
    table.fail(0, Failure::Refused, 1);
    assert_eq!(share_of_backup(), 0, "three of four carry it");
    table.fail(1, Failure::Refused, 1);
    assert_eq!(share_of_backup(), 3000);
    table.fail(2, Failure::Refused, 1);
    assert_eq!(share_of_backup(), 6500);
    table.fail(3, Failure::Refused, 1);
    assert_eq!(
        (share_of_backup(), table.pool.mode()),
        (10_000, Rank::Usable)
    );
}

#[test]
fn a_probe_whose_client_leaves_makes_room_for_another() {
    let table = table(&[0, 0]);
    let time = table.fail(0, Failure::Refused, 1).unwrap();
    let at = 1 + time;
    let probe = table.enter(0, at).unwrap();
    assert!(!table.pool.is_eligible(&table.servers[0], true, at));
    assert!(table.enter(0, at).is_none());
    drop(probe);
    assert!(table.enter(0, at).is_some());
}

#[test]
fn no_more_attempts_at_once_than_allowed() {
    let table = table(&[0]);
    let server = &table.servers[0];
    let first = table.pool.enter(server, 2, 0).unwrap();
    let second = table.pool.enter(server, 2, 0).unwrap();
    assert!(table.pool.enter(server, 2, 0).is_none());
    drop(first);
    assert_eq!(server.busy(), 1);
    let third = table.pool.enter(server, 2, 0).unwrap();
    drop((second, third));
    assert_eq!(server.busy(), 0);
}

#[test]
fn a_reload_keeps_what_is_known_and_lets_go_who_is_no_member() {
    let policy = HealthPolicy {
        slow_start: Some(Duration::from_secs(10)),
        ..HealthPolicy::default()
    };
    let table = table_with(&[0, 0, 0], policy, None);
    let time = table.fail(0, Failure::Refused, 1).unwrap();
    let members = || table.servers[..2].iter().map(|server| (server, 0));
    table.pool.adopt(members(), policy, None, 2);
    assert_eq!(table.eligible(2), [1, 2]);
    let mut probe = table.enter(0, time + 1).unwrap();
    table.pool.succeeded(&mut probe, time + 1);
    table.pool.adopt(members(), policy, None, time + 2);
    assert_eq!(
        table.servers[0].share_256(time + 1),
        26,
        "the slow start goes on"
    );
    assert_eq!(table.servers[1].share_256(time + 1), 256);
    assert_eq!(table.servers[0].share_256(time + 10_001), 256);
}

#[test]
fn checks_that_a_reload_takes_away_leave_nobody_down() {
    let check = CheckPolicy::default();
    let table = table_with(&[0, 0], HealthPolicy::default(), Some(&check));
    table
        .pool
        .checked(&table.servers[0], Err("check.status"), 1);
    let members = table.servers.iter().map(|server| (server, 0));
    table.pool.adopt(members, HealthPolicy::default(), None, 2);
    assert_eq!(table.eligible(2), [0, 1]);
}

/// Servers that come and go, with traffic and checks, in virtual time.
#[test]
fn the_laws_of_health_hold_in_any_story() {
    for_each_seed(150, |random| {
        let count = random.usize(1..7);
        let check = CheckPolicy::default();
        let is_checked = random.bool();
        let table = table_with(
            &vec![0; count],
            HealthPolicy::default(),
            is_checked.then_some(&check),
        );
        // What each server does: 0 answers, 1 refuses, 2 fails, 3 gives 503.
        let mut moods = vec![0; count];
        let mut probes: Vec<Option<(u32, u64)>> = vec![None; count];
        let mut open: Vec<(usize, Busy, u64)> = Vec::new();
        let mut now = 0;
        while now < 120_000 {
            now += random.u64(1..200);
            if random.u32(0..100) == 0 {
                moods[random.usize(..count)] = random.u32(0..4);
            }
            let eligible = table.eligible(now);
            assert!(!eligible.is_empty(), "somebody can always be asked");
            let index = eligible[random.usize(..eligible.len())];
            if let Some(busy) = table.enter(index, now) {
                let admit = busy.admit();
                if admit.role == Role::Probe {
                    if let Some((_, since)) = probes[index] {
                        assert!(now - since >= 10_000, "two probes at once");
                    }
                    probes[index] = Some((admit.epoch, now));
                }
                open.push((index, busy, now + random.u64(0..300)));
            }
            let mut kept = Vec::new();
            for (index, mut busy, due) in open.drain(..) {
                if due > now {
                    kept.push((index, busy, due));
                    continue;
                }
                if probes[index].is_some_and(|(epoch, _)| epoch == busy.admit().epoch) {
                    probes[index] = None;
                }
                match moods[index] {
                    0 => table.pool.succeeded(&mut busy, now),
                    _ if random.u32(0..20) == 0 => {} // its client left
                    mood => {
                        let failure = [Failure::Refused, Failure::Transport, Failure::Gateway]
                            [mood as usize - 1];
                        let was_up = table.state(index) == State::Up;
                        let others = table.aside().saturating_sub(usize::from(!was_up));
                        let aside = table.pool.failed(&mut busy, failure, "test", now);
                        assert!(aside.is_none_or(|time| (800..=300_000).contains(&time)));
                        // Of those that were in, failing answers take half at most.
                        if aside.is_some() && was_up && !failure.is_of_connecting() {
                            assert!(others < (count / 2).max(1), "{others} were aside already");
                            assert!(table.servers.iter().any(|s| s.marks.rank() == Rank::Usable));
                        }
                    }
                }
            }
            open = kept;
            if is_checked && random.u32(0..4) == 0 {
                let index = random.usize(..count);
                let result = if moods[index] == 0 {
                    Ok(())
                } else {
                    Err("check.status")
                };
                table.pool.checked(&table.servers[index], result, now);
            }
            table.pool.tick(now);
            laws(&table, now);
        }
        drop(open);
        assert!(table.servers.iter().all(|server| server.busy() == 0));
    });
}

fn laws(table: &Table, now: u64) {
    for server in &table.servers {
        let rank = server.marks.rank();
        assert_eq!(rank, server.lock().rank(), "the marks lie");
        if rank == Rank::Usable {
            assert!(table.pool.is_eligible(server, true, now));
        }
    }
}

#[test]
fn a_server_that_flaps_changes_its_state_ever_more_rarely() {
    for_each_seed(20, |random| {
        let table = table(&[0, 0, 0]);
        let period = random.u64(300..1500);
        let mut changes = Vec::new();
        let mut was_usable = true;
        for now in (0..600_000).step_by(20) {
            if table.pool.is_eligible(&table.servers[0], true, now)
                && let Some(mut busy) = table.enter(0, now)
            {
                if now / period % 2 == 0 {
                    table.pool.succeeded(&mut busy, now);
                } else {
                    table.pool.failed(&mut busy, Failure::Refused, "test", now);
                }
            }
            let is_usable = table.state(0) == State::Up;
            if is_usable != was_usable {
                changes.push(now);
            }
            was_usable = is_usable;
        }
        let per_minute = |from: u64| {
            let minute = from..from + 60_000;
            changes.iter().filter(|at| minute.contains(at)).count()
        };
        assert!(per_minute(0) <= 14, "{} in the first minute", per_minute(0));
        for minute in 2..10 {
            let seen = per_minute(minute * 60_000);
            assert!(seen <= 4, "{seen} in minute {minute}");
        }
    });
}

/// What a lock is for: after any interleaving the pool's word agrees with its servers'.
#[test]
fn threads_that_report_at_once_leave_one_truth() {
    let table = table(&[0, 0, 0, 1]);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let table = &table;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for now in 0..20_000 {
                    let Some(mut busy) = table.enter(random.usize(..4), now) else {
                        continue;
                    };
                    match random.u32(0..10) {
                        0 => drop(busy),
                        1 => {
                            table.pool.failed(&mut busy, Failure::Gateway, "test", now);
                        }
                        2 if random.u32(0..50) == 0 => {
                            table.pool.failed(&mut busy, Failure::Refused, "test", now);
                        }
                        _ => table.pool.succeeded(&mut busy, now),
                    }
                }
            });
        }
    });
    let mode = table.pool.mode();
    table.pool.tick(20_000);
    assert_eq!(table.pool.mode(), mode, "nobody was overlooked");
    laws(&table, 20_000);
    assert!(table.servers.iter().all(|server| server.busy() == 0));
}
