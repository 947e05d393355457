//! Is this lawful HTTP, and what does it ask of its connection?
//!
//! Nothing may look at a message whose meaning is ambiguous: a request that two servers could
//! read differently ends here. HTTP/1 comes with its framing; h2 and h3 hand over the same
//! head with their pseudo-fields as method, target and authority.

use crate::{
    BodyLen,
    fields::members,
    h1::{
        chunked::is_token,
        framing::{self, FramingError},
    },
    head::{Framed, RequestHead, Version},
    method::Method,
    names::{Name, NameSet},
    target::{Form, Scheme, Target, TargetError},
};

/// What a lawful request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Lawful {
    /// How its body ends.
    pub body: BodyLen,
    /// Waits for `100 Continue` before it sends its body.
    pub expects_continue: bool,
    /// Asks to become a WebSocket.
    pub wants_websocket: bool,
    /// Fields named by `Connection`: they end here.
    pub listed: Listed,
}

/// The fields that a `Connection` field names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listed {
    /// Those in the table of names.
    pub names: NameSet,
    /// Names outside the table occur; compare each line with `Connection`'s members.
    pub others: bool,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlawful {
    /// `Connection` names a field that is not the connection's.
    ConnectionLists,
    /// Two different `Content-Type` lines.
    ContentTypeTwice,
    /// An expectation other than `100-continue`.
    Expect,
    Framing(FramingError),
    /// `Host` is malformed.
    Host,
    /// `Host` and the target disagree.
    HostMismatch,
    /// `Host` is missing in HTTP/1.1.
    HostMissing,
    /// More than one `Host`.
    HostTwice,
    /// Not a method name.
    Method,
    /// A method that a reverse proxy does not serve.
    MethodRefused,
    Target(TargetError),
}

impl Unlawful {
    /// One sentence for the log and the error page.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::ConnectionLists => "`Connection` names a field that belongs to the message",
            Self::ContentTypeTwice => "two different `Content-Type` lines",
            Self::Expect => "an expectation other than `100-continue`",
            Self::Framing(error) => error.sentence(),
            Self::Host => "a malformed `Host`",
            Self::HostMismatch => "`Host` and the request target disagree",
            Self::HostMissing => "`Host` is missing",
            Self::HostTwice => "more than one `Host`",
            Self::Method => "a malformed method",
            Self::MethodRefused => "a method that this proxy does not serve",
            Self::Target(TargetError::Scheme) => "a target whose scheme is not the connection's",
            Self::Target(_) => "a malformed request target",
        }
    }
}

/// Fields that `Connection` must not name: removing them would change the message.
const MESSAGE_FIELDS: NameSet = NameSet::of(&[
    Name::AUTHORIZATION,
    Name::CACHE_CONTROL,
    Name::CONTENT_LENGTH,
    Name::CONTENT_TYPE,
    Name::COOKIE,
    Name::HOST,
    Name::TRANSFER_ENCODING,
]);

/// Judges a request that came over a connection of `scheme`, and reads its target into normal form.
///
/// # Errors
/// With the first reason found.
pub fn request(
    head: &RequestHead,
    scheme: Scheme,
    target: &mut Target,
) -> Result<Lawful, Unlawful> {
    check_method(head)?;
    target
        .read(scheme, head.method, head.target_bytes())
        .map_err(Unlawful::Target)?;
    check_host(head, scheme, target)?;
    let body = framing::request(head).map_err(Unlawful::Framing)?;
    let listed = listed(head)?;
    check_content_type(head)?;
    Ok(Lawful {
        body,
        expects_continue: expects_continue(head, body)?,
        wants_websocket: wants_websocket(head, body),
        listed,
    })
}

fn check_method(head: &RequestHead) -> Result<(), Unlawful> {
    match head.method {
        Method::Connect | Method::Trace => Err(Unlawful::MethodRefused),
        Method::Other => {
            // Registered methods are upper-case; `get` is a request somebody else may read
            // as `GET`.
            let method = head.method_bytes();
            let lawful = |&byte: &u8| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            };
            if method.first().is_some_and(u8::is_ascii_uppercase) && method.iter().all(lawful) {
                Ok(())
            } else {
                Err(Unlawful::Method)
            }
        }
        _ => Ok(()),
    }
}

fn check_host(head: &RequestHead, scheme: Scheme, target: &mut Target) -> Result<(), Unlawful> {
    let mut lines = head.fields.all(Name::HOST);
    let Some(host) = lines.next() else {
        return if head.version == Version::Http10 {
            Ok(())
        } else {
            Err(Unlawful::HostMissing)
        };
    };
    if lines.next().is_some() {
        return Err(Unlawful::HostTwice);
    }
    if target.form != Form::Absolute {
        return target.authority.read(host).map_err(|_| Unlawful::Host);
    }
    let mut authority = crate::Authority::default();
    authority.read(host).map_err(|_| Unlawful::Host)?;
    let default = scheme.port();
    let same = authority.host() == target.authority.host()
        && authority.port().unwrap_or(default) == target.authority.port().unwrap_or(default);
    if same {
        Ok(())
    } else {
        Err(Unlawful::HostMismatch)
    }
}

