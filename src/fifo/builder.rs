//! How a [`FifoMap`] is configured.

use super::room::Room;
use super::{FifoMap, Listener, Reason, Weigher};
use crate::error::{ConfigError, positive};
use crate::hash::RandomState;
use crate::raw::order::Order;
use crate::raw::table::Table;
use crate::sync::{AtomicU64, Counter, MODEL};
use crossbeam_utils::CachePadded;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// Shards of the index.
const SHARDS: usize = if MODEL { 4 } else { 16 };

/// Configures a [`FifoMap`].
pub struct Builder<K, V, S = RandomState> {
    pub(super) cap: u64,
    pub(super) max_bytes: Option<u64>,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) listener: Option<Listener<K, V>>,
    pub(super) hasher: S,
}

impl<K, V, S> Builder<K, V, S> {
    /// Also keeps the sum of the entries' weights, as `weigh` tells them once per insert, at `max` or below.
    #[must_use]
    pub fn max_bytes(mut self, max: u64, weigh: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.max_bytes = Some(max);
        self.weigher = Some(Box::new(weigh));
        self
    }

    /// Is told of every entry that was evicted, when it is out of reach.
    #[must_use]
    pub fn listener(mut self, listen: impl Fn(&K, &V, Reason) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listen));
        self
    }

    /// Hashes with `hasher`.
    #[must_use]
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> Builder<K, V, T> {
        let Self { cap, max_bytes, weigher, listener, .. } = self;
        Builder { cap, max_bytes, weigher, listener, hasher }
    }
}

impl<K, V, S> Builder<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The map.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a cap of nothing, in entries or in bytes.
    pub fn build(self) -> Result<FifoMap<K, V, S>, ConfigError> {
        let cap = positive("cap", self.cap)?;
        let max_bytes = self.max_bytes.map(|max| positive("max_bytes", max)).transpose()?;
        let counter = || CachePadded::new(AtomicU64::new(0));
        Ok(FifoMap {
            table: Table::new(SHARDS, false, self.hasher),
            order: Order::new(),
            weigher: self.weigher,
            listener: self.listener,
            tail: counter(),
            floor: counter(),
            room: Room::new(cap, max_bytes),
            counts: CachePadded::default(),
            warned: Counter::default(),
        })
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("cap", &self.cap).field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}
