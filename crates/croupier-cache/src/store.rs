//! Where objects are.

/// What the config says of a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Larger bodies are not kept, bytes.
    pub max_object: u64,
}

/// A store.
#[derive(Debug)]
pub struct Store {
    settings: Settings,
}

impl Store {
    /// A store with nothing in it.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What the config says of it.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
