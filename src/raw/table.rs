//! A sharded hash table of [lines](super::line) that grows without stopping anybody.
//!
//! Each shard is an array of lines; the low bits of the hash choose the line, the top ones the shard. A lookup is one read
//! of a line and one of the entry. A table of lines that have [filters](super::filter) asks those first.
//!
//! # Growth
//!
//! A shard grows when an insert finds its line full and the lines around it well filled, or many of them full before; a line
//! that is full alone goes on elsewhere. It doubles: a new array of zeroes, *unsettled* lines, becomes the shard's, with the
//! old one behind it. Line `b` then splits into `b` and `b + old length`, which get entries from nowhere else:
//!
//! 1. every slot of the old line is frozen, in whatever state it is;
//! 2. the two new lines, and their filters, are filled with its entries, each slot from 0 by compare-exchange. What goes
//!    where follows from the frozen line alone, so all helpers write the same, and a late one finds no zero to write to;
//! 3. the old line is said to have moved, then the new ones are settled, and open to writers.
//!
//! A writer settles the line that it comes to, and an insert a few more. A reader that meets an unsettled line writes
//! nothing: it reads the old one, or, if that has moved, the new one, which is filled then. What it finds in the old one
//! was true when it met the unsettled line, or later. When all lines have moved, the old array is retired.
//!
//! No step waits for another thread, and none but the allocation of zeroes does work in proportion to the table.

use super::cache;
use super::epoch::{self, Guard};
use super::filter::Filter;
use super::line::{Frozen, Line, Open, Spot, Taken};
use super::lines::Lines;
use super::node::{Node, Owned};
use super::word::{TAGGED, Word, tag_of};
use crate::sync::{AtomicPtr, MODEL, Ordering};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::ptr;

/// Lines that an insert moves besides its own while a shard grows: so many that it is soon over, as the last insert may have
/// come, and what is read of lines that have not moved is read the long way.
const STEPS: usize = if MODEL { 1 } else { 8 };
/// Lines of a shard at most: the bits of the hash that choose one.
const MAX_LINES: usize = 1 << 31;

/// The highest bits of the hash, of which some choose the shard.
const SHARD_BITS: u32 = 12;

/// See the module.
pub(crate) struct Table<K, V, S> {
    /// Read by every operation and written when a shard grows: not padded.
    shards: Box<[AtomicPtr<Lines<K, V>>]>,
    /// One less than there are shards, a power of two.
    mask: usize,
    hasher: S,
    /// Invariant: a table that is seen as one of a subtype could be given what it does not hold.
    _entries: Owns<(K, V)>,
}

/// Owns a `T` and is invariant in it.
type Owns<T> = PhantomData<(T, fn(T) -> T)>;

// SAFETY: a table owns its entries and gives out shared references to them from any thread.
unsafe impl<K: Send + Sync, V: Send + Sync, S: Send> Send for Table<K, V, S> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync, S: Sync> Sync for Table<K, V, S> {}

/// A live entry, where it is in the table.
pub(crate) struct Found<'g, K, V>(Taken<'g, Node<K, V>>);

/// A live entry, or the place for one.
pub(crate) enum Place<'g, K, V> {
    Found(Found<'g, K, V>),
    Vacant(Vacant<'g, K, V>),
}

/// The place for an entry that is not there.
pub(crate) struct Vacant<'g, K, V> {
    open: Open<'g, Node<K, V>>,
    filter: Option<&'g Filter>,
    hash: u64,
}

