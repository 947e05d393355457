//! Where lines go: standard output or a file, and what happens when it fails.
//!
//! A sink that fails is told of once; lines are then dropped and counted, and once a second the sink is
//! opened and tried again. Every line is whole: if a failure cut one, the next success begins with a
//! line feed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::events::{Level, event};

/// How long a failed sink is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long to wait for a sink that somebody made non-blocking.
const BUSY_WAIT: Duration = Duration::from_millis(5);

/// Where an access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file, appended to; created with mode 0640.
    File(PathBuf),
}

impl Sink {
    fn open(&self) -> io::Result<File> {
        match self {
            // A descriptor of our own: no lock, and no second buffer that splits lines.
            Self::Stdout => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            // Opened for reading too, a pipe needs no reader to be opened: whoever starts first
            // waits for nobody.
            Self::File(path) => OpenOptions::new()
                .read(is_fifo(path))
                .append(true)
                .create(true)
                .mode(0o640)
                .open(path),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo())
}

/// An open sink.
#[derive(Debug)]
pub(super) struct Output {
    sink: Sink,
    file: File,
    /// When it failed, if it does not work at the moment.
    failed: Option<Instant>,
    /// The last byte written was not a line feed.
    torn: bool,
    /// Lines lost since it failed.
    lost: u64,
}

impl Output {
    pub(super) fn open(sink: Sink) -> io::Result<Self> {
        let file = sink.open()?;
        Ok(Self {
            sink,
            file,
            failed: None,
            torn: false,
            lost: 0,
        })
    }

    /// Opens the file again under its name; keeps the old one if that fails.
    pub(super) fn reopen(&mut self) {
        match self.sink.open() {
            Ok(file) => self.replace(file),
            Err(error) => self.tell("access_log.reopen.failed", &error),
        }
    }

    fn replace(&mut self, file: File) {
        // A line torn in the old file is no concern of a new one.
        let is_new = file
            .metadata()
            .is_ok_and(|about| about.is_file() && about.len() == 0);
        self.torn &= !is_new;
        self.file = file;
    }

    /// Writes whole lines; gives the number of those that were lost.
    pub(super) fn write(&mut self, data: &[u8], lines: u64) -> u64 {
        if let Some(failed) = self.failed {
            if failed.elapsed() < RETRY_AFTER {
                self.lost += lines;
                return lines;
            }
            if let Ok(file) = self.sink.open() {
                self.replace(file);
            }
        }
        match self.write_lines(data) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    let lost = std::mem::take(&mut self.lost);
                    let sink = self.sink.name();
                    event(
                        Level::Info,
                        "access_log.resumed",
                        &[("sink", &sink), ("lost", &lost)],
                    );
                }
                0
            }
            Err((error, written)) => {
                if self.failed.is_none() {
                    self.tell("access_log.failed", &error);
                }
                self.failed = Some(Instant::now());
                let left = &data[written..];
                let lost = left.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.lost += lost;
                lost
            }
        }
    }

    /// The error comes with how much of `data` was written before it.
    fn write_lines(&mut self, data: &[u8]) -> Result<(), (io::Error, usize)> {
        if self.torn {
            self.write_all(b"\n").map_err(|(error, _)| (error, 0))?;
            self.torn = false;
        }
        self.write_all(data).inspect_err(|(_, written)| {
            self.torn = *written > 0 && data[*written - 1] != b'\n';
        })
    }

    fn write_all(&self, data: &[u8]) -> Result<(), (io::Error, usize)> {
        let mut written = 0;
        while written < data.len() {
            match (&self.file).write(&data[written..]) {
                Ok(0) => return Err((ErrorKind::WriteZero.into(), written)),
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(BUSY_WAIT),
                Err(error) => return Err((error, written)),
            }
        }
        Ok(())
    }

    fn tell(&self, name: &'static str, error: &io::Error) {
        event(
            Level::Error,
            name,
            &[("sink", &self.sink.name()), ("error", error)],
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use super::*;

    /// An output whose first sink breaks in the middle of a line, and which finds `path` when it tries
    /// again; and the number of lines lost so far.
    fn torn(path: PathBuf) -> (Output, u64) {
        let (mut reader, pipe) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(pipe));
        let mut output = Output {
            sink: Sink::File(path),
            file,
            failed: None,
            torn: false,
            lost: 0,
        };
        let reading = thread::spawn(move || {
            reader.read_exact(&mut [0; 5]).unwrap();
            thread::sleep(Duration::from_millis(20));
        });
        // More than a pipe holds, in lines that no page size is a multiple of.
        let lost = output.write(&b"123456\n".repeat(100_000), 100_000);
        reading.join().unwrap();
        assert!(lost > 0 && lost < 100_000, "{lost}");
        assert!(output.torn);
        assert_eq!(
            output.write(b"at once\n", 1),
            1,
            "a failed sink is left alone for a while"
        );
        output.failed = Instant::now().checked_sub(RETRY_AFTER);
        (output, lost + 1)
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let path = std::env::temp_dir().join(format!("croupier-torn-{}", std::process::id()));
        fs::write(&path, "half a li").unwrap();
        let (mut output, lost) = torn(path.clone());
        assert_eq!(output.lost, lost);
        assert_eq!(output.write(b"next\n", 1), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "half a li\nnext\n");
        assert_eq!((output.lost, output.failed), (0, None));

        // A new file has no line to end.
        fs::remove_file(&path).unwrap();
        let (mut output, _) = torn(path.clone());
        assert_eq!(output.write(b"first\n", 1), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
        fs::remove_file(&path).unwrap();
    }
}
