//! A real ACME authority of one test: Let's Encrypt's `pebble`, with its challenge test server as
//! the DNS that says that every name is this machine. Debian has both in the package `pebble`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::event::{PATIENCE, wait_until};
use crate::tls::Authority;
use crate::tools::{self, Program};

/// What the authority is to be like.
#[derive(Clone, Debug, Default)]
pub struct PebbleOptions {
    /// Where it looks for answers to `http-01`.
    pub http_port: u16,
    /// Where it looks for answers to `tls-alpn-01`.
    pub tls_port: u16,
    /// How long its certificates live, seconds; `None`: years.
    pub life: Option<u64>,
    /// An id and a base64url key without which it makes no account.
    pub binding: Option<(String, String)>,
    /// Names it gives no certificate for.
    pub blocked: Vec<String>,
    /// Of a hundred requests so many are told that their nonce is bad.
    pub bad_nonces: u8,
}

/// A running authority; dropping it ends it.
pub struct Pebble {
    ca: PathBuf,
    port: u16,
    server: Program,
    _dns: Program,
}

impl Pebble {
    /// Starts one that keeps its files in `folder` and listens on `port`; `None` skips the story.
    #[must_use]
    #[track_caller]
    pub fn start(folder: &Path, port: u16, options: &PebbleOptions) -> Option<Self> {
        let program = tools::need("pebble")?;
        let dns_program = tools::need("pebble-challtestsrv")?;
        std::fs::create_dir_all(folder).unwrap();
        let authority = Authority::new("the authority of the authority's own certificate");
        let own = authority.issue(&["localhost", "127.0.0.1"]);
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca = put("pebble-ca.pem", authority.pem());
        let chain = put("pebble.pem", &own.certificate);
        let key = put("pebble.key", &own.key);
        let config = put(
            "pebble.json",
            &options.json(port, free_port(), (&chain, &key)),
        );

        let (dns, management) = (free_port(), free_port());
        let mut command = Command::new(dns_program);
        command
            .arg("-dns01")
            .arg(format!("127.0.0.1:{dns}"))
            .arg("-management")
            .arg(format!("127.0.0.1:{management}"))
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            // No IPv6: the stories listen on 127.0.0.1.
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        let dns_server = Program::start(&mut command);
        let mut command = Command::new(program);
        command
            .arg("-config")
            .arg(&config)
            .arg("-dnsserver")
            .arg(format!("127.0.0.1:{dns}"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", options.bad_nonces.to_string());
        let server = Program::start(&mut command);
        let this = Self {
            ca,
            port,
            server,
            _dns: dns_server,
        };
        for port in [management, port] {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let listens = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
            assert!(
                wait_until(PATIENCE, listens),
                "nobody listens on {address}\n{}",
                this.server.report()
            );
        }
        Some(this)
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        directory(self.port)
    }

    /// A PEM file with the authority of its directory's certificate.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// What it said so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.server.lines()
    }
}

/// The URL of the directory of an authority on this port.
#[must_use]
pub fn directory(port: u16) -> String {
    format!("https://localhost:{port}/dir")
}

impl PebbleOptions {
    fn json(&self, port: u16, management: u16, (chain, key): (&Path, &Path)) -> String {
        let mut more = String::new();
        if let Some(life) = self.life {
            more.push_str(&format!(",\n\"certificateValidityPeriod\": {life}"));
        }
        if let Some((id, key)) = &self.binding {
            more.push_str(&format!(
                ",\n\"externalAccountBindingRequired\": true,\n\
                 \"externalAccountMACKeys\": {{\"{id}\": \"{key}\"}}"
            ));
        }
        if !self.blocked.is_empty() {
            more.push_str(&format!(",\n\"domainBlocklist\": {:?}", self.blocked));
        }
        let Self {
            http_port,
            tls_port,
            ..
        } = self;
        let (chain, key) = (chain.display(), key.display());
        format!(
            "{{\"pebble\": {{\n\"listenAddress\": \"127.0.0.1:{port}\",\n\
             \"managementListenAddress\": \"127.0.0.1:{management}\",\n\
             \"certificate\": \"{chain}\",\n\"privateKey\": \"{key}\",\n\
             \"httpPort\": {http_port},\n\"tlsPort\": {tls_port}{more}\n}}}}\n"
        )
    }
}

/// A port that nobody listens on now, below those that the kernel gives to clients: for those
/// that must be told before they listen.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    // Test binaries side by side begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_mul(7).wrapping_add(step) % COUNT;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}
