//! Clients that come back.

use std::{rc::Rc, sync::Arc};

use rustls::{
    ClientConfig, NamedGroup, ServerConfig,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    pki_types::ServerName,
    version::{TLS12, TLS13},
};

use super::kit::{Ca, Pem, believer, read, server, shake, showing, worker, write};
use crate::{
    local::Local,
    tls::{
        accept::Secured,
        client_auth::ClientAuthTerms,
        server::{Profile, server_config},
        tickets::Tickets,
    },
};

/// Visits and has a word, so that tickets are taken along.
async fn visit(
    local: &Rc<Local>,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Secured {
    use tokio::io::AsyncReadExt as _;
    let (accepted, connected) = shake(local, server, client, name).await;
    let (mut io, secured) = accepted.unwrap();
    let mut far = connected.unwrap();
    write(&mut io, b"welcome").await.unwrap();
    let mut word = [0; 7];
    far.read_exact(&mut word).await.unwrap();
    io.shutdown_write().unwrap();
    assert_eq!(far.read(&mut word).await.unwrap(), 0);
    drop(far);
    assert_eq!(read(&mut io, &mut word).await.unwrap_or(0), 0);
    secured
}

fn plain(pem: &Pem, tickets: &Arc<Tickets>) -> Arc<ServerConfig> {
    server(pem, Profile::Intermediate, None, tickets)
}

#[test]
fn a_client_comes_back_to_any_worker_and_after_a_reload() {
    for versions in [[&TLS13].as_slice(), &[&TLS12]] {
        worker(async |local| {
            let ca = Ca::new("house");
            let pem = ca.server(&["a.example"]);
            let tickets = Tickets::new();
            let client = Arc::new(believer(&ca, versions));
            let first = visit(&local, &plain(&pem, &tickets), &client, "a.example").await;
            assert!(!first.is_resumed);
            // Another configuration: another plan, with another certificate even.
            let later = plain(&ca.server(&["a.example"]), &tickets);
            let second = visit(&local, &later, &client, "a.example").await;
            assert!(second.is_resumed, "{}", second.version);
            // Other keys: another policy, or a restart.
            let elsewhere = plain(&pem, &Tickets::new());
            let third = visit(&local, &elsewhere, &client, "a.example").await;
            assert!(!third.is_resumed);
        });
    }
}

/// Shows what it got by one name to another.
#[derive(Debug)]
struct Forger(ClientSessionMemoryCache);

fn anyone() -> ServerName<'static> {
    ServerName::try_from("anyone.example").unwrap()
}

impl ClientSessionStore for Forger {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(anyone(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&anyone())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(anyone(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&anyone())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&anyone());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(anyone(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&anyone())
    }
}

#[test]
fn a_ticket_got_by_one_name_is_no_good_for_another() {
    for versions in [[&TLS13].as_slice(), &[&TLS12]] {
        worker(async |local| {
            let ca = Ca::new("house");
            let config = plain(
                &ca.server(&["a.example", "b.example", "127.0.0.1"]),
                &Tickets::new(),
            );
            let mut client = believer(&ca, versions);
            client.resumption =
                Resumption::store(Arc::new(Forger(ClientSessionMemoryCache::new(8))));
            let client = Arc::new(client);
            assert!(
                !visit(&local, &config, &client, "a.example")
                    .await
                    .is_resumed
            );
            assert!(
                !visit(&local, &config, &client, "b.example")
                    .await
                    .is_resumed
            );
            assert!(
                visit(&local, &config, &client, "b.example")
                    .await
                    .is_resumed
            );
            // No name at all.
            assert!(
                !visit(&local, &config, &client, "127.0.0.1")
                    .await
                    .is_resumed
            );
        });
    }
}

#[test]
fn who_comes_back_is_still_known_and_other_rules_want_to_see_the_certificate_again() {
    for versions in [[&TLS13].as_slice(), &[&TLS12]] {
        worker(async |local| {
            let (house, guild, other) =
                (Ca::new("house"), Ca::new("guild"), Ca::new("other guild"));
            let pem = house.server(&["a.example"]);
            let asking = |ca: &Ca, tickets: &Arc<Tickets>| {
                let terms = ClientAuthTerms {
                    required: true,
                    ca: vec![ca.pem()],
                    crl: Vec::new(),
                };
                server(&pem, Profile::Intermediate, Some(terms), tickets)
            };
            let ada = guild.client("ada", 5);
            let chain = ada.certificate();
            let mut client = believer(&house, versions);
            client.client_auth_cert_resolver = showing(&house, &ada).client_auth_cert_resolver;
            let client = Arc::new(client);
            let tickets = Tickets::new();
            let config = asking(&guild, &tickets);
            visit(&local, &config, &client, "a.example").await;
            let again = visit(&local, &config, &client, "a.example").await;
            assert!(again.is_resumed);
            assert_eq!(again.client.unwrap().der, chain.leaf_der());
            // The guild is believed no more; its tickets went with it.
            let config = asking(&other, &Tickets::new());
            let (accepted, _) = shake(&local, &config, &client, "a.example").await;
            assert!(accepted.is_err());
            // A site that asks nobody does not take them either.
            let config = plain(&pem, &Tickets::new());
            let open = visit(&local, &config, &client, "a.example").await;
            assert!(!open.is_resumed && open.client.is_none());
        });
    }
}

#[test]
fn tickets_that_could_not_be_made_are_done_without() {
    use rustls::server::ProducesTickets as _;
    let tickets = Tickets::new();
    assert!(tickets.enabled());
    assert_eq!(tickets.lifetime(), 6 * 3600);
    let ticket = tickets.encrypt(b"who").unwrap();
    assert_eq!(tickets.decrypt(&ticket).unwrap(), b"who");
    assert!(Tickets::new().decrypt(&ticket).is_none());
    let _ = server_config;
}
