//! Why a posture machine refused a call. A transition that is refused is a result, not an error.

#![forbid(unsafe_code)]

/// A refused call. Nothing that it asked for was done or recorded.
///
/// `Display` names no agent: what it says may be shown to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostureError {
    /// The agent is not known yet, and there are as many agents as there may be.
    #[error("posture machine is full")]
    Full {
        /// Agents that may be known.
        capacity: u64,
    },
    /// The agent is kept down until it is released by name.
    #[error("agent is latched")]
    Latched,
    /// The agent's posture is below the default: forgetting it would raise it, now or when the default is restored.
    #[error("forgetting the agent would raise its posture")]
    WouldRaise,
}

impl PostureError {
    /// 503 for a full machine, 423 for a latched agent, 409 for one that cannot be forgotten.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Full { .. } => 503,
            Self::Latched => 423,
            Self::WouldRaise => 409,
        }
    }
}
