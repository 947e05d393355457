//! What is done with a kept answer: RFC 9111 sections 4 and 4.2.4, RFC 5861, RFC 8246.

use croupier_cache::{
    Rules, Terms,
    rules::{Asked, Because, Give, giving::is_error, may_give_on_error},
};

use super::scene::{Lines, NOW, fields, give, keep};

const ETAG: (&str, &str) = ("ETag", "\"a\"");

fn kept(words: &str) -> Terms {
    keep(&[("Cache-Control", words), ETAG]).unwrap()
}

fn on_error(terms: &Terms, request: Lines<'_>, seconds: u64) -> Result<(), Because> {
    may_give_on_error(&Asked::of(&fields(request)), terms, NOW + seconds * 1000)
}

#[test]
fn fresh_is_given_and_stale_is_asked_for() {
    let terms = kept("max-age=10");
    assert_eq!(give(&terms, &[], 0), Give::Fresh);
    assert_eq!(give(&terms, &[], 9), Give::Fresh);
    assert_eq!(give(&terms, &[], 10), Give::Ask(Because::Stale));
    assert_eq!(give(&terms, &[], 1_000_000_000), Give::Ask(Because::Stale));
    assert_eq!(
        give(&kept("max-age=10, no-cache"), &[], 0),
        Give::Ask(Because::NoCache)
    );
    assert_eq!(
        give(&kept("max-age=10, must-revalidate"), &[], 9),
        Give::Fresh
    );
}

#[test]
fn a_request_may_want_it_younger_or_fresher() {
    let terms = keep(&[("Cache-Control", "max-age=1500"), ("Age", "1000")]).unwrap();
    let asks = |value: &str, after| give(&terms, &[("Cache-Control", value)], after);
    assert_eq!(asks("max-age=0", 0), Give::Ask(Because::AskedMaxAge));
    assert_eq!(asks("max-age=999", 0), Give::Ask(Because::AskedMaxAge));
    assert_eq!(asks("max-age=1000", 0), Give::Fresh);
    assert_eq!(asks("max-age=1000", 1), Give::Ask(Because::AskedMaxAge));
    assert_eq!(asks("min-fresh=500", 0), Give::Fresh);
    assert_eq!(asks("min-fresh=501", 0), Give::Ask(Because::AskedMinFresh));
    assert_eq!(asks("min-fresh=0", 0), Give::Fresh);
    assert_eq!(asks("no-cache", 0), Give::Ask(Because::AskedNoCache));
    assert_eq!(asks("no-store", 0), Give::Ask(Because::AskedNoStore));
    let pragma = give(&terms, &[("Pragma", "no-cache")], 0);
    assert_eq!(pragma, Give::Ask(Because::AskedNoCache));
    assert_eq!(give(&terms, &[("Pragma", "foo")], 0), Give::Fresh);
    assert_eq!(asks("only-if-cached", 0), Give::Fresh);
}

#[test]
fn a_request_may_take_it_stale_unless_the_answer_forbids() {
    let stale =
        |words: &str, value: &str, after| give(&kept(words), &[("Cache-Control", value)], after);
    assert_eq!(stale("max-age=10", "max-stale=5", 15), Give::StaleByConsent);
    assert_eq!(
        stale("max-age=10", "max-stale=5", 16),
        Give::Ask(Because::Stale)
    );
    assert_eq!(
        stale("max-age=10", "max-stale", 1_000_000),
        Give::StaleByConsent
    );
    assert_eq!(stale("max-age=10", "max-stale=0", 10), Give::StaleByConsent);
    assert_eq!(
        stale("max-age=10", "max-stale, max-age=20", 15),
        Give::StaleByConsent
    );
    for words in ["must-revalidate", "proxy-revalidate", "s-maxage=10"] {
        let words = format!("max-age=10, {words}");
        assert_eq!(
            stale(&words, "max-stale", 15),
            Give::Ask(Because::Stale),
            "{words}"
        );
    }
    assert_eq!(
        stale("max-age=10, no-cache", "max-stale", 15),
        Give::Ask(Because::NoCache)
    );
}

#[test]
fn stale_is_given_while_it_is_asked_for_again_as_long_as_the_answer_says() {
    let terms = kept("max-age=10, stale-while-revalidate=5");
    assert_eq!(give(&terms, &[], 10), Give::StaleWhileRevalidate);
    assert_eq!(give(&terms, &[], 14), Give::StaleWhileRevalidate);
    assert_eq!(give(&terms, &[], 15), Give::Ask(Because::Stale));
    let never_fresh = kept("max-age=0, stale-while-revalidate=5");
    assert_eq!(give(&never_fresh, &[], 0), Give::StaleWhileRevalidate);
    let shared = kept("s-maxage=10, stale-while-revalidate=5");
    assert_eq!(give(&shared, &[], 10), Give::StaleWhileRevalidate);
    // Who says how old is too old wants nothing stale.
    let asks = |value: &str| give(&terms, &[("Cache-Control", value)], 12);
    assert_eq!(asks("max-age=60"), Give::Ask(Because::Stale));
    assert_eq!(asks("max-age=60, max-stale"), Give::StaleWhileRevalidate);
    assert_eq!(asks("min-fresh=1"), Give::Ask(Because::AskedMinFresh));
}

