//! The disk tier as its callers see it: what is written is read, also after a restart; what is
//! removed is gone; the size is never exceeded.

use std::{os::unix::fs::MetadataExt, sync::Arc};

use crate::kit::{Dir, PATIENCE, body_of, entries, get, key, object, put, settings};
use croupier_cache::{
    Body, Object, Rules,
    disk::{Cursor, Disk, Event, Settings, Settled, Taken},
};

#[test]
fn what_is_written_is_read_also_after_a_restart() {
    let dir = Dir::new();
    let mut disk = Disk::open(&settings(&dir)).unwrap();
    let lengths = [0, 1, 100, 65_535, 65_536, 65_537, 200_000, 300_000, 900_000];
    for (number, length) in lengths.into_iter().enumerate() {
        put(&disk, &object(number as u64, 1, length));
    }
    assert!(disk.read(b"never seen").is_none());
    for round in ["running", "after a restart"] {
        if round != "running" {
            drop(disk);
            disk = Disk::open(&settings(&dir)).unwrap();
        }
        for (number, length) in lengths.into_iter().enumerate() {
            let read = get(&disk, &key(number as u64)).expect(round);
            let wrote = object(number as u64, 1, length);
            assert_eq!(read.status, wrote.status);
            assert_eq!(read.lines, wrote.lines);
            assert_eq!(read.terms, wrote.terms);
            assert_eq!(body_of(&read), body_of(&wrote), "{length} {round}");
            let is_extent = matches!(read.body, Body::Disk(_));
            assert_eq!(is_extent, length >= 256 << 10, "{length} {round}");
        }
        assert_eq!(disk.counts().objects, lengths.len() as u64, "{round}");
        assert!(disk.take_events().is_empty());
    }
}

#[test]
fn a_later_object_stands_for_an_earlier_one() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1, 1, 5000));
    put(&disk, &object(1, 2, 7000));
    assert_eq!(body_of(&get(&disk, &key(1)).unwrap()).len(), 7000);
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    assert_eq!(body_of(&get(&disk, &key(1)).unwrap()).len(), 7000);
    assert_eq!(disk.counts().objects, 1);
}

#[test]
fn a_removed_object_is_gone_at_once_and_after_a_restart() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    for number in 0..10 {
        put(&disk, &object(number, 1, 1000));
    }
    assert!(disk.remove(&key(3)).unwrap() > 1000);
    assert!(disk.remove(&key(3)).is_none());
    assert!(disk.read(&key(3)).is_none());
    assert_eq!(disk.settle().wait(PATIENCE), Some(Settled::Durable));
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    assert!(get(&disk, &key(3)).is_none());
    assert_eq!(disk.counts().objects, 9);
    // And it may be written again.
    put(&disk, &object(3, 2, 10));
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    assert_eq!(body_of(&get(&disk, &key(3)).unwrap()).len(), 10);
}

#[test]
fn a_mark_of_staleness_outlives_a_restart_and_ends_with_a_new_object() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1, 1, 1000));
    assert!(disk.mark_stale(b"nobody").is_none());
    assert!(disk.mark_stale(&key(1)).is_some());
    assert_eq!(disk.settle().wait(PATIENCE), Some(Settled::Durable));
    assert!(
        get(&disk, &key(1))
            .unwrap()
            .terms
            .rules
            .has(Rules::MARKED_STALE)
    );
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    assert!(
        get(&disk, &key(1))
            .unwrap()
            .terms
            .rules
            .has(Rules::MARKED_STALE)
    );
    assert!(entries(&disk)[0].terms.rules.has(Rules::MARKED_STALE));
    put(&disk, &object(1, 2, 1000));
    assert!(
        !get(&disk, &key(1))
            .unwrap()
            .terms
            .rules
            .has(Rules::MARKED_STALE)
    );
}

#[test]
fn new_terms_for_a_body_on_disk_cost_a_head() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1, 1, 800_000));
    let before = disk.counts().bytes;
    for round in 0..200 {
        let old = get(&disk, &key(1)).unwrap();
        let mut terms = old.terms;
        terms.lifetime = 1000 + round;
        let lines = format!("x-round: {round}\r\n").into_bytes();
        let new = Object::new(old.key, old.status, lines.into(), old.body, terms);
        put(&disk, &Arc::new(new));
    }
    assert!(disk.counts().bytes < before / 100, "{:?}", disk.counts());
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    let read = get(&disk, &key(1)).unwrap();
    assert_eq!(read.terms.lifetime, 1199);
    assert_eq!(&*read.lines, b"x-round: 199\r\n");
    assert_eq!(body_of(&read), body_of(&object(1, 1, 800_000)));
}

