//! `scc::HashCache`: buckets that evict by least recent use.

use crate::Hasher;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::{Entrant, Role};
use scc::HashCache;

impl Capped for HashCache<u128, Payload, Hasher> {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        Self::with_capacity_and_hasher(0, cap, Hasher::new())
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.get_sync(&key).is_some()
    }

    fn live(&self) -> Option<usize> {
        Some(self.len())
    }
}

impl CappedInsert for &HashCache<u128, Payload, Hasher> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        self.put_sync(key, payload).is_ok()
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<HashCache<u128, Payload, Hasher>>("scc::HashCache", versions::of("scc"), Role::InexactPeer)
}
