//! Revoked tokens, remembered until they have expired, and no longer.
//!
//! # What is remembered
//!
//! A token that is *tracked* or *revoked* is one entry until its expiry plus a grace. An expiry that is re-stated counts
//! only if it is later. What is revoked without having been tracked lives `max_token_life` from now at most, so that ids
//! which nobody issued do not stay for ever. A principal's tracked tokens share a *cohort*; revoking the principal shuts the cohort, at one
//! instant for all of them, and leaves a *cutoff* that covers what nobody tracked: any token issued up to then. A cutoff
//! is dropped when no token that it covers can still be alive.
//!
//! # Time
//!
//! Sweeps and checks share a high-water time. A token is forgotten when `expires_at + grace <= high-water`. If the clock
//! then steps back, so that a forgotten token might be alive by it, an id that is not remembered is
//! [`Unknown`](Standing::Unknown), and not clear.
//!
//! # Progress
//!
//! Checks are lock-free, expected O(1), and write no shared memory. Everything else is lock-free as well; a sweep works
//! in bounded steps and stalls nobody.
//!
//! # Linearization points
//!
//! *revoke* and *track*: the exchange that links the token's entry; *revoke_principal*: the shutting of its cohort for
//! what is tracked, and before it the linking of its cutoff for what is not; *check*: the lookup.
//!
//! # Memory
//!
//! About 200 bytes a token beside its id, 250 a principal; the token set and the cutoffs are bounded by the capacity each.

#![forbid(unsafe_code)]

mod config;

pub use config::{RevocationConfig, RevocationError, RevocationStats, Revoked, Standing, Swept, WhenFull};

use crate::budget::{Limits, Meter, Status};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::deadline::{DeadlineQueue, Next};
use crate::error::ConfigError;
use crate::map::{ShardedMap, Step};
use crate::sync::Counter;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Entries that a full set looks at in one go, before it looks again whether there is room.
const SWEEP_STEP: usize = 256;

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

struct Shared<T, P, C> {
    tokens: ShardedMap<T, Entry<P>>,
    principals: ShardedMap<P, Principal<P>>,
    queue: DeadlineQueue<Subject<T, P>>,
    config: RevocationConfig,
    /// Tokens held, against the capacity.
    room: Meter,
    /// Cutoffs held, against the capacity.
    cutoff_room: Meter,
    clock: C,
    swept: Counter,
    refused_full: Counter,
    coarsened: Counter,
}

/// A token's entry. Changed only by being replaced.
struct Entry<P> {
    expires_at: Timestamp,
    revoked: bool,
    cohort: Option<Arc<Cohort<P>>>,
}

/// The tracked tokens of a principal that were not revoked one by one. Replaced when it is shut.
struct Cohort<P> {
    principal: P,
    members: Meter,
}

struct Principal<P> {
    cohort: Option<Arc<Cohort<P>>>,
    /// Its tokens issued up to here are revoked.
    cutoff: Option<Timestamp>,
}

/// What the deadline queue asks about.
enum Subject<T, P> {
    Token(T),
    Cutoff(P),
}

impl<P> Cohort<P> {
    fn shut(&self) -> bool {
        self.members.status() != Status::Open
    }
}

