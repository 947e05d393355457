//! Bytes that are not what was written: flipped, cut off, or whole files gone. What is read is right
//! or nothing, and what was removed stays removed.

use std::{fs, path::PathBuf};

use crate::kit::{Dir, PATIENCE, Random, get, key, object, put, settings, verify};
use croupier_cache::{
    Body,
    disk::{Disk, Event, Settings, Settled},
};

/// Removed before the damage.
const REMOVED: u64 = 3;
/// Its first version was replaced by a second.
const REPLACED: u64 = 4;

/// A tier with a sealed segment and an open one, in which object 3 has been removed.
fn build(dir: &Dir) -> Settings {
    let mut settings = settings(dir);
    settings.extent_min = 100_000;
    let disk = Disk::open(&settings).unwrap();
    for number in 0..12 {
        put(&disk, &object(number, 1, 500 + number as usize * 10));
    }
    put(&disk, &object(12, 1, 200_000));
    put(&disk, &object(13, 1, 750_000));
    put(&disk, &object(14, 1, 120_000)); // in the second segment
    put(&disk, &object(15, 1, 70_000));
    put(&disk, &object(REPLACED, 2, 900));
    assert!(disk.remove(&key(REMOVED)).is_some());
    assert_eq!(disk.settle().wait(PATIENCE), Some(Settled::Durable));
    for number in 16..20 {
        put(&disk, &object(number, 1, 400));
    }
    settings
}

fn segments(dir: &Dir) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.path()).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    paths.sort();
    paths
}

/// Opens, reads everything, and says how many objects there are. Panics on a wrong byte.
fn survey(settings: &Settings, what: &str) -> usize {
    let disk = Disk::open(settings).unwrap();
    let mut count = 0;
    for number in 0..20 {
        let Some(read) = get(&disk, &key(number)) else {
            continue;
        };
        let (is, version, _) = verify(&read);
        assert_eq!(is, number, "{what}");
        assert_ne!(number, REMOVED, "{what}: what was removed is back");
        if number == REPLACED {
            assert_eq!(version, 2, "{what}: what was replaced is back");
        }
        count += 1;
    }
    // And it works on.
    put(&disk, &object(50, 1, 3000));
    verify(&get(&disk, &key(50)).expect(what));
    count
}

#[test]
fn a_flip_of_any_byte_costs_objects_but_never_gives_a_wrong_one() {
    let dir = Dir::new();
    let settings = build(&dir);
    let paths = segments(&dir);
    assert_eq!(paths.len(), 2);
    let whole: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut random = Random(42);
    let (mut hurt, mut rounds) = (0, 0);
    for (which, path) in paths.iter().enumerate() {
        let length = whole[which].len() as u64;
        // Heads and lines of the small ones, the footer, and anywhere.
        let mut spots: Vec<u64> = (0..60).map(|_| random.below(8000)).collect();
        spots.extend((0..60).map(|_| length - 1 - random.below(4000)));
        spots.extend((0..40).map(|_| random.below(length)));
        spots.extend([0, 1, length - 1, length - 32, length - 17]);
        for spot in spots {
            for (path, bytes) in paths.iter().zip(&whole) {
                fs::write(path, bytes).unwrap();
            }
            let more = fs::read_dir(dir.path()).unwrap();
            for file in more.map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|end| end == "seg") && !paths.contains(&file) {
                    fs::remove_file(file).unwrap();
                }
            }
            let mut bytes = whole[which].clone();
            bytes[spot as usize] ^= 1 << random.below(8);
            fs::write(path, bytes).unwrap();
            let count = survey(&settings, &format!("byte {spot} of {length} of {which}"));
            hurt += usize::from(count < 19);
            rounds += 1;
        }
    }
    assert_eq!(rounds, 330);
    // Padding is harmless; most bytes are not.
    assert!(hurt > rounds / 3, "{hurt}");
}

#[test]
fn a_flip_in_a_removal_that_was_the_last_word_does_not_undo_it() {
    let dir = Dir::new();
    let settings = settings(&dir);
    let disk = Disk::open(&settings).unwrap();
    for number in 0..5 {
        put(&disk, &object(number, 2, 300));
    }
    let path = segments(&dir)[0].clone();
    let before = fs::metadata(&path).unwrap().len();
    assert!(disk.remove(&key(REMOVED)).is_some());
    assert_eq!(disk.settle().wait(PATIENCE), Some(Settled::Durable));
    drop(disk);
    let whole = fs::read(&path).unwrap();
    for at in before as usize..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        survey(&settings, &format!("byte {at}"));
    }
}

