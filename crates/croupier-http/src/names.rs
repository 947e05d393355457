//! Field names we speak of, as small numbers.
//!
//! A name is recognised once, when its line is parsed; every later question about it is a
//! comparison of bytes or a bit test. Names we do not speak of are [`Name::OTHER`].

/// The number of a field name; `OTHER` for names outside the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(u8);

macro_rules! names {
    ($($id:ident $text:literal)+) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms,
                 reason = "only counts the table; constants carry the names")]
        #[repr(u8)]
        enum Number { OTHER, $($id),+ }

        impl Name {
            /// A name outside the table.
            pub const OTHER: Self = Self(Number::OTHER as u8);
            $(#[doc = concat!("`", $text, "`")] pub const $id: Self = Self(Number::$id as u8);)+
        }

        const TEXTS: &[&str] = &["", $($text),+];
    };
}

// Sorted by length: the lookup walks only names of the right length. At most 63 of them, so
// that a set fits one word.
names! {
    TE "te"
    AGE "age"
    VIA "via"
    DATE "date"
    ETAG "etag"
    HOST "host"
    LINK "link"
    VARY "vary"
    ALLOW "allow"
    RANGE "range"
    COOKIE "cookie"
    EXPECT "expect"
    ORIGIN "origin"
    PRAGMA "pragma"
    SERVER "server"
    REFERER "referer"
    EXPIRES "expires"
    REFRESH "refresh"
    TRAILER "trailer"
    UPGRADE "upgrade"
    IF_MATCH "if-match"
    IF_RANGE "if-range"
    LOCATION "location"
    FORWARDED "forwarded"
    X_REAL_IP "x-real-ip"
    CONNECTION "connection"
    KEEP_ALIVE "keep-alive"
    SET_COOKIE "set-cookie"
    TRACESTATE "tracestate"
    USER_AGENT "user-agent"
    RETRY_AFTER "retry-after"
    TRACEPARENT "traceparent"
    CONTENT_TYPE "content-type"
    MAX_FORWARDS "max-forwards"
    X_POWERED_BY "x-powered-by"
    X_REQUEST_ID "x-request-id"
    ACCEPT_RANGES "accept-ranges"
    AUTHORIZATION "authorization"
    CACHE_CONTROL "cache-control"
    IF_NONE_MATCH "if-none-match"
    LAST_MODIFIED "last-modified"
    CONTENT_RANGE "content-range"
    CONTENT_LENGTH "content-length"
    HTTP2_SETTINGS "http2-settings"
    ACCEPT_ENCODING "accept-encoding"
    X_FORWARDED_FOR "x-forwarded-for"
    CONTENT_ENCODING "content-encoding"
    CONTENT_LOCATION "content-location"
    PROXY_CONNECTION "proxy-connection"
    X_ASPNET_VERSION "x-aspnet-version"
    X_FORWARDED_HOST "x-forwarded-host"
    X_FORWARDED_PORT "x-forwarded-port"
    SEC_WEBSOCKET_KEY "sec-websocket-key"
    TRANSFER_ENCODING "transfer-encoding"
    X_FORWARDED_PROTO "x-forwarded-proto"
    IF_MODIFIED_SINCE "if-modified-since"
    CDN_CACHE_CONTROL "cdn-cache-control"
    PROXY_AUTHENTICATE "proxy-authenticate"
    X_FORWARDED_PREFIX "x-forwarded-prefix"
    X_ASPNETMVC_VERSION "x-aspnetmvc-version"
    IF_UNMODIFIED_SINCE "if-unmodified-since"
    PROXY_AUTHORIZATION "proxy-authorization"
}

/// First entry of `TEXTS` for each length; names longer than the table's longest are OTHER.
const LENGTH_MAX: usize = 20;
const BUCKETS: [(u8, u8); LENGTH_MAX + 1] = {
    let mut buckets = [(0u8, 0u8); LENGTH_MAX + 1];
    let mut length = 0;
    while length <= LENGTH_MAX {
        let mut first = 0;
        let mut last = 0;
        let mut index = 1;
        while index < TEXTS.len() {
            assert!(
                TEXTS[index - 1].len() <= TEXTS[index].len(),
                "sorted by length"
            );
            if TEXTS[index].len() == length {
                if first == 0 {
                    first = index;
                }
                last = index + 1;
            }
            index += 1;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the table has fewer than 64 rows"
        )]
        {
            buckets[length] = (first as u8, last as u8);
        }
        length += 1;
    }
    buckets
};

