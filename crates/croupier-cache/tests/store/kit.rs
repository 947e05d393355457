//! What the stories of the store share.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use croupier_cache::{
    Body, Object, Terms,
    disk::{self, Disk, OpenError},
    rules::VaryNames,
    store::{
        Broken, Brought, Claim, Fill, Filling, Found, Head, KeyBuf, Reader, Settings, Store, Writer,
    },
};
use croupier_http::Fields;

/// The moment of all stories.
pub(crate) const NOW: u64 = 1_700_000_000_000;

/// A store of so many bytes.
pub(crate) fn store(memory: u64) -> Store {
    store_of(memory, 64 << 20)
}

pub(crate) fn store_of(memory: u64, max_object: u64) -> Store {
    Store::new(Settings {
        name: "edge".into(),
        memory,
        max_object,
    })
}

pub(crate) fn key(path: &str) -> KeyBuf {
    key_at("a.test", path)
}

pub(crate) fn key_at(host: &str, path: &str) -> KeyBuf {
    let mut key = KeyBuf::new();
    key.begin("https", host, path, None::<&str>);
    key
}

pub(crate) fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    fields
}

pub(crate) fn nothing() -> Fields {
    Fields::new()
}

pub(crate) fn vary(names: &str) -> VaryNames {
    VaryNames::from_bytes(names.as_bytes())
}

/// Terms that are fresh for a minute.
pub(crate) fn terms() -> Terms {
    Terms {
        received_ms: NOW,
        lifetime: 60,
        ..Terms::default()
    }
}

pub(crate) fn head(length: Option<u64>) -> Head {
    Head {
        status: 200,
        lines: Box::from(&b"content-type: text/plain\r\n"[..]),
        terms: terms(),
        length,
        tags: Box::default(),
    }
}

pub(crate) fn tagged(tags: &[&str]) -> Head {
    let tags = tags.iter().map(|tag| Box::from(tag.as_bytes())).collect();
    Head { tags, ..head(None) }
}

/// The claim of somebody who is to ask.
pub(crate) fn to_ask(store: &Store, key: &KeyBuf, asked: &Fields) -> Fill {
    let _ = store.look_up(key, asked, NOW);
    match store.claim(key, asked) {
        Claim::Fill(fill) => fill,
        Claim::Wait(_) => panic!("somebody else asks"),
    }
}

pub(crate) fn begin(store: &Store, key: &KeyBuf) -> (Writer, Filling) {
    to_ask(store, key, &nothing())
        .begin(head(None), &VaryNames::default(), &nothing())
        .unwrap()
}

/// Brings an answer into the store.
pub(crate) fn put(store: &Store, key: &KeyBuf, body: &[u8]) -> Option<Arc<Object>> {
    put_with(
        store,
        key,
        head(Some(body.len() as u64)),
        "",
        &nothing(),
        body,
    )
}

pub(crate) fn put_with(
    store: &Store,
    key: &KeyBuf,
    head: Head,
    names: &str,
    asked: &Fields,
    body: &[u8],
) -> Option<Arc<Object>> {
    let begun = to_ask(store, key, asked).begin(head, &vary(names), asked);
    let (mut writer, _) = begun.ok()?;
    writer.push(body);
    writer.finish().unwrap()
}

/// What is held for a request without fields.
pub(crate) fn held(store: &Store, key: &KeyBuf) -> Option<Arc<Object>> {
    held_for(store, key, &nothing())
}

pub(crate) fn held_for(store: &Store, key: &KeyBuf, asked: &Fields) -> Option<Arc<Object>> {
    match store.look_up(key, asked, NOW) {
        Found::Held(object) => Some(object),
        _ => None,
    }
}

pub(crate) fn body(object: &Object) -> &[u8] {
    match &object.body {
        Body::Memory(bytes) => bytes,
        Body::Disk(_) => panic!("it lies on disk"),
    }
}

/// Reads what is there.
pub(crate) fn read_now(reader: &mut Reader) -> Result<(Vec<u8>, Ended), Broken> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = Vec::new();
    loop {
        match reader.poll_chunk(&mut cx) {
            Poll::Ready(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Poll::Ready(Ok(None)) => return Ok((bytes, Ended::Yes)),
            Poll::Ready(Err(broken)) if bytes.is_empty() => return Err(broken),
            Poll::Ready(Err(_)) | Poll::Pending => return Ok((bytes, Ended::No)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Yes,
    No,
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Wakes a thread that runs a future.
struct Thread(std::thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a poll function to its end on this thread, which sleeps until it is woken.
pub(crate) fn wait_for<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Numbers that are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Longer than anything here takes on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that goes with this.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("croupier-store-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn open(&self) -> Arc<Disk> {
        let settings = disk::Settings::new(self.0.clone(), 64 << 20);
        // Whoever swept it last may be about to let it go.
        loop {
            match Disk::open(&settings) {
                Ok(disk) => return Arc::new(disk),
                Err(OpenError::InUse { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store that knows only what is on disk.
pub(crate) fn forgetful(disk: &Arc<Disk>) -> Store {
    store_over(disk, 32 << 20)
}

pub(crate) fn store_over(disk: &Arc<Disk>, memory: u64) -> Store {
    let settings = Settings {
        name: "edge".into(),
        memory,
        max_object: 64 << 20,
    };
    Store::with_disk(settings, Some(Arc::clone(disk)))
}

pub(crate) fn flushed(disk: &Disk) {
    disk.flush().wait(PATIENCE).unwrap();
}

/// What a request gets without asking an origin.
pub(crate) fn found(store: &Store, key: &KeyBuf, asked: &Fields) -> Option<Arc<Object>> {
    for _ in 0..4 {
        match store.look_up(key, asked, NOW) {
            Found::Held(object) => return Some(object),
            Found::OnDisk(mut reading) => match wait_for(|cx| reading.poll(cx)) {
                Brought::Object(object) => return Some(object),
                Brought::Again => {}
                Brought::Nothing => return None,
            },
            Found::Nothing => return None,
            Found::Filling(_) | Found::Pass => return None,
        }
    }
    panic!("it looks again and again");
}
