//! Stage 1: is this lawful HTTP, within limits, and who sent it?
//!
//! First of all, because nothing may look at a message whose meaning is ambiguous.

use std::net::{IpAddr, Ipv4Addr};

use croupier_http::{
    BodyLen, Name, Scheme,
    rules::{
        forwarded,
        inspect::{self, Unlawful},
    },
};
use croupier_net::NetError;
use croupier_telemetry::Traceparent;

use crate::{
    fault::{Code, Fault},
    incoming::Incoming,
    plan::Plan,
};

/// Proxies a request may have passed before it must be going in circles.
const VIA_MAX: usize = 20;
/// Characters of a request id that we believe.
const ID_MAX: usize = 128;

/// Judges the request and learns from it what later stages need.
pub(crate) fn check(plan: &Plan, incoming: &mut Incoming) -> Result<(), Fault> {
    let scheme = match incoming.scheme {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    let lawful = inspect::request(&incoming.head, scheme, &mut incoming.target).map_err(refusal)?;
    incoming.lawful = lawful;
    let fields = &incoming.head.fields;
    if let (BodyLen::Length(length), Some(max)) = (lawful.body, plan.limits.body_bytes)
        && length > max
    {
        return Err(Code::ClientBodyTooLarge.into());
    }
    if fields.contains(Name::VIA) && forwarded::via_count(fields) > VIA_MAX {
        return Err(Code::ProxyLoop.into());
    }
    if fields.contains(Name::TRACEPARENT) {
        incoming.trace = fields.get(Name::TRACEPARENT).and_then(Traceparent::parse);
    }
    if incoming.is_trusted {
        believe(plan, incoming);
    }
    Ok(())
}

/// What a proxy of ours says about the client.
fn believe(plan: &Plan, incoming: &mut Incoming) {
    let fields = &incoming.head.fields;
    let is_trusted = |address| plan.trusted.holds(address);
    // A unix peer is trusted itself; the walk begins with whom it names.
    let peer = incoming
        .peer_ip
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let is_peer = |address| address == peer || is_trusted(address);
    let client = forwarded::client(peer, fields, is_peer);
    incoming.client_ip = Some(client).filter(|client| !client.is_unspecified());
    if let Some(proto) = fields.get(Name::X_FORWARDED_PROTO) {
        if proto.eq_ignore_ascii_case(b"https") {
            incoming.scheme = "https";
        } else if proto.eq_ignore_ascii_case(b"http") {
            incoming.scheme = "http";
        }
    }
    incoming.given_id = fields
        .get(Name::X_REQUEST_ID)
        .filter(|id| (1..=ID_MAX).contains(&id.len()))
        .filter(|id| id.iter().all(u8::is_ascii_graphic))
        .and_then(|id| str::from_utf8(id).ok())
        .map(Into::into);
}

fn refusal(unlawful: Unlawful) -> Fault {
    use croupier_http::h1::framing::FramingError;
    let code = match unlawful {
        Unlawful::Framing(FramingError::LengthMissing) => Code::ClientLengthMissing,
        Unlawful::Framing(_) => Code::ClientFraming,
        Unlawful::Expect => Code::ClientExpect,
        Unlawful::MethodRefused => Code::ClientMethodRefused,
        Unlawful::Target(_) => Code::ClientTargetMalformed,
        _ => Code::ClientHeadMalformed,
    };
    Fault::because(code, unlawful.sentence())
}

/// What a failure to read a head means.
pub(crate) fn head_fault(error: &NetError) -> Fault {
    use croupier_http::h1::scan::HeadError;
    match error {
        NetError::Head(error) => {
            let code = match error {
                HeadError::HeadTooLarge | HeadError::FieldTooLarge | HeadError::TooManyFields => {
                    Code::ClientHeadTooLarge
                }
                HeadError::TargetTooLong => Code::ClientTargetTooLong,
                HeadError::Version => Code::ClientHeadVersion,
                _ => Code::ClientHeadMalformed,
            };
            Fault::because(code, error.sentence())
        }
        NetError::Timeout => Code::ClientHeadTimeout.into(),
        _ => Code::ClientGone.into(),
    }
}

/// What a failure of the client's body means.
pub(crate) fn body_fault(error: &NetError) -> Fault {
    match error {
        NetError::Chunk(error) => Fault::because(Code::ClientBodyMalformed, error.sentence()),
        NetError::Timeout => Code::ClientBodyTimeout.into(),
        _ => Code::ClientGone.into(),
    }
}
