//! Who takes part.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use super::configs::{Front, Setting};
use super::{Bench, PROXY_CPU, descriptor_limit};
use crate::Outcome;
use crate::process::{self, Running, Scratch};

/// The path of the smallest answer.
pub(super) const SMALL: &str = "/128";

/// The proxies, in the order of the rounds.
const PROXIES: [&str; 3] = ["croupier", "nginx", "haproxy"];

/// Where TLS and HTTP/2 are measured: who is known for them, too.
const FRONT_PROXIES: [&str; 4] = ["croupier", "nginx", "haproxy", "h2o"];

/// Where answers come from the cache.
const CACHES: [&str; 4] = ["croupier", "nginx", "haproxy", "varnish"];

/// Where they come from a disk.
const DISKS: [&str; 2] = ["croupier", "nginx"];

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
        location = /asked {{ stub_status; }}
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
    pub(super) front: Front,
    running: Rc<Running>,
    log: Option<PathBuf>,
}

impl Peer {
    /// The origin, asked directly: what the load and the kernel cost without any proxy.
    pub(super) fn floor(origin: &Origin) -> Self {
        Self {
            name: "floor",
            address: origin.address,
            front: Front::Plain,
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
        format!("{}://{}{path}", self.front.scheme(), self.address)
    }
}

impl Bench {
    /// The names of those who take part when clients come this way.
    pub(super) fn names(&self, front: Front) -> Vec<&'static str> {
        let names = match front {
            Front::Plain => &PROXIES[..],
            Front::H2c | Front::Tls => &FRONT_PROXIES[..],
            Front::Cached => &CACHES[..],
            Front::Disk => &DISKS[..],
        };
        let is_here = |name: &str| match name {
            // Debian may have none.
            "h2o" => process::find("h2o").is_some(),
            "varnish" => process::find("varnishd").is_some(),
            _ => true,
        };
        (names.iter().copied())
            .filter(|name| self.options.has(name) && is_here(name))
            .collect()
    }

    /// Starts every proxy that takes part, on the proxies' CPU with one worker.
    pub(super) fn proxies(&self, front: Front, origin: SocketAddr) -> Outcome<Vec<Peer>> {
        (self.names(front).into_iter())
            .map(|name| self.proxy(name, front, (PROXY_CPU, 1), origin))
            .collect()
    }

    /// Starts one, on these CPUs with so many workers.
    pub(super) fn proxy(
        &self,
        name: &'static str,
        front: Front,
        (cpus, workers): (&str, u32),
        origin: SocketAddr,
    ) -> Outcome<Peer> {
        let port = process::free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let unique = format!("{name}-{port}");
        let scratch = &self.scratch;
        let folder = scratch.0.join(&unique);
        let setting = Setting {
            front,
            address,
            origin,
            workers,
            identity: self.identity.as_ref(),
        };
        let start = |program: PathBuf, arguments: &[&str]| {
            Running::start(&unique, cpus, &program, arguments, &scratch.0)
        };
        let find = |name: &str| process::find(name).ok_or_else(|| format!("{name} is gone"));
        let write = |end: &str, text: String| -> Outcome<String> {
            let path = scratch.write(&format!("{unique}.{end}"), text)?;
            Ok(path.display().to_string())
        };
        let make_folder = || fs::create_dir_all(&folder).map_err(|error| error.to_string());
        let mut log = None;
        let mut running = match name {
            "croupier" => {
                make_folder()?;
                let text = setting.croupier(process::free_port()?, &folder);
                let config = write("toml", text)?;
                log = Some(scratch.0.join(format!("{unique}.out")));
                let program = self.croupier.clone().unwrap_or_default();
                start(program, &["run", "-c", &config])?
            }
            "relay" | "relay-splice" => {
                let (listen, origin) = (address.to_string(), origin.to_string());
                let mut arguments = vec!["relay"];
                arguments.extend((name == "relay-splice").then_some("--splice"));
                arguments.extend([listen.as_str(), origin.as_str()]);
                start(self.load.clone(), &arguments)?
            }
            "nginx" => {
                make_folder()?;
                let text = setting.nginx(&nginx_head(&folder, workers), &folder);
                let config = scratch.write(&format!("{unique}.conf"), text)?;
                start_nginx(&unique, cpus, &config, scratch)?
            }
            "varnish" => {
                make_folder()?;
                let arguments = setting.varnish(&folder);
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                start(find("varnishd")?, &arguments)?
            }
            "h2o" => {
                make_folder()?;
                open_to_all(&folder);
                let config = write("conf", setting.h2o(&folder))?;
                start(find("h2o")?, &["-c", &config])?
            }
            _ => {
                let config = write("cfg", setting.haproxy())?;
                start(find("haproxy")?, &["-db", "-f", &config])?
            }
        };
        running.wait_for(address, &scratch.0)?;
        Ok(Peer {
            name,
            address,
            front,
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

/// nginx drops its rights when root starts it; its worker must still reach the files.
fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
}
