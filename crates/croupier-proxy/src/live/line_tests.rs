//! The order of a line, and that nobody in it is forgotten.

use std::collections::BTreeSet;

use super::{Line, Standing, Ticket};
use crate::live::seeds::for_each_seed;

/// In the line and waiting; the wake is a number.
fn waiting(line: &mut Line<u32>, priority: u8, deadline: u64, wake: u32) -> Ticket {
    let ticket = line.enqueue(priority, deadline, 100).unwrap();
    if line.standing(ticket) == Standing::Called {
        line.back(ticket);
    }
    assert_eq!(line.standing(ticket), Standing::Waiting);
    line.set_wake(ticket, wake);
    ticket
}

#[test]
fn by_priority_then_first_come_first_served() {
    let mut line = Line::default();
    for (priority, wake) in [(1, 10), (0, 1), (1, 11), (0, 2), (2, 20)] {
        waiting(&mut line, priority, 100, wake);
    }
    let order: Vec<u32> = std::iter::from_fn(|| line.wake_next()).collect();
    assert_eq!(order, [1, 2, 10, 11, 20]);
}

#[test]
fn a_newcomer_looks_once_more_before_it_waits() {
    let mut line = Line::<u32>::default();
    let ticket = line.enqueue(0, 100, 1).unwrap();
    assert_eq!(line.standing(ticket), Standing::Called);
    assert_eq!(line.enqueue(0, 100, 1), None, "the line is full");
    assert_eq!(line.leave(ticket), None);
    assert!(
        line.enqueue(0, 100, 1).is_some(),
        "its place was given back"
    );
}

#[test]
fn a_newcomer_does_not_take_what_others_wait_for() {
    let mut line = Line::default();
    let first = waiting(&mut line, 1, 100, 1);
    let behind = line.enqueue(1, 100, 9).unwrap();
    assert_eq!(line.standing(behind), Standing::Waiting);
    assert_eq!(line.wake_next(), Some(1));
    let late = line.enqueue(1, 100, 9).unwrap();
    assert_eq!(
        line.standing(late),
        Standing::Waiting,
        "the first is about to look"
    );
    let urgent = line.enqueue(0, 100, 9).unwrap();
    assert_eq!(
        line.standing(urgent),
        Standing::Called,
        "nobody is before it"
    );
    line.back(urgent);
    line.leave(first);
    let before_behind = [urgent, behind].map(|ticket| line.standing(ticket));
    assert_eq!(before_behind, [Standing::Called, Standing::Waiting]);
}

#[test]
fn a_call_that_comes_while_one_looks_is_not_lost() {
    let mut line = Line::<u32>::default();
    let ticket = line.enqueue(0, 100, 1).unwrap();
    assert_eq!(line.wake_next(), None, "nobody waits at this moment");
    line.back(ticket);
    assert_eq!(line.standing(ticket), Standing::Called, "so it looks again");
    line.back(ticket);
    assert_eq!(line.standing(ticket), Standing::Waiting);
}

#[test]
fn who_leaves_passes_its_call_on() {
    let mut line = Line::default();
    let first = waiting(&mut line, 0, 100, 1);
    waiting(&mut line, 0, 100, 2);
    assert_eq!(line.wake_next(), Some(1));
    assert_eq!(line.leave(first), Some(2));
}

#[test]
fn who_was_called_in_vain_keeps_its_place() {
    let mut line = Line::default();
    let first = waiting(&mut line, 0, 100, 1);
    waiting(&mut line, 0, 100, 2);
    assert_eq!(line.wake_next(), Some(1));
    line.back(first);
    line.set_wake(first, 1);
    assert_eq!(line.wake_next(), Some(1));
}

#[test]
fn whose_time_is_over_is_told_and_is_gone() {
    let mut line = Line::default();
    let late = waiting(&mut line, 0, 50, 1);
    let called = waiting(&mut line, 0, 50, 2);
    waiting(&mut line, 0, 51, 3);
    line.back(called);
    assert_eq!(line.wake_next(), Some(1));
    line.back(late);
    line.set_wake(late, 1);
    assert_eq!(line.expire(50), [1, 2]);
    assert_eq!(line.standing(late), Standing::Expired);
    assert_eq!((line.len(), line.leave(late)), (1, None));
}

/// Slots that come free, waiters that come, leave and are slow to act, in any order: nobody
/// waits while a slot is free and nobody is about to look, and the bound holds.
#[test]
fn nobody_is_forgotten_whatever_the_order_of_events() {
    for_each_seed(300, |random| {
        const BOUND: usize = 6;
        let mut line = Line::<u32>::default();
        let mut tickets: BTreeSet<Ticket> = BTreeSet::new();
        let (mut free, mut busy) = (random.u32(0..3), 0_u32);
        for now in 0..400_u64 {
            let called: Vec<Ticket> = tickets
                .iter()
                .copied()
                .filter(|ticket| line.standing(*ticket) == Standing::Called)
                .collect();
            match random.u32(0..8) {
                0..3 => {
                    let priority = random.u8(0..3);
                    match line.enqueue(priority, now + random.u64(1..60), BOUND) {
                        Some(ticket) => assert!(tickets.insert(ticket)),
                        None => assert_eq!(line.len(), BOUND, "refused without need"),
                    }
                }
                3 if busy > 0 => {
                    (busy, free) = (busy - 1, free + 1);
                    line.wake_next();
                }
                // One that was called looks for a slot.
                4 | 5 if !called.is_empty() => {
                    let ticket = called[random.usize(..called.len())];
                    if free > 0 {
                        (busy, free) = (busy + 1, free - 1);
                        tickets.remove(&ticket);
                        line.leave(ticket);
                    } else {
                        line.back(ticket);
                    }
                }
                6 if !tickets.is_empty() => {
                    let index = random.usize(..tickets.len());
                    let ticket = tickets.iter().copied().nth(index).unwrap();
                    tickets.remove(&ticket);
                    line.leave(ticket);
                }
                7 => {
                    line.expire(now);
                    tickets.retain(|ticket| line.standing(*ticket) != Standing::Expired);
                }
                _ => {}
            }
            assert_eq!(line.len(), tickets.len());
            assert!(line.len() <= BOUND);
            let standing = |wanted| {
                tickets
                    .iter()
                    .any(|ticket| line.standing(*ticket) == wanted)
            };
            assert!(
                free == 0 || standing(Standing::Called) || !standing(Standing::Waiting),
                "a slot is free, somebody waits, and nobody will look"
            );
        }
    });
}
