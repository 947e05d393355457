//! Variants of one key: which are found, and how many there are.

use croupier_cache::store::{Claim, Found, How, Which};

use super::kit::*;

#[test]
fn the_65th_variant_takes_the_place_of_the_oldest() {
    let store = store(64 << 20);
    let key = key("/a");
    let asked = |number: usize| fields(&[("X-Kind", &format!("kind {number}"))]);
    for number in 0..1000 {
        let asked = asked(number);
        put_with(&store, &key, head(None), "x-kind", &asked, b"body").unwrap();
        let last = number.saturating_sub(63);
        assert!(
            held_for(
                &store,
                &key,
                &fields(&[("X-Kind", &format!("kind {last}"))])
            )
            .is_some()
        );
    }
    let there = (0..1000).filter(|&number| held_for(&store, &key, &asked(number)).is_some());
    assert_eq!(there.collect::<Vec<_>>(), (936..1000).collect::<Vec<_>>());
    assert_eq!(store.counts().objects, 64);
}

#[test]
fn a_new_record_of_variants_never_revives_old_ones() {
    let store = store(1 << 20);
    let key = key("/a");
    let gzip = fields(&[("Accept-Encoding", "gzip"), ("X-User", "1")]);
    put_with(
        &store,
        &key,
        head(None),
        "accept-encoding",
        &gzip,
        b"for gzip",
    )
    .unwrap();
    let plain = fields(&[("X-User", "2")]);
    // Now the answer depends on the user as well.
    let names = "accept-encoding,x-user";
    put_with(&store, &key, head(None), names, &plain, b"for user 2").unwrap();
    assert!(held_for(&store, &key, &gzip).is_none());
    assert_eq!(
        body(&held_for(&store, &key, &plain).unwrap()),
        b"for user 2"
    );
    assert_eq!(
        store.counts().objects,
        1,
        "nobody finds the old one: it is gone"
    );
    // Back to fewer names: those that are told apart by more stay apart.
    put_with(
        &store,
        &key,
        head(None),
        "accept-encoding",
        &gzip,
        b"for user 1",
    )
    .unwrap();
    assert_eq!(
        body(&held_for(&store, &key, &plain).unwrap()),
        b"for user 2"
    );
    assert_eq!(body(&held_for(&store, &key, &gzip).unwrap()), b"for user 1");
    // A purge takes the record too; the next one has another generation.
    store.purge(&Which::Key(key.as_bytes().into()), How::Hard);
    put_with(
        &store,
        &key,
        head(None),
        "accept-encoding",
        &plain,
        b"again",
    )
    .unwrap();
    assert!(held_for(&store, &key, &gzip).is_none());
}

#[test]
fn each_variant_is_fetched_once_and_waiters_of_others_ask_for_their_own() {
    let store = store(1 << 20);
    let key = key("/a");
    let (br, gzip) = (
        fields(&[("Accept-Encoding", "br")]),
        fields(&[("Accept-Encoding", "gzip")]),
    );
    let fill = to_ask(&store, &key, &br);
    // Nobody knows yet that the answer varies: all wait for the first.
    assert!(matches!(store.claim(&key, &gzip), Claim::Wait(_)));
    let begun = fill.begin(head(None), &vary("accept-encoding"), &br);
    let (mut first, _) = begun.unwrap();
    assert!(matches!(store.look_up(&key, &br, NOW), Found::Filling(_)));
    assert!(matches!(store.look_up(&key, &gzip, NOW), Found::Nothing));
    let Claim::Fill(fill) = store.claim(&key, &gzip) else {
        panic!("the first is not for this one");
    };
    assert!(matches!(store.claim(&key, &gzip), Claim::Wait(_)));
    let begun = fill.begin(head(None), &vary("accept-encoding"), &gzip);
    let (mut second, _) = begun.unwrap();
    first.push(b"in br");
    second.push(b"in gzip");
    second.finish().unwrap().unwrap();
    first.finish().unwrap().unwrap();
    assert_eq!(body(&held_for(&store, &key, &br).unwrap()), b"in br");
    assert_eq!(body(&held_for(&store, &key, &gzip).unwrap()), b"in gzip");
}
