//! The words of a server's health: what goes in, and what comes out.

/// Why a server is in its state: one of the words of the log. A fault's code, `check.*`,
/// `probe.passed`, `start`.
pub type Reason = &'static str;

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It may be picked.
    Up,
    /// Traffic put it aside for a time.
    Ejected,
    /// The time is over and one request is finding out.
    Probation,
    /// The active check says that it does not work.
    Down,
}

impl State {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Up, Self::Ejected, Self::Probation, Self::Down];

    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Probation => "probation",
            Self::Down => "down",
        }
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It refused the connection: nobody listens there.
    Refused,
    /// It could not be reached, or did not accept in time.
    Unreachable,
    /// It accepted, and gave no lawful answer.
    Transport,
    /// It answered 502, 503 or 504.
    Gateway,
}

impl Failure {
    /// Without a connection nothing can be asked: such a server has no capacity to lose.
    #[must_use]
    pub const fn is_of_connecting(self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable)
    }
}

/// In which role a request was let in. What it reports counts only while its epoch lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admit {
    /// The server's epoch then.
    pub epoch: u32,
    /// The role.
    pub role: Role,
}

/// What a request's outcome may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One of many.
    Usual,
    /// It finds out whether an ejection may end.
    Probe,
    /// It was sent because nobody else is left: its success ends an ejection, too.
    Resort,
}

/// How readily a server is used, best first: the pool's mode says how far down it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rank {
    /// Up.
    Usable = 0,
    /// Put aside for its answers: it does answer.
    Failing = 1,
    /// Its check fails, its traffic did not.
    Unchecked = 2,
    /// It can not be connected to, or fails by both measures.
    Gone = 3,
}

impl Rank {
    /// All of them, best first; a rank's number is its place.
    pub const ALL: [Self; 4] = [Self::Usable, Self::Failing, Self::Unchecked, Self::Gone];
}

/// How soon the next check should come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The last results agree with the verdict.
    Steady,
    /// They do not: a change may be coming.
    Changing,
}

/// What a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// A window was opened: successes are to be counted from zero.
    Recount,
    /// To compare its failure ratio with the others'.
    Compare,
    /// To be put aside.
    Eject,
}
