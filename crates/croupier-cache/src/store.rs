//! Where objects are.
