//! Fields in which an origin speaks to caches of its own side alone, and `Cache-Control` and `Expires`
//! are not heard: `CDN-Cache-Control` (RFC 9213), then `Surrogate-Control`, the older one.

use croupier_http::{Fields, Name};

use super::{
    control::{Told, WORDS, Word},
    list::{Argument, Directive, SECONDS_MAX, members, parts, seconds},
    structured::{Broken, Item, dictionary},
};

/// What the first targeted field tells that is lawful and says anything.
pub(super) fn targeted(fields: &Fields) -> Option<Told> {
    cdn(fields).or_else(|| surrogate(fields))
}

/// What `CDN-Cache-Control` tells, if it is lawful and not empty.
fn cdn(fields: &Fields) -> Option<Told> {
    if !fields.contains(Name::CDN_CACHE_CONTROL) {
        return None;
    }
    let mut told = Told::default();
    let mut count = 0;
    for line in fields.all(Name::CDN_CACHE_CONTROL) {
        let read = dictionary(line, |key, item| {
            count += 1;
            told.hear_targeted(key, item)
        });
        read.ok()?;
    }
    told.say(Word::TARGETED);
    (count > 0).then_some(told)
}

impl Told {
    /// A directive that we know with a value of another type breaks the field (section 2.1).
    fn hear_targeted(&mut self, key: &[u8], item: Item<'_>) -> Result<(), Broken> {
        let slot = match key {
            b"max-age" => &mut self.max_age,
            b"s-maxage" => &mut self.s_maxage,
            b"stale-while-revalidate" => &mut self.stale_while_revalidate,
            b"stale-if-error" => &mut self.stale_if_error,
            _ => {
                if let Some((name, word)) = WORDS.iter().find(|(name, _)| *name == key) {
                    return self.hear_word(name, *word, item);
                }
                return Ok(());
            }
        };
        let Item::Integer(seconds) = item else {
            return Err(Broken);
        };
        let seconds = u64::try_from(seconds).map_err(|_| Broken)?;
        *slot = Some(
            u32::try_from(seconds)
                .unwrap_or(SECONDS_MAX)
                .min(SECONDS_MAX),
        );
        Ok(())
    }

    fn hear_word(&mut self, name: &[u8], word: Word, item: Item<'_>) -> Result<(), Broken> {
        match item {
            Item::Boolean(true) => self.say(word),
            Item::Boolean(false) => self.unsay(word),
            Item::String(text) if matches!(name, b"no-cache" | b"private") => {
                let names = Directive {
                    name: b"",
                    argument: Argument::Quoted(text),
                };
                let lists = names.names().is_some();
                self.say(if lists { Word::WITHHOLDS } else { word });
            }
            _ => return Err(Broken),
        }
        Ok(())
    }
}

/// The name by which an origin may speak to us alone in `Surrogate-Control`. No request announces it
/// by `Surrogate-Capability`: origins that look for that field answer it with markup for surrogates
/// to assemble (ESI), which nobody here does, and what they say without a name is heard anyway.
pub const SURROGATE: &[u8] = b"croupier";

/// What `Surrogate-Control` tells (Edge Architecture Specification, W3C Note, section 2.3): `no-store`
/// and `max-age=FRESH+STALE`, to all surrogates or, as a parameter, to one. Without either it is
/// about something else than keeping.
fn surrogate(fields: &Fields) -> Option<Told> {
    let mut told = Told::default();
    let mut speaks = false;
    for member in fields.all_named(b"surrogate-control").flat_map(members) {
        let mut pieces = parts(member, b';');
        let directive = Directive::read(pieces.next().unwrap_or_default());
        if pieces.next().is_some_and(|target| target != SURROGATE) {
            continue;
        }
        if directive.is(b"no-store") {
            told.say(Word::NO_STORE);
            speaks = true;
        } else if directive.is(b"max-age") && told.max_age.is_none() {
            let Argument::Token(value) = directive.argument else {
                told.max_age = Some(0);
                speaks = true;
                continue;
            };
            let mut numbers = value.splitn(2, |&byte| byte == b'+');
            told.max_age = numbers.next().and_then(seconds).or(Some(0));
            told.stale_while_revalidate = numbers.next().and_then(seconds);
            told.stale_if_error = told.stale_while_revalidate;
            speaks = true;
        }
    }
    told.say(Word::TARGETED);
    speaks.then_some(told)
}
