//! Large results, kept by handle for a while.
//!
//! A tool's result that is too large to pass on is stored here, and a small [`Handle`] passed on instead. The rules are
//! upstream's (weaver-kernel): an entry is expired when `expires_at <= now`, expired ones go before live ones, then the
//! oldest; it keeps 10,000 of an hour unless told otherwise. The oldest is that which was inserted first: no clock that
//! steps back makes a new entry old.
//!
//! # Full
//!
//! A store at its capacity, or without the bytes that an entry needs, sweeps until nothing that is left is expired, and
//! evicts the oldest entries then. (One that another thread is removing at that very moment has its place until that is
//! done.) An entry that alone is larger than allowed is refused, and nothing evicted for it.
//!
//! # Time
//!
//! The clock is read once for each operation. A time behind the latest sweep counts as that sweep's. What has expired is
//! removed when it is met, by a store that needs its place, by [`sweep`](HandleStore::sweep), and in small steps by every
//! eighth store, so that a store which nobody sweeps stays small.
//!
//! # Progress
//!
//! Lookups and removals are lock-free and expected O(1). A store is as a [`FifoMap`] insert is, O(1) at the capacity as
//! well: it takes an expired entry's place or the oldest one's. Nothing walks over the entries.
//!
//! # Linearization points
//!
//! *store*: where the entry is linked; before that each *eviction*, where its victim is taken out; *get*, *get_meta* and
//! *expand*: the lookup; *remove*, *sweep*, and what an expired entry's finder does: where it is taken out. An entry
//! leaves once, and is counted under one reason.
//!
//! # Panics
//!
//! None of its own. The clock and the payload are asked before anything is changed. Of `Drop`, see
//! [`map`](crate::map#panics).
//!
//! # Memory
//!
//! [`ENTRY_BYTES`] for each entry beside its payload and strings, a little more than was measured, and 10 KiB for an
//! empty store. Bytes are counted with or without a bound.

#![forbid(unsafe_code)]

mod config;
mod error;
mod payload;
#[cfg(feature = "json")]
mod rows;

pub use crate::room::Swept;
pub use config::{ENTRY_BYTES, Handle, HandleConfig, HandleRequest, HandleStats};
pub use error::HandleError;
pub use payload::Payload;
#[cfg(feature = "json")]
pub use rows::{ExpandError, Grant, Page, Query, Rows};

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::deadline::{self, DeadlineQueue, Next};
use crate::error::ConfigError;
use crate::fifo::FifoMap;
use crate::room::judged_at;
use crate::sync::{Counter, MODEL};
use config::Limits;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Entries that one sweep of a store which needs room, or whose turn it is, looks at.
const SWEEP_STEP: usize = 32;
/// Every so manieth store sweeps.
const SWEEP_EVERY: u64 = 8;

/// Results by handle.
///
/// A cheap handle itself: clones share the results.
///
/// # Examples
///
/// ```
/// use tollgate::handle::{HandleConfig, HandleError, HandleRequest, HandleStore};
///
/// let store = HandleStore::<String>::new(HandleConfig::new().capacity(1))?;
/// let report = store.store(HandleRequest::new("report"), "ten pages".to_owned())?;
/// assert_eq!(*store.get(&report.id)?, "ten pages");
///
/// let second = store.store(HandleRequest::new("report"), "ten more".to_owned())?;
/// assert_eq!(store.get(&report.id), Err(HandleError::NotFound)); // the oldest went
/// assert_eq!(store.get_meta(&second.id)?.total_rows, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HandleStore<T, C: Clock = SystemClock> {
    shared: Arc<Shared<T, C>>,
}

struct Shared<T, C> {
    entries: FifoMap<Uuid, Entry<T>>,
    /// Ids by expiry; those of evicted entries stay until the queue asks. The map's listener has it too.
    queue: Arc<DeadlineQueue<Uuid>>,
    limits: Limits,
    clock: C,
    /// Stores begun, whether or not they came through.
    begun: Counter,
    expired: Counter,
    removed: Counter,
    refused_too_large: Counter,
}

struct Entry<T> {
    handle: Arc<Handle>,
    data: Arc<T>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle), data: Arc::clone(&self.data) }
    }
}

