//! A sharded, lock-free hash map.
//!
//! # Consistency
//!
//! Each operation on a key is linearizable, and so are those on several keys, of one map or more, that are not under one
//! pin: two threads that each write one key and then read the other's may both miss under their pins, on hardware that lets
//! a read pass a write. [`Pinned::iter`] and [`ShardedMap::len`] are weakly consistent. A value that was inserted is never
//! changed in place: it is replaced by another one.
//!
//! # Progress
//!
//! Every operation is lock-free, gets included, and gets write no shared memory. Growing moves no entry, only pointers to
//! them, fifty or so with an insert of a new key. What is in proportion to the table is the allocation of zeroes, and when all
//! have moved, a look at what the old lines went on to.
//!
//! # Memory
//!
//! Per entry, its key and value in an allocation of their own (in cache lines of its own if it fills two to eight of them
//! exactly), and 14 to 28 bytes of slots, half as much again until all have moved, and an eighth more of either with
//! a filter; 192 bytes for each shard of an empty map.
//! What is removed can be freed when every thread that was pinned then has unpinned, and is by one of the operations that
//! follow, or by [`Pinned::flush`]. As a rule each of them drops about as many values as it removes; the last few hundred that
//! a thread removed may wait until it does something on any map again, or ends. Of blocks up to 520 bytes each thread keeps
//! 512 of a size for its next entries. The table does not shrink.
//!
//! # Panics
//!
//! If the hashes of hundreds of thousands of keys agree in so many bits that one line has to hold them all, an insert panics,
//! and leaves the map as it was. A panic in the user's `Hash`, `Eq`, `Borrow`, `BuildHasher` or closure leaves the map as it was before
//! the call, one in the `Clone` of what is returned as it is after it. A panic in the `Drop` of what was in the map reaches
//! nobody, as it is dropped by whoever happens to collect: the panic hook tells of it, and nothing else is lost.
//!
//! A thread that dies, at whatever point, leaves nothing half done. Only one that leaks a [`Pinned`]
//! ([`forget`](std::mem::forget)) does harm: nothing that any structure of the process removes from then on is freed.

use crate::contain::contained;
use crate::hash::{RandomState, random_state};
use crate::raw::epoch::{self, Guard};
use crate::raw::node::{Node, Owned};
use crate::raw::table::{Place, Table};
use crate::sync::MODEL;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// Shards of a map unless told otherwise: enough that two writers seldom count in the same one.
pub(crate) const SHARDS: usize = if MODEL { 4 } else { 16 };

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
    table: Table<K, V, S>,
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
        Self { table: Table::new(shards, false, hasher) }
    }

    /// As [`with_shards_and_hasher`](Self::with_shards_and_hasher), for a map that is asked mostly for what it does not have,
    /// as a deny list is.
    ///
    /// A Bloom filter for each three or four entries, of eight bytes, is asked before any of them, and most gets of an
    /// absent key end there: nine of ten, or a few less where entries come and go. What was removed is forgotten when others
    /// are inserted. Gets of keys that are there, and inserts, cost a little more; removals and computations do not ask
    /// the filter. It needs tagged pointers: but on x86-64 and AArch64, Android aside, the map has none.
    ///
    /// Sixteen shards are as many as [`with_hasher`](Self::with_hasher) makes.
    ///
    /// ```
    /// use tollgate::hash::RandomState;
    /// use tollgate::map::ShardedMap;
    ///
    /// let denied = ShardedMap::with_filter(16, RandomState::new());
    /// denied.insert("mallory", "stolen key");
    /// assert!(!denied.contains_key("alice") && denied.contains_key("mallory"));
    /// ```
    #[must_use]
    pub fn with_filter(shards: usize, hasher: S) -> Self {
        Self { table: Table::new(shards, true, hasher) }
    }

    /// Pins this thread, for operations that borrow. Lock-free: now and then a pin, or its end, frees what was removed.
    ///
    /// The result is not `Send`, so it cannot be held across an `.await` of a task that moves between threads; held
    /// for long, it delays reclamation for everybody.
    #[inline]
    pub fn pin(&self) -> Pinned<'_, K, V, S> {
        Pinned { map: self, guard: epoch::pin() }
    }

    /// The value of `key`. Lock-free, expected O(1); writes no shared memory.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.pin().get(key).cloned()
    }

    /// Whether `key` is there. Lock-free, expected O(1); writes no shared memory.
    #[inline]
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

    /// The number of entries, exact when nothing moves. O(n): it counts them, so that no operation has to.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pin().iter().count() as u64
    }

    /// Whether there are no entries. O(n) if there are few where there were many.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pin().iter().next().is_none()
    }
}

