//! What a store tells of itself and of what it let go.

#![forbid(unsafe_code)]

use crate::sync::Counter;
use std::ops::AddAssign;

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freed {
    /// Records.
    pub records: u64,
    /// Bodies whose last record was among them.
    pub bodies: u64,
    /// Bytes that the store no longer holds: less than the bodies had if others share their parts, or an insert on its way
    /// holds them, which gives them back itself if it does not need them.
    pub bytes: u64,
}

impl AddAssign for Freed {
    fn add_assign(&mut self, more: Self) {
        self.records += more.records;
        self.bodies += more.bodies;
        self.bytes += more.bytes;
    }
}

/// What a pruning let go, by reason. Not what inserts evicted meanwhile, nor what went before its own insert was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// Because it was too old.
    pub by_age: Freed,
    /// Because there was too much.
    pub by_bytes: Freed,
}

impl PruneReport {
    /// Everything together.
    #[must_use]
    pub fn total(&self) -> Freed {
        let mut total = self.by_age;
        total += self.by_bytes;
        total
    }
}

/// A [`BodyStore`](super::BodyStore) in numbers. Each is exact when nothing moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyStats {
    /// Records held.
    pub records: u64,
    /// Different bodies that they refer to.
    pub bodies: u64,
    /// Different parts that these are made of.
    pub parts: u64,
    /// Bytes that count towards the cap: parts as they are kept, and what they and the records take beside.
    pub bytes: u64,
    /// Bytes that may be held.
    pub max_bytes: u64,
    /// Bytes of the parts as they are kept.
    pub stored_bytes: u64,
    /// Bytes of all bodies that were inserted so far, as they came.
    pub offered_bytes: u64,
    /// Parts of all bodies that were inserted so far.
    pub offered_parts: u64,
    /// Parts that were stored so far, because they were not there.
    pub stored_parts: u64,
    /// Records inserted so far.
    pub inserted: u64,
    /// Records that were there already, and ignored.
    pub duplicates: u64,
    /// Records evicted for the cap, or pruned for their bytes.
    pub evicted_for_bytes: u64,
    /// Records pruned for their age.
    pub evicted_for_age: u64,
    /// Records released by name.
    pub released: u64,
    /// Inserts refused, for whatever reason.
    pub refused: u64,
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) offered_bytes: Counter,
    pub(super) offered_parts: Counter,
    pub(super) inserted: Counter,
    pub(super) duplicates: Counter,
    pub(super) for_bytes: Counter,
    pub(super) for_age: Counter,
    pub(super) released: Counter,
    pub(super) refused: Counter,
}