impl<K, V, S> Table<K, V, S> {
    /// `shards` is rounded up to a power of two. With filters, lookups of what is not there are cheap, and others cost more.
    pub(crate) fn new(shards: usize, is_filtered: bool, hasher: S) -> Self {
        // A filter of entries that have no tags would exclude nothing.
        let is_filtered = is_filtered && TAGGED;
        let count = shards.clamp(1, 1 << SHARD_BITS).next_power_of_two();
        let shard = || AtomicPtr::new(epoch::alloc(Lines::empty(1, is_filtered)));
        let shards = (0..count).map(|_| shard()).collect();
        Self { shards, mask: count - 1, hasher, _entries: PhantomData }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &AtomicPtr<Lines<K, V>> {
        let at = (hash >> (u64::BITS - SHARD_BITS)) as usize & self.mask;
        // SAFETY: the mask is less than the number of shards.
        unsafe { self.shards.get_unchecked(at) }
    }

    #[inline]
    fn lines<'g>(&self, shard: &AtomicPtr<Lines<K, V>>, _guard: &'g Guard) -> &'g Lines<K, V> {
        // Acquire: P10.
        // SAFETY: never null, and loaded under the guard (invariant 1).
        unsafe { epoch::deref(shard.load(Ordering::Acquire)) }
    }

    /// The live entry with this hash for which `is` holds. Writes nothing.
    #[inline]
    pub(crate) fn get<'g>(
        &'g self,
        hash: u64,
        guard: &'g Guard,
        is: impl Fn(&K, &V) -> bool,
    ) -> Option<&'g Node<K, V>> {
        let lines = self.lines(self.shard(hash), guard);
        if lines.filter(hash).is_some_and(|filter| filter.excludes(tag_of(hash))) {
            return None;
        }
        let line = lines.line(hash);
        if !line.is_settled() {
            return self.get_among_alike(hash, guard, is);
        }
        // SAFETY: the entries of a settled line of the shard's are protected (invariant 1).
        let seen = unsafe { line.look(tag_of(hash), guard) }?;
        self.get_seen(seen, hash, guard, is)
    }

    /// As [`get`](Self::get), of what [`fetch_entry`](Self::fetch_entry) saw.
    #[inline]
    pub(crate) fn get_seen<'g>(
        &'g self,
        seen: &'g Node<K, V>,
        hash: u64,
        guard: &'g Guard,
        is: impl Fn(&K, &V) -> bool,
    ) -> Option<&'g Node<K, V>> {
        if is(&seen.key, &seen.value) { Some(seen) } else { self.get_among_alike(hash, guard, is) }
    }

    #[cold]
    fn get_among_alike<'g>(
        &'g self,
        hash: u64,
        guard: &'g Guard,
        is: impl Fn(&K, &V) -> bool,
    ) -> Option<&'g Node<K, V>> {
        // SAFETY: the entries of a line to read are protected.
        unsafe { self.line_to_read(hash, guard).get(tag_of(hash), guard, |node| is(&node.key, &node.value)) }
    }

    /// A live entry whose hash agrees as far as it is stored: as a rule, the only one. If there is none, no entry has this
    /// hash.
    #[inline]
    fn look<'g>(&'g self, hash: u64, guard: &'g Guard) -> Option<&'g Node<K, V>> {
        // SAFETY: the entries of a line to read are protected.
        unsafe { self.line_to_read(hash, guard).look(tag_of(hash), guard) }
    }

    /// Begins to fetch the line of this hash into the cache.
    #[inline]
    pub(crate) fn fetch_line(&self, hash: u64, guard: &Guard) {
        if !MODEL {
            cache::fetch(self.lines(self.shard(hash), guard).line(hash));
        }
    }

    /// Begins to fetch the entry that [`get`](Self::get) is to judge first, and waits for its line alone. None if no entry has
    /// this hash.
    #[inline]
    pub(crate) fn fetch_entry<'g>(&'g self, hash: u64, guard: &'g Guard) -> Option<&'g Node<K, V>> {
        self.look(hash, guard).inspect(|node| cache::fetch(*node))
    }

    /// The line in which a lookup finds the entries of this hash, which `guard` protects: of the shard's lines (invariant
    /// 1), or of those before, which had not moved under this guard (invariant 2).
    #[inline]
    fn line_to_read<'g>(&'g self, hash: u64, guard: &'g Guard) -> &'g Line<Node<K, V>> {
        let lines = self.lines(self.shard(hash), guard);
        let line = lines.line(hash);
        if line.is_settled() { line } else { Self::behind(lines, hash, guard) }
    }

    /// The line to read in place of one that is not settled.
    #[cold]
    fn behind<'g>(lines: &'g Lines<K, V>, hash: u64, guard: &'g Guard) -> &'g Line<Node<K, V>> {
        let old = lines.prev(guard).map(|prev| prev.line(hash));
        old.filter(|old| !old.has_moved()).unwrap_or_else(|| lines.line(hash))
    }
}

