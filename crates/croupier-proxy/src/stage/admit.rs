//! Stage 3: may it pass, or does the route answer by itself? Cheap answers first, before any
//! origin is bothered. Policies will run here.

use std::borrow::Cow;

use croupier_http::{Method, rules::hop};

use crate::{
    answer::{Answer, Bytes, Made},
    exchange::Exchange,
    fault::{Code, Fault},
    incoming::Incoming,
    page,
    plan::Action,
};

/// Gives the route's own answer; None when a pool is to be asked.
pub(crate) fn run(x: &mut Exchange) -> Option<Answer> {
    let route = x.route_plan()?;
    match &route.action {
        Action::Pool(_) | Action::Split(_) => last_hop(&x.incoming),
        Action::Redirect { to, status } => {
            let location = to.expand(x.incoming.scheme, &x.incoming.target, &route.path);
            Some(Answer::Made(Made {
                status: *status,
                body: Bytes::Own(Vec::new()),
                content_type: Cow::Borrowed(""),
                lines: vec![(Cow::Borrowed("location"), Cow::Owned(location))],
            }))
        }
        Action::Respond(fixed) => {
            let text = |bytes: &[u8]| Cow::Owned(String::from_utf8_lossy(bytes).into_owned());
            Some(Answer::Made(Made {
                status: fixed.status,
                body: Bytes::Shared(fixed.body.clone()),
                content_type: Cow::Owned(fixed.content_type.to_string()),
                lines: fixed
                    .lines
                    .iter()
                    .map(|line| (text(&line.name), text(&line.value)))
                    .collect(),
            }))
        }
        Action::Deny { status } => {
            let status = *status;
            let fault = Fault::from(Code::ProxyDenied);
            x.failed(fault);
            Some(Answer::Made(page::error(&x.incoming, status, fault)))
        }
    }
}

/// A question about the way that may go no further is ours to answer.
fn last_hop(incoming: &Incoming) -> Option<Answer> {
    let ends_here = incoming.head.method == Method::Options
        && hop::forwards_left(&incoming.head.fields) == Some(0);
    ends_here.then(|| {
        Answer::Made(Made {
            status: 204,
            body: Bytes::Own(Vec::new()),
            content_type: Cow::Borrowed(""),
            lines: vec![(Cow::Borrowed("allow"), Cow::Borrowed(page::ALLOW))],
        })
    })
}
