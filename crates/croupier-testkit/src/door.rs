//! A server of TLS with nothing behind its door: what it hears goes to another server of the test,
//! by the protocol that was agreed on. So every origin of the kit can be reached over TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::event::{PATIENCE, lock};
use crate::tls::{Issued, provider};

/// Who is behind the door.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// Who speaks HTTP/2; with `None` it is not on offer.
    pub http2: Option<SocketAddr>,
    /// Who speaks HTTP/1.
    pub http1: SocketAddr,
}

/// A server of TLS in front of others.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    agreed: Arc<Mutex<Vec<String>>>,
}

impl Door {
    /// Shows this certificate. Its threads end with their connections.
    #[must_use]
    pub fn open(shown: &Issued, behind: Behind) -> Self {
        let chain = CertificateDer::pem_slice_iter(shown.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if behind.http2.is_some() {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let agreed = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&agreed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, heard) = (Arc::clone(&config), Arc::clone(&heard));
                thread::spawn(move || serve(client, config, behind, &heard));
            }
        });
        Self { address, agreed }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was agreed on, a word for each handshake that came to its end: `h2`, `http/1.1`, or
    /// nothing.
    #[must_use]
    pub fn agreed(&self) -> Vec<String> {
        lock(&self.agreed).clone()
    }
}

/// One connection; `None` when it has ended.
fn serve(
    mut client: TcpStream,
    config: Arc<ServerConfig>,
    behind: Behind,
    heard: &Mutex<Vec<String>>,
) -> Option<()> {
    client.set_nodelay(true).ok()?;
    client.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut session = ServerConnection::new(config).ok()?;
    while session.is_handshaking() {
        session.complete_io(&mut client).ok()?;
    }
    client.set_read_timeout(None).ok()?;
    let alpn = String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned();
    let to = match behind.http2 {
        Some(address) if alpn == "h2" => address,
        _ => behind.http1,
    };
    lock(heard).push(alpn);
    let server = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    server.set_nodelay(true).ok()?;
    let session = Arc::new(Mutex::new(session));
    let back = {
        let (client, server) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let session = Arc::clone(&session);
        thread::spawn(move || to_client(server, client, &session))
    };
    let _ = to_server(&mut client, &server, &session);
    let _ = server.shutdown(Shutdown::Write);
    back.join().ok().flatten()
}

fn to_server(
    client: &mut TcpStream,
    mut server: &TcpStream,
    session: &Mutex<ServerConnection>,
) -> Option<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        // What came with the last message of the handshake is there before anything is read.
        let (text, has_ended) = {
            let mut session = lock(session);
            let mut text = Vec::new();
            let state = session.process_new_packets().ok()?;
            let has_ended = state.peer_has_closed();
            let _ = session.reader().read_to_end(&mut text);
            while session.wants_write() {
                session.write_tls(client).ok()?;
            }
            (text, has_ended)
        };
        server.write_all(&text).ok()?;
        if has_ended {
            return Some(());
        }
        let count = client.read(&mut bytes).ok().filter(|count| *count > 0)?;
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let mut session = lock(session);
            session.read_tls(&mut rest).ok()?;
            session.process_new_packets().ok()?;
            let mut text = Vec::new();
            let _ = session.reader().read_to_end(&mut text);
            drop(session);
            server.write_all(&text).ok()?;
        }
    }
}

fn to_client(
    mut server: TcpStream,
    mut client: TcpStream,
    session: &Mutex<ServerConnection>,
) -> Option<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = server.read(&mut bytes).unwrap_or(0);
        let mut session = lock(session);
        if count == 0 {
            session.send_close_notify();
        } else {
            session.writer().write_all(&bytes[..count]).ok()?;
        }
        while session.wants_write() {
            session.write_tls(&mut client).ok()?;
        }
        drop(session);
        if count == 0 {
            let _ = client.shutdown(Shutdown::Write);
            return Some(());
        }
    }
}
