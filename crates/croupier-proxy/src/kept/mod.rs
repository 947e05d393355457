//! What the cache holds, as the answer to one request: whole, a part, or the word that nothing
//! has changed.

use std::sync::Arc;

use croupier_cache::{
    Body, Object,
    rules::{
        conditional::{self, Verdict},
        range::{self, Ranges},
    },
    store::Filling,
};
use croupier_http::{BodyLen, Fields, Method, Name, NameSet, RequestHead};

mod body;

pub(crate) use body::KeptBody;
use body::{Arriving, Parts, memory};

/// An answer of the cache.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) status: u16,
    /// Whose field lines they are.
    held: Held,
    /// Lines of it that are left out.
    without: NameSet,
    /// Lines instead of them.
    extra: Vec<(Name, Vec<u8>)>,
    pub(crate) framing: BodyLen,
    /// The length that an answer without body speaks of (HEAD).
    pub(crate) declared: Option<u64>,
    pub(crate) body: KeptBody,
    /// `Age`, seconds; None for an answer that has just come.
    pub(crate) age: Option<u32>,
}

/// What is held.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Whole(Arc<Object>),
    /// It is still arriving.
    Arriving(Arc<Filling>),
}

impl Held {
    fn status(&self) -> u16 {
        match self {
            Self::Whole(object) => object.status,
            Self::Arriving(filling) => filling.status(),
        }
    }

    /// Its field lines.
    fn text(&self) -> &[u8] {
        match self {
            Self::Whole(object) => &object.lines,
            Self::Arriving(filling) => filling.lines(),
        }
    }

    fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(object) => Some(match &object.body {
                Body::Memory(bytes) => bytes.len() as u64,
                Body::Disk(extent) => extent.length(),
            }),
            Self::Arriving(filling) => filling.length(),
        }
    }

    /// Its bytes from `first` to before `end`; None: to the end, wherever that is.
    fn body(&self, first: u64, end: Option<u64>) -> KeptBody {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Self::Whole(object) => {
                let length = memory(object).len();
                let end = end.map_or(length, |end| place(end).min(length));
                let at = place(first).min(end);
                let object = Arc::clone(object);
                KeptBody::Memory { object, at, end }
            }
            Self::Arriving(filling) => {
                let left = end.map(|end| end - first);
                KeptBody::Arriving(Box::new(Arriving::new(filling.reader(), first, left)))
            }
        }
    }
}

/// Fields that make no sense beside an answer that carries no representation (RFC 9110 section
/// 15.4.5).
const OF_CONTENT: NameSet = NameSet::of(&[
    Name::CONTENT_LENGTH,
    Name::CONTENT_RANGE,
    Name::CONTENT_TYPE,
    Name::CONTENT_ENCODING,
]);

/// What is asked of a held answer when not simply all of it.
const SPECIAL: NameSet = NameSet::of(&[Name::IF_NONE_MATCH, Name::IF_MODIFIED_SINCE, Name::RANGE]);

impl Kept {
    /// Answers a request from what is held. `age` is None for an answer that has just come.
    pub(crate) fn answer(asked: &RequestHead, held: Held, age: Option<u32>) -> Self {
        if asked.fields.present().intersects(SPECIAL) {
            let mut fields = Fields::new();
            for (name, value) in croupier_cache::object::lines(held.text()) {
                fields.push(name, value);
            }
            Self::special(asked, &fields, held, age)
        } else {
            Self::whole(asked, held, age)
        }
    }

