//! Bad days that need a hand on the disk: a gate before every write.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use super::{Cursor, Disk, Event, Settings, Settled, Taken};
use crate::{Body, Object, Terms};

/// Before every write: lets it pass, holds it, or fails it.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Clone, Copy, Default)]
pub(super) enum State {
    #[default]
    Open,
    Shut,
    Fails(i32),
}

impl Gate {
    pub(super) fn pass(&self) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let shut = |state: &mut State| matches!(state, State::Shut);
        // A story that failed ends all the same.
        let waited = self.turned.wait_timeout_while(state, PATIENCE, shut);
        match *waited.unwrap().0 {
            State::Fails(number) => Err(io::Error::from_raw_os_error(number)),
            State::Open | State::Shut => Ok(()),
        }
    }

    pub(super) fn turn(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.turned.notify_all();
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
const NO_SPACE: i32 = 28;
const IO_ERROR: i32 = 5;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let name = format!("croupier-disk-unit-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.0.clone(), 16 << 20);
        settings.rest = Duration::from_millis(1);
        settings
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn object(key: &str, body: &[u8]) -> Arc<Object> {
    let lines: Box<[u8]> = b"age: 1\r\n"[..].into();
    let body = Body::Memory(body.into());
    Arc::new(Object::new(
        key.as_bytes().into(),
        200,
        lines,
        body,
        Terms::default(),
    ))
}

fn put(disk: &Disk, key: &str, body: &[u8]) {
    assert_eq!(disk.write(&object(key, body)), Taken::Queued, "{key}");
    disk.flush().wait(PATIENCE).unwrap();
}

fn get(disk: &Disk, key: &str) -> Option<Vec<u8>> {
    let object = disk.read(key.as_bytes())?.wait(PATIENCE)?;
    match object.body {
        Body::Memory(body) => Some(body.to_vec()),
        Body::Disk(_) => None,
    }
}

/// Waits until the writing thread holds an object before the shut gate.
fn wait_until_writing(disk: &Disk) {
    while disk.counts().queued > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_disk_that_hangs_delays_nobody_and_its_queue_is_bounded() {
    let dir = Dir::new("hangs");
    let mut settings = dir.settings();
    settings.queue_count = 10;
    settings.queue_bytes = 50_000;
    let disk = Disk::open(&settings).unwrap();
    put(&disk, "there", b"already");
    disk.shared.gate.turn(State::Shut);
    assert_eq!(disk.write(&object("first", b"x")), Taken::Queued);
    wait_until_writing(&disk);
    for number in 0..10 {
        let taken = disk.write(&object(&format!("small {number}"), b"x"));
        assert_eq!(taken, Taken::Queued);
    }
    assert_eq!(disk.write(&object("one more", b"x")), Taken::Full);
    // What is there is read on; but not once something newer was dropped.
    assert_eq!(get(&disk, "there").unwrap(), b"already");
    assert_eq!(disk.write(&object("there", b"newer")), Taken::Full);
    assert!(get(&disk, "there").is_none());
    // A queued one may be replaced by one that fits.
    assert_eq!(disk.write(&object("small 1", b"y")), Taken::Queued);
    assert_eq!(disk.write(&object("small 2", &[0; 60_000])), Taken::Full);
    assert_eq!(disk.counts().dropped, 3);
    disk.shared.gate.turn(State::Open);
    disk.flush().wait(PATIENCE).unwrap();
    assert_eq!(get(&disk, "small 1").unwrap(), b"y");
    assert!(get(&disk, "small 2").is_none(), "the newer one was dropped");
    assert_eq!(get(&disk, "small 9").unwrap(), b"x");
    drop(disk);
    let disk = Disk::open(&settings).unwrap();
    assert!(get(&disk, "there").is_none(), "also after a restart");
    assert_eq!(disk.counts().objects, 10);
}

#[test]
fn a_removal_meets_an_object_wherever_it_is_on_its_way() {
    let dir = Dir::new("removal");
    let disk = Disk::open(&dir.settings()).unwrap();
    put(&disk, "written", b"1");
    put(&disk, "to be marked", b"1");
    disk.shared.gate.turn(State::Shut);
    disk.write(&object("being written", b"2"));
    wait_until_writing(&disk);
    disk.write(&object("queued", b"3"));
    disk.write(&object("to be marked", b"newer"));
    for key in ["written", "being written", "queued"] {
        disk.remove(key.as_bytes());
    }
    assert!(disk.mark_stale(b"to be marked").is_some());
    let settled = disk.settle();
    disk.shared.gate.turn(State::Open);
    assert_eq!(settled.wait(PATIENCE), Some(Settled::Durable));
    disk.flush().wait(PATIENCE).unwrap();
    assert_eq!(disk.counts().objects, 0);
    put(&disk, "another", b"4");
    drop(disk);
    let disk = Disk::open(&dir.settings()).unwrap();
    for key in ["written", "being written", "queued", "to be marked"] {
        assert!(get(&disk, key).is_none(), "{key}");
    }
    assert_eq!(get(&disk, "another").unwrap(), b"4");
}

#[test]
fn a_full_or_failing_disk_rests_and_says_so_and_comes_back_by_itself() {
    for (error, sentence) in [
        (NO_SPACE, "No space left on device (os error 28)"),
        (IO_ERROR, "Input/output error (os error 5)"),
    ] {
        let dir = Dir::new(&format!("full-{error}"));
        let mut settings = dir.settings();
        let disk = Disk::open(&settings).unwrap();
        put(&disk, "there", b"already");
        put(&disk, "replaced", b"old");
        disk.shared.gate.turn(State::Fails(error));
        put(&disk, "replaced", b"new");
        assert_eq!(disk.counts().dropped, 1);
        assert_eq!(get(&disk, "there").unwrap(), b"already");
        assert!(get(&disk, "replaced").is_none());
        assert_eq!(disk.settle().wait(PATIENCE), Some(Settled::NotYet));
        let said = disk.take_events()[0].to_string();
        assert_eq!(
            said,
            format!("the cache on disk cannot be written: {sentence}; trying again in 0.001 s")
        );
        disk.shared.gate.turn(State::Open);
        // The removal of the old version was kept, and is written now.
        while disk.settle().wait(PATIENCE) != Some(Settled::Durable) {
            std::thread::yield_now();
        }
        while disk.write(&object("after", b"wards")) != Taken::Queued {
            std::thread::yield_now();
        }
        disk.flush().wait(PATIENCE).unwrap();
        assert_eq!(get(&disk, "after").unwrap(), b"wards");
        let events = disk.take_events();
        assert!(matches!(events.last(), Some(Event::Writing)), "{events:?}");
        assert_eq!(disk.counts().resting, 0);
        drop(disk);
        let disk = Disk::open(&settings).unwrap();
        assert!(get(&disk, "replaced").is_none());
        // While it rests nothing is even queued.
        drop(disk);
        settings.rest = Duration::from_secs(3600);
        let disk = Disk::open(&settings).unwrap();
        disk.shared.gate.turn(State::Fails(error));
        put(&disk, "one", b"1");
        assert_eq!(disk.write(&object("two", b"2")), Taken::Resting);
        assert_eq!(disk.counts().resting, 1);
        assert_eq!(get(&disk, "there").unwrap(), b"already");
    }
}

#[test]
fn keys_whose_hashes_collide_never_give_each_others_bytes() {
    let dir = Dir::new("collide");
    let open = || Disk::open_with(&dir.settings(), |keyer| keyer.with_mask(0xff)).unwrap();
    let disk = open();
    for number in 0..1000 {
        let text = format!("object {number}");
        put(&disk, &text, text.as_bytes());
    }
    let check = |disk: &Disk| {
        let mut held = 0;
        for number in 0..1000 {
            let text = format!("object {number}");
            if let Some(body) = get(disk, &text) {
                assert_eq!(body, text.as_bytes());
                held += 1;
            }
        }
        assert!((200..=256).contains(&held), "{held}");
        assert_eq!(disk.counts().collisions, 1000 - held);
        assert_eq!(disk.counts().objects, held);
    };
    check(&disk);
    drop(disk);
    check(&open());
}

#[test]
fn too_many_reads_are_misses() {
    let dir = Dir::new("reads");
    let mut settings = dir.settings();
    settings.reads = 0;
    let disk = Disk::open(&settings).unwrap();
    put(&disk, "a", b"1");
    assert!(disk.read(b"a").is_none());
    assert!(disk.entries(Cursor::default(), 10).is_none());
    assert_eq!(disk.counts().reads_refused, 2);
}
