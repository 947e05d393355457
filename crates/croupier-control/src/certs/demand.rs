//! Names that get a certificate when a client first asks for them. Strangers choose them: nothing
//! is ordered before the `ask` URL of `[acme]` has said yes, and both asking and waiting are
//! bounded.

use std::{cell::RefCell, rc::Rc, slice, time::Duration};

use bytes::Bytes;
use croupier_proxy::live::certs::Source;
use croupier_telemetry::{Level, event};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    acme::{Acme, For, Keeper},
    outside::Question,
};

/// How long whoever is asked may take.
const ASK_TIME: Duration = Duration::from_secs(2);
/// How long a no is remembered.
const NO_TIME: Duration = Duration::from_secs(60);
/// How long it is remembered that there was no answer.
const SILENT_TIME: Duration = Duration::from_secs(10);
/// How long it is remembered that an order failed: strangers cannot make us order more than four
/// times an hour for a name.
pub(super) const FAILED_TIME: Duration = Duration::from_secs(15 * 60);
/// Questions at once, and how long each takes its place at least: 40 a second.
pub(super) const ASKED_AT_ONCE: usize = 4;
const ASK_PACE: Duration = Duration::from_millis(100);

/// Who keeps which name supplied.
type Keepers = Rc<RefCell<Vec<(String, JoinHandle<()>)>>>;

/// Answers what clients want, for as long as it lives. What is shown on demand has no
/// series of its own: strangers must not make labels.
#[derive(Debug)]
pub(super) struct Demand {
    running: JoinHandle<()>,
    keepers: Keepers,
    acme: Rc<Acme>,
}

impl Demand {
    pub(super) fn start(acme: &Rc<Acme>) -> Self {
        let keepers = Keepers::default();
        let (theirs, ours) = (Rc::clone(&keepers), Rc::clone(acme));
        let running = tokio::task::spawn_local(async move {
            loop {
                for name in ours.live.certs.wanted().await {
                    let slot = ours
                        .live
                        .certs
                        .slot(&Source::OnDemand { name: name.clone() });
                    let keeper = Keeper::new(&ours, slice::from_ref(&name), slot, For::Client);
                    let keeping = tokio::task::spawn_local(keeper.run());
                    let mut all = theirs.borrow_mut();
                    all.retain(|(_, keeping)| !keeping.is_finished());
                    all.push((name, keeping));
                }
            }
        });
        Self {
            running,
            keepers,
            acme: Rc::clone(acme),
        }
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        self.running.abort();
        for (name, keeping) in self.keepers.borrow_mut().drain(..) {
            keeping.abort();
            // What comes after this one finds what was issued in the store.
            self.acme.live.certs.forget(&name);
        }
    }
}

/// Asks whether a name may have a certificate. None: it may; else how long that is remembered.
pub(super) async fn refusal(acme: &Acme, name: &str) -> Option<Duration> {
    let _turn = acme.questions.acquire().await;
    let (answer, ()) = tokio::join!(ask(acme, name), sleep(ASK_PACE));
    match answer {
        Ok(200) => None,
        Ok(status) => {
            let names = [
                ("name", &name as &dyn std::fmt::Display),
                ("status", &status),
            ];
            event(Level::Info, "certificate.on_demand.refused", &names);
            Some(NO_TIME)
        }
        Err(error) => {
            event(
                Level::Warn,
                "certificate.on_demand.ask",
                &[
                    ("name", &name),
                    ("error", &error),
                    (
                        "help",
                        &"no name gets a certificate until `acme.ask` answers",
                    ),
                ],
            );
            Some(SILENT_TIME)
        }
    }
}

async fn ask(acme: &Acme, name: &str) -> Result<u16, String> {
    let ask = acme.terms.ask.as_ref().ok_or("`acme.ask` is not set")?;
    let question = Question {
        method: "GET",
        url: with_name(&ask.value, name)?,
        fields: Vec::new(),
        body: Bytes::new(),
    };
    let asked = timeout(ASK_TIME, acme.outside().ask(question)).await;
    let answer = asked.map_err(|_| format!("no answer in {ASK_TIME:?}"))??;
    Ok(answer.status)
}

/// The URL with the name in its query. A name of a handshake is letters, digits, hyphens and
/// dots; anything else is nobody's.
fn with_name(url: &str, name: &str) -> Result<http::Uri, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !name.bytes().all(is_plain) {
        return Err("not a name".into());
    }
    let url = url.split('#').next().unwrap_or_default();
    let joint = if url.contains('?') { '&' } else { '?' };
    let whole = format!("{url}{joint}domain={name}");
    whole.parse().map_err(|_| "`acme.ask` is not a URL".into())
}

#[cfg(test)]
mod tests {
    use super::with_name;

    #[test]
    fn the_name_is_added_to_the_query() {
        let url = |base: &str| with_name(base, "a.example").unwrap().to_string();
        assert_eq!(url("http://h/ask"), "http://h/ask?domain=a.example");
        assert_eq!(
            url("http://h/ask?k=1#f"),
            "http://h/ask?k=1&domain=a.example"
        );
        assert!(with_name("http://h/", "a&b=c").is_err());
        assert!(with_name("http://h/", "a/../b").is_err());
    }
}
