//! The invisible-server guard: what of an origin's identity is taken out of its answers.
//!
//! Fields that name software or machines are dropped; URLs and cookie domains that name a
//! server of the pool are rewritten to the site, so that nobody outside learns where the
//! servers are and every link a client follows leads back to us.

use crate::{
    authority::Authority,
    names::{Name, NameSet},
};

/// Table names that tell who made an answer.
pub const IDENTITY: NameSet = NameSet::of(&[
    Name::SERVER,
    Name::VIA,
    Name::X_ASPNETMVC_VERSION,
    Name::X_ASPNET_VERSION,
    Name::X_POWERED_BY,
]);

/// Table names whose value may hold a server's address.
pub const ADDRESSED: NameSet = NameSet::of(&[
    Name::CONTENT_LOCATION,
    Name::LOCATION,
    Name::REFRESH,
    Name::SET_COOKIE,
]);

const IDENTITY_OTHERS: [&[u8]; 17] = [
    b"microsoftsharepointteamservices",
    b"x-backend",
    b"x-backend-host",
    b"x-backend-server",
    b"x-envoy-decorator-operation",
    b"x-envoy-upstream-service-time",
    b"x-generator",
    b"x-host",
    b"x-hostname",
    b"x-owa-version",
    b"x-powered-cms",
    b"x-runtime",
    b"x-served-by",
    b"x-server",
    b"x-server-name",
    b"x-upstream",
    b"x-varnish",
];

/// Does a name outside the table tell who made an answer?
#[must_use]
pub fn is_identity(raw_name: &[u8]) -> bool {
    IDENTITY_OTHERS
        .iter()
        .any(|name| raw_name.eq_ignore_ascii_case(name))
}

/// The outside face of a site, as the present client sees it.
#[derive(Clone, Copy, Debug)]
pub struct Face<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// `host[:port]` of the request.
    pub authority: &'a Authority,
    /// Path prefix that the route took off the path, without trailing slash; often empty.
    pub prefix: &'a str,
}

/// Is this authority one of the pool's servers? Server authorities are in normal form.
fn names_a_server(authority: &Authority, is_tls: bool, servers: &[Authority]) -> bool {
    let default = if is_tls { 443 } else { 80 };
    servers.iter().any(|server| {
        server.host() == authority.host()
            && (authority.port().is_none()
                || authority.port().unwrap_or(default) == server.port().unwrap_or(default))
    })
}

/// A URL reference that names a server, rewritten to the site; None when it names none.
#[must_use]
pub fn url(value: &[u8], servers: &[Authority], face: &Face<'_>) -> Option<Vec<u8>> {
    let (is_tls, rest) = match value {
        [b'/', b'/', rest @ ..] => (face.scheme == "https", rest),
        _ => {
            let colon = memchr::memmem::find(value, b"://")?;
            let scheme = &value[..colon];
            let is_tls = scheme.eq_ignore_ascii_case(b"https");
            if !is_tls && !scheme.eq_ignore_ascii_case(b"http") {
                return None;
            }
            (is_tls, &value[colon + 3..])
        }
    };
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    let mut authority = Authority::default();
    authority.read(&rest[..end]).ok()?;
    if face.authority.is_empty() || !names_a_server(&authority, is_tls, servers) {
        return None;
    }
    let path = &rest[end..];
    let slash: &[u8] = if path.first() == Some(&b'/') || face.prefix.is_empty() {
        b""
    } else {
        b"/"
    };
    let parts: [&[u8]; 6] = [
        face.scheme.as_bytes(),
        b"://",
        face.authority.as_str().as_bytes(),
        face.prefix.as_bytes(),
        slash,
        path,
    ];
    Some(parts.concat())
}

