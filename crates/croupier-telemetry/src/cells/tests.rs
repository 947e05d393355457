//! What is promised about counting: totals are exact, slots are stable, tables are bounded.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::registry::{MAX_RETIRED, MAX_SLOTS};
use super::worker::MAX_SERIES;
use super::*;
use crate::table::{Counter, Gauge};

const FAULTS: &[&str] = &["client.gone", "origin.connect.refused"];

fn finished(route: RouteSlot, status: u16) -> Finished {
    Finished {
        route,
        method: MethodLabel::Get,
        status,
        version: ProtoVersion::H1_1,
        duration: Duration::from_millis(7),
        bytes_in: 3,
        bytes_out: 100,
    }
}

#[test]
fn what_workers_count_adds_up() {
    let registry = Registry::new(FAULTS);
    let route = registry.route("shop", "/api/*");
    let server = registry.server("web", "10.0.0.1:80");
    thread::scope(|scope| {
        for _ in 0..3 {
            let cells = registry.worker();
            scope.spawn(move || {
                for _ in 0..1000 {
                    cells.add(Counter::BytesClientIn, 2);
                    cells.fault(1);
                    cells.exchange(&finished(route, 200));
                    cells.server_exchange(server, Duration::from_millis(1));
                    cells.server_failure(server);
                    cells.server_retry(server);
                }
                cells.exchange(&finished(route, 404));
            });
        }
    });
    let totals = registry.totals();
    assert_eq!(totals.counters[Counter::BytesClientIn as usize], 6000);
    assert_eq!(totals.faults, [0, 3000]);
    assert_eq!(totals.series.len(), 2);
    let (key, ok) = totals.series.iter().next().unwrap();
    assert_eq!((key.route(), key.status()), (route, 200));
    assert_eq!(
        (ok.duration.count(), ok.bytes_in, ok.bytes_out),
        (3000, 9000, 300_000)
    );
    let server = &totals.servers[&server.0];
    assert_eq!(
        (server.duration.count(), server.failures, server.retries),
        (3000, 3000, 3000)
    );
}

#[test]
fn levels_add_up_over_workers_and_end_with_them() {
    let registry = Registry::new(FAULTS);
    let server = registry.server("web", "10.0.0.1:80");
    let (one, two) = (registry.worker(), registry.worker());
    one.gauge(Gauge::Connections, 1);
    two.gauge(Gauge::Connections, 1);
    two.gauge(Gauge::Connections, -1);
    two.gauge(Gauge::Connections, 4);
    two.server_gauge(server, ServerGauge::Busy, 2);
    let totals = registry.totals();
    assert_eq!(totals.gauges[Gauge::Connections as usize], 5);
    assert_eq!(totals.servers[&server.0].busy, 2);

    drop(two);
    let totals = registry.totals();
    assert_eq!(totals.gauges[Gauge::Connections as usize], 1);
    assert_eq!(totals.servers[&server.0].busy, 0);
}

#[test]
fn the_next_worker_counts_on() {
    let registry = Registry::new(FAULTS);
    let route = registry.route("shop", "");
    for _ in 0..3 {
        let cells = registry.worker();
        cells.add(Counter::Panics, 1);
        cells.exchange(&finished(route, 200));
        cells.server_failure(registry.server("web", "a"));
    }
    let totals = registry.totals();
    assert_eq!(totals.counters[Counter::Panics as usize], 3);
    assert_eq!(totals.series.len(), 1);
    assert_eq!(totals.series.values().next().unwrap().duration.count(), 3);
    assert_eq!(totals.servers.values().next().unwrap().failures, 3);
}

#[test]
fn a_name_keeps_its_slot() {
    let registry = Registry::new(FAULTS);
    let slot = registry.route("a", "b");
    assert_ne!(slot, registry.route("b", "a"));
    assert_ne!(slot, RouteSlot::OTHER);
    assert_eq!(slot, registry.route("a", "b"));
    assert_eq!(registry.route_names().of(slot.0), ("a", "b"));
    assert_eq!(registry.route_names().of(0), ("other", "other"));
    assert_eq!(registry.route_names().of(u32::MAX), ("other", "other"));
}

#[test]
fn slots_are_bounded() {
    let registry = Registry::new(FAULTS);
    for index in 1..MAX_SLOTS {
        assert_ne!(
            registry.server("web", &index.to_string()),
            ServerSlot::OTHER
        );
    }
    assert_eq!(registry.server("web", "one too many"), ServerSlot::OTHER);
    assert_ne!(
        registry.server("web", "1"),
        ServerSlot::OTHER,
        "known ones stay"
    );
}

#[test]
fn a_server_that_comes_back_counts_on() {
    let registry = Registry::new(FAULTS);
    let cells = registry.worker();
    let slot = registry.server("web", "app:80@10.0.0.1:80");
    cells.server_failure(slot);
    registry.retire_server(slot);
    registry.retire_server(slot);
    assert_eq!(registry.server("web", "app:80@10.0.0.1:80"), slot);
    assert_eq!(registry.totals().servers[&slot.0].failures, 1);
    assert_ne!(registry.server("web", "app:80@10.0.0.2:80"), slot);
}

#[test]
fn servers_that_come_and_go_share_a_bounded_table_and_no_counts() {
    let registry = Registry::new(FAULTS);
    let cells = registry.worker();
    let stays = registry.server("web", "10.0.0.1:80");
    cells.server_failure(stays);
    let mut highest = 0;
    for index in 0..10 * MAX_RETIRED {
        let slot = registry.server("web", &format!("app:80@{index}"));
        assert_ne!(slot, ServerSlot::OTHER);
        cells.server_failure(slot);
        cells.server_exchange(slot, Duration::from_millis(3));
        let total = &registry.totals().servers[&slot.0];
        assert_eq!((total.failures, total.duration.count()), (1, 1), "{index}");
        assert_eq!(
            registry.server_names().of(slot.0).1,
            format!("app:80@{index}")
        );
        highest = highest.max(slot.0);
        registry.retire_server(slot);
    }
    assert!(highest as usize <= MAX_RETIRED + 2, "{highest} slots");
    assert_eq!(registry.totals().servers[&stays.0].failures, 1);
}

#[test]
fn series_are_bounded_and_nothing_is_lost() {
    let registry = Registry::new(FAULTS);
    let cells = registry.worker();
    let routes = MAX_SERIES as u32 + 500;
    for route in 1..=routes {
        cells.exchange(&finished(RouteSlot(route), 200));
    }
    let totals = registry.totals();
    assert_eq!(totals.series.len(), MAX_SERIES + 1);
    let folded = &totals.series.iter().next().unwrap();
    assert_eq!(folded.0.route(), RouteSlot::OTHER);
    assert_eq!(folded.1.duration.count(), 500);
    let all: u64 = totals
        .series
        .values()
        .map(|series| series.duration.count())
        .sum();
    assert_eq!(all, u64::from(routes));
}

#[test]
fn cells_may_move_to_their_thread() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<WorkerCells>();
    is_shared::<Arc<Registry>>();
}
