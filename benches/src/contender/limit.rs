//! The limits: the same work on data of each thread's own, on a table that nobody changes, and as the bare atomic.
//!
//! There are locks, because jobs are shared; they are taken once per run, and not per operation.

use crate::plain::{Fifo, Table};
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::map::{self, Fill, Get, Key, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, Job, Role, Workload};
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use uuid::Uuid;

/// A structure for each thread.
#[derive(Debug)]
pub struct Private<T>(Box<[CachePadded<Mutex<T>>]>);

impl<T> Private<T> {
    fn new(threads: usize, make: impl FnMut(usize) -> T) -> Self {
        Self((0..threads).map(make).map(|own| CachePadded::new(Mutex::new(own))).collect())
    }

    fn of(&self, thread: usize) -> MutexGuard<'_, T> {
        self.0[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> Store<K> for Private<Table<K, u64>> {
    type Pin<'a> = MutexGuard<'a, Table<K, u64>>;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        Self::new(fill.threads, |thread| fill.of(thread).map(|key| (key, 1)).collect())
    }

    fn pin(&self, thread: usize) -> Self::Pin<'_> {
        self.of(thread)
    }
}

impl<K: Key> Get<K> for MutexGuard<'_, Table<K, u64>> {
    fn get(&mut self, key: K) -> u64 {
        Table::get(self, &key).copied().unwrap_or(0)
    }
}

impl<K: Key> Put<K> for MutexGuard<'_, Table<K, u64>> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        Table::remove(self, &key).is_some()
    }
}

impl Capped for Private<Fifo> {
    type Pin<'a> = MutexGuard<'a, Fifo>;

    fn empty(threads: usize, cap: usize) -> Self {
        Self::new(threads, |_| Fifo::new(cap))
    }

    fn pin(&self, thread: usize) -> Self::Pin<'_> {
        self.of(thread)
    }

    fn holds(&self, key: u128) -> bool {
        self.of(0).holds(key)
    }

    fn live(&self) -> Option<usize> {
        Some(self.of(0).len())
    }
}

impl CappedInsert for MutexGuard<'_, Fifo> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        Fifo::insert(self, key, payload)
    }
}

/// A table that nobody changes once it is full.
#[derive(Debug)]
pub struct Frozen<T>(RwLock<T>);

impl<T> Frozen<T> {
    fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> Store<K> for Frozen<Table<K, u64>> {
    type Pin<'a> = RwLockReadGuard<'a, Table<K, u64>>;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        Self(RwLock::new(fill.all().map(|key| (key, 1)).collect()))
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        self.read()
    }
}

impl<K: Key> Get<K> for RwLockReadGuard<'_, Table<K, u64>> {
    fn get(&mut self, key: K) -> u64 {
        Table::get(self, &key).copied().unwrap_or(0)
    }
}

impl Revocations for Frozen<Table<u128, u64>> {
    type Pin<'a> = RwLockReadGuard<'a, Table<u128, u64>>;

    const PER_PIN: u64 = u64::MAX;

    fn empty(_capacity: u64) -> Self {
        Self(RwLock::default())
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, expires_at);
        true
    }

    fn forget(&self, now: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|_, expires_at| *expires_at > now);
    }

    fn pin(&self) -> Self::Pin<'_> {
        self.read()
    }
}

impl Check for RwLockReadGuard<'_, Table<u128, u64>> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.contains_key(&id)
    }
}

/// Calls left, and nothing else.
#[derive(Debug)]
pub struct Left(AtomicU64);

impl Left {
    fn admit(&self, calls: usize) -> bool {
        let take = |left: u64| left.checked_sub(calls as u64);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }
}

/// Sessions that are found in a table that nobody changes.
impl Admission for Table<Uuid, Left> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let ids: Vec<_> = agents.iter().map(|_| Uuid::new_v4()).collect();
        (ids.iter().map(|&id| (id, Left(AtomicU64::new(limits.budget)))).collect(), ids)
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &Table<Uuid, Left> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        self.get(call.session).is_some_and(|left| left.admit(call.tools.len()))
    }
}

/// One session that need not be found.
impl Admission for CachePadded<Left> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, _agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        (Self::new(Left(AtomicU64::new(limits.budget))), vec![Uuid::nil()])
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &CachePadded<Left> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        Left::admit(self, call.tools.len())
    }
}

fn limit(name: &'static str, workload: &'static Workload, make: fn(usize) -> Box<dyn Job>) -> Entrant {
    Entrant { workload, name, version: "", role: Role::Limit, max_threads: usize::MAX, make, lacks: String::new }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    type Map = Table<u128, u64>;
    vec![
        limit("frozen map", &map::GET_HIT, |threads| map::get_hit::<Frozen<Map>>(map::LIVE, threads)),
        limit("frozen map", &map::GET_MISS, |threads| map::get_miss::<Frozen<Map>>(map::LIVE, threads)),
        limit("private maps", &map::MIXED, map::mixed::<Private<Map>>),
        limit("private maps", &map::CHURN, |threads| map::churn::<Private<Map>, u128>(map::LIVE, threads)),
    ]
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<Private<Fifo>>("private FIFOs", "", Role::Limit)
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<Frozen<Table<u128, u64>>>("frozen map", "", Role::Limit)
}

/// In the workloads of admission: with a lookup where there are many sessions, bare where there is one.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    let hot = [session::HOT.id, session::HOT_BATCH.id];
    let mut entrants = session::enter::<Table<Uuid, Left>>("lookup + CAS", "", Role::Limit);
    entrants.retain(|entrant| !hot.contains(&entrant.workload.id));
    let bare = session::enter::<CachePadded<Left>>("bare CAS", "", Role::Limit);
    entrants.extend(bare.into_iter().filter(|entrant| hot.contains(&entrant.workload.id)));
    entrants
}
