//! Conditions on headers and query parameters. With several values of one name, a condition
//! holds when any of them satisfies it: a rule that denies can not be evaded by a second line.

use croupier_config::{model::ValueMatch, pattern};
use croupier_http::Fields;
use regex::bytes::Regex;

/// What a value must be.
#[derive(Clone, Debug)]
pub enum ValueRule {
    Equals(Box<[u8]>),
    Regex(Regex),
    Present,
    Absent,
}

/// A condition on one name.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As written; lower case for headers.
    pub name: Box<str>,
    /// What its value must be.
    pub rule: ValueRule,
}

impl ValueRule {
    /// Compiles a rule.
    ///
    /// # Errors
    /// When its regex does not compile, or is larger than allowed.
    pub fn new(rule: &ValueMatch) -> Result<Self, String> {
        Ok(match rule {
            ValueMatch::Equals(text) => Self::Equals(text.as_bytes().into()),
            ValueMatch::Regex(text) => {
                Self::Regex(pattern::compile(text).map_err(|error| error.to_string())?)
            }
            ValueMatch::Present => Self::Present,
            ValueMatch::Absent => Self::Absent,
        })
    }

    fn holds<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> bool {
        match self {
            Self::Equals(text) => values.any(|value| value == &**text),
            Self::Regex(regex) => values.any(|value| regex.is_match(value)),
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
        }
    }
}

impl Condition {
    /// Does it hold for these header lines?
    #[must_use]
    pub fn holds_in(&self, fields: &Fields) -> bool {
        self.rule.holds(fields.all_named(self.name.as_bytes()))
    }

    /// Does it hold for this query? Names and values are compared as sent.
    #[must_use]
    pub fn holds_in_query(&self, query: Option<&str>) -> bool {
        self.rule.holds(parameters(query, &self.name))
    }
}

/// The values of the query parameters of that name, in order. Both as sent, case counts; one
/// without `=` has an empty value.
pub(crate) fn parameters<'q>(
    query: Option<&'q str>,
    name: &'q str,
) -> impl Iterator<Item = &'q [u8]> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs.filter_map(move |pair| {
        let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
        (own == name).then_some(value.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use croupier_config::model::ValueMatch;
    use croupier_http::Fields;

    use super::{Condition, ValueRule};

    fn condition(name: &str, rule: &ValueMatch) -> Condition {
        Condition {
            name: name.into(),
            rule: ValueRule::new(rule).unwrap(),
        }
    }

    #[test]
    fn any_value_of_a_name_counts() {
        let mut fields = Fields::new();
        fields.push(b"X-Role", b"guest");
        fields.push(b"x-role", b"admin");
        assert!(condition("x-role", &ValueMatch::Equals("admin".into())).holds_in(&fields));
        assert!(condition("x-role", &ValueMatch::Regex("^gu".into())).holds_in(&fields));
        assert!(condition("x-other", &ValueMatch::Absent).holds_in(&fields));
        assert!(!condition("x-other", &ValueMatch::Present).holds_in(&fields));
    }

    #[test]
    fn query_parameters() {
        let equals = condition("v", &ValueMatch::Equals("2".into()));
        assert!(equals.holds_in_query(Some("a=1&v=2")));
        assert!(!equals.holds_in_query(Some("a=1&V=2")));
        assert!(!equals.holds_in_query(None));
        assert!(condition("v", &ValueMatch::Present).holds_in_query(Some("v")));
        assert!(condition("v", &ValueMatch::Absent).holds_in_query(Some("vv=1")));
    }
}
