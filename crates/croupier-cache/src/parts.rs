//! An answer of which only parts are held (RFC 9111 section 3.3): which bytes these are, where they
//! lie in the object's body, and how a further part is joined to them (section 3.4).

use std::{io::Write as _, sync::Arc};

use crate::{
    Body, Object,
    object::lines,
    rules::{
        conditional::{Validators, matches_strongly},
        range::Span,
    },
    terms::Rules,
};

/// Parts of one representation that do not adjoin. Of more, those farthest from the newest go.
pub const PARTS_MAX: usize = 16;

/// Begins what is encoded: field values hold no such byte.
const ENCODED: u8 = 1;

/// What is held of a representation: spans in order, none of which adjoins another. They lie in the
/// object's body one behind the other. Without a span only its head is known: the rest is in slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    spans: Vec<Span>,
    length: u64,
}

impl Partial {
    /// One part of a representation of `length` bytes.
    #[must_use]
    pub fn one(span: Span, length: u64) -> Self {
        Self {
            spans: vec![span],
            length,
        }
    }

    /// Nothing but the head of a representation of `length` bytes.
    #[must_use]
    pub fn head(length: u64) -> Self {
        Self {
            spans: Vec::new(),
            length,
        }
    }

    /// Bytes of the whole representation.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Are its bytes held elsewhere, slice by slice?
    #[must_use]
    pub fn is_sliced(&self) -> bool {
        self.spans.is_empty()
    }

    /// Where in the body these bytes begin; `None` when not all of them are held.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<usize> {
        let mut before = 0_u64;
        for held in &self.spans {
            if held.first <= span.first && span.last <= held.last {
                return usize::try_from(before + (span.first - held.first)).ok();
            }
            before += held.length();
        }
        None
    }

    /// How many bytes are held from the first one on.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        match self.spans.first() {
            Some(span) if span.first == 0 => span.length(),
            _ => 0,
        }
    }

    /// Bytes beside those of an object.
    pub(crate) fn weight(&self) -> u64 {
        (size_of::<Self>() + self.spans.len() * size_of::<Span>()) as u64
    }

    /// As it goes to disk: no tag begins so.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = vec![ENCODED];
        // Writing to a vector never fails.
        let _ = write!(text, "{}", self.length);
        for span in &self.spans {
            let _ = write!(text, " {}-{}", span.first, span.last);
        }
        text
    }

    pub(crate) fn is_encoded(text: &[u8]) -> bool {
        text.first() == Some(&ENCODED)
    }

    /// What [`Self::encode`] wrote of a body of `bytes` bytes; `None` when it can not be that.
    pub(crate) fn decode(text: &[u8], bytes: u64) -> Option<Self> {
        let text = str::from_utf8(text.strip_prefix(&[ENCODED])?).ok()?;
        let mut words = text.split(' ');
        let length = words.next()?.parse().ok()?;
        let mut spans = Vec::new();
        for word in words.take(PARTS_MAX) {
            let (first, last) = word.split_once('-')?;
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            let is_behind = spans.last().is_none_or(|before: &Span| before.last < first);
            if !is_behind || last < first || last >= length {
                return None;
            }
            spans.push(Span { first, last });
        }
        let total: u64 = spans.iter().map(|span| span.length()).sum();
        (total == bytes).then_some(Self { spans, length })
    }

    fn is_whole(&self) -> bool {
        self.prefix() == self.length
    }

    /// Takes in a span: what it overlaps or adjoins becomes one with it.
    fn add(&mut self, new: Span) {
        let touches = |span: &Span| {
            span.first <= new.last.saturating_add(1) && new.first <= span.last.saturating_add(1)
        };
        let mut sum = new;
        for span in self.spans.iter().filter(|span| touches(span)) {
            sum.first = sum.first.min(span.first);
            sum.last = sum.last.max(span.last);
        }
        self.spans.retain(|span| !touches(span));
        let at = self.spans.partition_point(|span| span.first < sum.first);
        self.spans.insert(at, sum);
        if self.spans.len() > PARTS_MAX {
            let is_early = at < self.spans.len() / 2;
            let farthest = if is_early { self.spans.len() - 1 } else { 0 };
            self.spans.remove(farthest);
        }
    }
}

/// Do both belong to one representation, as only a strong validator can tell?
#[must_use]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (Validators::of_lines(one), Validators::of_lines(other));
    matches!((one.etag, other.etag), (Some(a), Some(b)) if matches_strongly(a, b))
}

/// The lines of a newer head with those of an older one that it does not name: a part in answer to
/// a condition need not repeat what the client knows (RFC 9110 section 15.3.7).
#[must_use]
pub fn merge_lines(newer: &[u8], older: &[u8]) -> Vec<u8> {
    let mut merged = newer.to_vec();
    for (name, value) in lines(older) {
        let is_there = lines(newer).any(|(other, _)| other.eq_ignore_ascii_case(name));
        if !is_there {
            crate::object::push_line(&mut merged, name, value);
        }
    }
    merged
}

