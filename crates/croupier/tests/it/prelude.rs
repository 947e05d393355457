//! What every story needs.

use std::time::Duration;

pub(crate) use croupier_testkit::{Client, Origin, Proxy, Reply};

/// Long enough for anything that happens at once, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The proxy under test, with this config; listeners on port 0 pick a free one.
pub(crate) fn start(config: &str) -> Proxy {
    Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")).start(config)
}

/// A proxy with one site for every host, in front of one origin.
pub(crate) fn in_front_of(origin: &Origin) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ))
}

/// A config with one listener and one site for every host, which has these lines.
pub(crate) fn config(site: &str) -> String {
    config_with("", site)
}

/// The same with more lines of `[server]`.
pub(crate) fn config_with(server: &str, site: &str) -> String {
    format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{server}\n\n[site.\"*\"]\n{site}\n")
}

/// What the metrics say of this series, written as in the exposition; 0 when they do not name it.
pub(crate) fn metric(proxy: &Proxy, series: &str) -> f64 {
    let page = Client::connect(proxy.metrics_address())
        .get("/metrics")
        .text();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
