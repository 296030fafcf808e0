//! Revoked tokens, remembered until they have expired, and no longer.
//!
//! # What is remembered
//!
//! A token that is *tracked* or *revoked* is one entry until its expiry plus a grace. An expiry that is re-stated counts
//! only if it is later. What is revoked without having been tracked lives `max_token_life` from now at most, so that ids
//! which nobody issued do not stay for ever. A principal's tracked tokens share a *cohort*; revoking the principal shuts the
//! cohort, at one instant for all of them, and leaves a *cutoff* that covers what nobody tracked: any token issued up to
//! then. A cutoff is dropped when no token that it covers can still be alive.
//!
//! # Time
//!
//! Sweeps, registrations, revocations and checks share a high-water time, so that a clock that steps back does not put a
//! cutoff before the tokens that were registered until then; checks read it, everything else raises it. A token is
//! forgotten when `expires_at + grace <= high-water`. If the clock then steps back, so that a forgotten token might be alive
//! by it, an id that is not remembered is [`Unknown`](Standing::Unknown), and not clear; so is one that was tracked after
//! that, as it may be the token's.
//!
//! # Progress
//!
//! Checks are lock-free, expected O(1), and write no shared memory. Everything else is lock-free as well; a sweep works in
//! bounded steps and stalls nobody.
//!
//! # Linearization points
//!
//! *revoke* and *track*: the exchange that links the token's entry; *revoke_principal*: the shutting of its cohort for
//! what is tracked, and before it the linking of its cutoff for what is not; *check*: the lookup. A token has joined its
//! cohort just before it is linked: a revocation of its principal in between counts and covers it.
//!
//! # Panics
//!
//! None of its own. After a panic in an id's `Hash`, `Eq` or `Clone`, or in the clock, what was asked for may be done or not,
//! and is whole: ask again. Nothing is forgotten, and no room is lost; a principal of which nothing else is known may stay
//! until it is named again. Of `Drop`, see [`map`](crate::map#panics).
//!
//! # Memory
//!
//! About 200 bytes a token with an id of 16 bytes, and 210 more for a principal of tracked tokens (resident memory,
//! measured over 200,000 of them). The tokens and the cutoffs are bounded by the capacity each.

#![forbid(unsafe_code)]

mod config;
mod shared;

pub use crate::room::Swept;
pub use config::{RevocationConfig, RevocationError, RevocationStats, Revoked, Standing, WhenFull};

use crate::budget::Bound;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::deadline::DeadlineQueue;
use crate::error::ConfigError;
use crate::hash::random_state;
use crate::map::{self, ShardedMap};
use crate::sync::Counter;
use shared::{Entry, Shared};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// What ids of tokens and principals are.
pub trait Id: Hash + Eq + Clone + Send + Sync + 'static {}

impl<T: Hash + Eq + Clone + Send + Sync + 'static> Id for T {}

/// Revoked tokens, and principals whose tokens were revoked.
///
/// A cheap handle: clones share the set.
///
/// # Examples
///
/// ```
/// use tollgate::clock::{Clock, SystemClock};
/// use tollgate::revocation::{RevocationConfig, RevocationSet};
/// use std::time::Duration;
///
/// let set = RevocationSet::new(RevocationConfig::new())?;
/// let (issued, expires) = (SystemClock.now(), SystemClock.now().saturating_add(Duration::from_secs(3_600)));
/// set.track("alice", "token-1", expires)?;
/// assert!(set.check(&"token-1").is_clear());
///
/// assert_eq!(set.revoke_principal(&"alice")?, 1);
/// assert!(!set.check(&"token-1").is_clear());
/// assert!(!set.check_issued(&"never-tracked", &"alice", issued).is_clear());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RevocationSet<T, P, C: Clock = SystemClock> {
    shared: Arc<Shared<T, P, C>>,
}

impl<T: Id, P: Id> RevocationSet<T, P> {
    /// An empty set on the system clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a capacity or token life of nothing.
    pub fn new(config: RevocationConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, SystemClock)
    }
}

