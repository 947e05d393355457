//! What was made of a body in the background: it comes to the object that has it, outlasts a 304,
//! is weighed, and goes with it.

#![expect(clippy::unwrap_used, reason = "a story may fail")]

use std::sync::Arc;

use croupier_cache::{
    Body, Object, Terms,
    forms::{FORMS_MAX, Form, Made},
    rules::VaryNames,
    store::{Claim, Found, Head, How, KeyBuf, Settings, Store, Which},
};
use croupier_http::Fields;

const NOW: u64 = 1_700_000_000_000;

fn store() -> Store {
    Store::new(Settings {
        name: "edge".into(),
        memory: 1 << 20,
        max_object: 64 << 20,
    })
}

fn key() -> KeyBuf {
    let mut key = KeyBuf::new();
    key.begin("https", "a.test", "/a", None::<&str>);
    key
}

fn put(store: &Store, body: &[u8]) -> Arc<Object> {
    let (key, asked) = (key(), Fields::new());
    let _ = store.look_up(&key, &asked, NOW);
    let Claim::Fill(fill) = store.claim(&key, &asked) else {
        unreachable!("nobody else asks");
    };
    let head = Head {
        status: 200,
        lines: Box::from(&b"content-type: text/plain\r\n"[..]),
        terms: Terms {
            received_ms: NOW,
            lifetime: 60,
            ..Terms::default()
        },
        length: None,
        tags: Box::default(),
    };
    let begun = fill.begin(head, &VaryNames::default(), &asked);
    let mut writer = begun.unwrap().0;
    writer.push(body);
    writer.finish().unwrap().unwrap()
}

fn held(store: &Store) -> Arc<Object> {
    match store.look_up(&key(), &Fields::new(), NOW) {
        Found::Held(object) => object,
        other => unreachable!("{other:?}"),
    }
}

const GZIP: Made = Made {
    coding: "gzip",
    dictionary: None,
};

fn form(made: Made, bytes: &[u8]) -> Form {
    Form {
        made,
        bytes: Some(bytes.into()),
    }
}

/// The body under a key, as who makes a form of it gets it.
fn taken(store: &Store, object: &Object) -> Arc<[u8]> {
    store.body(&object.key).unwrap()
}

fn given(object: &Object, made: &Made) -> Option<Vec<u8>> {
    Some(object.form(made)?.bytes.as_ref()?.to_vec())
}

#[test]
fn a_form_is_given_from_then_on_and_weighed() {
    let store = store();
    let object = put(&store, b"a long body");
    let before = store.used().0;
    let body = taken(&store, &object);
    assert!(store.keep_form(&object.key, &body, &form(GZIP, b"short")));
    let with = held(&store);
    assert_eq!(given(&with, &GZIP).unwrap(), b"short");
    assert_eq!(with.lines().count(), object.lines().count());
    assert!(store.used().0 >= before + 5);
    assert_eq!(store.counts().bytes, with.weight());
    assert!(
        !store.keep_form(&object.key, &body, &form(GZIP, b"again")),
        "it has it"
    );
}

#[test]
fn a_304_keeps_it_and_a_soft_purge_too_but_another_body_has_none() {
    let store = store();
    let object = put(&store, b"a long body");
    let body = taken(&store, &object);
    // The answer was asked about again while somebody was at work.
    let _ = store.refresh(&object, object.lines.clone(), object.terms);
    assert!(store.keep_form(&object.key, &body, &form(GZIP, b"short")));
    let with = held(&store);
    let fresh = store.refresh(&with, with.lines.clone(), with.terms);
    assert!(given(&fresh, &GZIP).is_some());
    store.purge(&Which::Key(object.key.clone()), How::Soft);
    let stale = held(&store);
    assert!(given(&stale, &GZIP).is_some());

    let other = put(&store, b"another body");
    assert!(given(&other, &GZIP).is_none());
    assert!(
        !store.keep_form(&object.key, &body, &form(GZIP, b"late")),
        "it came too late"
    );
    store.purge(&Which::All, How::Hard);
    assert!(store.body(&object.key).is_none());
    assert_eq!(store.used().0, 0);
}

#[test]
fn what_would_drive_its_object_out_is_of_no_use() {
    let store = store();
    let object = put(&store, &[1; 60_000]);
    let body = taken(&store, &object);
    assert!(store.keep_form(&object.key, &body, &form(GZIP, &[2; 50_000])));
    let with = held(&store);
    assert!(with.form(&GZIP).is_some_and(|form| form.bytes.is_none()));
    assert!(matches!(&with.body, Body::Memory(bytes) if bytes.len() == 60_000));
}

#[test]
fn forms_are_bounded_and_so_is_asking_for_them() {
    let store = store();
    let object = put(&store, b"a long body");
    let body = taken(&store, &object);
    for number in 0..=FORMS_MAX {
        let made = Made {
            coding: "dcz",
            dictionary: Some([u8::try_from(number).unwrap(); 32]),
        };
        let is_kept = store.keep_form(&object.key, &body, &form(made, b"x"));
        assert_eq!(is_kept, number < FORMS_MAX);
    }
    let full = held(&store);
    assert!(!full.may_have_more_forms());
    assert!(full.asks(1) && !full.asks(1) && full.asks(2));
    let fresh = store.refresh(&full, full.lines.clone(), full.terms);
    assert!(!fresh.asks(1), "it was asked for before the 304");
    fresh.asks_again(1);
    assert!(fresh.asks(1) && !fresh.asks(2));
}