/// What is held from now on, when `part` has come in addition to `held`. `None`: nothing new.
pub(crate) fn join(held: Option<&Object>, part: Object) -> Option<Object> {
    let Some(held) = held.filter(|held| held.is_answer() && is_same(&held.lines, &part.lines))
    else {
        return Some(settled(part));
    };
    let Some(before) = held.partial() else {
        return None; // all of it is held already
    };
    let now = part.partial()?;
    if before.length != now.length || before.is_sliced() {
        return Some(settled(part));
    }
    let (Body::Memory(old), Body::Memory(new)) = (&held.body, &part.body) else {
        return Some(settled(part));
    };
    let mut joined = before.clone();
    for span in &now.spans {
        joined.add(*span);
    }
    let total: u64 = joined.spans.iter().map(|span| span.length()).sum();
    let mut body: Arc<[u8]> = std::iter::repeat_n(0, usize::try_from(total).ok()?).collect();
    let into = Arc::get_mut(&mut body)?;
    for (from, bytes) in [(before, old), (now, new)] {
        let mut at = 0;
        for span in &from.spans {
            let count = usize::try_from(span.length()).ok()?;
            let piece = bytes.get(at..at + count)?;
            at += count;
            // One that had to go has no place any more.
            if let Some(place) = joined.place(*span) {
                into.get_mut(place..place + count)?.copy_from_slice(piece);
            }
        }
    }
    let lines = merge_lines(&part.lines, &held.lines).into_boxed_slice();
    let tags = part.tags().into();
    let object = Object::new(part.key, part.status, lines, Body::Memory(body), part.terms);
    Some(settled(object.with_parts(joined, tags)))
}

/// Parts that make up the whole are the whole.
fn settled(part: Object) -> Object {
    if !part.partial().is_some_and(Partial::is_whole) {
        return part;
    }
    let tags = part.tags().into();
    let mut terms = part.terms;
    terms.rules = Rules::from_bits(terms.rules.bits() & !Rules::PARTIAL.bits());
    Object::new(part.key, 200, part.lines, part.body, terms).with_tags(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Terms;

    const WHOLE: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    fn part(first: u64, last: u64, etag: &str) -> Object {
        let length = WHOLE.len() as u64;
        let bytes = &WHOLE[first as usize..=last as usize];
        let terms = Terms {
            rules: Rules::PARTIAL,
            ..Terms::default()
        };
        let lines = format!("ETag: {etag}\r\n").into_bytes().into_boxed_slice();
        let body = Body::Memory(Arc::from(bytes));
        let partial = Partial::one(Span { first, last }, length);
        Object::new(b"k"[..].into(), 206, lines, body, terms).with_parts(partial, Box::default())
    }

    fn bytes(object: &Object) -> &[u8] {
        match &object.body {
            Body::Memory(bytes) => bytes,
            Body::Disk(_) => &[],
        }
    }

    #[test]
    fn parts_in_any_order_become_the_whole() {
        let spans = [(0, 9), (20, 35), (8, 12), (13, 15), (16, 21)];
        for turn in 0..spans.len() {
            let mut held = None;
            for step in 0..spans.len() {
                let (first, last) = spans[(turn + step * 2) % spans.len()];
                held = join(held.as_ref(), part(first, last, "\"a\""));
                let object = held.as_ref().unwrap();
                if let Some(partial) = object.partial() {
                    for span in &partial.spans {
                        let at = partial.place(*span).unwrap();
                        let count = span.length() as usize;
                        let from = span.first as usize;
                        assert_eq!(&bytes(object)[at..at + count], &WHOLE[from..from + count]);
                    }
                }
            }
            let whole = held.unwrap();
            assert_eq!((whole.status, bytes(&whole)), (200, WHOLE), "turn {turn}");
            assert!(whole.partial().is_none() && !whole.terms.rules.has(Rules::PARTIAL));
        }
    }

    #[test]
    fn parts_of_two_representations_are_never_mixed() {
        for other in ["\"b\"", "W/\"a\""] {
            let held = part(0, 9, "\"a\"");
            let joined = join(Some(&held), part(10, 19, other)).unwrap();
            assert_eq!(bytes(&joined), &WHOLE[10..20], "{other}");
        }
        let weak = part(0, 9, "W/\"a\"");
        let joined = join(Some(&weak), part(10, 19, "W/\"a\"")).unwrap();
        assert_eq!(bytes(&joined), &WHOLE[10..20]);
    }

    #[test]
    fn parts_come_back_from_disk_as_they_were() {
        let joined = join(Some(&part(0, 9, "\"a\"")), part(20, 25, "\"a\"")).unwrap();
        let partial = joined.partial().unwrap();
        let text = partial.encode();
        assert_eq!(Partial::decode(&text, 16).as_ref(), Some(partial));
        let head = Partial::head(1 << 40);
        assert_eq!(Partial::decode(&head.encode(), 0), Some(head));
        for (text, bytes) in [
            (&text[..], 15),
            (b"\x0136 9-0", 10),
            (b"\x0136 0-36", 37),
            (b"\x0136 5-9 0-4", 10),
            (b"36 0-9", 10),
        ] {
            assert_eq!(Partial::decode(text, bytes), None, "{text:?}");
        }
    }

    #[test]
    fn parts_that_never_adjoin_stay_few() {
        let mut partial = Partial::one(Span { first: 0, last: 0 }, 1000);
        for at in 1..100 {
            let first = at * 10;
            partial.add(Span {
                first,
                last: first + 1,
            });
            assert!(partial.spans.len() <= PARTS_MAX);
            let is_there = partial.place(Span {
                first,
                last: first + 1,
            });
            assert!(is_there.is_some(), "the newest is held");
        }
    }
}
