//! Other forms of a kept body: encoded once, given from then on.
//!
//! Whoever makes one gives it to [`Store::keep_form`](crate::store::Store::keep_form); it lives and
//! dies with the body, outlasts a 304, and is weighed with it. This crate makes none.

use std::sync::Arc;

/// Forms of one body. Codings are few; dictionaries are as many as old versions are about.
pub const FORMS_MAX: usize = 8;

/// What a form costs beside its bytes: its place in the list, and the counts of its `Arc`.
const OVERHEAD: u64 = 80;

/// By what a form was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// As written in `Content-Encoding`.
    pub coding: &'static str,
    /// The SHA-256 of the dictionary that it needs (RFC 9842); None: it needs none.
    pub dictionary: Option<[u8; 32]>,
}

/// A body in another form.
#[derive(Clone, Debug)]
pub struct Form {
    /// By what.
    pub made: Made,
    /// None: it was tried, and saves too little to be given.
    pub bytes: Option<Arc<[u8]>>,
}

/// What is known of a body beside its bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forms(Box<[Form]>);

impl Forms {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= FORMS_MAX
    }

    pub(crate) fn find(&self, made: &Made) -> Option<&Form> {
        self.0.iter().find(|form| form.made == *made)
    }

    /// With one more; None: there are too many, or it is there.
    pub(crate) fn with(&self, form: Form) -> Option<Self> {
        if self.is_full() || self.find(&form.made).is_some() {
            return None;
        }
        let all = self.0.iter().cloned().chain([form]);
        Some(Self(all.collect()))
    }

    pub(crate) fn weight(&self) -> u64 {
        let bytes = |form: &Form| form.bytes.as_ref().map_or(0, |bytes| bytes.len()) as u64;
        self.0.iter().map(|form| OVERHEAD + bytes(form)).sum()
    }
}
