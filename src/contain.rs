//! Panics of the user's code that would reach somebody who has nothing to do with them, or stop an operation halfway.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`, and goes on if it panics: the panic hook has told of it.
pub(crate) fn contained(work: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(work)));
}
