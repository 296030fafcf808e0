//! What a session is created with, and what a store is.

#![forbid(unsafe_code)]

use super::Tools;
use crate::budget::Limits;
use crate::error::{ConfigError, positive};
use std::time::Duration;
use uuid::Uuid;

/// How sensitive the data may be that a session handles. Carried, not enforced, as upstream does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sensitivity {
    /// Anyone may see it.
    #[default]
    Public,
    /// For the organisation.
    Internal,
    /// For those who need it.
    Confidential,
    /// For the few who are named.
    Restricted,
}

/// What a session is asked for with.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::session::{SessionRequest, Tools};
/// use uuid::Uuid;
///
/// let request = SessionRequest::new(Uuid::nil())
///     .budget(100)
///     .rate(10, Duration::from_secs(60))
///     .time_limit(Duration::from_secs(900))
///     .tools(Tools::only(["search"]));
/// # let _ = request;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionRequest {
    /// The agent it is for.
    pub agent: Uuid,
    /// Calls in all. Zero admits nothing.
    pub budget: u64,
    /// How long it lives; raised to a second if shorter.
    pub time_limit: Duration,
    /// Calls in a window, if that is limited, and the window's length.
    pub rate: Option<(u64, Duration)>,
    /// The tools it may call.
    pub tools: Tools,
    /// What it is for, in the caller's words.
    pub intent: String,
    /// Who delegated to whom, as it was at creation.
    pub delegation_chain: Vec<String>,
    /// How sensitive the data may be.
    pub sensitivity_ceiling: Sensitivity,
}

impl SessionRequest {
    /// A session of 1,000 calls and an hour (upstream's defaults), without a rate limit and without any tool.
    #[must_use]
    pub fn new(agent: Uuid) -> Self {
        Self {
            agent,
            budget: 1_000,
            time_limit: Duration::from_secs(3_600),
            rate: None,
            tools: Tools::only::<&str>([]),
            intent: String::new(),
            delegation_chain: Vec::new(),
            sensitivity_ceiling: Sensitivity::default(),
        }
    }

    /// Allows `calls` in all.
    #[must_use]
    pub fn budget(mut self, calls: u64) -> Self {
        self.budget = calls;
        self
    }

    /// Lets it live for `limit`.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Allows `calls` in each `window`.
    #[must_use]
    pub fn rate(mut self, calls: u64, window: Duration) -> Self {
        self.rate = Some((calls, window));
        self
    }

    /// Allows these tools.
    #[must_use]
    pub fn tools(mut self, tools: Tools) -> Self {
        self.tools = tools;
        self
    }

    /// Says what it is for.
    #[must_use]
    pub fn intent(mut self, intent: impl Into<String>) -> Self {
        self.intent = intent.into();
        self
    }

    /// Says who delegated to whom.
    #[must_use]
    pub fn delegation_chain(mut self, chain: Vec<String>) -> Self {
        self.delegation_chain = chain;
        self
    }

    /// Says how sensitive the data may be.
    #[must_use]
    pub fn sensitivity_ceiling(mut self, ceiling: Sensitivity) -> Self {
        self.sensitivity_ceiling = ceiling;
        self
    }

    pub(super) fn limits(&self) -> Limits {
        let limits = Limits::new(self.budget);
        match self.rate {
            Some((calls, window)) => limits.with_rate(calls, window),
            None => limits,
        }
    }
}

/// Configures a [`SessionStore`](super::SessionStore).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionConfig {
    capacity: u64,
    sessions_per_agent: u64,
}

impl SessionConfig {
    /// 100,000 sessions, and no cap per agent but that.
    #[must_use]
    pub fn new() -> Self {
        Self { capacity: 100_000, sessions_per_agent: u64::MAX }
    }

    /// Holds at most this many sessions, expired and closed ones that were not swept yet included.
    #[must_use]
    pub fn capacity(mut self, sessions: u64) -> Self {
        self.capacity = sessions;
        self
    }

    /// Allows an agent at most this many active sessions at once.
    #[must_use]
    pub fn sessions_per_agent(mut self, sessions: u64) -> Self {
        self.sessions_per_agent = sessions;
        self
    }

    pub(super) fn validated(&self) -> Result<(u64, u64), ConfigError> {
        Ok((positive("capacity", self.capacity)?, positive("sessions_per_agent", self.sessions_per_agent)?))
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self::new()
    }
}
