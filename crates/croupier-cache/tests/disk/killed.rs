//! Kill -9 in the middle of heavy writes, again and again: never a wrong byte, and nothing that was
//! removed comes back. The writer is this test's own executable, run as a child.

use std::{
    collections::{HashMap, HashSet},
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use crate::kit::{Dir, PATIENCE, Random, get, key, object, verify};
use croupier_cache::disk::{Disk, Settings, Settled};

/// Rounds, unless the environment says otherwise.
const ROUNDS: u64 = 100;
/// Where a child works; says that this is one.
const CHILD: &str = "CROUPIER_DISK_CHILD";
const SEED: &str = "CROUPIER_DISK_SEED";
const NUMBERS: u64 = 400;

fn small(path: &str) -> Settings {
    let mut settings = Settings::new(path.into(), 16 << 20);
    settings.extent_min = 50_000;
    settings
}

/// What a child does until it is killed: writes, removes, and says which removals are durable.
#[test]
#[ignore = "the child of the test below"]
fn child_writes_until_it_is_killed() {
    let Ok(path) = env::var(CHILD) else {
        return;
    };
    let seed = env::var(SEED).unwrap().parse::<u64>().unwrap();
    let disk = Disk::open(&small(&path)).unwrap();
    let mut random = Random(seed + 1);
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| {
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
    };
    say(format!("open {}\n", disk.counts().objects));
    for version in seed * 1_000_000.. {
        let number = random.below(NUMBERS);
        match random.below(40) {
            0 => {
                // Said before, since it may be in force when we die; then that it is for ever.
                say(format!("removing {number}\n"));
                disk.remove(&key(number));
                if disk.settle().wait(PATIENCE) == Some(Settled::Durable) {
                    say(format!("removed {number} {version}\n"));
                }
            }
            1 => {
                let length = 40_000 + random.below(400_000) as usize;
                disk.write(&object(number, version, length));
            }
            2 => disk.touch(&key(number)),
            _ => {
                let length = random.below(3000) as usize;
                disk.write(&object(number, version, length));
            }
        }
        // Do not run away from the writing thread: its queue is not what is tested.
        if disk.counts().queued > 50 {
            disk.flush().wait(PATIENCE).unwrap();
        }
    }
}

#[test]
fn a_hundred_kills_in_the_middle_of_heavy_writes_yield_no_wrong_byte() {
    let rounds = env::var("CROUPIER_DISK_KILLS").ok();
    let rounds = rounds
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let dir = Dir::new();
    let path = dir.path().to_str().unwrap();
    let mut random = Random(2026);
    // What was removed for ever, and by which version: older ones must not be seen again.
    let mut removed: HashMap<u64, u64> = HashMap::new();
    let (mut seen, mut most) = (0, 0);
    for round in 1..=rounds {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "killed::child_writes_until_it_is_killed",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD, path)
            .env(SEED, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let opened = lines
            .by_ref()
            .find(|line| line.as_ref().unwrap().starts_with("open "));
        assert!(opened.is_some(), "round {round}: the child did not open");
        // The moment of death is meant to be any; nothing depends on which it is.
        std::thread::sleep(Duration::from_micros(random.below(60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map(Result::unwrap) {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["removed", number, version] = words[..] {
                removed.insert(number.parse().unwrap(), version.parse().unwrap());
            }
        }
        let disk = Disk::open(&small(path)).unwrap();
        let mut versions = HashSet::new();
        let mut held = 0;
        for number in 0..NUMBERS {
            let Some(read) = get(&disk, &key(number)) else {
                continue;
            };
            let (is, version, _) = verify(&read);
            assert_eq!(is, number);
            let removed = removed.get(&number).copied().unwrap_or_default();
            assert!(
                version > removed,
                "round {round}: {number} {version} is back"
            );
            versions.insert(version / 1_000_000);
            held += 1;
        }
        assert_eq!(disk.counts().checksum_failures, 0, "round {round}");
        assert!(disk.take_events().is_empty(), "round {round}");
        seen += versions.len();
        most = most.max(held);
    }
    println!(
        "{rounds} rounds, {} removals, up to {most} objects, {seen} generations",
        removed.len()
    );
    if rounds >= ROUNDS {
        assert!(most > NUMBERS / 2 && !removed.is_empty());
    }
}
