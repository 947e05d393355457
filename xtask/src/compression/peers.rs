//! Who compresses, and how each is set up to: one worker, no cache, no access log of the peers.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::corpus::Corpus;
use crate::Outcome;
use crate::bench::peers::{nginx_head, start_nginx};
use crate::process::{self, Running, Scratch};

/// The proxies' CPU, and everybody else's.
const PROXY_CPU: &str = "0";
pub(super) const LOAD_CPU: &str = "1";

/// Where Debian puts it.
const BROTLI: &str = "/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so";

/// A proxy with a way to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// On the way to each client.
    Croupier,
    /// What is kept, compressed once more in the background.
    CroupierKept,
    NginxGzip(u8),
    NginxBrotli(u8),
    CaddyGzip,
    CaddyZstd,
}

impl Way {
    /// What it is called, and the codings that are asked of it.
    pub(super) fn rows(self) -> (String, &'static [&'static str]) {
        match self {
            Self::Croupier => ("croupier".into(), &["", "gzip", "br", "zstd"]),
            Self::CroupierKept => ("croupier, kept".into(), &["", "gzip", "br", "zstd"]),
            Self::NginxGzip(1) => ("nginx, level 1".into(), &["", "gzip"]),
            Self::NginxGzip(level) => (format!("nginx, level {level}"), &["gzip"]),
            Self::NginxBrotli(level) => (format!("nginx, level {level}"), &["br"]),
            Self::CaddyGzip => ("caddy".into(), &["", "gzip"]),
            Self::CaddyZstd => ("caddy".into(), &["zstd"]),
        }
    }

    /// Can it be had here?
    pub(super) fn is_here(self) -> bool {
        match self {
            Self::NginxBrotli(_) => Path::new(BROTLI).exists(),
            Self::CaddyGzip | Self::CaddyZstd => process::find("caddy").is_some(),
            _ => true,
        }
    }
}

/// A running one.
pub(super) struct Peer {
    pub(super) way: Way,
    pub(super) address: SocketAddr,
    pub(super) running: Running,
}

/// Types as the files' ends say.
const TYPES: &str = "types { text/html html; text/css css; application/javascript js; \
                     application/json json; }";

/// nginx with the files of the corpus, which compresses nothing.
pub(super) fn origin(corpus: &Corpus, scratch: &Scratch) -> Outcome<(Running, SocketAddr)> {
    let port = process::free_port()?;
    let name = format!("origin-{port}");
    let folder = scratch.0.join(&name);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    // nginx drops its rights when root starts it, and must still reach the files.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;\n",
        false => "",
    };
    let config = scratch.write(
        &format!("{name}.conf"),
        format!(
            "{user}{head}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    {TYPES}
    server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
",
            head = nginx_head(&folder, 1),
            files = corpus.folder.display(),
        ),
    )?;
    let mut running = start_nginx(&name, LOAD_CPU, &config, scratch)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    running.wait_for(address, &scratch.0)?;
    Ok((running, address))
}

impl Peer {
    pub(super) fn start(
        way: Way,
        croupier: &Path,
        origin: SocketAddr,
        scratch: &Scratch,
    ) -> Outcome<Self> {
        let port = process::free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let name = format!("proxy-{port}");
        let folder = scratch.0.join(&name);
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let start = |program: &Path, end: &str, text: String, arguments: &[&str]| {
            let config = scratch.write(&format!("{name}.{end}"), text)?;
            let config = config.display().to_string();
            let arguments: Vec<&str> = arguments.iter().copied().chain([&*config]).collect();
            Running::start(&name, PROXY_CPU, program, &arguments, &scratch.0)
        };
        let mut running = match way {
            Way::Croupier | Way::CroupierKept => {
                let text = croupier_text(way, address, origin);
                start(croupier, "toml", text, &["run", "-c"])?
            }
            Way::NginxGzip(_) | Way::NginxBrotli(_) => {
                let text = nginx_text(way, address, origin, &folder);
                let config = scratch.write(&format!("{name}.conf"), text)?;
                start_nginx(&name, PROXY_CPU, &config, scratch)?
            }
            Way::CaddyGzip | Way::CaddyZstd => {
                let program = process::find("caddy").ok_or("caddy is gone")?;
                let text = caddy_text(way, address, origin, &folder);
                let arguments = ["run", "--adapter", "caddyfile", "--config"];
                start(&program, "Caddyfile", text, &arguments)?
            }
        };
        running.wait_for(address, &scratch.0)?;
        Ok(Self {
            way,
            address,
            running,
        })
    }
}

fn croupier_text(way: Way, address: SocketAddr, origin: SocketAddr) -> String {
    let (store, site) = match way {
        Way::CroupierKept => (
            "[cache.edge]\nmemory = \"256MiB\"\n\n",
            "cache = { store = \"edge\", ttl = \"1h\" }\n\
             compress = { codings = [\"zstd\", \"br\", \"gzip\"], cpu = \"100%\" }\n",
        ),
        _ => ("", "compress = [\"zstd\", \"br\", \"gzip\"]\n"),
    };
    format!(
        "[server]\nlisten = [\"{address}\"]\nworkers = 1\n\n{store}\
         [site.\"*\"]\n{site}proxy = \"{origin}\"\n"
    )
}

fn nginx_text(way: Way, address: SocketAddr, origin: SocketAddr, folder: &Path) -> String {
    // `text/html` is always among them.
    let types = "text/css application/javascript application/json";
    let (module, coding) = match way {
        Way::NginxBrotli(level) => (
            format!("load_module {BROTLI};\n"),
            format!("brotli on; brotli_comp_level {level}; brotli_types {types};"),
        ),
        Way::NginxGzip(level) => (
            String::new(),
            format!("gzip on; gzip_comp_level {level}; gzip_types {types};"),
        ),
        _ => (String::new(), String::new()),
    };
    format!(
        "{module}{head}
http {{
    access_log off;
    keepalive_requests 1000000000;
    {coding}
    upstream origin {{ server {origin}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_max_temp_file_size 0;
        }}
    }}
}}
",
        head = nginx_head(folder, 1),
    )
}

fn caddy_text(way: Way, address: SocketAddr, origin: SocketAddr, folder: &Path) -> String {
    let coding = match way {
        Way::CaddyZstd => "zstd",
        _ => "gzip",
    };
    format!(
        "{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://:{port} {{
    bind {host}
    encode {coding}
    reverse_proxy {origin}
}}
",
        folder = folder.display(),
        port = address.port(),
        host = address.ip(),
    )
}

/// The program that undoes a coding.
pub(super) fn decoder(coding: &str) -> Outcome<PathBuf> {
    let program = if coding == "br" { "brotli" } else { coding };
    process::find(program).ok_or_else(|| format!("nothing here undoes {coding}"))
}
