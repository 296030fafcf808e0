//! Which sequence numbers are alive: a trie of bits that are only ever set.
//!
//! Numbers are handed out upwards and each dies once. A leaf has a *dead* bit and a cell for each of its numbers; an
//! inner node has a dead bit and a link for each child. Setting a number's bit is the claim to its death (its
//! linearization point): one thread wins it. Whoever sets a node's last bit sets the parent's bit for it, and whoever
//! sets that one unlinks and retires the node. The lowest number that is not dead is found by walking down along the
//! lowest clear bits, whatever was removed in between: holes cost a bit each, and no time.
//!
//! The root grows a level when numbers outgrow it; the old root becomes child 0 of the new one.
//!
//! # Cells
//!
//! | cell | meaning |
//! |---|---|
//! | 0 | the number was handed out, its entry is not published yet |
//! | a hash (`PUBLISHED`) | the entry is in the index under this hash: whoever evicts it takes it out |
//! | `SEALED` | to be evicted before it was published: the inserter takes it out, and tells of it |
//!
//! Publishing and sealing are compare-exchanges from 0, so exactly one side is to take the entry out, and it goes within
//! that one's call, unless a removal took it before.
//!
//! # Ordering pairs
//!
//! - P3 publish (Release) with seal (Acquire) on a cell: the evictor finds the entry in the index.
//! - P4 a node's bits (Release) with the walk (Acquire): a child is unlinked only after its bit is seen set.
//!
//! The models that break without them: `docs/mutations.md`.
//!
//! Memory: 8.4 bytes a number while its leaf lives; a leaf lives while one of its numbers does, so at worst 64 cells
//! for one live number. All operations are lock-free and take at most eleven steps down.

use super::epoch::{self, Guard};
use super::link::{Link, Tagged};
use crate::sync::{AtomicU64, MODEL, Ordering};
use std::ptr;

/// Bits of a number that one level decides.
const BITS: u32 = if MODEL { 2 } else { 6 };
const FAN: usize = 1 << BITS;
/// All dead bits of a node.
const FULL: u64 = if FAN == 64 { u64::MAX } else { (1 << FAN) - 1 };
/// Levels that 64-bit numbers can need.
const LEVELS: usize = 64_u32.div_ceil(BITS) as usize;

/// The child is finished and retired.
const GONE: usize = 1;

const EMPTY: u64 = 0;
// A bit of the hash that the table has no use for: it chooses neither shard nor line, and is not in the tag.
const PUBLISHED: u64 = 1 << 48;
const SEALED: u64 = 1;

/// The hash as a cell can hold it.
pub(crate) fn cell_hash(hash: u64) -> u64 {
    hash | PUBLISHED
}

/// What leaves and inner nodes have in common.
#[repr(C, align(8))]
struct Head {
    dead: AtomicU64,
}

#[repr(C, align(8))]
struct Leaf {
    head: Head,
    cells: [AtomicU64; FAN],
}

#[repr(C, align(8))]
struct Inner {
    head: Head,
    /// Leaves are at level 0; an inner node at level 1 or above.
    level: u32,
    kids: [Link<Head>; FAN],
}

/// See the module.
pub(crate) struct Order {
    root: Link<Head>,
}

/// The place of a number that was not dead when it was looked up: its leaf.
pub(crate) struct Place<'g> {
    order: &'g Order,
    leaf: &'g Leaf,
    number: u64,
}

fn digit(number: u64, level: u32) -> usize {
    (number.checked_shr(level * BITS).unwrap_or(0) as usize) & (FAN - 1)
}

fn new_inner(level: u32) -> Inner {
    Inner { head: Head { dead: AtomicU64::new(0) }, level, kids: std::array::from_fn(|_| Link::null()) }
}

fn new_child(level: u32) -> *mut Head {
    if level == 0 {
        let cells = std::array::from_fn(|_| AtomicU64::new(EMPTY));
        epoch::alloc(Leaf { head: Head { dead: AtomicU64::new(0) }, cells }).cast()
    } else {
        epoch::alloc(new_inner(level)).cast()
    }
}

