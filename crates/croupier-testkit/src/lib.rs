//! croupier-testkit.