impl<K: Hash, V, S: BuildHasher> Table<K, V, S> {
    /// The hash of a key, as all operations want it.
    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The settled line of this hash, and the lines that it is of.
    #[inline]
    fn settled<'g>(&'g self, hash: u64, guard: &'g Guard) -> (&'g Lines<K, V>, &'g Line<Node<K, V>>) {
        let lines = self.lines(self.shard(hash), guard);
        let line = lines.line(hash);
        if !line.is_settled() {
            self.settle(lines, hash, guard);
        }
        (lines, line)
    }

    /// The live entry with this hash for which `is` holds, to be replaced or removed.
    #[inline]
    pub(crate) fn find<'g>(
        &'g self,
        hash: u64,
        guard: &'g Guard,
        is: impl Fn(&K, &V) -> bool,
    ) -> Option<Found<'g, K, V>> {
        loop {
            let (_, line) = self.settled(hash, guard);
            // SAFETY: of the shard's lines (invariant 1), and settled.
            let found = unsafe { line.find(tag_of(hash), guard, |node| is(&node.key, &node.value)) };
            if let Ok(found) = found {
                return found.map(Found);
            }
        }
    }

    /// The live entry with this hash for which `is` holds, or where it is to be inserted.
    pub(crate) fn seek<'g>(&'g self, hash: u64, guard: &'g Guard, is: impl Fn(&K, &V) -> bool) -> Place<'g, K, V> {
        loop {
            let (lines, line) = self.settled(hash, guard);
            let filter = lines.filter(hash);
            if let Some(filter) = filter {
                // Needed soon, if an insert follows.
                cache::fetch(filter);
            }
            // SAFETY: of the shard's lines (invariant 1), and settled.
            match unsafe { line.seek(tag_of(hash), guard, |node| is(&node.key, &node.value)) } {
                Ok(Spot::Taken(taken)) => return Place::Found(Found(taken)),
                Ok(Spot::Open(open)) => {
                    self.help(lines, guard);
                    return Place::Vacant(Vacant { open, filter, hash });
                }
                Ok(Spot::Full(last, word)) => {
                    if lines.prev(guard).is_some() || !lines.well_filled(hash) || !self.grow(lines, hash) {
                        Line::extend(last, word);
                    }
                }
                Err(Frozen) => {}
            }
        }
    }

    /// Doubles the lines of the shard. False if there are as many as there can be.
    fn grow(&self, lines: &Lines<K, V>, hash: u64) -> bool {
        if lines.len == MAX_LINES {
            return false;
        }
        // The pointer that is there, not one made from `lines`: it is to free them one day. Relaxed: they were loaded before.
        let old = self.shard(hash).load(Ordering::Relaxed);
        if !ptr::eq(old, lines) {
            return true;
        }
        let new = epoch::alloc(Lines::unsettled(lines.len * 2, lines.is_filtered(), old));
        // Release: P10. On failure, another thread has grown it.
        if self.shard(hash).compare_exchange(old, new, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: never published (invariant 6).
            unsafe { epoch::dealloc(new) }
        }
        true
    }

    /// Moves the old line that `hash` is of into its two lines of `lines`.
    #[cold]
    fn settle(&self, lines: &Lines<K, V>, hash: u64, guard: &Guard) {
        // Without lines before, all are settled.
        let Some(prev) = lines.prev(guard) else { return };
        let at = hash & (prev.len as u64 - 1);
        let bit = prev.len as u64;
        let (old, low, high) = (prev.line(at), lines.line(at), lines.line(at | bit));
        if !old.has_moved() {
            let goes_up = |node: &Node<K, V>| self.hash(&node.key) & bit != 0;
            // SAFETY: not moved under this guard, so the new lines were not open to removals before it (invariant 1).
            let entries = unsafe { old.freeze(guard, goes_up) };
            let half = |upper| entries.iter().filter(move |word| word.goes_up() == upper).map(|word| word.thawed());
            for (hash, upper) in [(at, false), (at | bit, true)] {
                if let Some(filter) = lines.filter(hash) {
                    filter.open(half(upper).map(Word::tag));
                }
            }
            low.fill(half(false));
            high.fill(half(true));
            old.set_moved();
        }
        low.settle();
        high.settle();
    }

    /// Moves a few lines, if the shard is growing; drops the old lines when all have moved.
    fn help(&self, lines: &Lines<K, V>, guard: &Guard) {
        for _ in 0..STEPS {
            let Some(prev) = lines.prev(guard) else { return };
            // Acquire: P11. The lines below have moved.
            let at = lines.moved.load(Ordering::Acquire);
            if at < prev.len as u64 {
                self.settle(lines, at, guard);
                // Release: P11. The line has moved. Relaxed on failure: another thread moved it.
                let _ = lines.moved.compare_exchange(at, at + 1, Ordering::AcqRel, Ordering::Relaxed);
                continue;
            }
            let prev = ptr::from_ref(prev).cast_mut();
            // Release: P12. All lines are settled. The pointer that was there may free them; one made from a reference may not.
            if let Ok(old) = lines.prev.compare_exchange(prev, ptr::null_mut(), Ordering::Release, Ordering::Relaxed) {
                // SAFETY: unlinked by us alone (invariant 3).
                unsafe { guard.retire_large(old) };
            }
        }
    }

    /// Walks over all entries, line by line; each line as it is at one instant.
    pub(crate) fn iter<'g>(&'g self, guard: &'g Guard) -> impl Iterator<Item = &'g Node<K, V>> {
        let lines = self.shards.iter().flat_map(move |shard| {
            let lines = self.lines(shard, guard);
            (0..lines.len as u64).map(move |at| (lines, at))
        });
        lines.flat_map(move |(lines, at)| {
            let line = lines.line(at);
            if !line.is_settled() {
                self.settle(lines, at, guard);
            }
            // SAFETY: of lines that were the shard's under this guard, so were their entries (invariants 1 and 2).
            line.snapshot(guard).into_iter().map(|word| unsafe { epoch::deref(word.node()) })
        })
    }
}