/// Frees a node of `level` that was never published, or of which the caller is the only owner.
///
/// # Safety
///
/// Invariant 6.
unsafe fn dealloc_child(child: *mut Head, level: u32) {
    if level == 0 {
        // SAFETY: level 0 is a leaf.
        unsafe { epoch::dealloc(child.cast::<Leaf>()) }
    } else {
        // SAFETY: other levels are inner nodes.
        unsafe { epoch::dealloc(child.cast::<Inner>()) }
    }
}

/// An inner node, from a link to it.
///
/// # Safety
///
/// `node` is protected for `'g` and not a leaf.
unsafe fn inner<'g>(node: *mut Head) -> &'g Inner {
    // SAFETY: the caller's promise.
    unsafe { epoch::deref(node.cast::<Inner>()) }
}

/// Sets `bit`; true if the caller was first, and whether that was the last bit.
fn set_dead(head: &Head, bit: usize) -> (bool, bool) {
    // AcqRel: P4, and whoever sets the last bit has seen all the others' doings.
    let before = head.dead.fetch_or(1 << bit, Ordering::AcqRel);
    (before & (1 << bit) == 0, before | (1 << bit) == FULL)
}

/// Marks child `at` of `parent` as dead. True if that finished the parent.
fn finish(parent: &Inner, at: usize, guard: &Guard) -> bool {
    let (first, last) = set_dead(&parent.head, at);
    if first {
        let child = parent.kids[at].load();
        if !child.is_null() {
            let unlinked = parent.kids[at].compare_exchange(child, Tagged::new(ptr::null_mut(), GONE));
            debug_assert!(unlinked, "a link changes from unborn to child to gone, and the last step is ours");
            if parent.level == 1 {
                // SAFETY: unlinked by us alone (invariant 3); children of level 1 are leaves.
                unsafe { guard.retire(child.ptr().cast::<Leaf>()) }
            } else {
                // SAFETY: unlinked by us alone (invariant 3); children of other levels are inner nodes.
                unsafe { guard.retire(child.ptr().cast::<Inner>()) }
            }
        }
    }
    first && last
}

