//! What stories with other people's programs share: a proxy that speaks everything on one port,
//! and the programs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use croupier_testkit::{
    Exit, Proxy,
    tls::Authority,
    tools::{self, Program},
};

/// For a program that does a few exchanges, on a busy machine.
pub(crate) const A_WHILE: Duration = Duration::from_secs(60);

/// How a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Plain,
    Tls,
}

/// A proxy whose site `localhost` is reached over TLS and plain on one port.
pub(crate) struct Front {
    pub(crate) proxy: Proxy,
}

/// Lines of `[server]`, tables before the site, and lines of the site.
pub(crate) fn front_with(server: &str, tables: &str, site: &str) -> Front {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let authority = Authority::new("an authority of this test");
    let shown = authority.issue(&["localhost", "127.0.0.1"]);
    let proxy = launch
        .file("ca.pem", authority.pem())
        .file("site.pem", shown.certificate)
        .file("site.key", shown.key)
        .start(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\n{server}\n\n{tables}\n\n\
             [site.localhost]\naliases = [\"127.0.0.1\"]\nplain = \"serve\"\n\
             tls = {{ certificate = \"site.pem\", key = \"site.key\" }}\n{site}\n"
        ));
    Front { proxy }
}

/// The same with these lines of the site alone.
pub(crate) fn front(site: &str) -> Front {
    front_with("", "", site)
}

impl Front {
    /// Whom a client has to believe.
    pub(crate) fn authority(&self) -> PathBuf {
        self.proxy.directory().join("ca.pem")
    }

    /// `localhost` with the port.
    pub(crate) fn place(&self) -> String {
        format!("localhost:{}", self.proxy.address().port())
    }

    pub(crate) fn url(&self, over: Over, path: &str) -> String {
        let scheme = match over {
            Over::Plain => "http",
            Over::Tls => "https",
        };
        format!("{scheme}://{}{path}", self.place())
    }
}

/// The folder of a script that the stories bring with them.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/interop")
        .join(name)
}

/// A command that runs one of our scripts; None skips the story.
pub(crate) fn python(name: &str) -> Option<Command> {
    let python = tools::python(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let mut command = Command::new(python);
    command.arg(script(name));
    // Its complaints about forks and logs are not ours to read.
    command.env("GRPC_VERBOSITY", "ERROR");
    Some(command)
}

/// Starts one of our scripts that serves; gives its address, too.
pub(crate) fn python_server(name: &str, arguments: &[&Path]) -> Option<(Program, String)> {
    let mut command = python(name)?;
    let program = Program::start(command.args(arguments));
    let line = program.wait_for_line(|line| line.starts_with("listening "));
    let port = line.trim_start_matches("listening ");
    let address = format!("127.0.0.1:{port}");
    Some((program, address))
}

/// Plays cases with one of our client scripts; gives `CASE: RESULT` lines.
#[track_caller]
pub(crate) fn play(name: &str, to: &str, authority: Option<&Path>, cases: &[&str]) -> Option<Exit> {
    let mut command = python(name)?;
    command.arg(to);
    match authority {
        Some(path) => command.arg(path),
        None => command.arg("-"),
    };
    let exit = tools::run(command.args(cases), A_WHILE);
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    Some(exit)
}

/// What came of one case.
#[track_caller]
pub(crate) fn outcome(exit: &Exit, case: &str) -> String {
    let found = (exit.stdout.lines()).find_map(|line| {
        line.strip_prefix(case)?
            .strip_prefix(": ")
            .map(str::to_owned)
    });
    found.unwrap_or_else(|| panic!("`{case}` was not played:\n{}\n{}", exit.stdout, exit.stderr))
}
