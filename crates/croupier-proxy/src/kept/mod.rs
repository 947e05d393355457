//! What the cache holds, as the answer to one request: whole, a part, or the word that nothing
//! has changed.

use std::sync::Arc;

use croupier_cache::{
    Body, Object,
    rules::{
        conditional::{self, IfRange, Judged, Validators},
        range::{Multipart, Ranges, Span, Unsatisfiable, write_content_range},
    },
    store::Filling,
};
use croupier_http::{BodyLen, Method, Name, NameSet, RequestHead};

mod body;
mod lying;
mod parts;
mod slices;

pub(crate) use body::KeptBody;
use body::{Arriving, Parts, memory};
use lying::Lying;
pub(crate) use parts::Share;
pub(crate) use slices::{Lost, Slice, Slices};

/// An answer of the cache.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) status: u16,
    text: Text,
    without: Without,
    /// Lines beside them.
    extra: Vec<(&'static str, Vec<u8>)>,
    pub(crate) framing: BodyLen,
    /// The length that an answer without body speaks of (HEAD).
    pub(crate) declared: Option<u64>,
    pub(crate) body: KeptBody,
    /// `Age`, seconds; None for an answer that has just come.
    pub(crate) age: Option<u32>,
}

/// Lines of what is held that are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// `Content-Type`: the parts have their own.
    Type,
    /// All that describes the content.
    Content,
}

impl Without {
    fn has(self, name: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Type => Name::from_bytes(name) == Name::CONTENT_TYPE,
            Self::Content => !conditional::stands_in_304(name),
        }
    }
}

/// What is held.
#[derive(Debug)]
pub(crate) enum Held {
    Whole(Arc<Object>),
    /// It is still arriving.
    Arriving(Filling),
}

/// Whose field lines they are.
#[derive(Debug)]
enum Text {
    Whole(Arc<Object>),
    /// A copy: what arrives is read once, by one reader.
    Own(Box<[u8]>),
}

impl Held {
    fn status(&self) -> u16 {
        match self {
            Self::Whole(object) => object.status,
            Self::Arriving(filling) => filling.status,
        }
    }

    /// Its field lines.
    fn text(&self) -> &[u8] {
        match self {
            Self::Whole(object) => &object.lines,
            Self::Arriving(filling) => &filling.lines,
        }
    }

    fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(object) => Some(object.body.length()),
            Self::Arriving(filling) => filling.length,
        }
    }

    /// Its lines, and its bytes from `first` to before `end`; None: to the end, wherever that is.
    fn split(self, first: u64, end: Option<u64>) -> (Text, KeptBody) {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Self::Whole(object) => {
                if let Body::Disk(extent) = &object.body {
                    let end = end.unwrap_or(u64::MAX).min(extent.length());
                    let lying = Lying::new(extent.clone(), first.min(end), end);
                    return (Text::Whole(object), KeptBody::Lying(Box::new(lying)));
                }
                let length = memory(&object).len();
                let end = end.map_or(length, |end| place(end).min(length));
                let at = place(first).min(end);
                let text = Text::Whole(Arc::clone(&object));
                (text, KeptBody::Memory { object, at, end })
            }
            Self::Arriving(filling) => {
                let text = Text::Own(filling.lines.clone());
                let left = end.map(|end| end - first);
                let arriving = Arriving::new(filling.reader(), first, left);
                (text, KeptBody::Arriving(Box::new(arriving)))
            }
        }
    }

    fn into_text(self) -> Text {
        match self {
            Self::Whole(object) => Text::Whole(object),
            Self::Arriving(filling) => Text::Own(filling.lines.clone()),
        }
    }
}

const CONTENT_RANGE: &str = "content-range";

/// What is asked of a held answer when not simply all of it.
const SPECIAL: NameSet = NameSet::of(&[Name::IF_NONE_MATCH, Name::IF_MODIFIED_SINCE, Name::RANGE]);

impl Kept {
    /// Answers a request from what is held. `age` is None for an answer that has just come.
    pub(crate) fn answer(asked: &RequestHead, held: Held, age: Option<u32>) -> Self {
        if let Held::Whole(object) = &held
            && let Some(partial) = object.partial()
        {
            // It was looked at before anybody was asked whether it holds still.
            let share = Share::of(asked, object, partial).unwrap_or(Share::Unsatisfiable);
            return Self::share(Arc::clone(object), share, age, KeptBody::Nothing);
        }
        if asked.fields.present().intersects(SPECIAL) {
            Self::special(asked, held, age)
        } else {
            Self::whole(asked, held, age)
        }
    }

