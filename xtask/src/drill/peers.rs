//! The proxies, each set up for failover as its own book advises: a connect timeout of 1 s, 3 s
//! for an answer, repeats for methods that may be repeated, and no others. Every access log says
//! how often a request was repeated.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::client::Identity;
use super::names::SERVICE;
use crate::Outcome;
use crate::bench::peers::{nginx_head, start_nginx};
use crate::process::{self, Running, Scratch};

/// In the order of the tables.
pub(super) const PROXIES: [&str; 3] = ["croupier", "nginx", "haproxy"];

/// What Croupier is told of the pool, beside its times: the servers have a page for checks.
const POOL: &str =
    "health = { path = \"/healthz\", interval = \"500ms\", interval_changing = \"200ms\" }";

/// What runs between the clients and the servers.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    _running: Running,
    log: PathBuf,
}

/// How a proxy is started.
pub(super) struct Starter<'a> {
    pub(super) name: &'static str,
    pub(super) croupier: Option<&'a Path>,
    pub(super) cpus: &'a str,
    pub(super) workers: u32,
    /// What Croupier shows; without one, clients come in plain.
    pub(super) identity: Option<&'a Identity>,
}

impl Starter<'_> {
    /// Starts the proxy in front of these servers; all its files are in `scratch`.
    pub(super) fn start(
        &self,
        servers: &[SocketAddr],
        resolver: Option<SocketAddr>,
        scratch: &Scratch,
    ) -> Outcome<Proxy> {
        let address = SocketAddr::from(([127, 0, 0, 1], process::free_port()?));
        let mut log = scratch.0.join("access.log");
        let mut running = match self.name {
            "croupier" => self.croupier(address, (servers, resolver), &log, scratch)?,
            "nginx" => {
                let folder = scratch.0.join(self.name);
                fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
                let head = nginx_head(&folder, self.workers);
                let config = scratch.write("nginx.conf", nginx(&head, address, servers, &log))?;
                start_nginx(self.name, self.cpus, &config, scratch)?
            }
            _ => {
                let config = haproxy(self.workers, address, servers);
                let config = scratch.write("haproxy.cfg", config)?;
                let config = config.display().to_string();
                let program = process::find("haproxy").ok_or("haproxy is gone")?;
                log = scratch.0.join("haproxy.out");
                let arguments = ["-db", "-f", config.as_str()];
                Running::start(self.name, self.cpus, &program, &arguments, &scratch.0)?
            }
        };
        running.wait_for(address, &scratch.0)?;
        Ok(Proxy {
            address,
            _running: running,
            log,
        })
    }

    fn croupier(
        &self,
        address: SocketAddr,
        (servers, resolver): (&[SocketAddr], Option<SocketAddr>),
        log: &Path,
        scratch: &Scratch,
    ) -> Outcome<Running> {
        let program = self.croupier.ok_or("no binary of croupier")?;
        let tls = match self.identity.map(|own| own.write(scratch)).transpose()? {
            None => String::new(),
            Some((certificate, key)) => format!(
                "tls = {{ certificate = \"{}\", key = \"{}\" }}\n",
                certificate.display(),
                key.display()
            ),
        };
        let pool = pool((servers, resolver));
        let text = croupier(self.workers, address, &pool, &tls, log);
        let config = scratch.write("croupier.toml", text)?;
        let config = config.display().to_string();
        let arguments = ["run", "-c", config.as_str()];
        Running::start(self.name, self.cpus, program, &arguments, &scratch.0)
    }
}

impl Proxy {
    /// Ends it, and gives how often it repeated each request, by nonce.
    pub(super) fn end(self) -> BTreeMap<String, u64> {
        let Self { _running, log, .. } = self;
        drop(_running);
        repeats(&fs::read_to_string(log).unwrap_or_default())
    }
}

