//! What the handles of a set share, and the steps that its operations are made of.

#![forbid(unsafe_code)]

use super::{Id, RevocationConfig, RevocationError, Revoked, Swept};
use crate::budget::{Bound, Status};
use crate::clock::{Clock, Timestamp};
use crate::deadline::{DeadlineQueue, Next, Visit};
use crate::map::{ShardedMap, Step};
use crate::room::{Hold, find_room};
use crate::sync::Counter;
use std::sync::Arc;
use std::time::Duration;

/// Entries that a full set looks at in one go, before it looks again whether there is room.
const SWEEP_STEP: usize = 256;

pub(super) struct Shared<T, P, C> {
    pub(super) tokens: ShardedMap<T, Entry<P>>,
    pub(super) principals: ShardedMap<P, Principal<P>>,
    pub(super) queue: DeadlineQueue<Subject<T, P>>,
    pub(super) config: RevocationConfig,
    /// Tokens held, against the capacity.
    pub(super) room: Bound,
    /// Cutoffs held, against the capacity.
    pub(super) cutoff_room: Bound,
    pub(super) clock: C,
    pub(super) swept: Counter,
    pub(super) refused_full: Counter,
    pub(super) coarsened: Counter,
}

/// A token's entry. Changed only by being replaced.
pub(super) struct Entry<P> {
    pub(super) expires_at: Timestamp,
    pub(super) revoked: bool,
    pub(super) cohort: Option<Arc<Cohort<P>>>,
    /// What was dropped before it was tracked, and may have been this very token, went no later than this.
    pub(super) dropped_before: Timestamp,
}

/// The tracked tokens of a principal that were not revoked one by one. Replaced when it is shut.
pub(super) struct Cohort<P> {
    pub(super) principal: P,
    pub(super) members: Bound,
}

pub(super) struct Principal<P> {
    pub(super) cohort: Option<Arc<Cohort<P>>>,
    /// Its tokens issued up to here are revoked.
    pub(super) cutoff: Option<Timestamp>,
}

/// What the deadline queue asks about.
pub(super) enum Subject<T, P> {
    Token(T),
    Cutoff(P),
}

impl<T, P> Subject<T, P> {
    fn token(this: Option<&Self>) -> Option<&T> {
        if let Some(Self::Token(token)) = this { Some(token) } else { None }
    }
}

impl<P> Cohort<P> {
    /// Whether it takes no more members: it was revoked, or its last member has left.
    pub(super) fn shut(&self) -> bool {
        self.members.status() != Status::Open
    }
}

impl<P> Entry<P> {
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked || self.cohort.as_ref().is_some_and(|cohort| cohort.members.status() == Status::Closed)
    }
}

impl<T: Id, P: Id, C: Clock> Shared<T, P, C> {
    /// The time by which a revocation or registration is made: never before that of another one.
    pub(super) fn now(&self) -> Timestamp {
        self.queue.advance(self.clock.now())
    }

    /// The expiry of an id that may never have been issued, as it is remembered.
    pub(super) fn bounded(&self, expires_at: Timestamp, now: Timestamp) -> Timestamp {
        expires_at.min(now.saturating_add(self.config.max_token_life))
    }

    /// When something that expires then may be forgotten.
    pub(super) fn forget_at(&self, expires_at: Timestamp) -> Timestamp {
        expires_at.saturating_add(self.config.grace)
    }

    pub(super) fn is_cut_off(&self, principal: &P, issued_at: Timestamp) -> bool {
        self.principals.pin().get(principal).and_then(|principal| principal.cutoff).is_some_and(|cut| issued_at <= cut)
    }

    pub(super) fn revoke(&self, token: T, expires_at: Timestamp) -> Result<Revoked, RevocationError> {
        let now = self.now();
        let expires_at = self.bounded(expires_at, now);
        let mut place = None;
        loop {
            let tokens = self.tokens.pin();
            let done = tokens.compute(token.clone(), |entry| match entry {
                None if place.is_none() => Step::Keep,
                // Revoked, so that it does not matter what was before.
                None => Step::Put(Entry { expires_at, revoked: true, cohort: None, dropped_before: Timestamp::ZERO }),
                Some(entry) if entry.revoked && entry.expires_at >= expires_at => Step::Keep,
                Some(entry) => Step::Put(Entry {
                    expires_at: entry.expires_at.max(expires_at),
                    revoked: true,
                    cohort: entry.cohort.clone(),
                    ..*entry
                }),
            });
            let Some(before) = done.before else {
                let Some(place) = place else {
                    place = Some(self.find_room(&self.room)?);
                    continue;
                };
                place.keep();
                self.queue.add(Subject::Token(token), self.forget_at(expires_at));
                return Ok(Revoked::Newly);
            };
            if before.revoked {
                return Ok(Revoked::Already);
            }
            // It leaves its cohort, unless that was shut, and the token revoked, before.
            let left = before.cohort.as_ref().is_none_or(|cohort| self.leave(cohort));
            return Ok(if left { Revoked::Newly } else { Revoked::Already });
        }
    }