const _: () = assert!(TEXTS.len() <= 64, "a NameSet is one word");

/// The first and the last bytes of a name, folded to lower case: with its length they tell
/// names of up to 16 bytes apart; longer ones are compared once more.
type Key = (u64, u64);

/// Folds by setting bit 5: exact for tokens, where only a letter's other case gives the same
/// (RFC 9110 section 5.6.2).
const FOLD: u64 = 0x2020_2020_2020_2020;

/// Two loads instead of a loop. Short names overlap with themselves.
const fn key(bytes: &[u8]) -> Key {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return (
            u64::from_le_bytes(*first) | FOLD,
            u64::from_le_bytes(*last) | FOLD,
        );
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return (first as u64 | FOLD, last as u64 | FOLD);
    }
    match bytes {
        [a, b, c] => (u32::from_le_bytes([*a, *b, *c, 0]) as u64 | FOLD, 0),
        [a, b] => (u16::from_le_bytes([*a, *b]) as u64 | FOLD, 0),
        [a] => (*a as u64 | FOLD, 0),
        _ => (0, 0),
    }
}

const KEYS: [Key; TEXTS.len()] = {
    let mut keys = [(0, 0); TEXTS.len()];
    let mut index = 0;
    while index < TEXTS.len() {
        keys[index] = key(TEXTS[index].as_bytes());
        index += 1;
    }
    keys
};

impl Name {
    /// Recognises a field name, which must be a token, in any case.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let Some(&(first, last)) = BUCKETS.get(bytes.len()) else {
            return Self::OTHER;
        };
        if first == last {
            return Self::OTHER;
        }
        let key = key(bytes);
        for number in first..last {
            let index = usize::from(number);
            if KEYS[index] == key
                && (bytes.len() <= 16 || TEXTS[index].as_bytes().eq_ignore_ascii_case(bytes))
            {
                return Self(number);
            }
        }
        Self::OTHER
    }

    /// The name in lower case; empty for `OTHER`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        TEXTS[usize::from(self.0)]
    }
}

/// A set of table names in one word. `OTHER` is never a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameSet(u64);

impl NameSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// A set of the given names, at compile time.
    #[must_use]
    pub const fn of(names: &[Name]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < names.len() {
            bits |= 1 << names[index].0;
            index += 1;
        }
        Self(bits & !1)
    }

    /// Adds a name; `OTHER` is ignored.
    pub fn insert(&mut self, name: Name) {
        self.0 |= (1 << name.0) & !1;
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: Name) {
        self.0 &= !(1 << name.0);
    }

    /// Is the name in the set? Always false for `OTHER`.
    #[must_use]
    pub fn contains(self, name: Name) -> bool {
        self.0 & (1 << name.0) & !1 != 0
    }

    /// Names in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Have the sets a name in common?
    #[must_use]
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, NameSet, TEXTS};

    #[test]
    fn every_name_is_found_in_any_case() {
        for (number, text) in TEXTS.iter().enumerate().skip(1) {
            assert_eq!(
                usize::from(Name::from_bytes(text.as_bytes()).0),
                number,
                "{text}"
            );
            let upper = text.to_ascii_uppercase();
            assert_eq!(Name::from_bytes(upper.as_bytes()).as_str(), *text);
            assert_eq!(text.to_ascii_lowercase(), *text);
        }
        assert_eq!(Name::from_bytes(b"x-unheard-of"), Name::OTHER);
        assert_eq!(Name::from_bytes(b""), Name::OTHER);
        assert_eq!(Name::from_bytes(&[b'x'; 300]), Name::OTHER);
    }

    #[test]
    fn sets_never_hold_other() {
        let mut set = NameSet::of(&[Name::HOST, Name::OTHER]);
        set.insert(Name::OTHER);
        assert!(set.contains(Name::HOST));
        assert!(!set.contains(Name::OTHER));
        set.remove(Name::HOST);
        assert_eq!(set, NameSet::EMPTY);
    }
}