impl<T: Id, P: Id, C: Clock> RevocationSet<T, P, C> {
    /// An empty set on `clock`.
    ///
    /// # Errors
    ///
    /// As for [`new`](RevocationSet::new).
    pub fn with_clock(config: RevocationConfig, clock: C) -> Result<Self, ConfigError> {
        let config = config.validated()?;
        let shared = Shared {
            tokens: ShardedMap::with_filter(map::SHARDS, random_state()),
            principals: ShardedMap::with_filter(map::SHARDS, random_state()),
            queue: DeadlineQueue::new(),
            room: Bound::new(config.capacity),
            cutoff_room: Bound::new(config.capacity),
            config,
            clock,
            swept: Counter::default(),
            refused_full: Counter::default(),
            coarsened: Counter::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Revokes a token until it expires. An id that was never tracked is remembered as well, for
    /// `max_token_life` at most. Idempotent. Lock-free, O(1) unless the set is full and sweeps first.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Full`]: the token is *not* revoked. A tracked token always can be.
    pub fn revoke(&self, token: T, expires_at: Timestamp) -> Result<Revoked, RevocationError> {
        self.shared.refuse_full(self.shared.revoke(token, expires_at))
    }

    /// As [`revoke`](Self::revoke), for a token whose principal is known: a full set that is to coarsen then revokes all
    /// of the principal's tokens issued up to now, and for a grace from now on: nobody knows when this one was issued, and
    /// the clock that says so may be ahead.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Full`] if the set refuses, or has no room for another cutoff either.
    pub fn revoke_owned(&self, principal: &P, token: T, expires_at: Timestamp) -> Result<Revoked, RevocationError> {
        let refused = match self.shared.revoke(token, expires_at) {
            Err(refused) if self.shared.config.when_full == WhenFull::Coarsen => refused,
            done => return self.shared.refuse_full(done),
        };
        let coarsened = self.shared.revoke_principal(principal, self.shared.config.grace);
        self.shared.refuse_full(coarsened.map_err(|_| refused))?;
        if self.shared.coarsened.first() {
            let capacity = self.shared.config.capacity;
            tracing::warn!(capacity, "revocation set is full: revocations cover all of a principal's tokens");
        }
        Ok(Revoked::Coarsened)
    }

    /// Registers a token that was issued, so that revoking its principal covers it by id. Registering it again can only
    /// prolong its life. Lock-free, O(1) unless the set is full and sweeps first.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Full`]; [`RevocationError::TrackedElsewhere`] if it is tracked under another principal.
    pub fn track(&self, principal: P, token: T, expires_at: Timestamp) -> Result<(), RevocationError> {
        self.shared.refuse_full(self.shared.track(principal, token, expires_at))
    }

    /// Revokes all of a principal's tokens that were issued up to now, tracked or not, and returns how many tracked ones
    /// that newly revoked (one that is being tracked or revoked by itself at that very moment may be counted once more).
    /// Lock-free, O(1) unless the cutoffs are full and it sweeps first. Tokens that are issued and tracked later start afresh. Now is the latest time of this set's clock
    /// that a call other than a check has seen: what an issuer whose clock is ahead of that dates later is covered only if
    /// it was tracked.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Full`] if there is no room for another cutoff: nothing is revoked.
    pub fn revoke_principal(&self, principal: &P) -> Result<u64, RevocationError> {
        self.shared.refuse_full(self.shared.revoke_principal(principal, Duration::ZERO))
    }

    /// Pins this thread and reads the clock, for checks that belong together. Lock-free.
    pub fn pin(&self) -> Pinned<'_, T, P, C> {
        self.pin_at(self.shared.clock.now())
    }

    /// As [`pin`](Self::pin), at a time that the caller has read from the set's clock.
    pub fn pin_at(&self, now: Timestamp) -> Pinned<'_, T, P, C> {
        Pinned { shared: &self.shared, tokens: self.shared.tokens.pin(), now, covered: self.shared.forget_at(now) }
    }

    /// What is known of a token by its id. Reads the clock. Lock-free, expected O(1), writes no shared memory.
    pub fn check(&self, token: &T) -> Standing {
        self.pin().check(token)
    }

    /// As [`check`](Self::check), at a time that the caller has read from the set's clock.
    pub fn check_at(&self, token: &T, now: Timestamp) -> Standing {
        self.pin_at(now).check(token)
    }

    /// What is known of a token by its id, its principal and its time of issue, which also sees cutoffs. Reads the
    /// clock. Lock-free, expected O(1), writes no shared memory.
    pub fn check_issued(&self, token: &T, principal: &P, issued_at: Timestamp) -> Standing {
        self.pin().check_issued(token, principal, issued_at)
    }

