//! Who takes part, and with which configuration: each as its own users would set it up to be fast.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use super::{Bench, PROXY_CPU, descriptor_limit};
use crate::Outcome;
use crate::process::{self, Running, Scratch};

/// The proxies, in the order of the rounds.
pub(super) const PROXIES: [&str; 3] = ["croupier", "nginx", "haproxy"];

/// The origin: nginx with files of fixed sizes.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    running: Rc<Running>,
}

impl Origin {
    pub(super) fn start(scratch: &Scratch, cpus: &str, workers: u32) -> Outcome<Self> {
        let port = process::free_port()?;
        let name = format!("origin-{port}");
        let folder = scratch.0.join(&name);
        let files = folder.join("files");
        fs::create_dir_all(&files).map_err(|error| error.to_string())?;
        for (file, size) in [("64k", 64 << 10), ("1m", 1 << 20)] {
            fs::write(files.join(file), vec![b'x'; size]).map_err(|error| error.to_string())?;
        }
        open_to_all(&scratch.0);
        let config = scratch.write(
            &format!("{name}.conf"),
            format!(
                "{head}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=16;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {files};
        location = /128 {{ default_type text/plain; return 200 \"{body}\"; }}
    }}
}}
",
                head = nginx_head(&folder, workers),
                files = files.display(),
                body = "x".repeat(128),
            ),
        )?;
        let mut running = start_nginx(&name, cpus, &config, scratch)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        running.wait_for(address, &scratch.0)?;
        Ok(Self {
            address,
            running: Rc::new(running),
        })
    }
}

/// A proxy, or the origin itself where the floor is measured.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    running: Rc<Running>,
    log: Option<PathBuf>,
}

impl Peer {
    /// The origin, asked directly: what the load and the kernel cost without any proxy.
    pub(super) fn floor(origin: &Origin) -> Self {
        Self {
            name: "floor",
            address: origin.address,
            running: Rc::clone(&origin.running),
            log: None,
        }
    }

    /// Processor time so far, in nanoseconds.
    pub(super) fn cpu_nanoseconds(&self) -> u64 {
        self.running.cpu_nanoseconds()
    }

    pub(super) fn user_memory_bytes(&self) -> u64 {
        self.running.user_memory_bytes()
    }

    /// Empties the access log, which grows by some hundred bytes with each request.
    pub(super) fn forget_log(&self) {
        if let Some(path) = &self.log
            && let Ok(file) = fs::OpenOptions::new().write(true).open(path)
        {
            let _ = file.set_len(0);
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Bench {
    /// Starts every proxy that takes part, on the proxies' CPU with one worker.
    pub(super) fn proxies(&self, origin: SocketAddr) -> Outcome<Vec<Peer>> {
        let names = PROXIES.into_iter().filter(|name| self.options.has(name));
        names
            .map(|name| self.proxy(name, PROXY_CPU, 1, origin))
            .collect()
    }

    pub(super) fn proxy(
        &self,
        name: &'static str,
        cpus: &str,
        workers: u32,
        origin: SocketAddr,
    ) -> Outcome<Peer> {
        let port = process::free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let unique = format!("{name}-{port}");
        let scratch = &self.scratch;
        let (mut running, log) = match name {
            "croupier" => {
                let program = self.croupier.clone().unwrap_or_default();
                let metrics = process::free_port()?;
                let config = scratch.write(
                    &format!("{unique}.toml"),
                    format!(
                        "[server]\nlisten = [\"{address}\"]\nworkers = {workers}\n\
                         metrics = \"127.0.0.1:{metrics}\"\n\n\
                         [site.\"*\"]\nproxy = \"{origin}\"\n"
                    ),
                )?;
                let config = config.display().to_string();
                let arguments = ["run", "-c", config.as_str()];
                let running = Running::start(&unique, cpus, &program, &arguments, &scratch.0)?;
                (running, Some(scratch.0.join(format!("{unique}.out"))))
            }
            "relay" | "relay-splice" => {
                let (listen, origin) = (address.to_string(), origin.to_string());
                let mut arguments = vec!["relay"];
                arguments.extend((name == "relay-splice").then_some("--splice"));
                arguments.extend([listen.as_str(), origin.as_str()]);
                let running = Running::start(&unique, cpus, &self.load, &arguments, &scratch.0)?;
                (running, None)
            }
            "nginx" => {
                let folder = scratch.0.join(&unique);
                fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
                let text = nginx_proxy(&nginx_head(&folder, workers), address, origin);
                let config = scratch.write(&format!("{unique}.conf"), text)?;
                (start_nginx(&unique, cpus, &config, scratch)?, None)
            }
            _ => {
                let text = haproxy(workers, address, origin);
                let config = scratch.write(&format!("{unique}.cfg"), text)?;
                let config = config.display().to_string();
                let program = process::find("haproxy").ok_or("haproxy is gone")?;
                let arguments = ["-db", "-f", config.as_str()];
                (
                    Running::start(&unique, cpus, &program, &arguments, &scratch.0)?,
                    None,
                )
            }
        };
        running.wait_for(address, &scratch.0)?;
        Ok(Peer {
            name,
            address,
            running: Rc::new(running),
            log,
        })
    }
}

/// Starts nginx in the folder that has its name.
pub(crate) fn start_nginx(
    name: &str,
    cpus: &str,
    config: &std::path::Path,
    scratch: &Scratch,
) -> Outcome<Running> {
    let program = process::find("nginx").ok_or("nginx is gone")?;
    let config = config.display().to_string();
    let folder = scratch.0.join(name).display().to_string();
    let arguments = ["-c", config.as_str(), "-p", folder.as_str(), "-e", "stderr"];
    Running::start(name, cpus, &program, &arguments, &scratch.0)
}

/// The part of an nginx configuration that every role needs.
pub(crate) fn nginx_head(folder: &std::path::Path, workers: u32) -> String {
    let connections = (descriptor_limit() / 2).min(20_000);
    format!(
        "daemon off;
worker_processes {workers};
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
",
        folder = folder.display()
    )
}

fn nginx_proxy(head: &str, address: SocketAddr, origin: SocketAddr) -> String {
    format!(
        "{head}
http {{
    access_log off;
    keepalive_requests 1000000000;
    upstream origin {{
        server {origin};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"
    )
}

fn haproxy(workers: u32, address: SocketAddr, origin: SocketAddr) -> String {
    // Each client connection may need an origin connection beside it.
    let connections = (descriptor_limit() / 2).saturating_sub(200).min(20_000);
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
frontend clients
    bind {address} backlog 4096
    default_backend origins
backend origins
    server origin {origin} pool-max-conn 64
"
    )
}

/// nginx drops its rights when root starts it; its worker must still reach the files.
fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
}
