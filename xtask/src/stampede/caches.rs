//! The caches that a crowd comes to.

use std::net::SocketAddr;
use std::path::Path;

use crate::Outcome;
use crate::bench::peers::{nginx_head, start_nginx};
use crate::process::{self, Running, Scratch};

/// A cache, and how it is told to meet a crowd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Croupier,
    NginxLock,
    NginxStale,
    Varnish,
}

/// With the names they have in the table.
pub(super) const WAYS: [(Way, &str); 4] = [
    (Way::Croupier, "croupier"),
    (Way::NginxLock, "nginx, proxy_cache_lock"),
    (
        Way::NginxStale,
        "nginx, proxy_cache_lock, use_stale updating",
    ),
    (Way::Varnish, "varnish"),
];

/// Starts one with two workers, in front of this origin.
pub(super) fn start(
    way: Way,
    croupier: &Path,
    origin: SocketAddr,
    scratch: &Scratch,
) -> Outcome<(Running, SocketAddr)> {
    let port = process::free_port()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let name = format!("cache-{port}");
    let folder = scratch.0.join(&name);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let start = |program: &Path, arguments: &[&str]| {
        Running::start(&name, "0,1", program, arguments, &scratch.0)
    };
    let mut running = match way {
        Way::Croupier => {
            let text = format!(
                "[server]\nlisten = [\"{address}\"]\nworkers = 2\n\n[cache.edge]\n\
                 memory = \"64MiB\"\n\n[site.\"*\"]\ncache = \"edge\"\nproxy = \"{origin}\"\n"
            );
            let config = scratch.write(&format!("{name}.toml"), text)?;
            start(croupier, &["run", "-c", &config.display().to_string()])?
        }
        Way::NginxLock | Way::NginxStale => {
            let stale = match way {
                Way::NginxStale => {
                    "proxy_cache_use_stale updating; proxy_cache_background_update on;"
                }
                _ => "",
            };
            let text = format!(
                "{head}
http {{
    access_log off;
    proxy_cache_path {folder}/cache keys_zone=edge:10m;
    upstream origin {{ server {origin}; keepalive 64; }}
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_cache edge;
            proxy_cache_lock on;
            {stale}
        }}
    }}
}}
",
                head = nginx_head(&folder, 2),
                folder = folder.display()
            );
            let config = scratch.write(&format!("{name}.conf"), text)?;
            start_nginx(&name, "0,1", &config, scratch)?
        }
        Way::Varnish => {
            let program = process::find("varnishd").ok_or("varnishd is gone")?;
            let (folder, address, origin) = (
                folder.display().to_string(),
                address.to_string(),
                origin.to_string(),
            );
            let arguments = [
                "-F",
                "-n",
                &folder,
                "-a",
                &address,
                "-b",
                &origin,
                "-s",
                "malloc,64m",
            ];
            start(&program, &arguments)?
        }
    };
    running.wait_for(address, &scratch.0)?;
    Ok((running, address))
}
