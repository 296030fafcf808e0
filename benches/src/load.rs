//! What is asked of every contender: computed from the operation's number, so that it costs no memory traffic.

use std::ops::Range;

/// A key of 16 bytes; no two pairs of thread and number share one.
#[must_use]
pub fn key(thread: u64, number: u64) -> u128 {
    // Odd, and so a bijection.
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    ((u128::from(thread) << 64) | u128::from(number)).wrapping_mul(SPREAD)
}

/// The uniform choice of a thread's operation: below `bound`.
#[must_use]
pub fn pick(thread: u64, operation: u64, bound: u64) -> u64 {
    // SplitMix64.
    let mut bits = ((thread << 48) + operation).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// Runs operations in batches of `size` and adds up the results.
pub fn in_batches(operations: Range<u64>, size: u64, mut work: impl FnMut(Range<u64>) -> u64) -> u64 {
    let Range { mut start, end } = operations;
    let mut sum = 0u64;
    while start < end {
        let stop = end.min(start + size);
        sum = sum.wrapping_add(work(start..stop));
        start = stop;
    }
    sum
}

/// Runs operations one by one and adds up the results.
pub fn each(operations: Range<u64>, work: impl FnMut(u64) -> u64) -> u64 {
    operations.map(work).fold(0, u64::wrapping_add)
}
