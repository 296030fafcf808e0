//! A sharded split-ordered hash table (Shalev and Shavit, JACM 2006).
//!
//! Each shard is one [list](super::list) ordered by bit-reversed hash, and a growing array of sentinels into it. When
//! the array doubles, nothing moves: the new buckets' sentinels are linked one by one, by the writers that come to
//! them and one more by every insert.
//!
//! # Operations
//!
//! Callers bring the hash and an equality, and decide by the list's [`Cursor`]. A reader whose bucket is not ready
//! starts from an older one and writes nothing; a writer links the bucket first, or, if another thread is at it, does
//! as readers do. Growth is decided by one compare-exchange of `mask`; it has no other effect on correctness.
//!
//! The top bits of the hash choose the shard, the low bits the bucket.

use super::epoch::Guard;
use super::link::Tagged;
use super::list::{self, CLAIMED, Cursor, Header, Iter, Node, Owned, READY};
use super::segments::{FIRST, Segments};
use crate::sync::{AtomicU64, Counter, MODEL, Ordering};
use crossbeam_utils::CachePadded;
use std::marker::PhantomData;

/// Entries per bucket at which a shard grows. Models that are not about growth stay below it.
const LOAD: i64 = if MODEL { 3 } else { 1 };

/// See the module.
pub(crate) struct Table<K, V> {
    shards: Box<[CachePadded<Shard>]>,
    /// How far the hash is shifted to leave the shard's number.
    shift: u32,
    /// Invariant: a table that is seen as one of a subtype could be given what it does not hold.
    _entries: Owns<(K, V)>,
}

/// Owns a `T` and is invariant in it.
type Owns<T> = PhantomData<(T, fn(T) -> T)>;

struct Shard {
    segments: Segments,
    /// Number of buckets, less one.
    mask: AtomicU64,
    len: Counter,
}

/// The place of a hash in the list: bit-reversed, and odd, as nodes are.
fn order_of(hash: u64) -> u64 {
    hash.reverse_bits() | 1
}

impl Shard {
    fn new() -> Self {
        let segments = Segments::new();
        if let Some(first) = segments.existing(0) {
            first.next.set(Tagged::new(std::ptr::null_mut(), READY));
        }
        Self { segments, mask: AtomicU64::new((1 << FIRST) - 1), len: Counter::default() }
    }

    fn bucket_of(&self, hash: u64) -> u64 {
        // Relaxed: any mask that ever was leads to a bucket from which the hash can be reached.
        hash & self.mask.load(Ordering::Relaxed)
    }

    /// The nearest ready sentinel at or before bucket `index`, and its `next`. Writes nothing.
    fn nearest(&self, mut index: u64) -> (&Header, Tagged<Header>) {
        loop {
            if let Some(header) = self.segments.existing(index) {
                let next = header.next.load();
                if next.has(READY) {
                    return (header, next);
                }
            }
            assert!(index != 0, "bucket 0 is ready from the start");
            // The bucket that this one was split from.
            index &= !(1 << index.ilog2());
        }
    }

    /// A ready sentinel to seek from; links the bucket's own if nobody is at it.
    fn start<K, V>(&self, index: u64, guard: &Guard) -> &Header {
        let bucket = self.segments.bucket(index);
        // SAFETY: sentinels live as long as their table (invariant 5).
        let header: &Header = unsafe { super::epoch::deref(bucket) };
        if header.next.load().has(READY) {
            return header;
        }
        if header.next.compare_exchange(Tagged::NULL, Tagged::new(std::ptr::null_mut(), CLAIMED)) {
            header.set_order(index.reverse_bits());
            list::link_sentinel::<K, V>(bucket, self.nearest(index).0, guard);
            return header;
        }
        self.nearest(index).0
    }

