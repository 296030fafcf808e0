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
    /// Frees `block` when no guard that exists now exists any more. Runs nobody's `Drop`: that is for the end of the thread's
    /// outermost guard, when no operation has anything in hand that others would wait for without end.
    ///
    /// # Safety
    ///
    /// `block` came from [`alloc`], is unreachable for threads that pin from now on, and is retired only once.
    pub(crate) unsafe fn retire<T>(&self, block: *mut T) {
        // SAFETY: the caller's promise is the engine's.
        unsafe { self.0.retire(block) }
    }

    /// As [`retire`](Self::retire), for a block of the crate's own without a value of a user's in it, which is large, and may be
    /// the last that this thread retires for long: the collector runs when the guard ends.
    ///
    /// # Safety
    ///
    /// As for [`retire`](Self::retire).
    pub(crate) unsafe fn retire_large<T>(&self, block: *mut T) {
        // SAFETY: the caller's promise is the engine's.
        unsafe { self.0.retire_large(block) }
    }

    /// Hands this thread's garbage to the collector and lets it run.
    pub(crate) fn flush(&self) {
        self.0.flush();
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
    use crate::sync::MODEL;
    use std::cell::Cell;

    /// Blocks that a thread retires for each time that it lets the collector run. The engine itself collects by the number of
    /// outermost pins, a few hundred blocks each time: threads that do a batch of operations under each would outrun it.
    const BATCH: usize = 128;
    /// Tools that find what is used after it was freed must see it freed: every operation lets the collector run.
    const EAGER: bool = cfg!(tollgate_sanitize);

    thread_local! {
        static THREAD: Thread = const {
            Thread { guards: Cell::new(0), due: Cell::new(0), is_collecting: Cell::new(false) }
        };
    }

    /// What a thread's guards have done.
    struct Thread {
        guards: Cell<usize>,
        /// Blocks that were retired and that the collector has not run for. Becomes less only where no guard is left.
        due: Cell<usize>,
        is_collecting: Cell<bool>,
    }

    #[derive(Debug)]
    pub(super) struct Guard {
        guard: crossbeam_epoch::Guard,
        /// Those that were due before.
        before: usize,
    }

    #[inline]
    pub(super) fn pin() -> Guard {
        let guard = crossbeam_epoch::pin();
        let (is_outermost, before) = THREAD.with(|thread| {
            let guards = thread.guards.get();
            thread.guards.set(guards + 1);
            (guards == 0, thread.due.get())
        });
        let guard = Guard { guard, before };
        if EAGER && is_outermost {
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
            backlog::allow_one_more();
            THREAD.with(|thread| thread.due.set(thread.due.get() + 1));
        }

        pub(super) unsafe fn retire_large<T>(&self, block: *mut T) {
            // SAFETY: as in `retire`.
            let free = move || unsafe { blocks::discard(block) };
            // SAFETY: as in `retire`.
            unsafe { self.guard.defer_unchecked(free) }
            THREAD.with(|thread| thread.due.set(thread.due.get() + BATCH));
        }

        pub(super) fn flush(&self) {
            if let Some(_collecting) = Collecting::begin() {
                self.guard.flush();
                backlog::free(usize::MAX);
            }
        }

        /// Lets the collector run for what was retired, and frees some of what it found.
        fn collect(&self, thread: &Thread) {
            // Others' values are no part of a panic: a `Drop` may ask whether there is one.
            if std::thread::panicking() {
                return;
            }
            let Some(_collecting) = Collecting::begin() else { return };
            let due = thread.due.get();
            thread.due.set(due % BATCH);
            (0..due / BATCH).for_each(|_| self.guard.flush());
            backlog::work_off(due - self.before);
        }
    }

    impl Drop for Guard {
        #[inline]
        fn drop(&mut self) {
            THREAD.with(|thread| {
                let guards = thread.guards.get() - 1;
                thread.guards.set(guards);
                // The model checkers' threads are one, and models let the collector run themselves.
                let is_due = !MODEL && (thread.due.get() >= BATCH || backlog::is_any());
                // An inner guard ends amid an operation, which may hold what others wait for.
                if guards == 0 && is_due {
                    self.collect(thread);
                }
            });
        }
    }

    /// This thread lets the collector run, or frees what that found. What is dropped by it must not let it run again: one drop
    /// would be on the stack of another, for all the garbage that there is.
    struct Collecting;

    impl Collecting {
        fn begin() -> Option<Self> {
            if THREAD.with(|thread| thread.is_collecting.replace(true)) { None } else { Some(Self) }
        }
    }

    impl Drop for Collecting {
        fn drop(&mut self) {
            THREAD.with(|thread| thread.is_collecting.set(false));
        }
    }

    pub(super) use blocks::put as alloc;
    pub(super) use blocks::{discard, take};

    pub(super) fn check<T>(_: *const T) {}
}
