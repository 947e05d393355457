//! croupier-config.
