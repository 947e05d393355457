//! The one who asks for all: what becomes of a claim.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Waker,
};

use croupier_http::Fields;

use super::{
    Inner,
    filling::{Filling, Head, Shared, State},
    key,
    variants::{Variants, is_within, union},
    wait::End,
    writer::{PASS_MS, Writer},
};
use crate::{Body, Object, Rules, parts::Partial, rules::VaryNames};

/// What an answer on its way costs beside its bytes.
const FILLING: u64 = 1024;

/// It is yours to ask. Dropping it lets the next one ask.
#[derive(Debug)]
pub struct Fill {
    pub(super) store: Arc<Inner>,
    pub(super) primary: Arc<[u8]>,
    /// What was claimed: the primary key, or a variant's.
    pub(super) key: Arc<[u8]>,
    /// Who waits. None: nobody does, several ask at once.
    pub(super) end: Option<Arc<End>>,
    pub(super) epoch: u64,
}

/// Why there is no writer: the answer is to be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It is larger than what is kept.
    TooLarge,
    /// Too much is on its way.
    NoRoom,
}

impl Full {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NoRoom => "no-room",
        }
    }
}

/// Where an answer goes: its key, and the record that its variant belongs to.
type Destination = (Arc<[u8]>, Option<Arc<Object>>);

impl Fill {
    /// The answer's head is here, and it may be kept. `asked` are the fields of the request that was
    /// sent, `vary` is what the answer says of them. Who waited finds what arrives.
    ///
    /// # Errors
    ///
    /// It is not kept; who waited asks for himself.
    pub fn begin(
        self,
        head: Head,
        vary: &VaryNames,
        asked: &Fields,
    ) -> Result<(Writer, Filling), Full> {
        self.begin_as(head, vary, asked, None)
    }

    /// The same for an answer that is a part, of a representation that is not larger than
    /// [`super::Store::largest`]: it is read by whoever asked for it alone, and joined to what is
    /// held at its end. Its lines are without `Content-Range`.
    ///
    /// # Errors
    ///
    /// It is not kept.
    pub fn begin_part(
        self,
        head: Head,
        part: Partial,
        vary: &VaryNames,
        asked: &Fields,
    ) -> Result<(Writer, Filling), Full> {
        self.begin_as(head, vary, asked, Some(part))
    }

    /// Keeps no more than the head of an answer that is too large for one object: its bytes are
    /// kept slice by slice under keys of their own. What is held makes room for it.
    pub fn note(self, head: Head, vary: &VaryNames, asked: &Fields) {
        let Some(length) = head.length else { return };
        let (key, record) = self.destination(vary, asked, head.terms.received_ms);
        let mut terms = head.terms;
        terms.rules = terms.rules.and(Rules::PARTIAL);
        let body = Body::Memory(Arc::from([]));
        let object = Object::new(Box::from(&*key), 206, head.lines, body, terms);
        let object = object.with_parts(Partial::head(length), head.tags);
        if let Some(record) = &record {
            self.store.put_variants(record);
        }
        // Purged meanwhile, or without room: then it is not known.
        let _ = self.store.keep(object, record.as_ref(), self.epoch);
    }

    fn begin_as(
        self,
        head: Head,
        vary: &VaryNames,
        asked: &Fields,
        part: Option<Partial>,
    ) -> Result<(Writer, Filling), Full> {
        let received_ms = head.terms.received_ms;
        if head
            .length
            .is_some_and(|length| length > self.store.largest)
        {
            return Err(self.full(Full::TooLarge, received_ms));
        }
        let cost = FILLING + head.lines.len() as u64;
        if !self.store.budget.take(cost) {
            return Err(self.full(Full::NoRoom, received_ms));
        }
        let (key, variants) = self.destination(vary, asked, received_ms);
        let budget = Arc::clone(&self.store.budget);
        let shared = Arc::new(Shared::new(head, budget, cost));
        let filling = Filling::sit(&shared, &mut shared.flow());
        let own = self.end.as_ref().filter(|_| key == self.key);
        let remembered = self.store.purges.read();
        if remembered.has(self.epoch, &key, shared.tags()) {
            shared.flow().state = State::Passing;
            let counters = &self.store.counters;
            counters.refused(&key, "purged", received_ms);
        } else {
            if let Some(variants) = &variants {
                self.store.put_variants(variants);
            }
            if part.is_none() {
                self.store.pendings.begin(&key, own, &shared);
            }
        }
        drop(remembered);
        let writer = Writer {
            store: Arc::clone(&self.store),
            shared,
            key,
            variants,
            part,
            epoch: self.epoch,
            waking: Vec::<Waker>::new(),
            is_over: false,
        };
        Ok((writer, filling))
    }

    /// The answer is not for keeping: until that time nobody waits for such a one.
    pub fn pass(self, until_ms: u64) {
        self.store.mark_pass(&self.key, until_ms);
    }

    /// The answer says that what is held still holds: the same object with these lines and terms.
    /// It is kept unless a purge has come since this was claimed.
    #[must_use]
    pub fn refresh(self, old: &Arc<Object>, lines: Box<[u8]>, terms: crate::Terms) -> Arc<Object> {
        self.store.latest_ms.fetch_max(terms.received_ms, Relaxed);
        self.store.refresh(old, lines, terms, Some(self.epoch))
    }

    fn full(self, full: Full, received_ms: u64) -> Full {
        let counters = &self.store.counters;
        counters.refused(&self.key, full.as_str(), received_ms);
        self.pass(received_ms.saturating_add(PASS_MS));
        full
    }

    fn destination(&self, vary: &VaryNames, asked: &Fields, received_ms: u64) -> Destination {
        let held = self.store.memory.peek(&self.primary);
        let record = held.filter(|object| object.variants().is_some());
        let known = record.as_deref().and_then(Object::variants);
        let record = match known {
            None if vary.is_empty() => return (Arc::clone(&self.primary), None),
            Some(known) if is_within(vary, known.names()) => record,
            _ => {
                let names = known.map_or_else(|| vary.clone(), |known| union(vary, known.names()));
                let generation = self.store.next_generation(received_ms);
                let variants = Variants::new(names, generation);
                let key = Box::from(&*self.primary);
                Some(Arc::new(Object::of_variants(key, variants)))
            }
        };
        let mut bytes = Vec::new();
        if let Some(variants) = record.as_deref().and_then(Object::variants) {
            variants.key(&self.primary, asked, &mut bytes);
        }
        debug_assert_eq!(key::primary(&bytes), &*self.primary);
        (Arc::from(bytes), record)
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.store.pendings.release(&self.key, &end);
            end.come();
        }
    }
}
