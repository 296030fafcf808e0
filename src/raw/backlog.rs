//! Blocks that may be freed, and wait for it: a thread drops the values of as many as it retires.
//!
//! The collector finds hundreds of blocks at once. To free them there and then would have one operation wait for the `Drop`
//! of hundreds of values, and swamp the allocator: what comes back one by one, it hands out again at once; for what comes in
//! bulk it takes its locks (Kim, Brown and Singh, "Are Your Epochs Too Epic? Batch Free Can Be Harmful", PPoPP 2024).

use super::blocks;
use crate::sync::MODEL;
use std::cell::{Cell, RefCell};
use std::mem::needs_drop;

/// Blocks of a thread that wait at most: what the collector finds at once where each operation has a pin of its own.
const MOST: usize = 256;
/// Tools that find what is used after it was freed must see it freed; the model checkers' threads are one.
const WAITS: bool = !MODEL && !cfg!(tollgate_sanitize);

thread_local! {
    static BLOCKS: Blocks = const { Blocks(RefCell::new(Vec::new())) };
    /// How many there are. Every operation asks, and this one needs no destructor.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// A block, and what frees it.
type Waiting = (*mut (), unsafe fn(*mut ()));

struct Blocks(RefCell<Vec<Waiting>>);

/// Frees a block soon; at once if its value has no destructor, or too many wait already.
///
/// # Safety
///
/// As for [`blocks::discard`].
pub(super) unsafe fn add<T>(block: *mut T) {
    let waits = WAITS && needs_drop::<T>() && COUNT.get() < MOST;
    if waits && BLOCKS.try_with(|blocks| blocks.0.borrow_mut().push((block.cast(), discard::<T>))).is_ok() {
        COUNT.set(COUNT.get() + 1);
    } else {
        // SAFETY: the caller's promise.
        unsafe { blocks::discard(block) }
    }
}

/// Whether any blocks of this thread wait.
#[inline]
pub(super) fn is_any() -> bool {
    COUNT.get() > 0
}

/// Frees blocks after an operation that retired so many: as many, but one at least, and one more while many wait.
pub(super) fn work_off(retired: usize) {
    free(retired.max(1) + usize::from(COUNT.get() > MOST / 2));
}

/// Frees so many of this thread's blocks, or all there are.
pub(super) fn free(count: usize) {
    for _ in 0..count {
        let Ok(Some((block, discard))) = BLOCKS.try_with(|blocks| blocks.0.borrow_mut().pop()) else { return };
        COUNT.set(COUNT.get() - 1);
        // SAFETY: what was added is freed once, here or at the thread's end.
        unsafe { discard(block) }
    }
}

/// # Safety
///
/// As for [`blocks::discard`], of a block with a `T`.
unsafe fn discard<T>(block: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { blocks::discard(block.cast::<T>()) }
}

impl Drop for Blocks {
    /// The thread ends. What its last values drop in turn finds no list any more, and does not wait.
    fn drop(&mut self) {
        COUNT.set(0);
        for (block, discard) in self.0.take() {
            // SAFETY: as in `free`.
            unsafe { discard(block) }
        }
    }
}

#[cfg(all(test, not(tollgate_sanitize)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    /// Runs in a thread of its own, of which nothing waits yet.
    fn alone(test: impl FnOnce() + Send) {
        thread::scope(|scope| scope.spawn(test).join().expect("the test does not panic"));
    }

    fn add_clones(value: &Arc<()>, count: usize) {
        for _ in 0..count {
            // SAFETY: nobody else knows the block.
            unsafe { add(blocks::put(Arc::clone(value))) }
        }
    }

    #[test]
    fn as_many_are_freed_as_are_asked_for() {
        alone(|| {
            let value = Arc::new(());
            add_clones(&value, 5);
            for (count, left) in [(0, 5), (2, 3), (usize::MAX, 0)] {
                free(count);
                assert_eq!((Arc::strong_count(&value), is_any()), (1 + left, left > 0));
            }
        });
    }

    #[test]
    fn no_more_than_so_many_wait() {
        alone(|| {
            let value = Arc::new(());
            add_clones(&value, MOST + 5);
            assert_eq!(Arc::strong_count(&value), 1 + MOST);
        });
    }

    #[test]
    fn what_has_no_destructor_does_not_wait() {
        alone(|| {
            // SAFETY: nobody else knows the block.
            unsafe { add(blocks::put(7_u64)) }
            assert!(!is_any());
        });
    }

    #[test]
    fn none_waits_longer_than_its_thread_lives() {
        let value = Arc::new(());
        // Joined by hand: a scope ends before its threads' destructors have run.
        let theirs = Arc::clone(&value);
        thread::spawn(move || add_clones(&theirs, 5)).join().expect("it does not panic");
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
