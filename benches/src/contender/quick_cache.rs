//! `quick_cache`: a cache by CLOCK-Pro, in locked shards.

use crate::Hasher;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::{Entrant, Role};
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

type Quick = Cache<u128, Payload, UnitWeighter, Hasher>;

impl Capped for Quick {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        Self::with(cap, cap as u64, UnitWeighter, Hasher::new(), DefaultLifecycle::default())
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.get(&key).is_some()
    }

    fn live(&self) -> Option<usize> {
        Some(self.len())
    }
}

impl CappedInsert for &Quick {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        // It does not say whether it was.
        Quick::insert(self, key, payload);
        true
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<Quick>("quick_cache", versions::of("quick_cache"), Role::InexactPeer)
}
