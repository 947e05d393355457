//! One answer that is kept: whole, unchangeable, shared by all who give it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
};

use croupier_http::Fields;

use crate::{
    forms::{Form, Forms, Made},
    parts::Partial,
    store::{counters::Site, variants::Variants},
    terms::{Rules, Terms},
};

/// A kept answer. What changes is a new object: a 304 makes one with another head and the same body.
pub struct Object {
    /// All of what it was asked by, compared in full on a hit: see `store::key`.
    pub key: Box<[u8]>,
    /// 200, 203, 204, 301, ...
    pub status: u16,
    /// Its field lines as they came from the origin, hop fields left out: `name: value CRLF`.
    pub lines: Box<[u8]>,
    /// Where its bytes are.
    pub body: Body,
    /// What it lives by.
    pub terms: Terms,
    /// How often it was given.
    hits: AtomicU32,
    /// What was asked of whoever works in the background, a bit each: see [`Object::asks`].
    asked: AtomicU8,
    /// Who counts what is done with it; none before a store has it.
    site: Option<Arc<Site>>,
    /// What few objects have.
    more: Option<Box<More>>,
}

/// Where the bytes of a kept answer are.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory.
    Memory(Arc<[u8]>),
    /// In the disk tier, whence it is sent without passing through memory.
    Disk(crate::disk::Extent),
}

/// By what beside its key an answer is purged: each once.
pub type Tags = Box<[Box<[u8]>]>;

/// What few objects have.
enum More {
    Known(Known),
    /// It is no answer: it says which fields tell the variants of its key apart.
    Variants(Variants),
    /// It is no answer: it says that until this time answers are probably not for keeping.
    Pass(u64),
}

/// What is known of an answer beside what came.
#[derive(Debug, Default)]
struct Known {
    tags: Tags,
    forms: Forms,
    /// Only these parts of it are held.
    partial: Option<Partial>,
}

impl Body {
    /// Bytes, wherever they are.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(extent) => extent.length(),
        }
    }
}

impl Object {
    /// What an object in memory costs beside the bytes of its key, its lines and its body: itself,
    /// the counts of its `Arc` and of its body's, its place in the index with what such a table
    /// keeps in reserve after it has doubled. `tests/store/weight.rs` measures it.
    pub const OVERHEAD: u64 = 232;

    /// An object that nobody has been given yet.
    #[must_use]
    pub fn new(key: Box<[u8]>, status: u16, lines: Box<[u8]>, body: Body, terms: Terms) -> Self {
        Self {
            key,
            status,
            lines,
            body,
            terms,
            hits: AtomicU32::new(0),
            asked: AtomicU8::new(0),
            site: None,
            more: None,
        }
    }

    /// The same with tags.
    #[must_use]
    pub fn with_tags(self, tags: Tags) -> Self {
        let forms = self.forms().cloned().unwrap_or_default();
        self.with_known(Known {
            tags,
            forms,
            partial: None,
        })
    }

    fn with_known(mut self, known: Known) -> Self {
        let is_worth_it =
            !known.tags.is_empty() || !known.forms.is_empty() || known.partial.is_some();
        self.more = is_worth_it.then(|| Box::new(More::Known(known)));
        self
    }

    /// By what beside its key it is purged.
    #[must_use]
    pub fn tags(&self) -> &[Box<[u8]>] {
        match self.more.as_deref() {
            Some(More::Known(known)) => &known.tags,
            _ => &[],
        }
    }

    /// The same, of which only these parts are held.
    #[must_use]
    pub fn with_parts(self, partial: Partial, tags: Tags) -> Self {
        self.with_known(Known {
            tags,
            forms: Forms::default(),
            partial: Some(partial),
        })
    }

    /// What of it is held, unless that is all.
    #[must_use]
    pub fn partial(&self) -> Option<&Partial> {
        match self.more.as_deref() {
            Some(More::Known(known)) => known.partial.as_ref(),
            _ => None,
        }
    }

    fn forms(&self) -> Option<&Forms> {
        match self.more.as_deref() {
            Some(More::Known(known)) => Some(&known.forms),
            _ => None,
        }
    }

    /// Its body in another form, once that was made or found to be of no use.
    #[must_use]
    pub fn form(&self, made: &Made) -> Option<&Form> {
        self.forms()?.find(made)
    }

    /// Is there room for another?
    #[must_use]
    pub fn may_have_more_forms(&self) -> bool {
        !self.forms().is_some_and(Forms::is_full)
    }

    /// The same answer with one more form of its body; None: it has too many, or has it.
    pub(crate) fn with_form(&self, form: Form) -> Option<Self> {
        let forms = match self.forms() {
            Some(forms) => forms.with(form)?,
            None => Forms::default().with(form)?,
        };
        Some(self.again(self.lines.clone(), self.terms, forms))
    }

    /// The same answer with another head: what a 304 makes of it.
    #[must_use]
    pub fn refreshed(&self, lines: Box<[u8]>, terms: Terms) -> Self {
        self.again(lines, terms, self.forms().cloned().unwrap_or_default())
    }

