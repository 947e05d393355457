//! Authorities and ends.

use std::{future::poll_fn, io, io::IoSlice, net::SocketAddr, rc::Rc, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client};

use crate::{
    error::NetError,
    local::Local,
    timers::NEVER,
    tls::{
        Certificate,
        accept::{self, Secured},
        certs::Slot,
        client_auth::ClientAuthTerms,
        provider,
        server::{Profile, ServerTerms, server_config},
        tickets::Tickets,
    },
    transport::Transport,
};

/// Runs a story as a worker would.
pub(super) fn worker<R>(story: impl AsyncFnOnce(Rc<Local>) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(async {
        let story = story(Rc::default());
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, story)
            .await
            .expect("a story that ends")
    })
}

/// An authority.
pub(super) struct Ca {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key in PEM.
pub(super) struct Pem {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Pem {
    pub(super) fn certificate(&self) -> Arc<Certificate> {
        let read = Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes());
        Arc::new(read.unwrap())
    }

    pub(super) fn both(&self) -> (Vec<u8>, Vec<u8>) {
        (
            self.chain.clone().into_bytes(),
            self.key.clone().into_bytes(),
        )
    }
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "a table");
    params
}

impl Ca {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.issuer.pem().into_bytes()
    }

    /// Signs whatever is asked for.
    pub(super) fn sign(&self, params: &CertificateParams) -> Pem {
        let key = KeyPair::generate().unwrap();
        Pem {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(super) fn server(&self, names: &[&str]) -> Pem {
        self.sign(&params(names))
    }

    /// A client's certificate with a serial number.
    pub(super) fn client(&self, name: &str, serial: u8) -> Pem {
        let mut params = params(&[]);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Tables, Ltd");
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

/// What our side offers.
pub(super) fn offer(certificate: &Pem) -> Arc<ServerConfig> {
    server(certificate, Profile::Intermediate, None, &Tickets::new())
}

pub(super) fn server(
    certificate: &Pem,
    profile: Profile,
    client_auth: Option<ClientAuthTerms>,
    tickets: &Arc<Tickets>,
) -> Arc<ServerConfig> {
    let slot = Slot::empty();
    slot.set(certificate.certificate());
    let terms = ServerTerms {
        profile,
        client_auth,
        tickets: Arc::clone(tickets),
        slot,
    };
    server_config(terms).unwrap()
}

/// A client that believes `ca`.
pub(super) fn believer(
    ca: &Ca,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(ca.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

pub(super) fn showing(ca: &Ca, certificate: &Pem) -> ClientConfig {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(certificate.key.as_bytes());
    ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(ca.roots())
        .with_client_auth_cert(chain.map(Result::unwrap).collect(), key.unwrap())
        .unwrap()
}

/// Two ends of a TCP connection.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    pair_with(None).await
}

/// With small buffers in the kernel.
pub(super) async fn pair_with(buffers: Option<u32>) -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    let other = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = buffers {
        for socket in [&socket, &other] {
            socket.set_send_buffer_size(bytes).unwrap();
            socket.set_recv_buffer_size(bytes).unwrap();
        }
    }
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = tokio::spawn(other.connect(address));
    let (near, _) = listener.accept().await.unwrap();
    (near, connecting.await.unwrap().unwrap())
}

/// What became of a handshake with a client.
pub(super) type Accepted = Result<(Transport, Secured), NetError>;
/// What a client thinks became of it.
pub(super) type Connected = io::Result<client::TlsStream<TcpStream>>;

/// Our handshake with a client that asks for `name`.
pub(super) async fn shake(
    local: &Rc<Local>,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (Accepted, Connected) {
    let (near, far) = pair().await;
    shake_over(local, server, client, name, near, far).await
}

pub(super) async fn shake_over(
    local: &Rc<Local>,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
    near: TcpStream,
    far: TcpStream,
) -> (Accepted, Connected) {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(client));
    let far = tokio::task::spawn_local(async move {
        let mut stream = connector.connect(name, far).await?;
        // In TLS 1.3 a client is done before it is judged.
        stream.flush().await?;
        Ok(stream)
    });
    let accepted = accept(local, Transport::Tcp(near), Arc::clone(server)).await;
    (accepted, far.await.unwrap())
}

/// Both steps.
pub(super) async fn accept(
    local: &Rc<Local>,
    io: Transport,
    config: Arc<ServerConfig>,
) -> Accepted {
    let timer = local.timers.timer();
    let hello = accept::hello(io, &[], local, &timer, NEVER).await?;
    hello.accept(config, &timer, NEVER).await
}

/// Reads once.
pub(super) async fn read(io: &mut Transport, room: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| io.poll_read(cx, room)).await
}

/// Writes all and flushes.
pub(super) async fn write(io: &mut Transport, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (first, second) = bytes.split_at(bytes.len() / 3);
        let pieces = [IoSlice::new(first), IoSlice::new(second)];
        let count = poll_fn(|cx| io.poll_write_all_of(cx, &pieces)).await?;
        assert!(count > 0);
        bytes = &bytes[count..];
    }
    poll_fn(|cx| io.poll_flush(cx)).await
}

/// Bytes that are nowhere the same.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
