//! Addresses: of listeners, of servers, of trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::model::{HostPattern, Listen, ServerAddress, Trusted};
use crate::read::{Complaint, host};

/// The longest path that fits a `sockaddr_un` with its final zero.
const UNIX_PATH_BYTES_MAX: usize = 107;

const LISTEN_FORMS: &str =
    "write `:80` (every address), `127.0.0.1:80`, `[::1]:80` or `unix:/path`";

/// `:80`, `0.0.0.0:80`, `[::1]:80`, `unix:/path`.
pub(crate) fn listen(text: &str) -> Result<Listen, Complaint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(Listen::Unix);
    }
    if let Some(number) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
        // Port 0 lets the system choose a free one, as tests and `demo` want it.
        let number = if number == "0" { 0 } else { port(number)? };
        return if text.starts_with('*') {
            Err(
                Complaint::new(format!("`{text}` is not an address to listen on"))
                    .help(format!("write `:{number}` for every address")),
            )
        } else {
            Ok(Listen::Port(number))
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Listen::Socket(address));
    }
    let bad = Complaint::new(format!("`{text}` is not an address to listen on"));
    if let Some((_, rest)) = text.split_once("://") {
        let port = rest
            .rsplit_once(':')
            .map_or("80", |(_, port)| port.trim_end_matches('/'));
        return Err(bad.help(format!("a listener has no scheme; write `:{port}`")));
    }
    if text.parse::<u16>().is_ok() {
        return Err(bad.help(format!("write `:{text}` for the port on every address")));
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Err(bad.help(format!("add a port: `{}`", SocketAddr::new(address, 80))));
    }
    if let Some((name, number)) = text.rsplit_once(':') {
        port(number)?;
        if name == "localhost" {
            return Err(bad.help(format!("write `127.0.0.1:{number}` or `[::1]:{number}`")));
        }
        if matches!(
            host::pattern(name),
            Ok(HostPattern::Exact(_) | HostPattern::Below(_))
        ) {
            return Err(bad.help(format!(
                "listeners are addresses and hosts are sites: write `:{number}`, and `[site.\"{name}\"]`"
            )));
        }
    }
    Err(bad.help(LISTEN_FORMS))
}

/// `127.0.0.53`, `127.0.0.53:53`, `[::1]:53`: a DNS server.
pub(crate) fn resolver(text: &str) -> Result<SocketAddr, Complaint> {
    const DNS: u16 = 53;
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, DNS));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        _ => Err(
            Complaint::new(format!("`{text}` is not the address of a DNS server"))
                .help("write an IP address, with or without a port, such as `127.0.0.53:53`"),
        ),
    }
}

/// `dns+srv://_http._tcp.web.internal`, from behind the scheme.
fn service(name: &str) -> Result<ServerAddress, Complaint> {
    let bad = || Complaint::new(format!("`dns+srv://{name}` does not name a service"));
    let bare = name.split(['/', '?', '#']).next().unwrap_or_default();
    if bare.contains(':') {
        return Err(bad().help("leave out the port: DNS says it"));
    }
    if bare != name {
        return Err(bad().help(format!("without a path: `dns+srv://{bare}`")));
    }
    if let Some(problem) = host::name_problem(name) {
        return Err(bad().help(problem));
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let mut labels = name.split('.');
    let (service, protocol) = (labels.next(), labels.next());
    let is_label = |label: Option<&str>| label.is_some_and(|label| label.starts_with('_'));
    // `_service._proto.name` (RFC 2782).
    if !is_label(service) || !is_label(protocol) || labels.next().is_none() {
        return Err(bad().help("write it as `dns+srv://_http._tcp.web.internal`"));
    }
    Ok(ServerAddress::Srv { name })
}

/// What servers behind a URL of this scheme speak, as `protocol` calls it, and the port that goes without saying.
pub(crate) fn protocol_of(scheme: &str) -> Option<(&'static str, u16)> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some(("http", 80)),
        "https" | "wss" | "grpcs" | "h2" => Some(("https", 443)),
        "h2c" | "grpc" => Some(("h2c", 80)),
        _ => None,
    }
}

