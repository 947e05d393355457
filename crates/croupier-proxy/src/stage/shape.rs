//! Stage 5: what of an answer's head the client sees. After everyone who may answer, so that
//! all answers obey the site: framing and hop fields end here, the servers stay invisible,
//! the route's edits are made.

use croupier_http::{
    Field, Name, ResponseHead,
    rules::{
        hide::{self, Face},
        hop,
    },
};
use croupier_net::side::Outgoing;

use croupier_cache::{
    object::push_line,
    rules::{Told, kept::is_kept, status::CacheStatus},
};
use croupier_telemetry::text;

use super::encode::Relined;
use crate::{
    answer::Made,
    exchange::{Exchange, Recoding},
    kept::Kept,
    plan::RoutePlan,
    pool::sticky,
};

/// The lines of a server's answer on their way to the client.
pub(crate) struct DealtLines<'a> {
    pub(crate) x: &'a Exchange,
    pub(crate) head: &'a ResponseHead,
}

impl Outgoing for DealtLines<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        if self.x.recoding == Recoding::Nothing {
            passing_lines(self.x, self.head, emit);
        } else {
            let mut relined = Relined::new(self.x.recoding, emit);
            passing_lines(self.x, self.head, &mut |name, value| {
                relined.line(name, value);
            });
            relined.finish();
        }
        secure_lines(self.x, emit);
        if !self.head.fields.contains(Name::DATE) && self.head.status >= 200 {
            self.x
                .worker
                .with_date(|date| emit(b"date", date.as_bytes()));
        }
        stick(self.x, emit);
        if let Some(route) = self.x.route_plan() {
            for line in &route.response_edits.lines {
                emit(&line.name, &line.value);
            }
        }
        cache_status(self.x, emit);
    }
}

pub(crate) const STS: &[u8] = b"strict-transport-security";

/// `Strict-Transport-Security` when the site has one to say: over TLS alone (RFC 6797 section 7.2). A
/// line that the route writes is the route's.
fn secure_lines(x: &Exchange, emit: &mut dyn FnMut(&[u8], &[u8])) {
    if let Some(value) = hsts(x) {
        emit(STS, value);
    }
}

fn hsts(x: &Exchange) -> Option<&[u8]> {
    if x.incoming.scheme != "https" {
        return None;
    }
    let value = x.site_plan()?.hsts.as_deref()?;
    let edits = x.route_plan().map(|route| &route.response_edits);
    let is_edited = edits.is_some_and(|edits| edits.drops_named(STS));
    (!is_edited).then_some(value)
}

/// The cookie that leads the client back to this server.
fn stick(x: &Exchange, emit: &mut dyn FnMut(&[u8], &[u8])) {
    if let Some(index) = x.tally.stick
        && let Some(way) = x.way()
        && let Some(sticky) = &x.plan().pool(way.pool).sticky
        && let Some(token) = sticky.tokens.get(index)
    {
        x.worker.with_scratch(|value| {
            sticky::set_cookie(&sticky.rule, *token, x.incoming.scheme, value);
            emit(b"set-cookie", value);
        });
    }
}

/// The lines of an interim head, or of a switch, on their way to the client.
pub(crate) struct PassingLines<'a> {
    pub(crate) x: &'a Exchange,
    pub(crate) head: &'a ResponseHead,
}

impl Outgoing for PassingLines<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        passing_lines(self.x, self.head, emit);
        // A tunnel's state is at its server more than any other.
        if self.head.status == 101 {
            stick(self.x, emit);
        }
    }
}

/// The fields of a server's head that may pass, as they may pass.
fn passing_lines(x: &Exchange, head: &ResponseHead, emit: &mut dyn FnMut(&[u8], &[u8])) {
    let Some(route) = x.route_plan() else { return };
    let listed = hop::listed_in(&head.fields);
    let drop = hop::HOP
        .union(listed.names)
        .union(route.guard.dropped())
        .union(route.response_edits.dropped());
    let has_hsts = head.status >= 200 && hsts(x).is_some();
    let rewrites = route.guard.is_on() && head.fields.present().intersects(hide::ADDRESSED);
    for field in head.fields.iter() {
        if drop.contains(field.name) {
            continue;
        }
        if field.name == Name::OTHER
            && (route.guard.drops_other(&field)
                || route.response_edits.drops_other(&field)
                || has_hsts && field.is_named(STS)
                || listed.others && hop::is_listed(&field, &head.fields))
        {
            continue;
        }
        match rewrites.then(|| rewrite(x, route, &field)).flatten() {
            Some(value) => emit(field.raw_name, &value),
            None => emit(field.raw_name, field.value),
        }
    }
}

