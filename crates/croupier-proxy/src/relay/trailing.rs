//! What may follow a body: the trailer fields that pass.

use croupier_http::{Fields, rules::hop};

/// The lines of a trailer section that may pass; None when there are none.
pub(crate) fn trailing(fields: Fields) -> Option<Fields> {
    if fields.iter().all(|field| hop::may_trail(&field)) {
        return Some(fields).filter(|fields| !fields.is_empty());
    }
    let mut kept = Fields::new();
    for field in fields.iter().filter(hop::may_trail) {
        kept.push(field.raw_name, field.value);
    }
    (!kept.is_empty()).then_some(kept)
}
