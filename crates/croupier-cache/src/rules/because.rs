//! Why something is not kept or not given.

use super::status::Fwd;

macro_rules! reasons {
    ($($(#[$doc:meta])* $id:ident $word:literal $fwd:ident)+) => {
        /// A reason: one word for logs, for `explain` and for the `detail` of `Cache-Status`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Because { $($(#[$doc])* $id),+ }

        impl Because {
            /// All of them, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];

            /// Its word: a token (RFC 9110 section 5.6.2).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$id => $word),+ }
            }

            /// What `Cache-Status` calls a request that went forward for it (RFC 9211 section 2.2).
            #[must_use]
            pub const fn fwd(self) -> Fwd {
                match self { $(Self::$id => Fwd::$fwd),+ }
            }
        }
    };
}

reasons! {
    /// Nothing is kept of it.
    Absent "absent" UriMiss
    /// What came last time was not for keeping: nobody waits for it.
    Passed "passed" UriMiss
    /// Somebody else asked for it, and took too long.
    Waited "waited" UriMiss
    /// The request has content.
    AskedContent "request-content" Bypass
    /// Only the origin can judge the request's condition.
    AskedCondition "request-condition" Bypass
    /// The request has a cookie by which its route passes the cache by.
    BypassCookie "bypass-cookie" Bypass
    /// Fields come behind its body, which would be lost.
    Trailers "trailers" UriMiss
    /// The store has no room for answers under way.
    NoRoom "no-room" UriMiss
    /// A method whose answers are not kept.
    Method "method" Method
    /// A status that is not kept: not final, or an answer to a condition.
    Status "status" UriMiss
    /// A part that cannot be combined.
    Partial "partial" Partial
    /// The request says `no-store`.
    AskedNoStore "request-no-store" Request
    /// The response says `no-store`.
    NoStore "no-store" UriMiss
    /// `must-understand`, with a status that we do not know.
    MustUnderstand "must-understand" UriMiss
    /// The response says `private`.
    Private "private" UriMiss
    /// The request was authorised, and the response does not say that it is for others too.
    Authorization "authorization" UriMiss
    /// `Vary: *`, or more of it than is kept.
    VaryStar "vary-star" VaryMiss
    /// The response sets a cookie.
    SetCookie "set-cookie" UriMiss
    /// Nothing says how long it is fresh, and nothing may be guessed.
    NoFreshness "no-freshness" UriMiss
    /// Stale on arrival, and no validator to ask again with.
    NoValidator "no-validator" UriMiss
    /// Larger than the policy keeps.
    TooLarge "too-large" UriMiss
    /// The kept response says `no-cache`.
    NoCache "no-cache" Stale
    /// The request says `no-cache`.
    AskedNoCache "request-no-cache" Request
    /// Older than the request takes.
    AskedMaxAge "request-max-age" Request
    /// It will not be fresh for as long as the request wants.
    AskedMinFresh "request-min-fresh" Request
    /// No longer fresh.
    Stale "stale" Stale
    /// Somebody purged it softly.
    Marked "purged" Stale
    /// Stale, and the response forbids to give it so.
    MustRevalidate "must-revalidate" Stale
    /// Stale for longer than is allowed.
    GraceOver "grace-over" Stale
    /// The origin's word is about another representation than the kept one.
    Mismatch "mismatch" Stale
}

#[cfg(test)]
mod tests {
    use super::Because;

    #[test]
    fn every_word_is_a_token_of_its_own() {
        for (at, because) in Because::ALL.iter().enumerate() {
            let word = because.as_str();
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(!word.is_empty() && word.bytes().all(plain), "{word}");
            let twin = Because::ALL[..at]
                .iter()
                .any(|other| other.as_str() == word);
            assert!(!twin, "{word}");
        }
    }
}
