//! The configurations: each proxy as its own users would set it up to be fast.

use std::net::SocketAddr;
use std::path::Path;

use super::descriptor_limit;
use super::identity::Identity;

/// How clients come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// HTTP/1.1, plain.
    Plain,
    /// HTTP/2 by prior knowledge, plain.
    H2c,
    /// TLS 1.3, and over it what the client chooses.
    Tls,
    /// HTTP/1.1, plain, answered from the cache.
    Cached,
    /// The same with little memory and a disk.
    Disk,
}

impl Front {
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Plain | Self::H2c | Self::Cached | Self::Disk => "http",
            Self::Tls => "https",
        }
    }
}

/// What a configuration speaks of.
pub(super) struct Setting<'a> {
    pub(super) front: Front,
    pub(super) address: SocketAddr,
    pub(super) origin: SocketAddr,
    pub(super) workers: u32,
    pub(super) identity: Option<&'a Identity>,
}

impl Setting<'_> {
    /// The certificate, where clients come by TLS.
    fn shown(&self) -> Option<&Identity> {
        self.identity.filter(|_| self.front == Front::Tls)
    }

    pub(super) fn croupier(&self, metrics: u16, folder: &Path) -> String {
        let tls = self.shown().map_or_else(String::new, |identity| {
            format!(
                "tls = {{ certificate = \"{}\", key = \"{}\" }}\n",
                identity.certificate.display(),
                identity.key.display()
            )
        });
        let (store, cache) = match self.front {
            Front::Cached => (
                "[cache.edge]\nmemory = \"256MiB\"\n\n".to_owned(),
                "cache = { store = \"edge\", ttl = \"1h\" }\n",
            ),
            // A sixteenth of the memory is the largest answer that is kept. All together are far more.
            Front::Disk => (
                format!(
                    "[cache.edge]\nmemory = \"32MiB\"\n\
                     disk = {{ path = \"{}/cache\", size = \"512MiB\" }}\n\n",
                    folder.display()
                ),
                "cache = { store = \"edge\", ttl = \"1h\" }\n",
            ),
            _ => (String::new(), ""),
        };
        format!(
            "[server]\nlisten = [\"{}\"]\nworkers = {}\n\
             metrics = \"127.0.0.1:{metrics}\"\n\n{store}\
             [site.\"*\"]\n{tls}{cache}proxy = \"{}\"\n",
            self.address, self.workers, self.origin
        )
    }

    /// Goes behind `nginx_head`.
    pub(super) fn nginx(&self, head: &str, folder: &Path) -> String {
        let (store, cache) = match self.front {
            Front::Cached => (
                format!(
                    "\n    proxy_cache_path {}/cache keys_zone=edge:10m;\n    \
                     open_file_cache max=1000 inactive=1h;\n    sendfile on;",
                    folder.display()
                ),
                "\n            proxy_cache edge;\n            proxy_cache_valid 200 1h;",
            ),
            Front::Disk => (
                format!(
                    "\n    proxy_cache_path {}/cache keys_zone=edge:10m max_size=512m;\n    \
                     sendfile on;",
                    folder.display()
                ),
                "\n            proxy_cache edge;\n            proxy_cache_valid 200 1h;",
            ),
            _ => (String::new(), ""),
        };
        let (words, tls) = match (self.front, self.shown()) {
            (Front::Tls, Some(identity)) => (
                " ssl http2",
                format!(
                    "
        ssl_certificate {};
        ssl_certificate_key {};
        ssl_protocols TLSv1.3;
        ssl_session_cache shared:sessions:10m;",
                    identity.certificate.display(),
                    identity.key.display()
                ),
            ),
            (Front::H2c, _) => (" http2", String::new()),
            _ => ("", String::new()),
        };
        // What is kept goes through a file.
        let (temporary, locations): (_, &[_]) = match self.front {
            // With it, 1 MiB costs a third less, and 64 KiB wait for the client's delayed
            // acknowledgement at twice the cost.
            Front::Cached | Front::Disk => (
                "1024m",
                &[("/", ""), ("= /1m", "\n            tcp_nopush on;")],
            ),
            _ => ("0", &[("/", "")]),
        };
        let location = |(path, words): &(&str, &str)| {
            format!(
                "location {path} {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_max_temp_file_size {temporary};{cache}{words}
        }}"
            )
        };
        let locations: Vec<String> = locations.iter().map(location).collect();
        format!(
            "{head}
http {{
    access_log off;
    keepalive_requests 1000000000;{store}
    upstream origin {{
        server {origin};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address}{words} backlog=4096;{tls}
        {locations}
    }}
}}
",
            origin = self.origin,
            address = self.address,
            locations = locations.join("\n        "),
        )
    }

    pub(super) fn haproxy(&self) -> String {
        // Each client connection may need an origin connection beside it.
        let connections = (descriptor_limit() / 2).saturating_sub(200).min(20_000);
        let words = match (self.front, self.shown()) {
            (Front::Tls, Some(identity)) => format!(
                " ssl crt {} alpn h2,http/1.1 ssl-min-ver TLSv1.3",
                identity.both.display()
            ),
            (Front::H2c, _) => " proto h2".to_owned(),
            _ => String::new(),
        };
        let (store, cache) = match self.front {
            Front::Cached => (
                "cache edge\n    total-max-size 256\n    max-object-size 2000000\n    max-age 3600\n",
                "    http-request cache-use edge\n    http-response set-header Cache-Control max-age=3600\n    \
                 http-response cache-store edge\n",
            ),
            _ => ("", ""),
        };
        format!(
            "global
    nbthread {workers}
    maxconn {connections}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
{store}frontend clients
    bind {address}{words} backlog 4096
    default_backend origins
backend origins
{cache}    server origin {origin} pool-max-conn 64
",
            workers = self.workers,
            address = self.address,
            origin = self.origin
        )
    }

    /// The arguments of `varnishd`, whose language is not needed for this.
    pub(super) fn varnish(&self, folder: &Path) -> Vec<String> {
        let pools = format!("thread_pools={}", self.workers);
        [
            "-F",
            "-n",
            &folder.display().to_string(),
            "-a",
            &self.address.to_string(),
            "-b",
            &self.origin.to_string(),
            "-s",
            "malloc,256m",
            "-t",
            "3600",
            "-p",
            &pools,
            "-p",
            "thread_pool_min=80",
        ]
        .map(str::to_owned)
        .into()
    }

    pub(super) fn h2o(&self, folder: &Path) -> String {
        let tls = self.shown().map_or_else(String::new, |identity| {
            format!(
                "
  ssl:
    certificate-file: {}
    key-file: {}
    minimum-version: TLSv1.2",
                identity.certificate.display(),
                identity.key.display()
            )
        });
        let connections = (descriptor_limit() / 2).min(20_000);
        format!(
            "num-threads: {workers}
max-connections: {connections}
error-log: {folder}/error
http1-request-timeout: 600
http2-idle-timeout: 600
proxy.timeout.keepalive: 60000
proxy.preserve-host: ON
listen:
  host: {host}
  port: {port}{tls}
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://{origin}/
",
            workers = self.workers,
            folder = folder.display(),
            host = self.address.ip(),
            port = self.address.port(),
            origin = self.origin
        )
    }
}
