//! croupier-net.