    fn again(&self, lines: Box<[u8]>, terms: Terms, forms: Forms) -> Self {
        let mut object = Self::new(
            self.key.clone(),
            self.status,
            lines,
            self.body.clone(),
            terms,
        );
        object.hits = AtomicU32::new(self.hits());
        object.asked = AtomicU8::new(self.asked.load(Ordering::Relaxed));
        object.site.clone_from(&self.site);
        object.with_known(Known {
            tags: self.tags().into(),
            forms,
            partial: self.partial().cloned(),
        })
    }

    /// Asks for something to be made of it in the background: is it the first time? `what` is a bit,
    /// whose meaning is the caller's.
    #[must_use]
    pub fn asks(&self, what: u8) -> bool {
        let is_new = self.asked.load(Ordering::Relaxed) & what == 0;
        is_new && self.asked.fetch_or(what, Ordering::Relaxed) & what == 0
    }

    /// Nobody had the time: it may be asked for again.
    pub fn asks_again(&self, what: u8) {
        self.asked.fetch_and(!what, Ordering::Relaxed);
    }

    /// The same answer, stale from now on.
    #[must_use]
    pub fn marked_stale(&self) -> Self {
        let mut terms = self.terms;
        terms.rules = terms.rules.and(Rules::MARKED_STALE);
        self.refreshed(self.lines.clone(), terms)
    }

    /// May it be given without a look at what is being fetched?
    #[must_use]
    pub fn is_current(&self, now_ms: u64) -> bool {
        self.terms.is_fresh(now_ms) && !self.terms.rules.has(Rules::MARKED_STALE)
    }

    /// It is given once more.
    pub fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        if let Some(site) = &self.site {
            site.hit();
        }
    }

    /// How often it was given.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Its body, when that is in memory.
    #[must_use]
    pub fn memory(&self) -> Option<&Arc<[u8]>> {
        match &self.body {
            Body::Memory(bytes) => Some(bytes),
            Body::Disk(_) => None,
        }
    }

    /// Bytes of its key, its lines and its body.
    #[must_use]
    pub fn size(&self) -> u64 {
        (self.key.len() + self.lines.len()) as u64 + self.body.length()
    }

    /// Bytes of memory that it takes as long as it is kept there.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let body = match &self.body {
            Body::Memory(bytes) => bytes.len(),
            Body::Disk(_) => 0,
        };
        let more = self.more.as_deref().map_or(0, More::weight);
        Self::OVERHEAD + (self.key.len() + self.lines.len() + body) as u64 + more
    }

    /// Its field lines in order: name, value.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        lines(&self.lines)
    }

    /// Its fields as a table, for whoever must ask many questions.
    pub fn fields(&self, into: &mut Fields) {
        into.clear();
        for (name, value) in self.lines() {
            into.push(name, value);
        }
    }

    /// Something that lies in the index and is no answer.
    fn other(key: Box<[u8]>, more: More) -> Self {
        let body = Body::Memory(Arc::from([]));
        let mut object = Self::new(key, 0, Box::default(), body, Terms::default());
        object.more = Some(Box::new(more));
        object
    }

    pub(crate) fn of_variants(key: Box<[u8]>, variants: Variants) -> Self {
        Self::other(key, More::Variants(variants))
    }

    pub(crate) fn of_pass(key: Box<[u8]>, until_ms: u64) -> Self {
        Self::other(key, More::Pass(until_ms))
    }

    pub(crate) fn variants(&self) -> Option<&Variants> {
        match self.more.as_deref() {
            Some(More::Variants(variants)) => Some(variants),
            _ => None,
        }
    }

    pub(crate) fn pass_until(&self) -> Option<u64> {
        match self.more.as_deref() {
            Some(More::Pass(until_ms)) => Some(*until_ms),
            _ => None,
        }
    }

    /// Is it an answer, and no mark of the store's own?
    pub(crate) fn is_answer(&self) -> bool {
        !matches!(
            self.more.as_deref(),
            Some(More::Variants(_) | More::Pass(_))
        )
    }

    pub(crate) fn set_site(&mut self, site: Arc<Site>) {
        self.site = Some(site);
    }

    pub(crate) fn site(&self) -> Option<&Arc<Site>> {
        self.site.as_ref()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("key", &String::from_utf8_lossy(&self.key))
            .field("status", &self.status)
            .field("length", &self.body.length())
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

impl More {
    fn weight(&self) -> u64 {
        match self {
            Self::Known(known) => {
                let lens = known.tags.iter().map(|tag| tag.len() as u64);
                let tags: u64 = lens.map(|len| crate::store::tags::WEIGHT + 2 * len).sum();
                let parts = known.partial.as_ref().map_or(0, Partial::weight);
                tags + known.forms.weight() + parts
            }
            Self::Variants(variants) => variants.weight(),
            Self::Pass(_) => 0,
        }
    }
}

/// Writes a field line as objects keep it.
pub fn push_line(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    lines.extend_from_slice(name);
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// The field lines of a text that [`push_line`] wrote.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = rest.get(..end.checked_sub(1)?)?;
        rest = &rest[end + 1..];
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line.get(colon + 2..)?))
    })
}