    /// As [`check_issued`](Self::check_issued), at a time that the caller has read from the set's clock.
    pub fn check_issued_at(&self, token: &T, principal: &P, issued_at: Timestamp, now: Timestamp) -> Standing {
        self.pin_at(now).check_issued(token, principal, issued_at)
    }

    /// Forgets what has expired, looking at `limit` entries at most. Lock-free, and never in the way of a check.
    pub fn sweep(&self, limit: usize) -> Swept {
        self.shared.sweep(self.shared.clock.now(), limit)
    }

    /// The set in numbers. Counts revoked tokens by walking over all: O(n), weakly consistent.
    #[must_use]
    pub fn stats(&self) -> RevocationStats {
        let shared = &*self.shared;
        let tokens = shared.tokens.pin();
        let revoked = tokens.iter().filter(|(_, entry)| entry.is_revoked()).count() as u64;
        let live = shared.room.taken();
        // The walk may have met a token that came after another had gone.
        let revoked = revoked.min(live);
        RevocationStats {
            live,
            revoked,
            tracked: live - revoked,
            principals: shared.principals.len(),
            cutoffs: shared.cutoff_room.taken(),
            capacity: shared.config.capacity,
            swept: shared.swept.get(),
            refused_full: shared.refused_full.get(),
            coarsened: shared.coarsened.get(),
            high_water: shared.queue.high_water(),
        }
    }
}

/// A [`RevocationSet`] with this thread pinned, at one time: many checks for one pin and one clock read.
///
/// Each check sees what was revoked before it; what has expired, and whether the clock is behind, is judged by the time of
/// the pin: one that is older than the grace makes nobody clear that a sweep may have forgotten. Not `Send`, so it cannot be
/// held across an `.await` of a task that moves between threads; held for long, it delays reclamation for everybody.
///
/// # Examples
///
/// ```
/// use tollgate::clock::Timestamp;
/// use tollgate::revocation::{RevocationConfig, RevocationSet};
///
/// let set = RevocationSet::<_, &str>::new(RevocationConfig::new())?;
/// set.revoke("token-2", Timestamp::MAX)?;
///
/// let pinned = set.pin();
/// let clear = ["token-1", "token-2", "token-3"].iter().filter(|token| pinned.check(token).is_clear());
/// assert_eq!(clear.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pinned<'s, T, P, C: Clock = SystemClock> {
    shared: &'s Shared<T, P, C>,
    tokens: map::Pinned<'s, T, Entry<P>>,
    now: Timestamp,
    /// What was forgotten up to here was not alive any more.
    covered: Timestamp,
}

impl<T: Id, P: Id, C: Clock> Pinned<'_, T, P, C> {
    /// What is known of a token by its id. Lock-free, expected O(1), writes no shared memory.
    pub fn check(&self, token: &T) -> Standing {
        let Some(entry) = self.tokens.get(token) else {
            // Read after the lookup: whoever forgot the token raised it first.
            return if self.is_behind() { Standing::Unknown } else { Standing::Clear };
        };
        // Read before the cohort is asked. That time does not go back, and no cohort opens again: what was revoked before it had
        // expired is told to be revoked.
        let high_water = self.shared.queue.high_water();
        if entry.is_revoked() {
            Standing::Revoked
        } else if entry.expires_at <= self.now.max(high_water) {
            Standing::Expired
        } else if self.covered < entry.dropped_before {
            // It was forgotten before, maybe, and tracked again.
            Standing::Unknown
        } else {
            Standing::Clear
        }
    }

    /// What is known of a token by its id, its principal and its time of issue, which also sees cutoffs. Lock-free,
    /// expected O(1), writes no shared memory.
    pub fn check_issued(&self, token: &T, principal: &P, issued_at: Timestamp) -> Standing {
        // The cutoff first: who dropped it has raised the time that is read last.
        if self.shared.is_cut_off(principal, issued_at) {
            return Standing::Revoked;
        }
        match self.check(token) {
            Standing::Clear if self.is_behind() => Standing::Unknown,
            standing => standing,
        }
    }

    /// Whether something was forgotten that would be alive at the time of the pin: what goes has expired a grace earlier.
    fn is_behind(&self) -> bool {
        self.covered < self.shared.queue.dropped_through()
    }
}

impl<T, P, C: Clock> fmt::Debug for Pinned<'_, T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("now", &self.now).finish_non_exhaustive()
    }
}

impl<T, P, C: Clock> Clone for RevocationSet<T, P, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, P, C: Clock> fmt::Debug for RevocationSet<T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSet").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
