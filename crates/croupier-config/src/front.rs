//! The config of `croupier proxy`: what its command line says, written out as a config and read like any other, so
//! that its errors look the same.

use std::net::SocketAddr;

use crate::diagnostic::Diagnostics;
use crate::model::Config;
use crate::names::{NameKind, kind};
use crate::read;

/// Whether `croupier proxy` speaks TLS to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FrontTls {
    /// As `--from` calls for.
    #[default]
    Fitting,
    /// `--plain`: never.
    Off,
}

impl Config {
    /// The config of `croupier proxy --from :8080 --to 127.0.0.1:3000`: one site before one pool.
    ///
    /// `from` is an address to listen on, and every host is answered for; a host name in it makes the site answer for
    /// that name only (`localhost` stands for this machine, and any host). A public name without a port, or with 443,
    /// gets a certificate from Let's Encrypt; `localhost`, other names of private networks, and names and IP addresses
    /// with port 443 or 8443 get one from our own authority; everything else is plain. `to` are servers as `proxy` of
    /// a site has them.
    pub fn proxy<S: AsRef<str>>(from: &str, to: &[S], tls: FrontTls) -> Result<Self, Diagnostics> {
        let front = front(from, tls);
        let text = format!(
            "[server]\nlisten = {}\n\n[site.{}]\naliases = {}\ntls = {}\nproxy = {}\n",
            list(&front.listen),
            quoted(&front.hosts[0]),
            list(&front.hosts[1..]),
            quoted(front.tls),
            list(to),
        );
        Self::from_str("<command line>", &text)
    }
}

/// What `--from` means.
#[derive(Debug, PartialEq, Eq)]
struct Front {
    /// At least one.
    hosts: Vec<String>,
    listen: Vec<String>,
    tls: &'static str,
}

impl Front {
    fn new(hosts: &[&str], listen: &[&str], tls: &'static str) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            hosts: owned(hosts),
            listen: owned(listen),
            tls,
        }
    }
}

const LOOPBACK: &str = "127.0.0.1";

/// Whether people expect TLS at a port.
fn is_secure(port: &str) -> bool {
    ["443", "8443"].contains(&port)
}

fn front(from: &str, tls: FrontTls) -> Front {
    if let Ok(address) = from.parse::<SocketAddr>() {
        return at_address(from, address, tls);
    }
    // What is no name is an address, or the reader says what it is not.
    let is_address = from.starts_with([':', '[']) || from.starts_with("unix:");
    let (name, port) = match from.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (from, None),
    };
    let is_number = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_broken = port.is_some_and(|port| port.contains(':'));
    if is_address || from.contains('/') || is_number || is_broken {
        return Front::new(&["*"], &[from], "off");
    }
    // `localhost` stands for this machine, and whoever comes from there may call it otherwise.
    let (host, address) = match name {
        "localhost" => ("*", LOOPBACK),
        _ => (name, ""),
    };
    let kind = read::pattern(name).map(|host| kind(&host));
    let word = match (tls, kind, port) {
        (FrontTls::Off, ..) | (_, Err(_), _) => "off",
        (_, Ok(NameKind::Internal), _) => "internal",
        (_, Ok(NameKind::Public), None | Some("443")) => "auto",
        (_, Ok(_), Some(port)) if is_secure(port) => "internal",
        (_, Ok(_), _) => "off",
    };
    let at = |port: &str| format!("{address}:{port}");
    let listen = match port {
        Some(port) => vec![at(port)],
        None if word == "off" => vec![at("80")],
        None => vec![at("80"), at("443")],
    };
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    Front::new(&[host], &listen, word)
}

/// An IP address: TLS at the ports where people expect it.
fn at_address(from: &str, address: SocketAddr, tls: FrontTls) -> Front {
    if tls == FrontTls::Off || !is_secure(&address.port().to_string()) {
        return Front::new(&["*"], &[from], "off");
    }
    let name = match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    // A certificate for every host names this machine.
    let is_here = address.ip().is_unspecified() || name == LOOPBACK || name == "[::1]";
    let hosts: &[&str] = if is_here { &["*"] } else { &[&name, "*"] };
    Front::new(hosts, &[from], "internal")
}

fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Front, FrontTls, front};
    use crate::model::{Action, CertificateFrom, Config, Listen, Protocol};
    use crate::source::FileId;

    #[test]
    fn what_from_means() {
        let here: &[&str] = &["*"];
        for (from, hosts, listen, tls) in [
            (":8080", &["*"][..], &[":8080"][..], "off"),
            (":8443", &["*"], &[":8443"], "off"),
            ("127.0.0.1:8080", &["*"], &["127.0.0.1:8080"], "off"),
            ("[::1]:8080", &["*"], &["[::1]:8080"], "off"),
            ("unix:/run/c.sock", &["*"], &["unix:/run/c.sock"], "off"),
            ("localhost:8443", here, &["127.0.0.1:8443"], "internal"),
            ("localhost:3000", here, &["127.0.0.1:3000"], "internal"),
            (
                "localhost",
                here,
                &["127.0.0.1:80", "127.0.0.1:443"],
                "internal",
            ),
            ("127.0.0.1:8443", here, &["127.0.0.1:8443"], "internal"),
            ("0.0.0.0:443", here, &["0.0.0.0:443"], "internal"),
            ("[::1]:443", here, &["[::1]:443"], "internal"),
            (
                "192.0.2.1:8443",
                &["192.0.2.1", "*"],
                &["192.0.2.1:8443"],
                "internal",
            ),
            (
                "app.internal:9000",
                &["app.internal"],
                &[":9000"],
                "internal",
            ),
            ("app.shop.de", &["app.shop.de"], &[":80", ":443"], "auto"),
            ("app.shop.de:443", &["app.shop.de"], &[":443"], "auto"),
            ("app.shop.de:8443", &["app.shop.de"], &[":8443"], "internal"),
            ("app.shop.de:8080", &["app.shop.de"], &[":8080"], "off"),
            ("app.example.com", &["app.example.com"], &[":80"], "off"),
            (
                "app.example.com:8080",
                &["app.example.com"],
                &[":8080"],
                "off",
            ),
            (
                "app.example.com:8443",
                &["app.example.com"],
                &[":8443"],
                "internal",
            ),
        ] {
            assert_eq!(
                front(from, FrontTls::Fitting),
                Front::new(hosts, listen, tls)
            );
            let config = Config::proxy(from, &["127.0.0.1:1"], FrontTls::Fitting).unwrap();
            let site = &config.sites[0];
            let word = match site.tls.as_ref().map(|tls| &tls.certificate.value) {
                Some(CertificateFrom::Auto) => "auto",
                Some(CertificateFrom::Internal) => "internal",
                _ => "off",
            };
            assert_eq!(word, tls, "{from}");
            assert!(config.warnings.is_empty(), "{from}: {}", config.warnings);
        }
    }

    #[test]
    fn plain_is_plain() {
        for (from, host, listen) in [
            ("localhost:8443", "*", "127.0.0.1:8443"),
            ("127.0.0.1:443", "*", "127.0.0.1:443"),
            ("app.shop.de", "app.shop.de", ":80"),
            ("app.shop.de:443", "app.shop.de", ":443"),
        ] {
            let front = front(from, FrontTls::Off);
            assert_eq!(front, Front::new(&[host], &[listen], "off"));
            let config = Config::proxy(from, &["127.0.0.1:1"], FrontTls::Off).unwrap();
            assert!(config.sites[0].tls.is_none());
            assert!(config.warnings.is_empty(), "{from}: {}", config.warnings);
        }
    }

    #[test]
    fn servers_are_those_of_a_site() {
        let proxy = |from: &str, to: &[&str]| Config::proxy(from, to, FrontTls::Fitting);
        let config = proxy(":8080", &["127.0.0.1:1", "app:2"]).unwrap();
        assert_eq!(config.server.listen[0].value, Listen::Port(8080));
        assert_eq!(config.sites[0].host.span.file, FileId(0));
        let Action::Pool(pool) = &config.sites[0].routes[0].action else {
            panic!("no pool")
        };
        assert_eq!(config.pool(pool.value).servers.len(), 2);
        for (to, protocol) in [
            ("http://127.0.0.1:1", Protocol::Http),
            ("https://app.internal", Protocol::Https),
            ("h2c://127.0.0.1:1", Protocol::H2c),
        ] {
            let config = proxy(":80", &[to]).unwrap();
            assert_eq!(config.pools[0].protocol, protocol, "{to}");
        }
        for from in [
            "", "8080", "http://a", "a\"b:1", "\n", ":x", "1.2.3.4", "::1",
        ] {
            assert!(proxy(from, &["127.0.0.1:1"]).is_err(), "{from}");
        }
        proxy(":80", &[]).unwrap_err();
        proxy(":80", &["https://127.0.0.1:1", "127.0.0.1:2"]).unwrap_err();
    }
}
