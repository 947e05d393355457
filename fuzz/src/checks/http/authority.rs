//! Authorities: total, in normal form, and normal forms stay as they are.

use croupier_http::Authority;

use super::{Verdict, grammar};

pub fn check(bytes: &[u8]) -> Verdict {
    let mut fresh = Authority::default();
    let outcome = fresh.read(bytes);
    // A used value reads like a fresh one.
    let mut used = Authority::default();
    let _ = used.read(b"used.example:65535");
    assert_eq!(
        used.read(bytes),
        outcome,
        "the outcome depends on an earlier value"
    );
    assert_eq!(used, fresh, "the value depends on an earlier one");
    if outcome.is_err() {
        assert!(fresh.is_empty(), "a refused authority left {fresh:?}");
        assert!(fresh.host().is_empty() && fresh.port().is_none());
        return Verdict::Refused(0);
    }
    let text = fresh.as_str();
    assert!(
        grammar::is_normal_authority(text),
        "{text:?} is no normal form"
    );
    assert!(!fresh.host().is_empty() && text.starts_with(fresh.host()));
    let rebuilt = match fresh.port() {
        Some(port) => format!("{}:{port}", fresh.host()),
        None => fresh.host().to_owned(),
    };
    assert_eq!(rebuilt, text);
    let mut again = Authority::default();
    assert_eq!(
        again.read(text.as_bytes()),
        Ok(()),
        "{text:?} is not read again"
    );
    assert_eq!(again, fresh, "the normal form is not stable");
    Verdict::Accepted(1)
}
