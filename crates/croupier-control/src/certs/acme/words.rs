//! What an authority's refusal means for whoever runs the proxy. Pure.

/// How an order failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::certs) struct Failure {
    /// In the authority's words, or ours.
    pub(in crate::certs) what: String,
    /// What to do.
    pub(in crate::certs) help: &'static str,
    /// How long the authority wants to be left alone, seconds.
    pub(in crate::certs) retry_after: Option<u64>,
}

/// Prefix of the types of problems (RFC 8555 section 6.7).
const ERRORS: &str = "urn:ietf:params:acme:error:";

/// What to do about a problem of this type.
pub(super) fn help(kind: &str) -> &'static str {
    match kind.strip_prefix(ERRORS).unwrap_or(kind) {
        "connection" => {
            "the authority could not reach this name: let port 80 (http-01) or 443 (tls-alpn-01) \
             of its addresses lead here"
        }
        "unauthorized" | "incorrectResponse" | "tls" => {
            "the authority reached somebody else, or an answer was changed on the way: check \
             where the name points, and what stands before this proxy"
        }
        "dns" => "the name does not resolve for the authority: add its A or AAAA records",
        "caa" => "the name's CAA records name other authorities: add this one",
        "rateLimited" => "the authority's limit is reached: nothing to do but wait",
        "externalAccountRequired" => {
            "the authority wants an account of its own: set \
             `acme.binding`"
        }
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "the authority does not give certificates for such a name: use files, or \
             `tls = \"internal\"`"
        }
        "invalidProfile" => "choose a profile that the authority has, or remove `acme.profile`",
        "badCSR" | "badPublicKey" => "choose another `acme.key`",
        "invalidContact" | "unsupportedContact" => "correct `acme.contact`",
        "userActionRequired" => "the authority's terms have changed: see its web page",
        UNREACHABLE => {
            "check `acme.directory`, and that this machine reaches it; a private authority also \
             needs `acme.ca`"
        }
        STATE => "make the state directory writable, or set `server.state`",
        CHALLENGES => "allow another way in `acme.challenges`",
        _ => "it will be tried again; after a reload within a minute",
    }
}

/// The authority was not reached.
pub(super) const UNREACHABLE: &str = "unreachable";
/// The state directory is in the way.
pub(super) const STATE: &str = "state";
/// The authority offers none of our ways.
pub(super) const CHALLENGES: &str = "challenges";

impl Failure {
    /// Of a type of problem, or one of ours.
    pub(super) fn new(kind: &str, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help(kind),
            retry_after: None,
        }
    }

    /// From what the ACME library says.
    pub(super) fn of(error: &instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => Self::of_problem(problem),
            instant_acme::Error::Other(error) => Self::new(UNREACHABLE, error.to_string()),
            instant_acme::Error::Json(_) => {
                Self::new(UNREACHABLE, "what answered there does not speak ACME")
            }
            other => Self::new("", other.to_string()),
        }
    }

    /// From a problem document. A problem with parts is as good as its first part.
    pub(super) fn of_problem(problem: &instant_acme::Problem) -> Self {
        let part = problem.subproblems.first();
        let kind = part.and_then(|part| part.r#type.as_deref());
        let kind = kind.or(problem.r#type.as_deref()).unwrap_or_default();
        let detail = part.and_then(|part| part.detail.as_deref());
        let detail = detail.or(problem.detail.as_deref()).unwrap_or_default();
        let short = kind.strip_prefix(ERRORS).unwrap_or(kind);
        Self::new(kind, format!("{short}: {detail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{ERRORS, Failure};

    #[test]
    fn a_problem_says_what_it_is_and_what_to_do() {
        let problem = format!(
            r#"{{"type":"{ERRORS}rateLimited","detail":"too many certificates","status":429}}"#
        );
        let failure = Failure::of_problem(&serde_json::from_str(&problem).unwrap());
        assert_eq!(failure.what, "rateLimited: too many certificates");
        assert!(failure.help.contains("wait"));
    }

    #[test]
    fn of_a_problem_with_parts_the_first_is_told() {
        let problem = format!(
            r#"{{"type":"{ERRORS}malformed","detail":"some names were refused","subproblems":[
                {{"type":"{ERRORS}caa","detail":"CAA record for a.example prevents issuance"}}]}}"#
        );
        let failure = Failure::of_problem(&serde_json::from_str(&problem).unwrap());
        assert!(failure.what.starts_with("caa: CAA record"), "{failure:?}");
        assert!(failure.help.contains("CAA"));
    }

    #[test]
    fn whoever_is_not_there_is_looked_for_in_the_config() {
        let error = instant_acme::Error::Other("ca.example: connection refused".into());
        let failure = Failure::of(&error);
        assert!(failure.what.contains("refused") && failure.help.contains("acme.directory"));
    }
}
