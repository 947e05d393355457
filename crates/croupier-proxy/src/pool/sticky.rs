//! Sticky sessions by cookie: a client comes back to the server that served it first.
//!
//! The value is a keyed hash of the names of pool and server (SipHash-2-4 of 128 bits) under a
//! secret. It shows nothing of the address, can not be made by whoever lacks the secret, and is
//! found again after a reload, a reordered list or on another proxy with the same secret. Nothing
//! is kept per client. A value that is forged, cut or of a server that is gone finds nobody, and
//! the client is dealt anew. What a pick does with a server that drains or is down, it decides.

use std::fmt;
use std::hash::Hasher as _;
use std::time::Duration;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// Digits of a token.
const TOKEN_LEN: usize = 32;

/// What tokens are made with. Not shown by `Debug`.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// From a secret of any length from 16 bytes on; None from a shorter one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let long_enough = bytes.len() >= 16;
        let condense = SipHasher24::new_with_key(b"croupier sticky1");
        long_enough.then(|| Self(condense.hash(bytes).as_bytes()))
    }

    /// From 16 random bytes.
    #[must_use]
    pub const fn random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The value that means one server. Made once per server and plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u128);

impl Token {
    /// As it stands in the cookie: 32 digits of base 16, lower case.
    #[must_use]
    pub fn text(self) -> [u8; TOKEN_LEN] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        std::array::from_fn(|at| DIGITS[(self.0 >> (124 - 4 * at) & 15) as usize])
    }

    /// Only what [`Token::text`] writes.
    fn read(value: &[u8]) -> Option<Self> {
        if value.len() != TOKEN_LEN {
            return None;
        }
        let mut bits = 0;
        for digit in value {
            let number = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            bits = bits << 4 | u128::from(number);
        }
        Some(Self(bits))
    }
}

/// The token of a server, by the names in the config.
#[must_use]
pub fn token(secret: &Secret, pool: &str, server: &str) -> Token {
    let mut hasher = SipHasher24::new_with_key(&secret.0);
    // The length first: no two pairs of names are the same bytes.
    hasher.write(&(pool.len() as u64).to_le_bytes());
    hasher.write(pool.as_bytes());
    hasher.write(server.as_bytes());
    Token(u128::from_le_bytes(hasher.finish128().as_bytes()))
}

/// Whose token a cookie's value is. Looks at every token whole, whatever the value.
#[must_use]
pub fn find(tokens: &[Token], value: &[u8]) -> Option<usize> {
    let value = Token::read(value)?;
    let mut found = None;
    for (index, token) in tokens.iter().enumerate().rev() {
        if token.0 ^ value.0 == 0 {
            found = Some(index);
        }
    }
    found
}

/// How the cookie is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyRule {
    /// A token of RFC 9110; the config's reader sees to it.
    pub name: Box<str>,
    /// Begins with `/`, holds no `;` and no control.
    pub path: Box<str>,
    /// How long the browser keeps it, in whole seconds; None: until it is closed.
    pub ttl: Option<Duration>,
    pub secure: Secure,
    pub same_site: SameSite,
}

/// When the cookie is for https only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secure {
    /// When the client came by https.
    #[default]
    AsReceived,
    Always,
}

/// With which requests from other sites a browser sends the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    #[default]
    Lax,
    /// With all. Browsers want `Secure` beside it, so it always is.
    None,
}

impl StickyRule {
    fn is_secure(&self, scheme: &str) -> bool {
        let prefix = self.name.as_bytes();
        let promises = |start: &[u8]| {
            let own = prefix.get(..start.len());
            own.is_some_and(|own| own.eq_ignore_ascii_case(start))
        };
        scheme == "https"
            || self.secure == Secure::Always
            || self.same_site == SameSite::None
            // Browsers drop such a cookie without it (RFC 6265bis section 4.1.3).
            || promises(b"__Secure-")
            || promises(b"__Host-")
    }
}

