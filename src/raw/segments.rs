//! The bucket array: sentinels in segments that double in size and never move.
//!
//! Segment 0 holds the first buckets, each later one as many as all before it. A segment appears on first use, by one
//! compare-exchange; it comes zeroed from the allocator, which hands out large zeroed blocks without touching them, so
//! no operation does work in proportion to the table.

use super::epoch;
use super::list::Header;
use crate::sync::{AtomicPtr, MODEL, Ordering};
use std::ptr;

/// Buckets of segment 0, as a power of two.
pub(super) const FIRST: u32 = if MODEL { 0 } else { 4 };
/// A directory that reaches 2^31 buckets; a table that outgrows it gets longer runs.
const SEGMENTS: usize = if MODEL { 4 } else { 28 };

/// See the module.
pub(super) struct Segments([AtomicPtr<Header>; SEGMENTS]);

/// Where bucket `index` is: its segment, its place in it, and that segment's length.
fn locate(index: u64) -> (usize, usize, usize) {
    if index >> FIRST == 0 {
        return (0, index as usize, 1 << FIRST);
    }
    let log = index.ilog2();
    ((log - FIRST + 1) as usize, (index - (1 << log)) as usize, 1 << log)
}

impl Segments {
    /// More buckets than this cannot be addressed.
    pub(super) const MAX_BUCKETS: u64 = 1 << (FIRST + SEGMENTS as u32 - 1);

    /// The first segment, its bucket 0 not linked yet.
    pub(super) fn new() -> Self {
        let this = Self(std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())));
        this.bucket(0);
        this
    }

    /// The sentinel of bucket `index`, which may be unborn.
    pub(super) fn bucket(&self, index: u64) -> *mut Header {
        let (segment, place, len) = locate(index);
        // Acquire: pairs with the Release in `allocate`; the segment's zeroes are seen through it.
        let mut base = self.0[segment].load(Ordering::Acquire);
        if base.is_null() {
            base = self.allocate(segment, len);
        }
        // SAFETY: `place < len`, the length that the segment was allocated with.
        unsafe { base.add(place) }
    }

    /// The sentinel of bucket `index` if its segment exists.
    pub(super) fn existing(&self, index: u64) -> Option<&Header> {
        let (segment, place, _) = locate(index);
        // Acquire: as in `bucket`.
        let base = self.0[segment].load(Ordering::Acquire);
        if base.is_null() {
            return None;
        }
        // SAFETY: `place` is less than the length that the segment was allocated with.
        let at = unsafe { base.add(place) };
        // SAFETY: segments live as long as their table (invariant 5), and a zeroed header is valid.
        Some(unsafe { epoch::deref(at) })
    }

    #[cold]
    fn allocate(&self, segment: usize, len: usize) -> *mut Header {
        let fresh = Box::into_raw(unborn(len)).cast::<Header>();
        // Release: publishes the zeroes. Acquire on failure: the winner's.
        match self.0[segment].compare_exchange(ptr::null_mut(), fresh, Ordering::Release, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(winner) => {
                // SAFETY: never published (invariant 6), made just above with this length.
                drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(fresh, len)) });
                winner
            }
        }
    }
}

/// `len` unborn sentinels.
fn unborn(len: usize) -> Box<[Header]> {
    if MODEL {
        return (0..len).map(|_| Header::new(0)).collect();
    }
    const { assert!(MODEL || (size_of::<Header>() == 16 && align_of::<Header>() == align_of::<u64>())) };
    let zeroes = Box::into_raw(vec![[0_u64; 2]; len].into_boxed_slice());
    // SAFETY: size and alignment agree, and a zeroed header is an unborn sentinel.
    unsafe { Box::from_raw(zeroes as *mut [Header]) }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for (segment, base) in self.0.iter().enumerate() {
            // Relaxed: `&mut self`, nobody else is left.
            let base = base.load(Ordering::Relaxed);
            if !base.is_null() {
                let len = if segment == 0 { 1 << FIRST } else { 1 << (FIRST as usize + segment - 1) };
                // SAFETY: allocated with this length, and access is exclusive (invariant 6).
                drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(base, len)) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_has_one_place() {
        let mut seen = std::collections::HashSet::new();
        for index in 0..5_000 {
            let (segment, place, len) = locate(index);
            assert!(place < len && segment < SEGMENTS);
            assert!(seen.insert((segment, place)));
        }
        assert_eq!(locate(Segments::MAX_BUCKETS - 1).0, SEGMENTS - 1);
    }
}
