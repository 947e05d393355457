//! The listeners of the process, and which of them a site narrows itself to.
//!
//! Written in `[server]`, the list is complete, and a site picks from it. Not written, it is what the sites name, so
//! that one `listen` in a small file is enough; a site that names none keeps the default, which is port 80, and port 443
//! as soon as one of them has TLS.

use super::tls;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Config, Listen};
use crate::nearest::nearest;
use crate::read::Reader;
use crate::source::Spanned;

const DEFAULT: Listen = Listen::Port(80);
const DEFAULT_TLS: Listen = Listen::Port(443);

pub(crate) fn check(reader: &mut Reader, config: &mut Config) {
    if config.server.listen.is_empty() {
        config.server.listen = from_sites(reader, config);
    } else {
        for wanted in config.sites.iter().flat_map(|site| &site.listen) {
            if !config
                .server
                .listen
                .iter()
                .any(|listen| listen.value == wanted.value)
            {
                note_missing(reader, &config.server.listen, wanted);
            }
        }
    }
    conflicts(reader, config);
}

fn from_sites(reader: &Reader, config: &Config) -> Vec<Spanned<Listen>> {
    let mut listen: Vec<Spanned<Listen>> = Vec::new();
    if config.sites.is_empty() || config.sites.iter().any(|site| site.listen.is_empty()) {
        listen.push(Spanned::default_of(DEFAULT));
        if tls::wants_listener(&reader.written, config) {
            listen.push(Spanned::default_of(DEFAULT_TLS));
        }
    }
    for wanted in config.sites.iter().flat_map(|site| &site.listen) {
        if !listen.iter().any(|known| known.value == wanted.value) {
            listen.push(wanted.clone());
        }
    }
    listen
}

fn note_missing(reader: &mut Reader, server: &[Spanned<Listen>], wanted: &Spanned<Listen>) {
    let message = format!("the process does not listen on `{}`", wanted.value);
    let mut diagnostic = Diagnostic::error(codes::LISTENER, wanted.span, message);
    if let Some(first) = server.first() {
        diagnostic = diagnostic.and(first.span, "its listeners");
    }
    let known: Vec<String> = server.iter().map(|listen| listen.to_string()).collect();
    let text = wanted.value.to_string();
    diagnostic = match nearest(&text, known.iter().map(String::as_str)) {
        Some(near) => diagnostic.help(format!(
            "did you mean `{near}`? Else add `{text}` to `[server] listen`"
        )),
        None => diagnostic.help(format!("add `{text}` to `[server] listen`")),
    };
    reader.note(diagnostic);
}

/// Two sockets that cannot be bound beside each other.
fn conflicts(reader: &mut Reader, config: &Config) {
    let metrics = config.server.metrics.iter();
    let all: Vec<&Spanned<Listen>> = config.server.listen.iter().chain(metrics).collect();
    for (index, late) in all.iter().enumerate() {
        let Some(early) = all[..index]
            .iter()
            .find(|early| overlap(&early.value, &late.value))
        else {
            continue;
        };
        // The same address twice in one list was noted when it was read.
        let is_metrics = index == config.server.listen.len();
        if early.value == late.value && !is_metrics {
            continue;
        }
        let (place, other) = if late.span.is_written() {
            (late, early)
        } else {
            (early, late)
        };
        let message = format!("`{}` and `{}` want the same port", other.value, place.value);
        let diagnostic = if is_metrics {
            let message = format!("`metrics` wants `{}`, where clients come in", late.value);
            Diagnostic::error(codes::LISTENER, place.span, message)
                .help("give `metrics` a port of its own")
        } else {
            Diagnostic::warning(codes::LISTENER, place.span, message)
                .help("the wider one takes every address already; keep one of the two")
        };
        reader.note(diagnostic.and(other.span, "the other one"));
    }
    if let Some(admin) = &config.server.admin {
        let path = Listen::Unix(admin.value.clone());
        if let Some(listen) = all.iter().find(|listen| listen.value == path) {
            let message = format!("`{path}` is both the admin socket and a listener");
            reader.note(
                Diagnostic::error(codes::LISTENER, admin.span, message)
                    .and(listen.span, "the other one"),
            );
        }
    }
}

fn overlap(a: &Listen, b: &Listen) -> bool {
    match (a, b) {
        // Port 0 is a free one, and never the same twice.
        (Listen::Port(0), _) | (_, Listen::Port(0)) => false,
        (Listen::Socket(a), _) if a.port() == 0 => false,
        (Listen::Port(a), Listen::Port(b)) => a == b,
        (Listen::Port(port), Listen::Socket(address))
        | (Listen::Socket(address), Listen::Port(port)) => address.port() == *port,
        (Listen::Socket(a), Listen::Socket(b)) => {
            let same_family = a.is_ipv4() == b.is_ipv4();
            let covers = a.ip() == b.ip()
                || same_family && (a.ip().is_unspecified() || b.ip().is_unspecified());
            a.port() == b.port() && covers
        }
        (Listen::Unix(a), Listen::Unix(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::overlap;
    use crate::model::Listen;

    #[test]
    fn what_cannot_be_bound_together() {
        let listen = |text: &str| match text.strip_prefix(':') {
            Some(port) => Listen::Port(port.parse().unwrap()),
            None => Listen::Socket(text.parse().unwrap()),
        };
        for (a, b, expected) in [
            (":80", "127.0.0.1:80", true),
            (":0", "127.0.0.1:0", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            (":80", "[::1]:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::]:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
        ] {
            assert_eq!(overlap(&listen(a), &listen(b)), expected, "{a} {b}");
            assert_eq!(overlap(&listen(b), &listen(a)), expected, "{b} {a}");
        }
    }
}
