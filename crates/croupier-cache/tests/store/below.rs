//! The store with a disk below it: what leaves memory, and what a restart finds.

use croupier_cache::{
    Body, Rules,
    disk::Settled,
    store::{Brought, Claim, Found, How, KeyBuf, Store, Which},
};

use super::kit::*;

fn is_on_disk(store: &Store, key: &KeyBuf) -> bool {
    matches!(store.look_up(key, &nothing(), NOW), Found::OnDisk(_))
}

#[test]
fn a_restart_finds_objects_variants_and_tags() {
    let dir = Dir::new();
    let gzip = fields(&[("Accept-Encoding", "gzip")]);
    let br = fields(&[("Accept-Encoding", "br")]);
    {
        let disk = dir.open();
        let store = forgetful(&disk);
        put_with(
            &store,
            &key("/tagged"),
            tagged(&["t", "u"]),
            "",
            &nothing(),
            b"tagged",
        )
        .unwrap();
        for (asked, body) in [(&gzip, &b"in gzip"[..]), (&br, b"in br")] {
            put_with(
                &store,
                &key("/varied"),
                head(None),
                "accept-encoding",
                asked,
                body,
            )
            .unwrap();
        }
    }
    let disk = dir.open();
    let store = forgetful(&disk);
    let object = found(&store, &key("/tagged"), &nothing()).unwrap();
    assert_eq!(
        (body(&object), &*object.lines),
        (&b"tagged"[..], &*head(None).lines)
    );
    assert_eq!((object.terms, object.tags().len()), (terms(), 2));
    assert_eq!(
        body(&found(&store, &key("/varied"), &br).unwrap()),
        b"in br"
    );
    assert_eq!(
        body(&found(&store, &key("/varied"), &gzip).unwrap()),
        b"in gzip"
    );
    assert!(found(&store, &key("/varied"), &nothing()).is_none());
    assert!(found(&store, &key("/none"), &nothing()).is_none());
    // A variant that comes now belongs to the same record.
    put_with(
        &store,
        &key("/varied"),
        head(None),
        "accept-encoding",
        &nothing(),
        b"plain",
    )
    .unwrap();
    assert_eq!(
        body(&found(&store, &key("/varied"), &gzip).unwrap()),
        b"in gzip"
    );
}

#[test]
fn what_is_asked_for_twice_comes_into_memory() {
    let dir = Dir::new();
    let disk = dir.open();
    put(&forgetful(&disk), &key("/a"), b"hello").unwrap();
    flushed(&disk);
    let store = forgetful(&disk);
    for expected in [true, true, false] {
        assert_eq!(is_on_disk(&store, &key("/a")), expected);
        assert_eq!(
            body(&found(&store, &key("/a"), &nothing()).unwrap()),
            b"hello"
        );
    }
    let counts = store.counts();
    assert_eq!((counts.objects, counts.stored), (1, 0));
    assert_eq!(store.purge(&Which::All, How::Hard).objects, 1);
    assert_eq!(store.used(), (0, 0));
}

#[test]
fn what_many_ask_for_at_once_is_read_once() {
    let dir = Dir::new();
    let disk = dir.open();
    put(&forgetful(&disk), &key("/a"), &[7; 50_000]).unwrap();
    flushed(&disk);
    let store = forgetful(&disk);
    let mut readings: Vec<_> = (0..50)
        .map(|_| match store.look_up(&key("/a"), &nothing(), NOW) {
            Found::OnDisk(reading) => reading,
            found => panic!("{found:?}"),
        })
        .collect();
    drop(readings.drain(..10));
    std::thread::scope(|scope| {
        for mut reading in readings {
            scope.spawn(move || match wait_for(|cx| reading.poll(cx)) {
                Brought::Object(object) => assert_eq!(body(&object), [7; 50_000]),
                brought => panic!("{brought:?}"),
            });
        }
    });
    assert_eq!(disk.counts().read, 1);
}

#[test]
fn a_large_body_is_given_from_where_it_lies() {
    let dir = Dir::new();
    let disk = dir.open();
    put(&forgetful(&disk), &key("/large"), &[7; 900_000]).unwrap();
    flushed(&disk);
    let store = forgetful(&disk);
    for _ in 0..4 {
        assert!(is_on_disk(&store, &key("/large")));
        let object = found(&store, &key("/large"), &nothing()).unwrap();
        assert!(matches!(object.body, Body::Disk(_)) && object.body.length() == 900_000);
    }
    assert_eq!(store.counts().objects, 0);
}

