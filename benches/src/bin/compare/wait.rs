//! Sleep, for loads that come on schedule. What is timed in full speed spins instead.

use std::thread;
use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "a load that comes on schedule has to wait for its turn")]
pub(crate) fn sleep(time: Duration) {
    thread::sleep(time);
}
