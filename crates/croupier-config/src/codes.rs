//! The table of diagnostic codes. A code is for ever: a new one is added, an old one is never given a new meaning.
//!
//! C0xx: files and syntax. C1xx: keys, types, values. C2xx: things that refer to each other.

/// A problem's kind, stable across versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// `C101`
    pub id: &'static str,
    /// One sentence, for `explain` and the reference page.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $explanation:literal;)*) => {
        $(#[doc = $explanation] pub const $name: Code = Code { id: $id, explanation: $explanation };)*

        /// Every code, in order.
        pub const ALL: &[Code] = &[$($name,)*];
    };
}

codes! {
    FILE "C001" "A file of the config cannot be read.";
    ENCODING "C002" "A config file is UTF-8 text; this one is not.";
    TOO_LARGE "C003" "The config is beyond one of the reader's own bounds (size of a file, number of files, depth, routes of a site).";
    SYNTAX "C004" "The text is not valid TOML (or JSON, for a file whose name ends in `.json`).";
    DUPLICATE_KEY "C005" "A key is written twice in one table; TOML has no rule for which one would count.";
    INCLUDE "C006" "An include names a file that is not there, a pattern that is not understood, or a file that is already part of the config.";
    MAIN_FILE_ONLY "C007" "An included file may hold pools, sites, tests and includes; what belongs to the whole process stays in the main file.";
    VERSION "C008" "`version` says which form of the config language the file is written in; this program reads version 1.";

    UNKNOWN_KEY "C101" "No key of this name exists here; unknown keys are errors, so that a typo never switches a rule off.";
    WRONG_TYPE "C102" "The value has another type than the key takes.";
    MISSING_KEY "C103" "A key that has no default is not there.";
    OUT_OF_RANGE "C104" "The number is outside what the key allows.";
    UNKNOWN_WORD "C105" "The key takes one of a few words, and this is none of them.";
    DURATION "C106" "A duration is a string with units, such as `10s`, `500ms` or `1h30m`.";
    SIZE "C107" "A size is a string with a unit, such as `32KiB` or `1MB`.";
    ADDRESS "C108" "The address is not of a form that this key takes.";
    HOST "C109" "A host is a name, `*.name`, an IP address or `*`, without scheme, port or path.";
    HEADER "C110" "A header name is a token and a header value has no control characters.";
    CONFLICT "C111" "Keys stand together that exclude each other.";
    EMPTY "C112" "A list or text is empty that needs content.";
    PATH "C113" "A path begins with `/` and may end in `/*`; nothing else in it is a pattern.";
    METHOD "C114" "A method is a token and is compared with case.";
    TEMPLATE "C115" "A template is text with `$variables`; this one names a variable that does not exist or is not finished.";
    REQUEST "C116" "A test's request is a method and an absolute URL, such as `GET https://example.com/`.";
    PROTECTED_HEADER "C117" "The header belongs to the proxy: it frames messages or routes them, and an edit would break both.";
    NAME "C118" "A name may hold letters, digits, `-`, `_` and `.` (a route's name anything printable).";
    DUPLICATE_ENTRY "C119" "The same thing is listed twice.";

    PERCENT "C120" "A share is a string with a percent sign, such as `20%` or `99.9%`.";
    NO_WEIGHT "C121" "All weights of a pool or split are 0, so nobody would get a request.";
    STATUS "C122" "A status is a number from 100 to 599, and a range of them is written `200-299`.";
    COOKIE "C123" "A cookie's name is a token (RFC 6265, 4.1.1), and its path begins with `/` and has no `;`.";
    SECRET "C124" "A secret is a text of at least 16 bytes, or the file or variable of the environment that holds one.";
    URL "C125" "A URL here is absolute, has a host, and no more than its key takes.";
    MAIL "C126" "A contact is a mail address, such as `ops@example.com`.";

    NO_SUCH_POOL "C201" "A route refers to a pool that no file defines.";
    DUPLICATE_SITE "C202" "Two sites answer for the same host, so one of them would never be asked.";
    DUPLICATE_POOL "C203" "Two pools have the same name.";
    NO_ROUTE "C204" "A site has nothing to do: no routes and no `proxy`, `pool`, `split`, `redirect`, `respond` or `deny`.";
    UNREACHABLE "C205" "A route can never match, because an earlier route of its site takes everything it would take.";
    UNUSED_POOL "C206" "No site uses the pool.";
    REGEX "C207" "The regular expression does not compile.";
    LISTENER "C208" "Two listeners want the same address, or a site wants one that the process does not have.";
    NO_SITE "C209" "The config has no site: there is nothing to serve, and a half-written file looks like this.";
    NO_GROUP "C210" "A template refers to a group that the route's `path_regex` does not have.";
    NO_SUCH_NAME "C211" "A test expects a site, route or pool that the config does not have.";
    TEST_FAILED "C212" "A test of the config came out otherwise than it expects.";
    HARDLY_MEANT "C213" "What is written is allowed and hardly meant: beside the rest it has no effect, or works against it.";
    NO_CERTIFICATE "C214" "The names of a site and the way to its certificate do not fit together: none can come from there for all of them.";
    CERTIFICATE "C215" "A certificate, its key, or the authorities or revocation lists that clients are checked by can not be used, or not for long.";
    NO_SUCH_STORE "C216" "A route keeps its answers in a store that the config does not define.";
    STORE "C217" "A store of the cache can not be as it is written: too small, in the place of another, or its slices of no size that slices have.";
}

/// The code with this id.
pub fn find(id: &str) -> Option<Code> {
    ALL.iter()
        .copied()
        .find(|code| code.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn ids_rise_and_explanations_are_sentences() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
        for code in ALL {
            assert!(
                code.explanation.ends_with('.') && code.explanation.len() < 180,
                "{}",
                code.id
            );
        }
    }
}
