//! The binary: flags in, exit code out.

use std::process::ExitCode;

use croupier_control::{Exit, Options, Source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let path = std::env::args()
        .skip_while(|a| a != "-c")
        .nth(1)
        .unwrap_or_default();
    match croupier_control::run(Source::File(path.into()), Options::default()) {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Cut(_)) => ExitCode::from(3),
        Err(error) => {
            croupier_telemetry::event(
                croupier_telemetry::Level::Error,
                "start",
                &[("error", &error)],
            );
            ExitCode::from(1)
        }
    }
}
