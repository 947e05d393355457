//! What a client takes (RFC 9110 section 12.5.3), and what it is given.

use crate::{Coding, dictionary::Shared};

/// Members that are looked at. Browsers send five.
const MEMBERS_MAX: usize = 64;

/// Weights are kept in thousandths, which is all the precision that they have.
const FULL: u16 = 1000;

/// What a client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The content as it is.
    Identity,
    /// The content in this coding.
    Coded(Coding),
    /// It takes nothing that we have, not even the content as it is. It is given that: a refusal
    /// would help nobody (RFC 9110 section 12.5.3 leaves the choice).
    Nothing,
}

/// Chooses among `ours`, in the order in which we like them. `accept` are the values of the lines
/// of `Accept-Encoding`; without any the content is given as it is. The client's weights decide,
/// then our order; a coding of the same weight as `identity` is preferred. A member that is not
/// lawful is passed over, and of several for one coding the first counts.
pub fn negotiate<'a>(accept: impl IntoIterator<Item = &'a [u8]>, ours: &[Coding]) -> Chosen {
    let weights = Weights::of(accept);
    let mut best: Option<(u16, Coding)> = None;
    for &coding in ours {
        let weight = weights.coding(coding);
        if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, coding));
        }
    }
    let identity = weights.identity();
    match best {
        Some((weight, _)) if identity.is_some_and(|identity| identity > weight) => Chosen::Identity,
        Some((_, coding)) => Chosen::Coded(coding),
        None if identity == Some(0) => Chosen::Nothing,
        None => Chosen::Identity,
    }
}

/// Chooses a coding with a dictionary (RFC 9842) that the client names; `*` does not: a client
/// that has a dictionary names what it can do with it.
pub fn negotiate_shared<'a>(
    accept: impl IntoIterator<Item = &'a [u8]>,
    ours: &[Shared],
) -> Option<Shared> {
    let weights = Weights::of(accept);
    let mut best: Option<(u16, Shared)> = None;
    for &shared in ours {
        let weight = weights.shared[shared as usize].unwrap_or(0);
        if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, shared));
        }
    }
    best.map(|(_, shared)| shared)
}

/// What a client says of what we know.
#[derive(Debug, Default)]
struct Weights {
    codings: [Option<u16>; 3],
    shared: [Option<u16>; 2],
    identity: Option<u16>,
    others: Option<u16>,
}

impl Weights {
    fn of<'a>(accept: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut weights = Self::default();
        let members = accept
            .into_iter()
            .flat_map(|value| value.split(|&byte| byte == b','));
        for member in members.take(MEMBERS_MAX) {
            let Some((name, weight)) = read(member) else {
                continue;
            };
            let slot = if name == b"*" {
                &mut weights.others
            } else if name.eq_ignore_ascii_case(b"identity") {
                &mut weights.identity
            } else if let Some(coding) = Coding::of(name) {
                &mut weights.codings[coding as usize]
            } else if let Some(shared) = Shared::of(name) {
                &mut weights.shared[shared as usize]
            } else {
                continue;
            };
            slot.get_or_insert(weight);
        }
        weights
    }

    fn coding(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.others).unwrap_or(0)
    }

    /// None: nothing was said of it, so it is taken when nothing else is. `*` speaks of it only to
    /// refuse it.
    fn identity(&self) -> Option<u16> {
        let refused = self.others.filter(|&weight| weight == 0);
        self.identity.or(refused)
    }
}

/// A member's name and weight; None when it is not lawful.
fn read(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|&byte| byte == b';');
    let name = parts.next()?.trim_ascii();
    if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let weight = match parts.next() {
        None => FULL,
        Some(parameter) => weight(parameter.trim_ascii())?,
    };
    parts.next().is_none().then_some((name, weight))
}