/// A value that names a server of the pool, rewritten to the site.
fn rewrite(x: &Exchange, route: &RoutePlan, field: &Field<'_>) -> Option<Vec<u8>> {
    let servers = &x.plan().pool(x.way()?.pool).authorities;
    let face = Face {
        scheme: x.incoming.scheme,
        authority: &x.incoming.target.authority,
        prefix: route.path_edit.stripped(),
    };
    match field.name {
        Name::LOCATION | Name::CONTENT_LOCATION => hide::url(field.value, servers, &face),
        Name::REFRESH => hide::refresh(field.value, servers, &face),
        Name::SET_COOKIE => hide::cookie(field.value, servers, &face),
        _ => None,
    }
}

/// The lines of an answer of the cache. What the origin's became on their way into it is what
/// [`passing_lines`] made of them then.
pub(crate) struct KeptLines<'a> {
    pub(crate) x: &'a Exchange,
    pub(crate) kept: &'a Kept,
}

impl Outgoing for KeptLines<'_> {
    fn text(&self) -> &[u8] {
        match self.x.recoding {
            Recoding::Nothing => self.kept.text().unwrap_or_default(),
            _ => &[],
        }
    }

    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        if self.x.recoding == Recoding::Nothing && self.kept.text().is_some() {
            self.kept.extra(emit);
        } else {
            let mut relined = Relined::new(self.x.recoding, emit);
            self.kept
                .lines(&mut |name, value| relined.line(name, value));
            relined.finish();
        }
        if let Some(age) = self.kept.age {
            self.x.worker.with_scratch(|value| {
                text::number(value, age.into());
                emit(b"age", value);
            });
        }
        secure_lines(self.x, emit);
        stick(self.x, emit);
        if let Some(route) = self.x.route_plan() {
            for line in &route.response_edits.lines {
                emit(&line.name, &line.value);
            }
        }
        cache_status(self.x, emit);
    }
}

/// `Cache-Status` (RFC 9211).
fn cache_status(x: &Exchange, emit: &mut dyn FnMut(&[u8], &[u8])) {
    let note = &x.tally.cache;
    let Some(did) = note.did else { return };
    let status = CacheStatus {
        cache: "croupier",
        did,
        ttl: note.ttl,
        detail: note.because,
    };
    x.worker.with_scratch(|value| {
        status.write(value);
        emit(b"cache-status", value);
    });
}

/// Writes the lines of a server's answer as the cache keeps them: what ends with the connection and
/// what shows the server is gone from them.
pub(crate) fn lines_to_keep(x: &Exchange, head: &ResponseHead) -> Vec<u8> {
    let mut lines = Vec::with_capacity(head.fields.text_len() + 64);
    let told = Told::of(&head.fields);
    passing_lines(x, head, &mut |name, value| {
        let field = Field {
            name: Name::from_bytes(name),
            raw_name: name,
            value,
        };
        if is_kept(&field, &head.fields, &told) {
            push_line(&mut lines, name, value);
        }
    });
    if !head.fields.contains(Name::DATE) {
        x.worker
            .with_date(|date| push_line(&mut lines, b"date", date.as_bytes()));
    }
    lines
}

/// The lines of an answer of our own.
pub(crate) struct MadeLines<'a> {
    pub(crate) x: &'a Exchange,
    pub(crate) made: &'a Made,
}

impl Outgoing for MadeLines<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        self.x
            .worker
            .with_date(|date| emit(b"date", date.as_bytes()));
        // Who is told that it came to the wrong place takes nothing else for its word.
        if self.made.status != 421 {
            secure_lines(self.x, emit);
        }
        let edits = self.x.route_plan().map(|route| &route.response_edits);
        let is_edited =
            |name: &str| edits.is_some_and(|edits| edits.writes(Name::from_bytes(name.as_bytes())));
        if !self.made.content_type.is_empty() && !is_edited("content-type") {
            emit(b"content-type", self.made.content_type.as_bytes());
        }
        for (name, value) in &self.made.lines {
            if !is_edited(name) {
                emit(name.as_bytes(), value.as_bytes());
            }
        }
        for line in edits.into_iter().flat_map(|edits| &edits.lines) {
            emit(&line.name, &line.value);
        }
    }
}
