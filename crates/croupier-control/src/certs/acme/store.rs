//! Certificates that were issued, with their keys, in the state directory: a file a set of names,
//! the key first.

use croupier_net::tls::certs::Certificate;

use crate::certs::state::{State, file_name};

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
        let first = names.first().map_or("none", String::as_str);
        format!("{}/{}.pem", self.folder, file_name(first, &names.join(" ")))
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

/// More files are not looked through.
const SIMILAR_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::Store;
    use crate::certs::{scratch::Scratch, state::State};

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
