//! Request and response bodies, word for word, each part of them stored once.
//!
//! # What is kept
//!
//! A *record* says what happened in a turn, and may have a body. Bodies are called by their SHA-256, and stored as a chain
//! of parts that all bodies share (`pieces`): a client that resends a conversation with one message more costs that
//! message. A part above 1,024 bytes is compressed, if that makes it shorter (upstream's rule, dispatch). A body is there
//! as long as a record refers to it; when its last one goes, so does what no other body has.
//!
//! # Full
//!
//! What the store holds never exceeds its bytes, at any instant: parts as they are kept, and a stated amount for every
//! content, join and record beside. An insert reserves what it adds, and evicts the oldest records, by insertion, until
//! it gets that. A body that would not fit into an empty store, with the parts that are there as they are cut, is refused,
//! and evicts nothing.
//!
//! # Linearization points
//!
//! *insert*: the exchange that links the record, its body having been linked before, and for what asks by its id, the one
//! that claims that; *release*, *prune* and evictions: the exchange that takes the record out; *get*: the lookup of the
//! digest. All on one record or digest; a walk over a turn is weakly consistent.
//!
//! # Progress
//!
//! Lock-free. Hashing and compression come before anything is held that others could need. An insert that finds nothing
//! to evict because others have the rest in hand lets go of what it has, yields, and looks again. It is refused when there
//! was nothing for a quarter of a second, by the machine's clock, or when others were faster a thousand times.
//!
//! # Panics
//!
//! None of its own. The clock is asked before anything is changed.
//!
//! # Memory
//!
//! Counted: 672 bytes for each record beside its texts (16 more for each text, some hundreds for attributes), 168 for each
//! part beside its bytes, 256 for each place in a body after the first: what an allocator takes for them, as measured, or
//! more. Not counted: what was removed and not freed yet, what an insert works with, room in tables that were larger once,
//! and about 500 bytes that are kept while one in 64 consecutive records is.

#![forbid(unsafe_code)]

mod config;
mod digest;
mod packed;
mod pieces;
mod plan;
mod record;
mod shared;
#[cfg(feature = "json")]
mod split;
mod stats;

pub use config::{BodyConfig, BodyError, PrunePolicy};
pub use digest::{Digest, NotADigest};
pub use record::{Event, Record, RecordId, SpanStatus, StoredRecord};
#[cfg(feature = "json")]
pub use split::split_request;
pub use stats::{BodyStats, Freed, PruneReport};

use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use shared::Shared;
use std::fmt;
use std::sync::Arc;

/// What an insert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The record's id.
    pub id: RecordId,
    /// The body's digest, if there is one.
    pub body: Option<Digest>,
    /// Whether the record was not there before. If it was, nothing was stored.
    pub is_new: bool,
}

/// Records of turns with their bodies.
///
/// A cheap handle: clones share the store.
///
/// # Examples
///
/// ```
/// use tollgate::body::{BodyConfig, BodyStore, Digest, Record};
/// use tollgate::clock::Timestamp;
///
/// let store = BodyStore::new(BodyConfig::new())?;
/// let (first, second) = (r#"[{"role":"user"}"#, r#",{"role":"assistant"}"#);
/// let at = Timestamp::from_secs(1);
/// store.insert_parts(Record::log("turn-1", at, "info", "request"), &[first.as_bytes(), b"]"])?;
/// let parts = [first.as_bytes(), second.as_bytes(), b"]"];
/// let receipt = store.insert_parts(Record::log("turn-2", at, "info", "request"), &parts)?;
///
/// let whole = parts.concat();
/// assert_eq!(receipt.body, Some(Digest::of(&whole)));
/// assert_eq!(store.get(&Digest::of(&whole))?, whole);
/// assert_eq!(store.stats().parts, 3, "of five, two were there");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BodyStore<C: Clock = SystemClock> {
    shared: Arc<Shared<C>>,
}