impl Place<'_> {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    #[inline]
    fn cell(&self) -> &AtomicU64 {
        &self.leaf.cells[digit(self.number, 0)]
    }

    /// Says that the number's entry is in the index under `hash`. False if it was sealed before: its inserter, who calls
    /// this, takes it out again.
    #[inline]
    pub(crate) fn publish(&self, hash: u64) -> bool {
        debug_assert_eq!(hash, cell_hash(hash));
        // Release: P3. Relaxed on failure: there is nothing to read behind the cell.
        self.cell().compare_exchange(EMPTY, hash, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// The hash under which the entry is in the index, if it is published.
    #[inline]
    pub(crate) fn published(&self) -> Option<u64> {
        // Acquire: P3.
        let cell = self.cell().load(Ordering::Acquire);
        (cell & PUBLISHED != 0).then_some(cell)
    }

    /// As [`published`](Self::published), for the number that is so many after this one, if that is its neighbour.
    #[inline]
    pub(crate) fn published_after(&self, ahead: usize) -> Option<u64> {
        let cell = self.leaf.cells.get(digit(self.number, 0) + ahead)?;
        // Relaxed: good for a hint.
        Some(cell.load(Ordering::Relaxed)).filter(|cell| cell & PUBLISHED != 0)
    }

    /// As [`published`](Self::published), and if it is not, it will not be any more.
    #[inline]
    pub(crate) fn seal(&self) -> Option<u64> {
        self.published().or_else(|| {
            // Relaxed: the inserter learns nothing from it but to take its entry out. Acquire on failure: P3.
            let sealed = self.cell().compare_exchange(EMPTY, SEALED, Ordering::Relaxed, Ordering::Acquire);
            sealed.err().filter(|&cell| cell != SEALED)
        })
    }

    /// Kills the number. True for one caller.
    #[inline]
    pub(crate) fn claim(&self, guard: &Guard) -> bool {
        let (first, full) = set_dead(&self.leaf.head, digit(self.number, 0));
        if first && full {
            self.order.finish_above(self.number, guard);
        }
        first
    }
}

impl Order {
    pub(crate) fn new() -> Self {
        let root = Link::null();
        root.set(Tagged::new(epoch::alloc(new_inner(1)).cast(), 0));
        Self { root }
    }

    /// The root, grown until it covers `number`.
    #[inline]
    fn root<'g>(&self, number: u64, _guard: &'g Guard) -> &'g Inner {
        loop {
            let root = self.root.load();
            // SAFETY: the root is an inner node, reachable under the guard, and freed only with the trie (it has no
            // parent that could unlink it; as a child it is protected by invariant 1).
            let node: &Inner = unsafe { inner(root.ptr()) };
            if number.checked_shr((node.level + 1) * BITS).unwrap_or(0) == 0 {
                return node;
            }
            let above = new_inner(node.level + 1);
            above.kids[0].set(root);
            let above = epoch::alloc(above).cast::<Head>();
            if !self.root.compare_exchange(root, Tagged::new(above, 0)) {
                // SAFETY: never published (invariant 6); inner nodes do not own their children when freed.
                unsafe { dealloc_child(above, node.level + 1) }
            }
        }
    }

    /// The leaf of `number` is full: finishes it, and what that finishes above it. Who finds it gone stops: another
    /// thread has finished it, and whoever looks for the first number helps with the rest.
    #[cold]
    fn finish_above(&self, number: u64, guard: &Guard) {
        let mut steps = [None; LEVELS];
        let mut node = self.root(number, guard);
        loop {
            let at = digit(number, node.level);
            steps[node.level as usize - 1] = Some((node, at));
            let child = node.kids[at].load();
            if child.is_null() {
                return;
            }
            if node.level == 1 {
                break;
            }
            // SAFETY: loaded under the guard from a reachable node (invariant 1); not a leaf.
            node = unsafe { inner(child.ptr()) };
        }
        for (parent, at) in steps.into_iter().flatten() {
            if !finish(parent, at, guard) {
                return;
            }
        }
    }

    /// The place of `number`; none if it and all its neighbours are dead.
    #[inline]
    pub(crate) fn place<'g>(&'g self, number: u64, guard: &'g Guard) -> Option<Place<'g>> {
        let mut node = self.root(number, guard);
        loop {
            let at = digit(number, node.level);
            let mut child = node.kids[at].load();
            if child.is_null() && !child.has(GONE) {
                let fresh = new_child(node.level - 1);
                if node.kids[at].compare_exchange(child, Tagged::new(fresh, 0)) {
                    child = Tagged::new(fresh, 0);
                } else {
                    // SAFETY: never published (invariant 6).
                    unsafe { dealloc_child(fresh, node.level - 1) }
                    child = node.kids[at].load();
                }
            }
            if child.has(GONE) {
                return None;
            }
            if node.level == 1 {
                // SAFETY: loaded under the guard from a reachable node (invariant 1); level 1 has leaves below it.
                return Some(Place { order: self, leaf: unsafe { epoch::deref(child.ptr().cast()) }, number });
            }
            // SAFETY: loaded under the guard from a reachable node (invariant 1); not a leaf.
            node = unsafe { inner(child.ptr()) };
        }
    }

    /// Kills `number`, once.
    #[cfg(test)]
    fn claim(&self, number: u64, guard: &Guard) -> bool {
        self.place(number, guard).is_some_and(|place| place.claim(guard))
    }

    /// The lowest number that is not dead, whether it was handed out or not.
    pub(crate) fn first(&self, guard: &Guard) -> u64 {
        self.first_place(guard).0
    }

    /// As [`first`](Self::first), with its place if that exists.
    #[inline]
    pub(crate) fn first_place<'g>(&'g self, guard: &'g Guard) -> (u64, Option<Place<'g>>) {
        'restart: loop {
            let mut node = self.root(0, guard);
            let mut number = 0;
            loop {
                // Acquire: P4.
                let at = node.head.dead.load(Ordering::Acquire).trailing_ones() as usize;
                if at >= FAN {
                    // Only a root is met full: a child's finisher goes on to its parent, and we help below.
                    self.root(1_u64.checked_shl((node.level + 1) * BITS).unwrap_or(u64::MAX), guard);
                    continue 'restart;
                }
                number |= (at as u64) << (node.level * BITS);
                let child = node.kids[at].load();
                if child.has(GONE) {
                    continue 'restart;
                }
                if child.is_null() {
                    return (number, None);
                }
                // SAFETY: loaded under the guard from a reachable node (invariant 1).
                let head: &Head = unsafe { epoch::deref(child.ptr()) };
                // Acquire: P4.
                let dead = head.dead.load(Ordering::Acquire);
                if dead == FULL {
                    // Its finisher is on the way up, or it was a root when it was finished.
                    finish(node, at, guard);
                    continue 'restart;
                }
                if node.level == 1 {
                    number |= u64::from(dead.trailing_ones());
                    // SAFETY: as above; level 1 has leaves below it.
                    let leaf = unsafe { epoch::deref(child.ptr().cast()) };
                    return (number, Some(Place { order: self, leaf, number }));
                }
                // SAFETY: as above, and not a leaf.
                node = unsafe { inner(child.ptr()) };
            }
        }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        fn free(node: *mut Head, level: u32) {
            if level > 0 {
                // SAFETY: linked, hence not freed yet, and not a leaf.
                let this: &Inner = unsafe { inner(node) };
                for kid in &this.kids {
                    let kid = kid.load();
                    if !kid.is_null() {
                        free(kid.ptr(), level - 1);
                    }
                }
            }
            // SAFETY: linked nodes are not retired (invariant 3), and access is exclusive (invariant 6).
            unsafe { dealloc_child(node, level) }
        }
        let root = self.root.load().ptr();
        // SAFETY: the root is an inner node, alive until here.
        let level = unsafe { inner(root) }.level;
        free(root, level);
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_live_number_skips_every_hole() {
        let order = Order::new();
        let guard = epoch::pin();
        for number in (0..10_000).rev() {
            if number % 4_097 != 5 {
                assert!(order.claim(number, &guard));
            }
        }
        for expected in [5, 4_102, 8_199, 10_000] {
            assert_eq!(order.first(&guard), expected);
            order.claim(expected, &guard);
        }
        assert_eq!(order.first(&guard), 10_001);
    }

    #[test]
    fn a_number_is_published_or_sealed_and_claimed_once() {
        let order = Order::new();
        let guard = epoch::pin();
        let (three, four, hash) = (order.place(3, &guard).unwrap(), order.place(4, &guard).unwrap(), cell_hash(77));
        assert!(three.publish(hash));
        assert_eq!((three.published(), three.seal()), (Some(hash), Some(hash)), "the evictor takes it out");
        assert_eq!((four.published(), four.seal(), four.seal()), (None, None, None));
        assert!(!four.publish(hash), "the inserter takes it out");
        assert_eq!(four.published(), None);
        assert!(order.claim(3, &guard) && !order.claim(3, &guard));
    }

    #[test]
    fn what_is_ahead_is_known_as_far_as_the_leaf_goes() {
        let order = Order::new();
        let guard = epoch::pin();
        let hash = cell_hash(77);
        for number in [3, FAN as u64] {
            assert!(order.place(number, &guard).unwrap().publish(hash));
        }
        assert_eq!(
            [1, 2, 4].map(|ahead| order.place(1, &guard).unwrap().published_after(ahead)),
            [None, Some(hash), None]
        );
        assert_eq!(order.place(FAN as u64 - 1, &guard).unwrap().published_after(1), None);
    }

    #[test]
    fn finished_subtrees_are_freed_and_their_numbers_stay_dead() {
        let order = Order::new();
        let guard = epoch::pin();
        for number in 0..(1 << 13) {
            order.claim(number, &guard);
        }
        assert!(!order.claim(17, &guard));
        assert!(order.place(17, &guard).is_none());
        assert_eq!(order.first(&guard), 1 << 13);
    }
}
