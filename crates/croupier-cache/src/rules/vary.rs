//! Which of a target's variants a request is for (RFC 9111 section 4.1).
//!
//! Two requests are for the same variant when the values of the fields that `Vary` names say the
//! same. Values are brought into one form first, each only as far as its grammar allows.

use std::cmp::Reverse;

use croupier_http::{Fields, Name};

use super::list::{is_token, members, parts, trim};

/// More names than this are not kept apart: such an answer is not kept.
pub const NAMES_MAX: usize = 16;
/// Languages and codings of a request that are put in order; of a longer list the order counts.
const SORTED_MAX: usize = 24;

/// The field names that a response lists in `Vary`: lower case, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaryNames {
    /// Joined by commas.
    names: Box<[u8]>,
}

impl VaryNames {
    /// The names; `None` for `*` in any place, for what is no name and for more than [`NAMES_MAX`]:
    /// no request is ever known to be for the same variant.
    #[must_use]
    pub fn of(fields: &Fields) -> Option<Self> {
        if !fields.contains(Name::VARY) {
            return Some(Self::default());
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        for member in fields.all(Name::VARY).flat_map(members) {
            if member == b"*" || !is_token(member) || names.len() >= NAMES_MAX {
                return None;
            }
            let name = member.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Some(Self {
            names: names.join(&b","[..]).into_boxed_slice(),
        })
    }

    /// Nothing is listed: there is one variant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        members(&self.names)
    }

    /// As they are kept: `a,b`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.names
    }

    /// What [`VaryNames::as_bytes`] gave.
    #[must_use]
    pub fn from_bytes(names: &[u8]) -> Self {
        Self {
            names: names.into(),
        }
    }
}

/// Appends what of a request tells its variant. Equal bytes are the same variant. Allocates nothing
/// but what `out` grows by.
pub fn variant(names: &VaryNames, fields: &Fields, out: &mut Vec<u8>) {
    for name in names.iter() {
        let known = Name::from_bytes(name);
        let is_there = if known == Name::OTHER {
            fields.all_named(name).next().is_some()
        } else {
            fields.contains(known)
        };
        // Absent and empty differ: without Accept-Encoding anything goes, with an empty one nothing.
        out.push(u8::from(is_there));
        if is_there {
            match name {
                b"accept-encoding" => codings(fields, out),
                b"accept-language" => languages(fields, out),
                _ => plain(fields.all_named(name), out),
            }
        }
        out.push(0);
    }
}

/// The lines as one list, without white space around its commas.
fn plain<'a>(lines: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (at, member) in lines.flat_map(members).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(member);
    }
}

/// One member of a list with qualities.
#[derive(Clone, Copy, Default)]
struct Weighed<'a> {
    name: &'a [u8],
    /// Thousandths.
    quality: u16,
}

impl<'a> Weighed<'a> {
    fn of(member: &'a [u8]) -> Self {
        let mut pieces = parts(member, b';');
        let name = pieces.next().unwrap_or_default();
        let quality = pieces.find_map(|piece| {
            let value = piece
                .strip_prefix(b"q=")
                .or_else(|| piece.strip_prefix(b"Q="))?;
            thousandths(trim(value))
        });
        Self {
            name,
            quality: quality.unwrap_or(1000),
        }
    }
}

/// `0.5` (RFC 9110 section 12.4.2); what is none is 1.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (&whole, rest) = value.split_first()?;
    let fraction = match rest {
        [] => rest,
        [b'.', fraction @ ..] if fraction.len() <= 3 => fraction,
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |digit| u16::from(digit - b'0'));
    let sum = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    Some(sum.min(1000))
}

/// The members of the lines, at most [`SORTED_MAX`] of them.
fn weighed<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    all: &mut [Weighed<'a>; SORTED_MAX],
) -> Option<usize> {
    let mut count = 0;
    for member in lines.flat_map(members) {
        *all.get_mut(count)? = Weighed::of(member);
        count += 1;
    }
    Some(count)
}

/// The codings that the client takes, in order, each once. How much it likes each is left out:
/// whatever the origin chose for one of two such clients, the other takes it too. `identity;q=0` and
/// `*;q=0` stay: they forbid.
fn codings(fields: &Fields, out: &mut Vec<u8>) {
    let mut all = [Weighed::default(); SORTED_MAX];
    let Some(count) = weighed(fields.all(Name::ACCEPT_ENCODING), &mut all) else {
        return plain(fields.all(Name::ACCEPT_ENCODING), out);
    };
    let all = &mut all[..count];
    for coding in all.iter_mut() {
        let is_old_name = coding.name.eq_ignore_ascii_case(b"x-gzip");
        if is_old_name {
            coding.name = b"gzip";
        }
    }
    all.sort_unstable_by(|a, b| {
        lower(a.name)
            .cmp(lower(b.name))
            .then(b.quality.cmp(&a.quality))
    });
    let mut last: &[u8] = b"";
    for coding in all.iter().filter(|coding| !coding.name.is_empty()) {
        let forbids = coding.name == b"*" || coding.name.eq_ignore_ascii_case(b"identity");
        let is_again = coding.name.eq_ignore_ascii_case(last);
        if is_again || (coding.quality == 0 && !forbids) {
            continue;
        }
        last = coding.name;
        out.extend(lower(coding.name));
        out.extend_from_slice(if coding.quality == 0 { b";0," } else { b"," });
    }
}

/// The languages in the order of the client's liking; equally liked ones in that of the alphabet.
fn languages(fields: &Fields, out: &mut Vec<u8>) {
    let lines = || fields.all_named(b"accept-language");
    let mut all = [Weighed::default(); SORTED_MAX];
    let Some(count) = weighed(lines(), &mut all) else {
        return plain(lines(), out);
    };
    let all = &mut all[..count];
    all.sort_unstable_by(|a, b| {
        let liking = Reverse(a.quality).cmp(&Reverse(b.quality));
        liking.then_with(|| lower(a.name).cmp(lower(b.name)))
    });
    for language in all.iter() {
        out.extend(lower(language.name));
        let thousands = language.quality / 1000;
        let digit = |place: u16| b'0' + u8::try_from(language.quality / place % 10).unwrap_or(0);
        out.extend_from_slice(&[b'=', b'0' + u8::from(thousands > 0), digit(100), digit(10)]);
        out.extend_from_slice(&[digit(1), b',']);
    }
}

fn lower(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    text.iter().map(u8::to_ascii_lowercase)
}
