//! Traces of calls: the newest `cap`, in the order in which they were recorded.
//!
//! The store is a [`FifoMap`] from id to record, and keeps its contract: never more than the cap at any instant, oldest
//! out first, everything dropped counted and handed to a listener. Recording an id again replaces the record where it
//! stands (upstream's rule, weaver-kernel). Records are shared, not copied.
//!
//! # Panics
//!
//! Those of [`fifo`](crate::fifo#panics). After one in the listener the record is there.
//!
//! # Memory
//!
//! About 90 bytes a record beside its id and the record itself, and 10 KiB for an empty store.

#![forbid(unsafe_code)]

mod record;

pub use record::{ActionTrace, EventType, Outcome, Record, Sensitivity, TraceQuery};

use crate::error::ConfigError;
use crate::fifo::{FifoMap, FifoStats, Placed, Reason};
use std::fmt;
use std::sync::Arc;

/// A refused look at the traces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// There is no such record: it was never there, or it was evicted. [`TraceStore::stats`] tells how many were.
    #[error("no trace with id {id}")]
    NotFound {
        /// The id, as `Debug` shows it.
        id: String,
    },
    /// A page cannot begin before the first record.
    #[error("offset must be >= 0, not {given}")]
    NegativeOffset {
        /// The offset asked for.
        given: i64,
    },
    /// A page cannot have fewer than no records.
    #[error("limit must be >= 0, not {given}")]
    NegativeLimit {
        /// The limit asked for.
        given: i64,
    },
}

impl TraceError {
    /// 404 for a record that is not there, 400 for a query that makes no sense.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NotFound { .. } => 404,
            Self::NegativeOffset { .. } | Self::NegativeLimit { .. } => 400,
        }
    }
}

/// The newest records of calls.
///
/// A cheap handle: clones share the records.
///
/// # Examples
///
/// ```
/// use tollgate::clock::Timestamp;
/// use tollgate::trace::{ActionTrace, TraceQuery, TraceStore};
///
/// let store = TraceStore::new(10_000)?;
/// for (second, tool) in ["search", "read", "search"].into_iter().enumerate() {
///     let at = Timestamp::from_secs(second as u64);
///     store.record(ActionTrace::new(format!("act-{second}"), tool, "alice", "token-1", at));
/// }
/// let searches = TraceQuery { capability_id: Some("search".into()), newest_first: true, ..TraceQuery::default() };
/// let found = store.query(&searches)?;
/// assert_eq!(found.iter().map(|trace| &*trace.action_id).collect::<Vec<_>>(), ["act-2", "act-0"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TraceStore<R: Record = ActionTrace> {
    records: Arc<FifoMap<R::Id, Arc<R>>>,
}

impl<R: Record> TraceStore<R> {
    /// An empty store of `cap` records at most.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a cap of nothing.
    pub fn new(cap: u64) -> Result<Self, ConfigError> {
        Ok(Self { records: Arc::new(FifoMap::builder(cap).build()?) })
    }

    /// As [`new`](Self::new), with a listener that is given what is evicted once it is out of reach.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_listener(
        cap: u64,
        listen: impl Fn(&Arc<R>, Reason) + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let builder = FifoMap::builder(cap).listener(move |_, record, reason| listen(record, reason));
        Ok(Self { records: Arc::new(builder.build()?) })
    }

    /// Records a call, or replaces the record with its id in place. O(1) at any cap; see
    /// [`FifoMap::insert`] for progress.
    pub fn record(&self, record: impl Into<Arc<R>>) -> Placed {
        let record = record.into();
        let id = record.id().clone();
        match self.records.insert(id, record) {
            Ok(placed) => placed,
            Err(_) => unreachable!("a store without a byte limit refuses no weight"),
        }
    }

    /// The record with this id. Lock-free, expected O(1).
    ///
    /// # Errors
    ///
    /// [`TraceError::NotFound`].
    pub fn get<Q>(&self, id: &Q) -> Result<Arc<R>, TraceError>
    where
        R::Id: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + fmt::Debug + ?Sized,
    {
        self.records.get(id).ok_or_else(|| TraceError::NotFound { id: format!("{id:?}") })
    }

    /// All records, oldest first. O(n log n), weakly consistent, never more than the cap.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<R>> {
        self.records.entries(|_, record| Arc::clone(record)).into_iter().map(|(_, record)| record).collect()
    }

    /// The last `n` records, newest first. O(n log n) in the number of records held.
    #[must_use]
    pub fn latest(&self, n: usize) -> Vec<Arc<R>> {
        self.list().into_iter().rev().take(n).collect()
    }

    /// The store in numbers.
    #[must_use]
    pub fn stats(&self) -> FifoStats {
        self.records.stats()
    }
}

impl TraceStore<ActionTrace> {
    /// The records that satisfy `query`, by time and then by id. O(n log n), weakly consistent.
    ///
    /// # Errors
    ///
    /// [`TraceError::NegativeOffset`], then [`TraceError::NegativeLimit`].
    pub fn query(&self, query: &TraceQuery) -> Result<Vec<Arc<ActionTrace>>, TraceError> {
        let offset = usize::try_from(query.offset).map_err(|_| TraceError::NegativeOffset { given: query.offset })?;
        let limit = match query.limit {
            None => usize::MAX,
            Some(limit) => usize::try_from(limit).map_err(|_| TraceError::NegativeLimit { given: limit })?,
        };
        let mut found = self.list();
        found.retain(|trace| query.matches(trace));
        found.sort_by(|a, b| (a.invoked_at, &a.action_id).cmp(&(b.invoked_at, &b.action_id)));
        if query.newest_first {
            found.reverse();
        }
        Ok(found.into_iter().skip(offset).take(limit).collect())
    }
}

impl<R: Record> Clone for TraceStore<R> {
    fn clone(&self) -> Self {
        Self { records: Arc::clone(&self.records) }
    }
}

impl<R: Record> fmt::Debug for TraceStore<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceStore").field("stats", &self.stats()).finish()
    }
}
