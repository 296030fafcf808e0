//! What the slots of a [line](super::line) hold, and its turn: each is one word, so that it changes as a whole.

use std::ptr;

/// Where pointers leave their upper 16 bits to us, an entry's word has a tag below the pointer; elsewhere, every entry of a
/// line is compared by its key. (On Android the allocator uses them, on other architectures the kernel may.)
pub(super) const TAGGED: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(target_os = "android")));
#[cfg(not(target_pointer_width = "64"))]
compile_error!("tollgate needs 64-bit pointers: slots carry stamps of their size");

/// Bits of a tag: the lowest ones, which are compared without taking the word apart.
const TAG_BITS: u32 = if TAGGED { u16::BITS } else { 0 };
const TAG: usize = (1 << TAG_BITS) - 1;

const FROZEN: usize = 1 << TAG_BITS;
const FREE: usize = 2 << TAG_BITS;
const CHAIN: usize = 4 << TAG_BITS;
/// With `FROZEN`: an entry that goes to the upper half of the table after.
const UPPER: usize = FREE | CHAIN;
const KIND: usize = FREE | CHAIN;
const FLAGS: usize = FROZEN | KIND;
/// Bits below a stamp.
const BELOW: u32 = TAG_BITS + FLAGS.count_ones();

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
/// the line. The lowest one is set, as slots without an entry have 0 there.
#[inline]
pub(super) fn tag_of(hash: u64) -> usize {
    if TAGGED { (hash >> 32) as usize & TAG | 1 } else { 0 }
}

impl<N> Word<N> {
    pub(super) fn free(stamp: u64) -> Self {
        debug_assert!(stamp >> Turn::VERSION_BITS == 0);
        const { assert!(Turn::VERSION_BITS + BELOW <= u64::BITS) };
        Self(ptr::without_provenance_mut((stamp as usize) << BELOW | FREE))
    }

    pub(super) fn entry(node: *mut N, tag: usize) -> Self {
        Self(place(node).map_addr(|bits| bits | tag))
    }

    pub(super) fn chain<L>(line: *mut L) -> Self {
        Self(place(line).cast::<N>().map_addr(|bits| bits | CHAIN))
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
        (self.0.addr() & FLAGS == FREE).then(|| (self.0.addr() >> BELOW) as u64)
    }

    /// Whether this is an entry with this tag.
    #[inline]
    pub(super) fn matches(self, tag: usize) -> bool {
        debug_assert!(self.is_set(), "a line is read only when it is settled");
        // As so many bits, not masked: of seven such comparisons, compilers make a selection without a branch.
        if TAGGED { self.0.addr() as u16 == tag as u16 } else { self.is_entry() }
    }

    /// The tag of an entry.
    pub(super) fn tag(self) -> usize {
        self.0.addr() & TAG
    }

    /// The node of an entry.
    pub(super) fn node(self) -> *mut N {
        debug_assert!(self.is_entry());
        self.pointer()
    }

    #[inline]
    fn pointer(self) -> *mut N {
        self.0.map_addr(|bits| (bits & !FLAGS) >> TAG_BITS)
    }

    /// What a full line goes on to.
    pub(super) fn next<L>(self) -> Option<*mut L> {
        (self.kind() == CHAIN).then(|| self.pointer().cast())
    }

    pub(super) fn frozen(self) -> Self {
        Self(self.0.map_addr(|bits| bits | FROZEN))
    }

    /// As [`frozen`](Self::frozen), for an entry that goes to the upper half of the table after.
    pub(super) fn frozen_upwards(self) -> Self {
        Self(self.0.map_addr(|bits| bits | FROZEN | UPPER))
    }

    /// An entry as it was before it was frozen.
    pub(super) fn thawed(self) -> Self {
        debug_assert!(self.is_entry());
        Self(self.0.map_addr(|bits| bits & !FLAGS))
    }
}

/// The pointer where words have it, with its upper bits, which are nothing, gone: invariant 4.
fn place<T>(pointer: *mut T) -> *mut T {
    const { assert!(align_of::<T>() << TAG_BITS > FLAGS) };
    assert!(pointer.addr().leading_zeros() >= TAG_BITS, "the allocator hands out addresses of more than 48 bits");
    pointer.map_addr(|address| address << TAG_BITS)
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

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_whatever_becomes_of_its_word() {
        let mut node = 7_u64;
        let pointer = &raw mut node;
        for hash in [0, 1 << 32, u64::MAX] {
            let tag = tag_of(hash);
            let entry = Word::entry(pointer, tag);
            let frozen = [entry.frozen(), entry.frozen_upwards()];
            for word in [entry, frozen[0], frozen[1], frozen[0].thawed(), frozen[1].thawed()] {
                assert!(word.is_set() && word.is_entry() && !word.is_free() && word.matches(tag));
                assert_eq!((word.node(), word.tag()), (pointer, tag));
                assert!(word.stamp().is_none() && word.next::<u64>().is_none());
            }
            assert!(frozen.map(Word::thawed).into_iter().all(|word| word == entry));
            assert_eq!([entry, frozen[0], frozen[1]].map(Word::is_frozen), [false, true, true]);
            assert_eq!(frozen.map(Word::goes_up), [false, true]);
        }
    }

    #[test]
    fn what_is_no_entry_matches_no_hash() {
        let mut line = 7_u64;
        let stamp = (1 << Turn::VERSION_BITS) - 1;
        let (free, chain) = (Word::<u64>::free(stamp), Word::<u64>::chain(&raw mut line));
        assert_eq!((free.stamp(), chain.next()), (Some(stamp), Some(&raw mut line)));
        for word in [free, free.frozen(), chain, chain.frozen()] {
            assert!(word.is_set() && !word.is_entry() && [0, u64::MAX].iter().all(|&hash| !word.matches(tag_of(hash))));
        }
        assert!(free.frozen().stamp().is_none() && free.frozen().is_free());
        assert_eq!(chain.frozen().next(), Some(&raw mut line));
    }
}