#[test]
fn a_304_of_what_came_from_disk_is_what_is_found_afterwards() {
    let dir = Dir::new();
    let disk = dir.open();
    for (path, length) in [("/small", 100), ("/large", 900_000)] {
        let key = key(path);
        put(&forgetful(&disk), &key, &vec![7; length]).unwrap();
        flushed(&disk);
        let store = forgetful(&disk);
        let old = found(&store, &key, &nothing()).unwrap();
        let Claim::Fill(fill) = store.claim(&key, &nothing()) else {
            panic!("nobody asks");
        };
        let mut terms = terms();
        terms.lifetime = 999;
        let _ = fill.refresh(&old, old.lines.clone(), terms);
        flushed(&disk);
        let new = found(&forgetful(&disk), &key, &nothing()).unwrap();
        assert_eq!(
            (new.terms.lifetime, new.body.length()),
            (999, length as u64)
        );
        // Not when it was purged in between.
        let Claim::Fill(fill) = store.claim(&key, &nothing()) else {
            panic!("nobody asks");
        };
        store.purge(&Which::Key(key.as_bytes().into()), How::Hard);
        let _ = fill.refresh(&new, new.lines.clone(), terms);
        flushed(&disk);
        assert!(
            found(&forgetful(&disk), &key, &nothing()).is_none(),
            "{path}"
        );
    }
}

/// By which `/a` is meant, and `/b` is not.
fn ways() -> Vec<Which> {
    vec![
        Which::Key(key("/a").as_bytes().into()),
        Which::below("https", "a.test", "/a"),
        Which::target("https", "a.test", "/a", None),
        Which::Tag(Box::from(&b"t"[..])),
    ]
}

fn fill_ab(store: &Store) {
    for (path, tag) in [("/a", "t"), ("/b", "u")] {
        put_with(store, &key(path), tagged(&[tag]), "", &nothing(), b"12345").unwrap();
    }
}

#[test]
fn what_was_purged_is_not_given_from_disk_either_nor_after_a_restart() {
    for which in ways() {
        let dir = Dir::new();
        {
            let disk = dir.open();
            fill_ab(&forgetful(&disk));
            flushed(&disk);
            let store = forgetful(&disk);
            let (in_memory, swept) = store.purge_through(&which, How::Hard, PATIENCE);
            let swept = swept.unwrap();
            assert_eq!(
                (in_memory.objects, swept.purged.objects),
                (0, 1),
                "{which:?}"
            );
            assert_eq!(swept.settled, Some(Settled::Durable));
            assert!(found(&store, &key("/a"), &nothing()).is_none(), "{which:?}");
            assert!(found(&store, &key("/b"), &nothing()).is_some(), "{which:?}");
        }
        let store = forgetful(&dir.open());
        assert!(found(&store, &key("/a"), &nothing()).is_none(), "{which:?}");
        assert!(found(&store, &key("/b"), &nothing()).is_some(), "{which:?}");
    }
}

#[test]
fn what_is_meant_is_not_given_from_the_moment_on_when_a_purge_returns() {
    for which in ways() {
        for how in [How::Hard, How::Soft] {
            let dir = Dir::new();
            let disk = dir.open();
            fill_ab(&forgetful(&disk));
            flushed(&disk);
            let store = forgetful(&disk);
            let Found::OnDisk(mut begun) = store.look_up(&key("/a"), &nothing(), NOW) else {
                panic!("it is on disk");
            };
            store.purge(&which, how);
            let now = found(&store, &key("/a"), &nothing());
            match (how, now) {
                (How::Hard, None) => {}
                (How::Soft, Some(object)) => {
                    assert!(object.terms.rules.has(Rules::MARKED_STALE), "{which:?}");
                }
                (_, found) => panic!("{which:?} {how:?}: {found:?}"),
            }
            // Nor does it come into memory by a read that had begun before.
            let _ = wait_for(|cx| begun.poll(cx));
            let now = found(&store, &key("/a"), &nothing());
            assert!(
                now.is_none_or(|object| !object.is_current(NOW)),
                "{which:?} {how:?}"
            );
            assert!(
                found(&store, &key("/b"), &nothing())
                    .unwrap()
                    .is_current(NOW)
            );
        }
    }
}

