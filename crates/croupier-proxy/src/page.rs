//! Error pages: small, without version, with the fault's word and the request's id. HTML for
//! browsers, RFC 9457 JSON for programs that ask for it, else plain text; a `grpc-status` for gRPC.

use std::borrow::Cow;

use croupier_http::head::reason;

use crate::{
    answer::{Bytes, Made},
    fault::{Code, Fault},
    grpc,
    incoming::Incoming,
};

/// The methods that we let through, as an `Allow` field has them.
pub(crate) const ALLOW: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, QUERY";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Json,
    Text,
}

/// The page of a fault.
pub(crate) fn error(incoming: &Incoming, status: u16, fault: Fault) -> Made {
    if grpc::is_call(&incoming.head.fields) {
        return grpc::refusal(incoming, status, fault);
    }
    let title = match reason(status) {
        "" => "Error",
        title => title,
    };
    let (word, sentence, id) = (fault.code.as_str(), fault.sentence(), escape(incoming.id()));
    let (content_type, body) = match form(incoming) {
        Form::Html => (
            "text/html; charset=utf-8",
            html(status, title, word, sentence, &id),
        ),
        Form::Json => (
            "application/problem+json",
            serde_json::json!({
                "type": "about:blank", "title": title, "status": status, "detail": sentence,
                "fault": word, "request_id": incoming.id(),
            })
            .to_string(),
        ),
        Form::Text => (
            "text/plain; charset=utf-8",
            format!(
                "{status} {title}\n{sentence}\nfault: {word}\nrequest: {}\n",
                incoming.id()
            ),
        ),
    };
    let mut lines = vec![(Cow::Borrowed("cache-control"), Cow::Borrowed("no-store"))];
    match fault.code {
        Code::ClientMethodRefused => lines.push((Cow::Borrowed("allow"), Cow::Borrowed(ALLOW))),
        Code::ProxyPoolBusy
        | Code::ProxyPoolEmpty
        | Code::ProxyQueueFull
        | Code::ProxyQueueTimeout
        | Code::ProxyExhausted => {
            lines.push((Cow::Borrowed("retry-after"), Cow::Borrowed("1")));
        }
        _ => {}
    }
    lines.push((
        Cow::Borrowed("x-request-id"),
        Cow::Owned(incoming.id().to_owned()),
    ));
    Made {
        status,
        body: Bytes::Own(body.into_bytes()),
        content_type: Cow::Borrowed(content_type),
        lines,
    }
}

fn form(incoming: &Incoming) -> Form {
    for accept in incoming.head.fields.all_named(b"accept") {
        if mentions(accept, b"text/html") {
            return Form::Html;
        }
        if mentions(accept, b"json") {
            return Form::Json;
        }
    }
    Form::Text
}

fn mentions(value: &[u8], word: &[u8]) -> bool {
    value
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

fn html(status: u16, title: &str, word: &str, sentence: &str, id: &str) -> String {
    let sentence = escape(sentence);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{status} {title}</title>\n\
         <style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;\
         max-width:36rem;margin:12vh auto;padding:0 1rem}}h1{{font-size:1.6rem}}\
         code{{font-size:.9em}}dl{{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem}}\
         dd{{margin:0}}</style></head>\n\
         <body><h1>{status} {title}</h1><p>{sentence}.</p>\
         <dl><dt>Fault</dt><dd><code>{word}</code></dd>\
         <dt>Request</dt><dd><code>{id}</code></dd></dl></body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(character),
        }
    }
    out
}