impl<P> Entry<P> {
    fn is_revoked(&self) -> bool {
        self.revoked || self.cohort.as_ref().is_some_and(|cohort| cohort.shut())
    }
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
            tokens: ShardedMap::new(),
            principals: ShardedMap::new(),
            queue: DeadlineQueue::new(),
            room: Meter::new(Limits::new(config.capacity), Timestamp::ZERO)?,
            cutoff_room: Meter::new(Limits::new(config.capacity), Timestamp::ZERO)?,
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
        self.shared.revoke(token, expires_at)
    }

    /// As [`revoke`](Self::revoke), for a token whose principal is known: a full set that is to coarsen then revokes all
    /// of the principal's tokens issued up to now.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Full`] if the set refuses, or has no room for another cutoff either.
    pub fn revoke_owned(&self, principal: &P, token: T, expires_at: Timestamp) -> Result<Revoked, RevocationError> {
        let refused = match self.shared.revoke(token, expires_at) {
            Err(refused) if self.shared.config.when_full == WhenFull::Coarsen => refused,
            done => return done,
        };
        self.shared.revoke_principal(principal).map_err(|_| refused)?;
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
        self.shared.track(principal, token, expires_at)
    }

    /// Revokes all of a principal's tokens that were issued up to now, tracked or not, and returns how many tracked ones
    /// that newly revoked (one that is being revoked by itself at that very moment may be counted too). Lock-free, O(1).
    /// Tokens that are issued and tracked later start afresh.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Full`] if there is no room for another cutoff: nothing is revoked.
    pub fn revoke_principal(&self, principal: &P) -> Result<u64, RevocationError> {
        self.shared.revoke_principal(principal)
    }

    /// What is known of a token by its id. Reads the clock. Lock-free, expected O(1), writes no shared memory.
    pub fn check(&self, token: &T) -> Standing {
        self.check_at(token, self.shared.clock.now())
    }

    /// As [`check`](Self::check), at a time that the caller has read from the set's clock.
    pub fn check_at(&self, token: &T, now: Timestamp) -> Standing {
        self.shared.check(token, now)
    }

    /// What is known of a token by its id, its principal and its time of issue, which also sees cutoffs. Reads the
    /// clock. Lock-free, expected O(1), writes no shared memory.
    pub fn check_issued(&self, token: &T, principal: &P, issued_at: Timestamp) -> Standing {
        self.check_issued_at(token, principal, issued_at, self.shared.clock.now())
    }

    /// As [`check_issued`](Self::check_issued), at a time that the caller has read from the set's clock.
    pub fn check_issued_at(&self, token: &T, principal: &P, issued_at: Timestamp, now: Timestamp) -> Standing {
        // The cutoff first: who dropped it has raised the time that is read last.
        if self.shared.is_cut_off(principal, issued_at) {
            return Standing::Revoked;
        }
        match self.shared.check(token, now) {
            Standing::Clear if self.shared.is_behind(now) => Standing::Unknown,
            standing => standing,
        }
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
        let live = shared.room.spent_at(Timestamp::ZERO).calls;
        RevocationStats {
            live,
            revoked,
            tracked: live.saturating_sub(revoked),
            principals: shared.principals.len(),
            cutoffs: shared.cutoff_room.spent_at(Timestamp::ZERO).calls,
            capacity: shared.config.capacity,
            swept: shared.swept.get(),
            refused_full: shared.refused_full.get(),
            coarsened: shared.coarsened.get(),
            high_water: shared.queue.high_water(),
        }
    }
}

impl<T: Id, P: Id, C: Clock> Shared<T, P, C> {
    fn now(&self) -> Timestamp {
        self.clock.now().max(self.queue.high_water())
    }

    /// The expiry of an id that may never have been issued, as it is remembered.
    fn bounded(&self, expires_at: Timestamp, now: Timestamp) -> Timestamp {
        expires_at.min(now.saturating_add(self.config.max_token_life))
    }

    /// When something that expires then may be forgotten.
    fn forget_at(&self, expires_at: Timestamp) -> Timestamp {
        expires_at.saturating_add(self.config.grace)
    }

    fn check(&self, token: &T, now: Timestamp) -> Standing {
        if let Some(entry) = self.tokens.pin().get(token) {
            return if entry.is_revoked() {
                Standing::Revoked
            } else if entry.expires_at <= now.max(self.queue.high_water()) {
                Standing::Expired
            } else {
                Standing::Clear
            };
        }
        // Read after the lookup: whoever forgot the token raised it first.
        if self.is_behind(now) { Standing::Unknown } else { Standing::Clear }
    }

    /// Whether something was forgotten that would be alive at `now`: what goes has expired a grace earlier.
    fn is_behind(&self, now: Timestamp) -> bool {
        self.forget_at(now) < self.queue.dropped_through()
    }

    fn is_cut_off(&self, principal: &P, issued_at: Timestamp) -> bool {
        self.principals.pin().get(principal).and_then(|principal| principal.cutoff).is_some_and(|cut| issued_at <= cut)
    }

