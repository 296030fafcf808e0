//! What a machine is asked, and what it answers and records.

#![forbid(unsafe_code)]

use super::Posture;
use crate::clock::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What the caller wants to be found with a record. Shared, not copied.
pub type Metadata = Arc<BTreeMap<String, String>>;

/// What kind of change a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransitionKind {
    /// To a higher level.
    Upgrade,
    /// To a lower level.
    Downgrade,
    /// To the same level.
    Maintain,
    /// To level 1, unasked and unguarded.
    EmergencyDowngrade,
    /// By [`set_posture`](super::PostureMachine::set_posture), past all guards. Upstream does not record those.
    Set,
}

impl TransitionKind {
    /// The kind of a request from one posture to another.
    #[must_use]
    pub fn of(from: Posture, to: Posture) -> Self {
        if to > from {
            Self::Upgrade
        } else if to < from {
            Self::Downgrade
        } else {
            Self::Maintain
        }
    }

    /// Its name, as it goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Maintain => "maintain",
            Self::EmergencyDowngrade => "emergency_downgrade",
            Self::Set => "set",
        }
    }
}

impl fmt::Display for TransitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A request to change an agent's posture.
///
/// # Examples
///
/// ```
/// use tollgate::posture::{Posture, TransitionKind, TransitionRequest};
///
/// let request = TransitionRequest::new("agent-7", Posture::Tool, Posture::Supervised)
///     .reason("a quarter without incidents")
///     .requester("alice")
///     .metadata("ticket", "TG-12");
/// assert_eq!(request.kind(), TransitionKind::Upgrade);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransitionRequest {
    /// The agent.
    pub agent: Arc<str>,
    /// The posture that the caller takes it to have.
    pub from: Posture,
    /// The posture that it is to have.
    pub to: Posture,
    /// Why, in the caller's words.
    pub reason: Arc<str>,
    /// Who asks for it.
    pub requester: Option<Arc<str>>,
    /// Carried into the record.
    pub metadata: Metadata,
    /// When it was asked, by the caller's clock. Carried, and never used for order.
    pub requested_at: Option<Timestamp>,
}

impl TransitionRequest {
    /// A request without a reason or a requester.
    #[must_use]
    pub fn new(agent: impl Into<Arc<str>>, from: Posture, to: Posture) -> Self {
        Self {
            agent: agent.into(),
            from,
            to,
            reason: Arc::from(""),
            requester: None,
            metadata: Metadata::default(),
            requested_at: None,
        }
    }

    /// Says why.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Says who asks.
    #[must_use]
    pub fn requester(mut self, requester: impl Into<Arc<str>>) -> Self {
        self.requester = Some(requester.into());
        self
    }

    /// Adds something to be found with the record.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.metadata).insert(key.into(), value.into());
        self
    }

    /// Says when it was asked, by the caller's clock.
    #[must_use]
    pub fn requested_at(mut self, at: Timestamp) -> Self {
        self.requested_at = Some(at);
        self
    }

    /// The kind of change that it asks for.
    #[must_use]
    pub fn kind(&self) -> TransitionKind {
        TransitionKind::of(self.from, self.to)
    }
}

/// Why a transition was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The agent did not have the posture that the request starts from.
    Stale,
    /// The agent is kept down until it is released.
    Latched,
    /// A guard did not let it pass.
    Guarded,
    /// Another change of the agent, or an emergency, came between the decision and its effect. For an agent that was not
    /// known, so did any change of what unknown agents are, and any agent that was forgotten. Ask again.
    Superseded,
}

/// What became of a transition: the answer to who asked, and the record in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a refused transition is a result, too"]
pub struct TransitionResult {
    /// The record's number: unique, and rising within an agent.
    pub seq: u64,
    /// The agent.
    pub agent: Arc<str>,
    /// The posture that the agent had.
    pub from: Posture,
    /// The posture that was asked for; the agent has it only after a success.
    pub to: Posture,
    /// The kind of change.
    pub kind: TransitionKind,
    /// Whether it was done.
    pub success: bool,
    /// Why not, if it was not.
    pub refusal: Option<Refusal>,
    /// The caller's reason, or that of the refusal.
    pub reason: Arc<str>,
    /// The guard that refused, `latch` or `superseded`.
    pub blocked_by: Option<Arc<str>>,
    /// Who asked for it.
    pub requester: Option<Arc<str>>,
    /// What the caller wanted to be found with it.
    pub metadata: Metadata,
    /// When it was recorded, by the machine's clock; never before the agent's previous record.
    pub recorded_at: Timestamp,
    /// When it was asked, by the caller's clock.
    pub requested_at: Option<Timestamp>,
}

/// An order to take an agent, or many, down to level 1.
///
/// # Examples
///
/// ```
/// use tollgate::posture::Downgrade;
///
/// let order = Downgrade::new("key leaked").requester("alice").latch();
/// assert!(order.latch);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Downgrade {
    /// Why.
    pub reason: Arc<str>,
    /// Who orders it.
    pub requester: Option<Arc<str>>,
    /// Whether the agent stays down until it is released by name.
    pub latch: bool,
}

impl Downgrade {
    /// An order without a latch.
    #[must_use]
    pub fn new(reason: impl Into<Arc<str>>) -> Self {
        Self { reason: reason.into(), requester: None, latch: false }
    }

    /// Says who orders it.
    #[must_use]
    pub fn requester(mut self, requester: impl Into<Arc<str>>) -> Self {
        self.requester = Some(requester.into());
        self
    }

    /// Keeps the agent down until it is released by name.
    #[must_use]
    pub fn latch(mut self) -> Self {
        self.latch = true;
        self
    }
}

/// Whom [`downgrade_all`](super::PostureMachine::downgrade_all) takes down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Every agent, those that are not known yet included.
    Everyone,
    /// The agents that are enrolled with this principal.
    Principal(Arc<str>),
}

/// What an emergency covered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an emergency may have covered more than was asked"]
pub enum Emergency {
    /// The agent is at level 1; this is its record.
    Agent(Arc<TransitionResult>),
    /// The agent is not known and there was no room for it: every unknown agent is at level 1 until
    /// [`restore_default`](super::PostureMachine::restore_default). There is no record of it.
    AllUnknown,
}

impl Emergency {
    /// The record, if the agent is known.
    #[must_use]
    pub fn record(&self) -> Option<&Arc<TransitionResult>> {
        match self {
            Self::Agent(record) => Some(record),
            Self::AllUnknown => None,
        }
    }
}
