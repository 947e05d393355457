//! Server names to addresses, beside the traffic: looked up at the start, then every few
//! seconds. A name that does not resolve never stops the start, and a failed or empty answer
//! keeps what was known.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use croupier_proxy::{
    Live,
    live::{Place, Server},
};
use croupier_telemetry::{Level, event};

/// Between two look-ups of all names.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a start or reload waits for the first answers.
const FIRST_TIME: Duration = Duration::from_secs(2);
/// Addresses of one name.
const ADDRESSES_MAX: usize = 64;

/// Looks up all names once and waits for the answers for a short time.
pub(crate) async fn first(live: &Arc<Live>) {
    if !live
        .servers()
        .iter()
        .any(|server| matches!(server.place(), Place::Named { .. }))
    {
        return;
    }
    let live = Arc::clone(live);
    let looked_up = tokio::task::spawn_blocking(move || all(&live));
    let _ = tokio::time::timeout(FIRST_TIME, looked_up).await;
}

/// Looks up all names again and again.
pub(crate) fn keep(live: &Arc<Live>) {
    let live = Arc::downgrade(live);
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(live) = live.upgrade() else { return };
            let _ = tokio::task::spawn_blocking(move || all(&live)).await;
        }
    });
}

fn all(live: &Live) {
    for server in live.servers() {
        if let Place::Named { host, port, .. } = server.place() {
            look_up(&server, host, *port);
        }
    }
}

fn look_up(server: &Server, host: &str, port: u16) {
    match (host, port).to_socket_addrs() {
        Ok(found) => {
            let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
            if !found.is_empty() {
                server.found(&found);
            }
        }
        Err(error) => event(
            Level::Warn,
            "pool.name.unresolved",
            &[
                ("pool", &server.pool),
                ("server", &server.name),
                ("error", &error),
            ],
        ),
    }
}
