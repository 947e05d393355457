//! The real binary under test: its own directory, its ready line, its log, its end.
//!
//! The contract with the binary: `croupier run -c FILE` prints to standard error a line with the
//! word `ready` and one `listen=ADDRESS` for each listener (and `metrics=ADDRESS`), so that tests
//! configure port 0 and guess nothing. Standard output carries the access log.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{PATIENCE, lock, wait_until};

/// A signal to the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Hangup,
    Terminate,
    Interrupt,
    Quit,
    User1,
    User2,
    Stop,
    Continue,
    Kill,
}

impl Signal {
    fn word(self) -> &'static str {
        match self {
            Self::Hangup => "HUP",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::User1 => "USR1",
            Self::User2 => "USR2",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Kill => "KILL",
        }
    }
}

/// A command of the binary that has ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Default)]
struct Output {
    lines: Vec<String>,
    has_ended: bool,
}

/// Lines of one output, growing.
#[derive(Default)]
pub(crate) struct Lines {
    output: Mutex<Output>,
    changed: Condvar,
}

impl Lines {
    pub(crate) fn follow(output: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(count) if count > 0) {
                let text = String::from_utf8_lossy(&line)
                    .trim_end_matches('\n')
                    .to_owned();
                lock(&kept.output).lines.push(text);
                kept.changed.notify_all();
                line.clear();
            }
            lock(&kept.output).has_ended = true;
            kept.changed.notify_all();
        });
        lines
    }

    pub(crate) fn all(&self) -> Vec<String> {
        lock(&self.output).lines.clone()
    }

    fn count(&self) -> usize {
        lock(&self.output).lines.len()
    }

    /// The first line from number `from` on that `wanted` holds for; `None` in vain, or at the end
    /// of the output.
    pub(crate) fn find(
        &self,
        from: usize,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + timeout;
        let mut guard = lock(&self.output);
        let mut seen = from;
        loop {
            if let Some(line) = guard.lines.iter().skip(seen).find(|line| wanted(line)) {
                return Some(line.clone());
            }
            seen = guard.lines.len().max(from);
            let left = deadline.saturating_duration_since(Instant::now());
            if guard.has_ended || left.is_zero() {
                return None;
            }
            guard = self
                .changed
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// What a proxy will be started with.
#[must_use]
pub struct Launch {
    binary: PathBuf,
    directory: Directory,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
    patience: Duration,
}

impl Launch {
    /// The directory of this proxy alone, gone when it is dropped; certificates and includes of a
    /// test belong here.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// Writes a file into the directory.
    pub fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.directory.0.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap();
        }
        std::fs::write(path, contents).unwrap();
        self
    }

    /// One more argument behind `run -c FILE`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One more environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets it open no more descriptors than these.
    pub fn descriptors(mut self, limit: u32) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// Another deadline for the ready line than ten seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts `run -c FILE` with this configuration and waits until it is ready.
    #[track_caller]
    pub fn start(self, config: &str) -> Proxy {
        let config_path = self.directory.0.join("croupier.toml");
        std::fs::write(&config_path, config).unwrap();
        let mut child = self
            .command()
            .args(["run", "-c"])
            .arg(&config_path)
            .args(&self.arguments)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        let mut proxy = Proxy {
            stdout: Lines::follow(child.stdout.take().unwrap()),
            stderr: Lines::follow(child.stderr.take().unwrap()),
            child,
            directory: self.directory,
            config_path,
            listens: Vec::new(),
            metrics: None,
            panics_are_expected: false,
        };
        let is_ready = |line: &str| line.split_whitespace().any(|word| word == "ready");
        let Some(line) = proxy.stderr.find(0, self.patience, is_ready) else {
            panic!(
                "the proxy did not become ready in {:?}\n{}",
                self.patience,
                proxy.report()
            );
        };
        proxy.listens = values(&line, "listen");
        proxy.metrics = values(&line, "metrics").into_iter().next();
        proxy
    }

    /// Runs `run -c FILE` with a configuration that it must refuse, to its end.
    #[track_caller]
    pub fn start_in_vain(self, config: &str) -> Exit {
        let config_path = self.directory.0.join("croupier.toml");
        std::fs::write(&config_path, config).unwrap();
        let path = config_path.display().to_string();
        self.run(&["run", "-c", &path])
    }

    /// Runs the binary with these arguments to its end, in its directory. One that does not end
    /// within the patience is killed and fails the test.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Exit {
        let mut child = self
            .command()
            .args(arguments)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        let stdout = Lines::follow(child.stdout.take().unwrap());
        let stderr = Lines::follow(child.stderr.take().unwrap());
        let status = wait_exit(&mut child, self.patience);
        if status.is_none() {
            let _ = child.kill();
        }
        let _ = child.wait();
        let text = |lines: &Lines| {
            let _ = lines.find(usize::MAX, PATIENCE, |_| true); // until the end of the output
            lines.all().join("\n")
        };
        let exit = Exit {
            code: status.flatten(),
            stdout: text(&stdout),
            stderr: text(&stderr),
        };
        assert!(status.is_some(), "`{arguments:?}` does not end: {exit:?}");
        exit
    }

    fn command(&self) -> Command {
        let mut command = match self.descriptors {
            None => Command::new(&self.binary),
            Some(limit) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                shell.args(["-c", &script]).arg(&self.binary);
                shell
            }
        };
        command
            .current_dir(&self.directory.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }
}

