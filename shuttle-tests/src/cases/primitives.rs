//! The primitives.

use crate::Case;
use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tollgate::budget::{Limits, Meter, Status};
use tollgate::clock::Timestamp;
use tollgate::deadline::{DeadlineQueue, Next};
use tollgate::fifo::{FifoMap, Reason};
use tollgate::map::{ShardedMap, Step};

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Hashes a number to itself, which chooses its line; a full line goes on to another one if the number has bit 6, and grows
/// the table otherwise.
#[derive(Debug, Default)]
pub struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Numbers that are their own values.
type Map = ShardedMap<u64, u64, BuildHasherDefault<Same>>;

const CHAINING: u64 = 64;

/// A map that has one line, which is full.
fn map() -> Map {
    let map = Map::with_shards_and_hasher(1, BuildHasherDefault::default());
    map.insert(0, 0);
    map.insert(1, 1);
    map
}

/// Of one line that is full, and is gone on from or grown.
pub const MAP: Case<Map> = Case {
    setup: map,
    operations: &[
        ("map get", |map| assert_eq!(map.get(&1), Some(1))),
        ("map insert that goes on to another line", |map| _ = map.insert(CHAINING, CHAINING)),
        ("map insert that grows the table", |map| _ = map.insert(2, 2)),
        ("map insert into a table that grows", |map| _ = map.insert(3, 3)),
        ("map replace", |map| assert_eq!(map.insert(1, 1), Some(1))),
        ("map remove", |map| _ = map.remove(&0)),
        ("map remove, then insert", |map| {
            map.remove(&2);
            map.insert(2, 2);
        }),
        ("map try_insert", |map| _ = map.pin().try_insert(0, 0)),
        ("map remove_if", |map| _ = map.pin().remove_if(&3, |&value| value == 3)),
        ("map compute", |map| _ = map.pin().compute(1, |_| Step::Put(1))),
        ("map compute that removes", |map| _ = map.pin().compute(CHAINING, |_| Step::Remove)),
        ("map iter", |map| {
            let seen: Vec<_> = map.pin().iter().map(|(&key, _)| key).collect();
            assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len(), "a key was met twice");
        }),
        ("map len", |map| assert!(map.len() <= 5)),
    ],
    always: |map| {
        assert_eq!(map.get(&1), Some(1), "it is replaced at times, and never absent");
        assert!(map.pin().iter().all(|(key, value)| key == value));
    },
    settled: |map| assert!((1..=5).contains(&map.len())),
};

/// A map of weights, and how many entries came.
#[derive(Debug)]
pub struct Fifo {
    /// A key's value is its weight.
    pub map: FifoMap<u64, u64>,
    inserted: AtomicU64,
}

impl Fifo {
    /// With the first few keys, of weight 1.
    #[must_use]
    pub fn new(cap: u64, max_bytes: u64, entries: u64) -> Self {
        let map = FifoMap::builder(cap).max_bytes(max_bytes, |_, &weight| weight).build().unwrap();
        let fifo = Self { map, inserted: AtomicU64::new(0) };
        (0..entries).for_each(|key| fifo.insert(key, 1));
        fifo
    }

    /// Inserts, or replaces.
    pub fn insert(&self, key: u64, weight: u64) {
        let placed = self.map.insert(key, weight).unwrap();
        self.inserted.fetch_add(u64::from(!placed.replaced), Ordering::Relaxed);
    }

    /// Never more than the cap, by any count.
    pub fn assert_bounded(&self, max_bytes: u64) {
        let seen = self.map.snapshot();
        let stats = self.map.stats();
        assert!(seen.len() as u64 <= self.map.cap(), "{} entries seen", seen.len());
        assert!(stats.live <= self.map.cap() && stats.bytes <= max_bytes, "{stats:?}");
        assert!(seen.windows(2).all(|two| two[0].0 < two[1].0), "two entries with one number");
    }

    /// What was inserted is there, or counted as gone.
    pub fn assert_sums(&self) {
        let (seen, stats) = (self.map.snapshot(), self.map.stats());
        let held = (seen.len() as u64, seen.iter().map(|&(_, _, weight)| weight).sum::<u64>());
        assert_eq!((stats.live, stats.bytes), held);
        assert_eq!(stats.live + stats.evicted() + stats.removed, self.inserted.load(Ordering::Relaxed));
        assert!(seen.iter().all(|(_, key, weight)| self.map.get(key) == Some(*weight)));
    }
}

