//! RFC 9111 and its companions, pure: fields, a policy and the time go in, decisions come out,
//! each with its reason. Nothing here reads a clock, waits or keeps anything.
//!
//! In the order in which an exchange meets them:
//!
//! - [`control`]: what a request asks of caches and what a response tells them.
//! - [`vary`]: which of a target's variants a request is for.
//! - [`giving`]: may what is kept be given now?
//! - [`conditional`], [`range`]: whole, a part, or only «not modified»; what to ask the origin by.
//! - [`policy`], [`storing`], [`kept`]: may the answer be kept, on which terms, which lines of it?
//! - [`update`]: what a 304 or an answer to HEAD changes in what is kept.
//! - [`invalidate`], [`groups`]: what an unsafe request makes stale; by which tags answers are purged.
//! - [`status`]: `Cache-Status`, the account of all this.

mod because;
pub mod conditional;
pub mod control;
pub mod date;
pub mod giving;
pub mod groups;
pub mod invalidate;
pub mod kept;
pub mod list;
pub mod policy;
pub mod range;
pub mod status;
pub mod storing;
pub mod structured;
pub mod targeted;
pub mod update;
pub mod vary;

pub use because::Because;
pub use control::{Asked, Told};
pub use giving::{Give, may_give, may_give_on_error};
pub use policy::{Cookies, Heuristic, Policy};
pub use storing::{Asking, Moments, Parts, may_store};
pub use vary::VaryNames;
