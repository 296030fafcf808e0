//! Reclamation: a block that was unlinked is freed once nobody can hold it any more.
//!
//! In every real build this is crossbeam-epoch. Under `tollgate_shuttle` and `tollgate_loom` it is `ideal`, a model of the
//! epoch *contract*, unless `crossbeam_loom` is set as well: the bridge models then run on the real one.

#[cfg(any(tollgate_shuttle, all(tollgate_loom, not(crossbeam_loom))))]
use super::ideal as engine;
#[cfg(not(any(tollgate_shuttle, all(tollgate_loom, not(crossbeam_loom)))))]
use real as engine;

/// Blocks that were neither freed nor could be: those of an execution that has ended are leaks.
#[cfg(tollgate_shuttle)]
pub(crate) use engine::alive;
#[cfg(all(tollgate_loom, not(crossbeam_loom)))]
pub(crate) use engine::learn_late;

/// Keeps the blocks that this thread may be looking at from being freed.
///
/// Not `Send`: a guard belongs to the thread that pinned. A thread that holds one for long delays reclamation for
/// everybody.
#[derive(Debug)]
pub(crate) struct Guard(engine::Guard);

/// Pins this thread. Lock-free, as now and then it collects; about 11 ns, 3 ns when already pinned.
#[must_use]
#[inline]
pub(crate) fn pin() -> Guard {
    Guard(engine::pin())
}

impl Guard {
    /// Frees `block` when no guard that exists now exists any more. Runs nobody's `Drop`: that is for the guard's end, when
    /// an operation has nothing in hand that others would wait for without end.
    ///
    /// # Safety
    ///
    /// `block` came from [`alloc`], is unreachable for threads that pin from now on, and is retired only once.
    pub(crate) unsafe fn retire<T>(&self, block: *mut T) {
        // SAFETY: the caller's promise is the engine's.
        unsafe { self.0.retire(block) }
    }

    /// Hands this thread's garbage to the collector and lets it run.
    pub(crate) fn flush(&self) {
        self.0.flush();
    }

    /// As [`flush`](Self::flush), when the guard goes.
    pub(crate) fn flush_at_the_end(&self) {
        self.0.flush_at_the_end();
    }
}

/// Allocates a block.
pub(crate) fn alloc<T>(value: T) -> *mut T {
    engine::alloc(value)
}

/// Frees a block at once and gives its value back.
///
/// # Safety
///
/// `block` came from [`alloc`], was not retired, and nobody else can reach it.
pub(crate) unsafe fn take<T>(block: *mut T) -> T {
    // SAFETY: the caller's promise is the engine's.
    unsafe { engine::take(block) }
}

/// Frees a block at once, with its value. A panic in the user's `Drop` is contained, as in what was retired.
///
/// # Safety
///
/// As for [`take`].
pub(crate) unsafe fn dealloc<T>(block: *mut T) {
    // SAFETY: the caller's promise is the engine's.
    unsafe { engine::discard(block) }
}

/// Borrows a block for as long as a guard lives.
///
/// # Safety
///
/// `block` is not null and stays alive for `'g` (invariants 1 and 2, or 5, or 6).
pub(crate) unsafe fn deref<'g, T>(block: *const T) -> &'g T {
    engine::check(block);
    // SAFETY: the caller's promise.
    unsafe { &*block }
}

#[cfg(not(any(tollgate_shuttle, all(tollgate_loom, not(crossbeam_loom)))))]
mod real {
    use super::super::{backlog, blocks};
    use std::cell::Cell;

    /// Blocks that a guard retires for each time that it lets the collector run. The engine itself collects by the number of
    /// pins, a few hundred blocks each time: threads that do a batch of operations under each pin would outrun it.
    const BATCH: usize = 32;
    /// Tools that find what is used after it was freed must see it freed: every operation lets the collector run.
    const EAGER: bool = cfg!(tollgate_sanitize);

    #[derive(Debug)]
    pub(super) struct Guard {
        guard: crossbeam_epoch::Guard,
        retired: Cell<usize>,
    }

    #[inline]
    pub(super) fn pin() -> Guard {
        let guard = Guard { guard: crossbeam_epoch::pin(), retired: Cell::new(0) };
        if EAGER {
            guard.flush();
        }
        guard
    }

    impl Guard {
        pub(super) unsafe fn retire<T>(&self, block: *mut T) {
            // SAFETY: the block came from `alloc`, and this runs once.
            let free = move || unsafe { backlog::add(block) };
            // SAFETY: unreachable for later pins, by the caller's promise. What is in retired blocks is `Send + 'static`,
            // which the public structures demand, so any thread may drop it at any later time.
            unsafe { self.guard.defer_unchecked(free) }
            self.retired.set(self.retired.get() + 1);
        }

        pub(super) fn flush(&self) {
            if let Some(_collecting) = Collecting::begin() {
                self.guard.flush();
                backlog::free(usize::MAX);
            }
        }

        pub(super) fn flush_at_the_end(&self) {
            self.retired.set(self.retired.get() + BATCH);
        }

        fn collect(&self) {
            // Others' values are no part of a panic: a `Drop` may ask whether there is one.
            if std::thread::panicking() {
                return;
            }
            let Some(_collecting) = Collecting::begin() else { return };
            (0..self.retired.get() / BATCH).for_each(|_| self.guard.flush());
            backlog::work_off(self.retired.get());
        }
    }

    impl Drop for Guard {
        #[inline]
        fn drop(&mut self) {
            if self.retired.get() >= BATCH || backlog::is_any() {
                self.collect();
            }
        }
    }

    thread_local! {
        static COLLECTING: Cell<bool> = const { Cell::new(false) };
    }

    /// This thread lets the collector run, or frees what that found. What is dropped by it must not let it run again: one drop would be on the stack
    /// of another, for all the garbage that there is.
    struct Collecting;

    impl Collecting {
        fn begin() -> Option<Self> {
            if COLLECTING.replace(true) { None } else { Some(Self) }
        }
    }

    impl Drop for Collecting {
        fn drop(&mut self) {
            COLLECTING.set(false);
        }
    }

    pub(super) use blocks::put as alloc;
    pub(super) use blocks::{discard, take};

    pub(super) fn check<T>(_: *const T) {}
}