impl<T: Payload> HandleStore<T> {
    /// An empty store on the system clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a limit of nothing, by its name.
    pub fn new(config: HandleConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, SystemClock)
    }
}

impl<T: Payload, C: Clock> HandleStore<T, C> {
    /// An empty store on `clock`.
    ///
    /// # Errors
    ///
    /// As for [`new`](HandleStore::new).
    pub fn with_clock(config: HandleConfig, clock: C) -> Result<Self, ConfigError> {
        let limits = config.validated()?;
        let queue = Arc::new(DeadlineQueue::new());
        let stale = Arc::clone(&queue);
        let entries = FifoMap::builder(limits.capacity)
            .max_bytes(limits.total, |_, entry: &Entry<T>| entry.handle.bytes)
            .listener(move |_, _, _| stale.note_stale())
            .build()?;
        let (begun, expired, removed, refused_too_large) = Default::default();
        let shared = Shared { entries, queue, limits, clock, begun, expired, removed, refused_too_large };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Keeps `data` until its time is over, and returns the handle to it. Expired entries go first if there is no room,
    /// then the oldest. O(1), expected; see [`FifoMap::insert`] for progress.
    ///
    /// The order is upstream's: the size, then the time to live. The handle is alive for as long as it says, unless
    /// newer ones need its place.
    ///
    /// # Errors
    ///
    /// [`HandleError::TooLarge`], [`HandleError::ZeroTtl`]: nothing was stored or evicted.
    pub fn store(&self, request: HandleRequest, data: impl Into<Arc<T>>) -> Result<Arc<Handle>, HandleError> {
        let (shared, data) = (&*self.shared, data.into());
        let max = shared.limits.ceiling;
        let bytes = T::bytes(&data).saturating_add(request.bytes() + ENTRY_BYTES);
        if bytes > max {
            if shared.refused_too_large.first() {
                tracing::warn!(bytes, max, "a result is too large for the handle store: it is refused");
            }
            return Err(HandleError::TooLarge { bytes, max });
        }
        let ttl = request.ttl.unwrap_or(shared.limits.ttl);
        if ttl.is_zero() {
            return Err(HandleError::ZeroTtl);
        }
        let created_at = shared.now();
        let handle = Arc::new(Handle {
            id: shared.fresh_id(),
            capability_id: request.capability_id,
            principal_id: request.principal_id,
            created_at,
            expires_at: created_at.saturating_add(ttl),
            total_rows: T::rows(&data),
            bytes,
        });
        shared.insert(Entry { handle: Arc::clone(&handle), data });
        Ok(handle)
    }

    /// The result behind a handle, whoever asks: where the handle is bound, comparing its principal is the caller's. Lock-free,
    /// expected O(1).
    ///
    /// # Errors
    ///
    /// [`HandleError::NotFound`]; [`HandleError::Expired`], the first time that it is asked for.
    pub fn get(&self, id: &Uuid) -> Result<Arc<T>, HandleError> {
        self.shared.live(id).map(|entry| entry.data)
    }

    /// The handle with this id, as stored. Lock-free, expected O(1).
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get); upstream does not look at the expiry here.
    pub fn get_meta(&self, id: &Uuid) -> Result<Arc<Handle>, HandleError> {
        self.shared.live(id).map(|entry| entry.handle)
    }

    /// Handle and result of the same entry.
    #[cfg(feature = "json")]
    fn lookup(&self, id: &Uuid) -> Result<(Arc<Handle>, Arc<T>), HandleError> {
        self.shared.live(id).map(|entry| (entry.handle, entry.data))
    }

    /// Removes a result and returns it. Of several callers one gets it. Lock-free, expected O(1).
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn remove(&self, id: &Uuid) -> Result<Arc<T>, HandleError> {
        let shared = &*self.shared;
        let now = shared.now();
        let entry = shared.entries.remove(id).ok_or(HandleError::NotFound)?;
        shared.queue.note_stale();
        if entry.handle.is_expired_at(now) {
            shared.expired.add(1);
            return Err(HandleError::Expired);
        }
        shared.removed.add(1);
        Ok(entry.data)
    }

    /// Removes what has expired, looking at `limit` entries at most. Lock-free, and never in the way of a lookup.
    pub fn sweep(&self, limit: usize) -> Swept {
        let (removed, swept) = self.shared.sweep(self.shared.now(), limit);
        Swept { removed, more: swept.more }
    }

