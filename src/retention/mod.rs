//! Raw data of sessions, under a soft and a hard cap: what goes first, and what is never lost in silence.
//!
//! Sessions leave raw data (the first tier), and by analysis something small that is worth keeping (the second). A
//! [`sweep`] frees raw data by upstream's rules (session-memory), in this order:
//!
//! 1. *Backstop*: what was analysed and is older than `max_age` goes, however much room there is. Age counts from the
//!    session's end, or else its beginning, or else when it came in; a session of exactly that age stays.
//! 2. *Budget*: while there is more than the soft cap, what was analysed goes, oldest first: by when it was analysed, or
//!    else ended, or else came in.
//! 3. *Overflow*, only above the hard cap: what was not analysed is analysed and evicted, oldest first, until usage is
//!    down at the soft cap; if that does not help, raw data is lost, oldest first, until usage is down at the hard cap.
//!    Each loss has a [`LossReason`], a warning in the report, and is logged.
//! 4. The second tier is only measured.
//!
//! # Cost
//!
//! One list of the sessions, sorted once, and one more before anything is lost: O(n log n) in all. The store is asked for
//! its usage at the beginning and end of a pass, not for each eviction, but before each loss, and for that session then: a
//! store that leaves [`TieredStore::session`] as it is looks through all of them for each loss.
//!
//! # Sweeps at once
//!
//! [`TieredStore::evict_raw`] decides who evicts a session; another sweep is told that there was nothing, and looks at
//! usage again. Two sweeps may evict a session more than one would have, since each evicts before the other's bytes
//! count; run one at a time where that matters.
//!
//! # Progress
//!
//! A sweep takes no lock and visits a session once in a pass, whatever the store says. [`MemoryTiers`] is lock-free: an
//! operation on a session is one exchange of its entry, its linearization point.
//!
//! # Panics
//!
//! None of its own. A panic in the store or the analysis goes to the caller of the sweep, and the report with it: what was
//! evicted until then stays evicted. [`MemoryTiers`] counts what it holds after a panic in an id's `Hash`, `Eq` or `Clone`,
//! or in its clock.
//!
//! # Memory
//!
//! A sweep holds a copy of the list. [`MemoryTiers`] takes about 220 bytes for a session with an id of 8 bytes, beside its
//! data (resident memory, measured over 200,000), and holds as many as its capacity.

#![forbid(unsafe_code)]

mod instant;
mod memory;
mod policy;
mod sweep;

pub use instant::parse_instant;
pub use memory::{Ingest, MemoryTiers, TierError};
pub use policy::{EvictionReport, Loss, LossReason, RawSession, RetentionConfig, RetentionPolicy, Warning};

use crate::clock::Timestamp;
use crate::contain::contained;
use std::error::Error;
use std::hash::Hash;

/// Where sessions keep their raw and their distilled data.
pub trait TieredStore {
    /// What tells sessions apart.
    type Id: Hash + Eq + Clone;
    /// What can go wrong.
    type Error;

    /// All sessions, those whose raw data is gone or not. Of sessions that are equally old, one that comes first goes
    /// first.
    ///
    /// # Errors
    ///
    /// The store's own, which end a sweep.
    fn list_sessions(&self) -> Result<Vec<RawSession<Self::Id>>, Self::Error>;

    /// Evicts a session's raw data and returns how many bytes that freed; none if there was nothing to evict. Of several
    /// callers at once, one may be told of bytes. A sweep judges by its list, so an id that is removed must not come back
    /// with other data while one is under way.
    ///
    /// # Errors
    ///
    /// The store's own, which end a sweep.
    fn evict_raw(&self, id: &Self::Id) -> Result<Option<u64>, Self::Error>;

    /// Bytes of raw data.
    ///
    /// # Errors
    ///
    /// The store's own, which end a sweep.
    fn tier1_usage_bytes(&self) -> Result<u64, Self::Error>;

    /// Bytes of distilled data.
    ///
    /// # Errors
    ///
    /// The store's own, which end a sweep.
    fn tier2_usage_bytes(&self) -> Result<u64, Self::Error>;

    /// One session as it is now. Asked after each analysis, and before data is lost that was not analysed; looks through
    /// the whole list unless a store does better.
    ///
    /// # Errors
    ///
    /// The store's own, which end a sweep.
    fn session(&self, id: &Self::Id) -> Result<Option<RawSession<Self::Id>>, Self::Error> {
        let mut sessions = self.list_sessions()?;
        let at = sessions.iter().position(|session| session.id == *id);
        let session = at.map(|at| sessions.swap_remove(at));
        // Now: if an id panicked when it is dropped, what is being returned would leak.
        sessions.clear();
        Ok(session)
    }
}

/// Analyses a session's raw data, and tells the store that it did.
pub type Analyze<'a, I> = dyn FnMut(&RawSession<I>) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;

/// Sweeps once, by the rules in the [module's head](self), at the time `now`.
///
/// Never fails: an error of the store ends the sweep, and the report says what was done until then. `analyze` is the
/// caller's code and may be slow; nothing is held meanwhile.
///
/// # Examples
///
/// ```
/// use tollgate::clock::{Clock, SystemClock};
/// use tollgate::retention::{Ingest, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, sweep};
///
/// let store = MemoryTiers::new(1_000)?;
/// store.ingest("monday", Ingest::new(), vec![0; 700])?;
/// store.ingest("tuesday", Ingest::new(), vec![0; 700])?;
///
/// let policy = RetentionPolicy::new(RetentionConfig::new().soft_cap(500).hard_cap(1_000))?;
/// let mut analyze = |session: &RawSession<&'static str>| {
///     store.record_analysis(&session.id, b"went well".to_vec())?;
///     Ok(())
/// };
/// let report = sweep(&store, &policy, Some(&mut analyze), SystemClock.now());
/// assert_eq!(report.overflow_analyzed, ["monday", "tuesday"]);
/// assert_eq!((report.bytes_freed, report.lost_data()), (1_400, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sweep<S: TieredStore>(
    store: &S,
    policy: &RetentionPolicy,
    analyze: Option<&mut Analyze<'_, S::Id>>,
    now: Timestamp,
) -> EvictionReport<S::Id, S::Error> {
    let mut sweep = sweep::Sweep::new(store, policy, now);
    let done = sweep.run(analyze).and_then(|()| sweep.conclude());
    let report = sweep.report(done);
    if report.lost_data() {
        let bytes: u64 = report.overflow_data_loss.iter().map(|loss| loss.bytes).fold(0, u64::saturating_add);
        let sessions = report.overflow_data_loss.len();
        // Contained: what was lost is told by the report.
        contained(|| tracing::warn!(sessions, bytes, "over the hard cap: raw data was lost that was not analysed"));
    }
    report
}
