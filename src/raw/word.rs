//! What the slots of a [line](super::line) hold, and its turn: each is one word, so that it changes as a whole.

use std::ptr;

const FROZEN: usize = 1;
const FREE: usize = 2;
const CHAIN: usize = 4;
/// With `FROZEN`: an entry that goes to the upper half of the table after.
const UPPER: usize = FREE | CHAIN;
const KIND: usize = FREE | CHAIN;
const FLAGS: usize = FROZEN | KIND;

/// Where pointers leave their upper 16 bits to us; elsewhere, every entry of a line is compared by its key. (On Android
/// the allocator uses them, on other architectures the kernel may.)
const TAGGED: bool = cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(target_os = "android")));
#[cfg(not(target_pointer_width = "64"))]
compile_error!("tollgate needs 64-bit pointers: slots carry stamps of their size");

pub(super) const TAG: usize = if TAGGED { 0xffff << TAG_SHIFT } else { 0 };
const TAG_SHIFT: u32 = 48;

/// What a slot holds.
pub(super) struct Word<N>(pub(super) *mut N);

impl<N> Clone for Word<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Word<N> {}

impl<N> PartialEq for Word<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// The bits of a hash that a slot holds: others than those that choose the shard or, in any table that fits in memory,
/// the line. Never 0, which is what slots without an entry have there.
#[inline]
pub(super) fn tag_of(hash: u64) -> usize {
    let tag = (hash << 16) as usize & TAG;
    if TAGGED && tag == 0 { 1 << TAG_SHIFT } else { tag }
}

impl<N> Word<N> {
    pub(super) fn free(stamp: u64) -> Self {
        debug_assert!(stamp >> Turn::VERSION_BITS == 0);
        const { assert!(Turn::VERSION_BITS + FLAGS.count_ones() <= TAG_SHIFT) };
        Self(ptr::without_provenance_mut(((stamp as usize) << FLAGS.count_ones()) | FREE))
    }

    pub(super) fn entry(node: *mut N, tag: usize) -> Self {
        const { assert!(align_of::<N>() > FLAGS) };
        Self(checked(node).map_addr(|address| address | tag))
    }

    pub(super) fn chain<L>(line: *mut L) -> Self {
        const { assert!(align_of::<L>() > FLAGS) };
        Self(checked(line).cast::<N>().map_addr(|address| address | CHAIN))
    }

    fn kind(self) -> usize {
        self.0.addr() & KIND
    }

    pub(super) fn is_set(self) -> bool {
        !self.0.is_null()
    }

    pub(super) fn is_entry(self) -> bool {
        self.is_set() && matches!(self.kind(), 0 | UPPER)
    }

    pub(super) fn is_free(self) -> bool {
        self.kind() == FREE
    }

    pub(super) fn is_frozen(self) -> bool {
        self.0.addr() & FROZEN != 0
    }

    /// Whether a frozen entry goes to the upper half of the table after.
    pub(super) fn goes_up(self) -> bool {
        self.kind() == UPPER
    }

    /// The stamp of a free slot that is not frozen.
    pub(super) fn stamp(self) -> Option<u64> {
        (self.0.addr() & FLAGS == FREE).then(|| (self.0.addr() >> FLAGS.count_ones()) as u64)
    }

    /// Whether this is an entry with this tag.
    #[inline]
    pub(super) fn matches(self, tag: usize) -> bool {
        debug_assert!(self.is_set(), "a line is read only when it is settled");
        if TAGGED { (self.0.addr() ^ tag) >> TAG_SHIFT == 0 } else { self.is_entry() }
    }

    /// The node of an entry.
    pub(super) fn node(self) -> *mut N {
        debug_assert!(self.is_entry());
        self.0.map_addr(|address| address & !(TAG | FLAGS))
    }

    /// What a full line goes on to.
    pub(super) fn next<L>(self) -> Option<*mut L> {
        (self.kind() == CHAIN).then(|| self.0.map_addr(|address| address & !FLAGS).cast())
    }

    pub(super) fn frozen(self) -> Self {
        Self(self.0.map_addr(|address| address | FROZEN))
    }

    /// As [`frozen`](Self::frozen), for an entry that goes to the upper half of the table after.
    pub(super) fn frozen_upwards(self) -> Self {
        Self(self.0.map_addr(|address| address | FROZEN | UPPER))
    }

    /// An entry as it was before it was frozen.
    pub(super) fn thawed(self) -> Self {
        debug_assert!(self.is_entry());
        Self(self.0.map_addr(|address| address & !FLAGS))
    }
}

/// The pointer, which leaves room for a tag: invariant 4.
fn checked<T>(pointer: *mut T) -> *mut T {
    assert!(pointer.addr() & TAG == 0, "the allocator hands out addresses of more than 48 bits");
    pointer
}

/// A version and the index of a slot, in one word. Versions last for 2^44 inserts into one line, from one growth of its
/// shard to the next: half a year of a million a second, all with the same bits of their hash.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Turn(pub(super) u64);

impl Turn {
    const INDEX_BITS: u32 = 20;
    const VERSION_BITS: u32 = u64::BITS - Self::INDEX_BITS;
    /// The index of no slot.
    pub(super) const NONE: usize = (1 << Self::INDEX_BITS) - 1;
    /// Slots of a line, with those that it goes on to, are fewer. Soon reached in unit tests.
    pub(super) const MOST: usize = if cfg!(test) { 1 << 12 } else { Self::NONE };
    pub(super) const UNSETTLED: Self = Self(0);
    /// The entries have moved to the table after.
    pub(super) const MOVED: Self = Self(u64::MAX);

    pub(super) fn new(version: u64, index: usize) -> Self {
        debug_assert!(index <= Self::NONE);
        Self(version << Self::INDEX_BITS | index as u64)
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize & Self::NONE
    }

    pub(super) fn version(self) -> u64 {
        self.0 >> Self::INDEX_BITS
    }

    pub(super) fn pass_to(self, index: usize) -> Self {
        Self::new(self.version() + 1, index)
    }
}
