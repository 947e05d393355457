//! What an unsafe request makes stale (RFC 9111 section 4.4), and the one answer to a POST that is
//! kept (RFC 9110 section 9.3.3).

use croupier_http::{Authority, Fields, Method, Name, ResponseHead, Scheme, Target};

use super::control::Told;

/// Does an answer to this method make what is kept of its target stale? Methods that we do not know
/// count as unsafe; errors change nothing.
#[must_use]
pub fn invalidates(method: Method, status: u16) -> bool {
    let is_safe = matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Query | Method::Trace
    );
    // What CONNECT answers is a tunnel, and its target no resource.
    !is_safe && method != Method::Connect && (200..400).contains(&status)
}

/// The other URIs that such an answer names: `Location` and `Content-Location`, unresolved.
pub fn locations(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    let content = fields.sole(Name::CONTENT_LOCATION);
    fields.sole(Name::LOCATION).into_iter().chain(content)
}

/// Resolves a reference (RFC 3986 section 5.2) against the target it came in answer to, into a
/// target in normal form with the same authority. `None` when it leads elsewhere: only an origin's
/// own answers are invalidated by it; or when it is not lawful.
pub fn resolve(
    scheme: Scheme,
    base: &Target,
    authority: &Authority,
    reference: &[u8],
    out: &mut Target,
) -> Option<()> {
    let end = reference.iter().position(|&byte| byte == b'#');
    let reference = &reference[..end.unwrap_or(reference.len())];
    let read = |text: &[u8], out: &mut Target| out.read(scheme, Method::Get, text).ok();
    if let Some(rest) = reference.strip_prefix(b"//") {
        let absolute = [scheme.as_str().as_bytes(), b"://", rest].concat();
        read(&absolute, out)?;
    } else if has_scheme(reference) || reference.first() == Some(&b'/') {
        read(reference, out)?;
    } else {
        let path = base.path();
        let text = match reference.first() {
            None => match base.query() {
                Some(query) => [path, "?", query].concat().into_bytes(),
                None => path.as_bytes().to_vec(),
            },
            Some(b'?') => [path.as_bytes(), reference].concat(),
            Some(_) => {
                let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                [folder.as_bytes(), reference].concat()
            }
        };
        read(&text, out)?;
    }
    if out.authority.is_empty() {
        out.authority.read(authority.as_str().as_bytes()).ok()?;
        return Some(());
    }
    let port = |of: &Authority| of.port().unwrap_or_else(|| scheme.port());
    let is_same =
        out.authority.host() == authority.host() && port(&out.authority) == port(authority);
    is_same.then_some(())
}

/// `http:` and the like: what stands before the first colon is a scheme if no `/` or `?` comes
/// before it.
fn has_scheme(reference: &[u8]) -> bool {
    let end = reference
        .iter()
        .position(|byte| matches!(byte, b':' | b'/' | b'?'));
    end.is_some_and(|end| end > 0 && reference[end] == b':')
}

/// May this answer to a POST be kept as if its target had been asked for by GET? It must state how
/// long it is fresh, and say that it is the target's own representation. Whoever keeps it asks
/// [`super::may_store`] with GET.
#[must_use]
pub fn is_kept_for_get(
    scheme: Scheme,
    target: &Target,
    authority: &Authority,
    head: &ResponseHead,
) -> bool {
    let told = Told::of(&head.fields);
    let states = told.s_maxage.or(told.max_age).is_some() || head.fields.contains(Name::EXPIRES);
    let Some(location) = head.fields.sole(Name::CONTENT_LOCATION) else {
        return false;
    };
    let mut itself = Target::default();
    let is_itself = resolve(scheme, target, authority, location, &mut itself).is_some()
        && itself.path() == target.path()
        && itself.query() == target.query();
    states && is_itself && (200..300).contains(&head.status) && head.status != 206
}
