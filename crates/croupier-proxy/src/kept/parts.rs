//! An answer of which only parts are held, as the answer to one request: what it gets of it.

use std::sync::Arc;

use croupier_cache::{
    Body, Object,
    parts::Partial,
    rules::{
        conditional::{self, IfRange, Judged, Validators},
        range::{ContentRange, Ranges, Span, Unsatisfiable},
    },
    store::Filling,
};
use croupier_http::{BodyLen, Method, Name, RequestHead};

use super::{CONTENT_RANGE, Kept, Text, Without, body::Arriving, body::KeptBody, content_range};

/// What a request gets of an answer of which only parts are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// The word that nothing has changed.
    NotModified,
    /// No more than the head.
    Head,
    /// The word that there are no such bytes.
    Unsatisfiable,
    /// These bytes, which are held.
    Part(Span),
    /// These bytes, which are in slices.
    Slices(Span),
    /// All of them, which are in slices.
    AllSlices,
}

impl Share {
    /// None: more than what is held.
    pub(crate) fn of(asked: &RequestHead, object: &Object, partial: &Partial) -> Option<Self> {
        let validators = Validators::of_lines(&object.lines);
        let judged = conditional::judge(asked.method, &asked.fields, object.status, &validators);
        if judged == Judged::NotModified {
            return Some(Self::NotModified);
        }
        if asked.method == Method::Head {
            return Some(Self::Head);
        }
        let heard = conditional::if_range(&asked.fields, &validators) == IfRange::Holds;
        let value = asked.fields.sole(Name::RANGE).filter(|_| heard);
        let is_in_memory = matches!(object.body, Body::Memory(_));
        let all = partial.is_sliced().then_some(Self::AllSlices);
        let Some(value) = value else { return all };
        match Ranges::of(value, partial.length()) {
            Err(Unsatisfiable) => Some(Self::Unsatisfiable),
            Ok(None) => all,
            // Several parts of what is not all there would be several waits.
            Ok(Some(ranges)) => {
                let span = ranges.single()?;
                if partial.is_sliced() {
                    return Some(Self::Slices(span));
                }
                // One that came from disk may have stayed in its file.
                let place = partial.place(span).filter(|_| is_in_memory);
                place.map(|_| Self::Part(span))
            }
        }
    }
}

impl Kept {
    /// Answers a request with its share of what is held. What is in slices comes from `body`.
    pub(crate) fn share(
        object: Arc<Object>,
        share: Share,
        age: Option<u32>,
        body: KeptBody,
    ) -> Self {
        let partial = object.partial();
        let length = partial.map_or(0, Partial::length);
        let nothing = |status, without, extra, framing| Self {
            status,
            text: Text::Whole(Arc::clone(&object)),
            without,
            extra,
            framing,
            declared: None,
            body: KeptBody::Nothing,
            age,
        };
        match share {
            Share::NotModified => nothing(304, Without::Content, Vec::new(), BodyLen::None),
            Share::Head => Self {
                declared: Some(length),
                ..nothing(200, Without::Nothing, Vec::new(), BodyLen::None)
            },
            Share::Unsatisfiable => {
                let extra = vec![(CONTENT_RANGE, content_range(None, length))];
                nothing(416, Without::Content, extra, BodyLen::Length(0))
            }
            Share::AllSlices => Self {
                body,
                framing: BodyLen::Length(length),
                ..nothing(200, Without::Nothing, Vec::new(), BodyLen::None)
            },
            Share::Part(span) | Share::Slices(span) => {
                let extra = vec![(CONTENT_RANGE, content_range(Some(span), length))];
                let place = partial.and_then(|partial| partial.place(span));
                let body = match place {
                    Some(at) => KeptBody::Memory {
                        object: Arc::clone(&object),
                        at,
                        // Not beyond the body, which is in memory.
                        end: at + usize::try_from(span.length()).unwrap_or(0),
                    },
                    None => body,
                };
                Self {
                    body,
                    ..nothing(206, Without::Nothing, extra, BodyLen::Length(span.length()))
                }
            }
        }
    }

    /// A part that is arriving, for whoever asked for it.
    pub(crate) fn part(filling: Filling, part: ContentRange, age: Option<u32>) -> Self {
        let text = Text::Own(filling.lines.clone());
        let length = part.length.unwrap_or(0);
        let left = part.span.length();
        Self {
            status: 206,
            text,
            without: Without::Nothing,
            extra: vec![(CONTENT_RANGE, content_range(Some(part.span), length))],
            framing: BodyLen::Length(left),
            declared: None,
            body: KeptBody::Arriving(Box::new(Arriving::new(filling.reader(), 0, Some(left)))),
            age,
        }
    }
}
