//! A file system that is really full: a small one in memory, and a limit on the size of files. Both
//! need a child process; where the system forbids what it takes, the story says so and ends.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use crate::kit::{Dir, get, key, object, verify};
use croupier_cache::disk::{Disk, Event, Settings};

const CHILD: &str = "CROUPIER_DISK_FULL";
const LENGTH: usize = 100_000;

/// Runs a test of this file by a shell that first does what `script` says.
fn run(script: &str, test: &str, dir: &Path) -> Output {
    Command::new("sh")
        .args(["-c", script])
        .env("EXE", env::current_exe().unwrap())
        .env("TEST", test)
        .env(CHILD, dir)
        .output()
        .unwrap()
}

fn child() -> Option<PathBuf> {
    env::var_os(CHILD).map(PathBuf::from)
}

fn open(dir: &Path) -> (Disk, Settings) {
    let mut settings = Settings::new(dir.join("cache"), 16 << 20);
    settings.rest = Duration::from_millis(1);
    (Disk::open(&settings).unwrap(), settings)
}

/// Writes until a write has failed; returns how many were tried.
fn write_until_full(disk: &Disk) -> u64 {
    for number in 0..1000 {
        disk.write(&object(number, 1, LENGTH));
        disk.flush().wait(crate::kit::PATIENCE).unwrap();
        if disk.counts().write_errors > 0 {
            return number;
        }
    }
    panic!("it is never full: {:?}", disk.counts());
}

fn verify_all(disk: &Disk, tried: u64) -> u64 {
    let mut count = 0;
    for read in (0..tried).filter_map(|number| get(disk, &key(number))) {
        verify(&read);
        count += 1;
    }
    count
}

#[test]
#[ignore = "the child of a test below"]
fn child_on_a_small_file_system() {
    let Some(dir) = child() else {
        return;
    };
    // More than half of it is somebody else's.
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 9 << 20]).unwrap();
    let (disk, settings) = open(&dir);
    let tried = write_until_full(&disk);
    assert!(tried > 20, "{tried}");
    assert_eq!(verify_all(&disk, tried), tried);
    let events = disk.take_events();
    assert!(matches!(events[0], Event::Resting { .. }), "{events:?}");
    // It can be opened as it is.
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    assert_eq!(verify_all(&disk, tried), tried);
    disk.write(&object(2000, 1, LENGTH));
    disk.flush().wait(crate::kit::PATIENCE).unwrap();
    // And is written again once there is room.
    fs::remove_file(&ballast).unwrap();
    let mut number = 3000;
    while disk.counts().written < 20 {
        disk.write(&object(number, 1, LENGTH));
        disk.flush().wait(crate::kit::PATIENCE).unwrap();
        number += 1;
    }
    verify(&get(&disk, &key(number - 1)).unwrap());
    assert!(matches!(disk.take_events().last(), Some(Event::Writing)));
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    verify(&get(&disk, &key(number - 1)).unwrap());
    assert!(disk.take_events().is_empty());
}

#[test]
fn a_full_file_system_costs_writes_and_nothing_else() {
    let dir = Dir::new();
    fs::create_dir(dir.path()).unwrap();
    let script = "mount -t tmpfs -o size=14m croupier-test \"$CROUPIER_DISK_FULL\" || exit 77; \
                  exec \"$EXE\" \"$TEST\" --exact --ignored --nocapture";
    // A mount of our own: it goes with the process, whatever happens.
    let script = format!("unshare -rm sh -c '{script}' || exit $?");
    let output = run(&script, "full::child_on_a_small_file_system", dir.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let wrote = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(77) || said.contains("unshare") {
        println!("no small file system here: {said}");
        return;
    }
    assert!(output.status.success(), "{wrote}{said}");
    assert!(wrote.contains("1 passed"), "{wrote}");
}

#[test]
#[ignore = "the child of a test below"]
fn child_with_a_limit_on_files() {
    let Some(dir) = child() else {
        return;
    };
    let (disk, settings) = open(&dir);
    let tried = write_until_full(&disk);
    assert!((3..10).contains(&tried), "{tried}");
    for round in 0..20 {
        disk.write(&object(100 + round, 1, LENGTH));
        disk.flush().wait(crate::kit::PATIENCE).unwrap();
        assert_eq!(verify_all(&disk, tried), tried);
    }
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    assert_eq!(verify_all(&disk, tried), tried);
    assert!(disk.take_events().is_empty());
}

#[test]
fn a_limit_on_the_size_of_files_costs_writes_and_nothing_else() {
    let dir = Dir::new();
    fs::create_dir(dir.path()).unwrap();
    // 900 blocks of 512 or 1024 bytes, as the shell takes it; both end within a segment.
    let script = "trap '' XFSZ; ulimit -f 900 || exit 77; exec \"$EXE\" \"$TEST\" --exact --ignored --nocapture";
    let output = run(script, "full::child_with_a_limit_on_files", dir.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let wrote = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(77) {
        println!("no limit here: {said}");
        return;
    }
    assert!(output.status.success(), "{wrote}{said}");
    assert!(wrote.contains("1 passed"), "{wrote}");
}