#[test]
fn what_never_changes_is_not_asked_for_by_a_reload() {
    let terms = kept("max-age=10, immutable");
    let asks = |value: &str, after| give(&terms, &[("Cache-Control", value)], after);
    assert_eq!(asks("max-age=0", 5), Give::Fresh);
    assert_eq!(asks("no-cache", 5), Give::Ask(Because::AskedNoCache));
    assert_eq!(asks("max-age=0", 10), Give::Ask(Because::AskedMaxAge));
    assert_eq!(give(&terms, &[], 10), Give::Ask(Because::Stale));
}

#[test]
fn what_was_purged_softly_is_stale_at_once_and_has_its_graces() {
    let mark = |words: &str| {
        let mut terms = kept(words);
        terms.rules = terms.rules.and(Rules::MARKED_STALE);
        terms
    };
    let terms = mark("max-age=10");
    assert_eq!(give(&terms, &[], 1), Give::Ask(Because::Marked));
    assert_eq!(
        give(&terms, &[("Cache-Control", "max-stale")], 1),
        Give::Ask(Because::Marked)
    );
    assert_eq!(on_error(&terms, &[], 1), Ok(()));
    let terms = mark("max-age=10, stale-while-revalidate=5");
    assert_eq!(give(&terms, &[], 1), Give::StaleWhileRevalidate);
    let terms = mark("max-age=10, must-revalidate");
    assert_eq!(on_error(&terms, &[], 1), Err(Because::MustRevalidate));
}

#[test]
fn stale_is_better_than_an_error_for_a_time() {
    let terms = kept("max-age=2");
    assert_eq!(on_error(&terms, &[], 1), Ok(()));
    assert_eq!(on_error(&terms, &[], 3601), Ok(()));
    assert_eq!(on_error(&terms, &[], 3602), Err(Because::GraceOver));
    let terms = kept("max-age=2, stale-if-error=60");
    assert_eq!(on_error(&terms, &[], 61), Ok(()));
    assert_eq!(on_error(&terms, &[], 62), Err(Because::GraceOver));
    // What was never fresh is given only if it says so.
    assert_eq!(
        on_error(&kept("max-age=0"), &[], 0),
        Err(Because::GraceOver)
    );
    assert_eq!(
        on_error(&kept("max-age=0, stale-if-error=1"), &[], 0),
        Ok(())
    );
    assert_eq!(
        on_error(&kept("max-age=0, stale-if-error=1"), &[], 3),
        Err(Because::GraceOver)
    );
}

#[test]
fn no_error_makes_lawful_what_the_answer_forbids() {
    for words in ["must-revalidate", "proxy-revalidate", "s-maxage=2"] {
        let terms = kept(&format!("max-age=2, {words}"));
        assert_eq!(
            on_error(&terms, &[], 3),
            Err(Because::MustRevalidate),
            "{words}"
        );
        let asked = [("Cache-Control", "stale-if-error=60")];
        assert_eq!(
            on_error(&terms, &asked, 3),
            Err(Because::MustRevalidate),
            "{words}"
        );
    }
    assert_eq!(
        on_error(&kept("max-age=2, no-cache"), &[], 1),
        Err(Because::NoCache)
    );
    assert_eq!(
        on_error(&kept("s-maxage=2, stale-if-error=60"), &[], 3),
        Ok(())
    );
}

#[test]
fn a_request_says_how_stale_is_better_than_an_error() {
    let asks = |words: &str, value: &str, after| {
        on_error(&kept(words), &[("Cache-Control", value)], after)
    };
    assert_eq!(asks("max-age=0", "stale-if-error=3600", 5), Ok(()));
    assert_eq!(
        asks("max-age=0", "stale-if-error=1", 3),
        Err(Because::GraceOver)
    );
    assert_eq!(
        asks("max-age=2", "stale-if-error=1", 5),
        Err(Because::GraceOver)
    );
    assert_eq!(
        asks("s-maxage=2, stale-if-error=9", "stale-if-error=99", 5),
        Ok(())
    );
    assert_eq!(
        asks("s-maxage=2, stale-if-error=9", "stale-if-error=99", 12),
        Err(Because::MustRevalidate)
    );
    assert_eq!(asks("max-age=9", "no-cache", 1), Err(Because::AskedNoCache));
    assert_eq!(asks("max-age=9", "no-store", 1), Err(Because::AskedNoStore));
    assert_eq!(asks("max-age=9", "max-age=0", 1), Ok(()));
}

#[test]
fn four_statuses_are_errors_of_the_origin() {
    let errors: Vec<u16> = (100..=999).filter(|&status| is_error(status)).collect();
    assert_eq!(errors, [500, 502, 503, 504]);
}