#[test]
fn a_body_of_another_tier_is_copied() {
    let (one, two) = (Dir::new(), Dir::new());
    let from = Disk::open(&settings(&one)).unwrap();
    let to = Disk::open(&settings(&two)).unwrap();
    put(&from, &object(1, 1, 700_000));
    let read = get(&from, &key(1)).unwrap();
    put(&to, &Arc::new(read));
    drop(from);
    drop(one);
    let read = get(&to, &key(1)).unwrap();
    assert_eq!(body_of(&read), body_of(&object(1, 1, 700_000)));
}

#[test]
fn all_files_together_never_exceed_the_size() {
    let dir = Dir::new();
    let settings = settings(&dir);
    let mut disk = Disk::open(&settings).unwrap();
    let mut random = crate::kit::Random(7);
    for number in 0..600 {
        let length = random.below(300_000) as usize;
        put(&disk, &object(number, 1, length));
        if number % 3 == 0 {
            disk.touch(&key(random.below(number + 1)));
            disk.remove(&key(random.below(number + 1)));
        }
        if number % 200 == 150 {
            drop(disk);
            disk = Disk::open(&settings).unwrap();
        }
        let (mut bytes, mut blocks) = (0, 0);
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let metadata = file.unwrap().metadata().unwrap();
            bytes += metadata.len();
            blocks += metadata.blocks() * 512;
        }
        assert!(bytes.max(blocks) <= settings.size, "{bytes} {blocks}");
        assert!(blocks <= disk.counts().file_bytes);
    }
    let counts = disk.counts();
    assert!(counts.reclaimed > 3, "{counts:?}");
    // Most of the size is in use.
    assert!(counts.bytes > settings.size / 2, "{counts:?}");
    // The latest are there.
    assert!(
        (0..20)
            .filter(|back| get(&disk, &key(599 - back)).is_some())
            .count()
            >= 18
    );
}

#[test]
fn a_smaller_size_holds_from_the_next_start_on() {
    let dir = Dir::new();
    let mut settings = settings(&dir);
    settings.size = 64 << 20;
    let disk = Disk::open(&settings).unwrap();
    for number in 0..80 {
        put(&disk, &object(number, 1, 600_000));
    }
    drop(disk);
    settings.size = 16 << 20;
    let disk = Disk::open(&settings).unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= settings.size, "{bytes}");
    assert!(get(&disk, &key(0)).is_none());
    put(&disk, &object(100, 1, 600_000));
    assert!(get(&disk, &key(100)).is_some());
}

#[test]
fn who_was_asked_for_is_carried_over_and_the_others_go() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    // 20 of 10 KB that are asked for again and again, and one that is asked for once.
    put(&disk, &object(500, 1, 40_000));
    for number in 0..20 {
        put(&disk, &object(1_000_000 + number, 1, 10_000));
    }
    for number in 0..400 {
        put(&disk, &object(number, 1, 100_000));
        for hot in 0..20 {
            assert!(
                get(&disk, &key(1_000_000 + hot)).is_some(),
                "{number} {hot}"
            );
        }
        if number == 5 {
            drop(get(&disk, &key(500)));
        }
    }
    let counts = disk.counts();
    assert!(counts.carried >= 20, "{counts:?}");
    assert!(get(&disk, &key(0)).is_none());
    assert!(
        get(&disk, &key(500)).is_none(),
        "asked for once, carried once"
    );
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    for hot in 0..20 {
        let read = get(&disk, &key(1_000_000 + hot)).unwrap();
        assert_eq!(body_of(&read), body_of(&object(1_000_000 + hot, 1, 10_000)));
    }
}