/// At its cap of two: one slot may be in the hands of a thread that stands.
pub const FIFO: Case<Fifo> = Case {
    setup: || Fifo::new(2, u64::MAX, 2),
    operations: &[
        ("fifo insert at the cap", |fifo| fifo.insert(2, 1)),
        ("fifo insert of another key", |fifo| fifo.insert(3, 1)),
        ("fifo replace", |fifo| fifo.insert(1, 2)),
        ("fifo get", |fifo| _ = fifo.map.get(&1)),
        ("fifo remove", |fifo| _ = fifo.map.remove(&0)),
        ("fifo remove of one that comes and goes", |fifo| _ = fifo.map.remove(&2)),
        ("fifo insert_reclaiming", |fifo| {
            let mut first = true;
            let reclaim = || std::mem::take(&mut first) && fifo.map.remove(&1).is_some();
            let placed = fifo.map.insert_reclaiming(4, 1, reclaim).unwrap();
            fifo.inserted.fetch_add(u64::from(!placed.replaced), Ordering::Relaxed);
        }),
        ("fifo pop_oldest", |fifo| _ = fifo.map.pop_oldest(Reason::Age)),
        ("fifo evict_while", |fifo| _ = fifo.map.evict_while(1, |&key, _| key % 2 == 0)),
        ("fifo snapshot", |fifo| assert!(fifo.map.snapshot().len() <= 2)),
        ("fifo stats", |fifo| assert!(fifo.map.stats().live <= 2)),
    ],
    always: |fifo| fifo.assert_bounded(u64::MAX),
    settled: Fifo::assert_sums,
};

/// Bounded by bytes: nobody holds more than a third of them in hand.
pub const FIFO_BYTES: Case<Fifo> = Case {
    setup: || Fifo::new(9, 12, 3),
    operations: &[
        ("fifo insert of much", |fifo| fifo.insert(3, 4)),
        ("fifo insert of little", |fifo| fifo.insert(4, 1)),
        ("fifo replace by more", |fifo| fifo.insert(1, 4)),
        ("fifo replace by less", |fifo| fifo.insert(3, 2)),
        ("fifo remove of what weighs", |fifo| _ = fifo.map.remove(&3)),
        ("fifo pop_oldest for bytes", |fifo| _ = fifo.map.pop_oldest(Reason::Bytes)),
    ],
    always: |fifo| fifo.assert_bounded(12),
    settled: Fifo::assert_sums,
};

/// A queue of deadlines, and how many came and went.
#[derive(Debug)]
pub struct Queue {
    queue: DeadlineQueue<u64>,
    added: AtomicUsize,
    dropped: AtomicUsize,
}

impl Queue {
    fn add(&self, deadline: u64) {
        self.added.fetch_add(1, Ordering::Relaxed);
        self.queue.add(deadline, at(deadline));
    }

    fn sweep(&self, now: u64, next: impl Fn(u64) -> Next) {
        let swept = self.queue.sweep(at(now), 100, |&deadline, _| {
            assert!(self.queue.high_water() >= at(now), "a sweep that is before its own time");
            next(deadline)
        });
        self.dropped.fetch_add(swept.dropped, Ordering::Relaxed);
    }
}

