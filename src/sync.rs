//! The one switch between std and the model checkers.
//!
//! Every atomic of the crate comes from here and no other file names `std::sync::atomic`. Under the
//! crate-private cfgs `tollgate_loom` and `tollgate_shuttle` the same names are loom's or Shuttle's, so the checkers run
//! the crate's own code. The switch also owns the constants that models must shrink to stay exhaustive.

#[cfg(tollgate_loom)]
use loom as engine;
#[cfg(tollgate_shuttle)]
use shuttle as engine;
#[cfg(not(any(tollgate_loom, tollgate_shuttle)))]
use std as engine;

/// For what has destructors that matter: a checker must know that what any owner did comes before the last one's drop.
pub(crate) use engine::sync::Arc;
pub(crate) use engine::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
#[cfg(tollgate_loom)]
pub(crate) use interned::AtomicU128;
#[cfg(not(any(tollgate_loom, tollgate_shuttle)))]
pub(crate) use portable_atomic::AtomicU128;
#[cfg(tollgate_shuttle)]
pub(crate) use shuttle::sync::atomic::AtomicU128;

/// Whether this build is a model: structures then start at their smallest size.
pub(crate) const MODEL: bool = cfg!(any(tollgate_loom, tollgate_shuttle));

/// A statistic: counts, orders nothing, and may be read while it moves.
///
/// Stores count through this type so that they need no atomics of their own. Never a checker's: a count that nothing depends
/// on would only multiply a model's interleavings.
#[derive(Debug, Default)]
pub(crate) struct Counter(std::sync::atomic::AtomicU64);

impl Counter {
    /// Adds one and answers the count after.
    pub(crate) fn up(&self) -> u64 {
        self.next().wrapping_add(1)
    }

    /// Sets it to zero if it is `count`. True if so.
    pub(crate) fn zero_if(&self, count: u64) -> bool {
        const RELAXED: std::sync::atomic::Ordering = std::sync::atomic::Ordering::Relaxed;
        self.0.compare_exchange(count, 0, RELAXED, RELAXED).is_ok()
    }

    /// Takes one away.
    pub(crate) fn down(&self) {
        self.sub(1);
    }

    /// Adds `n`.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
    }

    /// Takes `n` away.
    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, std::sync::atomic::Ordering::Relaxed);
    }

    /// The count so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Adds one and answers the count before.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Adds one and answers whether it was the first.
    pub(crate) fn first(&self) -> bool {
        self.next() == 0
    }
}

/// Loom has no 128-bit atomic: values are interned and a loom atomic holds the index, which is exact because
/// the mapping is one to one.
#[cfg(tollgate_loom)]
mod interned {
    use super::Ordering;
    use loom::sync::atomic::AtomicUsize;
    use std::sync::Mutex;

    #[derive(Debug)]
    pub(crate) struct AtomicU128 {
        index: AtomicUsize,
        values: Mutex<Vec<u128>>,
    }

    impl AtomicU128 {
        pub(crate) fn new(value: u128) -> Self {
            Self { index: AtomicUsize::new(0), values: Mutex::new(vec![value]) }
        }

        fn intern(&self, value: u128) -> usize {
            let mut values = self.values.lock().expect("loom runs one thread at a time");
            values.iter().position(|&v| v == value).unwrap_or_else(|| {
                values.push(value);
                values.len() - 1
            })
        }

        fn value(&self, index: usize) -> u128 {
            self.values.lock().expect("loom runs one thread at a time")[index]
        }

        pub(crate) fn load(&self, order: Ordering) -> u128 {
            let index = self.index.load(order);
            self.value(index)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            current: u128,
            new: u128,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u128, u128> {
            let (current, new) = (self.intern(current), self.intern(new));
            match self.index.compare_exchange(current, new, success, failure) {
                Ok(index) => Ok(self.value(index)),
                Err(index) => Err(self.value(index)),
            }
        }
    }
}

/// Lets another thread run, where only another thread can help.
pub(crate) fn relax() {
    engine::thread::yield_now();
}