#[test]
fn a_body_with_newer_terms_is_carried_over_with_them() {
    let dir = Dir::new();
    let mut settings = settings(&dir);
    settings.extent_min = 10_000;
    let disk = Disk::open(&settings).unwrap();
    put(&disk, &object(1_000_000, 1, 50_000));
    for number in 0..400 {
        put(&disk, &object(number, 1, 100_000));
        if number == 30 {
            let old = get(&disk, &key(1_000_000)).unwrap();
            let mut terms = old.terms;
            terms.lifetime = 4711;
            let new = Object::new(old.key, old.status, old.lines, old.body, terms);
            put(&disk, &Arc::new(new));
        }
        if number > 160 {
            disk.touch(&key(1_000_000));
        }
    }
    assert!(disk.counts().carried > 0);
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    let read = get(&disk, &key(1_000_000)).unwrap();
    assert_eq!(read.terms.lifetime, 4711);
    assert_eq!(body_of(&read), body_of(&object(1_000_000, 1, 50_000)));
}

#[test]
fn a_segment_that_is_being_read_may_be_reclaimed_under_the_reader() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1_000_000, 1, 500_000));
    let held = get(&disk, &key(1_000_000)).unwrap();
    for number in 0..40 {
        put(&disk, &object(number, 1, 900_000));
    }
    assert!(get(&disk, &key(1_000_000)).is_none());
    assert_eq!(body_of(&held), body_of(&object(1_000_000, 1, 500_000)));
    // What refers to it can still be written: with the body, this time.
    put(&disk, &Arc::new(held));
    let again = get(&disk, &key(1_000_000)).unwrap();
    assert_eq!(body_of(&again), body_of(&object(1_000_000, 1, 500_000)));
}

#[test]
fn blocks_of_a_large_body_come_verified_and_end_where_it_ends() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1, 1, 300_000));
    let whole = body_of(&object(1, 1, 300_000));
    let Body::Disk(extent) = get(&disk, &key(1)).unwrap().body else {
        panic!("not an extent");
    };
    assert!(extent.is_unchanged());
    let cases = [
        (0, 65_536),
        (1, 65_535),
        (65_536, 65_536),
        (262_144, 37_856),
        (299_999, 1),
    ];
    for (at, length) in cases {
        let bytes = extent.read(at).unwrap().wait(PATIENCE).unwrap();
        assert_eq!(bytes.len(), length, "{at}");
        assert_eq!(*bytes, whole[at as usize..at as usize + length], "{at}");
    }
    assert!(extent.read(300_000).is_none());
    assert!(extent.read(u64::MAX).is_none());
}

#[test]
fn everything_held_is_listed_once_with_its_terms_and_lines() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    for number in 0..3000 {
        put(&disk, &object(number, 1, 500));
    }
    for number in 0..1000 {
        put(&disk, &object(number * 3, 2, 700));
    }
    for number in 0..100 {
        disk.remove(&key(number * 30 + 1));
    }
    let listed = entries(&disk);
    assert_eq!(listed.len(), 2900);
    let mut keys: Vec<_> = listed.iter().map(|entry| entry.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2900);
    for entry in &listed {
        let read = get(&disk, &entry.key).unwrap();
        assert_eq!((&entry.lines, entry.terms), (&read.lines, read.terms));
        assert_eq!(entry.length, body_of(&read).len() as u64);
    }
    let page = disk.entries(Cursor::default(), 7).unwrap().wait(PATIENCE);
    let page = page.unwrap();
    assert_eq!(page.entries.len(), 7);
    assert!(page.next.is_some());
}

#[test]
fn what_is_too_large_is_not_taken_and_takes_the_former_one_away() {
    let dir = Dir::new();
    let mut settings = settings(&dir);
    settings.object_max = 100_000;
    let disk = Disk::open(&settings).unwrap();
    assert_eq!(disk.object_max(), 100_000);
    put(&disk, &object(1, 1, 100_000));
    assert_eq!(disk.write(&object(1, 2, 100_001)), Taken::TooLarge);
    assert!(disk.read(&key(1)).is_none());
    settings.object_max = u64::MAX;
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    assert!(disk.read(&key(1)).is_none(), "and for ever");
    put(&disk, &object(2, 1, disk.object_max() as usize));
    assert!(get(&disk, &key(2)).is_some());
    assert_eq!(disk.write(&object(2, 2, 1 << 20)), Taken::TooLarge);
    let huge = vec![b'x'; 3 << 20].into_boxed_slice();
    let huge = Object::new(
        huge,
        200,
        Box::default(),
        Body::Memory(Arc::new([])),
        Default::default(),
    );
    assert_eq!(disk.write(&Arc::new(huge)), Taken::TooLarge);
    assert_eq!(disk.counts().too_large, 2);
}

