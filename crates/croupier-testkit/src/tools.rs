//! Programs of other people as witnesses: curl, a browser, Python with its libraries.
//!
//! A story that needs one asks for it here. Where it is not installed the story is skipped and says
//! so; with `CROUPIER_TOOLS=required`, as `.ci/run` has it, a missing one is a failure.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::event::PATIENCE;
use crate::proxy::{Exit, Lines, wait_exit};

/// What Python imports, at the versions that were tried.
const PYTHON_PACKAGES: [&str; 2] = ["grpcio==1.85.1", "websockets==17.4"];

/// How long making the Python environment may take: a download and an unpacking.
const INSTALL_TIME: Duration = Duration::from_secs(240);

/// Where a program is, also in the places that a user's PATH leaves out.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// A program that a story cannot do without: `None` skips the story.
///
/// # Panics
/// When it is missing and tools are required.
#[must_use]
#[track_caller]
pub fn need(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        skip(&format!("`{program}` is not installed"));
    }
    found
}

/// Says why a story is skipped.
///
/// # Panics
/// When tools are required.
#[track_caller]
pub fn skip(why: &str) {
    let required = std::env::var("CROUPIER_TOOLS").is_ok_and(|value| value == "required");
    assert!(!required, "{why}, and CROUPIER_TOOLS=required");
    eprintln!("skipped: {why}");
}

/// A Python that has the packages of [`PYTHON_PACKAGES`], kept in a folder below `folder` and made
/// by the first who asks; `None` skips the story.
///
/// # Panics
/// When there is none and tools are required.
#[must_use]
#[track_caller]
pub fn python(folder: &Path) -> Option<PathBuf> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match MADE.get_or_init(|| make_python(folder)) {
        Ok(python) => Some(python.clone()),
        Err(why) => {
            skip(why);
            None
        }
    }
}

fn make_python(folder: &Path) -> Result<PathBuf, String> {
    let system = find("python3").ok_or("`python3` is not installed")?;
    let home = folder.join(format!("python-{}", PYTHON_PACKAGES.join("-")));
    let python = home.join("bin/python");
    let complete = home.join("complete");
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    // Other test binaries may be about to do the same.
    let lock = File::create(folder.join("python.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if complete.exists() {
        return Ok(python);
    }
    let _ = fs::remove_dir_all(&home);
    let mut venv = Command::new(system);
    venv.args(["-m", "venv"]).arg(&home);
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary=:all:"])
        .args(["--timeout", "20", "--retries", "1"])
        .args(PYTHON_PACKAGES);
    for (step, what) in [
        (&mut venv, "python3 -m venv"),
        (&mut install, "pip install"),
    ] {
        let exit = run(step, INSTALL_TIME);
        if exit.code != Some(0) {
            let last = exit.stderr.lines().last().unwrap_or_default();
            return Err(format!("`{what}` failed: {last}"));
        }
    }
    fs::write(complete, "").map_err(|error| error.to_string())?;
    Ok(python)
}

/// Runs a program to its end. One that does not end in time is killed, and its code is `None`.
#[track_caller]
pub fn run(command: &mut Command, timeout: Duration) -> Exit {
    let mut program = Program::start(command);
    drop(program.child.stdin.take());
    program.wait_exit(timeout)
}

/// A running program; dropping it ends it and what it started.
pub struct Program {
    name: String,
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

impl Program {
    /// Starts it, with an open pipe as its standard input: a script that reads it to its end does
    /// not outlive its test.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            stdout: Lines::follow(child.stdout.take().unwrap()),
            stderr: Lines::follow(child.stderr.take().unwrap()),
            child,
            name,
        }
    }

    /// Waits for a line on its standard output, printed before or yet to come.
    #[track_caller]
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        match self.stdout.find(0, PATIENCE, wanted) {
            Some(line) => line,
            None => panic!("{} does not say it\n{}", self.name, self.report()),
        }
    }

    /// What it printed on standard output.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Waits for its end. One that does not end in time is killed, and its code is `None`.
    pub fn wait_exit(&mut self, timeout: Duration) -> Exit {
        let status = wait_exit(&mut self.child, timeout);
        if status.is_none() {
            self.kill();
        }
        let text = |lines: &Lines| {
            let _ = lines.find(usize::MAX, PATIENCE, |_| true); // until the end of the output
            lines.all().join("\n")
        };
        Exit {
            code: status.flatten(),
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }

    /// What it printed, for people.
    #[must_use]
    pub fn report(&self) -> String {
        format!(
            "--- {} ---\n{}\n{}\n",
            self.name,
            self.stdout.all().join("\n"),
            self.stderr.all().join("\n")
        )
    }

    /// Ends it and its children, which are a process group of their own.
    fn kill(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let group = format!("kill -s KILL -- -{}", self.child.id());
            let _ = Command::new("sh").args(["-c", &group]).status();
            let _ = self.child.kill(); // should there be no shell
        }
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprint!("{}", self.report());
        }
    }
}
