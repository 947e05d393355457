//! Pure matching: which site answers for a host, which of its routes takes a request.

pub mod host;

pub mod conditions;

pub mod path;
