//! The thread that decides: floor 3. Owns `Live`, the plan in force and the workers; never
//! touches a request, and nothing a request waits for lives here.
//!
//! [`boot`] starts everything, top to bottom; [`reload`] reads, checks, builds, swaps and
//! reports; [`drain`] lets everything end.

#![forbid(unsafe_code)]

pub mod boot;

mod listeners;
mod workers;

mod reload;

mod drain;

mod signals;

mod discover;

mod disks;

mod checks;

mod certs;

mod logs;

mod admin;

pub use admin::ask;
pub use boot::{BootError, Exit, Options, Source, Stop, Stopper, run};
pub use certs::check::{CertificateProblem, check_certificates};
