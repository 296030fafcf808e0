//! What is asked of every contender: computed from the operation's number, so that it costs no memory traffic.

use crossbeam_utils::CachePadded;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key of 16 bytes; no two pairs of space and number share one.
#[must_use]
pub fn key(space: u64, number: u64) -> u128 {
    // Odd, and so a bijection.
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    ((u128::from(space) << 64) | u128::from(number)).wrapping_mul(SPREAD)
}

/// The bits that decide about a thread's operation.
#[must_use]
pub fn bits(thread: usize, operation: u64) -> u64 {
    // SplitMix64.
    let mut bits = (((thread as u64) << 48) + operation).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The uniform choice that `bits` make below `bound`.
#[must_use]
pub fn below(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// The uniform choice of a thread's operation below `bound`.
#[must_use]
pub fn pick(thread: usize, operation: u64, bound: u64) -> u64 {
    below(bits(thread, operation), bound)
}

/// Runs operations in batches of `size` and adds up the results.
pub fn in_batches(operations: Range<u64>, size: u64, mut work: impl FnMut(Range<u64>) -> u64) -> u64 {
    let Range { mut start, end } = operations;
    let mut sum = 0u64;
    while start < end {
        let stop = end.min(start.saturating_add(size));
        sum = sum.wrapping_add(work(start..stop));
        start = stop;
    }
    sum
}

/// Runs operations one by one and adds up the results.
pub fn each(operations: Range<u64>, work: impl FnMut(u64) -> u64) -> u64 {
    operations.map(work).fold(0, u64::wrapping_add)
}

/// How many operations each thread has done, so that the next run carries on there.
#[derive(Debug)]
pub struct Cursors(Box<[CachePadded<AtomicU64>]>);

impl Cursors {
    /// Nothing done yet.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| CachePadded::default()).collect())
    }

    /// The numbers of the thread's next `operations`. Each thread has its own, so that a load and a store will do.
    #[must_use]
    pub fn take(&self, thread: usize, operations: u64) -> Range<u64> {
        let start = self.0[thread].load(Ordering::Relaxed);
        self.0[thread].store(start + operations, Ordering::Relaxed);
        start..start + operations
    }
}
