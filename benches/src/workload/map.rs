//! Maps of 16-byte keys to `u64`: gets, a mix, and churn.

use super::{Against, Entrant, Job, Role, Target, Workload};
use crate::contender;
use crate::load::{Cursors, below, bits, each, in_batches, key, pick};
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use uuid::Uuid;

/// Entries of the maps.
pub const LIVE: u64 = 100_000;
/// Operations under one pin, for contenders that pin.
pub const PER_PIN: u64 = 64;
/// Where keys come from that are never there.
const ABSENT: u64 = 1 << 32;

/// Gets of keys that are there.
pub static GET_HIT: Workload = Workload {
    id: "map_get_hit",
    title: "Map get, always a hit",
    operation: "get of one of 100,000 keys, uniform",
    targets: &[Target::new(2, Against::BestPeer, 1.1), Target::new(1, Against::BestPeer, 1.0)],
};

/// Gets of keys that are not there.
pub static GET_MISS: Workload = Workload {
    id: "map_get_miss",
    title: "Map get, always a miss",
    operation: "get of a key that is not among the 100,000",
    targets: &[Target::new(2, Against::BestPeer, 1.1), Target::new(1, Against::Floor, 0.75)],
};

/// Gets, upserts and removals.
pub static MIXED: Workload = Workload {
    id: "map_mixed",
    title: "Map, 90 % get, 9 % upsert, 1 % remove",
    operation: "get, upsert or remove of one of 100,000 keys, uniform; nine of ten are there",
    targets: &[Target::new(2, Against::BestPeer, 1.3), Target::new(1, Against::Floor, 0.6)],
};

/// Keys that come and go.
pub static CHURN: Workload = Workload {
    id: "map_churn",
    title: "Map churn",
    operation: "insert of a new key and removal of the thread's oldest one, 100,000 live",
    targets: &[Target::new(2, Against::BestPeer, 1.5), Target::new(1, Against::Floor, 0.45)],
};

/// What a map is asked for by.
pub trait Key: Copy + Hash + Ord + Debug + Send + Sync + 'static {
    /// The key of these 16 bytes.
    fn of(bits: u128) -> Self;
}

impl Key for u128 {
    fn of(bits: u128) -> Self {
        bits
    }
}

impl Key for Uuid {
    fn of(bits: u128) -> Self {
        Self::from_u128(bits)
    }
}

/// What a map holds at first: every value is 1.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Threads that will work on it.
    pub threads: usize,
    /// Entries in all.
    pub live: u64,
    /// Whether each thread has keys of its own, or all share the same.
    pub own: bool,
}

impl Fill {
    /// The keys that a thread will ask for.
    pub fn of<K: Key>(self, thread: usize) -> impl Iterator<Item = K> {
        let (space, count) = if self.own { (thread as u64, self.part()) } else { (0, self.live) };
        (0..count).map(move |number| K::of(key(space, number)))
    }

    /// The keys of all threads.
    pub fn all<K: Key>(self) -> impl Iterator<Item = K> {
        let spaces = if self.own { self.threads } else { 1 };
        (0..spaces).flat_map(move |thread| self.of(thread))
    }

    /// The entries of each thread, where they have their own.
    fn part(self) -> u64 {
        self.live / self.threads as u64
    }
}

/// A map under test.
pub trait Store<K>: Send + Sync + 'static {
    /// What operations go through: a pin, a guard, or just a reference.
    type Pin<'a>
    where
        Self: 'a;

    /// Operations that share a pin.
    const PER_PIN: u64;

    /// A map with these entries.
    fn filled(fill: Fill) -> Self;

    /// A pin for that many operations of this thread.
    fn pin(&self, thread: usize) -> Self::Pin<'_>;
}

/// Asking a map.
pub trait Get<K> {
    /// The value, 0 if there is none.
    fn get(&mut self, key: K) -> u64;
}

/// Changing a map.
pub trait Put<K> {
    /// Inserts or replaces.
    fn put(&mut self, key: K, value: u64);
    /// Removes, and returns whether it was there.
    fn remove(&mut self, key: K) -> bool;
}

/// Gets; the numbers that are asked for come from one key space.
struct Gets<S> {
    store: S,
    cursors: Cursors,
    space: u64,
    live: u64,
}

impl<S> Job for Gets<S>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128>,
{
    fn run(&self, thread: usize, operations: u64) -> u64 {
        in_batches(self.cursors.take(thread, operations), S::PER_PIN, |batch| {
            let mut pin = self.store.pin(thread);
            each(batch, |n| pin.get(key(self.space, pick(thread, n, self.live))))
        })
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        let hits = if self.space == ABSENT { 0 } else { operations };
        if sum == hits { Ok(()) } else { Err(format!("{sum} hits instead of {hits}")) }
    }
}

struct Mixed<S> {
    store: S,
    cursors: Cursors,
}

impl<S> Job for Mixed<S>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128> + Put<u128>,
{
    fn run(&self, thread: usize, operations: u64) -> u64 {
        in_batches(self.cursors.take(thread, operations), S::PER_PIN, |batch| {
            let mut pin = self.store.pin(thread);
            each(batch, |n| {
                let bits = bits(thread, n);
                let key = key(0, below(bits, LIVE));
                // The low bits; the key comes from the high ones.
                match below(bits << 32, 100) {
                    0 => pin.remove(key).into(),
                    1..10 => {
                        pin.put(key, 1);
                        1
                    }
                    _ => pin.get(key),
                }
            })
        })
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        // Every upsert counts, and nine of ten of the rest; in the first rounds all of them.
        let least = operations * 89 / 100;
        if (least..=operations).contains(&sum) || operations < 10_000 {
            Ok(())
        } else {
            Err(format!("{sum} of {operations} found something"))
        }
    }
}

