//! The first page.

/// The layout that this code writes.
pub(super) const VERSION: u32 = 1;
