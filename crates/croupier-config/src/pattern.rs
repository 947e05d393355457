//! Regular expressions of the config: one way to compile them, with one bound.

/// The largest compiled form of one expression; the `regex` crate matches in linear time, so size is the only risk.
const SIZE_BYTES_MAX: usize = 1 << 20;

/// Compiles an expression of the config. It matches bytes, since paths and header values need not be UTF-8, and it
/// is not anchored: `^` and `$` are written where they are meant.
pub fn compile(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(pattern)
        .size_limit(SIZE_BYTES_MAX)
        .dfa_size_limit(SIZE_BYTES_MAX)
        .nest_limit(64)
        .build()
}
