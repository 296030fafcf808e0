//! tollgate itself.

use crate::Hasher;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, PER_PIN, Put, Store};
use crate::workload::{Entrant, MemoryEntrant, Role, Sweeping, SweepingEntrant};
use std::time::Duration;
use tollgate::clock::Timestamp;
use tollgate::map::{Pinned, ShardedMap};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use uuid::Uuid;

const NAME: &str = "tollgate";

impl<K: Key> Store<K> for ShardedMap<K, u64, Hasher> {
    type Pin<'a> = Pinned<'a, K, u64, Hasher>;

    const PER_PIN: u64 = PER_PIN;

    fn filled(fill: Fill) -> Self {
        let map = Self::with_hasher(Hasher::new());
        for key in fill.all() {
            map.insert(key, 1);
        }
        map
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        self.pin()
    }
}

impl<K: Key> Get<K> for Pinned<'_, K, u64, Hasher> {
    fn get(&mut self, key: K) -> u64 {
        Pinned::get(self, &key).copied().unwrap_or(0)
    }
}

impl<K: Key> Put<K> for Pinned<'_, K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        Pinned::remove(self, &key).is_some()
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<ShardedMap<u128, u64, Hasher>>(NAME, versions::of("tollgate"), Role::Tollgate)
}

/// Its map's memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of("tollgate"),
        role: Role::Tollgate,
        lock_free: true,
        fill: map::churn::<ShardedMap<Uuid, u64, Hasher>, Uuid>,
    }
}

impl Sweeping for RevocationSet<u128, u64> {
    fn check(&self, id: u128) -> bool {
        RevocationSet::check(self, &id) == Standing::Revoked
    }

    fn revoke(&self, id: u128, expires_at: u64) {
        let revoked = RevocationSet::revoke(self, id, Timestamp::from_nanos(expires_at));
        assert!(revoked.is_ok(), "there is room");
    }

    fn sweep(&self, _now: u64) {
        // Its own clock tells the same.
        while RevocationSet::sweep(self, 1_024).more {}
    }
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    SweepingEntrant {
        name: NAME,
        version: versions::of("tollgate"),
        role: Role::Tollgate,
        make: |capacity| {
            // No grace, so that its entries go when those of the others do.
            let config = RevocationConfig::new().capacity(capacity).grace(Duration::ZERO);
            Box::new(RevocationSet::<u128, u64>::new(config).expect("a capacity"))
        },
    }
}
