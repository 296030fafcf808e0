//! Hints to the processor's cache: what is read soon is fetched while something else is done.
//!
//! An exchange, a fence and most clocks wait for whatever was read before them. Nothing waits for a hint.

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
/// Lines of a value that are fetched at most: what is larger is not read as a whole.
const MOST: usize = 3;

/// Begins to fetch what is at an address, if anything is.
#[inline]
pub(super) fn fetch<T>(at: *const T) {
    // Elsewhere there is no such hint in stable Rust.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in 0..size_of::<T>().div_ceil(LINE).min(MOST) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint reads nothing, and may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(line * LINE)) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (at, LINE, MOST);
}