impl<'g, K, V> Place<'g, K, V> {
    /// The live entry, if there is one.
    pub(crate) fn node(&self) -> Option<&'g Node<K, V>> {
        if let Self::Found(found) = self { Some(found.node()) } else { None }
    }
}

impl<'g, K, V> Found<'g, K, V> {
    pub(crate) fn node(&self) -> &'g Node<K, V> {
        // SAFETY: found under the guard (invariant 1).
        unsafe { epoch::deref(self.0.node()) }
    }

    /// Puts `node`, of the same key, in its place; gives it back if what was found is not there any more.
    pub(crate) fn replace(self, node: Owned<K, V>, guard: &'g Guard) -> Result<&'g Node<K, V>, Owned<K, V>> {
        if !self.0.replace(node.0) {
            return Err(node);
        }
        let node = node.publish();
        // SAFETY: unlinked by us alone (invariant 3).
        unsafe { guard.retire(self.0.node()) };
        // SAFETY: published under the guard (invariant 1).
        Ok(unsafe { epoch::deref(node) })
    }

    /// Removes it. False if it is not there any more.
    pub(crate) fn remove(self, guard: &Guard) -> bool {
        let removed = self.0.remove();
        if removed {
            // SAFETY: unlinked by us alone (invariant 3).
            unsafe { guard.retire(self.0.node()) };
        }
        removed
    }
}