    pub(super) fn track(&self, principal: P, token: T, expires_at: Timestamp) -> Result<(), RevocationError> {
        // A cutoff that follows is not before this.
        self.now();
        let tokens = self.tokens.pin();
        if let Some(tracked) = self.prolong(&principal, &token, expires_at) {
            return tracked;
        }
        let place = self.find_room(&self.room)?;
        let cohort = self.join(&principal);
        let member = Hold::of(&cohort.members, 1);
        let done = tokens.compute(token.clone(), |entry| match entry {
            Some(_) => Step::Keep,
            // Asked once it is known not to be there: whoever forgot it raised this first.
            None => Step::Put(Entry {
                expires_at,
                revoked: false,
                cohort: Some(Arc::clone(&cohort)),
                dropped_before: self.queue.dropped_through(),
            }),
        });
        member.keep();
        if done.before.is_none() {
            place.keep();
            self.queue.add(Subject::Token(token), self.forget_at(expires_at));
            return Ok(());
        }
        // Another thread registered or revoked it since we looked.
        drop(place);
        self.leave(&cohort);
        self.prolong(&principal, &token, expires_at).unwrap_or_else(|| self.track(principal, token, expires_at))
    }

    /// Gives a token that is remembered a later expiry. None if it is not.
    pub(super) fn prolong(
        &self,
        principal: &P,
        token: &T,
        expires_at: Timestamp,
    ) -> Option<Result<(), RevocationError>> {
        let tokens = self.tokens.pin();
        let elsewhere = |entry: &Entry<P>| entry.cohort.as_ref().is_some_and(|cohort| cohort.principal != *principal);
        let done = tokens.compute(token.clone(), |entry| match entry {
            Some(entry) if entry.expires_at < expires_at && !elsewhere(entry) => {
                Step::Put(Entry { expires_at, cohort: entry.cohort.clone(), ..*entry })
            }
            _ => Step::Keep,
        });
        done.before.map(|entry| if elsewhere(entry) { Err(RevocationError::TrackedElsewhere) } else { Ok(()) })
    }

    /// Counts a token into the principal's open cohort.
    pub(super) fn join(&self, principal: &P) -> Arc<Cohort<P>> {
        let principals = self.principals.pin();
        loop {
            let done = principals.compute(principal.clone(), |known| match known {
                Some(Principal { cohort: Some(cohort), .. }) if !cohort.shut() => Step::Keep,
                known => {
                    let cohort = Arc::new(Cohort { principal: principal.clone(), members: Bound::new(u64::MAX) });
                    Step::Put(Principal { cohort: Some(cohort), cutoff: known.and_then(|known| known.cutoff) })
                }
            });
            let cohort = done.after.and_then(|known| known.cohort.as_ref());
            if let Some(cohort) = cohort.filter(|cohort| cohort.members.take(1).is_ok()) {
                return Arc::clone(cohort);
            }
        }
    }

