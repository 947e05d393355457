//! Starting, watching and ending processes: only ours, by their ids.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// Runs a command with our own output, and wants success.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let shown = show(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed: {status}")),
        Err(error) => Err(format!("`{shown}` does not start: {error}")),
    }
}

/// Runs a command and gives what it printed, standard error behind standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let shown = show(command);
    let output = command
        .output()
        .map_err(|error| format!("`{shown}` does not start: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("`{shown}` failed: {}\n{text}", output.status))
    }
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy()),
    );
    words.join(" ")
}

/// Where a program is, also in the places that a user's PATH leaves out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    folders
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Finds programs, installing the packages of those that are missing where we may.
pub(crate) fn require(programs: &[(&str, &str)]) -> Outcome<()> {
    let missing = programs
        .iter()
        .filter(|(program, _)| find(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !rustix::process::geteuid().is_root() || find("apt-get").is_none() {
        return Err(format!(
            "missing programs; install these packages first: {names}"
        ));
    }
    println!("installing {names}");
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&packages);
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .stdout(Stdio::null());
    if run(&mut install).is_err() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(&mut install)?;
    }
    Ok(())
}

/// A process that ends with its owner, and its children.
pub(crate) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `program` on these CPUs, its standard error and output in files of `folder`.
    pub(crate) fn start(
        name: &str,
        cpus: &str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
    ) -> Outcome<Self> {
        let file = |end: &str| {
            let path = folder.join(format!("{name}.{end}"));
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))
        };
        let mut command = Command::new("taskset");
        command.args(["-c", cpus]).arg(program).args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(file("out")?)
            .stderr(file("err")?);
        let shown = show(&command);
        let child = command
            .spawn()
            .map_err(|error| format!("`{shown}` does not start: {error}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    /// Waits until somebody listens at `address`.
    pub(crate) fn wait_for(&mut self, address: SocketAddr, folder: &Path) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let path = folder.join(format!("{}.err", self.name));
                let words = fs::read_to_string(path).unwrap_or_default();
                return Err(format!("{} ended early ({status}):\n{words}", self.name));
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not listen at {address}", self.name));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to the process itself, which is ours and not yet waited for.
    pub(crate) fn signal(&self, signal: Signal) -> Outcome<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| format!("{} has no id", self.name))?;
        kill_process(id, signal).map_err(|error| format!("{}: {error}", self.name))
    }

    /// The process and everything below it.
    pub(crate) fn family(&self) -> Vec<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if let Some(parent) = parent_of(id) {
                children.entry(parent).or_default().push(id);
            }
        }
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(id) = family.get(next) {
            family.extend(children.get(id).cloned().unwrap_or_default());
            next += 1;
        }
        family
    }

    /// Processor time of the whole family, in nanoseconds.
    pub(crate) fn cpu_nanoseconds(&self) -> u64 {
        let of_task = |path: PathBuf| -> Option<u64> {
            let text = fs::read_to_string(path.join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        let tasks = self.family().into_iter().flat_map(|id| {
            fs::read_dir(format!("/proc/{id}/task"))
                .into_iter()
                .flatten()
                .flatten()
        });
        tasks.filter_map(|task| of_task(task.path())).sum()
    }

    /// Memory that belongs to the family alone: anonymous and shared, no program text.
    pub(crate) fn user_memory_bytes(&self) -> u64 {
        let of_process = |id: u32| -> u64 {
            let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let wanted = ["RssAnon:", "RssShmem:"];
            let lines = text.lines().filter_map(|line| {
                let value = wanted.iter().find_map(|key| line.strip_prefix(key))?;
                value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
            });
            lines.sum::<u64>() * 1024
        };
        self.family().into_iter().map(of_process).sum()
    }
}

impl Drop for Running {
    /// Asks the whole family to end, and makes it.
    fn drop(&mut self) {
        let signal = |id: u32, signal| {
            if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _ = kill_process(id, signal);
            }
        };
        let family = self.family();
        for id in &family {
            signal(*id, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            let has_ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if has_ended && !family.iter().any(|id| is_alive(*id)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for id in family.into_iter().filter(|id| is_alive(*id)) {
            signal(id, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn is_alive(id: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = text
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

fn parent_of(id: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in brackets may hold anything; what follows the last bracket is state and parent.
    text.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener
        .local_addr()
        .map_err(|error| error.to_string())?
        .port())
}

/// A directory that goes with its owner.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn create(name: &str) -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("croupier-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)
            .map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Outcome<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, contents)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A binary of the workspace in its release build, built now.
pub(crate) fn release_binary(package: &str) -> Outcome<PathBuf> {
    let root = crate::repository::root()?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args(["build", "--quiet", "--release", "--package", package])
        .current_dir(&root);
    run(&mut build)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release").join(package))
}