    /// Counts an insert; grows when there are more entries than buckets.
    fn inserted<K, V>(&self, guard: &Guard) {
        let len = self.len.up();
        let mask = self.mask.load(Ordering::Relaxed);
        if len as i64 > LOAD * (mask as i64 + 1) && mask + 1 < Segments::MAX_BUCKETS {
            // Relaxed: a mask publishes nothing; segments are published by themselves.
            let _ = self.mask.compare_exchange(mask, mask * 2 + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        // While the array fills from one power of two to the next, this meets each new bucket once, so that readers,
        // who link nothing, do not start from old buckets for long.
        self.start::<K, V>(len.wrapping_sub(1) & mask, guard);
    }
}

impl<K, V> Table<K, V> {
    /// `shards` is rounded up to a power of two.
    pub(crate) fn new(shards: usize) -> Self {
        let count = shards.clamp(1, 1 << 12).next_power_of_two();
        Self {
            shards: (0..count).map(|_| CachePadded::new(Shard::new())).collect(),
            shift: u64::BITS - count.ilog2(),
            _entries: PhantomData,
        }
    }

    fn shard(&self, hash: u64) -> &Shard {
        // A shift by all 64 bits leaves nothing: one shard.
        &self.shards[hash.checked_shr(self.shift).unwrap_or(0) as usize]
    }

    /// The live entry with this hash for which `is` holds. Writes nothing.
    pub(crate) fn get<'g>(&self, hash: u64, guard: &'g Guard, is: impl Fn(&K, &V) -> bool) -> Option<&'g Node<K, V>> {
        let shard = self.shard(hash);
        let (_, first) = shard.nearest(shard.bucket_of(hash));
        list::find(first, order_of(hash), guard, &is)
    }

    /// The place of the live entry with this hash for which `is` holds, or where it would be inserted.
    pub(crate) fn seek<'g>(&'g self, hash: u64, guard: &'g Guard, is: impl Fn(&K, &V) -> bool) -> Cursor<'g, K, V> {
        let shard = self.shard(hash);
        let start = shard.start::<K, V>(shard.bucket_of(hash), guard);
        list::seek(start, order_of(hash), guard, &is)
    }

    /// A node for this hash, not in the table yet.
    pub(crate) fn node(&self, hash: u64, key: K, value: V) -> Owned<K, V> {
        Owned::new(order_of(hash), key, value)
    }

    /// Inserts `node` at `place`, which found nothing.
    pub(crate) fn insert<'g>(
        &self,
        hash: u64,
        place: Cursor<'g, K, V>,
        node: Owned<K, V>,
        guard: &'g Guard,
    ) -> Result<&'g Node<K, V>, Owned<K, V>> {
        let node = place.insert(node)?;
        self.shard(hash).inserted::<K, V>(guard);
        Ok(node)
    }

    /// Removes what `place` found; false if it died first.
    pub(crate) fn remove(&self, hash: u64, place: Cursor<'_, K, V>) -> bool {
        let removed = place.remove();
        if removed {
            self.shard(hash).len.down();
        }
        removed
    }

    /// The number of entries, exact when nothing moves.
    pub(crate) fn len(&self) -> u64 {
        // A remover may count before the inserter whose node it removed: the sum can be below zero for a moment.
        let counts = self.shards.iter().map(|shard| shard.len.get() as i64);
        counts.sum::<i64>().max(0) as u64
    }

    /// Walks over all entries, shard by shard, weakly consistent.
    pub(crate) fn iter<'g>(&'g self, guard: &'g Guard) -> impl Iterator<Item = &'g Node<K, V>> + use<'g, K, V> {
        self.shards.iter().flat_map(move |shard| Iter::new(shard.nearest(0).0, guard))
    }
}

impl<K, V> Drop for Table<K, V> {
    fn drop(&mut self) {
        for shard in &self.shards {
            // SAFETY: `&mut self` (invariant 6), and the table holds no other nodes.
            unsafe { list::free::<K, V>(shard.nearest(0).0) };
        }
    }
}
