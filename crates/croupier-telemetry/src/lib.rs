//! How to count, how to record, how to speak.
//!
//! Counting: a [`Registry`] belongs to the process, a [`WorkerCells`] to one worker thread. A worker
//! bumps its own cells with a plain load and store, so nothing on the request path locks or shares a
//! cache line; whoever asks for the numbers sums over the workers ([`exposition::render`]).
//!
//! Recording: the facts of a finished exchange are a borrowed [`Record`]; a worker writes it as one
//! line into its [`LogBuffer`], and one thread carries full buffers to the file or to standard output.
//!
//! Speaking: [`events`] is the process log on standard error, the only place that prints.

#![forbid(unsafe_code)]

pub mod access_log;
mod cells;
mod date;
pub mod events;
pub mod exposition;
mod histogram;
mod record;
mod request_id;
mod table;
pub mod text;
mod trace_id;

pub use access_log::{AccessLog, Color, Format, LogBuffer, Sink};
pub use cells::{
    Finished, MethodLabel, ProtoVersion, Registry, RouteSlot, ServerGauge, ServerSlot, WorkerCells,
};
pub use date::Stamp;
pub use events::{Level, event};
pub use exposition::{Sample, render};
pub use record::{Record, TlsFacts};
pub use request_id::{RequestId, RequestIds};
pub use table::{Counter, Gauge, Kind, Metric, Spec, reference};
pub use trace_id::Traceparent;