/// All values of `key=` in a line.
fn values(line: &str, key: &str) -> Vec<String> {
    let words = line.split_whitespace();
    let pairs = words.filter_map(|word| word.split_once('='));
    let named = pairs.filter(|(name, _)| *name == key);
    named
        .flat_map(|(_, value)| value.split(','))
        .map(|value| value.trim_matches('"').to_owned())
        .collect()
}

pub(crate) fn wait_exit(child: &mut Child, timeout: Duration) -> Option<Option<i32>> {
    let mut status = None;
    let _ = wait_until(timeout, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    status.map(|status| status.code())
}

/// A running proxy; dropping it kills it and takes its directory away.
pub struct Proxy {
    child: Child,
    directory: Directory,
    config_path: PathBuf,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    listens: Vec<String>,
    metrics: Option<String>,
    panics_are_expected: bool,
}

impl Proxy {
    /// The binary to start: `env!("CARGO_BIN_EXE_croupier")` in the tests of its crate.
    pub fn with_binary(path: impl AsRef<Path>) -> Launch {
        Launch {
            binary: path.as_ref().to_owned(),
            directory: Directory::fresh(),
            arguments: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
            patience: PATIENCE,
        }
    }

    /// The first TCP listener, in a form that can be connected to.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match self.addresses().first() {
            Some(address) => *address,
            None => panic!("the ready line names no TCP listener\n{}", self.report()),
        }
    }

    /// Every TCP listener, in the order of the ready line.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listens
            .iter()
            .filter_map(|listen| connectable(listen))
            .collect()
    }

    /// Every listener as the ready line names it, Unix sockets included.
    #[must_use]
    pub fn listens(&self) -> &[String] {
        &self.listens
    }

    #[must_use]
    #[track_caller]
    pub fn metrics_address(&self) -> SocketAddr {
        match self.metrics.as_deref().and_then(connectable) {
            Some(address) => address,
            None => panic!("the ready line names no metrics address\n{}", self.report()),
        }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The directory of this proxy alone; it is its working directory too.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    #[must_use]
    pub fn config_path(&self) -> &Path {
        &self.config_path
    }

    /// What it printed on standard error.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// What it printed on standard output: the access log, unless configured elsewhere.
    #[must_use]
    pub fn access_log(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Waits for a log line, printed before or yet to come.
    #[track_caller]
    pub fn wait_for_log(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_for_log_after(0, wanted)
    }

    /// Waits for a log line behind the first `count` ones; take `count` from
    /// `proxy.log_lines().len()` before doing what causes the line.
    #[track_caller]
    pub fn wait_for_log_after(&self, count: usize, wanted: impl Fn(&str) -> bool) -> String {
        match self.stderr.find(count, PATIENCE, wanted) {
            Some(line) => line,
            None => panic!("a log line did not come\n{}", self.report()),
        }
    }

    /// Waits for an access log line, printed before or yet to come.
    #[track_caller]
    pub fn wait_for_access(&self, wanted: impl Fn(&str) -> bool) -> String {
        match self.stdout.find(0, PATIENCE, wanted) {
            Some(line) => line,
            None => panic!("an access log line did not come\n{}", self.report()),
        }
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{} {id}", signal.word())])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "the proxy takes no {signal:?}"
        );
    }

    /// Puts another configuration in the place of the first, whole, and nothing more.
    pub fn rewrite(&self, config: &str) {
        let aside = self.config_path.with_extension("new");
        std::fs::write(&aside, config).unwrap();
        std::fs::rename(&aside, &self.config_path).unwrap();
    }

    /// Writes another configuration, sends the hangup, and waits for the log line that tells how
    /// the reload went: the first new one with `reload` in it that is not about its beginning.
    #[track_caller]
    pub fn reload(&self, config: &str) -> String {
        let before = self.stderr.count();
        self.rewrite(config);
        self.signal(Signal::Hangup);
        self.wait_for_log_after(before, |line| {
            line.contains("reload") && !line.contains("reloading") && !line.contains("begin")
        })
    }

    /// Bytes of memory in use, all mappings.
    #[must_use]
    pub fn rss_bytes(&self) -> u64 {
        let status = self.proc_text("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
        kibibytes
            .and_then(|number| number.trim().parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    }

    /// How many descriptors are open.
    #[must_use]
    pub fn fd_count(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).map(Iterator::count).unwrap_or(0)
    }

    /// How many threads it has.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        let path = format!("/proc/{}/task", self.child.id());
        std::fs::read_dir(path).map(Iterator::count).unwrap_or(0)
    }

    /// Processor time of its living threads.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/task", self.child.id());
        let Ok(tasks) = std::fs::read_dir(path) else {
            return Duration::ZERO;
        };
        let nanoseconds = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Waits for its end and gives its exit code; fails when it lives on, or when a signal ended
    /// it.
    #[track_caller]
    pub fn wait_exit(&mut self, timeout: Duration) -> i32 {
        match wait_exit(&mut self.child, timeout) {
            Some(Some(code)) => code,
            Some(None) => panic!("a signal ended the proxy\n{}", self.report()),
            None => panic!("the proxy does not end\n{}", self.report()),
        }
    }

    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Does not fail the test when the log tells of a panic.
    pub fn expect_panics(&mut self) {
        self.panics_are_expected = true;
    }

    fn proc_text(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
    }

    fn report(&self) -> String {
        let config = std::fs::read_to_string(&self.config_path).unwrap_or_default();
        format!(
            "--- config ---\n{config}\n--- log ---\n{}\n--- standard output ---\n{}\n",
            self.log_lines().join("\n"),
            self.access_log().join("\n")
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprint!("{}", self.report());
            return;
        }
        let _ = self
            .stderr
            .find(usize::MAX, Duration::from_secs(1), |_| true);
        let panicked = self
            .stderr
            .all()
            .iter()
            .any(|line| line.contains("panicked at"));
        if panicked && !self.panics_are_expected {
            panic!("the proxy panicked\n{}", self.report());
        }
    }
}

/// An address of the ready line as a client can use it: `0.0.0.0` and `[::]` mean this machine.
fn connectable(listen: &str) -> Option<SocketAddr> {
    let mut address: SocketAddr = listen.parse().ok()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(address)
}

/// A directory of one test alone.
struct Directory(PathBuf);

impl Directory {
    fn fresh() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("croupier-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
