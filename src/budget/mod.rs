//! Admission against a call budget and a rate window, in one compare-and-swap.
//!
//! A [`Meter`] is one 128-bit word. Its state is `{status, calls, window calls, window start}`; a batch is admitted by
//! one compare-and-swap of the whole (its linearization point), so it is admitted against every limit or against none,
//! and a refusal changes nothing.
//!
//! A window starts at a nanosecond unless budget and rate limit together need more than 62 bits; its start is then rounded
//! up, by 2^31 ns at most, so that a window is never too short.
//!
//! # Progress
//!
//! Lock-free; a failed exchange means that another call changed the meter, or is tried again.
//!
//! # Hardware
//!
//! Without a 128-bit compare-and-swap in the hardware, `portable-atomic` falls back to a lock. Without a 128-bit atomic load
//! (x86-64 has one with AVX, AArch64 with LSE2), a look at a meter is an exchange of its word for itself: it takes the
//! cache line from others that look, and on AArch64 before LSE it is not wait-free.

mod bound;
mod word;

pub(crate) use bound::{Bound, Refused};

use crate::clock::{Timestamp, saturating_nanos};
use crate::error::ConfigError;
use crate::sync::{AtomicU128, Ordering};
use std::fmt;
use std::time::Duration;
use word::{Layout, State};

/// At most `calls` in each window, windows beginning with the first call after the last one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls that one window admits. Zero admits nothing.
    pub calls: u64,
    /// Length of the window.
    pub window: Duration,
}

/// What a [`Meter`] holds its callers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Calls in all. Zero admits nothing.
    pub budget: u64,
    /// Calls in a window, if that is limited.
    pub rate: Option<Rate>,
}

impl Limits {
    /// A budget, and no rate limit.
    #[must_use]
    pub const fn new(budget: u64) -> Self {
        Self { budget, rate: None }
    }

    /// Adds a rate limit.
    #[must_use]
    pub const fn with_rate(mut self, calls: u64, window: Duration) -> Self {
        self.rate = Some(Rate { calls, window });
        self
    }
}

/// Whether a meter still admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It does.
    Open,
    /// Its time ran out.
    Expired,
    /// It was closed by name.
    Closed,
}

/// What has been used of a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// Whether the meter still admits.
    pub status: Status,
    /// Calls made.
    pub calls: u64,
    /// Calls that the budget has left.
    pub remaining: u64,
    /// Calls in the window of the time asked about; zero without a rate limit.
    pub window_calls: u64,
}

/// Why a batch was refused. Nothing was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The meter is shut.
    #[error("the meter is shut")]
    Shut(Status),
    /// The budget has too little left.
    #[error("call budget exceeded: {asked} asked, {used} of {limit} used")]
    Budget {
        /// Calls in the batch.
        asked: u64,
        /// The budget.
        limit: u64,
        /// Calls made before.
        used: u64,
    },
    /// The window has too little left.
    #[error("rate limit exceeded: {asked} asked, {used} of {limit} used in this window")]
    Rate {
        /// Calls in the batch.
        asked: u64,
        /// Calls that a window admits.
        limit: u64,
        /// Calls in this window before.
        used: u64,
        /// When the window ends; none if the batch is larger than any window.
        retry_at: Option<Timestamp>,
    },
}

/// Admits batches of calls against [`Limits`], from any number of threads.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::budget::{Denied, Limits, Meter};
/// use tollgate::clock::Timestamp;
///
/// let start = Timestamp::from_secs(100);
/// let meter = Meter::new(Limits::new(5).with_rate(3, Duration::from_secs(60)), start)?;
/// assert_eq!(meter.admit(3, start).unwrap().remaining, 2);
/// assert!(matches!(meter.admit(1, start), Err(Denied::Rate { .. })));
/// let later = Timestamp::from_secs(160);
/// assert!(matches!(meter.admit(3, later), Err(Denied::Budget { .. }))); // all or nothing
/// assert_eq!(meter.admit(2, later).unwrap().remaining, 0);
/// # Ok::<(), tollgate::error::ConfigError>(())
/// ```
pub struct Meter {
    word: AtomicU128,
    budget: u64,
    /// Calls that a window admits.
    window_limit: u64,
    /// Length of a window in nanoseconds; zero without a rate limit.
    window: u64,
    origin: Timestamp,
    layout: Layout,
}