    fn revoke(&self, token: T, expires_at: Timestamp) -> Result<Revoked, RevocationError> {
        let now = self.now();
        let expires_at = self.bounded(expires_at, now);
        let mut has_room = false;
        loop {
            let tokens = self.tokens.pin();
            let done = tokens.compute(token.clone(), |entry| match entry {
                None if !has_room => Step::Keep,
                None => Step::Put(Entry { expires_at, revoked: true, cohort: None }),
                Some(entry) if entry.revoked && entry.expires_at >= expires_at => Step::Keep,
                Some(entry) => Step::Put(Entry {
                    expires_at: entry.expires_at.max(expires_at),
                    revoked: true,
                    cohort: entry.cohort.clone(),
                }),
            });
            match done.before {
                None if !has_room => {
                    self.find_room(&self.room)?;
                    has_room = true;
                    continue;
                }
                None => self.queue.add(Subject::Token(token), self.forget_at(expires_at)),
                Some(_) if has_room => drop(self.room.refund(1)),
                Some(_) => {}
            }
            let Some(before) = done.before else { return Ok(Revoked::Newly) };
            if before.revoked {
                return Ok(Revoked::Already);
            }
            // It leaves its cohort, unless that was shut, and the token revoked, before.
            let left = before.cohort.as_ref().is_none_or(|cohort| self.leave(cohort));
            return Ok(if left { Revoked::Newly } else { Revoked::Already });
        }
    }

    fn track(&self, principal: P, token: T, expires_at: Timestamp) -> Result<(), RevocationError> {
        let tokens = self.tokens.pin();
        if let Some(tracked) = self.prolong(&principal, &token, expires_at) {
            return tracked;
        }
        self.find_room(&self.room)?;
        let cohort = self.join(&principal);
        let entry = Entry { expires_at, revoked: false, cohort: Some(Arc::clone(&cohort)) };
        if tokens.try_insert(token.clone(), entry).is_ok() {
            self.queue.add(Subject::Token(token), self.forget_at(expires_at));
            return Ok(());
        }
        // Another thread registered or revoked it since we looked.
        self.leave(&cohort);
        let _ = self.room.refund(1);
        self.prolong(&principal, &token, expires_at).unwrap_or_else(|| self.track(principal, token, expires_at))
    }

    /// Gives a token that is remembered a later expiry. None if it is not.
    fn prolong(&self, principal: &P, token: &T, expires_at: Timestamp) -> Option<Result<(), RevocationError>> {
        let tokens = self.tokens.pin();
        let elsewhere = |entry: &Entry<P>| entry.cohort.as_ref().is_some_and(|cohort| cohort.principal != *principal);
        let done = tokens.compute(token.clone(), |entry| match entry {
            Some(entry) if entry.expires_at < expires_at && !elsewhere(entry) => {
                Step::Put(Entry { expires_at, revoked: entry.revoked, cohort: entry.cohort.clone() })
            }
            _ => Step::Keep,
        });
        done.before.map(|entry| if elsewhere(entry) { Err(RevocationError::TrackedElsewhere) } else { Ok(()) })
    }

    /// Counts a token into the principal's open cohort.
    fn join(&self, principal: &P) -> Arc<Cohort<P>> {
        let principals = self.principals.pin();
        loop {
            let done = principals.compute(principal.clone(), |known| match known {
                Some(Principal { cohort: Some(cohort), .. }) if !cohort.shut() => Step::Keep,
                known => {
                    let members =
                        Meter::new(Limits::new(u64::MAX), Timestamp::ZERO).expect("no rate, nothing to refuse");
                    let cohort = Arc::new(Cohort { principal: principal.clone(), members });
                    Step::Put(Principal { cohort: Some(cohort), cutoff: known.and_then(|known| known.cutoff) })
                }
            });
            let cohort = done.after.and_then(|known| known.cohort.as_ref());
            if let Some(cohort) = cohort.filter(|cohort| cohort.members.admit(1, Timestamp::ZERO).is_ok()) {
                return Arc::clone(cohort);
            }
        }
    }

    /// Counts a token out of its cohort; drops the principal if that was all that was known of it. False if the cohort
    /// was shut before.
    fn leave(&self, cohort: &Arc<Cohort<P>>) -> bool {
        if cohort.members.refund(1).is_err() {
            return false;
        }
        if cohort.members.shut_if(Status::Expired, |spent| spent.calls == 0).is_ok() {
            self.principals.pin().compute(cohort.principal.clone(), |known| match known {
                Some(Principal { cohort: Some(other), cutoff }) if Arc::ptr_eq(other, cohort) => match cutoff {
                    Some(_) => Step::Put(Principal { cohort: None, cutoff: *cutoff }),
                    None => Step::Remove,
                },
                _ => Step::Keep,
            });
        }
        true
    }

