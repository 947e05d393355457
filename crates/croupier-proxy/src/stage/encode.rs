//! Stage 5, first half: in which coding does the client get it (RFC 9110 sections 8.4 and 12.5.3)?
//!
//! Decided for every answer of a route that compresses, whoever gives it. What an answer forbids
//! stays as it is: `no-transform`, parts, codings of its own that the client takes, answers that set
//! cookies (their length would tell of what they hold: BREACH).

use croupier_cache::rules::{Asked, control::Wish};
use croupier_coding::{Chosen, Coding, negotiate};
use croupier_http::{BodyLen, Name, fields::members};

use super::strong;
use crate::{
    answer::Answer,
    exchange::{Exchange, Recoding},
    plan::cache::{CompressCookies, CompressPlan},
};

/// Decides what happens to the coding of an answer.
pub(crate) fn decide(x: &Exchange, answer: &mut Answer) -> Recoding {
    let Some(rule) = x.route_plan().and_then(|route| route.compress.as_ref()) else {
        return Recoding::Nothing;
    };
    let has = x.incoming.head.fields.sole(Name::IF_NONE_MATCH);
    let mut facts = Facts {
        has,
        ..Facts::default()
    };
    let (status, body) = match &*answer {
        Answer::Dealt(dealt) => {
            for field in dealt.head.fields.iter() {
                facts.see(field.name, field.value, rule);
            }
            (dealt.head.status, dealt.body)
        }
        Answer::Kept(kept) => {
            kept.lines(&mut |name, value| facts.see(Name::from_bytes(name), value, rule));
            (kept.status, kept.framing)
        }
        _ => return Recoding::Nothing,
    };
    facts.length = match (body, facts.declared) {
        (BodyLen::Length(length), _) => Some(length),
        (_, declared) => declared,
    };
    let recoding = facts.judge(x, rule, status);
    match answer {
        Answer::Kept(kept) => strong::choose(x, rule, kept, recoding),
        _ => recoding,
    }
}

/// What of a head decides.
#[derive(Debug, Default)]
struct Facts<'a> {
    /// The tags of what the client has.
    has: Option<&'a [u8]>,
    /// How it came to have it.
    copy: Copied,
    is_of_type: bool,
    coding: Coded,
    keeps: bool,
    length: Option<u64>,
    declared: Option<u64>,
}

/// How a client came by what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Copied {
    #[default]
    AsItWas,
    /// Its tag is the weak form of the answer's.
    Recoded,
}

/// The coding that an answer comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coded {
    #[default]
    Not,
    /// One that we can undo.
    In(Coding),
    /// Another, or several.
    Otherwise,
}

