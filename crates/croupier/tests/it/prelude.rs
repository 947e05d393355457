//! What every story needs.

pub use croupier_testkit::{Client, Origin, Proxy, Reply};

/// The proxy under test, with this config; listeners on port 0 pick a free one.
pub fn start(config: &str) -> Proxy {
    Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")).start(config)
}

/// A proxy with one site for every host, in front of one origin.
pub fn in_front_of(origin: &Origin) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ))
}