/// `q=0.5` (RFC 9110 section 12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole, rest @ ..] = parameter else {
        return None;
    };
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => FULL,
        _ => return None,
    };
    for (digit, unit) in digits.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        weight += u16::from(digit - b'0') * unit;
    }
    (weight <= FULL).then_some(weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Chosen, Coding, Shared, negotiate, negotiate_shared};

    const OURS: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    fn chosen(accept: &str) -> Chosen {
        negotiate([accept.as_bytes()], &OURS)
    }

    #[test]
    fn weights_decide_then_our_order() {
        use Coding::{Brotli, Gzip, Zstd};
        let table = [
            ("", Chosen::Identity),
            ("gzip, deflate, br, zstd", Chosen::Coded(Zstd)),
            ("gzip, deflate, br", Chosen::Coded(Brotli)),
            ("gzip;q=1.0, br;q=0.999", Chosen::Coded(Gzip)),
            ("x-gzip", Chosen::Coded(Gzip)),
            ("GZIP;Q=0.1", Chosen::Coded(Gzip)),
            ("gzip ; q=0.5 , br ; q=0.6", Chosen::Coded(Brotli)),
            ("gzip;q=0", Chosen::Identity),
            ("gzip;q=0.000, *", Chosen::Coded(Zstd)),
            ("*", Chosen::Coded(Zstd)),
            ("*;q=0", Chosen::Nothing),
            ("*;q=0, identity;q=0.5", Chosen::Identity),
            ("identity;q=0", Chosen::Nothing),
            ("identity;q=0, gzip;q=0.1", Chosen::Coded(Gzip)),
            ("identity, gzip", Chosen::Coded(Gzip)),
            ("identity, gzip;q=0.5", Chosen::Identity),
            ("identity;q=0.5, gzip", Chosen::Coded(Gzip)),
            ("deflate, compress", Chosen::Identity),
            ("gzip;q=2, br;q=0.5", Chosen::Coded(Brotli)),
            ("gzip;q=0.1234", Chosen::Identity),
            ("gzip;q=1.001", Chosen::Identity),
            ("gzip;q=", Chosen::Identity),
            ("gzip;level=9", Chosen::Identity),
            ("gzip;q=1;q=0", Chosen::Identity),
            ("gz ip, ,;q=1,br", Chosen::Coded(Brotli)),
            ("gzip;q=0, gzip;q=1", Chosen::Identity),
        ];
        for (accept, expected) in table {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
    }

    #[test]
    fn nothing_said_is_nothing_coded() {
        assert_eq!(negotiate([], &OURS), Chosen::Identity);
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines: [&[u8]; 2] = [b"gzip;q=0.5", b"br"];
        assert_eq!(negotiate(lines, &OURS), Chosen::Coded(Coding::Brotli));
    }

    #[test]
    fn only_what_we_offer_is_chosen() {
        let accept: [&[u8]; 1] = [b"br, zstd, gzip;q=0.1"];
        let gzip = [Coding::Gzip];
        assert_eq!(negotiate(accept, &gzip), Chosen::Coded(Coding::Gzip));
        assert_eq!(negotiate(accept, &[]), Chosen::Identity);
    }

    #[test]
    fn a_dictionary_is_used_for_those_who_name_its_coding() {
        let ours = [Shared::Dcb, Shared::Dcz];
        let said = |accept: &str| negotiate_shared([accept.as_bytes()], &ours);
        assert_eq!(said("gzip, br, zstd, dcb, dcz"), Some(Shared::Dcb));
        assert_eq!(said("dcb;q=0.5, dcz"), Some(Shared::Dcz));
        assert_eq!(said("dcb;q=0"), None);
        assert_eq!(said("*"), None);
    }

    proptest! {
        #[test]
        fn anything_may_be_said(accept in prop::collection::vec(any::<u8>(), 0..200)) {
            negotiate([accept.as_slice()], &OURS);
        }

        #[test]
        fn what_is_refused_is_not_given(
            members in prop::collection::vec(
                (prop::sample::select(vec!["gzip", "br", "zstd", "*", "identity"]), 0u16..=10), 0..6),
        ) {
            let written: Vec<String> = members
                .iter()
                .map(|(name, q)| format!("{name};q={}.{}", q / 10, q % 10))
                .collect();
            let first = |name: &str| members.iter().find(|(own, _)| *own == name).map(|(_, q)| *q);
            if let Chosen::Coded(coding) = chosen(&written.join(",")) {
                let weight = first(coding.as_str()).or_else(|| first("*"));
                prop_assert!(weight.is_some_and(|weight| weight > 0));
            }
        }
    }
}