impl Facts<'_> {
    fn see(&mut self, name: Name, value: &[u8], rule: &CompressPlan) {
        match name {
            Name::CONTENT_TYPE => self.is_of_type = rule.takes_type(value),
            Name::CONTENT_ENCODING => {
                self.coding = match (self.coding, Coding::of(value)) {
                    _ if value.eq_ignore_ascii_case(b"identity") => self.coding,
                    (Coded::Not, Some(coding)) => Coded::In(coding),
                    _ => Coded::Otherwise,
                };
            }
            Name::ETAG if value.starts_with(b"\"") => {
                let is_weak = |tag: &[u8]| tag.strip_prefix(b"W/") == Some(value);
                if self.has.is_some_and(|tags| members(tags).any(is_weak)) {
                    self.copy = Copied::Recoded;
                }
            }
            Name::CONTENT_RANGE => self.keeps = true,
            Name::SET_COOKIE => self.keeps |= rule.cookies == CompressCookies::Refuse,
            Name::CACHE_CONTROL => {
                let mut directives = members(value);
                self.keeps |= directives.any(|one| one.eq_ignore_ascii_case(b"no-transform"));
            }
            Name::CONTENT_LENGTH => {
                self.declared = str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
            }
            _ => {}
        }
    }

    fn judge(&self, x: &Exchange, rule: &CompressPlan, status: u16) -> Recoding {
        let fields = &x.incoming.head.fields;
        let has_content = (200..600).contains(&status) && !matches!(status, 204 | 205 | 206 | 304);
        if status == 304 {
            return match self.copy {
                Copied::Recoded => Recoding::Before,
                Copied::AsItWas => Recoding::Chosen,
            };
        }
        if self.keeps || !has_content || Asked::of(fields).wishes(Wish::NO_TRANSFORM) {
            return Recoding::Nothing;
        }
        let accept = fields.all(Name::ACCEPT_ENCODING);
        match self.coding {
            Coded::Otherwise => Recoding::Nothing,
            Coded::In(coding) => match negotiate(accept, &[coding]) {
                Chosen::Coded(_) => Recoding::Chosen,
                Chosen::Identity | Chosen::Nothing => Recoding::Decode(coding),
            },
            Coded::Not if !self.is_of_type => Recoding::Nothing,
            Coded::Not if self.length.is_some_and(|length| length < rule.min) => Recoding::Nothing,
            Coded::Not => match negotiate(accept, &rule.codings) {
                Chosen::Coded(coding) => Recoding::Encode(coding),
                Chosen::Identity | Chosen::Nothing => Recoding::Chosen,
            },
        }
    }
}

/// Field lines as the recoded answer has them: a weak tag, since the bytes are others
/// (RFC 9110 section 8.8.1), `Vary`, and nothing that speaks of the bytes that were.
pub(crate) struct Relined<'a> {
    recoding: Recoding,
    emit: &'a mut dyn FnMut(&[u8], &[u8]),
    varies: bool,
}

/// Fields, outside the table of names, that speak of the very bytes.
const OF_BYTES: [&[u8]; 4] = [b"content-digest", b"content-md5", b"digest", b"repr-digest"];

impl<'a> Relined<'a> {
    pub(crate) fn new(recoding: Recoding, emit: &'a mut dyn FnMut(&[u8], &[u8])) -> Self {
        Self {
            recoding,
            emit,
            varies: false,
        }
    }

    /// One line of the answer as it was.
    pub(crate) fn line(&mut self, raw_name: &[u8], value: &[u8]) {
        if self.recoding == Recoding::Nothing {
            return (self.emit)(raw_name, value);
        }
        let name = Name::from_bytes(raw_name);
        if name == Name::VARY {
            let names =
                |member: &[u8]| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding");
            self.varies |= members(value).any(names);
        }
        if self.recoding == Recoding::Before {
            if name == Name::ETAG && value.starts_with(b"\"") {
                return (self.emit)(raw_name, &[b"W/", value].concat());
            }
        } else if self.recoding != Recoding::Chosen {
            match name {
                Name::CONTENT_ENCODING | Name::ACCEPT_RANGES => return,
                Name::ETAG if value.starts_with(b"\"") => {
                    let weak = [b"W/", value].concat();
                    return (self.emit)(raw_name, &weak);
                }
                Name::OTHER
                    if OF_BYTES
                        .iter()
                        .any(|one| raw_name.eq_ignore_ascii_case(one)) =>
                {
                    return;
                }
                _ => {}
            }
        }
        (self.emit)(raw_name, value);
    }

    /// What stands behind them.
    pub(crate) fn finish(self) {
        if self.recoding == Recoding::Nothing {
            return;
        }
        let coding = match self.recoding {
            Recoding::Encode(coding) => coding.as_str(),
            Recoding::Made(coding) => coding,
            Recoding::Nothing | Recoding::Chosen | Recoding::Before | Recoding::Decode(_) => "",
        };
        if !coding.is_empty() {
            (self.emit)(b"content-encoding", coding.as_bytes());
        }
        if !self.varies {
            (self.emit)(b"vary", b"accept-encoding");
        }
    }
}
