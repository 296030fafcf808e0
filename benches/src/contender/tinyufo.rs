//! `TinyUFO`: a lock-free cache by S3-FIFO and TinyLFU. It hashes with a hasher of its own choice.

use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::{Entrant, Role};
use tinyufo::TinyUfo;

impl Capped for TinyUfo<u128, Payload> {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        Self::new(cap, cap)
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.get(&key).is_some()
    }

    fn live(&self) -> Option<usize> {
        None
    }
}

impl CappedInsert for &TinyUfo<u128, Payload> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        // Each entry weighs 1. Plain `put` may refuse, this may not.
        self.force_put(key, payload, 1);
        true
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<TinyUfo<u128, Payload>>("TinyUFO", versions::of("TinyUFO"), Role::InexactPeer)
}
