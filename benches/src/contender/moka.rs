//! `moka`: a cache by TinyLFU or LRU, with a time to live for each entry.

use crate::Hasher;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::map::{self, Fill, Key, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::{Entrant, MemoryEntrant, Role, SweepingEntrant, now_ns};
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::time::{Duration, Instant};
use uuid::Uuid;

const NAME: &str = "moka";

/// With a cap, evicting by LRU or by TinyLFU.
struct Moka<const LRU: bool>(Cache<u128, Payload, Hasher>);

impl<const LRU: bool> Capped for Moka<LRU> {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        let policy = if LRU { EvictionPolicy::lru() } else { EvictionPolicy::tiny_lfu() };
        Self(Cache::builder().max_capacity(cap as u64).eviction_policy(policy).build_with_hasher(Hasher::new()))
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.0.get(&key).is_some()
    }

    fn live(&self) -> Option<usize> {
        // Its own count lags behind what a reader finds.
        Some(self.0.iter().count())
    }
}

impl<const LRU: bool> CappedInsert for &Moka<LRU> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        // It does not say whether it was.
        self.0.insert(key, payload);
        true
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> [Entrant; 2] {
    [
        fifo::enter::<Moka<true>>("moka LRU", versions::of(NAME), Role::InexactPeer),
        fifo::enter::<Moka<false>>("moka TinyLFU", versions::of(NAME), Role::InexactPeer),
    ]
}

/// Without a cap, as a map.
impl<K: Key> Store<K> for Cache<K, u64, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        let cache = Cache::builder().build_with_hasher(Hasher::new());
        for key in fill.all() {
            cache.insert(key, 1);
        }
        cache
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }
}

impl<K: Key> Put<K> for &Cache<K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        Cache::remove(self, &key).is_some()
    }
}

/// Its memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of(NAME),
        role: Role::Peer,
        lock_free: false,
        fill: map::churn::<Cache<Uuid, u64, Hasher>, Uuid>,
    }
}

/// Each entry's value is when it expires.
struct AtItsTime;

impl Expiry<u128, u64> for AtItsTime {
    fn expire_after_create(&self, _id: &u128, expires_at: &u64, _created_at: Instant) -> Option<Duration> {
        Some(Duration::from_nanos(expires_at.saturating_sub(now_ns())))
    }
}

/// Revoked ids, each with its time to live.
struct Expiring(Cache<u128, u64, Hasher>);

impl Revocations for Expiring {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn empty(_capacity: u64) -> Self {
        // No cap: at one, it would forget what is revoked.
        Self(Cache::builder().expire_after(AtItsTime).build_with_hasher(Hasher::new()))
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.0.insert(id, expires_at);
        true
    }

    fn forget(&self, _now: u64) {
        // Each call does a bounded amount of work; done is when nothing more goes. The first one brings the count up
        // to date.
        self.0.run_pending_tasks();
        loop {
            let before = self.0.entry_count();
            self.0.run_pending_tasks();
            if self.0.entry_count() >= before {
                break;
            }
        }
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Check for &Expiring {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.0.contains_key(&id)
    }
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<Expiring>("moka with TTL", versions::of(NAME), Role::Peer)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    revocation::sweeping::<Expiring>("moka with TTL", versions::of(NAME), Role::Peer)
}
