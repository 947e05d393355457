//! What a 304, or an answer to HEAD, changes in what is kept (RFC 9111 sections 3.2, 4.3.4, 4.3.5):
//! its fields and its terms, never its body nor what says how to read it.

use croupier_http::{Fields, Name, NameSet, ResponseHead};

use super::{
    Because,
    conditional::{Validators, matches_strongly, matches_weakly},
    control::{Told, withheld},
    kept,
    policy::{Cookies, Policy},
    storing::{Asking, Moments, may_store},
};
use crate::{
    object::{Object, lines},
    terms::{Rules, Terms},
};

/// What belongs to the body that is kept, and so stays as it is. `ETag` too: what is kept is what it
/// was asked about by.
const STAYS: NameSet = NameSet::of(&[
    Name::CONTENT_ENCODING,
    Name::CONTENT_LENGTH,
    Name::CONTENT_RANGE,
    Name::ETAG,
]);

/// The same, outside the table of names.
const STAYS_EITHER: [&[u8]; 4] = [b"content-digest", b"content-md5", b"digest", b"repr-digest"];

/// Is a 304 about this object (section 4.3.4)? A strong tag in it must be the object's, which may
/// have become weak on the way: origins that compress weaken the tag of the 200 alone. Without a
/// strong tag it is about what was asked by, which is the object.
#[must_use]
pub fn is_about(held: &Validators<'_>, update: &Fields) -> bool {
    let Some(tag) = update.get(Name::ETAG) else {
        return true;
    };
    if !matches_strongly(tag, tag) {
        return true;
    }
    held.etag.is_some_and(|etag| matches_weakly(etag, tag))
}

/// What an answer to HEAD makes of a kept answer to GET (section 4.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadSays {
    /// It is the same: [`refresh`] it.
    Same,
    /// It is another: what is kept is stale.
    Other,
    /// Nothing: not a 200.
    Nothing,
}

/// Judges an answer to HEAD; `length` is that of the kept body.
#[must_use]
pub fn head_says(held: &Validators<'_>, length: u64, head: &ResponseHead) -> HeadSays {
    if head.status != 200 {
        return HeadSays::Nothing;
    }
    let fields = &head.fields;
    let is_same_tag = fields
        .get(Name::ETAG)
        .is_none_or(|tag| held.etag.is_some_and(|etag| matches_weakly(etag, tag)));
    let is_same_date = fields
        .get(Name::LAST_MODIFIED)
        .is_none_or(|date| held.last_modified == Some(date));
    let is_same_length = fields
        .get(Name::CONTENT_LENGTH)
        .is_none_or(|told| told == length.to_string().as_bytes());
    if is_same_tag && is_same_date && is_same_length {
        HeadSays::Same
    } else {
        HeadSays::Other
    }
}

/// The kept head as `update` changes it: a field that the update has takes the place of all lines of
/// that name. Cookies of the update are for its client alone, unless the policy keeps them.
pub fn merge(old: &[u8], update: &Fields, policy: &Policy, into: &mut Fields) {
    let told = Told::of(update);
    let changes = |name: Name, raw: &[u8]| {
        let stays = STAYS.contains(name)
            || STAYS_EITHER
                .iter()
                .any(|either| raw.eq_ignore_ascii_case(either))
            || (name == Name::SET_COOKIE && policy.cookies == Cookies::Refuse);
        !stays && !withheld(&told, update, raw)
    };
    into.clear();
    for (name, value) in lines(old) {
        let known = Name::from_bytes(name);
        let is_there = match known {
            // An update without a date was made now, and so are the answer's terms.
            Name::DATE => true,
            Name::OTHER => update
                .iter()
                .any(|field| field.raw_name.eq_ignore_ascii_case(name)),
            _ => update.contains(known),
        };
        if !(is_there && changes(known, name)) {
            into.push(name, value);
        }
    }
    for field in update.iter() {
        // `Age` and fields of the connection come along: the terms are reckoned with the one, and
        // neither is kept.
        if changes(field.name, field.raw_name) {
            into.push(field.raw_name, field.value);
        }
    }
}

/// The lines and the terms of an object after a 304, or after a HEAD that says the same.
///
/// # Errors
/// When what was kept may be kept no longer, or the answer was about something else
/// ([`Because::Mismatch`]). After a 304 it may still be given to who asked, but for a mismatch:
/// then the origin is asked without conditions.
pub fn refresh(
    asking: &Asking<'_>,
    object: &Object,
    update: &Fields,
    policy: &Policy,
    moments: Moments,
) -> Result<(Box<[u8]>, Terms), Because> {
    if !is_about(&Validators::of_lines(&object.lines), update) {
        return Err(Because::Mismatch);
    }
    // Of parts the head is held that the whole has.
    let is_partial = object.terms.rules.has(Rules::PARTIAL);
    let status = if is_partial { 200 } else { object.status };
    let mut head = ResponseHead::of_status(status);
    merge(&object.lines, update, policy, &mut head.fields);
    let mut terms = may_store(asking, &head, policy, moments)?;
    if is_partial {
        terms.rules = terms.rules.and(Rules::PARTIAL);
    }
    let mut kept = Vec::with_capacity(object.lines.len());
    kept::write_lines(&head.fields, moments, &mut kept);
    Ok((kept.into_boxed_slice(), terms))
}