/// A [`ShardedMap`] with this thread pinned: results are borrows that live as long as this.
pub struct Pinned<'m, K, V, S = RandomState> {
    map: &'m ShardedMap<K, V, S>,
    guard: Guard,
}

/// What [`Pinned::look`] saw.
pub(crate) struct Look<'p, K, V> {
    hash: u64,
    node: Option<&'p Node<K, V>>,
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
    /// Linearized at the load that finds the entry alive; for an absent key, at a moment of the lookup at which it was
    /// absent.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// The first half of a [`get`](Self::get), for who has something to do before the other half: what that reads is on its
    /// way to the cache meanwhile.
    #[inline]
    pub(crate) fn look(&self, key: &K) -> Look<'_, K, V> {
        let hash = self.map.table.hash(key);
        Look { hash, node: self.map.table.fetch_entry(hash, &self.guard) }
    }

    /// Begins to fetch the entry of the next key, whose line should be there by now, and the line of a later one.
    pub(crate) fn fetch(&self, [next, later]: [Option<&K>; 2]) {
        if let Some(later) = later {
            self.map.table.fetch_line(self.map.table.hash(later), &self.guard);
        }
        if let Some(next) = next {
            self.look(next);
        }
    }

    /// The other half, of the same key.
    #[inline]
    pub(crate) fn get_seen<'p>(&'p self, look: Look<'p, K, V>, key: &K) -> Option<&'p V> {
        let node = self.map.table.get_seen(look.node?, look.hash, &self.guard, |k, _| k == key)?;
        Some(&node.value)
    }

    /// As [`get`](Self::get), with the key as stored.
    #[inline]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.map.table.hash(key);
        let node = self.map.table.get(hash, &self.guard, |k, _| k.borrow() == key)?;
        Some((&node.key, &node.value))
    }

    /// Inserts or replaces, and returns what was replaced. Lock-free, expected O(1).
    ///
    /// Linearized at the exchange that links the new entry; readers never find the key absent in between.
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        let hash = self.map.table.hash(&key);
        let table = &self.map.table;
        let mut node = Owned::new(key, value);
        loop {
            let (found, done) = match table.seek(hash, &self.guard, |k, _| *k == node.key) {
                Place::Found(found) => (Some(&found.node().value), found.replace(node, &self.guard)),
                Place::Vacant(vacant) => (None, vacant.insert(node, &self.guard)),
            };
            match done {
                Ok(_) => return found,
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
        let hash = self.map.table.hash(&key);
        let table = &self.map.table;
        let mut node = Owned::new(key, value);
        loop {
            let vacant = match table.seek(hash, &self.guard, |k, _| *k == node.key) {
                Place::Vacant(vacant) => vacant,
                Place::Found(found) => {
                    let (key, value) = node.into_parts();
                    return Err(Exists { current: &found.node().value, key, value });
                }
            };
            match vacant.insert(node, &self.guard) {
                Ok(node) => return Ok(&node.value),
                Err(again) => node = again,
            }
        }
    }

    /// Removes `key` and returns its value. Lock-free, expected O(1). Linearized at the exchange that frees its slot.
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
        let hash = self.map.table.hash(key);
        loop {
            let found = self.map.table.find(hash, &self.guard, |k, _| k.borrow() == key)?;
            let value = &found.node().value;
            if !condition(value) {
                return None;
            }
            if found.remove(&self.guard) {
                return Some(value);
            }
        }
    }

    /// Decides on the value of `key` by a closure, atomically. Lock-free, expected O(1).
    ///
    /// The closure may be called again when another thread interferes; what counts is its last decision, which was
    /// made on the value that [`Computed::before`] shows.
    pub fn compute(&self, key: K, mut decide: impl FnMut(Option<&V>) -> Step<V>) -> Computed<'_, V> {
        let hash = self.map.table.hash(&key);
        let table = &self.map.table;
        let mut key = key;
        loop {
            let place = table.seek(hash, &self.guard, |k, _| *k == key);
            let before = place.node().map(|node| &node.value);
            let done = match (decide(before), place) {
                (Step::Keep, _) | (Step::Remove, Place::Vacant(_)) => return Computed { before, after: before },
                (Step::Remove, Place::Found(found)) => {
                    if found.remove(&self.guard) {
                        // It is done, and the caller is to know.
                        contained(|| drop(key));
                        return Computed { before, after: None };
                    }
                    continue;
                }
                (Step::Put(value), Place::Vacant(vacant)) => vacant.insert(Owned::new(key, value), &self.guard),
                (Step::Put(value), Place::Found(found)) => found.replace(Owned::new(key, value), &self.guard),
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
        f.debug_struct("ShardedMap").finish_non_exhaustive()
    }
}

impl<K, V, S> fmt::Debug for Pinned<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("map", self.map).finish()
    }
}
