//! How a store is configured, what it prunes, and what it refuses.

#![forbid(unsafe_code)]

use super::Digest;
use crate::error::{ConfigError, positive};
use std::time::Duration;

/// Configures a [`BodyStore`](super::BodyStore).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BodyConfig {
    pub(super) max_bytes: u64,
    pub(super) compress_above: usize,
    pub(super) records_per_turn: usize,
}

impl BodyConfig {
    /// 256 MiB; what is longer than 1,024 bytes is compressed (upstream's defaults, dispatch); 4,096 records a turn.
    #[must_use]
    pub fn new() -> Self {
        Self { max_bytes: 256 << 20, compress_above: 1_024, records_per_turn: 4_096 }
    }

    /// Holds at most this many bytes: bodies as they are kept, and what they and their records take beside.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Compresses the parts that are longer than this many bytes; `usize::MAX` for none.
    #[must_use]
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.compress_above = bytes;
        self
    }

    /// Holds at most this many records of one turn: adding one to a turn costs as much as the turn has.
    #[must_use]
    pub fn records_per_turn(mut self, records: usize) -> Self {
        self.records_per_turn = records;
        self
    }

    pub(super) fn validated(self) -> Result<Self, ConfigError> {
        positive("max_bytes", self.max_bytes)?;
        positive("records_per_turn", self.records_per_turn as u64)?;
        Ok(self)
    }
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`prune`](super::BodyStore::prune) lets stay. What equals a limit stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunePolicy {
    /// Records whose time is longer ago than this go.
    pub max_age: Option<Duration>,
    /// The oldest records go until the store holds this many bytes at most.
    pub max_bytes: Option<u64>,
}

impl PrunePolicy {
    /// Lets everything stay.
    #[must_use]
    pub const fn keep_all() -> Self {
        Self { max_age: None, max_bytes: None }
    }

    /// Records may be this old.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The store may hold this many bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }
}

impl Default for PrunePolicy {
    /// Seven days and 256 MiB (upstream's, dispatch).
    fn default() -> Self {
        Self::keep_all().max_age(Duration::from_secs(7 * 86_400)).max_bytes(256 << 20)
    }
}

/// What a store refuses. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// There is no such body: it was never there, or its last record went. [`stats`](super::BodyStore::stats) tells how
    /// many records did.
    #[error("there is no such body")]
    NoBody {
        /// What was asked for.
        digest: Digest,
    },
    /// There is no such record, or it went.
    #[error("there is no such record")]
    NoRecord,
    /// The record and its body are larger than the whole store. Nothing was evicted for them, unless others stored a
    /// part of the body meanwhile, in more pieces than it would have had, or gave one up that it would have gone on from.
    #[error("a body that takes {bytes} bytes is over the {max} that the store may hold")]
    TooLarge {
        /// What they would take: bytes as they would be kept, and what goes with them.
        bytes: u64,
        /// What the store may hold.
        max: u64,
    },
    /// The turn has as many records as a turn may have, those included that are on their way in or out.
    #[error("the turn has {max} records, which is as many as it may have")]
    TurnFull {
        /// Records that a turn may have.
        max: usize,
    },
    /// Everything that could be evicted was, and the rest is in the hands of inserts on their way: try again.
    #[error("no room for {bytes} bytes: inserts on their way have the rest of the {max}")]
    NoRoom {
        /// Bytes that were missing a place.
        bytes: u64,
        /// What the store may hold.
        max: u64,
    },
}

impl BodyError {
    /// 404 for what is not there, 413 for what is too large, 429 for a turn that is full, 503 for what may be tried again.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NoBody { .. } | Self::NoRecord => 404,
            Self::TooLarge { .. } => 413,
            Self::TurnFull { .. } => 429,
            Self::NoRoom { .. } => 503,
        }
    }
}