impl Meter {
    /// A meter whose first window begins at `now`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the window is zero or longer than 2^64 ns, or if budget and rate limit together need more
    /// than 92 bits: a budget of `u64::MAX` leaves 2^28 - 1 calls a window.
    pub fn new(limits: Limits, now: Timestamp) -> Result<Self, ConfigError> {
        let layout = Layout::new(&limits)?;
        let state = State { status: Status::Open, calls: 0, window_calls: 0, start: 0 };
        let word = AtomicU128::new(layout.pack(state));
        let rate = limits.rate.unwrap_or(Rate { calls: 0, window: Duration::ZERO });
        let window = saturating_nanos(rate.window);
        Ok(Self { word, budget: limits.budget, window_limit: rate.calls, window, origin: now, layout })
    }

    /// What the meter holds its callers to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let limits = Limits::new(self.budget);
        if self.has_rate() { limits.with_rate(self.window_limit, Duration::from_nanos(self.window)) } else { limits }
    }

    /// When it was made: its first window begins there.
    pub(crate) fn made_at(&self) -> Timestamp {
        self.origin
    }

    fn has_rate(&self) -> bool {
        self.window != 0
    }

    /// Admits a batch of `calls`, all or nothing. An empty batch is admitted by any open meter and consumes nothing.
    /// Lock-free; linearized at its compare-and-swap, a refusal at the load it was decided on.
    ///
    /// A `now` before the window's start counts as in the window.
    ///
    /// # Errors
    ///
    /// [`Denied`]: shut, then budget, then rate. Nothing is consumed.
    #[inline]
    pub fn admit(&self, calls: u64, now: Timestamp) -> Result<Spent, Denied> {
        let (_, after) = self.update(|state| self.admitted(state, calls, now))?;
        if calls == 0 {
            return Ok(self.spent(after, now));
        }
        // The window is that of `now`, as the batch is in it.
        let remaining = self.budget - after.calls;
        Ok(Spent { status: after.status, calls: after.calls, remaining, window_calls: after.window_calls })
    }

    /// Gives back `calls` that were admitted at `admitted_at`: to the budget, and to the window if that is the one they
    /// were in. Where its start is rounded (see the module), not if they may have been in the one before. Lock-free. Gives
    /// back what was spent at most.
    ///
    /// # Errors
    ///
    /// [`Denied::Shut`] if the meter is shut; what it had counted then stands.
    pub fn refund(&self, calls: u64, admitted_at: Timestamp) -> Result<(), Denied> {
        let refunded = self.update(|state| {
            if state.status != Status::Open {
                return Err(Denied::Shut(state.status));
            }
            let left = state.calls.saturating_sub(calls);
            let start = self.layout.nanos(state.start);
            let in_window = start.is_some_and(|start| self.since_origin(admitted_at) >= start);
            let window_calls = state.window_calls.saturating_sub(if in_window { calls } else { 0 });
            Ok(State { calls: left, window_calls: window_calls.min(left), ..state })
        });
        refunded.map(drop)
    }

    /// Shuts the meter: open to expired or closed, expired to closed. Lock-free, linearized at its compare-and-swap:
    /// no batch is admitted afterwards. Returns what had been spent at that instant.
    ///
    /// # Errors
    ///
    /// The present status, if it is `to` or later already: another caller was first.
    pub fn shut(&self, to: Status) -> Result<Spent, Status> {
        self.shut_if(to, |_| true)
    }

    /// As [`shut`](Self::shut), but only where `condition` holds of what was spent at that instant.
    ///
    /// # Errors
    ///
    /// The present status, if the condition does not hold or another caller was first.
    pub fn shut_if(&self, to: Status, condition: impl Fn(&Spent) -> bool) -> Result<Spent, Status> {
        let shut = self.update(|state| {
            if state.status >= to || !condition(&self.spent(state, self.origin)) {
                return Err(Denied::Shut(state.status));
            }
            Ok(State { status: to, ..state })
        });
        match shut {
            Ok((before, _)) => Ok(self.spent(before, self.origin)),
            Err(Denied::Shut(status)) => Err(status),
            Err(_) => unreachable!("shutting has no other refusal"),
        }
    }

    /// What has been used at `now`. [Wait-free](self#hardware).
    #[must_use]
    pub fn spent_at(&self, now: Timestamp) -> Spent {
        self.spent(self.load(), now)
    }

    /// Whether the meter still admits. [Wait-free](self#hardware).
    #[must_use]
    #[inline]
    pub fn status(&self) -> Status {
        self.load().status
    }

    #[inline]
    fn load(&self) -> State {
        // Acquire: who sees a meter shut sees what was done before it was shut. Pairs with `update`.
        self.layout.unpack(self.word.load(Ordering::Acquire))
    }

    /// Applies a decision by compare-and-swap: the claim loop of every transition. Returns the states before and after.
    #[inline]
    fn update(&self, decide: impl Fn(State) -> Result<State, Denied>) -> Result<(State, State), Denied> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let before = self.layout.unpack(word);
            let after = decide(before)?;
            if after == before {
                return Ok((before, after));
            }
            // AcqRel: a transition sees what was done before the one it follows, and shows what was done before it.
            match self.word.compare_exchange_weak(word, self.layout.pack(after), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok((before, after)),
                Err(current) => word = current,
            }
        }
    }

    /// The state after a batch, if it is admitted: pure.
    #[inline]
    fn admitted(&self, state: State, asked: u64, now: Timestamp) -> Result<State, Denied> {
        if state.status != Status::Open {
            return Err(Denied::Shut(state.status));
        }
        if asked == 0 {
            return Ok(state);
        }
        if asked > self.budget - state.calls {
            return Err(Denied::Budget { asked, limit: self.budget, used: state.calls });
        }
        let calls = state.calls + asked;
        if !self.has_rate() {
            return Ok(State { calls, ..state });
        }
        let limit = self.window_limit;
        let (used, start) = self.window(state, now);
        if asked > limit.saturating_sub(used) {
            let retry_at = (asked <= limit).then(|| self.window_end(start));
            return Err(Denied::Rate { asked, limit, used, retry_at });
        }
        Ok(State { calls, window_calls: used + asked, start, ..state })
    }

    /// Calls in the window of `now`, and its start: a new window, if the last one has ended.
    #[inline]
    fn window(&self, state: State, now: Timestamp) -> (u64, u64) {
        let now = self.since_origin(now);
        // A window that begins after the last timestamp, by rounding, has not ended.
        let lasted = self.layout.nanos(state.start).and_then(|start| now.checked_sub(start));
        if lasted.is_some_and(|lasted| lasted >= self.window) {
            (0, self.layout.ticks(now))
        } else {
            (state.window_calls, state.start)
        }
    }

    fn since_origin(&self, now: Timestamp) -> u64 {
        now.as_nanos().saturating_sub(self.origin.as_nanos())
    }

    /// When a window ends, the last timestamp at most.
    fn window_end(&self, start: u64) -> Timestamp {
        let start = self.layout.nanos(start).unwrap_or(u64::MAX);
        self.origin.saturating_add(Duration::from_nanos(start.saturating_add(self.window)))
    }

    #[inline]
    fn spent(&self, state: State, now: Timestamp) -> Spent {
        let window_calls = if self.has_rate() { self.window(state, now).0 } else { 0 };
        let remaining = self.budget - state.calls;
        Spent { status: state.status, calls: state.calls, remaining, window_calls }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("limits", &self.limits()).field("state", &self.load()).finish()
    }
}
