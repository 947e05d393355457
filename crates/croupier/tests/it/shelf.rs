//! A proxy that keeps answers, and what they say of that.

use croupier_testkit::Response;

use crate::prelude::{Client, Origin, Proxy, start};

/// A proxy that keeps the answers of one origin.
pub(crate) fn keeping(origin: &Origin) -> Proxy {
    keeping_with(origin, "", "")
}

/// The same with more lines of `[server]`, and more keys of `cache`.
pub(crate) fn keeping_with(origin: &Origin, server: &str, cache: &str) -> Proxy {
    start(&shelf_config(origin, server, cache, ""))
}

/// Its config, with more lines of the site.
pub(crate) fn shelf_config(origin: &Origin, server: &str, cache: &str, site: &str) -> String {
    let comma = if cache.is_empty() { "" } else { ", " };
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n{server}\n\n[cache.edge]\nmemory = \"16MiB\"\n\n\
         [site.\"*\"]\nproxy = \"{}\"\ncache = {{ store = \"edge\"{comma}{cache} }}\n{site}\n",
        origin.address()
    )
}

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn ask(proxy: &Proxy, path: &str, headers: &[(&str, &str)]) -> Response {
    Client::connect(proxy.address()).request("GET", path, headers, "")
}

/// What `Cache-Status` says.
#[track_caller]
pub(crate) fn did(response: &Response) -> &str {
    response.header("cache-status").unwrap_or_default()
}

/// Was it answered by what is held?
pub(crate) fn is_hit(response: &Response) -> bool {
    did(response).starts_with("croupier; hit")
}
