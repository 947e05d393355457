//! croupier-proxy.
