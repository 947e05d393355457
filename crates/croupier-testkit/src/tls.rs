//! TLS of a test: an authority that signs anything, and a client that says what it was offered.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, RootCertStore,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use crate::client::Client;
use crate::event::{PATIENCE, lock};
use crate::h2;
use crate::stream::Stream;

/// Signs certificates of servers and clients.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// The certificate, DER: what a client says it saw.
    pub der: Vec<u8>,
    serial: u64,
}

impl Issued {
    /// Certificate and key in one file.
    #[must_use]
    pub fn both(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

/// What a certificate is to be like.
#[derive(Clone, Copy, Debug)]
enum For {
    Servers,
    Clients,
}

impl Authority {
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// For these names and addresses, valid for long.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.sign(
            names,
            names.first().copied().unwrap_or("nobody"),
            For::Servers,
            (2020, 2099),
        )
    }

    /// One whose time is over.
    #[must_use]
    pub fn issue_expired(&self, names: &[&str]) -> Issued {
        self.sign(names, "expired", For::Servers, (2020, 2021))
    }

    /// For a client of this common name.
    #[must_use]
    pub fn issue_client(&self, common_name: &str) -> Issued {
        self.sign(&[], common_name, For::Clients, (2020, 2099))
    }

    fn sign(&self, names: &[&str], common_name: &str, whom: For, years: (i32, i32)) -> Issued {
        use std::sync::atomic::{AtomicU64, Ordering};
        static SERIAL: AtomicU64 = AtomicU64::new(4096);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        params.extended_key_usages = vec![match whom {
            For::Servers => ExtendedKeyUsagePurpose::ServerAuth,
            For::Clients => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
            serial,
        }
    }

    /// A revocation list with these, PEM.
    #[must_use]
    pub fn revoke(&self, issued: &[&Issued]) -> String {
        let revoked = issued.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A client of TLS. What it learns of sessions is kept, so that its next connection resumes one.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

/// What a handshake came to, as the client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaken {
    /// `TLSv1_3` or `TLSv1_2`.
    pub version: String,
    /// `X25519MLKEM768`, say.
    pub group: String,
    pub alpn: Option<String>,
    pub is_resumed: bool,
    /// The server's certificate, DER.
    pub certificate: Vec<u8>,
}

impl TlsClient {
    /// Believes this authority.
    #[must_use]
    pub fn trusting(authority: &Authority) -> Self {
        Self::trusting_root(authority.der.clone())
    }

    /// Believes the authority of this PEM text.
    #[must_use]
    pub fn trusting_pem(pem: &str) -> Self {
        Self::trusting_root(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
    }

    fn trusting_root(root: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Self::with(builder.build().unwrap(), rustls::ALL_VERSIONS, None)
    }

    /// Believes whatever it is shown.
    #[must_use]
    pub fn credulous() -> Self {
        Self::with(Arc::new(Credulous), rustls::ALL_VERSIONS, None)
    }

    /// Believes whatever it is shown, and speaks TLS 1.2 only.
    #[must_use]
    pub fn of_version_1_2() -> Self {
        Self::with(Arc::new(Credulous), &[&rustls::version::TLS12], None)
    }

    /// Believes whatever it is shown, and shows this when asked.
    #[must_use]
    pub fn showing(issued: &Issued) -> Self {
        Self::with(Arc::new(Credulous), rustls::ALL_VERSIONS, Some(issued))
    }

    fn with(
        verifier: Arc<dyn ServerCertVerifier>,
        versions: &[&'static SupportedProtocolVersion],
        shows: Option<&Issued>,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self {
            config: Arc::new(config),
        }
    }

    /// Offers these protocols.
    #[must_use]
    pub fn alpn(self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.collect();
        Self {
            config: Arc::new(config),
        }
    }

    /// Names nobody in its hello.
    #[must_use]
    pub fn without_name(self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_sni = false;
        Self {
            config: Arc::new(config),
        }
    }

    /// Connects and shakes hands; requests then name `name` as `Host`.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr, name: &str) -> Client {
        match self.try_connect(address, name) {
            Ok(client) => client,
            Err(error) => panic!("no TLS with {address} as {name}: {error}"),
        }
    }

    /// Connects and shakes hands for HTTP/2, which it must offer, and exchanges settings.
    #[track_caller]
    pub fn connect_h2(&self, address: SocketAddr, name: &str) -> h2::Client {
        let socket = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        match self.shake(socket, name) {
            Ok((stream, shaken)) => {
                assert_eq!(shaken.alpn.as_deref(), Some("h2"), "{name}");
                let mut client = h2::Client::over(Box::new(stream));
                client.greet(&[]);
                client
            }
            Err(error) => panic!("no TLS with {address} as {name}: {error}"),
        }
    }

    /// The same, or why not. With TLS 1.3 a server may refuse a client's certificate later: then
    /// reading fails.
    pub fn try_connect(&self, address: SocketAddr, name: &str) -> io::Result<Client> {
        self.over(TcpStream::connect_timeout(&address, PATIENCE)?, name)
    }

    /// The same over a connection on which something may have been said already.
    pub fn over(&self, stream: TcpStream, name: &str) -> io::Result<Client> {
        let address = stream.peer_addr()?;
        let (stream, shaken) = self.shake(stream, name)?;
        Ok(Client::over_tls(stream, &format!("{name} at {address}"), shaken).host(name))
    }

    /// The record with which it begins, for whoever sends it otherwise.
    #[must_use]
    #[track_caller]
    pub fn hello(&self, name: &str) -> Vec<u8> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut bytes = Vec::new();
        session.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn shake(&self, socket: TcpStream, name: &str) -> io::Result<(Stream, Shaken)> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let wanted = match name.parse::<IpAddr>() {
            Ok(ip) => ServerName::IpAddress(ip.into()),
            Err(_) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
        };
        let session = ClientConnection::new(Arc::clone(&self.config), wanted);
        let session = session.map_err(io::Error::other)?;
        let mut link = StreamOwned::new(session, socket.try_clone()?);
        while link.conn.is_handshaking() {
            link.conn.complete_io(&mut link.sock)?;
        }
        let of = |name: Option<String>| name.unwrap_or_default();
        let conn = &link.conn;
        let shaken = Shaken {
            version: of(conn
                .protocol_version()
                .map(|version| format!("{version:?}"))),
            group: of(
                (conn.negotiated_key_exchange_group()).map(|group| format!("{:?}", group.name()))
            ),
            alpn: conn
                .alpn_protocol()
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            is_resumed: conn.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: (conn.peer_certificates().and_then(<[_]>::first))
                .map(|leaf| leaf.to_vec())
                .unwrap_or_default(),
        };
        let link = Link {
            socket,
            session: Mutex::new(link),
        };
        Ok((Stream::Tls(Box::new(link)), shaken))
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A session and the socket below it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: TcpStream,
    session: Mutex<StreamOwned<ClientConnection, TcpStream>>,
}

impl Link {
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.session).read(buffer)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut session = lock(&self.session);
        let count = session.write(bytes)?;
        session.flush()?;
        Ok(count)
    }

    /// Says that nothing more will be said.
    pub(crate) fn say_farewell(&self) {
        let mut session = lock(&self.session);
        session.conn.send_close_notify();
        let _ = session.flush();
    }

    /// A short look whether the server has said that it says no more.
    pub(crate) fn has_ended(&self, within: Duration) -> bool {
        let _ = self
            .socket
            .set_read_timeout(Some(within.max(Duration::from_micros(100))));
        let mut session = lock(&self.session);
        let StreamOwned { conn, sock } = &mut *session;
        let read = conn.complete_io(sock);
        let state = conn.process_new_packets();
        drop(session);
        let _ = self.socket.set_read_timeout(None);
        read.is_err_and(|error| !crate::stream::is_timeout(&error))
            || state.is_ok_and(|state| state.peer_has_closed())
    }
}

/// Believes every certificate; signatures are checked all the same.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
