//! Maps that hold so many entries and no more: every insert into a full one evicts another entry.

use super::{Against, Entrant, Job, Role, Target, Workload};
use crate::contender;
use crate::load::{Cursors, each, key};
use crate::timing;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Entries that the map may hold.
pub const CAP: usize = 10_000;
/// The same a hundred times larger.
pub const LARGE_CAP: usize = 1_000_000;
/// The key space of what fills the map.
const FILLER: u64 = 1 << 33;

/// 200 bytes, allocated for each insert. Shared, because some caches clone what they give out or evict.
pub type Payload = Arc<[u8; 200]>;

/// Inserts at a cap of 10,000.
pub static INSERT: Workload = Workload {
    id: "fifo_insert",
    title: "Insert into a full map of 10,000",
    operation: "insert of a new key with 200 freshly allocated bytes, and eviction of another",
    targets: &[
        Target::new(2, Against::BestExactPeer, 3.0),
        Target::new(2, Against::BestInexactPeer, 1.2),
        Target::new(1, Against::Floor, 0.6),
    ],
};

/// Inserts at a cap of 1,000,000.
pub static INSERT_LARGE: Workload = Workload {
    id: "fifo_insert_1m",
    title: "Insert into a full map of 1,000,000",
    operation: "insert of a new key with 200 freshly allocated bytes, and eviction of another",
    targets: &[Target::new(2, Against::SelfAt(INSERT.id), 0.5), Target::new(1, Against::SelfAt(INSERT.id), 0.5)],
};

/// A map with a cap.
pub trait Capped: Send + Sync + 'static {
    /// What operations go through.
    type Pin<'a>: CappedInsert
    where
        Self: 'a;

    /// An empty map.
    fn empty(threads: usize, cap: usize) -> Self;

    /// The way in for this thread, for a whole run.
    fn pin(&self, thread: usize) -> Self::Pin<'_>;

    /// Whether a reader finds this key; a cache counts it as a use.
    fn holds(&self, key: u128) -> bool;

    /// The entries that a reader can count now; none if there is no way to count them.
    fn live(&self) -> Option<usize>;
}

/// Inserting into a map with a cap.
pub trait CappedInsert {
    /// Inserts, and returns whether that was done.
    fn add(&mut self, key: u128, payload: Payload) -> bool;
}

fn payload(number: u64) -> Payload {
    Arc::new([number as u8; 200])
}

struct Inserts<C> {
    map: C,
    cursors: Cursors,
}

impl<C: Capped> Job for Inserts<C> {
    fn run(&self, thread: usize, operations: u64) -> u64 {
        let mut pin = self.map.pin(thread);
        each(self.cursors.take(thread, operations), |n| pin.add(key(thread as u64, n), payload(n)).into())
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        if sum == operations { Ok(()) } else { Err(format!("{sum} of {operations} inserts were done")) }
    }
}

/// A full map, as a job.
#[must_use]
pub fn inserts<C: Capped>(threads: usize, cap: usize) -> Box<dyn Job> {
    let map = C::empty(threads, cap);
    for thread in 0..threads {
        // All of it by each, for those who do not share the map.
        let mut pin = map.pin(thread);
        each(0..cap as u64, |n| pin.add(key(FILLER + thread as u64, n), payload(n)).into());
    }
    Box::new(Inserts { map, cursors: Cursors::new(threads) })
}

/// A map at the smaller cap.
#[must_use]
pub fn enter<C: Capped>(name: &'static str, version: &'static str, role: Role) -> Entrant {
    Entrant {
        workload: &INSERT,
        name,
        version,
        role,
        max_threads: if role == Role::Floor { 1 } else { usize::MAX },
        make: |threads| inserts::<C>(threads, CAP),
        lacks: if matches!(role, Role::Floor | Role::Limit) { String::new } else { lacks::<C> },
    }
}

/// A map at the larger cap.
#[must_use]
pub fn enter_large<C: Capped>(name: &'static str, version: &'static str, role: Role) -> Entrant {
    Entrant {
        workload: &INSERT_LARGE,
        make: |threads| inserts::<C>(threads, LARGE_CAP),
        ..enter::<C>(name, version, role)
    }
}

/// What a map does not do: keep to its cap at every instant, and keep the newest.
fn lacks<C: Capped>() -> String {
    let mut lacks = Vec::new();
    let most = most_seen::<C>();
    if most > CAP {
        lacks.push(format!("seen at {most} of {CAP}"));
    }
    let kept = newest_kept::<C>();
    if kept < CAP {
        lacks.push(format!("keeps {kept} of the newest {CAP}"));
    }
    lacks.join("; ")
}

/// The most entries that a reader counts while four threads insert, and afterwards.
fn most_seen<C: Capped>() -> usize {
    const WRITERS: usize = 4;
    const LASTS: Duration = Duration::from_millis(50);
    let map = C::empty(WRITERS, CAP);
    let done = AtomicBool::new(false);
    let insert = |thread| {
        let mut pin = map.pin(thread);
        let mut inserted = 0;
        while !done.load(Ordering::Relaxed) {
            pin.add(key(thread as u64, inserted), payload(inserted));
            inserted += 1;
        }
        inserted
    };
    let (mut most, inserted) = thread::scope(|scope| {
        let insert = &insert;
        let writers: Vec<_> = (0..WRITERS).map(|thread| scope.spawn(move || insert(thread))).collect();
        let start = timing::now();
        let mut most = 0;
        while start.elapsed() < LASTS {
            most = most.max(map.live().unwrap_or(0));
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        let inserted: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no writer panics")).collect();
        (most, inserted)
    });
    let keys = inserted.into_iter().zip(0..).flat_map(|(count, space)| (0..count).map(move |n| key(space, n)));
    most = most.max(keys.filter(|&key| map.holds(key)).count());
    most
}

/// How many of the newest entries are there, after so many inserts that others must have gone, and after reads of old
/// ones, which do not make those newer.
fn newest_kept<C: Capped>() -> usize {
    const CAP: u64 = self::CAP as u64;
    const INSERTS: u64 = 10 * CAP;
    const READ: u64 = CAP / 10;
    let map = C::empty(1, self::CAP);
    let insert = |numbers: Range<u64>| each(numbers, |n| map.pin(0).add(key(0, n), payload(n)).into());
    insert(0..INSERTS - CAP / 2);
    let oldest = INSERTS - CAP / 2 - CAP;
    for _ in 0..3 {
        each(oldest..oldest + READ, |n| map.holds(key(0, n)).into());
    }
    insert(INSERTS - CAP / 2..INSERTS);
    (INSERTS - CAP..INSERTS).filter(|&n| map.holds(key(0, n))).count()
}

/// Everyone in both workloads.
#[must_use]
pub fn entrants() -> Vec<Entrant> {
    let mut all = vec![
        contender::tollgate::fifo(),
        contender::hashbrown_parking_lot::fifo(),
        contender::hashbrown_std::fifo(),
        contender::dashmap::fifo(),
        contender::scc_cache::fifo(),
        contender::quick_cache::fifo(),
        contender::tinyufo::fifo(),
    ];
    all.extend(contender::foyer::fifo());
    all.extend(contender::moka::fifo());
    all.extend([contender::floor::fifo(), contender::limit::fifo()]);
    all.extend([
        contender::tollgate::fifo_large(),
        contender::hashbrown_parking_lot::fifo_large(),
        contender::hashbrown_std::fifo_large(),
        contender::dashmap::fifo_large(),
        contender::floor::fifo_large(),
    ]);
    all
}
