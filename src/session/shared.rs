//! What the handles of a store share, and the steps that its operations are made of.

#![forbid(unsafe_code)]

use super::entry::{Roster, Session};
use super::{SessionError, SessionRequest, Swept};
use crate::budget::{Bound, Refused, Status as MeterStatus};
use crate::clock::{Clock, Timestamp};
use crate::contain::contained;
use crate::deadline::{DeadlineQueue, Next, Visit};
use crate::hash::random_state;
use crate::map::ShardedMap;
use crate::room::{Hold, find_room, judged_at};
use crate::sync::{Arc, Counter, MODEL};
use std::time::Duration;
use uuid::Uuid;

/// Entries that a full store looks at in one go, before it looks again whether there is room.
const SWEEP_STEP: usize = 256;

pub(super) struct Shared<C> {
    pub(super) sessions: ShardedMap<Uuid, Session>,
    pub(super) rosters: ShardedMap<Uuid, Arc<Roster>>,
    /// Sessions by the first instant at which they may be swept.
    pub(super) queue: DeadlineQueue<Uuid>,
    /// Sessions held, against the capacity.
    pub(super) room: Bound,
    pub(super) sessions_per_agent: u64,
    pub(super) clock: C,
    /// Creations begun, whether or not they came through.
    pub(super) begun: Counter,
    pub(super) created: Counter,
    pub(super) closed: Counter,
    pub(super) expired: Counter,
    pub(super) removed: Counter,
    pub(super) refused_full: Counter,
}

impl<C: Clock> Shared<C> {
    /// The clock's time, or that of the latest sweep if the clock has stepped back since.
    pub(super) fn now(&self) -> Timestamp {
        self.settled(self.clock.now())
    }

    /// Never before the latest sweep, nor the last instant, at which nothing comes due.
    pub(super) fn settled(&self, now: Timestamp) -> Timestamp {
        judged_at(now, self.queue.high_water())
    }

    /// A random id, or a numbered one in a model, whose every run must be alike.
    pub(super) fn fresh_id(&self) -> Uuid {
        let number = self.begun.next();
        if MODEL { Uuid::from_u128(number.into()) } else { Uuid::new_v4() }
    }

    /// Takes a place for session `id` on its agent's roster.
    pub(super) fn enlist(
        &self,
        id: Uuid,
        request: &SessionRequest,
        now: Timestamp,
    ) -> Result<Arc<Roster>, SessionError> {
        loop {
            let roster = self.roster(request);
            // Shut with its last session, it takes no other.
            if roster.held.take(1).is_err() {
                self.drop_roster(&roster);
                continue;
            }
            // A member before it counts as active, so that whoever closes the roster after that finds it.
            roster.members.pin().insert(id, ());
            let mut admitted = roster.active.take(1);
            if admitted == Err(Refused::Full) {
                self.settle_members(&roster, now);
                admitted = roster.active.take(1);
            }
            match admitted {
                Ok(_) => return Ok(roster),
                // Closed with all its sessions: another one follows.
                Err(Refused::Shut(_)) => {
                    self.leave(&roster, &id);
                    self.drop_roster(&roster);
                }
                Err(Refused::Full) => {
                    self.leave(&roster, &id);
                    return Err(SessionError::TooManySessions { max: self.sessions_per_agent });
                }
            }
        }
    }

    fn roster(&self, request: &SessionRequest) -> Arc<Roster> {
        let agent = request.agent;
        if let Some(roster) = self.rosters.get(&agent) {
            return roster;
        }
        let (active, held) = (Bound::new(self.sessions_per_agent), Bound::new(u64::MAX));
        let members = ShardedMap::with_shards_and_hasher(1, random_state());
        let rosters = self.rosters.pin();
        let roster = Arc::new(Roster { active, held, members, agent, tools: request.tools.clone() });
        match rosters.try_insert(agent, roster) {
            Ok(roster) => Arc::clone(roster),
            Err(exists) => Arc::clone(exists.current),
        }
    }

    pub(super) fn drop_roster(&self, roster: &Arc<Roster>) {
        self.rosters.pin().remove_if(&roster.agent, |other| Arc::ptr_eq(other, roster));
    }

    /// Takes a session off its roster, which goes with the last one.
    pub(super) fn leave(&self, roster: &Arc<Roster>, id: &Uuid) {
        roster.members.pin().remove(id);
        roster.held.give_back(1);
        // Shutting it tells a `create` that is at it to start anew.
        if roster.held.shut_if_unused(MeterStatus::Closed).is_ok() {
            self.drop_roster(roster);
        }
    }

    /// Expires the sessions of a roster whose time is over, which gives their places back.
    pub(super) fn settle_members(&self, roster: &Roster, now: Timestamp) {
        let sessions = self.sessions.pin();
        for (id, ()) in roster.members.pin().iter() {
            if let Some(session) = sessions.get(id) {
                session.settle(now, &self.expired);
            }
        }
    }

    /// Takes one place of the capacity, sweeping if there is none.
    pub(super) fn find_room(&self, now: Timestamp) -> Result<Hold<'_>, SessionError> {
        find_room(&self.room, || self.sweep(now, SWEEP_STEP)).ok_or_else(|| {
            let capacity = self.room.most();
            if self.refused_full.first() {
                // In the middle of things, and a subscriber is the user's code.
                contained(|| tracing::warn!(capacity, "session store is full: creations are refused"));
            }
            SessionError::Full { capacity }
        })
    }

    /// Lets a session that is closed be swept from now on, even if the clock steps back.
    pub(super) fn bring_forward(&self, id: Uuid) {
        self.queue.add(id, Timestamp::ZERO);
        // Its other entry finds nothing when its time comes.
        self.queue.note_stale();
    }

    pub(super) fn sweep(&self, now: Timestamp, limit: usize) -> Swept {
        let mut removed = 0;
        let sessions = self.sessions.pin();
        let visit = |id: &Uuid, met: Visit| {
            let Some(session) = sessions.get(id) else { return Next::Drop };
            if session.settle(met.now, &self.expired) == MeterStatus::Open {
                return Next::KeepUntil(session.expires_after.saturating_add(Duration::from_nanos(1)));
            }
            if sessions.remove(id).is_some() {
                removed += 1;
                self.leave(&session.roster, id);
                self.room.give_back(1);
            }
            Next::Drop
        };
        let swept = self.queue.sweep_ahead(now, limit, visit, |ahead| sessions.fetch(ahead));
        self.removed.add(removed);
        Swept { removed, more: swept.more }
    }
}