/// Lines of a path whose last part is the nonce, and of the repeats: a number (Croupier), one with
/// a sign for another server (HAProxy), or a list of the servers that were asked (nginx).
fn repeats(log: &str) -> BTreeMap<String, u64> {
    let read = |line: &str| -> Option<(String, u64)> {
        let (path, repeats) = line.trim().split_once(' ')?;
        let nonce = path
            .rsplit('/')
            .next()
            .filter(|nonce| nonce.starts_with('n'))?;
        let count = match repeats.contains(':') {
            true => repeats.matches(", ").count() as u64,
            false => repeats.trim_start_matches('+').parse().ok()?,
        };
        Some((nonce.to_owned(), count))
    };
    log.lines().filter_map(read).collect()
}

/// The servers of Croupier's pool, and who is asked for them, as lines of its config.
fn pool((servers, resolver): (&[SocketAddr], Option<SocketAddr>)) -> (String, String) {
    match resolver {
        Some(own) => (
            format!("servers = [\"dns+srv://{SERVICE}\"]"),
            format!("resolver = [\"{own}\"]"),
        ),
        None => {
            let servers: Vec<String> = servers.iter().map(|own| format!("\"{own}\"")).collect();
            (format!("servers = [{}]", servers.join(", ")), String::new())
        }
    }
}

fn croupier(
    workers: u32,
    address: SocketAddr,
    (servers, resolver): &(String, String),
    tls: &str,
    log: &Path,
) -> String {
    format!(
        "[server]
listen = [\"{address}\"]
workers = {workers}
{resolver}
access_log = {{ path = \"{log}\", format = \"{{path}} {{retries}}\" }}

[pool.drill]
{servers}
timeout = {{ connect = \"1s\", response = \"3s\" }}
{POOL}

[site.\"*\"]
{tls}pool = \"drill\"
",
        log = log.display(),
    )
}

fn nginx(head: &str, address: SocketAddr, servers: &[SocketAddr], log: &Path) -> String {
    let servers: String = servers
        .iter()
        .map(|own| format!("        server {own} max_fails=3 fail_timeout=2s;\n"))
        .collect();
    format!(
        "{head}
http {{
    log_format drill '$uri $upstream_addr';
    access_log {log} drill;
    keepalive_requests 1000000;
    upstream drill {{
        zone drill 256k;
{servers}        keepalive 64;
    }}
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass http://drill;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_connect_timeout 1s;
            proxy_read_timeout 3s;
            proxy_next_upstream error timeout invalid_header http_502 http_503 http_504;
            proxy_next_upstream_tries 3;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
",
        log = log.display()
    )
}

fn haproxy(workers: u32, address: SocketAddr, servers: &[SocketAddr]) -> String {
    let servers: String = servers
        .iter()
        .enumerate()
        .map(|(index, own)| format!("    server s{index} {own} check\n"))
        .collect();
    format!(
        "global
    nbthread {workers}
    log stdout format raw local0
defaults
    mode http
    log global
    log-format \"%HP %rc\"
    timeout connect 1s
    timeout client 60s
    timeout server 3s
    timeout check 1s
    timeout queue 2s
    http-reuse safe
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response response-timeout junk-response 0rtt-rejected 502 503 504
frontend clients
    bind {address} backlog 4096
    default_backend drill
backend drill
    option httpchk GET /healthz
    http-request disable-l7-retry if METH_POST
    default-server inter 500ms fastinter 200ms fall 2 rise 2
{servers}"
    )
}

#[cfg(test)]
mod tests {
    use super::repeats;

    #[test]
    fn repeats_are_read_from_every_proxys_log() {
        let log = "/b/200/n1 0\n/b/4096/n2 2\n/b/1/n3 +1\n/c/2/n4 127.0.0.1:1, 127.0.0.1:2\n\
                   /b/200/n5 127.0.0.1:1\nProxy clients started.\n";
        let expected = [("n1", 0), ("n2", 2), ("n3", 1), ("n4", 1), ("n5", 0)];
        let expected = expected.map(|(nonce, count)| (nonce.to_owned(), count));
        assert_eq!(repeats(log), expected.into());
    }
}
