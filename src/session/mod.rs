//! Task sessions: who may call which tools, how often, until when.
//!
//! # Admission
//!
//! One batch of tool names is one decision, all or nothing, checked in upstream's order (arbiter-session): not found,
//! agent mismatch, closed, expired, budget, tools, rate. It costs one pin, one clock read, one lookup and one
//! compare-and-swap of the session's [`Meter`], which is its linearization point. There is no store-wide lock and no
//! scan of sessions on this path; the batch's tools are looked for among those granted.
//!
//! # Closing for an agent
//!
//! The sessions of an agent share a *roster*, with a bound that counts the active ones.
//! [`close_for_agent`](SessionStore::close_for_agent) shuts that bound: at that instant all of them are closed. Whoever
//! meets a session of a closed roster shuts the session's meter before it answers, so that no session is seen closed
//! and then admits a call that was on its way.
//!
//! # Full
//!
//! A store at its capacity sweeps what is expired or closed, then refuses. An agent at its cap has its own expired
//! sessions looked through, then is refused. Sessions otherwise stay, expired and closed ones included, until
//! [`sweep`](SessionStore::sweep), so that their callers are told why.
//!
//! # Panics
//!
//! None of its own. The clock and the names of the tools are asked before anything is changed.
//!
//! # Memory
//!
//! A session takes about 500 bytes beside the strings of its request, in the map, its agent's roster and the deadline
//! queue together; an agent with sessions about 400 more (resident memory, measured over 200,000 sessions).

#![forbid(unsafe_code)]

mod admission;
mod entry;
mod error;
mod request;
mod shared;
mod tools;

pub use crate::room::Swept;
pub use admission::Pinned;
pub use error::SessionError;
pub use request::{Sensitivity, SessionConfig, SessionRequest};
pub use tools::{ToolNames, Tools};

use crate::budget::{Bound, Meter, Status as MeterStatus};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::deadline::DeadlineQueue;
use crate::error::ConfigError;
use crate::map::ShardedMap;
use crate::sync::Counter;
use entry::Session;
use shared::Shared;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Time limits below this are raised to it (upstream's rule).
const MIN_TIME_LIMIT: Duration = Duration::from_secs(1);

/// A session's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It admits calls as far as its limits allow.
    Active,
    /// Its time limit has passed.
    Expired,
    /// It was closed.
    Closed,
}

/// What a session has used and has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Calls admitted, this batch included.
    pub calls_made: u64,
    /// Calls that the budget has left.
    pub calls_remaining: u64,
    /// Time until the session expires.
    pub time_remaining: Duration,
    /// Calls in the present rate window; zero without a rate limit.
    pub window_calls: u64,
}

/// A session as it was at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id.
    pub id: Uuid,
    /// The agent it belongs to.
    pub agent: Uuid,
    /// Its state.
    pub status: Status,
    /// What it has used.
    pub usage: Usage,
    /// Its call budget.
    pub budget: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// The last instant at which it is alive.
    pub expires_after: Timestamp,
    /// What was asked for when it was created.
    pub request: Arc<SessionRequest>,
}

/// A [`SessionStore`] in numbers. Each is exact when nothing moves, but for what
/// [`close_for_agent`](SessionStore::close_for_agent) counted of sessions that were on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Sessions held, expired and closed ones included.
    pub live: u64,
    /// Sessions that may be held.
    pub capacity: u64,
    /// Agents with a roster.
    pub agents: u64,
    /// Sessions created so far.
    pub created: u64,
    /// Sessions closed by name so far, one by one or with their agent's.
    pub closed: u64,
    /// Sessions found expired so far.
    pub expired: u64,
    /// Sessions removed so far.
    pub removed: u64,
    /// Creations refused because the store was full.
    pub refused_full: u64,
}

/// Sessions with call budgets, rate limits and time limits.
///
/// A cheap handle: clones share the sessions.
///
/// # Examples
///
/// ```
/// use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
/// use uuid::Uuid;
///
/// let store = SessionStore::new(SessionConfig::new())?;
/// let agent = Uuid::new_v4();
/// let id = store.create(SessionRequest::new(agent).budget(2).tools(Tools::only(["search", "read"])))?;
///
/// let usage = store.admit(&id, Some(&agent), &["search", "read"])?;
/// assert_eq!((usage.calls_made, usage.calls_remaining), (2, 0));
/// assert_eq!(store.admit(&id, Some(&agent), &["read"]).unwrap_err().http_status(), 429);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionStore<C: Clock = SystemClock> {
    shared: Arc<Shared<C>>,
}

