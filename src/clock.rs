//! Time, injected.
//!
//! Stores ask a [`Clock`]; primitives take `now` as an argument. Only this module reads a time source.

use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// Nanoseconds since the Unix epoch: 64 bits, enough until the year 2554. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const ZERO: Self = Self(0);
    /// The last instant that can be named; a deadline here never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `millis` milliseconds after the Unix epoch, or [`MAX`](Self::MAX) if that is out of range.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The instant `secs` seconds after the Unix epoch, or [`MAX`](Self::MAX) if that is out of range.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant plus `duration`, or [`MAX`](Self::MAX) if that is out of range.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(duration)))
    }

    /// This instant less `duration`, or [`ZERO`](Self::ZERO) if that is out of range.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(duration)))
    }

    /// The time since `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A duration in nanoseconds, or `u64::MAX` if it has more.
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().checked_mul(1_000_000_000);
    whole.and_then(|whole| whole.checked_add(duration.subsec_nanos().into())).unwrap_or(u64::MAX)
}

/// A source of time. Read once per operation; again for each sweep that makes room, and for each session of an agent's list.
///
/// # Examples
///
/// ```
/// use tollgate::clock::{Clock, Timestamp};
///
/// /// A clock that stands still.
/// #[derive(Debug)]
/// struct Frozen;
///
/// impl Clock for Frozen {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_secs(1)
///     }
/// }
/// assert_eq!(Frozen.now(), Timestamp::from_secs(1));
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The machine's clock: wall time read once, carried on by the monotonic clock.
///
/// All values of this type in one process share the anchor, so time never goes backwards in the process,
/// whatever happens to the wall clock.
///
/// # Examples
///
/// ```
/// use tollgate::clock::{Clock, SystemClock};
///
/// let first = SystemClock.now();
/// assert!(SystemClock.now() >= first);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        static ANCHOR: OnceLock<(u64, Timestamp)> = OnceLock::new();
        let (start, wall) = *ANCHOR.get_or_init(|| (monotonic(), wall()));
        Timestamp(wall.0.saturating_add(monotonic().saturating_sub(start)))
    }
}

#[expect(clippy::disallowed_methods, reason = "time is read here")]
fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(saturating_nanos(since_epoch.unwrap_or_default()))
}

/// Nanoseconds of the monotonic clock, from whenever it began.
#[cfg(target_os = "linux")]
#[inline]
#[expect(clippy::disallowed_methods, reason = "time is read here")]
pub(crate) fn monotonic() -> u64 {
    // What an `Instant` is made of here: to make a number of two of those takes a fifth of the time that it takes to read one.
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Nanoseconds of the monotonic clock, from whenever it began.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "time is read here")]
pub(crate) fn monotonic() -> u64 {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    saturating_nanos(START.get_or_init(std::time::Instant::now).elapsed())
}

/// A clock that moves when it is told to, for tests and replays. Clones show the same time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_secs(10));
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), Timestamp::from_secs(15));
/// clock.set(Timestamp::from_secs(1)); // clocks may step back; stores must cope
/// assert_eq!(clock.now(), Timestamp::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(start.0)))
    }

    /// Shows `now` from here on, which may be earlier than before.
    pub fn set(&self, now: Timestamp) {
        // Release: a thread that reads the new time also sees what was done before it was set.
        self.0.store(now.0, Ordering::Release);
    }

    /// Moves forward by `duration`, stopping at [`Timestamp::MAX`]. Of two threads that do, neither is lost.
    pub fn advance(&self, duration: Duration) {
        let later = |now| Some(Timestamp(now).saturating_add(duration).0);
        // Release: as in `set`. The time itself orders nothing here.
        let _ = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, later);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Acquire: pairs with the Release in `set`.
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_saturate_at_both_ends() {
        assert_eq!(Timestamp::from_secs(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_secs(1).saturating_sub(Duration::MAX), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.saturating_since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn the_system_clock_starts_at_wall_time_and_never_steps_back() {
        let mut last = SystemClock.now();
        assert!(last > Timestamp::from_secs(1_500_000_000));
        for _ in 0..1_000 {
            let now = SystemClock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
