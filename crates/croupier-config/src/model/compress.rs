//! What is compressed on its way to the client: `compress` of a site or route.

use std::fmt;

use super::{Percent, Switch};
use crate::source::Span;

/// What one route compresses, nothing left to inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// The best first; at least one, none twice.
    pub codings: Vec<Coding>,
    /// Of which types; at least one.
    pub types: Vec<TypePattern>,
    /// Shorter bodies stay as they are, bytes.
    pub min: u64,
    pub cookies: CompressCookies,
    /// Dictionaries (RFC 9842).
    pub dictionary: bool,
    /// Kept answers are compressed again, and better, in the background.
    pub strong: bool,
    /// The share of one core for that.
    pub cpu: Percent,
}

impl Compress {
    /// What is compressed unless `types` says otherwise: text, and what is text by another name.
    pub const TYPES: &'static [&'static str] = &[
        "text/*",
        "application/json",
        "application/*+json",
        "application/javascript",
        "application/xml",
        "application/*+xml",
        "application/wasm",
        "image/svg+xml",
        "font/ttf",
        "font/otf",
    ];
    /// Bodies below this stay as they are unless written otherwise, bytes.
    pub const MIN: u64 = 1 << 10;
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            codings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            types: Self::TYPES
                .iter()
                .filter_map(|text| TypePattern::parse(text))
                .collect(),
            min: Self::MIN,
            cookies: CompressCookies::Refuse,
            dictionary: false,
            strong: true,
            cpu: Percent::whole(10),
        }
    }
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `"zstd"`
    Zstd,
    /// `"br"`
    Brotli,
    /// `"gzip"`
    Gzip,
}

impl Coding {
    /// As written in the config and in `Content-Encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// What becomes of answers that set cookies: with a secret and a client's text in one compressed body, its length
/// tells of the secret (BREACH).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CompressCookies {
    /// They stay as they are.
    #[default]
    Refuse,
    /// They are compressed like others.
    Compress,
}

/// A media type, or several: `"text/html"`, `"text/*"`, `"application/*+json"`, `"*/*"`. Lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypePattern {
    /// `*`: any.
    kind: String,
    subtype: Subtype,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subtype {
    Any,
    Exact(String),
    /// Kept with its `+`.
    Suffix(String),
}

impl TypePattern {
    /// Takes it apart; `None`: it is no media type, or a pattern of another form.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        let is_token = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        let subtype = match subtype.strip_prefix('*') {
            Some("") => Subtype::Any,
            Some(suffix) if suffix.starts_with('+') && is_token(suffix) && suffix.len() > 1 => {
                Subtype::Suffix(suffix.into())
            }
            None if is_token(subtype) => Subtype::Exact(subtype.into()),
            _ => return None,
        };
        let is_any = kind == "*" && subtype == Subtype::Any;
        (is_any || is_token(kind)).then(|| Self {
            kind: kind.into(),
            subtype,
        })
    }

    /// Whether it takes this media type, given without parameters.
    pub fn takes(&self, media_type: &[u8]) -> bool {
        let Some(slash) = media_type.iter().position(|byte| *byte == b'/') else {
            return false;
        };
        let (kind, subtype) = (&media_type[..slash], &media_type[slash + 1..]);
        if self.kind != "*" && !kind.eq_ignore_ascii_case(self.kind.as_bytes()) {
            return false;
        }
        match &self.subtype {
            Subtype::Any => true,
            Subtype::Exact(exact) => subtype.eq_ignore_ascii_case(exact.as_bytes()),
            Subtype::Suffix(suffix) => subtype
                .len()
                .checked_sub(suffix.len())
                .is_some_and(|at| subtype[at..].eq_ignore_ascii_case(suffix.as_bytes())),
        }
    }
}

impl fmt::Display for TypePattern {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subtype {
            Subtype::Any => write!(f, "{}/*", self.kind),
            Subtype::Exact(exact) => write!(f, "{}/{exact}", self.kind),
            Subtype::Suffix(suffix) => write!(f, "{}/*{suffix}", self.kind),
        }
    }
}

/// `compress` of a site or route: what it says lies over what is wider, key by key.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CompressEdits {
    pub codings: Option<Vec<Coding>>,
    pub types: Option<Vec<TypePattern>>,
    pub min: Option<u64>,
    pub cookies: Option<CompressCookies>,
    pub dictionary: Option<bool>,
    pub strong: Option<bool>,
    pub cpu: Option<Percent>,
    /// Where it is written.
    pub span: Span,
}

impl CompressEdits {
    /// Lays these over what is wider.
    pub fn apply(&self, compress: &mut Compress) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(from) = from {
                to.clone_from(from);
            }
        }
        set(&mut compress.codings, self.codings.as_ref());
        set(&mut compress.types, self.types.as_ref());
        set(&mut compress.min, self.min.as_ref());
        set(&mut compress.cookies, self.cookies.as_ref());
        set(&mut compress.dictionary, self.dictionary.as_ref());
        set(&mut compress.strong, self.strong.as_ref());
        set(&mut compress.cpu, self.cpu.as_ref());
    }
}

/// What a site and its route say of compression together.
pub(super) fn resolved(
    site: Option<&Switch<CompressEdits>>,
    route: Option<&Switch<CompressEdits>>,
) -> Option<Compress> {
    let mut compress = Compress::default();
    match (site, route) {
        (None | Some(Switch::Off), None) | (_, Some(Switch::Off)) => return None,
        (site, route) => {
            for switch in [site, route].into_iter().flatten() {
                if let Switch::On(edits) = switch {
                    edits.apply(&mut compress);
                }
            }
        }
    }
    Some(compress)
}

#[cfg(test)]
mod tests {
    use super::{Compress, TypePattern};

    #[test]
    fn types_are_compared_without_case_and_by_their_ends() {
        let takes =
            |pattern: &str, of: &str| TypePattern::parse(pattern).unwrap().takes(of.as_bytes());
        assert!(takes("text/*", "TEXT/html"));
        assert!(takes("Text/HTML", "text/html"));
        assert!(takes("application/*+json", "application/ld+json"));
        assert!(takes("*/*", "image/png"));
        assert!(!takes("text/*", "texts/html"));
        assert!(!takes("application/*+json", "application/json"));
        assert!(!takes("text/*", "text"));
    }

    #[test]
    fn patterns_are_written_as_they_are_read() {
        assert_eq!(Compress::default().types.len(), Compress::TYPES.len());
        for text in Compress::TYPES.iter().chain(&["*/*"]) {
            assert_eq!(TypePattern::parse(text).unwrap().to_string(), *text);
        }
        for text in [
            "",
            "text",
            "text/",
            "/html",
            "*/html",
            "text/*x",
            "text/*+",
            "a b/c",
            "text/html; charset=utf-8",
        ] {
            assert!(TypePattern::parse(text).is_none(), "{text}");
        }
    }
}