/// Buckets that are ripe, and go.
pub const DEADLINE: Case<Queue> = Case {
    setup: || {
        let queue = Queue { queue: DeadlineQueue::new(), added: AtomicUsize::new(0), dropped: AtomicUsize::new(0) };
        [3, 65, 66].into_iter().for_each(|deadline| queue.add(deadline));
        queue
    },
    operations: &[
        ("deadline add to a bucket that goes", |queue| queue.add(67)),
        ("deadline add of what is due", |queue| queue.add(2)),
        ("deadline add of what is far", |queue| queue.add(5_000)),
        ("deadline sweep", |queue| queue.sweep(70, |_| Next::Drop)),
        ("deadline sweep that moves", |queue| queue.sweep(4_100, |deadline| Next::KeepUntil(at(deadline + 200)))),
        ("deadline sweep of an old era", |queue| {
            (0..65).for_each(|_| queue.queue.note_stale());
            queue.sweep(1, |deadline| Next::KeepUntil(at(deadline)));
        }),
        ("deadline advance", |queue| assert!(queue.queue.advance(at(80)) >= at(80))),
        ("deadline high_water", |queue| assert!(queue.queue.dropped_through() <= queue.queue.high_water())),
    ],
    always: |queue| {
        assert!(queue.dropped.load(Ordering::Relaxed) <= queue.added.load(Ordering::Relaxed), "dropped twice");
    },
    settled: |queue| {
        queue.sweep(1 << 40, |_| Next::Drop);
        // What was put off is due again only after that sweep.
        queue.sweep(1 << 50, |_| Next::Drop);
        assert_eq!(queue.dropped.load(Ordering::Relaxed), queue.added.load(Ordering::Relaxed), "one was left behind");
        assert!(queue.queue.is_empty());
    },
};

const BUDGET: u64 = 3;

/// A meter, and the calls that it granted.
#[derive(Debug)]
pub struct Calls {
    meter: Meter,
    granted: AtomicU64,
    refunded: AtomicU64,
}

impl Calls {
    fn new() -> Self {
        let limits = Limits::new(BUDGET).with_rate(2, Duration::from_secs(10));
        let (granted, refunded) = Default::default();
        Self { meter: Meter::new(limits, Timestamp::from_secs(0)).unwrap(), granted, refunded }
    }

    fn admit(&self, calls: u64, seconds: u64) {
        let shut = self.meter.status() != Status::Open;
        let admitted = self.meter.admit(calls, Timestamp::from_secs(seconds)).is_ok();
        assert!(!(shut && admitted), "admitted after it was shut");
        self.granted.fetch_add(if admitted { calls } else { 0 }, Ordering::Relaxed);
    }

    fn assert_bounded(&self) {
        let (granted, refunded) = (self.granted.load(Ordering::Relaxed), self.refunded.load(Ordering::Relaxed));
        assert!(granted <= BUDGET + refunded + 1, "{granted} calls granted, {refunded} of them given back");
        let spent = self.meter.spent_at(Timestamp::from_secs(1));
        assert!(spent.calls + spent.remaining == BUDGET && spent.window_calls <= 2, "{spent:?}");
    }

    fn assert_sums(&self) {
        let spent = self.meter.spent_at(Timestamp::from_secs(1));
        assert_eq!(self.granted.load(Ordering::Relaxed) - self.refunded.load(Ordering::Relaxed), spent.calls);
    }
}

/// A budget and a rate.
pub const METER: Case<Calls> = Case {
    setup: Calls::new,
    operations: &[
        ("meter admit", |calls| calls.admit(1, 1)),
        ("meter admit of two", |calls| calls.admit(2, 1)),
        ("meter admit in a new window", |calls| calls.admit(1, 20)),
        ("meter admit and refund", |calls| {
            if calls.meter.admit(1, Timestamp::from_secs(1)).is_ok() {
                calls.granted.fetch_add(1, Ordering::Relaxed);
                calls.meter.refund(1, Timestamp::from_secs(1)).unwrap();
                calls.refunded.fetch_add(1, Ordering::Relaxed);
            }
        }),
        ("meter spent_at", Calls::assert_bounded),
    ],
    always: Calls::assert_bounded,
    settled: Calls::assert_sums,
};

/// The same, shut at some time.
pub const METER_SHUT: Case<Calls> = Case {
    setup: Calls::new,
    operations: &[
        ("meter admit before it is shut", |calls| calls.admit(1, 1)),
        ("meter shut", |calls| _ = calls.meter.shut(Status::Expired)),
        ("meter shut_if", |calls| {
            if let Ok(spent) = calls.meter.shut_if(Status::Closed, |spent| spent.calls > 0) {
                assert!(spent.calls > 0);
            }
        }),
        ("meter admit of two before it is shut", |calls| calls.admit(2, 1)),
    ],
    always: Calls::assert_bounded,
    settled: Calls::assert_sums,
};
