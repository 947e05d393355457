//! The binary: flags in, exit code out. Verbs are in `cli`, one file each; `demo` is a small
//! world of its own that plays with the proxy inside this process.

mod cli;
mod demo;
mod terminal;

use std::process::ExitCode;

/// The proxy allocates little and in few sizes; what it does allocate is faster here than in the
/// C library, and threads do not meet at one lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run().into()
}
