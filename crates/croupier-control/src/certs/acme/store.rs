//! Certificates that were issued, with their keys, in the state directory: a file a set of names,
//! the key first. Beside it, while orders fail, how often they did, and when.

use croupier_net::tls::certs::Certificate;

use crate::certs::{
    schedule::Failed,
    state::{State, file_name},
};

/// The certificates of one authority.
#[derive(Clone, Debug)]
pub(super) struct Store {
    state: State,
    folder: String,
}

impl Store {
    /// In this folder of the state directory.
    pub(super) fn new(state: &State, folder: String) -> Self {
        let state = state.clone();
        Self { state, folder }
    }

    fn file(&self, names: &[String]) -> String {
        format!("{}.pem", self.place(names))
    }

    fn place(&self, names: &[String]) -> String {
        let first = names.first().map_or("none", String::as_str);
        format!("{}/{}", self.folder, file_name(first, &names.join(" ")))
    }

    /// Notes that orders for these names fail. Best effort: it spares the authority only.
    pub(super) fn keep_failure(&self, names: &[String], failed: Failed) {
        let Failed { count, at, asked } = failed;
        let name = format!("{}{FAILED}", self.place(names));
        let _ = self
            .state
            .write(&name, format!("{count} {at} {asked}\n").as_bytes());
    }

    /// How orders for these names failed last.
    pub(super) fn failure(&self, names: &[String]) -> Option<Failed> {
        self.read_failure(&format!("{}{FAILED}", self.place(names)))
    }

    /// They fail no more.
    pub(super) fn forget_failure(&self, names: &[String]) {
        self.state.remove(&format!("{}{FAILED}", self.place(names)));
    }

    /// Removes what is of no use any more: names come and go.
    pub(super) fn sweep(&self, now: u64) {
        let files = self.state.list(&self.folder).into_iter();
        for name in files.filter(|name| name.ends_with(FAILED)) {
            let name = format!("{}/{name}", self.folder);
            let is_young = |failed: Failed| failed.at.saturating_add(FAILED_KEPT) > now;
            if !self.read_failure(&name).is_some_and(is_young) {
                self.state.remove(&name);
            }
        }
    }

    fn read_failure(&self, name: &str) -> Option<Failed> {
        let bytes = self.state.read(name).ok()??;
        let text = str::from_utf8(&bytes).ok()?;
        let mut words = text.split_ascii_whitespace();
        Some(Failed {
            count: words.next()?.parse().ok()?,
            at: words.next()?.parse().ok()?,
            asked: words.next()?.parse().ok()?,
        })
    }

    /// Keeps a certificate. `pem` is key and chain.
    pub(super) fn keep(&self, names: &[String], pem: &[u8]) -> Result<(), String> {
        let name = self.file(names);
        let written = self.state.write(&name, pem);
        written.map_err(|error| format!("{}: {error}", self.state.path(&name).display()))
    }

    /// The certificate for exactly these names.
    pub(super) fn find(&self, names: &[String]) -> Option<Certificate> {
        self.read(&self.file(names))
    }

    /// The certificate of another set that covers most of these names, if any: it is shown until
    /// their own is there.
    pub(super) fn similar(&self, names: &[String], now: u64) -> Option<Certificate> {
        let files = self.state.list(&self.folder).into_iter();
        let files = files
            .filter(|name| name.ends_with(".pem"))
            .take(SIMILAR_MAX);
        let read = files.filter_map(|name| self.read(&format!("{}/{name}", self.folder)));
        let alive = read.filter(|certificate| certificate.not_after() > now);
        let scored = alive.map(|certificate| {
            let covered = names.iter().filter(|name| certificate.covers(name)).count();
            (covered, certificate)
        });
        let best = scored.max_by_key(|(covered, certificate)| (*covered, certificate.not_after()));
        best.filter(|(covered, _)| *covered > 0)
            .map(|(_, certificate)| certificate)
    }

    fn read(&self, name: &str) -> Option<Certificate> {
        let pem = self.state.read(name).ok()??;
        Certificate::from_pem(&pem, &pem).ok()
    }
}

/// The end of names of files that tell of failures.
const FAILED: &str = ".failed";

/// Longer than any authority may ask us to wait, seconds: eight days.
const FAILED_KEPT: u64 = 8 * 24 * 60 * 60;

/// More files are not looked through.
const SIMILAR_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::{FAILED_KEPT, Store};
    use crate::certs::{schedule::Failed, scratch::Scratch, state::State};

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn pem(text: &str) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(names(text)).unwrap();
        let leaf = params.self_signed(&key).unwrap().pem();
        (key.serialize_pem() + &leaf).into_bytes()
    }

    #[test]
    fn what_was_kept_is_found_by_its_names() {
        let scratch = Scratch::new();
        let state = State::open(&scratch.path().join("s")).unwrap();
        let store = Store::new(&state, "acme/ca/certificates".into());
        let both = names("a.example b.example");
        assert!(store.find(&both).is_none());
        store.keep(&both, &pem("a.example b.example")).unwrap();
        assert_eq!(store.find(&both).unwrap().names(), both);
        assert!(store.find(&both[..1]).is_none(), "another set");
    }

    #[test]
    fn failures_are_kept_until_they_are_old_or_over() {
        let scratch = Scratch::new();
        let state = State::open(&scratch.path().join("s")).unwrap();
        let store = Store::new(&state, "c".into());
        let (a, b) = (names("a.example"), names("b.example"));
        let failed = |at| Failed {
            count: 3,
            at,
            asked: 7200,
        };
        store.keep_failure(&a, failed(1000));
        store.keep_failure(&b, failed(2000));
        state.write("c/x.failed", b"broken").unwrap();
        assert_eq!(store.failure(&a), Some(failed(1000)));
        store.sweep(1000 + FAILED_KEPT);
        assert_eq!(store.failure(&a), None);
        assert_eq!(store.failure(&b), Some(failed(2000)));
        assert_eq!(state.list("c").len(), 1);
        store.forget_failure(&b);
        assert_eq!(state.list("c").len(), 0);
    }

    #[test]
    fn a_site_with_one_more_name_shows_what_it_had_meanwhile() {
        let scratch = Scratch::new();
        let state = State::open(&scratch.path().join("s")).unwrap();
        let store = Store::new(&state, "c".into());
        for set in ["a.example", "a.example b.example", "x.example"] {
            store.keep(&names(set), &pem(set)).unwrap();
        }
        let more = names("a.example b.example c.example");
        let shown = store.similar(&more, 0).unwrap();
        assert_eq!(shown.names(), ["a.example", "b.example"]);
        assert!(store.similar(&names("z.example"), 0).is_none());
        assert!(store.similar(&more, u64::MAX).is_none(), "too old");
        state.write("c/zz.pem", b"broken").unwrap();
        assert!(store.similar(&more, 0).is_some());
    }
}
