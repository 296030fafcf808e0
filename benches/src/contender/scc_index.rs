//! `scc::HashIndex`: locked buckets, read without a lock under a guard.

use crate::Hasher;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, PER_PIN, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::{Entrant, MemoryEntrant, Role, SweepingEntrant};
use scc::hash_index::Entry;
use scc::{Guard, HashIndex};
use uuid::Uuid;

const NAME: &str = "scc::HashIndex";

/// The index, and the guard that a batch goes under.
#[derive(Debug)]
pub struct Guarded<'a, K: Key> {
    index: &'a HashIndex<K, u64, Hasher>,
    guard: Guard,
}

impl<K: Key> Store<K> for HashIndex<K, u64, Hasher> {
    type Pin<'a> = Guarded<'a, K>;

    const PER_PIN: u64 = PER_PIN;

    fn filled(fill: Fill) -> Self {
        let index = Self::default();
        for key in fill.all() {
            let _ = index.insert_sync(key, 1);
        }
        index
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        Guarded { index: self, guard: Guard::new() }
    }
}

impl<K: Key> Get<K> for Guarded<'_, K> {
    fn get(&mut self, key: K) -> u64 {
        self.index.peek(&key, &self.guard).copied().unwrap_or(0)
    }
}

impl<K: Key> Put<K> for Guarded<'_, K> {
    fn put(&mut self, key: K, value: u64) {
        match self.index.entry_sync(key) {
            Entry::Occupied(mut entry) => entry.update(value),
            Entry::Vacant(entry) => drop(entry.insert_entry(value)),
        }
    }

    fn remove(&mut self, key: K) -> bool {
        self.index.remove_sync(&key)
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<HashIndex<u128, u64, Hasher>>(NAME, versions::of("scc"), Role::Peer)
}

/// Its memory. Its readers take no lock, its writers lock a bucket.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of("scc"),
        role: Role::Peer,
        lock_free: false,
        fill: map::churn::<HashIndex<Uuid, u64, Hasher>, Uuid>,
    }
}

/// Revoked ids and when they expire.
impl Revocations for HashIndex<u128, u64, Hasher> {
    type Pin<'a> = Guarded<'a, u128>;

    const PER_PIN: u64 = PER_PIN;

    fn empty(_capacity: u64) -> Self {
        Self::default()
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        Store::pin(self, 0).put(id, expires_at);
        true
    }

    fn forget(&self, now: u64) {
        self.retain_sync(|_, expires_at| *expires_at > now);
    }

    fn pin(&self) -> Self::Pin<'_> {
        Store::pin(self, 0)
    }
}

impl Check for Guarded<'_, u128> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.index.peek(&id, &self.guard).is_some()
    }
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<HashIndex<u128, u64, Hasher>>(NAME, versions::of("scc"), Role::Peer)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    revocation::sweeping::<HashIndex<u128, u64, Hasher>>("scc::HashIndex + retain", versions::of("scc"), Role::Peer)
}
