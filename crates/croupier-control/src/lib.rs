//! croupier-control.
