//! The static table (RFC 7541, appendix A) and the dynamic one behind it (2.3).

use std::collections::VecDeque;

/// Entries 1 to 61.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Both tables under one index.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    max: usize,
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            max,
        }
    }

    /// Bytes in use, with 32 for each entry (4.1).
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict(0);
    }

    /// An entry larger than the table empties it and is not kept (4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + 32;
        self.evict(size);
        if size <= self.max {
            self.bytes += size;
            self.entries.push_front((name.to_vec(), value.to_vec()));
        }
    }

    fn evict(&mut self, room: usize) {
        while self.bytes + room > self.max {
            let Some((name, value)) = self.entries.pop_back() else {
                return;
            };
            self.bytes -= name.len() + value.len() + 32;
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let index = index.checked_sub(1)?;
        match STATIC.get(index) {
            Some((name, value)) => Some((name.as_bytes().to_vec(), value.as_bytes().to_vec())),
            None => self.entries.get(index - STATIC.len()).cloned(),
        }
    }

    /// The index of this line, and that of its name alone; each the smallest.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> (Option<usize>, Option<usize>) {
        let fixed = STATIC.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        let own = self.entries.iter().map(|(n, v)| (&n[..], &v[..]));
        let all = fixed.chain(own).zip(1..);
        let mut named = all.filter(|((n, _), _)| *n == name).peekable();
        let name_at = named.peek().map(|(_, index)| *index);
        let line_at = named
            .find(|((_, v), _)| *v == value)
            .map(|(_, index)| index);
        (line_at, name_at)
    }
}
