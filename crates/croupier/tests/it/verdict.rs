//! The oracles of the strictness stories: what must be true around every request that is refused.
//!
//! Refused means: the right status, a close within a second, no second answer, nothing of it at
//! the origin, no canary behind it anywhere, and a victim on another connection that notices
//! nothing. The origin of the kit judges every byte that does come through.

use std::time::Duration;

use croupier_testkit::{Client, Failure, Origin, Proxy, Reply, Response};

use crate::prelude::in_front_of;

/// How soon a refusal must end its connection.
pub(crate) const CLOSE: Duration = Duration::from_secs(1);

/// Waits that must not be needed at all.
pub(crate) const SOON: Duration = Duration::from_secs(5);

const CANARY: &[u8] = b"GET /canary HTTP/1.1\r\nHost: a\r\n\r\n";
const GOOD: &[u8] = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n";

/// A proxy, the recording origin behind it, and a victim on a connection of its own.
pub(crate) struct Table {
    pub(crate) origin: Origin,
    pub(crate) proxy: Proxy,
    victim: Client,
    rounds: usize,
    flaws: Vec<String>,
}

impl Table {
    pub(crate) fn set() -> Self {
        let origin = Origin::start(|request| Reply::ok(request.path()));
        let proxy = in_front_of(&origin);
        Self::around(origin, proxy)
    }

    /// Around an origin that answers with the path it was asked for.
    pub(crate) fn around(origin: Origin, proxy: Proxy) -> Self {
        let victim = Client::connect(proxy.address());
        Self {
            origin,
            proxy,
            victim,
            rounds: 0,
            flaws: Vec::new(),
        }
    }

    /// `payload` is refused with one of `statuses`, alone and behind a good request, both times
    /// with a canary behind it.
    pub(crate) fn refuses(&mut self, name: &str, payload: &[u8], statuses: &[u16]) {
        let mut client = Client::connect(self.proxy.address()).patience(CLOSE);
        let _ = client.try_send([payload, CANARY].concat());
        self.judge(name, &mut client, statuses);
        let mut client = Client::connect(self.proxy.address()).patience(CLOSE);
        let _ = client.try_send([GOOD, payload, CANARY].concat());
        match client.try_read_response() {
            Ok(good) if good.status == 200 && good.text() == "/good" => {}
            other => self
                .flaws
                .push(format!("{name}: the request in front: {other:?}")),
        }
        self.judge(&format!("{name}, second"), &mut client, statuses);
        self.victim_is_well(name);
    }

    /// The same for `payload` cut in two at every offset, and byte by byte. What streams may have
    /// reached the origin in part, never whole.
    pub(crate) fn refuses_in_pieces(&mut self, name: &str, payload: &[u8], statuses: &[u16]) {
        let whole = [payload, CANARY].concat();
        for at in 1..payload.len() {
            let mut client = Client::connect(self.proxy.address()).patience(CLOSE);
            let _ = client.try_send(&whole[..at]);
            // Lets the proxy see the first part alone; being late makes the case weaker only.
            std::thread::sleep(Duration::from_micros(300));
            let _ = client.try_send(&whole[at..]);
            self.judge(&format!("{name}, cut at {at}"), &mut client, statuses);
        }
        let mut client = Client::connect(self.proxy.address()).patience(CLOSE);
        for byte in &whole {
            if client.try_send([*byte]).is_err() {
                break;
            }
        }
        self.judge(&format!("{name}, byte by byte"), &mut client, statuses);
        self.victim_is_well(name);
    }

    fn judge(&mut self, name: &str, client: &mut Client, statuses: &[u16]) {
        match client.try_read_response() {
            Ok(answer) if !statuses.contains(&answer.status) => {
                let (status, text) = (answer.status, answer.text());
                self.flaws
                    .push(format!("{name}: {status}, wanted {statuses:?}: {text}"));
            }
            Ok(answer) if !answer.is_complete() || !answer.says_close() => {
                self.flaws
                    .push(format!("{name}: the answer is not whole or says no close"));
            }
            Ok(_) => {}
            Err(failure) => {
                self.flaws.push(format!("{name}: no answer: {failure:?}"));
                return;
            }
        }
        match client.try_read_response() {
            Err(Failure::Closed | Failure::Reset) => {}
            other => self
                .flaws
                .push(format!("{name}: a close was due, but {other:?}")),
        }
    }

    fn victim_is_well(&mut self, after: &str) {
        self.rounds += 1;
        let nonce = format!("/victim/{}", self.rounds);
        let answer = self.victim.get(&nonce);
        if answer.status != 200 || answer.text() != nonce {
            let text = answer.text();
            self.flaws
                .push(format!("after {after} the victim got {text}"));
        }
    }

    /// Nothing but what was lawful reached the origin whole.
    #[track_caller]
    pub(crate) fn clear(mut self) {
        self.victim_is_well("all");
        for request in self.origin.requests() {
            let path = request.path();
            let is_lawful = path.starts_with("/victim/") || path == "/good";
            if path.contains("canary") || (request.complete && !is_lawful) {
                self.flaws.push(format!(
                    "{} {} at the origin",
                    request.method, request.target
                ));
            }
        }
        let flaws = self.flaws.join("\n");
        assert!(self.flaws.is_empty(), "{flaws}");
        assert_eq!(self.origin.violations(), [], "{}", self.origin.transcript());
    }

    /// As [`clear`](Self::clear), and no head of a refused request came through either.
    #[track_caller]
    pub(crate) fn clear_without_a_trace(self) {
        let strangers: Vec<String> = (self.origin.requests().into_iter())
            .filter(|request| !request.path().starts_with("/victim/") && request.path() != "/good")
            .map(|request| format!("{} {}", request.method, request.target))
            .collect();
        self.clear();
        assert!(strangers.is_empty(), "at the origin: {strangers:?}");
    }
}

/// One request on a connection of its own, and its answer.
#[track_caller]
pub(crate) fn ask(proxy: &Proxy, bytes: impl AsRef<[u8]>) -> Response {
    Client::connect(proxy.address()).send(bytes).read_response()
}

/// `('x' x 3)` as `xxx`, for payloads too long to write down.
pub(crate) fn expand(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(6)
        .position(|w| w[..2] == *b"('" && w[3..] == *b"' x")
    {
        let end = at
            + rest[at..]
                .iter()
                .position(|byte| *byte == b')')
                .unwrap_or(0);
        let count: usize = std::str::from_utf8(&rest[at + 7..end])
            .unwrap()
            .parse()
            .unwrap();
        out.extend_from_slice(&rest[..at]);
        out.resize(out.len() + count, rest[at + 2]);
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
    out
}
