//! Entries ordered by when they may go: a hierarchical timing wheel of lock-free buckets.
//!
//! # The wheel
//!
//! An entry is put into a bucket that spans a sixteenth, at most, of the time from the last sweep to its deadline, or one
//! nanosecond. A bucket is *ripe* when its first instant has come; a sweep takes the entries of ripe buckets one by one:
//! those that are due are visited, the others move to a bucket that spans a sixteenth of what is left then. So an entry
//! moves twelve times at most, is never visited before its deadline, and is met by the first sweep at or after it, to the
//! nanosecond. (Varghese and Lauck, SOSP 1987, scheme 7, with wheels that begin where the entry is added, so that none is
//! near an edge, and buckets that exist only while they are needed.)
//!
//! Buckets are stacks (`raw::stack`) in a hash table (`raw::table`); an emptied one is sealed, then taken
//! away, so a push that comes late finds it sealed and goes elsewhere: nothing can be left behind a cursor, for there is
//! no cursor.
//!
//! # Entries that are no longer wanted
//!
//! There is no removal: the owner says [`note_stale`](DeadlineQueue::note_stale). When half of the entries are stale, a
//! new *era* begins: buckets of older eras are ripe too, so the following sweeps ask about each of their entries once.
//! After them, stale entries outnumber live ones by 64 at most.
//!
//! # Progress
//!
//! All operations are lock-free. Adding is O(1). A sweep does at most `limit` steps and a walk over the buckets, of
//! which 1,920 at most in an era are not due yet. An entry is visited before it is taken off, so a sweeper that stops halfway
//! hides nothing; two sweepers may therefore visit the same entry.
//!
//! Linearization points: *add*, the push; *sweep*, for each entry, the pop.
//!
//! # Ordering pairs
//!
//! - P7 `high_water` and `dropped_through` are raised (AcqRel) before a visit; whoever finds that the visitor removed
//!   something then reads (Acquire) times that cover it (`docs/mutations.md` has its models).
//!
//! # Memory
//!
//! 32 bytes plus the key for each entry, and a bucket for those that share one.
//!
//! # Panics
//!
//! None of its own. If a visit panics, its entry stays and is visited again. Of `Drop`, see [`map`](crate::map#panics).

mod bucket;
mod visit;

pub use visit::{Next, Swept, Visit};

use crate::clock::Timestamp;
use crate::hash::{RandomState, random_state};
use crate::raw::epoch::{self, Guard};
use crate::raw::node::{Node, Owned};
use crate::raw::stack::{Loose, Stack};
use crate::raw::table::{Place, Table};
use crate::sync::{AtomicU64, Counter, Ordering};
use bucket::Name;
use crossbeam_utils::CachePadded;
use std::fmt;

/// A new era begins only when at least this many entries are stale.
const MIN_STALE: u64 = 64;

/// Keys with deadlines.
///
/// # Examples
///
/// ```
/// use tollgate::clock::Timestamp;
/// use tollgate::deadline::{DeadlineQueue, Next};
///
/// let queue = DeadlineQueue::new();
/// queue.add("tea", Timestamp::from_secs(3));
/// queue.add("bread", Timestamp::from_secs(40));
///
/// let mut due = Vec::new();
/// queue.sweep(Timestamp::from_secs(10), 100, |key, _| {
///     due.push(*key);
///     Next::Drop
/// });
/// assert_eq!(due, ["tea"]);
/// assert_eq!(queue.len(), 1);
/// ```
pub struct DeadlineQueue<K> {
    buckets: Table<Name, Stack<Entry<K>>, RandomState>,
    /// The latest time that was swept at or advanced to.
    high_water: CachePadded<AtomicU64>,
    /// The latest time at which any sweep visited an entry as due.
    dropped_through: AtomicU64,
    era: AtomicU64,
    len: CachePadded<Counter>,
    stale: Counter,
}

struct Entry<K> {
    key: K,
    /// Changed only while the entry is on no stack.
    deadline: AtomicU64,
}

