//! The fault catalogue: what happens to which server, and when. Pure: a kind and the times give
//! the steps.

use std::time::Duration;

use super::load::Framing;
use super::origin::Fault;

/// Servers behind each proxy.
pub(super) const SERVERS: usize = 3;

/// The three parts of a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) before: Duration,
    pub(super) fault: Duration,
    pub(super) after: Duration,
}

impl Times {
    pub(super) const FULL: Self = Self {
        before: Duration::from_millis(1000),
        fault: Duration::from_millis(3000),
        after: Duration::from_millis(2500),
    };
    pub(super) const SHORT: Self = Self {
        before: Duration::from_millis(400),
        fault: Duration::from_millis(1200),
        after: Duration::from_millis(800),
    };

    pub(super) fn all(&self) -> Duration {
        self.before + self.fault + self.after
    }
}

/// What is done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// SIGKILL.
    Kill,
    /// A new process on the same port.
    Start,
    /// SIGSTOP: the kernel still accepts for it.
    Stop,
    /// SIGCONT.
    Continue,
    /// It listens no more, finishes what it has, and ends.
    Leave,
    /// It misbehaves from now on.
    Turn(Fault),
    /// DNS names it no longer.
    Unlist,
    /// DNS names it.
    List,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) server: usize,
    pub(super) act: Act,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    /// Killed, back, killed again, back.
    KillTwice,
    Stop,
    /// One server misbehaves.
    One(Fault),
    /// All servers misbehave alike.
    All(Fault),
    /// Killed and started again, a second each, in turn.
    Flapping,
    /// All killed at once, back after a second at most.
    AllDown,
    /// Killed and started again, one server after the other.
    RollingKill,
    /// The same, each finishing its work first.
    RollingLeave,
    /// A server is taken out of DNS, ends when that must be known, and comes back.
    Names,
}

/// What a failed GET means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gets {
    /// Another server was well, or soon back: none may fail.
    NoneFails,
    /// No proxy can or should hide it; the number is told.
    MayFail,
}

/// A line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) sentence: &'static str,
    pub(super) kind: Kind,
    pub(super) gets: Gets,
    pub(super) framing: Framing,
    /// Requests beyond the clients' own that servers may see, in percent.
    pub(super) extra_max: f64,
    pub(super) is_short: bool,
}

const fn line(name: &'static str, kind: Kind, sentence: &'static str) -> Scenario {
    Scenario {
        name,
        sentence,
        kind,
        gets: Gets::NoneFails,
        framing: Framing::Length,
        extra_max: 20.0,
        is_short: false,
    }
}

impl Scenario {
    const fn short(mut self) -> Self {
        self.is_short = true;
        self
    }

    const fn may_fail(mut self) -> Self {
        self.gets = Gets::MayFail;
        self
    }

    const fn chunked(mut self) -> Self {
        self.framing = Framing::Chunks;
        self
    }

    const fn extra(mut self, percent: f64) -> Self {
        self.extra_max = percent;
        self
    }

    /// The catalogue.
    #[rustfmt::skip]
    pub(super) const ALL: [Self; 24] = [
        line("baseline", Kind::Nothing, "nothing happens").short(),
        line("kill", Kind::KillTwice, "SIGKILL to one server, twice, with a restart between").short(),
        line("stop", Kind::Stop, "SIGSTOP to one server: its kernel accepts, nobody reads"),
        line("refuse", Kind::One(Fault::Refuse), "one server listens no more").short(),
        line("blackhole", Kind::One(Fault::Blackhole),
            "one server's queue is full (a backlog of 0, never accepted): SYNs are dropped, open connections are deaf"),
        line("silent", Kind::One(Fault::Silent), "one server reads and never answers"),
        line("close", Kind::One(Fault::Close), "one server closes instead of answering").short(),
        line("reset", Kind::One(Fault::Reset), "one server resets instead of answering").short(),
        line("reset in body", Kind::One(Fault::ResetBody), "RST after half a body with a length").short(),
        line("close in body", Kind::One(Fault::CloseBody), "FIN after half a body with a length"),
        // No length, so no proxy of today can know what is missing; it must only not lie.
        line("close in chunks", Kind::One(Fault::CloseBody), "FIN after half a chunked body").chunked().may_fail(),
        line("idle race", Kind::All(Fault::IdleClose(15)), "servers close connections after 15 ms without a request").short(),
        line("close after 3", Kind::All(Fault::CloseAfter(3)), "servers close behind every third answer unannounced"),
        line("slow", Kind::One(Fault::Slow(2000)), "one server is two seconds late"),
        line("503 at one", Kind::One(Fault::Status(503)), "one server answers 503, its health page is well").short(),
        line("503 at all", Kind::All(Fault::Status(503)), "all answer 503").short().may_fail().extra(5.0),
        // A 500 is an answer, and nobody repeats it unasked.
        line("500 at one", Kind::One(Fault::Status(500)), "one server answers 500, its health page is well").may_fail(),
        line("garbage", Kind::One(Fault::Garbage), "one server answers something that is not HTTP").short(),
        line("flapping", Kind::Flapping, "one server is killed and started again every second"),
        line("all down", Kind::AllDown, "all servers are killed and come back within a second").short(),
        line("rolling kill", Kind::RollingKill, "each server in turn is killed and started again").short(),
        line("rolling restart", Kind::RollingLeave, "each server in turn finishes its work, ends and is started again"),
        line("slow at all", Kind::All(Fault::Slow(300)), "all servers are 300 ms late: no reason to do anything"),
        line("names", Kind::Names, "a server leaves DNS, ends two seconds later (time to live: one), and comes back"),
    ];