    fn revoke_principal(&self, principal: &P) -> Result<u64, RevocationError> {
        let mut has_room = false;
        loop {
            let now = self.now();
            let principals = self.principals.pin();
            // The cohort stays until it is shut: another call that came and found none would return too early.
            let done = principals.compute(principal.clone(), |known| {
                let cohort = known.and_then(|known| known.cohort.clone());
                match known.and_then(|known| known.cutoff) {
                    Some(cutoff) => Step::Put(Principal { cohort, cutoff: Some(now.max(cutoff)) }),
                    None if has_room => Step::Put(Principal { cohort, cutoff: Some(now) }),
                    None => Step::Keep,
                }
            });
            let had_cutoff = done.before.is_some_and(|known| known.cutoff.is_some());
            if !had_cutoff && !has_room {
                self.find_room(&self.cutoff_room)?;
                has_room = true;
                continue;
            }
            if had_cutoff && has_room {
                let _ = self.cutoff_room.refund(1);
            }
            if !had_cutoff {
                self.queue.add(Subject::Cutoff(principal.clone()), self.cutoff_end(now));
            }
            let cohort = done.before.and_then(|known| known.cohort.as_ref());
            let newly = cohort.and_then(|cohort| cohort.members.shut(Status::Closed).ok());
            return Ok(newly.filter(|spent| spent.status == Status::Open).map_or(0, |spent| spent.calls));
        }
    }

    /// When no token issued up to `cutoff` can be alive any more.
    fn cutoff_end(&self, cutoff: Timestamp) -> Timestamp {
        self.forget_at(cutoff.saturating_add(self.config.max_token_life))
    }

    /// Takes one place of `room`, sweeping if there is none.
    fn find_room(&self, room: &Meter) -> Result<(), RevocationError> {
        while room.admit(1, Timestamp::ZERO).is_err() {
            let swept = self.sweep(self.clock.now(), SWEEP_STEP);
            if swept.removed == 0 && !swept.more {
                // What another thread's sweep removed since the last look counts too.
                if room.admit(1, Timestamp::ZERO).is_ok() {
                    return Ok(());
                }
                let capacity = self.config.capacity;
                if self.refused_full.first() {
                    tracing::warn!(capacity, "revocation set is full");
                }
                return Err(RevocationError::Full { capacity });
            }
        }
        Ok(())
    }

    fn sweep(&self, now: Timestamp, limit: usize) -> Swept {
        let mut removed = 0;
        // Judged by a time that the queue's is not before: what it notes as dropped then covers what is dropped here,
        // even if another sweep has raised the high-water time meanwhile.
        let now = now.max(self.queue.high_water());
        let swept = self.queue.sweep(now, limit, |subject, _| {
            let (gone, next) = match subject {
                Subject::Token(token) => self.sweep_token(token, now),
                Subject::Cutoff(principal) => self.sweep_cutoff(principal, now),
            };
            removed += u64::from(gone);
            next
        });
        self.swept.add(removed);
        Swept { removed, more: swept.more }
    }

    fn sweep_token(&self, token: &T, now: Timestamp) -> (bool, Next) {
        let tokens = self.tokens.pin();
        // Judged on the very entry that is removed: one that was prolonged meanwhile stays.
        if let Some(entry) = tokens.remove_if(token, |entry| self.forget_at(entry.expires_at) <= now) {
            if let Some(cohort) = entry.cohort.as_ref().filter(|_| !entry.revoked) {
                self.leave(cohort);
            }
            let _ = self.room.refund(1);
            return (true, Next::Drop);
        }
        let kept = tokens.get(token);
        (false, kept.map_or(Next::Drop, |entry| Next::KeepUntil(self.forget_at(entry.expires_at))))
    }

    fn sweep_cutoff(&self, principal: &P, now: Timestamp) -> (bool, Next) {
        let principals = self.principals.pin();
        let ended = |known: &Principal<P>| known.cutoff.is_some_and(|cutoff| self.cutoff_end(cutoff) <= now);
        let done = principals.compute(principal.clone(), |known| match known {
            Some(known) if ended(known) => match known.cohort.as_ref().filter(|cohort| !cohort.shut()) {
                Some(cohort) => Step::Put(Principal { cohort: Some(Arc::clone(cohort)), cutoff: None }),
                None => Step::Remove,
            },
            _ => Step::Keep,
        });
        if done.before.is_some_and(ended) {
            let _ = self.cutoff_room.refund(1);
            return (true, Next::Drop);
        }
        let cutoff = done.before.and_then(|known| known.cutoff);
        (false, cutoff.map_or(Next::Drop, |cutoff| Next::KeepUntil(self.cutoff_end(cutoff))))
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
