//! `flurry`: Java's concurrent hash map, pinned for as long as a batch lasts.

use crate::Hasher;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, PER_PIN, Put, Store};
use crate::workload::{Entrant, MemoryEntrant, Role};
use flurry::{HashMap, HashMapRef};
use uuid::Uuid;

const NAME: &str = "flurry";

impl<K: Key> Store<K> for HashMap<K, u64, Hasher> {
    type Pin<'a> = HashMapRef<'a, K, u64, Hasher>;

    const PER_PIN: u64 = PER_PIN;

    fn filled(fill: Fill) -> Self {
        fill.all().map(|key| (key, 1)).collect()
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        self.pin()
    }
}

impl<K: Key> Get<K> for HashMapRef<'_, K, u64, Hasher> {
    fn get(&mut self, key: K) -> u64 {
        HashMapRef::get(self, &key).copied().unwrap_or(0)
    }
}

impl<K: Key> Put<K> for HashMapRef<'_, K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        HashMapRef::remove(self, &key).is_some()
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<HashMap<u128, u64, Hasher>>(NAME, versions::of(NAME), Role::Peer)
}

/// Its memory. Its readers take no lock, its writers lock a bucket.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of(NAME),
        role: Role::Peer,
        lock_free: false,
        fill: map::churn::<HashMap<Uuid, u64, Hasher>, Uuid>,
    }
}