#[test]
fn a_file_cut_off_anywhere_gives_what_is_left_or_nothing() {
    let dir = Dir::new();
    let settings = build(&dir);
    let paths = segments(&dir);
    let whole: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut random = Random(43);
    let marks_end = {
        // The open segment may lose its end: that cannot be told from a torn write. So cut
        // behind the removal, which was durable.
        let number = format!("/thing/{}\0", 16);
        let number = number.as_bytes();
        let second = &whole[1];
        second
            .windows(number.len())
            .position(|bytes| bytes == number)
            .unwrap() as u64
            - 200
    };
    for round in 0..60 {
        let which = round % 2;
        for (path, bytes) in paths.iter().zip(&whole) {
            fs::write(path, bytes).unwrap();
        }
        let length = whole[which].len() as u64;
        let cut = match which {
            0 => random.below(length),
            _ => marks_end + random.below(length - marks_end),
        };
        fs::write(&paths[which], &whole[which][..cut as usize]).unwrap();
        survey(&settings, &format!("{which} cut at {cut} of {length}"));
    }
}

#[test]
fn a_segment_that_is_gone_takes_what_is_older_with_it() {
    let dir = Dir::new();
    let settings = settings(&dir);
    let disk = Disk::open(&settings).unwrap();
    for number in 0..4 {
        put(&disk, &object(number, 1, 900_000));
    }
    drop(disk);
    fs::remove_file(&segments(&dir)[1]).unwrap();
    let disk = Disk::open(&settings).unwrap();
    let held: Vec<_> = (0..4)
        .filter(|number| get(&disk, &key(*number)).is_some())
        .collect();
    assert_eq!(held, [2, 3]);
    let events = disk.take_events();
    assert_eq!(
        events[0].to_string(),
        "`00000003.seg` of the cache on disk is damaged; 1 objects that are older were forgotten"
    );
}

#[test]
fn a_body_that_goes_bad_while_we_run_is_a_miss_and_said() {
    let dir = Dir::new();
    let settings = build(&dir);
    let path = segments(&dir)[0].clone();
    let bytes = fs::read(&path).unwrap();
    let disk = Disk::open(&settings).unwrap();
    let Body::Disk(extent) = get(&disk, &key(13)).unwrap().body else {
        panic!("not an extent");
    };
    assert!(extent.is_unchanged());
    let mut bad = bytes.clone();
    bad[extent.offset() as usize + 700_000] ^= 1;
    for number in [1, 2] {
        let small = get(&disk, &key(number)).unwrap();
        let Body::Memory(body) = &small.body else {
            panic!("not in memory");
        };
        let at = bytes.windows(body.len()).position(|bytes| bytes == &**body);
        bad[at.unwrap() + 17] ^= 1;
    }
    fs::write(&path, &bad).unwrap();
    assert!(!extent.is_unchanged());
    assert!(
        extent.read(0).unwrap().wait(PATIENCE).is_some(),
        "a good block"
    );
    assert!(extent.read(700_000).unwrap().wait(PATIENCE).is_none());
    for number in [1, 2, 13] {
        assert!(disk.holds(&key(number)));
        assert!(get(&disk, &key(number)).is_none());
        assert!(!disk.holds(&key(number)), "it is dropped");
    }
    verify(&get(&disk, &key(12)).unwrap());
    assert_eq!(disk.counts().checksum_failures, 4);
    let events = disk.take_events();
    assert!(matches!(
        events[..],
        [
            Event::Damaged { .. },
            Event::Damaged { .. },
            Event::Damaged { .. }
        ]
    ));
    let said = events[2].to_string();
    assert!(
        said.starts_with("`00000001.seg` of the cache on disk is damaged at byte "),
        "{said}"
    );
    // Another kind of change is only looked at again.
    fs::write(&path, &bad).unwrap();
    verify(&get(&disk, &key(12)).unwrap());
}

#[test]
fn a_ruined_first_page_sets_everything_aside() {
    let dir = Dir::new();
    let settings = build(&dir);
    let first_page = dir.path().join("superblock");
    for (round, page) in [vec![], vec![0; 4096], b"croupier".to_vec()]
        .into_iter()
        .enumerate()
    {
        fs::write(&first_page, page).unwrap();
        assert_eq!(survey(&settings, "ruined"), 0);
        assert!(dir.path().join(format!("aside-{}", round + 1)).exists());
    }
    fs::remove_file(&first_page).unwrap();
    let disk = Disk::open(&settings).unwrap();
    let said = disk.take_events()[0].to_string();
    assert!(
        said.starts_with("the cache on disk has a damaged first page, so not ours (1);"),
        "{said}"
    );
}
