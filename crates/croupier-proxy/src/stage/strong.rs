//! Stage 5, first half: what was encoded once is given instead of being encoded again, and what
//! was not is asked for. Who asks does not wait: until it is made, the answer is encoded while its
//! client waits.
//!
//! On routes with dictionaries (RFC 9842) an answer also says what it may be a dictionary for, and
//! is given as what has changed since the version that the client has.

use std::sync::Arc;

use croupier_cache::{Object, forms::Made};
use croupier_coding::{
    Coding,
    dictionary::{
        Shared,
        fields::{UseAs, available},
        negotiate_shared, pattern,
    },
};
use croupier_http::Name;

use crate::{
    exchange::{Exchange, Recoding},
    kept::Kept,
    live::{
        shelf,
        strong::{self, Job, Work},
    },
    plan::cache::CompressPlan,
};

/// The bit of [`Object::asks`] for its hash; those of codings are below it.
const DICTIONARY: u8 = 1 << 7;
/// `dcz` is made in less time, and never refused; `dcb` is a little smaller.
const SHARED: [Shared; 2] = [Shared::Dcz, Shared::Dcb];
const USE_AS: &str = "use-as-dictionary";

/// What becomes of a kept answer that is to be recoded so.
pub(super) fn choose(
    x: &Exchange,
    rule: &CompressPlan,
    kept: &mut Kept,
    recoding: Recoding,
) -> Recoding {
    if rule.dictionary && matches!(recoding, Recoding::Encode(_) | Recoding::Chosen) {
        kept.add("vary", b"available-dictionary".to_vec());
    }
    let Recoding::Encode(coding) = recoding else {
        return recoding;
    };
    let object = kept.object().map(Arc::clone);
    if rule.dictionary && kept.status == 200 {
        let matches = tell(x, kept);
        if let (Some(object), Some(matches)) = (&object, matches) {
            remember(x, rule, object, matches);
        }
        let against = object
            .as_ref()
            .and_then(|held| against(x, rule, held, kept));
        if let Some(recoding) = against {
            return recoding;
        }
    }
    match object {
        Some(object) if rule.strong => once(x, rule, &object, kept, coding),
        _ => recoding,
    }
}

/// The form that was made once, if it was.
fn once(
    x: &Exchange,
    rule: &CompressPlan,
    object: &Object,
    kept: &mut Kept,
    coding: Coding,
) -> Recoding {
    let made = Made {
        coding: coding.as_str(),
        dictionary: None,
    };
    match object.form(&made).map(|form| &form.bytes) {
        Some(Some(bytes)) => {
            kept.take_form(bytes);
            Recoding::Made(made.coding)
        }
        // It was tried, and saves nothing to speak of.
        Some(None) => Recoding::Chosen,
        None => {
            let bit = 1 << coding as u8;
            let is_small = object.body.length() <= strong::BYTES_MAX as u64;
            if is_small && object.asks(bit) && !ask(x, rule, object, Work::Encode(coding)) {
                object.asks_again(bit);
            }
            Recoding::Encode(coding)
        }
    }
}

/// What has changed since the version that the client has, if that was made.
fn against(
    x: &Exchange,
    rule: &CompressPlan,
    object: &Object,
    kept: &mut Kept,
) -> Option<Recoding> {
    let fields = &x.incoming.head.fields;
    let mut lines = fields.all_named(b"available-dictionary");
    let hash = available(lines.next()?).filter(|_| lines.next().is_none())?;
    let shared = negotiate_shared(fields.all(Name::ACCEPT_ENCODING), &SHARED)?;
    let made = Made {
        coding: shared.as_str(),
        dictionary: Some(hash),
    };
    if let Some(form) = object.form(&made) {
        kept.take_form(form.bytes.as_ref()?);
        return Some(Recoding::Made(made.coding));
    }
    let is_small = object.body.length() <= shelf::BYTES_MAX as u64;
    if is_small && object.may_have_more_forms() {
        let dictionary = x.worker.live.strong.shelf.find(&origin(x), &hash)?;
        ask(x, rule, object, Work::Against(shared, dictionary));
    }
    None
}

/// Says what the answer may be a dictionary for, unless its origin has: the pattern.
fn tell(x: &Exchange, kept: &mut Kept) -> Option<Box<str>> {
    let mut told = None;
    kept.lines(&mut |name, value| {
        if name.eq_ignore_ascii_case(USE_AS.as_bytes()) {
            told = Some(UseAs::of(value));
        }
    });
    if let Some(told) = told {
        return told.map(|told| told.matches.into());
    }
    let said = UseAs {
        matches: pattern::of_versions(x.incoming.target.path()),
        ..UseAs::default()
    };
    kept.add(USE_AS, said.to_value()?.into_bytes());
    Some(said.matches.into())
}

/// Has the body put where dictionaries are found.
fn remember(x: &Exchange, rule: &CompressPlan, object: &Object, matches: Box<str>) {
    let is_small = object.body.length() <= shelf::BYTES_MAX as u64;
    if is_small && object.asks(DICTIONARY) {
        let work = Work::Dictionary(origin(x), matches);
        if !ask(x, rule, object, work) {
            object.asks_again(DICTIONARY);
        }
    }
}

/// False: there is no room for it now.
fn ask(x: &Exchange, rule: &CompressPlan, object: &Object, work: Work) -> bool {
    let Some(cache) = x.route_plan().and_then(|route| route.cache.as_ref()) else {
        return false;
    };
    x.worker.live.strong.ask(Job {
        store: Arc::clone(&cache.store),
        key: object.key.clone(),
        work,
        cpu: rule.cpu,
    })
}

fn origin(x: &Exchange) -> Box<[u8]> {
    let authority = x.incoming.target.authority.as_str();
    let origin = [x.incoming.scheme, "://", authority].concat();
    origin.into_bytes().into_boxed_slice()
}
