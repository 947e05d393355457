//! croupier-telemetry.
