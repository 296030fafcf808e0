//! Memory for entries: each thread keeps some of what it frees for what it allocates next.
//!
//! Reclamation may free hundreds of blocks at once, and the next operations allocate as many of the same sizes again. A
//! general allocator keeps a few of a size at hand; the rest goes the long way, with a lock, and comes back cold. Here a
//! block that is freed serves its thread again, and shares memory with nobody: the one that was freed first is the first.
//! So entries that go in the order they came stay in that order in memory, where processors fetch the next one unasked.
//!
//! A thread keeps [`KEPT`] blocks of a size at most, which go back to the allocator when it ends: 128 KiB of blocks of
//! 256 bytes. What is larger than [`LARGEST`], or aligned more strictly than its size's blocks, is not kept.
//!
//! Of those that are kept, a value that fills two cache lines or more has them to itself: no other line is read for it, and
//! none of them is written for others.

use super::cache::LINE;
use crate::contain::contained;
use crate::sync::MODEL;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::mem::needs_drop;
use std::ptr;

/// Blocks of a size that a thread keeps: what one collection finds at most.
const KEPT: usize = 512;
const ALIGN: usize = 16;
/// Sizes are rounded up to this one and a multiple of [`ALIGN`]: common allocators hand out multiples, less a word of their
/// own.
const SMALLEST: usize = 24;
const SIZES: usize = 32;
const LARGEST: usize = size(SIZES - 1);
/// After those of the other sizes come the places of two cache lines, of three, and so on.
const PLACES: usize = SIZES + LARGEST / LINE - 1;
/// Tools that find what is used after it was freed must see it freed.
const KEEPS: bool = !MODEL && !cfg!(tollgate_sanitize);

/// A block that is kept.
struct Spare {
    next: *mut Spare,
}

/// The blocks of one size that a thread keeps, in the order in which they were freed.
struct Spares {
    first: Cell<*mut Spare>,
    /// While there is a first one.
    last: Cell<*mut Spare>,
    count: Cell<usize>,
}

/// What a thread keeps, by size.
struct Shelf([Spares; PLACES]);

thread_local! {
    static SHELF: Shelf = const { Shelf([const { Spares::none() }; PLACES]) };
}

/// The place on a shelf of blocks that have room for a `T`; none if they are not kept.
const fn place<T>() -> Option<usize> {
    let (size, align) = (size_of::<T>(), align_of::<T>());
    if !KEEPS || size == 0 || size > LARGEST {
        None
    } else if size >= 2 * LINE && size % LINE == 0 && align <= LINE {
        Some(SIZES + size / LINE - 2)
    } else if align <= ALIGN {
        Some(size.saturating_sub(SMALLEST).div_ceil(ALIGN))
    } else {
        None
    }
}

/// The layout of the blocks at this place of a shelf.
const fn layout(place: usize) -> Layout {
    let align = if place < SIZES { ALIGN } else { LINE };
    match Layout::from_size_align(size(place), align) {
        Ok(layout) => layout,
        Err(_) => panic!("a small size is a layout's"),
    }
}

const fn size(place: usize) -> usize {
    if place < SIZES { SMALLEST + place * ALIGN } else { (place - SIZES + 2) * LINE }
}

/// Puts a value into a block of its own.
#[inline]
pub(super) fn put<T>(value: T) -> *mut T {
    let Some(place) = (const { place::<T>() }) else { return Box::into_raw(Box::new(value)) };
    let spare = SHELF.try_with(|shelf| shelf.0[place].pop()).unwrap_or(ptr::null_mut());
    let block = if spare.is_null() { fresh(layout(place)) } else { spare.cast() }.cast::<T>();
    // SAFETY: of a `T`'s size and alignment, and ours alone.
    unsafe { block.write(value) };
    block
}

/// Takes a value out of its block, and frees that.
///
/// # Safety
///
/// `block` came from [`put`], nobody else can reach it, and nobody uses it afterwards.
#[inline]
pub(super) unsafe fn take<T>(block: *mut T) -> T {
    let Some(place) = (const { place::<T>() }) else {
        // SAFETY: `put` made it from a box.
        return *unsafe { Box::from_raw(block) };
    };
    // SAFETY: the value was written by `put`, and is not used in the block again.
    let value = unsafe { block.read() };
    // SAFETY: of this place, and no longer used.
    unsafe { give_back(block.cast(), place) }
    value
}

/// Drops a value in its block, and frees that. A panic in the user's `Drop` is contained: this is called by whoever
/// happens to collect, in the middle of any operation, with blocks of others still to come.
///
/// # Safety
///
/// As for [`take`].
#[inline]
pub(super) unsafe fn discard<T>(block: *mut T) {
    let Some(place) = (const { place::<T>() }) else {
        // SAFETY: `put` made it from a box.
        return contained(|| drop(unsafe { Box::from_raw(block) }));
    };
    if needs_drop::<T>() {
        // SAFETY: the value was written by `put`, and is not used again.
        contained(|| unsafe { block.drop_in_place() });
    }
    // SAFETY: of this place, and no longer used.
    unsafe { give_back(block.cast(), place) }
}