#[test]
fn variants_on_disk_are_purged_with_their_key() {
    for how in [How::Hard, How::Soft] {
        let dir = Dir::new();
        let key = key("/varied");
        let asked: Vec<_> = ["br", "gzip", "zstd"]
            .iter()
            .map(|coding| fields(&[("Accept-Encoding", coding)]))
            .collect();
        {
            let disk = dir.open();
            let store = forgetful(&disk);
            for asked in &asked {
                put_with(&store, &key, head(None), "accept-encoding", asked, b"x").unwrap();
            }
            flushed(&disk);
            // One of them is known, the others are not.
            let store = forgetful(&disk);
            assert!(found(&store, &key, &asked[0]).unwrap().is_current(NOW));
            store
                .purge_through(&Which::Key(key.as_bytes().into()), how, PATIENCE)
                .1
                .unwrap();
            flushed(&disk);
        }
        let store = forgetful(&dir.open());
        for asked in &asked {
            match (how, found(&store, &key, asked)) {
                (How::Hard, None) => {}
                (How::Soft, Some(object)) => assert!(!object.is_current(NOW)),
                (_, found) => panic!("{how:?}: {found:?}"),
            }
        }
        // What comes later is fresh.
        let mut later = head(None);
        later.terms.received_ms = NOW + 10_000;
        put_with(&store, &key, later, "accept-encoding", &asked[1], b"new").unwrap();
        assert!(
            found(&store, &key, &asked[1])
                .unwrap()
                .is_current(NOW + 10_001)
        );
    }
}

#[test]
fn a_record_that_nobody_has_read_yet_is_marked_as_well() {
    let dir = Dir::new();
    let disk = dir.open();
    let (key, asked) = (key("/varied"), fields(&[("Accept-Encoding", "br")]));
    put_with(
        &forgetful(&disk),
        &key,
        head(None),
        "accept-encoding",
        &asked,
        b"x",
    )
    .unwrap();
    flushed(&disk);
    let store = forgetful(&disk);
    store.purge(&Which::Key(key.as_bytes().into()), How::Soft);
    assert!(!found(&store, &key, &asked).unwrap().is_current(NOW));
}

#[test]
fn what_is_not_for_keeping_any_more_does_not_come_back_from_disk() {
    let dir = Dir::new();
    let disk = dir.open();
    put(&forgetful(&disk), &key("/a"), b"old").unwrap();
    flushed(&disk);
    let store = forgetful(&disk);
    to_ask(&store, &key("/a"), &nothing()).pass(NOW + 10);
    let later = store.look_up(&key("/a"), &nothing(), NOW + 20);
    assert!(matches!(later, Found::Nothing), "{later:?}");
}

#[test]
fn sweeping_everything_leaves_nothing() {
    let dir = Dir::new();
    let disk = dir.open();
    let store = forgetful(&disk);
    for number in 0..1000 {
        put(&store, &key(&format!("/{number}")), b"x").unwrap();
    }
    flushed(&disk);
    // More purges at once than wait in line.
    for number in 0..600 {
        store.purge(
            &Which::below("https", "b.test", &format!("/{number}")),
            How::Hard,
        );
    }
    let (in_memory, swept) = store.purge_through(&Which::All, How::Hard, PATIENCE);
    assert_eq!(in_memory.objects, 1000);
    assert!(swept.is_some());
    assert_eq!((disk.counts().objects, store.counts().objects), (0, 0));
}

#[test]
fn a_restart_finds_the_last_of_several_answers_without_body() {
    let dir = Dir::new();
    for lifetime in [1, 2] {
        let store = forgetful(&dir.open());
        let mut head = head(Some(0));
        head.terms.lifetime = lifetime;
        put_with(&store, &key("/moved"), head, "", &nothing(), b"").unwrap();
    }
    let object = found(&forgetful(&dir.open()), &key("/moved"), &nothing()).unwrap();
    assert_eq!((object.terms.lifetime, object.body.length()), (2, 0));
}

/// Whoever may POST can cause such a purge: it must not cost a walk along the disk.
#[test]
fn what_bears_a_tag_of_memory_stays_there_and_its_purge_walks_nowhere() {
    let dir = Dir::new();
    let disk = dir.open();
    {
        let store = forgetful(&disk);
        let tagged = tagged(&["QUERY https://a/q"]);
        put_with(&store, &key("/q"), tagged, "", &nothing(), b"answer");
        assert!(!is_on_disk(&store, &key("/q")), "it was not written");
        let which = Which::Tag(b"QUERY https://a/q"[..].into());
        let (_, swept) = store.purge_through(&which, How::Hard, std::time::Duration::from_secs(10));
        assert!(swept.is_none(), "there is nothing to wait for");
    }
}