impl BodyStore {
    /// An empty store on the system clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a store, or a turn, of nothing.
    pub fn new(config: BodyConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, SystemClock)
    }
}

impl<C: Clock> BodyStore<C> {
    /// An empty store on `clock`, which [`prune`](Self::prune) asks how old records are.
    ///
    /// # Errors
    ///
    /// As for [`new`](BodyStore::new).
    pub fn with_clock(config: BodyConfig, clock: C) -> Result<Self, ConfigError> {
        Ok(Self { shared: Arc::new(Shared::new(config, clock)?) })
    }

    /// Records something with its body. A record that is there already, with the same body, is ignored (upstream's
    /// rule, dispatch). O(body and records of its turn).
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLarge`], [`BodyError::NoRoom`], [`BodyError::TurnFull`]: nothing was stored.
    pub fn insert(&self, record: Record, body: &[u8]) -> Result<Receipt, BodyError> {
        self.insert_parts(record, &[body])
    }

    /// As [`insert`](Self::insert), with a body in parts: the whole is what they are one after the other, and has the
    /// same digest however it is cut. Parts that other bodies have are not stored again, and a beginning that is all of
    /// another body's beginning costs nothing but hashing.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    pub fn insert_parts(&self, record: Record, parts: &[&[u8]]) -> Result<Receipt, BodyError> {
        self.shared.insert(record, Some(parts))
    }

    /// As [`insert`](Self::insert), without a body.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    pub fn note(&self, record: Record) -> Result<Receipt, BodyError> {
        self.shared.insert(record, None)
    }

    /// A body, as it came. Lock-free, O(body).
    ///
    /// # Errors
    ///
    /// [`BodyError::NoBody`] if no record refers to it.
    pub fn get(&self, body: &Digest) -> Result<Vec<u8>, BodyError> {
        self.shared.pieces.read(body).ok_or(BodyError::NoBody { digest: *body })
    }

    /// A record. Lock-free, expected O(1).
    ///
    /// # Errors
    ///
    /// [`BodyError::NoRecord`].
    pub fn record(&self, id: &RecordId) -> Result<Arc<StoredRecord>, BodyError> {
        self.shared.find(id).ok_or(BodyError::NoRecord)
    }

    /// The records of a turn, by time and then by insertion; none if it is not known. O(n log n) in their number.
    #[must_use]
    pub fn get_turn(&self, turn: &str) -> Vec<Arc<StoredRecord>> {
        self.shared.turn(turn)
    }

    /// The turn in words, one record a line, or nothing if it is not known: times since its first record, spans within
    /// spans (32 at most), durations, how they ended, and how large the bodies are. Control characters are escaped.
    #[must_use]
    pub fn render_turn(&self, turn: &str) -> String {
        let records = self.get_turn(turn);
        if records.is_empty() { String::new() } else { record::render(turn, &records) }
    }

    /// Lets a record go, and its body if no other record has it. Lock-free.
    ///
    /// # Errors
    ///
    /// [`BodyError::NoRecord`] if it is not there, or goes by somebody else's doing.
    pub fn release(&self, id: &RecordId) -> Result<Freed, BodyError> {
        self.shared.release(id).ok_or(BodyError::NoRecord)
    }

    /// Lets go of what `policy` does not let stay: first the records that are too old, wherever they are in the order,
    /// then the oldest by insertion. O(n log n) in the number of records, and in nobody's way.
    pub fn prune(&self, policy: PrunePolicy) -> PruneReport {
        self.shared.prune(policy)
    }

    /// The store in numbers.
    #[must_use]
    pub fn stats(&self) -> BodyStats {
        self.shared.stats()
    }

    /// Ids and turns that are known, for models: nothing else shows one that was left behind.
    #[cfg(any(feature = "loom", feature = "shuttle"))]
    #[doc(hidden)]
    #[must_use]
    pub fn indexed(&self) -> u64 {
        self.shared.indexed()
    }
}

impl<C: Clock> Clone for BodyStore<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Clock> fmt::Debug for BodyStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStore").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