/// A `Refresh` value (`5; url=...`) whose URL names a server, rewritten.
#[must_use]
pub fn refresh(value: &[u8], servers: &[Authority], face: &Face<'_>) -> Option<Vec<u8>> {
    let at = value
        .windows(4)
        .position(|four| four.eq_ignore_ascii_case(b"url="))?
        + 4;
    let quoted = matches!(value.get(at), Some(b'"' | b'\''));
    let start = at + usize::from(quoted);
    let end = if quoted {
        start + value[start..].iter().position(|&byte| byte == value[at])?
    } else {
        value.len()
    };
    let rewritten = url(value[start..end].trim_ascii(), servers, face)?;
    Some([&value[..start], &rewritten, &value[end..]].concat())
}

/// A `Set-Cookie` value whose `Domain` names a server: the domain becomes the site's host.
#[must_use]
pub fn cookie(value: &[u8], servers: &[Authority], face: &Face<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len() + 16);
    let mut changed = false;
    for (index, part) in value.split(|&byte| byte == b';').enumerate() {
        if index > 0 {
            out.push(b';');
        }
        let trimmed = part.trim_ascii();
        let domain = (index > 0 && trimmed.len() > 7)
            .then(|| trimmed.split_at(7))
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"domain="))
            .map(|(_, domain)| domain.strip_prefix(b".").unwrap_or(domain));
        let mut authority = Authority::default();
        let is_server = domain.is_some_and(|domain| {
            authority.read(domain).is_ok()
                && servers
                    .iter()
                    .any(|server| server.host() == authority.host())
        });
        if is_server && !face.authority.is_empty() {
            out.extend_from_slice(b" Domain=");
            out.extend_from_slice(face.authority.host().as_bytes());
            changed = true;
        } else {
            out.extend_from_slice(part);
        }
    }
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::{Face, cookie, refresh, url};
    use crate::authority::Authority;

    fn authority(text: &str) -> Authority {
        let mut authority = Authority::default();
        authority.read(text.as_bytes()).unwrap();
        authority
    }

    fn check(
        rule: impl Fn(&[u8], &[Authority], &Face<'_>) -> Option<Vec<u8>>,
        value: &str,
    ) -> Option<String> {
        let servers = [authority("10.0.1.11:8080"), authority("app.internal:80")];
        let site = authority("shop.example.com:8443");
        let face = Face {
            scheme: "https",
            authority: &site,
            prefix: "",
        };
        rule(value.as_bytes(), &servers, &face).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn urls_that_name_a_server_lead_to_the_site() {
        const SITE: &str = "https://shop.example.com:8443";
        for (value, rest) in [
            ("http://10.0.1.11:8080/x?y#z", "/x?y#z"),
            ("HTTP://10.0.1.11/x", "/x"),
            ("http://APP.internal", ""),
            ("//app.internal:80/x", "/x"),
            ("http://app.internal?q", "?q"),
        ] {
            assert_eq!(check(url, value), Some(format!("{SITE}{rest}")), "{value}");
        }
        for value in [
            "/x",
            "http://elsewhere/x",
            "http://10.0.1.11:9/x",
            "ftp://10.0.1.11/",
            "x://",
            "",
        ] {
            assert_eq!(check(url, value), None, "{value}");
        }
        assert_eq!(
            check(refresh, "5; URL='http://app.internal/a'").as_deref(),
            Some("5; URL='https://shop.example.com:8443/a'")
        );
        assert_eq!(check(refresh, "5"), None);
    }

    #[test]
    fn the_prefix_a_route_took_off_comes_back() {
        let servers = [authority("10.0.1.11:8080")];
        let site = authority("a");
        let face = Face {
            scheme: "http",
            authority: &site,
            prefix: "/app",
        };
        let rewritten = url(b"http://10.0.1.11:8080/login", &servers, &face).unwrap();
        assert_eq!(rewritten, b"http://a/app/login");
    }

    #[test]
    fn cookie_domains() {
        assert_eq!(
            check(cookie, "a=b; Domain=.app.internal; Path=/").as_deref(),
            Some("a=b; Domain=shop.example.com; Path=/")
        );
        assert_eq!(check(cookie, "a=b; Domain=example.com"), None);
        assert_eq!(check(cookie, "domain=app.internal"), None);
    }
}
