//! Request targets and paths: total, normal forms are stable, no reading climbs.

use croupier_http::{
    Method, Scheme, Target,
    path::{self, Shape},
    target::Form,
};

use super::{Verdict, grammar};

pub fn check(bytes: &[u8]) -> Verdict {
    paths(bytes);
    let _ = path::is_query(bytes);
    let get = read(Method::Get, bytes);
    let options = read(Method::Options, bytes);
    match (&get, &options) {
        (Some(get), Some(options)) => assert_eq!(get.path(), options.path()),
        (None, Some(options)) => assert_eq!(options.form, Form::Asterisk),
        (None, None) => {}
        (Some(_), None) => unreachable!("GET takes a form that OPTIONS does not"),
    }
    if options.is_some() {
        Verdict::Accepted(1)
    } else {
        Verdict::Refused(0)
    }
}

fn read(method: Method, bytes: &[u8]) -> Option<Target> {
    let mut target = Target::default();
    let outcome = target.read(Scheme::Http, method, bytes);
    let mut used = Target::default();
    let _ = used.read(
        Scheme::Http,
        Method::Get,
        b"http://used.example:1/a%2Fb;c?d",
    );
    assert_eq!(
        used.read(Scheme::Http, method, bytes),
        outcome,
        "the outcome depends on an earlier value"
    );
    outcome.ok()?;
    assert_eq!(used.path(), target.path());
    assert_eq!(used.query(), target.query());
    assert_eq!(used.lenient_path(), target.lenient_path());
    assert_eq!(used.authority, target.authority);
    if target.form == Form::Asterisk {
        assert_eq!((target.path(), target.query()), ("*", None));
        return Some(target);
    }
    assert!(
        grammar::is_normal_path(target.path()),
        "{:?} is no normal form",
        target.path()
    );
    if let Some(query) = target.query() {
        assert!(
            query
                .bytes()
                .all(|byte| (0x21..0x7f).contains(&byte) && byte != b'#')
        );
    }
    assert_eq!(target.authority.is_empty(), target.form == Form::Origin);
    // As an origin gets it: origin form, and the same again.
    let query = target
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let sent = format!("{}{query}", target.path());
    let mut again = Target::default();
    assert_eq!(
        again.read(Scheme::Http, method, sent.as_bytes()),
        Ok(()),
        "{sent:?} is not read again"
    );
    assert_eq!(again.path(), target.path());
    assert_eq!(again.query(), target.query());
    assert_eq!(again.lenient_path(), target.lenient_path());
    Some(target)
}

/// The path functions themselves, on anything.
fn paths(bytes: &[u8]) {
    let mut normal = String::new();
    if let Ok(shape) = path::normalize(bytes, &mut normal) {
        assert!(
            grammar::is_normal_path(&normal),
            "{normal:?} is no normal form"
        );
        let mut again = String::new();
        let second = path::normalize(normal.as_bytes(), &mut again);
        assert_eq!(again, normal, "normalizing is not idempotent");
        assert!(
            second == Ok(shape) || second == Ok(Shape::Plain),
            "{shape:?} became {second:?}"
        );
        let mut view = String::new();
        let lenient = path::lenient(&normal, &mut view);
        if second == Ok(Shape::Plain) {
            assert_eq!(lenient, Ok(()), "a plain path hides something");
            assert_eq!(view, normal, "a plain path has a second reading");
        } else if lenient.is_ok() {
            assert_no_climbing(&view);
        }
    }
    // Not every caller's text is a normal form.
    let mut view = String::from("used");
    let text = String::from_utf8_lossy(bytes);
    if path::lenient(&text, &mut view).is_ok() {
        assert_no_climbing(&view);
    }
}

fn assert_no_climbing(view: &str) {
    assert!(view.starts_with('/'), "{view:?}");
    assert!(!view.contains("//"), "{view:?}");
    let is_dots = |segment: &str| [".", ".."].contains(&segment.replace("%20", "").as_str());
    assert!(!view.split('/').any(is_dots), "{view:?} climbs");
}
