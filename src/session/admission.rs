//! The decision about a batch of calls.

#![forbid(unsafe_code)]

use super::entry::Session;
use super::shared::Shared;
use super::{SessionError, Usage};
use crate::budget::Status as MeterStatus;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::map::{self, Look};
use std::fmt;
use uuid::Uuid;

/// A [`SessionStore`](super::SessionStore) with this thread pinned: one pin for many admissions.
///
/// Not `Send`, so it cannot be held across an `.await` of a task that moves between threads; held for long, it delays
/// reclamation for everybody.
///
/// # Examples
///
/// ```
/// use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
/// use uuid::Uuid;
///
/// let store = SessionStore::new(SessionConfig::new())?;
/// let id = store.create(SessionRequest::new(Uuid::new_v4()).budget(2).tools(Tools::Any))?;
///
/// let pinned = store.pin();
/// let admitted = ["search", "read", "write"].iter().filter(|tool| pinned.admit(&id, None, &[tool]).is_ok());
/// assert_eq!(admitted.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pinned<'s, C: Clock = SystemClock> {
    shared: &'s Shared<C>,
    sessions: map::Pinned<'s, Uuid, Session>,
}

impl<'s, C: Clock> Pinned<'s, C> {
    #[inline]
    pub(super) fn new(shared: &'s Shared<C>) -> Self {
        Self { shared, sessions: shared.sessions.pin() }
    }

    /// As [`SessionStore::admit`](super::SessionStore::admit); reads the clock.
    ///
    /// # Errors
    ///
    /// As for [`SessionStore::admit`](super::SessionStore::admit).
    pub fn admit<T: AsRef<str>>(&self, id: &Uuid, agent: Option<&Uuid>, tools: &[T]) -> Result<Usage, SessionError> {
        // A clock waits for what was read before, but not for what is on its way.
        let look = self.sessions.look(id);
        self.decide(look, id, agent, tools, self.shared.clock.now())
    }

    /// As [`admit`](Self::admit), at a time that the caller has read from the store's clock.
    ///
    /// # Errors
    ///
    /// As for [`SessionStore::admit`](super::SessionStore::admit).
    #[inline]
    pub fn admit_at<T: AsRef<str>>(
        &self,
        id: &Uuid,
        agent: Option<&Uuid>,
        tools: &[T],
        now: Timestamp,
    ) -> Result<Usage, SessionError> {
        self.decide(self.sessions.look(id), id, agent, tools, now)
    }

    #[inline]
    fn decide<T: AsRef<str>>(
        &self,
        look: Look<'_, Uuid, Session>,
        id: &Uuid,
        agent: Option<&Uuid>,
        tools: &[T],
        now: Timestamp,
    ) -> Result<Usage, SessionError> {
        let shared = self.shared;
        let now = shared.settled(now);
        let session = self.sessions.get_seen(look, id).ok_or(SessionError::NotFound)?;
        if agent.is_some_and(|agent| *agent != session.roster.agent) {
            return Err(SessionError::AgentMismatch);
        }
        // Whether its own meter is open is asked once, below.
        if session.is_over(now) {
            return Err(SessionError::of_status(session.settle(now, &shared.expired)));
        }
        let asked = tools.len() as u64;
        if let Some(index) = session.tools.first_unauthorized(tools) {
            // The budget comes before the tools, and a session that was shut meanwhile before both.
            let spent = session.meter.spent_at(now);
            return Err(match spent.status {
                MeterStatus::Open if asked > spent.remaining => {
                    SessionError::BudgetExceeded { asked, limit: session.request.budget, used: spent.calls }
                }
                MeterStatus::Open => SessionError::ToolNotAuthorized { index },
                shut => SessionError::of_status(shut),
            });
        }
        let spent = session.meter.admit(asked, now)?;
        Ok(session.usage(spent, now))
    }
}

impl<C: Clock> fmt::Debug for Pinned<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").finish_non_exhaustive()
    }
}
