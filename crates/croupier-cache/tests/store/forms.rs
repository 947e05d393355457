//! What was made of a body in the background: it comes to the object that has it, outlasts a 304,
//! is weighed, and goes with it.

use std::sync::Arc;

use croupier_cache::{
    Body, Object,
    forms::{FORMS_MAX, Form, Made},
    store::{How, Store, Which},
};

use crate::kit::*;

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
    let held = store.peek(&object.key).unwrap();
    Arc::clone(held.memory().unwrap())
}

fn given(object: &Object, made: &Made) -> Option<Vec<u8>> {
    Some(object.form(made)?.bytes.as_ref()?.to_vec())
}

#[test]
fn a_form_is_given_from_then_on_and_weighed() {
    let store = store(1 << 20);
    let key = key("/a");
    let object = put(&store, &key, b"a long body").unwrap();
    let before = store.used().0;
    let body = taken(&store, &object);
    assert!(store.keep_form(&object.key, &body, &form(GZIP, b"short")));
    let with = held(&store, &key).unwrap();
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
    let store = store(1 << 20);
    let key = key("/a");
    let object = put(&store, &key, b"a long body").unwrap();
    let body = taken(&store, &object);
    // The answer was asked about again while somebody was at work.
    let _ = store.refresh(&object, object.lines.clone(), object.terms);
    assert!(store.keep_form(&object.key, &body, &form(GZIP, b"short")));
    let with = held(&store, &key).unwrap();
    let fresh = store.refresh(&with, with.lines.clone(), with.terms);
    assert!(given(&fresh, &GZIP).is_some());
    store.purge(&Which::Key(object.key.clone()), How::Soft);
    let stale = held(&store, &key).unwrap();
    assert!(given(&stale, &GZIP).is_some());

    let (mut writer, _) = begin(&store, &key);
    writer.push(b"another body");
    let other = writer.finish().unwrap().unwrap();
    assert!(given(&other, &GZIP).is_none());
    assert!(
        !store.keep_form(&object.key, &body, &form(GZIP, b"late")),
        "it came too late"
    );
    store.purge(&Which::All, How::Hard);
    assert!(store.peek(&object.key).is_none());
    assert_eq!(store.used().0, 0);
}

#[test]
fn what_would_drive_its_object_out_is_of_no_use() {
    let store = store(1 << 20);
    let key = key("/a");
    let object = put(&store, &key, &[1; 60_000]).unwrap();
    let body = taken(&store, &object);
    assert!(store.keep_form(&object.key, &body, &form(GZIP, &[2; 50_000])));
    let with = held(&store, &key).unwrap();
    assert!(with.form(&GZIP).is_some_and(|form| form.bytes.is_none()));
    assert!(matches!(&with.body, Body::Memory(bytes) if bytes.len() == 60_000));
}

#[test]
fn forms_are_bounded_and_so_is_asking_for_them() {
    let store = store(1 << 20);
    let key = key("/a");
    let object = put(&store, &key, b"a long body").unwrap();
    let body = taken(&store, &object);
    for number in 0..=FORMS_MAX {
        let made = Made {
            coding: "dcz",
            dictionary: Some([u8::try_from(number).unwrap(); 32]),
        };
        let is_kept = store.keep_form(&object.key, &body, &form(made, b"x"));
        assert_eq!(is_kept, number < FORMS_MAX);
    }
    let full = held(&store, &key).unwrap();
    assert!(!full.may_have_more_forms());
    assert!(full.asks(1) && !full.asks(1) && full.asks(2));
    let fresh = store.refresh(&full, full.lines.clone(), full.terms);
    assert!(!fresh.asks(1), "it was asked for before the 304");
    fresh.asks_again(1);
    assert!(fresh.asks(1) && !fresh.asks(2));
}
