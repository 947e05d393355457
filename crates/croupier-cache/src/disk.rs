//! The disk tier.

/// Where a body lies in the disk tier.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Bytes.
    pub length: u64,
}
