//! Why a session operation was refused.

#![forbid(unsafe_code)]

use crate::budget::{Denied, Status};
use crate::clock::Timestamp;
use crate::error::ConfigError;
use std::time::Duration;

/// A refused session operation. Nothing was consumed, created or closed.
///
/// `Display` is deliberately opaque, as upstream's is: what it names may be shown to an agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such session, or it was swept.
    #[error("session not found")]
    NotFound,
    /// The session belongs to another agent.
    #[error("session belongs to another agent")]
    AgentMismatch,
    /// The session was closed.
    #[error("session is closed")]
    Closed,
    /// The session's time limit has passed.
    #[error("session has expired")]
    Expired,
    /// The batch does not fit in what the call budget has left.
    #[error("session call budget exceeded")]
    BudgetExceeded {
        /// Calls in the batch.
        asked: u64,
        /// The budget.
        limit: u64,
        /// Calls made before.
        used: u64,
    },
    /// A tool of the batch is not among those granted.
    #[error("tool not authorized for this session")]
    ToolNotAuthorized {
        /// The first such tool's place in the batch.
        index: usize,
    },
    /// The batch does not fit in what the rate window has left.
    #[error("session rate limit exceeded")]
    RateLimited {
        /// Calls in the batch.
        asked: u64,
        /// Calls that a window admits.
        limit: u64,
        /// Calls in this window before.
        used: u64,
        /// When the window ends; none if the batch is larger than any window.
        retry_at: Option<Timestamp>,
    },
    /// The agent has as many active sessions as it may, those included that are being created, closed or found expired.
    #[error("too many active sessions for this agent")]
    TooManySessions {
        /// The cap per agent.
        max: u64,
    },
    /// The store holds as many sessions as it may, none of them closed, or expired by now or by the latest time that a sweep
    /// has seen. Another call may have had the last place in hand, or a session that is over, and have given it back since.
    #[error("session store is full")]
    Full {
        /// The store's capacity.
        capacity: u64,
    },
    /// The limits asked for cannot be honoured.
    #[error("session limits refused: {0}")]
    Config(#[from] ConfigError),
}

impl SessionError {
    pub(super) fn of_status(status: Status) -> Self {
        if status == Status::Expired { Self::Expired } else { Self::Closed }
    }

    /// The HTTP status that upstream maps this to; 503 for a full store and 400 for limits refused are ours.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::AgentMismatch | Self::ToolNotAuthorized { .. } => 403,
            Self::Closed => 410,
            Self::Expired => 408,
            Self::BudgetExceeded { .. } | Self::RateLimited { .. } | Self::TooManySessions { .. } => 429,
            Self::Full { .. } => 503,
            Self::Config(_) => 400,
        }
    }

    /// How long after `now` the same request may be admitted, where time alone heals it.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_at, .. } => retry_at.map(|at| at.saturating_since(now)),
            _ => None,
        }
    }
}

impl From<Denied> for SessionError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Shut(status) => Self::of_status(status),
            Denied::Budget { asked, limit, used } => Self::BudgetExceeded { asked, limit, used },
            Denied::Rate { asked, limit, used, retry_at } => Self::RateLimited { asked, limit, used, retry_at },
        }
    }
}