#[test]
fn a_directory_has_one_owner_and_is_private() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    let error = Disk::open(&settings(&dir)).unwrap_err();
    let said = error.to_string();
    let path = dir.path().display();
    let pid = std::process::id();
    assert_eq!(
        said,
        format!(
            "the cache directory `{path}` is in use by process {pid}; every process and every \
             cache needs a directory of its own"
        )
    );
    assert_eq!(std::fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
    put(&disk, &object(1, 1, 10));
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
    drop(disk);
    drop(Disk::open(&settings(&dir)).unwrap());
}

#[test]
fn a_directory_of_somebody_else_is_left_alone() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path()).unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "years").unwrap();
    let mode = std::fs::metadata(dir.path()).unwrap().mode();
    let error = Disk::open(&settings(&dir)).unwrap_err();
    let path = dir.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "`{path}` is no cache directory: it holds `thesis.tex`; give the cache an empty directory"
        )
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(std::fs::metadata(dir.path()).unwrap().mode(), mode);
    let parentless = Settings::new(dir.path().join("a/b"), 16 << 20);
    let error = Disk::open(&parentless).unwrap_err().to_string();
    assert!(error.starts_with("cannot make `"), "{error}");
    let small = Settings::new(dir.path().join("c"), 1 << 20);
    let error = Disk::open(&small).unwrap_err().to_string();
    assert_eq!(
        error,
        "1048576 bytes are too few for a cache on disk; it needs at least 16 MiB"
    );
}

#[test]
fn another_layout_is_set_aside_not_deleted() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1, 1, 1000));
    drop(disk);
    let first_page = dir.path().join("superblock");
    let mut page = std::fs::read(&first_page).unwrap();
    page[8] = 2;
    page[2048 + 8] = 2;
    std::fs::write(&first_page, &page).unwrap();
    let disk = Disk::open(&settings(&dir)).unwrap();
    let events = disk.take_events();
    let aside = dir.path().join("aside-1");
    assert!(
        matches!(&events[..], [Event::SetAside { path, version: Some(2) }] if *path == aside),
        "{events:?}"
    );
    assert_eq!(
        events[0].to_string(),
        format!(
            "the cache on disk has layout 2, not ours (1); it was set aside as `{}` and a new one \
             begun",
            aside.display()
        )
    );
    assert_eq!(std::fs::read(aside.join("superblock")).unwrap(), page);
    assert!(aside.join("00000001.seg").exists());
    assert!(get(&disk, &key(1)).is_none());
    put(&disk, &object(1, 2, 10));
    drop(disk);
    let disk = Disk::open(&settings(&dir)).unwrap();
    assert!(disk.take_events().is_empty());
    assert!(get(&disk, &key(1)).is_some());
}

#[test]
fn a_directory_that_vanishes_is_made_anew() {
    let dir = Dir::new();
    let mut settings = settings(&dir);
    settings.rest = std::time::Duration::from_millis(1);
    let disk = Disk::open(&settings).unwrap();
    put(&disk, &object(1, 1, 1000));
    std::fs::remove_dir_all(dir.path()).unwrap();
    // What is open stays readable; the rest comes back when the next file is due.
    assert!(get(&disk, &key(1)).is_some());
    for number in 2..6 {
        put(&disk, &object(number, 1, 900_000));
    }
    assert!(get(&disk, &key(1)).is_none());
    assert!(get(&disk, &key(5)).is_some());
    let events = disk.take_events();
    assert!(
        matches!(&events[..], [Event::MadeAnew { .. }]),
        "{events:?}"
    );
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    assert!(get(&disk, &key(5)).is_some());
}

#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let dir = Dir::new();
    let disk = Disk::open(&settings(&dir)).unwrap();
    put(&disk, &object(1, 1, 1000));
    drop(disk);
    let elsewhere = Dir::new();
    std::fs::create_dir(elsewhere.path()).unwrap();
    let (ours, theirs) = (dir.path().join("00000001.seg"), elsewhere.path().join("x"));
    std::fs::rename(&ours, &theirs).unwrap();
    let before = std::fs::read(&theirs).unwrap();
    std::os::unix::fs::symlink(&theirs, &ours).unwrap();
    let disk = Disk::open(&settings(&dir)).unwrap();
    assert!(get(&disk, &key(1)).is_none());
    put(&disk, &object(2, 1, 1000));
    drop(disk);
    assert_eq!(std::fs::read(&theirs).unwrap(), before);
}