impl<'g, K, V> Vacant<'g, K, V> {
    /// Inserts `node`; gives it back if anything else was inserted there first.
    pub(crate) fn insert(self, node: Owned<K, V>, guard: &'g Guard) -> Result<&'g Node<K, V>, Owned<K, V>> {
        if !self.open.insert(node.0, tag_of(self.hash), self.filter, guard) {
            return Err(node);
        }
        // SAFETY: published under the guard (invariant 1).
        Ok(unsafe { epoch::deref(node.publish()) })
    }
}

impl<K, V, S> Drop for Table<K, V, S> {
    fn drop(&mut self) {
        let guard = epoch::pin();
        for shard in &self.shards {
            let lines = self.lines(shard, &guard);
            // An old line that has not moved has its entries, whatever the new ones hold.
            let prev = lines.prev(&guard);
            let here = lines
                .all()
                .iter()
                .enumerate()
                .filter(|(at, _)| prev.is_none_or(|prev| prev.line(*at as u64).has_moved()));
            let before = prev.into_iter().flat_map(Lines::all).filter(|line| !line.has_moved());
            for word in here.map(|(_, line)| line).chain(before).flat_map(|line| line.words(&guard)) {
                // SAFETY: linked, hence not retired (invariant 3), in this line alone; access is exclusive (invariant 6).
                unsafe { epoch::dealloc(word.node()) }
            }
            // Relaxed: access is exclusive. The pointers that are there may free them; those made from references may not.
            for lines in [lines.prev.load(Ordering::Relaxed), shard.load(Ordering::Relaxed)] {
                if !lines.is_null() {
                    // SAFETY: linked, hence not retired (invariant 3), and access is exclusive (invariant 6).
                    unsafe { epoch::dealloc(lines) }
                }
            }
        }
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;
    use crate::raw::line::SLOTS;
    use crate::raw::lines::SAMPLES;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Hashes a number to itself.
    #[derive(Clone, Default)]
    struct Same(u64);

    impl BuildHasher for Same {
        type Hasher = Self;

        fn build_hasher(&self) -> Self {
            Self(0)
        }
    }

    impl std::hash::Hasher for Same {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, _: &[u8]) {
            unreachable!("keys are numbers")
        }

        fn write_u64(&mut self, key: u64) {
            self.0 = key;
        }
    }

    fn insert(table: &Table<u64, u64, Same>, key: u64, guard: &Guard) {
        let Place::Vacant(vacant) = table.seek(key, guard, |&other, _| other == key) else { panic!("{key} is there") };
        assert!(vacant.insert(Owned::new(key, key), guard).is_ok());
    }

