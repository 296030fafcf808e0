//! What a handle store is configured with, what a handle is asked for with, and what both answer.

#![forbid(unsafe_code)]

use crate::clock::Timestamp;
use crate::error::{ConfigError, positive};
use std::time::Duration;
use uuid::Uuid;

/// What an entry takes in bytes beside its payload and its strings: counted with each of them.
///
/// The handle and the payload's counts, the entry's place in the map and in the order, its entry in the deadline queue
/// and that of one evicted before, as measured.
pub const ENTRY_BYTES: u64 = 400;

/// Configures a [`HandleStore`](super::HandleStore).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::handle::{HandleConfig, HandleStore};
///
/// let config = HandleConfig::new().capacity(1_000).ttl(Duration::from_secs(600)).max_total_bytes(64 << 20);
/// let store = HandleStore::<String>::new(config)?;
/// # let _ = store;
/// # Ok::<(), tollgate::error::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandleConfig {
    capacity: u64,
    ttl: Duration,
    max_entry_bytes: Option<u64>,
    max_total_bytes: Option<u64>,
}

/// A configuration that was found to make sense.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) capacity: u64,
    pub(super) ttl: Duration,
    /// The most that one entry may hold.
    pub(super) ceiling: u64,
    /// The most that all may hold.
    pub(super) total: u64,
}

impl HandleConfig {
    /// 10,000 entries of an hour, and no bound on bytes (upstream's defaults).
    #[must_use]
    pub fn new() -> Self {
        Self { capacity: 10_000, ttl: Duration::from_secs(3_600), max_entry_bytes: None, max_total_bytes: None }
    }

    /// Holds at most this many entries, expired ones that were not swept yet included.
    #[must_use]
    pub fn capacity(mut self, entries: u64) -> Self {
        self.capacity = entries;
        self
    }

    /// How long an entry lives whose request does not say.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Refuses an entry of more than this many bytes: its payload, its strings and [`ENTRY_BYTES`].
    #[must_use]
    pub fn max_entry_bytes(mut self, bytes: u64) -> Self {
        self.max_entry_bytes = Some(bytes);
        self
    }

    /// Keeps all entries together at this many bytes at most, counted as for
    /// [`max_entry_bytes`](Self::max_entry_bytes). A single entry that is larger is refused.
    #[must_use]
    pub fn max_total_bytes(mut self, bytes: u64) -> Self {
        self.max_total_bytes = Some(bytes);
        self
    }

    pub(super) fn validated(&self) -> Result<Limits, ConfigError> {
        let bytes = |what, max: Option<u64>| max.map_or(Ok(u64::MAX), |max| positive(what, max));
        if self.ttl.is_zero() {
            return Err(ConfigError::Zero { what: "ttl" });
        }
        let entry = bytes("max_entry_bytes", self.max_entry_bytes)?;
        let total = bytes("max_total_bytes", self.max_total_bytes)?;
        let capacity = positive("capacity", self.capacity)?;
        Ok(Limits { capacity, ttl: self.ttl, ceiling: entry.min(total), total })
    }
}

impl Default for HandleConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a handle is asked for with.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::handle::HandleRequest;
///
/// let request = HandleRequest::new("search").principal("alice").ttl(Duration::from_secs(60));
/// # let _ = request;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandleRequest {
    /// The tool that made the result.
    pub capability_id: Box<str>,
    /// Who alone may expand it; none for anyone.
    pub principal_id: Option<Box<str>>,
    /// How long it lives; none for the store's default.
    pub ttl: Option<Duration>,
}

impl HandleRequest {
    /// A handle of the store's default time to live, bound to nobody.
    #[must_use]
    pub fn new(capability_id: impl Into<Box<str>>) -> Self {
        Self { capability_id: capability_id.into(), principal_id: None, ttl: None }
    }

    /// Binds it to a principal.
    #[must_use]
    pub fn principal(mut self, principal_id: impl Into<Box<str>>) -> Self {
        self.principal_id = Some(principal_id.into());
        self
    }

    /// Lets it live for `ttl`.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// What its strings hold.
    pub(super) fn bytes(&self) -> u64 {
        (self.capability_id.len() + self.principal_id.as_ref().map_or(0, |principal| principal.len())) as u64
    }
}

/// What is known of a stored result. The store's own: a copy that a caller changes decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handle {
    /// Its id, random.
    pub id: Uuid,
    /// The tool that made the result.
    pub capability_id: Box<str>,
    /// Who alone may expand it; none for anyone.
    pub principal_id: Option<Box<str>>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// From when on it is not there any more. Later than `created_at`.
    pub expires_at: Timestamp,
    /// How many rows the result has.
    pub total_rows: u64,
    /// What the entry holds: payload, strings, and [`ENTRY_BYTES`].
    pub bytes: u64,
}

impl Handle {
    /// Whether its time is over. An expiry at [`Timestamp::MAX`] never comes.
    #[must_use]
    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        self.expires_at <= now && self.expires_at < Timestamp::MAX
    }
}

/// A [`HandleStore`](super::HandleStore) in numbers. Each is exact when nothing moves, and then what was stored is what
/// is live, expired, removed or evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandleStats {
    /// Entries held, expired ones that were not met or swept yet included.
    pub live: u64,
    /// What they hold, in bytes.
    pub bytes: u64,
    /// Entries that may be held.
    pub capacity: u64,
    /// Entries stored so far.
    pub stored: u64,
    /// Those of them that went because their time was over.
    pub expired: u64,
    /// Those that were removed by id.
    pub removed: u64,
    /// Those that were evicted because there were as many as the capacity.
    pub evicted_for_capacity: u64,
    /// Those that were evicted because they held as many bytes as allowed.
    pub evicted_for_bytes: u64,
    /// Entries that were refused because they were too large.
    pub refused_too_large: u64,
    /// Entries of the deadline queue. Those whose handle is gone never outnumber the others for long.
    pub queued: u64,
}

impl HandleStats {
    /// Entries evicted, for whatever reason.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted_for_capacity + self.evicted_for_bytes
    }
}
