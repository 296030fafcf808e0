//! Blocks that may be freed, and wait for it: a thread drops the values of as many as it retires.
//!
//! The collector finds hundreds of blocks at once. To free them there and then would have one operation wait for the `Drop`
//! of hundreds of values, and swamp the allocator: what comes back one by one, it hands out again at once; for what comes in
//! bulk it takes its locks (Kim, Brown and Singh, "Are Your Epochs Too Epic? Batch Free Can Be Harmful", PPoPP 2024).
//!
//! Of what a thread's pins find, no more waits than the thread has retired itself: who retires will be back. A thread that
//! only reads frees at once what it finds, as does one that knows nothing of this crate and shares its collector.

use super::blocks;
use crate::sync::MODEL;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::needs_drop;

/// Blocks of a thread that wait at most: twice what the collector finds at once as a rule, where each operation has a pin of
/// its own.
const MOST: usize = 256;

thread_local! {
    static BLOCKS: Blocks = const { Blocks(RefCell::new(VecDeque::new())) };
    // Beside them, as every operation asks, and these need no destructor.
    /// How many wait.
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// How many more may.
    static ALLOWED: Cell<usize> = const { Cell::new(0) };
}

/// A block, and what frees it.
type Waiting = (*mut (), unsafe fn(*mut ()));

/// The longest waiting first.
struct Blocks(RefCell<VecDeque<Waiting>>);

/// This thread has retired a block.
pub(super) fn allow_one_more() {
    ALLOWED.set((ALLOWED.get() + 1).min(MOST));
}

/// Frees a block soon; at once if its value has no destructor, or no more may wait.
///
/// # Safety
///
/// As for [`blocks::discard`].
pub(super) unsafe fn add<T>(block: *mut T) {
    // The model checkers' threads are one.
    let waits = !MODEL && needs_drop::<T>() && ALLOWED.get() > 0 && COUNT.get() < MOST;
    if waits && BLOCKS.try_with(|blocks| blocks.0.borrow_mut().push_back((block.cast(), discard::<T>))).is_ok() {
        ALLOWED.set(ALLOWED.get() - 1);
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
        let Ok(Some((block, discard))) = BLOCKS.try_with(|blocks| blocks.0.borrow_mut().pop_front()) else { return };
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
    /// The thread ends, and gives them back to the collector: no value is dropped by a thread that is half gone.
    fn drop(&mut self) {
        COUNT.set(0);
        let blocks = self.0.take();
        if blocks.is_empty() {
            return;
        }
        let guard = crossbeam_epoch::pin();
        for (block, discard) in blocks {
            // SAFETY: as in `free`.
            let free = move || unsafe { discard(block) };
            // SAFETY: nobody has reached the block since it came here, and its value may be dropped by any thread.
            unsafe { guard.defer_unchecked(free) }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    /// Runs in a thread of its own, of which nothing waits and that keeps nothing yet.
    pub(in crate::raw) fn alone(test: impl FnOnce() + Send) {
        thread::scope(|scope| scope.spawn(test).join().expect("the test does not panic"));
    }

    fn add_clones(value: &Arc<()>, count: usize) {
        for _ in 0..count {
            allow_one_more();
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
    fn a_thread_that_retires_nothing_lets_nothing_wait() {
        alone(|| {
            allow_one_more();
            // SAFETY: nobody else knows the blocks.
            (0..2).for_each(|_| unsafe { add(blocks::put(Arc::new(()))) });
            assert_eq!(COUNT.get(), 1);
        });
    }

    #[test]
    fn what_waits_when_its_thread_ends_is_dropped_by_another() {
        let value = Arc::new(());
        // Joined by hand: a scope ends before its threads' destructors have run.
        let theirs = Arc::clone(&value);
        thread::spawn(move || add_clones(&theirs, 5)).join().expect("it does not panic");
        while Arc::strong_count(&value) > 1 {
            crossbeam_epoch::pin().flush();
            thread::yield_now();
        }
    }
}