impl<K: Send + Sync + 'static> DeadlineQueue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buckets: Table::new(1, false, random_state()),
            high_water: CachePadded::new(AtomicU64::new(0)),
            dropped_through: AtomicU64::new(0),
            era: AtomicU64::new(0),
            len: CachePadded::default(),
            stale: Counter::default(),
        }
    }

    /// Adds an entry that is due when `deadline <= now`. One at [`Timestamp::MAX`] never is. Lock-free, O(1).
    pub fn add(&self, key: K, deadline: Timestamp) {
        let guard = epoch::pin();
        self.len.up();
        let item = Loose::new(Entry { key, deadline: AtomicU64::new(deadline.as_nanos()) });
        // Relaxed: any time and era that ever were lead to a bucket that sweeps will find ripe in time.
        self.put(item, self.high_water.load(Ordering::Relaxed), self.era.load(Ordering::Relaxed), &guard);
    }

    /// Says that the key of one entry is gone, so that the entry may go before its deadline. Lock-free.
    pub fn note_stale(&self) {
        self.begin_era_if_due(self.stale.up());
    }

    /// Begins an era if `stale` entries are too many.
    fn begin_era_if_due(&self, stale: u64) {
        if stale >= MIN_STALE && stale > self.len() / 2 && self.stale.zero_if(stale) {
            // Relaxed: it decides when to look, not what is found.
            self.era.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes at most `limit` steps through the entries that are due at `now`, or at the latest `now` of any sweep
    /// before, and then through those of older eras. Lock-free; other sweeps and adds may go on meanwhile.
    ///
    /// `visit` is called with the key of each entry that is due, and, when many entries are stale, of others too, so it
    /// must look for itself, and judge by [`Visit::now`]. Two sweeps may call it for the same entry. What another sweep
    /// has in hand, to put it nearer to its deadline, may be missed by this one, or come back after its visit: the next
    /// one meets it.
    pub fn sweep(&self, now: Timestamp, limit: usize, visit: impl FnMut(&K, Visit) -> Next) -> Swept {
        self.sweep_ahead(now, limit, visit, |_| ())
    }

    /// As [`sweep`](Self::sweep), for visits that read what is in no cache: before each one, `fetch` is told of a key
    /// that comes soon and of one that comes later, as far as they are known, to begin to fetch what their visits read. It may be
    /// the user's code: if it panics, the entry at hand stays, as by a visit that does.
    pub(crate) fn sweep_ahead(
        &self,
        now: Timestamp,
        limit: usize,
        mut visit: impl FnMut(&K, Visit) -> Next,
        fetch: impl Fn([Option<&K>; 2]),
    ) -> Swept {
        let guard = epoch::pin();
        let now = self.advance(now).as_nanos();
        // What is stale may be most of what sweeps have left.
        self.begin_era_if_due(self.stale.get());
        let era = self.era.load(Ordering::Relaxed);
        let mut swept = Swept::default();
        let mut steps = 0;
        // False if the limit was reached first.
        let mut empty = |bucket: &Node<Name, Stack<Entry<K>>>| {
            loop {
                while let Some(top) = bucket.value.top(&guard) {
                    if steps == limit {
                        return false;
                    }
                    steps += 1;
                    fetch(bucket.value.ahead(top, &guard).map(|entry| entry.map(|entry| &entry.key)));
                    // Relaxed: a deadline changes only while its entry is on no stack, and P2 publishes it.
                    let deadline = Timestamp::from_nanos(top.value.deadline.load(Ordering::Relaxed));
                    let met = Visit { deadline, now: Timestamp::from_nanos(now) };
                    let next = if met.is_due() || bucket.key.era < era {
                        swept.visited += 1;
                        // Relaxed: it is raised already, and later reads are not of an older time (P7).
                        if met.is_due() && self.dropped_through.load(Ordering::Relaxed) < now {
                            // AcqRel: P7. Not `deadline`: the visitor may drop whatever is due by now.
                            self.dropped_through.fetch_max(now, Ordering::AcqRel);
                        }
                        visit(&top.value.key, met)
                    } else {
                        Next::KeepUntil(deadline)
                    };
                    if let Some(item) = bucket.value.pop(top) {
                        // An era may have begun after we looked: entries never go back to an older one.
                        let era = era.max(bucket.key.era);
                        swept.dropped += usize::from(self.settle(item, next, now, era, &guard));
                    }
                }
                if bucket.value.seal() {
                    self.take_away(&bucket.key, &guard);
                    return true;
                }
            }
        };
        // What may be due goes first, so that a caller who looks for that alone need not wait for a whole old era.
        let mut aged = false;
        for bucket in self.buckets.iter(&guard) {
            if !bucket.key.may_be_due(now) {
                aged |= bucket.key.era < era;
            } else if !empty(bucket) {
                (swept.more, swept.more_due) = (true, true);
                return swept;
            }
        }
        let old = |bucket: &&Node<Name, _>| bucket.key.era < era && !bucket.key.may_be_due(now);
        swept.more = aged && !self.buckets.iter(&guard).filter(old).all(empty);
        swept
    }

    /// Raises the high-water time to `now`, if that is later, without sweeping, and returns it. Lock-free.
    pub fn advance(&self, now: Timestamp) -> Timestamp {
        // `Timestamp::MAX` never comes.
        let now = now.as_nanos().min(u64::MAX - 1);
        // Acquire: P7. Most callers come with a time that others have passed: they write nothing.
        let latest = self.high_water.load(Ordering::Acquire);
        if latest >= now {
            return Timestamp::from_nanos(latest);
        }
        // AcqRel: P7.
        Timestamp::from_nanos(self.high_water.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// The latest time that was swept at or advanced to: what may have gone by it must be treated as expired. Wait-free.
    #[must_use]
    pub fn high_water(&self) -> Timestamp {
        // Acquire: P7.
        Timestamp::from_nanos(self.high_water.load(Ordering::Acquire))
    }

    /// The latest time at which any sweep visited an entry as due, so that nothing due later was dropped. Wait-free.
    #[must_use]
    pub fn dropped_through(&self) -> Timestamp {
        // Acquire: P7.
        Timestamp::from_nanos(self.dropped_through.load(Ordering::Acquire))
    }

    /// Entries held, stale ones included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len.get()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does with a popped entry as its visit decided. True if it was dropped.
    fn settle(&self, item: Loose<Entry<K>>, next: Next, now: u64, era: u64, guard: &Guard) -> bool {
        match next {
            Next::Drop => {
                item.discard(guard);
                self.len.down();
                true
            }
            Next::KeepUntil(deadline) => {
                // No entry returns to a bucket it was in, which is what `Stack` demands: a bucket that was ripe by its
                // era is left for a later era; one that was ripe by `now` is left for one that begins after `now`, and
                // whoever takes the entry from there has a later `now` still, or a later era.
                let deadline = deadline.as_nanos().max(now + 1);
                // Relaxed: published by the push (P2).
                item.value().deadline.store(deadline, Ordering::Relaxed);
                self.put(item, now, era, guard);
                false
            }
        }
    }

    fn put(&self, item: Loose<Entry<K>>, swept: u64, era: u64, guard: &Guard) {
        let deadline = item.value().deadline.load(Ordering::Relaxed);
        let name = Name::of(deadline, swept, era);
        let hash = self.buckets.hash(&name);
        let mut item = item;
        loop {
            let bucket = match self.buckets.seek(hash, guard, |other, _| *other == name) {
                Place::Found(found) => found.node(),
                Place::Vacant(vacant) => match vacant.insert(Owned::new(name, Stack::new()), guard) {
                    Ok(bucket) => bucket,
                    Err(_) => continue,
                },
            };
            match bucket.value.push(item) {
                Ok(()) => return,
                Err(again) => item = again,
            }
            self.take_away(&name, guard);
        }
    }

    /// Takes a sealed bucket out of the table.
    fn take_away(&self, name: &Name, guard: &Guard) {
        let hash = self.buckets.hash(name);
        if let Some(found) = self.buckets.find(hash, guard, |other, stack| other == name && stack.is_sealed()) {
            // If it died first, another thread took it away.
            found.remove(guard);
        }
    }
}

impl<K: Send + Sync + 'static> Default for DeadlineQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for DeadlineQueue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineQueue").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn due(queue: &DeadlineQueue<u64>, now: u64) -> Vec<u64> {
        let mut keys = Vec::new();
        queue.sweep(at(now), usize::MAX, |&key, _| {
            keys.push(key);
            Next::Drop
        });
        keys.sort_unstable();
        keys
    }

    #[test]
    fn an_entry_is_due_at_its_deadline_and_not_a_nanosecond_before() {
        for deadline in [1, 63, 64, 65, 4_095, 4_096, 1 << 40, u64::MAX - 1] {
            let queue = DeadlineQueue::new();
            queue.add(7, at(deadline));
            assert!(due(&queue, deadline - 1).is_empty());
            assert_eq!(due(&queue, deadline), [7]);
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn a_sweep_looks_at_few_that_are_not_due() {
        for first in [1, (1 << 40) - 500] {
            let queue = DeadlineQueue::new();
            queue.advance(at(first - 1));
            (first..first + 1_000).for_each(|deadline| queue.add(deadline, at(deadline)));
            for now in first..first + 1_000 {
                // The bucket spans 32 ns at most, as a sixteenth of less than a microsecond.
                let swept = queue.sweep(at(now), 1 + 31, |_, _| Next::Drop);
                assert_eq!((swept.dropped, swept.more), (1, false));
            }
        }
    }

    #[test]
    fn a_sweep_stops_at_its_limit_and_says_so() {
        let queue = DeadlineQueue::new();
        (0..10).for_each(|key| queue.add(key, at(key)));
        let first = queue.sweep(at(100), 4, |_, _| Next::Drop);
        assert_eq!((first.dropped, first.more), (4, true));
        let rest = queue.sweep(at(100), 100, |_, _| Next::Drop);
        assert_eq!((rest.dropped, rest.more), (6, false));
    }

    #[test]
    fn a_sweep_at_an_earlier_time_counts_as_one_at_the_latest() {
        let queue = DeadlineQueue::new();
        assert!(due(&queue, 50).is_empty());
        queue.add(1, at(40));
        assert_eq!(due(&queue, 10), [1]);
        assert_eq!(queue.high_water(), at(50));
    }

    #[test]
    fn a_visit_can_put_its_entry_off() {
        let queue = DeadlineQueue::new();
        queue.add(1, at(10));
        queue.sweep(at(10), 100, |_, _| Next::KeepUntil(at(500)));
        assert!(due(&queue, 499).is_empty());
        assert_eq!(due(&queue, 500), [1]);
    }

    #[test]
    fn stale_entries_never_outnumber_live_ones_for_long() {
        let queue = DeadlineQueue::new();
        queue.add(0, at(1 << 50));
        for key in 1..10_000 {
            queue.add(key, at(1 << 50));
            queue.note_stale();
            queue.sweep(at(1), 8, |&key, met| if key == 0 { Next::KeepUntil(met.deadline) } else { Next::Drop });
            assert!(queue.len() <= 2 * MIN_STALE + 2, "{} entries, one of them live", queue.len());
        }
    }

    #[test]
    fn stale_entries_go_when_the_live_ones_have_gone() {
        let queue = DeadlineQueue::new();
        // Two of three are due soon; the others are wanted no more, while they are not yet half of all.
        (0..300).for_each(|key| queue.add(key, at(if key % 3 == 0 { 1 << 50 } else { 10 })));
        (0..100).for_each(|_| queue.note_stale());
        assert_eq!(due(&queue, 10).len(), 200);
        queue.sweep(at(10), usize::MAX, |_, _| Next::Drop);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_last_instant_never_comes() {
        let queue = DeadlineQueue::new();
        queue.add(1, Timestamp::MAX);
        assert!(due(&queue, u64::MAX).is_empty());
        assert_eq!(queue.len(), 1);
    }
}
