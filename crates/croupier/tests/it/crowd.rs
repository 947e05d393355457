//! Several servers that say who they are, and pools of them.

use std::sync::mpsc::{self, Receiver};

use croupier_testkit::Event;

use crate::prelude::{Client, Origin, Reply, SOON};

/// Servers that answer with their number, from 0 on.
pub(crate) fn numbered(count: usize) -> Vec<Origin> {
    (0..count)
        .map(|number| Origin::start(move |_| Reply::ok(number.to_string())))
        .collect()
}

/// Their addresses as a list in a config.
pub(crate) fn list(origins: &[Origin]) -> String {
    weighted(origins, &vec![""; origins.len()])
}

/// The same with more keys for each, as in `weight = 2`.
pub(crate) fn weighted(origins: &[Origin], keys: &[&str]) -> String {
    let servers: Vec<_> = origins
        .iter()
        .zip(keys)
        .map(|(origin, keys)| {
            let comma = if keys.is_empty() { "" } else { ", " };
            format!("{{ address = \"{}\"{comma}{keys} }}", origin.address())
        })
        .collect();
    format!("[{}]", servers.join(", "))
}

/// A config with a pool `app` of these keys, and one site for every host that sends to it.
pub(crate) fn pooled(server: &str, pool: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n{server}\n\n[pool.app]\n{pool}\n\n\
         [site.\"*\"]\npool = \"app\"\n"
    )
}

/// Asks once and gives the number of the server that answered.
#[track_caller]
pub(crate) fn ask(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> usize {
    let response = client.request("GET", path, headers, "");
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().parse().unwrap()
}

/// How often each of `servers` is asked by `count` requests that are all alike.
#[track_caller]
pub(crate) fn shares(client: &mut Client, servers: usize, count: usize) -> Vec<usize> {
    let mut counts = vec![0; servers];
    for _ in 0..count {
        counts[ask(client, "/", &[])] += 1;
    }
    counts
}

/// Servers that hold every request until they are let go, and say who was asked.
pub(crate) struct Holding {
    pub(crate) origins: Vec<Origin>,
    arrived: Receiver<usize>,
    go: Event,
}

impl Holding {
    pub(crate) fn start(count: usize) -> Self {
        let (tell, arrived) = mpsc::channel();
        let go = Event::new();
        let origins = (0..count)
            .map(|number| {
                let (tell, go) = (tell.clone(), go.clone());
                Origin::start(move |_| {
                    let _ = tell.send(number);
                    Reply::wait_for(&go).then(Reply::ok(number.to_string()))
                })
            })
            .collect();
        Self {
            origins,
            arrived,
            go,
        }
    }

    /// Sends `count` requests one after the other, each on a connection of its own and each when
    /// the one before is with a server: the clients, and how many each server holds.
    #[track_caller]
    pub(crate) fn send(
        &self,
        address: std::net::SocketAddr,
        count: usize,
        headers: &[(&str, &str)],
    ) -> (Vec<Client>, Vec<usize>) {
        let mut clients = Vec::new();
        let mut held = vec![0; self.origins.len()];
        for _ in 0..count {
            let mut client = Client::connect(address);
            client.send_request("GET", "/", headers, "");
            held[self.arrived.recv_timeout(SOON).unwrap()] += 1;
            clients.push(client);
        }
        (clients, held)
    }

    /// Lets all go: every client gets its answer.
    #[track_caller]
    pub(crate) fn finish(&self, clients: Vec<Client>) {
        self.go.fire();
        for mut client in clients {
            assert_eq!(client.read_response().status, 200);
        }
    }
}