    #[test]
    fn a_table_grows_with_its_entries_and_keeps_each() {
        let (table, guard) = (Table::new(1, false, Same(0)), epoch::pin());
        for key in 0..10_000 {
            insert(&table, key, &guard);
            assert!((0..=key).rev().take(50).all(|key| table.get(key, &guard, |&other, _| other == key).is_some()));
        }
        let mut keys: Vec<_> = table.iter(&guard).map(|node| node.key).collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..10_000));
        assert!((10_000..40_000).contains(&(table.lines(&table.shards[0], &guard).len * SLOTS)));
    }

    #[test]
    fn a_line_that_can_take_no_more_says_so_before_it_takes_an_entry() {
        let (table, guard, mut inserted) = (Table::new(1, false, Same(0)), epoch::pin(), 0);
        let fill = AssertUnwindSafe(|| {
            for key in 0.. {
                insert(&table, key << 32, &guard);
                inserted = key + 1;
            }
        });
        assert!(catch_unwind(fill).is_err());
        assert!(table.iter(&guard).map(|node| node.key >> 32).eq(0..inserted));
    }

    #[test]
    fn one_line_that_is_full_does_not_grow_the_table() {
        let (table, guard) = (Table::new(1, false, Same(0)), epoch::pin());
        // The same line at any size that these would ask for.
        let keys = || (0..1_000).map(|i: u64| i << 20);
        keys().for_each(|key| insert(&table, key, &guard));
        assert!(table.lines(&table.shards[0], &guard).len <= 4 * SAMPLES[0]);
        for key in keys() {
            let found = table.find(key, &guard, |&other, _| other == key).expect("inserted above");
            assert!(found.remove(&guard));
        }
        assert_eq!(table.iter(&guard).count(), 0);
    }

    #[test]
    fn entries_that_come_and_go_do_not_grow_the_table() {
        let (table, guard) = (Table::new(1, false, Same(0)), epoch::pin());
        for key in 0..100_000 {
            insert(&table, key, &guard);
            if let Some(old) = key.checked_sub(100) {
                let found = table.find(old, &guard, |&other, _| other == old).expect("inserted before");
                assert!(found.remove(&guard));
            }
        }
        assert!(table.lines(&table.shards[0], &guard).len <= 64, "too many lines for 100 entries");
    }

    /// A number like no other, at random as far as a table can tell.
    fn scattered(number: u64) -> u64 {
        let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number ^ (number >> 27)
    }

    /// Of keys that are not there, those that the filters exclude, in a hundred.
    fn excluded(table: &Table<u64, u64, Same>, guard: &Guard) -> usize {
        let absent = (1 << 40..).map(scattered).take(10_000);
        let lines = table.lines(&table.shards[0], guard);
        absent.filter(|&key| lines.filter(key).is_some_and(|filter| filter.excludes(tag_of(key)))).count() / 100
    }

    #[test]
    fn filters_exclude_most_of_what_is_not_there_and_nothing_that_is() {
        const LIVE: u64 = 10_000;
        let (table, guard) = (Table::new(1, true, Same(0)), epoch::pin());
        assert_eq!(table.lines(&table.shards[0], &guard).is_filtered(), TAGGED);
        let there = |key: u64| table.get(key, &guard, |&other, _| other == key).is_some();
        for number in 0..LIVE {
            insert(&table, scattered(number), &guard);
            assert!((0..=number).rev().take(50).map(scattered).all(there));
        }
        let filled = excluded(&table, &guard);
        for number in LIVE..10 * LIVE {
            let old = scattered(number - LIVE);
            assert!(table.find(old, &guard, |&other, _| other == old).is_some_and(|found| found.remove(&guard)));
            assert!(!there(old));
            insert(&table, scattered(number), &guard);
            assert!((number + 1 - LIVE..=number).rev().take(50).map(scattered).all(there));
        }
        assert!((9 * LIVE..10 * LIVE).map(scattered).all(there));
        let exchanged = excluded(&table, &guard);
        assert!(!TAGGED || filled >= 85 && exchanged >= 75, "{filled} % at first, {exchanged} % later");
        assert_eq!(excluded(&Table::new(1, false, Same(0)), &guard), 0, "a table without filters has some");
    }

    #[test]
    fn lines_do_not_all_go_on_to_another_when_entries_come_and_go() {
        const LIVE: u64 = 9_000;
        let (table, guard) = (Table::new(1, false, Same(0)), epoch::pin());
        for number in 0..20 * LIVE {
            insert(&table, scattered(number), &guard);
            if let Some(old) = number.checked_sub(LIVE).map(scattered) {
                let found = table.find(old, &guard, |&other, _| other == old).expect("inserted before");
                assert!(found.remove(&guard));
            }
        }
        let all = table.lines(&table.shards[0], &guard).all();
        let chained = all.iter().filter(|line| line.is_chained()).count();
        assert!(chained * 2 < all.len(), "{chained} of {}", all.len());
        assert!(all.len() <= 8_192, "{} lines for {LIVE} entries", all.len());
    }
}