/// `host:port`, `[::1]:8080`, `unix:/path`, `dns+srv://_http._tcp.name`.
pub(crate) fn server(text: &str) -> Result<ServerAddress, Complaint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(ServerAddress::Unix);
    }
    if let Some(name) = text.strip_prefix("dns+srv://") {
        return service(name);
    }
    let bad = Complaint::new(format!("`{text}` is not the address of a server"));
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // In a pool the protocol has a key of its own; `proxy` takes the schemes.
        if let Some((protocol, port)) = protocol_of(scheme) {
            let address = match authority.contains(':') {
                true => authority.to_owned(),
                false => format!("{authority}:{port}"),
            };
            return Err(match protocol {
                "http" => bad.help(format!("without the scheme: `{address}`")),
                _ => bad.help(format!(
                    "write `{address}`, and `protocol = \"{protocol}\"` in the pool"
                )),
            });
        }
        return Err(match scheme {
            "srv" | "dns" | "dnssrv" | "dnssrv+http" => {
                bad.help(format!("for SRV records write `dns+srv://{authority}`"))
            }
            _ => bad.help("a server is `host:port` or `unix:/path`"),
        });
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(port("0").err().unwrap_or(bad)),
            _ => Ok(ServerAddress::Socket(address)),
        };
    }
    if text.contains('/') {
        let authority = text.split('/').next().unwrap_or_default();
        return Err(if text.starts_with('/') {
            bad.help(format!("for a Unix socket write `unix:{text}`"))
        } else {
            bad.help(format!(
                "a server has no path; write `{authority}` and change the path with `add_prefix`"
            ))
        });
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let with_port = SocketAddr::new(address, 8080);
        return Err(bad.help(format!("add a port, such as `{with_port}`")));
    }
    let Some((name, number)) = text.rsplit_once(':') else {
        return Err(if text.parse::<u16>().is_ok() {
            bad.help(format!(
                "write `127.0.0.1:{text}` for a port of this machine"
            ))
        } else {
            bad.help(format!("add a port, such as `{text}:80`"))
        });
    };
    let port = port(number)?;
    if name.is_empty() {
        return Err(bad.help(format!(
            "write `127.0.0.1:{port}` for a port of this machine"
        )));
    }
    if let Some(problem) = host::name_problem(name) {
        return Err(bad.help(problem));
    }
    Ok(ServerAddress::Name {
        host: name.to_ascii_lowercase(),
        port,
    })
}

/// `10.0.0.0/8`, `192.0.2.1`, `unix`.
pub(crate) fn trusted(text: &str) -> Result<Trusted, Complaint> {
    if text == "unix" {
        return Ok(Trusted::Unix);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Trusted::Network(address.into()));
    }
    let bad = Complaint::new(format!("`{text}` is not a network"));
    let Ok(network) = text.parse::<IpNet>() else {
        let help = "write `10.0.0.0/8`, `fd00::/8`, a single address, or `unix`";
        return Err(bad.help(help));
    };
    if network.trunc() != network {
        let complaint = Complaint::new(format!("`{text}` has bits beyond its prefix"));
        return Err(complaint.help(format!(
            "write `{}` for the network or `{}` for the single address",
            network.trunc(),
            network.addr()
        )));
    }
    Ok(Trusted::Network(network))
}

/// The path of `unix:/path`.
pub(crate) fn unix(path: &str) -> Result<PathBuf, Complaint> {
    if !path.starts_with('/') {
        let bare = path.trim_start_matches("//");
        return Err(Complaint::new("the path of a Unix socket is absolute")
            .help(format!("write `unix:/{bare}`, or where it really is")));
    }
    if path.ends_with('/') || path.contains('\0') {
        return Err(Complaint::new(format!(
            "`{path}` is not the path of a socket"
        )));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(Complaint::new(format!(
            "the path of a Unix socket has at most {UNIX_PATH_BYTES_MAX} bytes, this one has {}",
            path.len()
        ))
        .help("the system allows no more; put the socket in a shorter directory"));
    }
    Ok(PathBuf::from(path))
}

pub(crate) fn port(text: &str) -> Result<u16, Complaint> {
    match text.parse::<u16>() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(Complaint::new(format!("`{text}` is not a port"))
            .help("a port is a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::{listen, server, trusted};

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in [
            ":80",
            ":0",
            "127.0.0.1:0",
            "0.0.0.0:80",
            "[::1]:8080",
            "unix:/run/c.sock",
        ] {
            assert_eq!(listen(text).unwrap().to_string(), text);
        }
        for text in [
            "10.0.0.1:80",
            "[fd00::1]:8080",
            "app.internal:8080",
            "unix:/run/app.sock",
            "dns+srv://_http._tcp.web.internal",
        ] {
            assert_eq!(server(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":",
            ":00",
            ":65536",
            ":+80",
            "80",
            "*:80",
            "localhost:80",
            "1.2.3.4",
            "[::1]",
            "::1",
            "unix:",
            "unix:run",
            "unix:/a/",
            "http://a:80",
            "http://",
            "a:b:c",
            "[::1:80",
        ] {
            listen(text).unwrap_err();
        }
        for text in [
            "",
            ":",
            ":80",
            "80",
            "app",
            "app:",
            "app:0",
            "app:99999",
            "http://app:80",
            "http://app",
            "https://app",
            "x://",
            "app:80/x",
            "/run/a",
            "a b:80",
            "ü:80",
            "[::1]",
            "::1",
            "-:80",
            "é",
            "dns+srv://",
            "dns+srv://web.internal",
            "dns+srv://_http._tcp",
            "dns+srv://_http._tcp.web:80",
            "dns+srv://_http._tcp.web/x",
            "srv://_http._tcp.web",
        ] {
            server(text).unwrap_err();
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "localhost",
            "10.0.0.0/",
            "unix:/x",
        ] {
            trusted(text).unwrap_err();
        }
    }
}
