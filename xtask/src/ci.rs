//! What has to hold before a change goes in, in the order of cost.

use std::process::Command;

use crate::{Outcome, process, repository, tidy};

/// `cargo xtask ci`.
pub(crate) fn run() -> Outcome<()> {
    let root = repository::root()?;
    let cargo = |arguments: &[&str]| {
        step(&format!("cargo {}", arguments.join(" ")));
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        process::run(Command::new(program).args(arguments).current_dir(&root))
    };
    cargo(&["fmt", "--all", "--check"])?;
    step("tidy");
    tidy::run()?;
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])?;
    cargo(&["run", "--release", "--", "demo", "--once"])?;
    cargo(&["xtask", "drill", "--short"])?;
    cargo(&["xtask", "drill", "--short", "--over", "tls"])?;
    cargo(&["xtask", "drill", "--short", "--over", "h2"])?;
    step("all holds");
    Ok(())
}

fn step(name: &str) {
    println!("\n== {name}");
}