impl SessionStore {
    /// An empty store on the system clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] if the capacity or the cap per agent is zero.
    pub fn new(config: SessionConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, SystemClock)
    }
}

impl<C: Clock> SessionStore<C> {
    /// An empty store on `clock`.
    ///
    /// # Errors
    ///
    /// As for [`new`](SessionStore::new).
    pub fn with_clock(config: SessionConfig, clock: C) -> Result<Self, ConfigError> {
        let (capacity, sessions_per_agent) = config.validated()?;
        let shared = Shared {
            sessions: ShardedMap::new(),
            rosters: ShardedMap::new(),
            queue: DeadlineQueue::new(),
            room: Bound::new(capacity),
            sessions_per_agent,
            clock,
            begun: Counter::default(),
            created: Counter::default(),
            closed: Counter::default(),
            expired: Counter::default(),
            removed: Counter::default(),
            refused_full: Counter::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Creates a session. Lock-free, O(1) unless the agent or the store is at its cap: then it looks through the
    /// agent's sessions, or sweeps the store, first.
    ///
    /// # Errors
    ///
    /// [`SessionError::Config`] for limits that cannot be honoured, [`SessionError::TooManySessions`] at the agent's
    /// cap, [`SessionError::Full`] at the store's. Nothing is left behind.
    pub fn create(&self, mut request: SessionRequest) -> Result<Uuid, SessionError> {
        let shared = &*self.shared;
        let now = shared.now();
        if request.time_limit < MIN_TIME_LIMIT {
            tracing::warn!(asked = ?request.time_limit, raised_to = ?MIN_TIME_LIMIT, "time limit too short");
            request.time_limit = MIN_TIME_LIMIT;
        }
        let meter = Meter::new(request.limits(), now)?;
        let id = self.shared.fresh_id();
        let roster = shared.enlist(id, &request, now)?;
        let place = shared.find_room(now).inspect_err(|_| {
            roster.active.give_back(1);
            shared.leave(&roster, &id);
        })?;
        let expires_after = now.saturating_add(request.time_limit);
        let sweep_at = expires_after.saturating_add(Duration::from_nanos(1));
        let closed_meanwhile = roster.clone();
        if request.tools == roster.tools {
            request.tools = roster.tools.clone();
        }
        let tools = request.tools.clone();
        let session = Session { meter, roster, expires_after, tools, request: Arc::new(request) };
        shared.sessions.pin().insert(id, session);
        place.keep();
        shared.queue.add(id, sweep_at);
        shared.created.add(1);
        if !closed_meanwhile.active.confirm_open() {
            // Closed with its agent's before it was in the map, where nobody found it: it may be swept at once.
            shared.bring_forward(id);
        }
        Ok(id)
    }

    /// Pins this thread, for admissions that belong together. Lock-free.
    #[inline]
    pub fn pin(&self) -> Pinned<'_, C> {
        Pinned::new(&self.shared)
    }

    /// Admits a batch of tool calls, all or nothing. Lock-free; see the module for its cost and linearization point.
    ///
    /// An empty batch is admitted by any active session and consumes nothing. Without an `agent` the session's owner is
    /// not checked, as upstream allows.
    ///
    /// # Errors
    ///
    /// The first limit that refuses, in the module's order. Nothing is consumed.
    pub fn admit<T: AsRef<str>>(&self, id: &Uuid, agent: Option<&Uuid>, tools: &[T]) -> Result<Usage, SessionError> {
        self.pin().admit(id, agent, tools)
    }

    /// As [`admit`](Self::admit), at a time that the caller has read from the store's clock.
    ///
    /// # Errors
    ///
    /// As for [`admit`](Self::admit).
    pub fn admit_at<T: AsRef<str>>(
        &self,
        id: &Uuid,
        agent: Option<&Uuid>,
        tools: &[T],
        now: Timestamp,
    ) -> Result<Usage, SessionError> {
        self.pin().admit_at(id, agent, tools, now)
    }

    /// The session as it is now. Lock-free.
    #[must_use]
    pub fn get(&self, id: &Uuid) -> Option<SessionInfo> {
        let now = self.shared.now();
        let sessions = self.shared.sessions.pin();
        sessions.get(id).map(|session| session.info(*id, now, &self.shared.expired))
    }

    /// All sessions, in no particular order. O(n), weakly consistent: a walk may meet a session that was created after
    /// another one that it met had gone.
    #[must_use]
    pub fn list(&self) -> Vec<SessionInfo> {
        let now = self.shared.now();
        let sessions = self.shared.sessions.pin();
        sessions.iter().map(|(id, session)| session.info(*id, now, &self.shared.expired)).collect()
    }

    /// The agent's sessions, in no particular order, those closed with
    /// [`close_for_agent`](Self::close_for_agent) excepted. O(the agent's sessions).
    #[must_use]
    pub fn list_for_agent(&self, agent: &Uuid) -> Vec<SessionInfo> {
        let Some(roster) = self.shared.rosters.get(agent) else { return Vec::new() };
        roster.members.pin().iter().filter_map(|(id, ())| self.get(id)).collect()
    }

    /// The agent's active sessions. O(the agent's sessions).
    #[must_use]
    pub fn count_active(&self, agent: &Uuid) -> u64 {
        let Some(roster) = self.shared.rosters.get(agent) else { return 0 };
        self.shared.settle_members(&roster, self.shared.now());
        let active = roster.active.count();
        if active.status == MeterStatus::Open { active.taken } else { 0 }
    }

    /// Closes a session, an expired one too. Lock-free, O(1).
    ///
    /// # Errors
    ///
    /// [`SessionError::NotFound`], [`SessionError::Closed`] if it was closed before.
    pub fn close(&self, id: &Uuid) -> Result<(), SessionError> {
        let shared = &*self.shared;
        let now = shared.now();
        let sessions = shared.sessions.pin();
        let session = sessions.get(id).ok_or(SessionError::NotFound)?;
        session.settle(now, &shared.expired);
        let before = session.meter.shut(MeterStatus::Closed).map_err(|_| SessionError::Closed)?;
        if before.status != MeterStatus::Open || session.leave_roster() {
            shared.closed.add(1);
        }
        shared.bring_forward(*id);
        Ok(())
    }

    /// Closes all active sessions of an agent at one instant, and returns how many there were (one that is being closed
    /// by itself, that expires, or that is only being created, at that very moment may be counted too). That instant does
    /// not depend on how many there are, but the call walks over the agent's sessions before it, to leave out those that have
    /// expired, and once more to have them swept. Lock-free, O(the agent's sessions, swept ones excepted).
    pub fn close_for_agent(&self, agent: &Uuid) -> u64 {
        let shared = &*self.shared;
        let now = shared.now();
        let Some(roster) = shared.rosters.get(agent) else { return 0 };
        shared.settle_members(&roster, now);
        // The linearization point. A roster that is shut was closed by another call.
        let closed = roster.active.shut(MeterStatus::Closed).map_or(0, |count| count.taken);
        shared.drop_roster(&roster);
        shared.closed.add(closed);
        for (id, ()) in roster.members.pin().iter() {
            shared.bring_forward(*id);
        }
        closed
    }

    /// Removes expired and closed sessions, looking at `limit` at most. Lock-free, and never in the way of an
    /// admission.
    pub fn sweep(&self, limit: usize) -> Swept {
        self.shared.sweep(self.shared.clock.now(), limit)
    }

    /// The store in numbers. Counts the agents by walking over them: O(agents), weakly consistent.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        let shared = &*self.shared;
        SessionStats {
            live: shared.room.taken(),
            capacity: shared.room.most(),
            agents: shared.rosters.len(),
            created: shared.created.get(),
            closed: shared.closed.get(),
            expired: shared.expired.get(),
            removed: shared.removed.get(),
            refused_full: shared.refused_full.get(),
        }
    }
}

impl<C: Clock> Clone for SessionStore<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Clock> fmt::Debug for SessionStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
