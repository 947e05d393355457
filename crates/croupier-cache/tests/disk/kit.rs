//! What the stories of the disk tier share: directories that go away, seeded objects, patience.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use croupier_cache::{
    Body, Object, Rules, Terms,
    disk::{Cursor, Disk, Entry, Settings, Taken},
};

/// Longer than anything here takes on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that is not there yet and goes with this.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("croupier-disk-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The smallest tier: segments of 1 MiB.
pub(crate) fn settings(dir: &Dir) -> Settings {
    Settings::new(dir.path().to_owned(), 16 << 20)
}

/// xorshift64*: the same numbers for the same seed, for ever.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(crate) fn key(number: u64) -> Vec<u8> {
    format!("https\0shop.example\0/thing/{number}\0\0").into_bytes()
}

/// An object all of which follows from these numbers.
pub(crate) fn object(number: u64, version: u64, length: usize) -> Arc<Object> {
    let lines = format!("x-number: {number}\r\nx-version: {version}\r\nx-length: {length}\r\n");
    let terms = Terms {
        received_ms: 1_700_000_000_000 + version,
        initial_age: number as u32,
        lifetime: length as u32,
        stale_while_revalidate: version as u32,
        stale_if_error: 7,
        rules: Rules::IMMUTABLE,
    };
    let mut random = Random((number + 1) * 1_000_003 + version);
    let mut page = [0; 4096];
    for word in page.chunks_exact_mut(8) {
        word.copy_from_slice(&random.next().to_le_bytes());
    }
    let mut body = Vec::with_capacity(length + page.len());
    while body.len() < length {
        let number = body.len() as u64;
        page[..8].copy_from_slice(&number.to_le_bytes());
        body.extend_from_slice(&page);
    }
    body.truncate(length);
    let lines = lines.into_bytes().into();
    let body = Body::Memory(body.into());
    Arc::new(Object::new(key(number).into(), 200, lines, body, terms))
}

/// The object that this claims to be; panics if it is not that to the last byte.
pub(crate) fn verify(read: &Object) -> (u64, u64, usize) {
    let value = |wanted: &str| {
        let mut lines = read.lines();
        let value = lines.find(|line| line.0 == wanted.as_bytes()).unwrap().1;
        std::str::from_utf8(value).unwrap().parse::<u64>().unwrap()
    };
    let (number, version) = (value("x-number"), value("x-version"));
    let length = value("x-length") as usize;
    let wrote = object(number, version, length);
    assert_eq!(read.key, wrote.key);
    assert_eq!(read.lines, wrote.lines);
    assert_eq!(read.terms, wrote.terms);
    assert!(body_of(read) == body_of(&wrote), "{number} {version}");
    (number, version, length)
}

/// The bytes of a body, wherever they are.
pub(crate) fn body_of(object: &Object) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    match &object.body {
        Body::Memory(bytes) => bytes.to_vec(),
        Body::Disk(extent) => {
            let mut bytes = vec![0; extent.length() as usize];
            let read = extent.file().read_exact_at(&mut bytes, extent.offset());
            read.unwrap();
            bytes
        }
    }
}

/// Writes and waits until it is written.
pub(crate) fn put(disk: &Disk, object: &Arc<Object>) {
    assert_eq!(disk.write(object), Taken::Queued);
    disk.flush().wait(PATIENCE).unwrap();
}

pub(crate) fn get(disk: &Disk, key: &[u8]) -> Option<Object> {
    disk.read(key)?.wait(PATIENCE)
}

/// All entries, page by page.
pub(crate) fn entries(disk: &Disk) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = disk.entries(cursor, 100).unwrap().wait(PATIENCE).unwrap();
        entries.extend(page.entries);
        next = page.next;
    }
    entries
}
