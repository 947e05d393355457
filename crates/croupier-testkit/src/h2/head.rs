//! The head of a request, lawful until a test makes it otherwise.

use super::hpack::Lines;

/// Field lines, pseudo-headers among them, in the order in which they are sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head(pub Lines);

impl Head {
    /// A head with the four pseudo-headers: plain HTTP to `example.test`.
    #[must_use]
    pub fn new(method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        Self(Vec::new())
            .field(":method", method)
            .field(":scheme", "http")
            .field(":authority", "example.test")
            .field(":path", path)
    }

    #[must_use]
    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    #[must_use]
    pub fn post(path: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path)
    }

    /// The extended CONNECT of RFC 8441, for a WebSocket.
    #[must_use]
    pub fn websocket(path: impl AsRef<[u8]>) -> Self {
        Self::new("CONNECT", path)
            .field(":protocol", "websocket")
            .field("sec-websocket-version", "13")
            .field("origin", "http://example.test")
    }

    /// One more line at the end.
    #[must_use]
    pub fn field(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// One more line at the beginning.
    #[must_use]
    pub fn first(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0
            .insert(0, (name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Another value for the lines of this name, which are there.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for line in self.0.iter_mut().filter(|(n, _)| n == name.as_bytes()) {
            line.1 = value.as_ref().to_vec();
        }
        self
    }

    /// No line of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(n, _)| n != name.as_bytes());
        self
    }

    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let named = self.0.iter().find(|(n, _)| n == name.as_bytes());
        named.map(|(_, value)| &value[..])
    }
}
