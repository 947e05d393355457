//! What is taken out before its time: exactly what is meant, and what is on its way as well.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use croupier_cache::{
    Rules,
    store::{Claim, Found, How, KeyBuf, Purged, Store, Which},
};

use super::kit::*;

fn of(key: &KeyBuf) -> Which {
    Which::Key(key.as_bytes().into())
}

fn tag(tag: &str) -> Which {
    Which::Tag(tag.as_bytes().into())
}

fn host(host: &str) -> Which {
    Which::Host(host.as_bytes().into())
}

/// A key with all that can be in one.
fn full(scheme: &str, host: &str, path: &str, query: Option<&str>, part: &str) -> KeyBuf {
    let mut key = KeyBuf::new();
    key.begin(scheme, host, path, query);
    key.part(part);
    key
}

fn all() -> Vec<KeyBuf> {
    vec![
        full("https", "a.test", "/", None, ""),
        full("https", "a.test", "/x", None, ""),
        full("https", "a.test", "/x", None, "en"),
        full("https", "a.test", "/x", Some("q"), ""),
        full("https", "a.test", "/xy", None, ""),
        full("http", "a.test", "/x", None, ""),
        full("https", "a.test:8443", "/x", None, ""),
        full("https", "aa.test", "/x", None, ""),
    ]
}

#[test]
fn a_purge_takes_what_is_meant_and_nothing_else() {
    let keys = all();
    let cases: [(&str, Which, &[usize]); 9] = [
        ("a key", of(&keys[1]), &[1]),
        ("another part", of(&keys[2]), &[2]),
        (
            "a target",
            Which::target("https", "a.test", "/x", None),
            &[1, 2],
        ),
        (
            "a query",
            Which::target("https", "a.test", "/x", Some("q")),
            &[3],
        ),
        (
            "below",
            Which::below("https", "a.test", "/x"),
            &[1, 2, 3, 4],
        ),
        ("a host", host("a.test"), &[0, 1, 2, 3, 4, 5, 6]),
        ("a host and port", host("a.test:8443"), &[6]),
        ("all", Which::All, &[0, 1, 2, 3, 4, 5, 6, 7]),
        ("none", host("b.test"), &[]),
    ];
    for (name, which, meant) in cases {
        let store = store(1 << 20);
        for key in &keys {
            put(&store, key, b"12345").unwrap();
        }
        let soft = store.purge(&which, How::Soft);
        assert_eq!(soft.objects, meant.len() as u64, "{name}");
        for (at, key) in keys.iter().enumerate() {
            let marked = held(&store, key)
                .unwrap()
                .terms
                .rules
                .has(Rules::MARKED_STALE);
            assert_eq!(marked, meant.contains(&at), "{name}: {at}");
        }
        let bytes: u64 = meant
            .iter()
            .map(|&at| held(&store, &keys[at]).unwrap().size())
            .sum();
        let hard = store.purge(&which, How::Hard);
        assert_eq!(
            hard,
            Purged {
                objects: meant.len() as u64,
                bytes
            },
            "{name}"
        );
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(
                held(&store, key).is_none(),
                meant.contains(&at),
                "{name}: {at}"
            );
        }
        assert_eq!(
            store.purge(&which, How::Hard),
            Purged::default(),
            "{name}: again"
        );
        assert_eq!(
            store.counts().objects as usize,
            keys.len() - meant.len(),
            "{name}"
        );
    }
}

#[test]
fn a_key_is_purged_with_all_its_variants_and_slices() {
    for how in [How::Soft, How::Hard] {
        let store = store(1 << 20);
        let key = key("/a");
        let asked: Vec<_> = ["br", "gzip", "zstd"]
            .iter()
            .map(|coding| fields(&[("Accept-Encoding", coding)]))
            .collect();
        for asked in &asked {
            put_with(&store, &key, head(None), "accept-encoding", asked, b"x").unwrap();
        }
        let slices: Vec<_> = (0..5)
            .map(|number| {
                let mut slice = self::key("/a");
                slice.slice(number);
                slice
            })
            .collect();
        for slice in &slices {
            put(&store, slice, b"a part").unwrap();
        }
        put(&store, &self::key("/ab"), b"another").unwrap();
        assert_eq!(store.show(key.as_bytes(), NOW).len(), 8);
        assert_eq!(store.purge(&of(&key), how).objects, 8, "{how:?}");
        for asked in &asked {
            match (how, held_for(&store, &key, asked)) {
                (How::Hard, None) => {}
                (How::Soft, Some(object)) => assert!(!object.is_current(NOW)),
                (_, found) => panic!("{how:?}: {found:?}"),
            }
        }
        let slice = held(&store, &slices[3]);
        assert_eq!(slice.is_none(), how == How::Hard);
        assert!(held(&store, &self::key("/ab")).unwrap().is_current(NOW));
    }
}