    /// The store in numbers. Lock-free.
    #[must_use]
    pub fn stats(&self) -> HandleStats {
        let (shared, entries) = (&*self.shared, self.shared.entries.stats());
        HandleStats {
            live: entries.live,
            bytes: entries.bytes,
            capacity: entries.cap,
            stored: entries.live + entries.evicted() + entries.removed,
            expired: shared.expired.get(),
            removed: shared.removed.get(),
            evicted_for_capacity: entries.evicted_for_capacity,
            evicted_for_bytes: entries.evicted_for_bytes,
            refused_too_large: shared.refused_too_large.get(),
            queued: shared.queue.len(),
        }
    }
}

impl<T: Payload, C: Clock> Shared<T, C> {
    /// The clock's time, or that of the latest sweep if the clock has stepped back since. Never the last instant, at
    /// which nothing could be alive.
    fn now(&self) -> Timestamp {
        judged_at(self.clock.now(), self.queue.high_water())
    }

    /// A random id, or a numbered one in a model, whose every run must be alike.
    fn fresh_id(&self) -> Uuid {
        let number = self.begun.next();
        if MODEL { Uuid::from_u128(number.into()) } else { Uuid::new_v4() }
    }

    fn insert(&self, entry: Entry<T>) {
        let (id, now, expires_at) = (entry.handle.id, entry.handle.created_at, entry.handle.expires_at);
        let reclaim = looking_twice(|| {
            let (removed, swept) = self.sweep(now, SWEEP_STEP);
            removed > 0 || swept.more_due
        });
        let Ok(placed) = self.entries.insert_reclaiming(id, entry, reclaim) else {
            unreachable!("no entry over the ceiling gets here")
        };
        if !placed.overtaken {
            // After the entry: a sweep that met its id before it was there would take it for gone.
            self.queue.add(id, expires_at);
        }
        if placed.seq % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep(now, SWEEP_STEP);
        }
    }

    /// An entry that is there and not expired. Removes it if it is.
    fn live(&self, id: &Uuid) -> Result<Entry<T>, HandleError> {
        let now = self.now();
        let entry = self.entries.get(id).ok_or(HandleError::NotFound)?;
        if entry.handle.is_expired_at(now) {
            if self.expire(id) {
                self.queue.note_stale();
            }
            return Err(HandleError::Expired);
        }
        Ok(entry)
    }

    /// Removes an entry whose time is over. False if another thread did, or evicted it.
    fn expire(&self, id: &Uuid) -> bool {
        let removed = self.entries.remove(id);
        // Counted before it is dropped, which may be the user's code.
        self.expired.add(removed.is_some().into());
        removed.is_some()
    }

    fn sweep(&self, now: Timestamp, limit: usize) -> (u64, deadline::Swept) {
        let mut removed = 0;
        let swept = self.queue.sweep(now, limit, |id, met| {
            if met.is_due() {
                removed += u64::from(self.expire(id));
                return Next::Drop;
            }
            self.entries.get(id).map_or(Next::Drop, |_| Next::KeepUntil(met.deadline))
        });
        (removed, swept)
    }
}

impl<T, C: Clock> Clone for HandleStore<T, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, C: Clock> fmt::Debug for HandleStore<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleStore").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

/// Asks `found`, and once it has found nothing says that there may be room all the same: so an entry is evicted only if
/// there was none after a sweep that found nothing. What another thread's sweep removed counts too.
fn looking_twice(mut found: impl FnMut() -> bool) -> impl FnMut() -> bool {
    let mut looked = false;
    move || {
        if std::mem::take(&mut looked) {
            return false;
        }
        looked = !found();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_looks_for_room_once_more_after_a_sweep_that_found_nothing() {
        let mut finds = [true, false, false, true, false].into_iter();
        let mut reclaim = looking_twice(|| finds.next().unwrap());
        // Found some; nothing, one goes; nothing, one goes; some; nothing, one goes.
        let answers = [true, true, false, true, false, true, true, false];
        assert_eq!([(); 8].map(|()| reclaim()), answers);
        drop(reclaim);
        assert_eq!(finds.next(), None);
    }
}