    /// Its field lines as one text, when all of them go.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        (self.without == Without::Nothing).then(|| self.kept_text())
    }

    fn kept_text(&self) -> &[u8] {
        match &self.text {
            Text::Whole(object) => &object.lines,
            Text::Own(lines) => lines,
        }
    }

    /// Lines beside those that were kept.
    pub(crate) fn extra(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.extra {
            emit(name.as_bytes(), value);
        }
    }

    /// Its field lines, in order.
    pub(crate) fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        let text = self.kept_text();
        for (name, value) in croupier_cache::object::lines(text) {
            if !self.without.has(name) {
                emit(name, value);
            }
        }
        self.extra(emit);
    }

    /// The object, when all of it is given from memory.
    pub(crate) fn object(&self) -> Option<&Arc<Object>> {
        let is_whole = self.without == Without::Nothing && self.status != 206;
        match (&self.text, &self.body) {
            (Text::Whole(object), KeptBody::Memory { .. } | KeptBody::Nothing) => {
                Some(object).filter(|held| is_whole && matches!(held.body, Body::Memory(_)))
            }
            _ => None,
        }
    }

    /// One more line.
    pub(crate) fn add(&mut self, name: &'static str, value: Vec<u8>) {
        self.extra.push((name, value));
    }

    /// Another form of all of it is given.
    pub(crate) fn take_form(&mut self, bytes: &Arc<[u8]>) {
        let length = bytes.len() as u64;
        if self.framing == BodyLen::None {
            self.declared = self.declared.and(Some(length));
        } else {
            self.framing = BodyLen::Length(length);
            let bytes = Arc::clone(bytes);
            self.body = KeptBody::Form { bytes, at: 0 };
        }
    }

    fn special(asked: &RequestHead, held: Held, age: Option<u32>) -> Self {
        let validators = Validators::of_lines(held.text());
        let status = held.status();
        match conditional::judge(asked.method, &asked.fields, status, &validators) {
            Judged::NotModified => return Self::nothing(304, held, Vec::new(), age),
            Judged::Whole | Judged::Origin => {}
        }
        let heard = conditional::if_range(&asked.fields, &validators) == IfRange::Holds;
        let may_be_part = asked.method == Method::Get && status == 200 && heard;
        let (Some(length), Some(value), true) =
            (held.length(), asked.fields.sole(Name::RANGE), may_be_part)
        else {
            return Self::whole(asked, held, age);
        };
        let ranges = match Ranges::of(value, length) {
            Ok(Some(ranges)) => ranges,
            Ok(None) => return Self::whole(asked, held, age),
            Err(Unsatisfiable) => {
                let extra = vec![(CONTENT_RANGE, content_range(None, length))];
                return Self::nothing(416, held, extra, age);
            }
        };
        match (ranges.single(), held) {
            (Some(span), held) => {
                let (text, body) = held.split(span.first, Some(span.last + 1));
                Self {
                    status: 206,
                    text,
                    without: Without::Nothing,
                    extra: vec![(CONTENT_RANGE, content_range(Some(span), length))],
                    framing: BodyLen::Length(span.length()),
                    declared: None,
                    body,
                    age,
                }
            }
            (None, Held::Whole(object)) if matches!(object.body, Body::Memory(_)) => {
                Self::parts(object, &ranges, age)
            }
            // Several parts of what is not all there would be several waits.
            (None, held) => Self::whole(asked, held, age),
        }
    }

    /// An answer without a representation.
    fn nothing(
        status: u16,
        held: Held,
        extra: Vec<(&'static str, Vec<u8>)>,
        age: Option<u32>,
    ) -> Self {
        Self {
            status,
            text: held.into_text(),
            without: Without::Content,
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
        let status = held.status();
        let none = is_head || matches!(status, 204 | 304);
        let (text, body) = if none {
            (held.into_text(), KeptBody::Nothing)
        } else {
            held.split(0, length)
        };
        Self {
            status,
            text,
            without: Without::Nothing,
            extra: Vec::new(),
            framing: match length {
                _ if none => BodyLen::None,
                Some(length) => BodyLen::Length(length),
                None => BodyLen::Chunked,
            },
            declared: length.filter(|_| is_head),
            body,
            age,
        }
    }

    /// Several ranges in one answer (RFC 9110 section 14.6).
    fn parts(object: Arc<Object>, ranges: &Ranges, age: Option<u32>) -> Self {
        let boundary = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut lines = croupier_cache::object::lines(&object.lines);
        let multipart = Multipart {
            boundary: &boundary,
            content_type: lines
                .find(|(name, _)| Name::from_bytes(name) == Name::CONTENT_TYPE)
                .map(|(_, value)| value),
            length: memory(&object).len() as u64,
        };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let parts = ranges.spans().iter().map(|span| {
            let mut before = Vec::with_capacity(160);
            multipart.write_head(&mut before, *span);
            (before, place(span.first), place(span.last + 1))
        });
        let parts: Vec<_> = parts.collect();
        let mut close = Vec::with_capacity(48);
        multipart.write_end(&mut close);
        let content_type = multipart.content_type().into_bytes();
        Self {
            status: 206,
            without: Without::Type,
            extra: vec![(Name::CONTENT_TYPE.as_str(), content_type)],
            framing: BodyLen::Length(multipart.body_length(ranges)),
            declared: None,
            text: Text::Whole(Arc::clone(&object)),
            body: KeptBody::Parts(Box::new(Parts::new(Arc::clone(&object), parts, close))),
            age,
        }
    }
}

fn content_range(span: Option<Span>, length: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(48);
    write_content_range(&mut value, span, length);
    value
}