#[test]
fn the_key_of_one_variant_purges_it_alone() {
    let store = store(1 << 20);
    let key = key("/a");
    let (br, gzip) = (
        fields(&[("Accept-Encoding", "br")]),
        fields(&[("Accept-Encoding", "gzip")]),
    );
    for asked in [&br, &gzip] {
        put_with(&store, &key, head(None), "accept-encoding", asked, b"x").unwrap();
    }
    let object = held_for(&store, &key, &br).unwrap();
    let fill = to_ask(&store, &key, &br);
    let which = Which::Key(object.key.clone());
    assert_eq!(store.purge(&which, How::Hard).objects, 1);
    assert!(held_for(&store, &key, &br).is_none() && held_for(&store, &key, &gzip).is_some());
    let (writer, _) = fill
        .begin(head(None), &vary("accept-encoding"), &br)
        .unwrap();
    assert!(!writer.is_keeping());
}

#[test]
fn a_tag_purges_who_has_it_and_is_forgotten_with_them() {
    let store = store(1 << 20);
    for number in 0..20 {
        let tags = ["all", if number % 2 == 0 { "even" } else { "odd" }];
        put_with(
            &store,
            &key(&format!("/{number}")),
            tagged(&tags),
            "",
            &nothing(),
            b"x",
        )
        .unwrap();
    }
    put(&store, &key("/untagged"), b"x").unwrap();
    assert_eq!(store.tags(), 3);
    assert_eq!(store.purge(&tag("even"), How::Soft).objects, 10);
    assert_eq!(
        store.purge(&tag("even"), How::Hard).objects,
        10,
        "the mark keeps the tags"
    );
    assert_eq!((store.tags(), store.counts().objects), (2, 11));
    assert!(held(&store, &key("/2")).is_none() && held(&store, &key("/3")).is_some());
    // A 304 keeps them as well.
    let old = held(&store, &key("/3")).unwrap();
    let _ = store.refresh(&old, Box::default(), terms());
    assert_eq!(store.purge(&tag("all"), How::Hard).objects, 10);
    assert_eq!((store.tags(), store.counts().objects), (0, 1));
    assert_eq!(store.purge(&tag("even"), How::Hard), Purged::default());
}

#[test]
fn who_is_evicted_leaves_the_index_of_tags() {
    let store = store(1 << 20);
    for number in 0..5000 {
        let tags = [format!("t{number}"), "all".into()];
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        put_with(
            &store,
            &key(&format!("/{number}")),
            tagged(&tags),
            "",
            &nothing(),
            &[0; 500],
        );
    }
    let counts = store.counts();
    assert!(counts.evicted > 3000, "{counts:?}");
    assert_eq!(store.tags() as u64, counts.objects + 1);
    assert_eq!(store.purge(&tag("all"), How::Hard).objects, counts.objects);
    assert_eq!(
        (store.tags(), store.counts().objects, store.counts().bytes),
        (0, 0, 0)
    );
}

/// Purges by which `/a` of `a.test`, tagged `t`, is meant.
fn ways() -> Vec<(&'static str, Which)> {
    vec![
        ("key", of(&key("/a"))),
        ("prefix", Which::below("https", "a.test", "/")),
        ("host", host("a.test")),
        ("tag", tag("t")),
        ("all", Which::All),
    ]
}

#[test]
fn what_was_fetched_before_a_purge_is_not_kept_after_it() {
    for (name, which) in ways() {
        for how in [How::Soft, How::Hard] {
            let store = store(1 << 20);
            let key = key("/a");
            let begun =
                to_ask(&store, &key, &nothing()).begin(tagged(&["t"]), &vary(""), &nothing());
            let (mut writer, own) = begun.unwrap();
            let mut reader = own.reader();
            writer.push(b"old ");
            store.purge(&which, how);
            // Who asks now gets nothing of it, and asks anew.
            assert!(
                matches!(store.look_up(&key, &nothing(), NOW), Found::Nothing),
                "{name}"
            );
            let Claim::Fill(fill) = store.claim(&key, &nothing()) else {
                panic!("{name}: the one before does not count");
            };
            writer.push(b"news");
            assert!(writer.finish().unwrap().is_none(), "{name}");
            assert!(held(&store, &key).is_none(), "{name}");
            // Who had asked before gets it in full.
            assert_eq!(
                read_now(&mut reader).unwrap(),
                (b"old news".to_vec(), Ended::Yes)
            );
            let (mut writer, _) = fill.begin(tagged(&["t"]), &vary(""), &nothing()).unwrap();
            writer.push(b"news");
            assert!(writer.finish().unwrap().is_some(), "{name}");
            assert_eq!(body(&held(&store, &key).unwrap()), b"news");
            assert_eq!(store.refusals()[0].why, "purged");
        }
    }
}

