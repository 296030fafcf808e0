//! A sharded, lock-free hash map.
//!
//! # Consistency
//!
//! Each operation on a key is linearizable; [`Pinned::iter`] and [`ShardedMap::len`] are weakly consistent. A value
//! that was inserted is never changed in place: it is replaced by another one.
//!
//! # Progress
//!
//! Every operation is lock-free, gets included, and gets write no shared memory. Growing doubles the buckets without
//! moving an entry; no operation does work in proportion to the table.
//!
//! # Memory
//!
//! A node of 16 bytes plus key and value, and 16 to 32 bytes of buckets per entry, before what the allocator adds (85
//! bytes of resident memory for a key of 16 bytes and a value of 8); half a KiB for each shard. What is
//! removed is freed when every thread that was pinned then has unpinned.
//!
//! # Panics
//!
//! None of its own. A panic in the user's `Hash`, `Eq` or closure leaves the map as it was before the call.

use crate::hash::{RandomState, random_state};
use crate::raw::epoch::{self, Guard};
use crate::raw::table::Table;
use crate::sync::MODEL;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// Shards of a map unless told otherwise: enough that two writers seldom count in the same one.
const SHARDS: usize = if MODEL { 1 } else { 16 };

/// A sharded, lock-free hash map.
///
/// # Examples
///
/// ```
/// use tollgate::map::ShardedMap;
///
/// let map = ShardedMap::new();
/// assert_eq!(map.insert("a", 1), None);
/// assert_eq!(map.insert("a", 2), Some(1));
/// assert_eq!(map.get("a"), Some(2));
///
/// let pinned = map.pin(); // borrows instead of clones, one pin for many operations
/// assert_eq!(pinned.remove("a"), Some(&2));
/// assert!(pinned.get("a").is_none());
/// ```
///
/// The map is invariant in its types, as everything is that can be written through a shared reference:
///
/// ```
/// # use tollgate::map::ShardedMap;
/// type Any = for<'a> fn(&'a str);
/// fn same(map: &ShardedMap<u32, Any>) -> &ShardedMap<u32, Any> {
///     map
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use tollgate::map::ShardedMap;
/// type Any = for<'a> fn(&'a str);
/// fn narrowed(map: &ShardedMap<u32, Any>) -> &ShardedMap<u32, fn(&'static str)> {
///     map
/// }
/// ```
pub struct ShardedMap<K, V, S = RandomState> {
    table: Table<K, V>,
    hasher: S,
}

impl<K, V> ShardedMap<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// An empty map with random seeds.
    #[must_use]
    pub fn new() -> Self {
        Self::with_hasher(random_state())
    }
}

impl<K, V, S> Default for ShardedMap<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Default,
{
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K, V, S> ShardedMap<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// An empty map that hashes with `hasher`.
    #[must_use]
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_shards_and_hasher(SHARDS, hasher)
    }

    /// An empty map of `shards` shards, rounded up to a power of two, 4,096 at most. One shard is right for a map that
    /// stays small.
    #[must_use]
    pub fn with_shards_and_hasher(shards: usize, hasher: S) -> Self {
        Self { table: Table::new(shards), hasher }
    }

    /// Pins this thread, for operations that borrow. Wait-free.
    ///
    /// The result is not `Send`, so it cannot be held across an `.await` of a task that moves between threads; held
    /// for long, it delays reclamation for everybody.
    pub fn pin(&self) -> Pinned<'_, K, V, S> {
        Pinned { map: self, guard: epoch::pin() }
    }

    /// The value of `key`. Lock-free, expected O(1); writes no shared memory.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.pin().get(key).cloned()
    }

    /// Whether `key` is there. Lock-free, expected O(1); writes no shared memory.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.pin().get(key).is_some()
    }

    /// Inserts or replaces, and returns what was replaced. Lock-free, expected O(1).
    pub fn insert(&self, key: K, value: V) -> Option<V>
    where
        V: Clone,
    {
        self.pin().insert(key, value).cloned()
    }

    /// Removes `key` and returns its value. Lock-free, expected O(1).
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.pin().remove(key).cloned()
    }

    /// The number of entries, exact when nothing moves. O(shards).
    #[must_use]
    pub fn len(&self) -> u64 {
        self.table.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A [`ShardedMap`] with this thread pinned: results are borrows that live as long as this.
pub struct Pinned<'m, K, V, S = RandomState> {
    map: &'m ShardedMap<K, V, S>,
    guard: Guard,
}

/// What a closure of [`Pinned::compute`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<V> {
    /// Leave it as it is.
    Keep,
    /// Insert, or replace by, this value.
    Put(V),
    /// Remove it.
    Remove,
}

/// What [`Pinned::compute`] did: the value before and after, the same reference where it was kept.
#[derive(Debug)]
pub struct Computed<'p, V> {
    /// The value that the decision was made on.
    pub before: Option<&'p V>,
    /// The value that the decision left.
    pub after: Option<&'p V>,
}