struct Churn<S, K> {
    store: S,
    cursors: Cursors,
    /// Entries of each thread.
    part: u64,
    key: PhantomData<fn() -> K>,
}

impl<S, K> Job for Churn<S, K>
where
    K: Key,
    S: Store<K>,
    for<'a> S::Pin<'a>: Put<K>,
{
    fn run(&self, thread: usize, operations: u64) -> u64 {
        in_batches(self.cursors.take(thread, operations), S::PER_PIN, |batch| {
            let mut pin = self.store.pin(thread);
            each(batch, |n| {
                pin.put(K::of(key(thread as u64, n + self.part)), 1);
                pin.remove(K::of(key(thread as u64, n))).into()
            })
        })
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        if sum == operations { Ok(()) } else { Err(format!("{sum} of {operations} removals found their key")) }
    }
}

fn gets<S>(live: u64, threads: usize, space: u64) -> Box<dyn Job>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128>,
{
    let store = S::filled(Fill { threads, live, own: false });
    Box::new(Gets { store, cursors: Cursors::new(threads), space, live })
}

/// Gets of keys that are there, among `live` ones.
#[must_use]
pub fn get_hit<S>(live: u64, threads: usize) -> Box<dyn Job>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128>,
{
    gets::<S>(live, threads, 0)
}

/// Gets of keys that are not there, among `live` ones.
#[must_use]
pub fn get_miss<S>(live: u64, threads: usize) -> Box<dyn Job>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128>,
{
    gets::<S>(live, threads, ABSENT)
}

/// Gets, upserts and removals.
#[must_use]
pub fn mixed<S>(threads: usize) -> Box<dyn Job>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128> + Put<u128>,
{
    let store = S::filled(Fill { threads, live: LIVE, own: false });
    Box::new(Mixed { store, cursors: Cursors::new(threads) })
}

/// Inserts and removals over `live` entries.
#[must_use]
pub fn churn<S, K>(live: u64, threads: usize) -> Box<dyn Job>
where
    K: Key,
    S: Store<K>,
    for<'a> S::Pin<'a>: Put<K>,
{
    let fill = Fill { threads, live, own: true };
    Box::new(Churn { store: S::filled(fill), cursors: Cursors::new(threads), part: fill.part(), key: PhantomData })
}

/// A map in the four workloads of maps, in the same role in all.
#[must_use]
pub fn enter<S>(name: &'static str, version: &'static str, role: Role) -> Vec<Entrant>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128> + Put<u128>,
{
    enter_as::<S>(name, version, |_| role)
}

/// A map in the four workloads of maps.
#[must_use]
pub fn enter_as<S>(name: &'static str, version: &'static str, role: impl Fn(&Workload) -> Role) -> Vec<Entrant>
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128> + Put<u128>,
{
    let entrant = |workload, make| {
        let role = role(workload);
        let max_threads = if role == Role::Floor { 1 } else { usize::MAX };
        let lacks = if role == Role::Floor { String::new } else { lacks::<S> };
        Entrant { workload, name, version, role, max_threads, make, lacks }
    };
    vec![
        entrant(&GET_HIT, |threads| get_hit::<S>(LIVE, threads)),
        entrant(&GET_MISS, |threads| get_miss::<S>(LIVE, threads)),
        entrant(&MIXED, mixed::<S>),
        entrant(&CHURN, |threads| churn::<S, u128>(LIVE, threads)),
    ]
}

/// What a map does not do: show a key at every instant while its value is being replaced.
fn lacks<S>() -> String
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Get<u128> + Put<u128>,
{
    const REPLACED: u64 = 50_000;
    let map = S::filled(Fill { threads: 2, live: 16, own: false });
    let key = key(0, 7);
    let done = AtomicBool::new(false);
    let (gets, missed) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut gets, mut missed) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                gets += 1;
                missed += u64::from(map.pin(1).get(key) == 0);
            }
            (gets, missed)
        });
        for _ in 0..REPLACED {
            map.pin(0).put(key, 1);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader does not panic")
    });
    if missed == 0 { String::new() } else { format!("{missed} of {gets} gets missed a key that was being replaced") }
}

/// Everyone in the workloads of maps.
#[must_use]
pub fn entrants() -> Vec<Entrant> {
    let mut all = Vec::new();
    all.extend(contender::tollgate::maps());
    all.extend(contender::scc_index::maps());
    all.extend(contender::scc_map::maps());
    all.extend(contender::papaya::maps());
    all.extend(contender::leapfrog::maps());
    all.extend(contender::flurry::maps());
    all.extend(contender::dashmap::maps());
    all.extend(contender::hashbrown_parking_lot::maps());
    all.extend(contender::hashbrown_std::maps());
    all.extend(contender::floor::maps());
    all.extend(contender::limit::maps());
    let order = [GET_HIT.id, GET_MISS.id, MIXED.id, CHURN.id];
    all.sort_by_key(|entrant| order.iter().position(|&id| id == entrant.workload.id));
    all
}