    /// Counts a token out of its cohort; drops the principal if that was all that was known of it. False if the cohort
    /// was shut before.
    pub(super) fn leave(&self, cohort: &Arc<Cohort<P>>) -> bool {
        if !cohort.members.give_back(1) {
            return false;
        }
        if cohort.members.shut_if_unused(Status::Expired).is_ok() {
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

    /// Revokes what a principal has, with a cutoff that is so far `ahead` of now.
    pub(super) fn revoke_principal(&self, principal: &P, ahead: Duration) -> Result<u64, RevocationError> {
        // A place for a cutoff, and what the queue is to ask about: the user's code runs before anything takes effect.
        let mut seat = None;
        loop {
            let covered = self.now().saturating_add(ahead);
            let principals = self.principals.pin();
            // The cohort stays until it is shut: another call that came and found none would return too early.
            let done = principals.compute(principal.clone(), |known| {
                let cohort = known.and_then(|known| known.cohort.clone());
                match known.and_then(|known| known.cutoff) {
                    Some(cutoff) => Step::Put(Principal { cohort, cutoff: Some(covered.max(cutoff)) }),
                    None if seat.is_some() => Step::Put(Principal { cohort, cutoff: Some(covered) }),
                    None => Step::Keep,
                }
            });
            if done.before.is_none_or(|known| known.cutoff.is_none()) {
                let Some((place, principal)) = seat else {
                    seat = Some((self.find_room(&self.cutoff_room)?, principal.clone()));
                    continue;
                };
                place.keep();
                self.queue.add(Subject::Cutoff(principal), self.cutoff_end(covered));
            }
            let cohort = done.before.and_then(|known| known.cohort.as_ref());
            let newly = cohort.and_then(|cohort| cohort.members.shut(Status::Closed).ok());
            if let Some(cohort) = cohort {
                // A sweep may have dropped the cutoff before that, and left the cohort, which was open.
                self.drop_principal(principal, cohort);
            }
            return Ok(newly.filter(|count| count.status == Status::Open).map_or(0, |count| count.taken));
        }
    }

    /// Drops a principal of whom nothing is known but a cohort that is shut.
    fn drop_principal(&self, principal: &P, shut: &Arc<Cohort<P>>) {
        let same = |cohort: &Option<Arc<Cohort<P>>>| cohort.as_ref().is_some_and(|cohort| Arc::ptr_eq(cohort, shut));
        self.principals.pin().remove_if(principal, |known| known.cutoff.is_none() && same(&known.cohort));
    }

    /// When no token issued up to `cutoff` can be alive any more.
    pub(super) fn cutoff_end(&self, cutoff: Timestamp) -> Timestamp {
        self.forget_at(cutoff.saturating_add(self.config.max_token_life))
    }

    /// Takes one place of `room`, sweeping if there is none.
    pub(super) fn find_room<'m>(&self, room: &'m Bound) -> Result<Hold<'m>, RevocationError> {
        let found = find_room(room, || self.sweep(self.clock.now(), SWEEP_STEP));
        found.ok_or(RevocationError::Full { capacity: self.config.capacity })
    }

    /// Counts a call that is refused because there is no room.
    pub(super) fn refuse_full<R>(&self, done: Result<R, RevocationError>) -> Result<R, RevocationError> {
        if let Err(RevocationError::Full { capacity }) = done {
            if self.refused_full.first() {
                tracing::warn!(capacity, "revocation set is full");
            }
        }
        done
    }

    pub(super) fn sweep(&self, now: Timestamp, limit: usize) -> Swept {
        let mut removed = 0;
        let visit = |subject: &Subject<T, P>, met: Visit| {
            let (gone, next) = match subject {
                Subject::Token(token) => self.sweep_token(token, met.now),
                Subject::Cutoff(principal) => self.sweep_cutoff(principal, met.now),
            };
            removed += u64::from(gone);
            next
        };
        let tokens = self.tokens.pin();
        let swept = self.queue.sweep_ahead(now, limit, visit, |ahead| tokens.fetch(ahead.map(Subject::token)));
        Swept { removed, more: swept.more }
    }

    pub(super) fn sweep_token(&self, token: &T, now: Timestamp) -> (bool, Next) {
        let tokens = self.tokens.pin();
        // Judged on the very entry that is removed: one that was prolonged meanwhile stays.
        if let Some(entry) = tokens.remove_if(token, |entry| self.forget_at(entry.expires_at) <= now) {
            self.swept.up();
            self.room.give_back(1);
            // Last: with the principal, the user's code runs.
            if let Some(cohort) = entry.cohort.as_ref().filter(|_| !entry.revoked) {
                self.leave(cohort);
            }
            return (true, Next::Drop);
        }
        let kept = tokens.get(token);
        (false, kept.map_or(Next::Drop, |entry| Next::KeepUntil(self.forget_at(entry.expires_at))))
    }

    pub(super) fn sweep_cutoff(&self, principal: &P, now: Timestamp) -> (bool, Next) {
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
            self.swept.up();
            self.cutoff_room.give_back(1);
            // Last: the user's code runs. Confirmed, not only looked at: who shuts it later then finds that the cutoff is gone.
            let left = done.after.and_then(|known| known.cohort.as_ref());
            if let Some(cohort) = left.filter(|cohort| !cohort.members.confirm_open()) {
                self.drop_principal(principal, cohort);
            }
            return (true, Next::Drop);
        }
        let cutoff = done.before.and_then(|known| known.cutoff);
        (false, cutoff.map_or(Next::Drop, |cutoff| Next::KeepUntil(self.cutoff_end(cutoff))))
    }
}