/// An insert that found the key taken; gives everything back.
#[derive(Debug)]
pub struct Exists<'p, K, V> {
    /// The value that is there.
    pub current: &'p V,
    /// The key that was to be inserted.
    pub key: K,
    /// The value that was to be inserted.
    pub value: V,
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The value of `key`. Lock-free, expected O(1); writes no shared memory.
    ///
    /// Linearized at the load that finds the entry alive; for an absent key, at a moment of the walk at which it was
    /// absent.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// As [`get`](Self::get), with the key as stored.
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.map.hasher.hash_one(key);
        let node = self.map.table.get(hash, &self.guard, |k, _| k.borrow() == key)?;
        Some((&node.key, &node.value))
    }

    /// Inserts or replaces, and returns what was replaced. Lock-free, expected O(1).
    ///
    /// Linearized at the exchange that links the new entry; readers never find the key absent in between.
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        let hash = self.map.hasher.hash_one(&key);
        let table = &self.map.table;
        let mut node = table.node(hash, key, value);
        loop {
            let place = table.seek(hash, &self.guard, |k, _| *k == node.key);
            let found = place.found();
            let done = match found {
                Some(_) => place.replace(node),
                None => table.insert(hash, place, node, &self.guard),
            };
            match done {
                Ok(_) => return found.map(|old| &old.value),
                Err(again) => node = again,
            }
        }
    }

    /// Inserts if `key` is absent. Lock-free, expected O(1).
    ///
    /// # Errors
    ///
    /// [`Exists`], with the value that is there and what was to be inserted.
    pub fn try_insert(&self, key: K, value: V) -> Result<&V, Exists<'_, K, V>> {
        let hash = self.map.hasher.hash_one(&key);
        let table = &self.map.table;
        let mut node = table.node(hash, key, value);
        loop {
            let place = table.seek(hash, &self.guard, |k, _| *k == node.key);
            if let Some(found) = place.found() {
                let (key, value) = node.into_parts();
                return Err(Exists { current: &found.value, key, value });
            }
            match table.insert(hash, place, node, &self.guard) {
                Ok(node) => return Ok(&node.value),
                Err(again) => node = again,
            }
        }
    }

    /// Removes `key` and returns its value. Lock-free, expected O(1). Linearized at the exchange that marks the entry.
    pub fn remove<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove_if(key, |_| true)
    }

    /// Removes `key` if its value satisfies `condition`, which may be called again when another thread interferes; it
    /// held of the very value that was removed. Lock-free, expected O(1).
    pub fn remove_if<Q>(&self, key: &Q, condition: impl Fn(&V) -> bool) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.map.hasher.hash_one(key);
        loop {
            let place = self.map.table.seek(hash, &self.guard, |k, _| k.borrow() == key);
            let found = place.found()?;
            if !condition(&found.value) {
                return None;
            }
            if self.map.table.remove(hash, place) {
                return Some(&found.value);
            }
        }
    }

    /// Decides on the value of `key` by a closure, atomically. Lock-free, expected O(1).
    ///
    /// The closure may be called again when another thread interferes; what counts is its last decision, which was
    /// made on the value that [`Computed::before`] shows.
    pub fn compute(&self, key: K, mut decide: impl FnMut(Option<&V>) -> Step<V>) -> Computed<'_, V> {
        let hash = self.map.hasher.hash_one(&key);
        let table = &self.map.table;
        let mut key = key;
        loop {
            let place = table.seek(hash, &self.guard, |k, _| *k == key);
            let found = place.found();
            let before = found.map(|node| &node.value);
            let done = match (decide(before), found) {
                (Step::Keep, _) | (Step::Remove, None) => return Computed { before, after: before },
                (Step::Remove, Some(_)) => {
                    if table.remove(hash, place) {
                        return Computed { before, after: None };
                    }
                    continue;
                }
                (Step::Put(value), None) => table.insert(hash, place, table.node(hash, key, value), &self.guard),
                (Step::Put(value), Some(_)) => place.replace(table.node(hash, key, value)),
            };
            match done {
                Ok(node) => return Computed { before, after: Some(&node.value) },
                Err(node) => key = node.into_parts().0,
            }
        }
    }

    /// Walks over the entries. Weakly consistent: an entry that is there throughout is met once, none twice.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.table.iter(&self.guard).map(|node| (&node.key, &node.value))
    }

    /// Hands this thread's garbage to the collector at once. For tests, and for threads that are about to idle.
    pub fn flush(&self) {
        self.guard.flush();
    }
}

impl<K, V, S> fmt::Debug for ShardedMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedMap").field("len", &self.table.len()).finish_non_exhaustive()
    }
}

impl<K, V, S> fmt::Debug for Pinned<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("map", self.map).finish()
    }
}