fn check_content_type(head: &RequestHead) -> Result<(), Unlawful> {
    if !head.fields.contains(Name::CONTENT_TYPE) {
        return Ok(());
    }
    let mut lines = head.fields.all(Name::CONTENT_TYPE);
    let first = lines.next();
    if lines.all(|line| Some(line) == first) {
        Ok(())
    } else {
        Err(Unlawful::ContentTypeTwice)
    }
}

fn listed(head: &RequestHead) -> Result<Listed, Unlawful> {
    let mut listed = Listed::default();
    if !head.fields.contains(Name::CONNECTION) {
        return Ok(listed);
    }
    for member in head.fields.all(Name::CONNECTION).flat_map(members) {
        if !member.iter().all(|&byte| is_token(byte)) {
            return Err(Unlawful::ConnectionLists);
        }
        match Name::from_bytes(member) {
            Name::OTHER => {
                let option = member.eq_ignore_ascii_case(b"close");
                listed.others |= !option;
            }
            name => listed.names.insert(name),
        }
    }
    if listed.names.intersects(MESSAGE_FIELDS) {
        return Err(Unlawful::ConnectionLists);
    }
    Ok(listed)
}

fn expects_continue(head: &RequestHead, body: BodyLen) -> Result<bool, Unlawful> {
    if !head.fields.contains(Name::EXPECT) || head.version == Version::Http10 {
        return Ok(false);
    }
    let mut lines = head.fields.all(Name::EXPECT);
    match (lines.next(), lines.next()) {
        (Some(value), None) if value.eq_ignore_ascii_case(b"100-continue") => {
            Ok(!matches!(body, BodyLen::None | BodyLen::Length(0)))
        }
        _ => Err(Unlawful::Expect),
    }
}

fn wants_websocket(head: &RequestHead, body: BodyLen) -> bool {
    if head.framed == Framed::WebSocket {
        return true;
    }
    head.fields.contains(Name::UPGRADE)
        && head.method == Method::Get
        && head.version == Version::Http11
        && body == BodyLen::None
        && (head.fields.all(Name::CONNECTION).flat_map(members))
            .any(|member| member.eq_ignore_ascii_case(b"upgrade"))
        && (head.fields.all(Name::UPGRADE).flat_map(members))
            .any(|member| member.eq_ignore_ascii_case(b"websocket"))
}

#[cfg(test)]
mod tests {
    use super::{Lawful, Unlawful, request};
    use crate::{
        BodyLen, Target,
        h1::{head, scan::HeadLimits},
        head::RequestHead,
        names::Name,
        target::Scheme,
    };

    fn inspect(text: &str) -> Result<(Lawful, Target), Unlawful> {
        let limits = HeadLimits {
            head_bytes: 4096,
            target_bytes: 1024,
            fields: 100,
            field_bytes: 1024,
        };
        let mut request_head = RequestHead::default();
        head::request(text.as_bytes(), &limits, &mut request_head).expect("parses");
        let mut target = Target::default();
        request(&request_head, Scheme::Http, &mut target).map(|lawful| (lawful, target))
    }

    #[test]
    fn lawful() {
        let (lawful, target) = inspect("GET / HTTP/1.1\r\nHost: A.b.\r\n\r\n").unwrap();
        assert_eq!(lawful.body, BodyLen::None);
        assert_eq!(target.authority.as_str(), "a.b");
        let (_, target) = inspect("GET http://a/x HTTP/1.1\r\nHost: A:80\r\n\r\n").unwrap();
        assert_eq!((target.authority.as_str(), target.path()), ("a", "/x"));
        assert!(
            inspect("GET / HTTP/1.0\r\n\r\n")
                .unwrap()
                .1
                .authority
                .is_empty()
        );
        let (lawful, _) =
            inspect("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A, TE\r\n\r\n").unwrap();
        assert!(lawful.listed.others && lawful.listed.names.contains(Name::TE));
    }

    #[test]
    fn websockets_are_asked_for_properly() {
        let ask = |extra: &str| {
            inspect(&format!("GET / HTTP/1.1\r\nHost: a\r\n{extra}\r\n"))
                .unwrap()
                .0
                .wants_websocket
        };
        assert!(ask(
            "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
        ));
        assert!(!ask("Upgrade: websocket\r\n"));
        assert!(!ask("Connection: Upgrade\r\nUpgrade: h2c\r\n"));
        assert!(!ask(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"
        ));
    }

    #[test]
    fn expectations() {
        let ask = |extra: &str| {
            inspect(&format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{extra}\r\n"
            ))
            .map(|(lawful, _)| lawful.expects_continue)
        };
        assert_eq!(ask(""), Ok(false));
        assert_eq!(ask("Expect: 100-Continue\r\n"), Ok(true));
        for bad in [
            "Expect: x\r\n",
            "Expect: 100-continue, x\r\n",
            "Expect: 100-continue\r\nExpect: 100-continue\r\n",
        ] {
            assert_eq!(ask(bad), Err(Unlawful::Expect), "{bad:?}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n",
            "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n",
        ] {
            assert!(inspect(text).is_err(), "{text:?}");
        }
    }
}
