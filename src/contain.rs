//! Panics of the user's code that would reach somebody who has nothing to do with them, or stop an operation halfway.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`, and goes on if it panics: the panic hook has told of it.
pub(crate) fn contained(work: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else { return };
    // What it panicked with may panic, too, when it is dropped. What that panics with is left alone.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(payload);
    }
}