    /// Its field lines, in order.
    pub(crate) fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in croupier_cache::object::lines(self.held.text()) {
            if self.without == NameSet::EMPTY || !self.without.contains(Name::from_bytes(name)) {
                emit(name, value);
            }
        }
        for (name, value) in &self.extra {
            emit(name.as_str().as_bytes(), value);
        }
    }

    fn special(asked: &RequestHead, fields: &Fields, held: Held, age: Option<u32>) -> Self {
        if conditional::judge(&asked.fields, held.status(), fields) == Verdict::NotModified {
            return Self::nothing(304, held, Vec::new(), age);
        }
        let may_be_part = asked.method == Method::Get && held.status() == 200;
        let (Some(length), Some(value), true) =
            (held.length(), asked.fields.sole(Name::RANGE), may_be_part)
        else {
            return Self::whole(asked, held, age);
        };
        if !conditional::range_applies(&asked.fields, fields) {
            return Self::whole(asked, held, age);
        }
        let ranges = match Ranges::of(value, length) {
            Ranges::Whole => return Self::whole(asked, held, age),
            Ranges::Unsatisfiable => {
                let value = format!("bytes */{length}").into_bytes();
                return Self::nothing(416, held, vec![(Name::CONTENT_RANGE, value)], age);
            }
            Ranges::Some(ranges) => ranges,
        };
        match (ranges.as_slice(), &held) {
            (&[(first, last)], _) => {
                let value = format!("bytes {first}-{last}/{length}").into_bytes();
                Self {
                    status: 206,
                    without: NameSet::EMPTY,
                    extra: vec![(Name::CONTENT_RANGE, value)],
                    framing: BodyLen::Length(last + 1 - first),
                    declared: None,
                    body: held.body(first, Some(last + 1)),
                    held,
                    age,
                }
            }
            (ranges, Held::Whole(object)) if matches!(object.body, Body::Memory(_)) => {
                let object = Arc::clone(object);
                Self::parts(held, &object, ranges, fields, age)
            }
            // Several parts of what is not all there would be several waits.
            _ => Self::whole(asked, held, age),
        }
    }

    /// An answer without a representation.
    fn nothing(status: u16, held: Held, extra: Vec<(Name, Vec<u8>)>, age: Option<u32>) -> Self {
        Self {
            status,
            held,
            without: OF_CONTENT,
            extra,
            framing: if status == 304 {
                BodyLen::None
            } else {
                BodyLen::Length(0)
            },
            declared: None,
            body: KeptBody::Nothing,
            age,
        }
    }

    fn whole(asked: &RequestHead, held: Held, age: Option<u32>) -> Self {
        let length = held.length();
        let is_head = asked.method == Method::Head;
        let none = is_head || matches!(held.status(), 204 | 304);
        Self {
            status: held.status(),
            without: NameSet::EMPTY,
            extra: Vec::new(),
            framing: match length {
                _ if none => BodyLen::None,
                Some(length) => BodyLen::Length(length),
                None => BodyLen::Chunked,
            },
            declared: length.filter(|_| is_head),
            body: if none {
                KeptBody::Nothing
            } else {
                held.body(0, length)
            },
            held,
            age,
        }
    }

    /// Several ranges in one answer (RFC 9110 section 14.6).
    fn parts(
        held: Held,
        object: &Arc<Object>,
        ranges: &[(u64, u64)],
        fields: &Fields,
        age: Option<u32>,
    ) -> Self {
        let length = memory(object).len() as u64;
        let content_type = fields.get(Name::CONTENT_TYPE);
        let multipart = range::Multipart::new(content_type, length, fastrand::u64(..));
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let mut total = 0;
        let mut parts = Vec::with_capacity(ranges.len());
        for &(first, last) in ranges {
            let before = multipart.before(first, last);
            total += before.len() as u64 + (last + 1 - first);
            parts.push((before, place(first), place(last + 1)));
        }
        let close = multipart.close();
        total += close.len() as u64;
        let own_type = multipart.content_type().into_bytes();
        Self {
            status: 206,
            held,
            without: NameSet::of(&[Name::CONTENT_TYPE]),
            extra: vec![(Name::CONTENT_TYPE, own_type)],
            framing: BodyLen::Length(total),
            declared: None,
            body: KeptBody::Parts(Box::new(Parts::new(Arc::clone(object), parts, close))),
            age,
        }
    }
}