    /// The times of this scenario. A server that hangs does so for longer than the proxies wait
    /// for an answer (3 s), or they would not have to do anything.
    pub(super) fn times(&self, usual: Times) -> Times {
        match self.kind {
            Kind::Stop | Kind::One(Fault::Blackhole | Fault::Silent) => Times {
                fault: usual.fault + Duration::from_secs(2),
                ..usual
            },
            _ => usual,
        }
    }

    /// What happens when; the fault lasts from `before` to `before + fault`.
    pub(super) fn steps(&self, times: &Times) -> Vec<Step> {
        let (from, lasts) = (times.before, times.fault);
        let until = from + lasts;
        let step = |at, server, act| Step { at, server, act };
        let share = |percent: u32| from + lasts * percent / 100;
        match self.kind {
            Kind::Nothing => Vec::new(),
            // Time to live and a second, as promised.
            Kind::Names => vec![
                step(from, 0, Act::Unlist),
                step(
                    from + Duration::from_secs(2).min(lasts * 2 / 3),
                    0,
                    Act::Kill,
                ),
                step(until, 0, Act::Start),
                step(until, 0, Act::List),
            ],
            Kind::KillTwice => vec![
                step(from, 0, Act::Kill),
                step(share(40), 0, Act::Start),
                step(share(60), 0, Act::Kill),
                step(until, 0, Act::Start),
            ],
            Kind::Stop => vec![step(from, 0, Act::Stop), step(until, 0, Act::Continue)],
            Kind::One(fault) => vec![
                step(from, 0, Act::Turn(fault)),
                step(until, 0, Act::Turn(Fault::None)),
            ],
            Kind::All(fault) => [(from, fault), (until, Fault::None)]
                .into_iter()
                .flat_map(|(at, fault)| {
                    (0..SERVERS).map(move |server| step(at, server, Act::Turn(fault)))
                })
                .collect(),
            Kind::Flapping => {
                let second = Duration::from_secs(1).min(lasts / 3);
                vec![
                    step(from, 0, Act::Kill),
                    step(from + second, 0, Act::Start),
                    step(from + second * 2, 0, Act::Kill),
                    step(until, 0, Act::Start),
                ]
            }
            Kind::AllDown => [(from, Act::Kill), (self.end(times), Act::Start)]
                .into_iter()
                .flat_map(|(at, act)| (0..SERVERS).map(move |server| step(at, server, act)))
                .collect(),
            Kind::RollingKill | Kind::RollingLeave => {
                let end = match self.kind {
                    Kind::RollingKill => Act::Kill,
                    _ => Act::Leave,
                };
                let turns = [(0, 0, 15), (1, 35, 50), (2, 70, 100)];
                turns
                    .into_iter()
                    .flat_map(|(server, down, up)| {
                        [
                            step(share(down), server, end),
                            step(share(up), server, Act::Start),
                        ]
                    })
                    .collect()
            }
        }
    }

    /// When the last fault ends.
    pub(super) fn end(&self, times: &Times) -> Duration {
        let down = match self.kind {
            Kind::AllDown => times.fault.min(Duration::from_secs(1)),
            _ => times.fault,
        };
        times.before + down
    }

    /// The server whose return is timed.
    pub(super) fn faulty(&self) -> Option<usize> {
        match self.kind {
            Kind::Nothing => None,
            Kind::RollingKill | Kind::RollingLeave => Some(SERVERS - 1),
            _ => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, SERVERS, Scenario, Times};
    use crate::drill::origin::Fault;

    #[test]
    fn every_fault_lies_within_its_times_and_everybody_is_well_in_the_end() {
        for times in [Times::FULL, Times::SHORT] {
            for scenario in &Scenario::ALL {
                let steps = scenario.steps(&times);
                let name = scenario.name;
                assert!(steps.is_sorted_by_key(|step| step.at), "{name}");
                for step in &steps {
                    let window = times.before..=scenario.end(&times);
                    assert!(window.contains(&step.at), "{name}: {step:?}");
                }
                for server in 0..SERVERS {
                    let last = steps.iter().rfind(|step| step.server == server);
                    let well = [Act::Start, Act::Continue, Act::List, Act::Turn(Fault::None)];
                    assert!(last.is_none_or(|step| well.contains(&step.act)), "{name}");
                }
            }
        }
    }

    #[test]
    fn the_short_drill_is_short() {
        let chosen = Scenario::ALL.iter().filter(|scenario| scenario.is_short);
        let count = u32::try_from(chosen.count()).unwrap();
        // Half a second to start and end everything.
        assert!(
            (Times::SHORT.all() + std::time::Duration::from_millis(500)) * count
                < std::time::Duration::from_secs(40)
        );
    }
}
