//! A restart with many objects: warm from footers alone. Times are printed, not judged; a million
//! objects with `CROUPIER_DISK_OBJECTS=1000000` and `--release`.

use std::{env, fs, os::unix::fs::FileExt, time::Instant};

use crate::kit::{Dir, PATIENCE, get, key, object, verify};
use croupier_cache::disk::{Disk, Settings, Taken};

#[test]
fn a_restart_knows_everything_without_reading_records() {
    let count = env::var("CROUPIER_DISK_OBJECTS").ok();
    let count = count
        .and_then(|count| count.parse().ok())
        .unwrap_or(30_000_u64);
    let dir = Dir::new();
    let mut settings = Settings::new(dir.path().to_owned(), 16 << 20);
    settings.size = (count * 1024).max(128 << 20);
    let disk = Disk::open(&settings).unwrap();
    let began = Instant::now();
    for number in 0..count {
        while disk.write(&object(number, 1, 100)) != Taken::Queued {
            disk.flush().wait(PATIENCE).unwrap();
        }
    }
    disk.flush().wait(PATIENCE).unwrap();
    // A full queue removes what it could not take, so what was tried twice is there.
    let wrote = began.elapsed();
    let counts = disk.counts();
    assert_eq!(counts.objects, count);
    drop(disk);
    // The records of the first segment are a ruin; only who reads them finds out.
    let first = fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("00000001.seg"));
    first.unwrap().write_all_at(&[0; 4096], 0).unwrap();

    let began = Instant::now();
    let disk = Disk::open(&settings).unwrap();
    let opened = began.elapsed();
    let segments = disk.counts().segments;
    println!("{count} objects in {segments} segments: written in {wrote:?}, warm in {opened:?}");
    assert!(segments > 1);
    let now = disk.counts();
    assert_eq!((now.objects, now.bytes), (counts.objects, counts.bytes));
    assert!(disk.take_events().is_empty());
    assert!(get(&disk, &key(0)).is_none());
    for number in (500..count).step_by(997) {
        verify(&get(&disk, &key(number)).unwrap());
    }
}
