//! `dashmap`: a map of locked shards.

use crate::Hasher;
use crate::plain::Session;
use crate::timing;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::map::{self, Fill, Get, Key, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, MemoryEntrant, Role, SweepingEntrant};
use crossbeam_queue::ArrayQueue;
use dashmap::DashMap;
use uuid::Uuid;

const NAME: &str = "dashmap";

impl<K: Key> Store<K> for DashMap<K, u64, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        fill.all().map(|key| (key, 1)).collect()
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }
}

impl<K: Key> Get<K> for &DashMap<K, u64, Hasher> {
    fn get(&mut self, key: K) -> u64 {
        DashMap::get(self, &key).map_or(0, |value| *value)
    }
}

impl<K: Key> Put<K> for &DashMap<K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        DashMap::remove(self, &key).is_some()
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<DashMap<u128, u64, Hasher>>(NAME, versions::of("dashmap"), Role::Peer)
}

/// Its memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of("dashmap"),
        role: Role::Peer,
        lock_free: false,
        fill: map::churn::<DashMap<Uuid, u64, Hasher>, Uuid>,
    }
}

/// Revoked ids and when they expire.
impl Revocations for DashMap<u128, u64, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn empty(_capacity: u64) -> Self {
        Self::default()
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.insert(id, expires_at);
        true
    }

    fn forget(&self, now: u64) {
        self.retain(|_, expires_at| *expires_at > now);
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Check for &DashMap<u128, u64, Hasher> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.contains_key(&id)
    }
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<DashMap<u128, u64, Hasher>>(NAME, versions::of(NAME), Role::Peer)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    revocation::sweeping::<DashMap<u128, u64, Hasher>>("dashmap + retain", versions::of(NAME), Role::Peer)
}

/// The map, and a bounded queue of its keys in the order of their coming.
struct Queued {
    map: DashMap<u128, Payload, Hasher>,
    order: ArrayQueue<u128>,
}

impl Capped for Queued {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        Self { map: DashMap::default(), order: ArrayQueue::new(cap) }
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.map.contains_key(&key)
    }

    fn live(&self) -> Option<usize> {
        Some(self.map.len())
    }
}

impl CappedInsert for &Queued {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        // The map first: a key that is in the queue alone could be evicted before it is there.
        let new = self.map.insert(key, payload).is_none();
        if new && let Some(oldest) = self.order.force_push(key) {
            self.map.remove(&oldest);
        }
        new
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<Queued>("dashmap + ArrayQueue", versions::of(NAME), Role::ExactPeer)
}

/// As a map with a large cap.
#[must_use]
pub fn fifo_large() -> Entrant {
    fifo::enter_large::<Queued>("dashmap + ArrayQueue", versions::of(NAME), Role::ExactPeer)
}

impl Admission for DashMap<Uuid, Session, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let ids: Vec<_> = agents.iter().map(|_| Uuid::new_v4()).collect();
        let sessions = agents.iter().map(|&agent| Session::new(agent, limits));
        (ids.iter().copied().zip(sessions).collect(), ids)
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &DashMap<Uuid, Session, Hasher> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        let now = timing::now();
        self.get_mut(call.session).is_some_and(|mut session| session.admit(call, now).is_ok())
    }
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    session::enter::<DashMap<Uuid, Session, Hasher>>("dashmap get_mut", versions::of(NAME), Role::Peer)
}
