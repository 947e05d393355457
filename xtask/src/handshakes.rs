//! A load of handshakes: connections that are made secure and closed again, with nothing between.
//! The client believes anybody and offers the one group that all servers have, so that what differs
//! is the servers' work.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
    StreamOwned,
};

use crate::Outcome;

/// So many handshakes are under way at once.
const CONNECTIONS: usize = 16;

/// A connection that does nothing for so long is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// `cargo xtask handshakes [--resumed] --seconds S ADDRESS`.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut kind, mut seconds, mut address) = (HandshakeKind::Full, 5, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--resumed" => kind = HandshakeKind::Resumed,
            "--seconds" => {
                let value = words.next().and_then(|value| value.parse().ok());
                seconds = value.ok_or("`--seconds` wants a number")?;
            }
            _ => address = word.parse().ok(),
        }
    }
    let address = address.ok_or("which address? 127.0.0.1:PORT")?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let seen: Vec<Seen> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(move || shake_until(address, kind, until)))
            .collect();
        (threads.into_iter())
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let mut times: Vec<Duration> = seen.iter().flat_map(|seen| seen.times.clone()).collect();
    times.sort_unstable();
    let errors: u64 = seen.iter().map(|seen| seen.errors).sum();
    let micros = |per_mille: usize| {
        let index = times.len().saturating_sub(1) * per_mille / 1000;
        times.get(index).map_or(0, Duration::as_micros)
    };
    println!(
        "answered={} errors={errors} p50_us={} p99_us={}",
        times.len(),
        micros(500),
        micros(990)
    );
    Ok(())
}

#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    /// Failures, and handshakes of the other kind.
    errors: u64,
}

fn shake_until(address: SocketAddr, kind: HandshakeKind, until: Instant) -> Seen {
    // Of its own, with its own tickets: each is used once.
    let config = client_config(kind);
    let mut seen = Seen::default();
    if kind == HandshakeKind::Resumed {
        let _ = shake(address, &config, kind);
    }
    while Instant::now() < until {
        let began = Instant::now();
        match shake(address, &config, kind) {
            Ok(found) if found == kind => seen.times.push(began.elapsed()),
            _ => seen.errors += 1,
        }
    }
    seen
}

/// One connection, from its first byte to its last.
fn shake(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    wanted: HandshakeKind,
) -> std::io::Result<HandshakeKind> {
    let mut stream = connect(address)?;
    let mut session = session(config)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    let kind = session.handshake_kind().unwrap_or(HandshakeKind::Full);
    if wanted == HandshakeKind::Resumed {
        // Some keep their tickets to themselves when the end comes first.
        session.read_tls(&mut stream)?;
        session
            .process_new_packets()
            .map_err(std::io::Error::other)?;
    }
    session.send_close_notify();
    while session.wants_write() {
        session.write_tls(&mut stream)?;
    }
    stream.shutdown(Shutdown::Write)?;
    loop {
        match session.read_tls(&mut stream) {
            Ok(0) => return Ok(kind),
            Ok(_) => {
                _ = session
                    .process_new_packets()
                    .map_err(std::io::Error::other)?
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(kind),
            Err(error) => return Err(error),
        }
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn session(config: &Arc<ClientConfig>) -> std::io::Result<ClientConnection> {
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)
}

/// A connection over TLS for who wants to talk on it.
pub(crate) type Secure = StreamOwned<ClientConnection, TcpStream>;

/// Opens one.
pub(crate) fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Secure> {
    let mut secure = StreamOwned::new(session(config)?, connect(address)?);
    secure.flush()?;
    Ok(secure)
}

/// A client of TLS 1.3 that resumes, or never does.
pub(crate) fn client_config(kind: HandshakeKind) -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    // Not all servers have the groups that come first.
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    #[expect(
        clippy::expect_used,
        reason = "the provider is the one that rustls ships"
    )]
    let builder = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has suites of TLS 1.3");
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    if kind != HandshakeKind::Resumed {
        config.resumption = Resumption::disabled();
    }
    Arc::new(config)
}

/// Believes whoever answers, and looks at no signature, unlike the kit's credulous client: that costs
/// more than the server's part, and both share the machine.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
