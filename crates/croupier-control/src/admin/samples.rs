//! Numbers of pools and servers that are true now, for the metrics page.

use croupier_cache::disk;
use croupier_proxy::{
    Live, Plan,
    live::{LivePool, Rank, Server, State, certs::Shown},
    plan::cache::StorePlan,
};
use croupier_telemetry::{Metric, Sample};

/// What is true of all pools and their servers.
pub(super) fn of_pools(live: &Live) -> Vec<Sample> {
    let mut samples = Vec::new();
    for server in live.servers() {
        of_server(&server, &mut samples);
    }
    for pool in live.pools() {
        of_pool(&pool, &mut samples);
    }
    samples
}

/// When the certificates that sites show end.
pub(super) fn of_certificates(live: &Live) -> Vec<Sample> {
    let shown = live.certs.shown().into_iter();
    let samples = shown.map(|Shown { site, source, slot }| {
        let end = slot.get().map_or(0, |certificate| certificate.not_after());
        Sample::new(Metric::CertificateExpiry, &[&site, source], count(end))
    });
    samples.collect()
}

/// What the stores of the cache hold, and what became of answers.
pub(super) fn of_stores(plan: &Plan) -> Vec<Sample> {
    let mut samples = Vec::new();
    for StorePlan { store, disk, .. } in &plan.stores {
        if let Some(disk) = disk {
            of_disk(store.name(), &disk.counts(), &mut samples);
        }
        let name = store.name();
        let counts = store.counts();
        let (used, _) = store.used();
        let mut say = |metric, number| {
            samples.push(Sample::new(metric, &[name, "memory"], count(number)));
        };
        say(Metric::CacheObjects, counts.objects);
        say(Metric::CacheBytes, used);
        say(Metric::CacheStored, counts.stored);
        say(Metric::CacheEvictions, counts.evicted);
        for (reason, refused) in store.refusals_by_reason() {
            let labels = [name, reason];
            samples.push(Sample::new(Metric::CacheRefused, &labels, count(refused)));
        }
    }
    samples
}

fn of_disk(store: &str, counts: &disk::Counts, samples: &mut Vec<Sample>) {
    let mut say = |metric, label, number| {
        samples.push(Sample::new(metric, &[store, label], count(number)));
    };
    say(Metric::CacheObjects, "disk", counts.objects);
    say(Metric::CacheBytes, "disk", counts.file_bytes);
    say(Metric::CacheStored, "disk", counts.written);
    say(Metric::CacheEvictions, "disk", counts.reclaimed_objects);
    say(Metric::CacheDiskErrors, "write", counts.write_errors);
    say(Metric::CacheDiskErrors, "read", counts.read_errors);
    say(
        Metric::CacheDiskErrors,
        "checksum",
        counts.checksum_failures,
    );
    let dropped = count(counts.dropped);
    samples.push(Sample::new(Metric::CacheDiskDropped, &[store], dropped));
}

fn of_server(server: &Server, samples: &mut Vec<Sample>) {
    let names = [server.pool.as_str(), server.name.as_str()];
    let state = server.status().state;
    let is_up = state == State::Up;
    samples.push(Sample::new(Metric::ServerUp, &names, boolean(is_up)));
    for each in State::ALL {
        let labels = [names[0], names[1], each.as_str()];
        let is_it = boolean(each == state);
        samples.push(Sample::new(Metric::ServerState, &labels, is_it));
    }
    let ejections = count(server.ejections());
    samples.push(Sample::new(Metric::ServerEjections, &names, ejections));
    let (passed, failed) = server.checks();
    for (result, number) in [("passed", passed), ("failed", failed)] {
        if passed + failed > 0 {
            let labels = [names[0], names[1], result];
            samples.push(Sample::new(Metric::HealthChecks, &labels, count(number)));
        }
    }
}

fn of_pool(pool: &LivePool, samples: &mut Vec<Sample>) {
    let name = pool.name.as_str();
    let is_open = boolean(pool.mode() != Rank::Usable);
    samples.push(Sample::new(Metric::PoolFailOpen, &[name], is_open));
    let queue = pool.queue();
    let waiting = count(u64::try_from(queue.waiting()).unwrap_or(u64::MAX));
    samples.push(Sample::new(Metric::PoolQueue, &[name], waiting));
    let queued = count(queue.queued());
    samples.push(Sample::new(Metric::PoolQueued, &[name], queued));
    for (reason, number) in [("full", queue.full()), ("timeout", queue.timeouts())] {
        let labels = [name, reason];
        let refused = count(number);
        samples.push(Sample::new(Metric::PoolQueueRefused, &labels, refused));
    }
}

fn boolean(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}
