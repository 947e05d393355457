//! Which lines of an answer's head are kept (RFC 9111 section 3.1).

use croupier_http::{
    Field, Fields, Name, NameSet, date,
    rules::hop::{HOP, is_listed},
};

use super::{
    control::{Told, withheld},
    storing::Moments,
};
use crate::object::push_line;

/// Never kept: the connection's, the framing, which whoever gives the answer writes anew, as well as
/// `Age`, and `Trailer`, whose fields are not kept either.
const NEVER: NameSet = HOP.union(NameSet::of(&[Name::AGE, Name::TRAILER]));

/// Never kept, outside the table of names.
const NEVER_EITHER: [&[u8]; 1] = [b"proxy-authentication-info"];

/// May this line of an answer be kept? `told` must be what `fields` tell.
#[must_use]
pub fn is_kept(field: &Field<'_>, fields: &Fields, told: &Told) -> bool {
    let is_of_the_connection = NEVER.contains(field.name)
        || NEVER_EITHER.iter().any(|never| field.is_named(never))
        || fields.contains(Name::CONNECTION) && is_listed(field, fields);
    !is_of_the_connection && !withheld(told, fields, field.raw_name)
}

/// Writes the lines that are kept, as objects keep them. An answer without `Date` gets the time it
/// came (RFC 9110 section 6.6.1).
pub fn write_lines(fields: &Fields, moments: Moments, out: &mut Vec<u8>) {
    let told = Told::of(fields);
    for field in fields.iter() {
        if is_kept(&field, fields, &told) {
            push_line(out, field.raw_name, field.value);
        }
    }
    if !fields.contains(Name::DATE) {
        let now = date::format(moments.received_ms / 1000);
        push_line(out, b"Date", now.as_bytes());
    }
}
