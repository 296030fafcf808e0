//! `foyer`: its cache in memory, evicting first in, first out, in locked shards.

use crate::Hasher;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::{Entrant, Role};
use foyer_memory::{Cache, CacheBuilder, CacheProperties, FifoConfig};

/// With this many shards, each evicting its own oldest.
struct Foyer<const SHARDS: usize>(Cache<u128, Payload, Hasher, CacheProperties>);

impl<const SHARDS: usize> Capped for Foyer<SHARDS> {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        let builder = CacheBuilder::new(cap).with_shards(SHARDS).with_eviction_config(FifoConfig::default());
        Self(builder.with_hash_builder(Hasher::new()).build())
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.0.get(&key).is_some()
    }

    fn live(&self) -> Option<usize> {
        Some(self.0.entries())
    }
}

impl<const SHARDS: usize> CappedInsert for &Foyer<SHARDS> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        // The entry that comes back says nothing about what was there.
        self.0.insert(key, payload);
        true
    }
}

/// As a map with a cap: with as many shards as it has by default, and with one, which makes the order global.
#[must_use]
pub fn fifo() -> [Entrant; 2] {
    let version = versions::of("foyer-memory");
    [
        fifo::enter::<Foyer<8>>("foyer FIFO", version, Role::InexactPeer),
        fifo::enter::<Foyer<1>>("foyer FIFO, 1 shard", version, Role::ExactPeer),
    ]
}
