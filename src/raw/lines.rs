//! The lines of a shard: an array that doubles, by another one that takes its place (`raw::table`).

use super::epoch::{self, Guard};
use super::filter::Filter;
use super::line::{Line, SLOTS};
use super::node::Node;
use crate::sync::{AtomicPtr, AtomicU64, Counter, MODEL, Ordering};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::{iter, ptr};

/// Lines to look at before a shard is said to be well filled: a few, and if those are, so many that it is not by chance.
pub(super) const SAMPLES: [usize; 2] = [16, 256];
/// Entries in a hundred slots at which it is. One line in ten goes on to another one then.
const WELL_FILLED: usize = 64;
/// Lines in a hundred that go on to another one at which it is, too: where entries come and go, sooner or later every line
/// has been full, and what it went on to stays.
const MANY_CHAINS: usize = 25;
/// Of a shard's lines, this share have to be found full between two looks at how well filled they are.
const SHARE: u64 = 64;
const TOO_MANY: &str = "lines that memory can hold";

/// The lines of a shard.
pub(super) struct Lines<K, V> {
    first: *mut Line<Node<K, V>>,
    /// One for each line, or null.
    filters: *mut Filter,
    /// A power of two.
    pub(super) len: usize,
    memory: *mut u8,
    /// The lines before, until all have moved. This array owns none of their entries, and is not their owner.
    pub(super) prev: AtomicPtr<Lines<K, V>>,
    /// Lines of `prev` below this one have moved, and theirs are settled.
    pub(super) moved: AtomicU64,
    /// How often an insert found its line full.
    full: Counter,
}

impl<K, V> Lines<K, V> {
    /// With room to align the first line: zeroes that are aligned would have to be written.
    fn layout(len: usize, is_filtered: bool) -> Layout {
        const { assert!(align_of::<Filter>() <= align_of::<u64>() && align_of::<u64>() <= align_of::<Line<Node<K, V>>>()) };
        let filter = if is_filtered { size_of::<Filter>() } else { 0 };
        let bytes = len.checked_mul(size_of::<Line<Node<K, V>>>() + filter);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(size_of::<Line<Node<K, V>>>())).expect(TOO_MANY);
        Layout::from_size_align(bytes, align_of::<u64>()).expect(TOO_MANY)
    }

    /// Unsettled lines, with filters that exclude nothing if there are to be any.
    pub(super) fn unsettled(len: usize, is_filtered: bool, prev: *mut Self) -> Self {
        let layout = Self::layout(len, is_filtered);
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        let skip = memory.align_offset(align_of::<Line<Node<K, V>>>());
        // SAFETY: there is one line more than is used, so that the first one can be aligned.
        let first = unsafe { memory.add(skip) }.cast::<Line<Node<K, V>>>();
        // SAFETY: behind the lines, within the allocation or at its end.
        let behind = unsafe { first.add(len) }.cast::<Filter>();
        let filters = if is_filtered { behind } else { ptr::null_mut() };
        let (moved, full) = (AtomicU64::new(0), Counter::default());
        let this = Self { first, filters, len, memory, prev: AtomicPtr::new(prev), moved, full };
        // Zeroes are unsettled lines and filters that exclude nothing, but not the model checker's.
        if MODEL {
            for at in 0..len {
                let (line, filter) = this.places(at);
                // SAFETY: aligned, and ours.
                unsafe { line.write(Line::unsettled()) };
                if let Some(filter) = filter {
                    // SAFETY: as above.
                    unsafe { filter.write(Filter::unknown()) };
                }
            }
        }
        this
    }

    /// Where a line and its filter are.
    fn places(&self, at: usize) -> (*mut Line<Node<K, V>>, Option<*mut Filter>) {
        assert!(at < self.len);
        // SAFETY: below `len`.
        let line = unsafe { self.first.add(at) };
        // SAFETY: as above.
        (line, self.is_filtered().then(|| unsafe { self.filters.add(at) }))
    }

    #[inline]
    pub(super) fn is_filtered(&self) -> bool {
        !self.filters.is_null()
    }

    /// Lines without entries.
    pub(super) fn empty(len: usize, is_filtered: bool) -> Self {
        let this = Self::unsettled(len, is_filtered, ptr::null_mut());
        for (at, line) in (0..).zip(this.all()) {
            line.fill(iter::empty());
            if let Some(filter) = this.filter(at) {
                filter.open(iter::empty());
            }
            line.settle();
        }
        this
    }

    pub(super) fn all(&self) -> &[Line<Node<K, V>>] {
        // SAFETY: so many lines were allocated, all of them unsettled lines at least.
        unsafe { std::slice::from_raw_parts(self.first, self.len) }
    }

    #[inline]
    pub(super) fn line(&self, hash: u64) -> &Line<Node<K, V>> {
        let at = hash as usize & (self.len - 1);
        // SAFETY: below `len`, as a power of two's mask says.
        let line = unsafe { self.first.add(at) };
        // SAFETY: allocated with this array, for as long as it lives.
        unsafe { &*line }
    }

    /// What the line of this hash does not have, if filters say so here.
    #[inline]
    pub(super) fn filter(&self, hash: u64) -> Option<&Filter> {
        if !self.is_filtered() {
            return None;
        }
        let at = hash as usize & (self.len - 1);
        // SAFETY: there are `len` filters, and `at` is below that, as a power of two's mask says.
        let filter = unsafe { self.filters.add(at) };
        // SAFETY: allocated with this array, for as long as it lives.
        Some(unsafe { &*filter })
    }

    /// The lines before, if some of them may not have moved.
    pub(super) fn prev<'g>(&self, _guard: &'g Guard) -> Option<&'g Self> {
        // Acquire: P12. Without lines before, all of these are settled.
        let prev = self.prev.load(Ordering::Acquire);
        // SAFETY: loaded under the guard from the lines that it is reachable from (invariant 2).
        (!prev.is_null()).then(|| unsafe { epoch::deref(prev) })
    }

    /// Whether the lines around this one, which was found full, are so full that there should be more.
    pub(super) fn well_filled(&self, hash: u64) -> bool {
        if MODEL {
            // No count, which would only multiply the interleavings: the hash says it, so that a model can have a shard grow
            // from a line that goes on to another one, and from two lines.
            return self.len == 1 && hash & 64 == 0 || self.len == 2 && hash == 32;
        }
        // Not every time: one line in ten is full before they are, and looking costs as much as many inserts.
        if self.full.next() % (self.len as u64 / SHARE).max(1) != 0 {
            return false;
        }
        SAMPLES.into_iter().all(|sample| {
            let sample = self.len.min(sample);
            let lines = || (0..sample as u64).map(|i| self.line(hash ^ i));
            let entries: usize = lines().map(Line::count).sum();
            let chains = lines().filter(|line| line.is_chained()).count();
            entries * 100 >= sample * SLOTS * WELL_FILLED || chains * 100 >= sample * MANY_CHAINS
        })
    }
}

impl<K, V> Drop for Lines<K, V> {
    /// Frees the lines, and no nodes.
    fn drop(&mut self) {
        for at in 0..self.len {
            let (line, filter) = self.places(at);
            // SAFETY: access is exclusive (invariant 6).
            unsafe { line.drop_in_place() };
            if let Some(filter) = filter {
                // SAFETY: as above.
                unsafe { filter.drop_in_place() };
            }
        }
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.memory, Self::layout(self.len, self.is_filtered())) }
    }
}