/// Keeps a block, or frees it.
///
/// # Safety
///
/// It was allocated with the layout of this place, and is no longer used.
unsafe fn give_back(block: *mut Spare, place: usize) {
    // SAFETY: the caller's promise.
    let is_kept = SHELF.try_with(|shelf| unsafe { shelf.0[place].push(block) });
    if !is_kept.unwrap_or(false) {
        // SAFETY: the caller's promise.
        unsafe { dealloc(block.cast(), layout(place)) }
    }
}

#[cold]
fn fresh(layout: Layout) -> *mut u8 {
    // SAFETY: the layout is not empty.
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    block
}

impl Spares {
    const fn none() -> Self {
        Self { first: Cell::new(ptr::null_mut()), last: Cell::new(ptr::null_mut()), count: Cell::new(0) }
    }

    /// The one that was freed first, or null.
    fn pop(&self) -> *mut Spare {
        let first = self.first.get();
        if !first.is_null() {
            // SAFETY: a block that is kept was written by `push`, and is this thread's alone.
            self.first.set(unsafe { (*first).next });
            self.count.set(self.count.get() - 1);
        }
        first
    }

    /// Keeps a block. False if there are enough.
    ///
    /// # Safety
    ///
    /// The block is of these spares' layout, which has room for a pointer, and is no longer used.
    unsafe fn push(&self, block: *mut Spare) -> bool {
        let count = self.count.get();
        if count == KEPT {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { block.write(Spare { next: ptr::null_mut() }) };
        if self.first.get().is_null() {
            self.first.set(block);
        } else {
            // SAFETY: a block that is kept was written here, and is this thread's alone.
            unsafe { (*self.last.get()).next = block };
        }
        self.last.set(block);
        self.count.set(count + 1);
        true
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for (place, spares) in self.0.iter().enumerate() {
            loop {
                let block = spares.pop();
                if block.is_null() {
                    break;
                }
                // SAFETY: allocated with the layout of these spares, and no longer used.
                unsafe { dealloc(block.cast(), layout(place)) }
            }
        }
    }
}

#[cfg(all(test, not(tollgate_sanitize)))]
mod tests {
    use super::*;
    use crate::raw::backlog::tests::alone;

    fn free<T>(block: *mut T) -> T {
        // SAFETY: the tests take each block once.
        unsafe { take(block) }
    }

    #[test]
    fn blocks_of_a_size_serve_again_in_the_order_in_which_they_were_freed() {
        alone(|| {
            let blocks = [1, 2, 3].map(|number| put([number; 3]));
            assert_eq!(blocks.map(free), [[1_u64; 3], [2; 3], [3; 3]]);
            let other = put([0_u64; 4]);
            assert!(blocks.iter().all(|block| block.addr() != other.addr()), "of another size");
            assert_eq!(put([4_u64; 2]).addr(), blocks[0].addr(), "of the same when rounded up");
            let again = put([5_u64; 3]);
            assert_eq!(again.addr(), blocks[1].addr());
            free(again);
            assert_eq!([put([6_u64; 3]), put([7_u64; 3])].map(<*mut _>::addr), [blocks[2].addr(), blocks[1].addr()]);
            free(put([8_u64; 5]));
            assert!(put([9_u64; 3]).addr() != blocks[0].addr(), "in use");
        });
    }

    #[test]
    fn a_thread_keeps_so_many_of_a_size_and_no_more() {
        alone(|| {
            let blocks: Vec<_> = (0..=KEPT).map(|number| put(number as u64)).collect();
            let values: Vec<_> = blocks.into_iter().map(free).collect();
            assert!(values.into_iter().eq(0..=KEPT as u64));
            SHELF.with(|shelf| assert_eq!(shelf.0[0].count.get(), KEPT));
        });
    }

    #[test]
    fn what_is_large_or_strictly_aligned_or_empty_is_not_kept() {
        #[repr(align(64))]
        #[derive(Debug, PartialEq)]
        struct Aligned(u8);

        alone(|| {
            let (large, aligned, empty) = (put([7_u8; LARGEST + 1]), put(Aligned(8)), put(()));
            assert_eq!(aligned.addr() % 64, 0);
            assert_eq!((free(large), free(aligned)), ([7; LARGEST + 1], Aligned(8)));
            free(empty);
            SHELF.with(|shelf| assert!(shelf.0.iter().all(|spares| spares.count.get() == 0)));
        });
    }

    #[test]
    fn what_fills_cache_lines_has_them_to_itself() {
        #[repr(align(64))]
        struct Aligned([u64; 64]);

        alone(|| {
            let (two, three, eight) = (put([1_u64; 16]), put([2_u64; 24]), put(Aligned([3; 64])));
            assert_eq!([two.addr() % LINE, three.addr() % LINE, eight.addr() % LINE], [0; 3]);
            assert_eq!((free(two), free(three), free(eight).0), ([1; 16], [2; 24], [3; 64]));
            SHELF.with(|shelf| {
                let kept = |place: usize| shelf.0[place].count.get();
                assert_eq!([SIZES, SIZES + 1, PLACES - 1].map(kept), [1; 3]);
                assert_eq!((0..PLACES).map(kept).sum::<usize>(), 3);
            });
            assert_eq!(put([4_u64; 16]).addr(), two.addr());
        });
    }

    #[test]
    fn a_block_may_be_freed_by_another_thread_than_allocated_it() {
        let block = put(String::from("entry")).expose_provenance();
        alone(move || {
            let block = ptr::with_exposed_provenance_mut::<String>(block);
            assert_eq!(free(block), "entry");
        });
    }
}
