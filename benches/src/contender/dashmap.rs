//! `dashmap`: a map of locked shards.

use crate::Hasher;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, Put, Store};
use crate::workload::{Entrant, MemoryEntrant, Role, Sweeping, SweepingEntrant};
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
impl Sweeping for DashMap<u128, u64, Hasher> {
    fn check(&self, id: u128) -> bool {
        self.contains_key(&id)
    }

    fn revoke(&self, id: u128, expires_at: u64) {
        self.insert(id, expires_at);
    }

    fn sweep(&self, now: u64) {
        self.retain(|_, expires_at| *expires_at > now);
    }
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    SweepingEntrant {
        name: "dashmap + retain",
        version: versions::of("dashmap"),
        role: Role::Peer,
        make: |_| Box::new(DashMap::<u128, u64, Hasher>::default()),
    }
}
