//! What a sweep and its visitor tell each other.

#![forbid(unsafe_code)]

use crate::clock::Timestamp;

/// What to do with an entry that was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done with, or stale.
    Drop,
    /// Ask again at this time, or right after this sweep if that is over.
    KeepUntil(Timestamp),
}

/// How a sweep meets an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visit {
    /// When the entry is due.
    pub deadline: Timestamp,
    /// The time of the sweep, by which a visitor should judge: [`Next::KeepUntil`] puts an entry beyond it.
    pub now: Timestamp,
}

impl Visit {
    /// Whether the entry is due. If not, it is asked about because many are stale.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.deadline <= self.now
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Entries visited.
    pub visited: usize,
    /// Entries dropped.
    pub dropped: usize,
    /// Whether the limit was reached with entries left to look at, due or not.
    pub more: bool,
    /// Whether the limit was reached with entries left that may be due.
    pub more_due: bool,
}
