//! Prometheus text, format 0.0.4: everything the workers counted, summed, and what the caller knows.
//!
//! Numbers that workers count come from the registry. Numbers that are true only now (is a server up?)
//! are computed by whoever asks for the text and handed in as samples. Each family is announced once,
//! in the order of the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cells::{Names, Registry, Totals};
use crate::histogram::{BOUNDS, HistogramTotal};
use crate::table::{Counter, Gauge, Metric};

/// The `Content-Type` of what `render` returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A number computed by the caller of [`render`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    metric: Metric,
    values: Vec<String>,
    number: f64,
}

impl Sample {
    /// A sample of a counter or gauge. `values` belong to the family's labels in the order of the table;
    /// missing ones are empty, surplus ones are left out.
    #[must_use]
    pub fn new(metric: Metric, values: &[&str], number: f64) -> Self {
        debug_assert_eq!(metric.spec().labels.len(), values.len(), "{metric:?}");
        Self {
            metric,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            number,
        }
    }
}

/// The text of all metrics: the registry's, and `extra`. A family without samples is left out.
#[must_use]
pub fn render(registry: &Registry, extra: &[Sample]) -> String {
    let all = View {
        totals: registry.totals(),
        routes: registry.route_names(),
        servers: registry.server_names(),
        faults: registry.fault_names(),
    };
    let mut page = Page {
        text: String::with_capacity(16 * 1024),
        family: Metric::BuildInfo,
    };
    for metric in Metric::ALL {
        page.family = *metric;
        let start = page.text.len();
        page.announce();
        let announced = page.text.len();
        all.plain(&mut page);
        all.labelled(&mut page);
        for sample in extra.iter().filter(|sample| sample.metric == *metric) {
            page.sample("", &sample.values, number(sample.number));
        }
        if page.text.len() == announced {
            page.text.truncate(start);
        }
    }
    page.text
}

/// What is shown.
struct View {
    totals: Totals,
    routes: Names,
    servers: Names,
    faults: &'static [&'static str],
}

impl View {
    /// Counters and gauges with one cell each.
    fn plain(&self, page: &mut Page) {
        let family = page.family;
        for counter in Counter::ALL
            .iter()
            .filter(|counter| counter.metric() == family)
        {
            page.sample(
                "",
                counter.labels(),
                self.totals.counters[*counter as usize],
            );
        }
        for gauge in Gauge::ALL.iter().filter(|gauge| gauge.metric() == family) {
            page.sample(
                "",
                gauge.labels(),
                level(self.totals.gauges[*gauge as usize]),
            );
        }
    }

    /// Families whose labels come from configuration.
    fn labelled(&self, page: &mut Page) {
        match page.family {
            Metric::ServerRequestDuration => self.exchanges(page),
            Metric::RequestBodySize | Metric::ResponseBodySize => self.body_sizes(page),
            Metric::ClientRequestDuration
            | Metric::ServerConnections
            | Metric::ServerRetries
            | Metric::ServerFailures => self.servers(page),
            Metric::Faults => {
                for (name, count) in self.faults.iter().zip(&self.totals.faults) {
                    page.sample("", &[name], *count);
                }
            }
            _ => {}
        }
    }

    fn exchanges(&self, page: &mut Page) {
        for (key, total) in &self.totals.series {
            let (site, route) = self.routes.of(key.route().0);
            let status = if key.status() == 0 {
                String::new()
            } else {
                key.status().to_string()
            };
            let values = [site, route, key.method(), &status, key.version()];
            page.histogram(&values, &total.duration);
        }
    }

    fn body_sizes(&self, page: &mut Page) {
        let mut by_route: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for (key, total) in &self.totals.series {
            let bytes = match page.family {
                Metric::RequestBodySize => total.bytes_in,
                _ => total.bytes_out,
            };
            let route = by_route.entry(key.route().0).or_default();
            route.0 = route.0.wrapping_add(bytes);
            route.1 = route.1.wrapping_add(total.duration.count());
        }
        for (route, (sum, count)) in by_route {
            let (site, route) = self.routes.of(route);
            page.sample("_sum", &[site, route], sum);
            page.sample("_count", &[site, route], count);
        }
    }

    fn servers(&self, page: &mut Page) {
        let mut retries: BTreeMap<&str, u64> = BTreeMap::new();
        for (slot, total) in &self.totals.servers {
            let (pool, server) = self.servers.of(*slot);
            match page.family {
                Metric::ClientRequestDuration => page.histogram(&[pool, server], &total.duration),
                Metric::ServerFailures => page.sample("", &[pool, server], total.failures),
                Metric::ServerRetries => *retries.entry(pool).or_default() += total.retries,
                _ => {
                    page.sample("", &[pool, server, "idle"], level(total.idle));
                    page.sample("", &[pool, server, "busy"], level(total.busy));
                }
            }
        }
        for (pool, retries) in retries {
            page.sample("", &[pool], retries);
        }
    }
}

/// The text being written, and the family it is about. Writing to a String cannot fail, so the results
/// of `write!` are dropped here.
struct Page {
    text: String,
    family: Metric,
}

impl Page {
    fn announce(&mut self) {
        let spec = self.family.spec();
        let _ = writeln!(self.text, "# HELP {} {}", spec.name, spec.help);
        let _ = writeln!(self.text, "# TYPE {} {}", spec.name, spec.kind.as_str());
    }

    fn sample(&mut self, suffix: &str, values: &[impl AsRef<str>], number: impl std::fmt::Display) {
        self.name(suffix, values, None);
        let _ = writeln!(self.text, " {number}");
    }

    fn histogram(&mut self, values: &[&str], total: &HistogramTotal) {
        let bounds = BOUNDS.iter().map(|(_, le)| *le).chain(["+Inf"]);
        let mut cumulative = 0_u64;
        for (le, bucket) in bounds.zip(total.buckets) {
            cumulative = cumulative.wrapping_add(bucket);
            self.name("_bucket", values, Some(le));
            let _ = writeln!(self.text, " {cumulative}");
        }
        let (seconds, rest) = (total.sum_ns / 1_000_000_000, total.sum_ns % 1_000_000_000);
        self.sample("_sum", values, format_args!("{seconds}.{rest:09}"));
        self.sample("_count", values, cumulative);
    }

    /// Name and labels of one line.
    fn name(&mut self, suffix: &str, values: &[impl AsRef<str>], le: Option<&str>) {
        let spec = self.family.spec();
        let _ = write!(self.text, "{}{suffix}", spec.name);
        let labels = spec.labels.iter().zip(values.iter().map(AsRef::as_ref));
        let labels = labels.chain(le.map(|le| (&"le", le)));
        let mut before = '{';
        for (label, value) in labels {
            let _ = write!(self.text, "{before}{label}=\"");
            self.escaped(value);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
    }

    fn escaped(&mut self, value: &str) {
        for char in value.chars() {
            match char {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                _ => self.text.push(char),
            }
        }
    }
}

/// A gauge from its two's complement. Cells are read one after the other, so a sum can be below 0 for a
/// moment; nobody has -1 connections.
fn level(sum: u64) -> i64 {
    (sum as i64).max(0)
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
