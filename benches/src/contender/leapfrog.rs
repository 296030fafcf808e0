//! `leapfrog`: a map of small copied values, by leapfrog probing.

use crate::Hasher;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, Put, Store};
use crate::workload::{Entrant, MemoryEntrant, Role};
use leapfrog::LeapMap;
use uuid::Uuid;

const NAME: &str = "leapfrog";

/// Cells that a new map has; it grows from there, as the others do.
const CELLS: usize = 8;

impl<K: Key> Store<K> for LeapMap<K, u64, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        let map = Self::with_capacity_and_hasher(CELLS, Hasher::new());
        for key in fill.all() {
            map.insert(key, 1);
        }
        map
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }
}

impl<K: Key> Get<K> for &LeapMap<K, u64, Hasher> {
    fn get(&mut self, key: K) -> u64 {
        LeapMap::get(self, &key).and_then(|mut found| found.value()).unwrap_or(0)
    }
}

impl<K: Key> Put<K> for &LeapMap<K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        LeapMap::remove(self, &key).is_some()
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<LeapMap<u128, u64, Hasher>>(NAME, versions::of(NAME), Role::Peer)
}

/// Its memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of(NAME),
        role: Role::Peer,
        lock_free: true,
        fill: map::churn::<LeapMap<Uuid, u64, Hasher>, Uuid>,
    }
}