#[test]
fn what_was_asked_for_before_a_purge_is_not_kept_after_it() {
    for (name, which) in ways() {
        let store = store(1 << 20);
        let key = key("/a");
        let fill = to_ask(&store, &key, &nothing());
        let Claim::Wait(_waiting) = store.claim(&key, &nothing()) else {
            panic!("two ask");
        };
        store.purge(&which, How::Hard);
        let (mut writer, own) = fill.begin(tagged(&["t"]), &vary(""), &nothing()).unwrap();
        assert!(!writer.is_keeping(), "{name}");
        assert!(
            !matches!(store.look_up(&key, &nothing(), NOW), Found::Filling(_)),
            "{name}"
        );
        writer.push(b"old");
        let mut reader = own.reader();
        assert_eq!(read_now(&mut reader).unwrap().0, b"old", "{name}");
        assert!(writer.finish().unwrap().is_none(), "{name}");
        assert_eq!(read_now(&mut reader).unwrap().1, Ended::Yes);
        assert!(held(&store, &key).is_none(), "{name}");
        assert_eq!(store.fetching(), 0, "{name}");
    }
}

#[test]
fn a_purge_of_something_else_leaves_a_fill_alone() {
    let store = store(1 << 20);
    let key = key("/a");
    let fill = to_ask(&store, &key, &nothing());
    for number in 0..100 {
        store.purge(&of(&self::key(&format!("/{number}"))), How::Hard);
    }
    let (mut writer, _) = fill.begin(head(None), &vary(""), &nothing()).unwrap();
    writer.push(b"x");
    assert!(writer.finish().unwrap().is_some());
    // More purges than are remembered: it might have been meant.
    let fill = to_ask(&store, &self::key("/b"), &nothing());
    for _ in 0..1100 {
        store.purge(&of(&self::key("/c")), How::Hard);
    }
    let (mut writer, _) = fill.begin(head(None), &vary(""), &nothing()).unwrap();
    writer.push(b"x");
    assert!(writer.finish().unwrap().is_none());
}

#[test]
fn a_304_does_not_bring_back_what_was_purged_meanwhile() {
    let store = store(1 << 20);
    for (how, expected) in [(How::Hard, None), (How::Soft, Some(Rules::MARKED_STALE))] {
        let key = key("/a");
        let old = put(&store, &key, b"x").unwrap();
        store.purge(&of(&key), how);
        let given = store.refresh(&old, Box::default(), terms());
        assert!(given.is_current(NOW), "who asked may have it");
        let now = held(&store, &key).map(|object| object.terms.rules);
        assert_eq!(now, expected, "{how:?}");
    }
}

#[test]
fn purging_from_one_thread_while_others_fill_leaves_nothing_older_than_the_purge() {
    race(&store(8 << 20), 5, 5000);
}

#[test]
fn nor_does_it_on_disk() {
    let dir = Dir::new();
    let disk = dir.open();
    // So small that much has left memory and is found on disk.
    race(&store_over(&disk, 512 << 10), 30, 18_000);
    assert!(disk.counts().read > 100, "{:?}", disk.counts());
}

/// Bodies have that many bytes, and a few.
fn race(store: &Store, paths: usize, length: usize) {
    // What the origin has now, and what each path was purged at.
    let version = AtomicU64::new(0);
    let purged: Vec<_> = (0..paths).map(|_| AtomicU64::new(0)).collect();
    let is_done = AtomicBool::new(false);
    let fetched = AtomicU64::new(0);
    let check = |path: usize| {
        let floor = purged[path].load(SeqCst);
        let object = found(store, &key(&format!("/{path}")), &nothing());
        if let Some(object) = &object {
            let of = u64::from_le_bytes(body(object)[..8].try_into().unwrap());
            assert!(of >= floor, "of {of}, but purged at {floor}");
        }
        object
    };
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (version, check) = (&version, &check);
            let (is_done, fetched) = (&is_done, &fetched);
            scope.spawn(move || {
                let mut seeded = Seeded(worker);
                while !is_done.load(SeqCst) {
                    let path = seeded.below(paths as u64) as usize;
                    if check(path).is_some() {
                        continue;
                    }
                    let key = key(&format!("/{path}"));
                    let Claim::Fill(fill) = store.claim(&key, &nothing()) else {
                        continue;
                    };
                    let answer = version.load(SeqCst).to_le_bytes();
                    let Ok((mut writer, _)) = fill.begin(tagged(&["t"]), &vary(""), &nothing())
                    else {
                        continue;
                    };
                    writer.push(&answer);
                    writer.push(&vec![0; length]);
                    if writer.finish().unwrap().is_some() {
                        fetched.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        let mut number = 0;
        while number < 1000 || fetched.load(SeqCst) < 1000 {
            number += 1;
            version.store(number as u64, SeqCst);
            let path = number % paths;
            let (which, meant) = match number % 6 {
                0 => (Which::below("https", "a.test", "/"), 0..paths),
                1 => (host("a.test"), 0..paths),
                2 => (tag("t"), 0..paths),
                3 => (Which::All, 0..paths),
                _ => (of(&key(&format!("/{path}"))), path..path + 1),
            };
            store.purge(&which, How::Hard);
            for path in meant {
                purged[path].store(number as u64, SeqCst);
                check(path);
            }
        }
        is_done.store(true, SeqCst);
    });
    assert_eq!(store.fetching(), 0);
}
