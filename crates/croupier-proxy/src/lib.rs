//! The data plane: floor 2. Start at `life.rs`.
//!
//! `Plan` is what the config means, `Live` is what is true now and outlives plans. Requests
//! read the plan and touch live state; they never wait for whoever makes either.

#![forbid(unsafe_code)]

pub mod fault;
pub mod incoming;

pub mod live;
pub mod plan;
pub mod pool;
pub mod router;

mod answer;
mod edits;
mod grpc;
mod kept;
mod relay;

mod exchange;
mod life;
mod page;
pub mod run;
mod settle;
mod stage;
pub mod worker;

pub mod explain;

pub use fault::{Code, Fault};
pub use live::Live;
pub use plan::Plan;
