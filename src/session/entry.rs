//! A session, and the roster of its agent.

#![forbid(unsafe_code)]

use super::{SessionInfo, SessionRequest, Status, Tools, Usage};
use crate::budget::{Bound, Meter, Spent, Status as MeterStatus};
use crate::clock::Timestamp;
use crate::map::ShardedMap;
use crate::sync::{self, Counter};
use std::sync::Arc;
use uuid::Uuid;

/// The active sessions of one agent. Replaced by a fresh one when it is closed.
pub(super) struct Roster {
    /// Active sessions, against the cap per agent.
    pub(super) active: Bound,
    /// Sessions held, over or not. Shut with the last of them.
    pub(super) held: Bound,
    pub(super) members: ShardedMap<Uuid, ()>,
    pub(super) agent: Uuid,
    /// Those of its first session. The others that ask for the same share them, and the cache lines they are in.
    pub(super) tools: Tools,
}

/// All that an admission reads of a session alone is in the entry itself, two cache lines: one that nobody writes, with the id
/// before it, and the meter's.
#[repr(C)]
pub(super) struct Session {
    pub(super) roster: sync::Arc<Roster>,
    /// The last instant at which it is alive.
    pub(super) expires_after: Timestamp,
    /// As the request has them.
    pub(super) tools: Tools,
    pub(super) request: Arc<SessionRequest>,
    /// Made when the session was.
    pub(super) meter: Meter,
}

impl Session {
    /// Whether its roster or its time says that it is not to be active any more. If so, [`settle`](Self::settle) it.
    #[inline]
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now > self.expires_after || self.roster.active.status() != MeterStatus::Open
    }

    /// Its state at `now`, settled first: an active session of a closed roster is closed, one past its time expires.
    pub(super) fn settle(&self, now: Timestamp, expired: &Counter) -> MeterStatus {
        let status = self.meter.status();
        if status != MeterStatus::Open {
            return status;
        }
        if self.roster.active.status() != MeterStatus::Open {
            // Unless it has expired meanwhile, by a clock that was read later, or before the roster was closed.
            let shut = self.meter.shut_if(MeterStatus::Closed, |spent| spent.status == MeterStatus::Open);
            return shut.map_or_else(|was| was, |_| MeterStatus::Closed);
        }
        if now > self.expires_after {
            return match self.meter.shut(MeterStatus::Expired) {
                Ok(_) => {
                    if self.leave_roster() {
                        expired.add(1);
                    }
                    MeterStatus::Expired
                }
                Err(was) => was,
            };
        }
        status
    }

    /// Gives the roster's place back. Whoever shut the session's meter calls this, once. False if the roster was closed
    /// before, which counted the session.
    pub(super) fn leave_roster(&self) -> bool {
        self.roster.active.give_back(1)
    }

    #[inline]
    pub(super) fn usage(&self, spent: Spent, now: Timestamp) -> Usage {
        Usage {
            calls_made: spent.calls,
            calls_remaining: spent.remaining,
            time_remaining: self.expires_after.saturating_since(now),
            window_calls: spent.window_calls,
        }
    }

    pub(super) fn info(&self, id: Uuid, now: Timestamp, expired: &Counter) -> SessionInfo {
        let status = match self.settle(now, expired) {
            MeterStatus::Open => Status::Active,
            MeterStatus::Expired => Status::Expired,
            MeterStatus::Closed => Status::Closed,
        };
        SessionInfo {
            id,
            agent: self.roster.agent,
            status,
            usage: self.usage(self.meter.spent_at(now), now),
            budget: self.request.budget,
            created_at: self.meter.made_at(),
            expires_after: self.expires_after,
            request: Arc::clone(&self.request),
        }
    }
}

#[cfg(all(test, not(any(tollgate_loom, tollgate_shuttle, tollgate_sanitize))))]
mod tests {
    use crate::session::{SessionConfig, SessionRequest, SessionStore};
    use std::ptr;
    use uuid::Uuid;

    /// Or each admission would take from others what they read of the session besides.
    #[test]
    fn the_meter_of_a_session_has_a_cache_line_to_itself() {
        let store = SessionStore::new(SessionConfig::new()).unwrap();
        for number in 0..10 {
            let id = store.create(SessionRequest::new(Uuid::from_u128(number))).unwrap();
            let sessions = store.shared.sessions.pin();
            let meter = &sessions.get(&id).unwrap().meter;
            assert_eq!((ptr::from_ref(meter).addr() % 64, size_of_val(meter)), (0, 64));
        }
    }
}
