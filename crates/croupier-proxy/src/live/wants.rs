//! Names that a client asked for and that have no certificate yet: on demand.
//!
//! ```text
//!  unknown --want--> waiting --filled--> has one --dropped--> unknown
//!                       |  refused
//!                       +--> refused for a while --> unknown
//! ```
//!
//! Strangers choose these names, so every list is bounded and a full one refuses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use croupier_net::tls::certs::Slot;
use tokio::sync::{Notify, watch};

use super::certs::{Certs, Source};

/// Names that wait at once.
const WAITING_MAX: usize = 64;
/// Names that are remembered, waiting, refused or with a certificate.
const KNOWN_MAX: usize = 10_000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Wants {
    known: Mutex<Known>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, Want>,
    /// Names that control has not taken yet.
    new: Vec<String>,
    waiting: usize,
}

#[derive(Debug)]
struct Want {
    slot: Arc<Slot>,
    state: State,
    /// Closed when nobody will fill the slot.
    hope: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Has,
    Refused { until: Instant },
}

impl Known {
    fn forget_refused(&mut self, now: Instant) {
        self.names
            .retain(|_, want| !matches!(want.state, State::Refused { until } if until <= now));
    }
}

impl Wants {
    fn held(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Certs {
    /// The slot of a name (lower case) that has or may get a certificate on demand; the first to
    /// ask makes control act. None when the name was refused lately, or too many wait.
    fn find_want(&self, name: &str, now: Instant) -> Option<(Arc<Slot>, watch::Receiver<()>)> {
        let mut known = self.wants.held();
        let is_over = |want: &Want| matches!(want.state, State::Refused { until } if until <= now);
        if known.names.get(name).is_some_and(is_over) {
            known.names.remove(name);
        }
        if let Some(want) = known.names.get(name) {
            let is_refused = matches!(want.state, State::Refused { .. });
            return (!is_refused).then(|| (Arc::clone(&want.slot), want.hope.subscribe()));
        }
        if known.names.len() >= KNOWN_MAX {
            known.forget_refused(now);
        }
        if known.waiting >= WAITING_MAX || known.names.len() >= KNOWN_MAX {
            return None;
        }
        let source = Source::OnDemand { name: name.into() };
        let want = Want {
            slot: self.slot(&source),
            state: State::Waiting,
            hope: watch::Sender::new(()),
        };
        let found = (Arc::clone(&want.slot), want.hope.subscribe());
        known.names.insert(name.to_owned(), want);
        known.new.push(name.to_owned());
        known.waiting += 1;
        drop(known);
        self.wants.asked.notify_one();
        Some(found)
    }

    /// The slot of a name (lower case) that gets its certificate on demand: with a certificate
    /// at once, or when control got one. None when there will be none: the name was refused, or
    /// too many others wait. May take as long as an order; bound it by the handshake's time.
    pub async fn want(&self, name: &str) -> Option<Arc<Slot>> {
        let (slot, mut hope) = self.find_want(name, Instant::now())?;
        if slot.get().is_some() {
            return Some(slot);
        }
        tokio::select! {
            biased;
            _ = slot.filled() => {}
            _ = hope.changed() => {}
        }
        slot.get().is_some().then_some(slot)
    }

    /// Waits until somebody wants a name that control does not know of yet, and gives all such.
    pub async fn wanted(&self) -> Vec<String> {
        loop {
            let asked = self.wants.asked.notified();
            let new = std::mem::take(&mut self.wants.held().new);
            if !new.is_empty() {
                return new;
            }
            asked.await;
        }
    }

    /// The name has its certificate in the slot.
    pub fn grant(&self, name: &str) {
        self.settle(name, State::Has);
    }

    /// The name gets none; who asks again within `time` is told so at once.
    pub fn refuse(&self, name: &str, time: Duration) {
        let until = Instant::now() + time;
        self.settle(name, State::Refused { until });
    }

    /// The name is unknown again: its certificate is not kept any longer.
    pub fn forget(&self, name: &str) {
        let mut known = self.wants.held();
        if let Some(want) = known.names.remove(name)
            && want.state == State::Waiting
        {
            known.waiting -= 1;
        }
    }

    fn settle(&self, name: &str, state: State) {
        let mut known = self.wants.held();
        let Some(want) = known.names.get_mut(name) else {
            return;
        };
        let before = std::mem::replace(&mut want.state, state);
        if matches!(state, State::Refused { .. }) {
            // Whoever waits hears that the sender is gone.
            want.hope = watch::Sender::new(());
        }
        if before == State::Waiting {
            known.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::Arc,
        task::{Context, Poll, Waker},
        time::{Duration, Instant},
    };

    use super::{Certs, WAITING_MAX};

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_name_is_asked_for_once_however_many_wait() {
        let certs = Certs::default();
        let mut first = pin!(certs.want("a.example"));
        let mut second = pin!(certs.want("a.example"));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        let names = pin!(certs.wanted());
        assert_eq!(poll(names), Poll::Ready(vec!["a.example".to_owned()]));
        assert!(poll(pin!(certs.wanted())).is_pending());
    }

    #[test]
    fn a_refusal_is_heard_by_who_waits_and_remembered_for_its_time() {
        let certs = Certs::default();
        let mut waiting = pin!(certs.want("a.example"));
        assert!(poll(waiting.as_mut()).is_pending());
        certs.refuse("a.example", Duration::from_secs(60));
        assert!(matches!(poll(waiting), Poll::Ready(None)));
        assert!(matches!(
            poll(pin!(certs.want("a.example"))),
            Poll::Ready(None)
        ));
        let later = Instant::now() + Duration::from_secs(61);
        assert!(certs.find_want("a.example", later).is_some());
    }

    #[test]
    fn strangers_cannot_make_more_names_wait_than_the_bound() {
        let certs = Certs::default();
        for number in 0..WAITING_MAX {
            let name = format!("{number}.example");
            assert!(certs.find_want(&name, Instant::now()).is_some());
        }
        assert!(certs.find_want("more.example", Instant::now()).is_none());
        // One that was answered makes room, and known names are served still.
        let held = certs.find_want("1.example", Instant::now()).unwrap().0;
        certs.refuse("0.example", Duration::ZERO);
        assert!(certs.find_want("more.example", Instant::now()).is_some());
        let again = certs.find_want("1.example", Instant::now()).unwrap().0;
        assert!(Arc::ptr_eq(&held, &again));
    }
}
