//! The clock.

use std::time::Instant;

/// The present instant, for measuring, and for contenders that take a time.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time, and its contenders live in it")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}
