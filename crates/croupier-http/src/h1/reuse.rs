//! What a head says about the life of its connection (RFC 9112 section 9.3).

use crate::{
    fields::{Fields, members},
    head::Version,
    names::Name,
};

/// Does the sender of this head want to keep the connection?
#[must_use]
pub fn is_persistent(version: Version, fields: &Fields) -> bool {
    if !fields.contains(Name::CONNECTION) {
        return version != Version::Http10;
    }
    // What most servers say, without taking a list apart.
    if let Some(only) = fields.sole(Name::CONNECTION)
        && only.eq_ignore_ascii_case(b"keep-alive")
    {
        return true;
    }
    let mut keep = version != Version::Http10;
    for member in fields.all(Name::CONNECTION).flat_map(members) {
        if member.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep |= member.eq_ignore_ascii_case(b"keep-alive");
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::is_persistent;
    use crate::{fields::Fields, head::Version};

    #[test]
    fn defaults_and_words() {
        let with = |value: &str| {
            let mut fields = Fields::new();
            fields.push(b"Connection", value.as_bytes());
            fields
        };
        assert!(is_persistent(Version::Http11, &Fields::new()));
        assert!(!is_persistent(Version::Http10, &Fields::new()));
        assert!(!is_persistent(Version::Http11, &with("TE, Close")));
        assert!(is_persistent(Version::Http10, &with("Keep-Alive")));
        assert!(!is_persistent(Version::Http10, &with("keep-alive, close")));
        assert!(is_persistent(Version::Http11, &with("te")));
    }
}