/// Appends the value of a `Set-Cookie` field (RFC 6265bis section 4.1). `scheme` is the client's.
pub fn set_cookie(rule: &StickyRule, token: Token, scheme: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(rule.name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(&token.text());
    out.extend_from_slice(b"; Path=");
    out.extend_from_slice(rule.path.as_bytes());
    if let Some(ttl) = rule.ttl {
        out.extend_from_slice(b"; Max-Age=");
        out.extend_from_slice(ttl.as_secs().to_string().as_bytes());
    }
    out.extend_from_slice(b"; HttpOnly");
    if rule.is_secure(scheme) {
        out.extend_from_slice(b"; Secure");
    }
    out.extend_from_slice(match rule.same_site {
        SameSite::Strict => b"; SameSite=Strict",
        SameSite::Lax => b"; SameSite=Lax",
        SameSite::None => b"; SameSite=None",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["10.0.1.11:8080", "10.0.1.12:8080", "unix:/run/app.sock"];

    fn secret() -> Secret {
        Secret::new(b"a secret of more than sixteen bytes").unwrap()
    }

    fn tokens(secret: &Secret, names: &[&str]) -> Vec<Token> {
        names
            .iter()
            .map(|name| token(secret, "web", name))
            .collect()
    }

    #[test]
    fn a_client_finds_its_server_again_in_a_reordered_list() {
        let old = tokens(&secret(), &NAMES);
        let new = tokens(&secret(), &["new:1", NAMES[2], NAMES[0]]);
        assert_eq!(find(&new, &old[0].text()), Some(2));
        assert_eq!(find(&new, &old[2].text()), Some(1));
        assert_eq!(find(&new, &old[1].text()), None, "that server is gone");
    }

    #[test]
    fn nobody_is_found_by_a_value_that_was_not_given_out() {
        let tokens = tokens(&secret(), &NAMES);
        let good = tokens[1].text();
        let other = token(&Secret::random([7; 16]), "web", NAMES[1]).text();
        let pool = token(&secret(), "we", "b10.0.1.12:8080").text();
        let mut changed = good;
        changed[31] ^= 1;
        let long = [&good[..], b"0"].concat();
        let cases: [&[u8]; 9] = [
            b"",
            &good[..31],
            &long,
            &changed,
            &other,
            &pool,
            &good.to_ascii_uppercase(),
            NAMES[1].as_bytes(),
            &[0xff; 32],
        ];
        for value in cases {
            assert_eq!(find(&tokens, value), None, "{value:?}");
        }
        assert_eq!(find(&[], &good), None);
        assert_eq!(find(&tokens, &good), Some(1));
    }

    #[test]
    fn the_value_shows_nothing_of_the_server() {
        let texts: Vec<_> = tokens(&secret(), &NAMES).iter().map(|t| t.text()).collect();
        for text in &texts {
            let text = str::from_utf8(text).unwrap();
            for part in ["10.0.1", "8080", "0a00010b", "0b01000a", "1f90", "901f"] {
                assert!(!text.contains(part), "{text}");
            }
        }
        // Addresses that differ in one digit share no more digits than chance gives them.
        let same = texts[0]
            .iter()
            .zip(&texts[1])
            .filter(|(a, b)| a == b)
            .count();
        assert!(same < 10, "{same}");
    }

    #[test]
    fn a_secret_is_long_enough_and_always_makes_the_same_token() {
        assert!(Secret::new(b"fifteen bytes..").is_none());
        let pinned = token(&secret(), "web", NAMES[0]).text();
        assert_eq!(
            str::from_utf8(&pinned).unwrap(),
            "74d0ab7e65f150f0079e342edb76c5ae"
        );
        assert_eq!(format!("{:?}", secret()), "Secret(..)");
    }

    #[test]
    fn the_cookie_as_it_is_given_out() {
        let plain = StickyRule {
            name: "croupier_id".into(),
            path: "/".into(),
            ttl: None,
            secure: Secure::AsReceived,
            same_site: SameSite::Lax,
        };
        let written = |rule: &StickyRule, scheme: &str| {
            let mut out = Vec::new();
            set_cookie(rule, Token(0xab), scheme, &mut out);
            String::from_utf8(out).unwrap()
        };
        let start = "croupier_id=000000000000000000000000000000ab; Path=/";
        assert_eq!(
            written(&plain, "http"),
            format!("{start}; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            written(&plain, "https"),
            format!("{start}; HttpOnly; Secure; SameSite=Lax")
        );
        let hour = StickyRule {
            ttl: Some(Duration::from_secs(3_600)),
            secure: Secure::Always,
            same_site: SameSite::Strict,
            ..plain.clone()
        };
        assert_eq!(
            written(&hour, "http"),
            format!("{start}; Max-Age=3600; HttpOnly; Secure; SameSite=Strict")
        );
        let everywhere = StickyRule {
            same_site: SameSite::None,
            ..plain.clone()
        };
        assert!(written(&everywhere, "http").ends_with("; Secure; SameSite=None"));
        let prefixed = StickyRule {
            name: "__Host-id".into(),
            ..plain
        };
        assert!(written(&prefixed, "http").contains("; Secure"));
    }
}
