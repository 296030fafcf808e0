//! What a posture machine is configured with, and what it tells of itself.

#![forbid(unsafe_code)]

use super::Posture;
use crate::error::{ConfigError, positive};
use std::fmt;
use std::sync::Arc;

/// What a machine that knows as many agents as it may does about another one. It never raises anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Refuses the call, and that is all.
    #[default]
    Refuse,
    /// Refuses the call, and holds every unknown agent at level 1 from then on, until
    /// [`restore_default`](super::PostureMachine::restore_default). A machine is full, too, while the last place is held
    /// for an agent that another thread is only just entering.
    LowerUnknown,
}

/// A trim of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimReport {
    /// Records that it dropped; some of them may have gone with a forgotten agent at that very moment.
    pub dropped: u64,
    /// Records dropped so far, for whatever reason; of this trim, what another thread is only just dropping may be missing.
    pub dropped_total: u64,
    /// Records that the history may have.
    pub limit: u64,
}

type Listener = dyn Fn(&TrimReport) + Send + Sync;

/// Configures a [`PostureMachine`](super::PostureMachine).
#[derive(Clone)]
#[non_exhaustive]
pub struct PostureConfig {
    pub(super) default_posture: Posture,
    pub(super) history: u64,
    pub(super) history_share: Option<u64>,
    pub(super) agents: u64,
    pub(super) when_full: WhenFull,
    pub(super) upgrade_approval: bool,
    pub(super) on_trim: Option<Arc<Listener>>,
}

impl PostureConfig {
    /// 10,000 records and 10,000 agents, refusing more agents; unknown agents are tools, and upgrades need a requester.
    #[must_use]
    pub fn new() -> Self {
        Self {
            default_posture: Posture::Tool,
            history: 10_000,
            history_share: None,
            agents: 10_000,
            when_full: WhenFull::Refuse,
            upgrade_approval: true,
            on_trim: None,
        }
    }

    /// The posture of an agent that is not known.
    #[must_use]
    pub fn default_posture(mut self, posture: Posture) -> Self {
        self.default_posture = posture;
        self
    }

    /// Keeps at most this many records of all agents together; zero keeps none.
    #[must_use]
    pub fn history(mut self, records: u64) -> Self {
        self.history = records;
        self
    }

    /// Drops an agent's newest `records` only when nothing but such records is left: so no agent can flush the history
    /// of the others. A hundredth of the limit unless told otherwise, and one at least; zero protects none.
    #[must_use]
    pub fn history_share(mut self, records: u64) -> Self {
        self.history_share = Some(records);
        self
    }

    /// Knows at most this many agents.
    #[must_use]
    pub fn agents(mut self, agents: u64) -> Self {
        self.agents = agents;
        self
    }

    /// What to do about an agent that is one too many.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Whether the machine starts with the guard [`UPGRADE_APPROVAL`](super::UPGRADE_APPROVAL).
    #[must_use]
    pub fn upgrade_approval(mut self, required: bool) -> Self {
        self.upgrade_approval = required;
        self
    }

    /// Is told of every trim by who caused it, when all else is done: it may be slow, panic, or call the machine. Records
    /// that it makes itself may cause the next trim, of which it is told in turn: they have to be fewer than a tenth of the
    /// limit.
    #[must_use]
    pub fn on_trim(mut self, listen: impl Fn(&TrimReport) + Send + Sync + 'static) -> Self {
        self.on_trim = Some(Arc::new(listen));
        self
    }

    pub(super) fn validated(self) -> Result<Self, ConfigError> {
        positive("agents", self.agents)?;
        Ok(self)
    }

    /// Records of an agent that are protected.
    pub(super) fn share(&self) -> u64 {
        self.history_share.unwrap_or((self.history / 100).max(1))
    }
}

impl Default for PostureConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PostureConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostureConfig")
            .field("default_posture", &self.default_posture)
            .field("history", &self.history)
            .field("history_share", &self.share())
            .field("agents", &self.agents)
            .field("when_full", &self.when_full)
            .field("upgrade_approval", &self.upgrade_approval)
            .finish_non_exhaustive()
    }
}

/// A [`PostureMachine`](super::PostureMachine) in numbers. Each is exact when nothing moves; `records` is never above
/// `history`, nor `agents` above `capacity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostureStats {
    /// Agents known.
    pub agents: u64,
    /// Agents that may be known.
    pub capacity: u64,
    /// Records kept.
    pub records: u64,
    /// Records that may be kept.
    pub history: u64,
    /// Records made so far: those kept and those dropped.
    pub recorded: u64,
    /// Records dropped so far, by trims, with forgotten agents, or for want of a place.
    pub dropped: u64,
    /// Trims so far.
    pub trims: u64,
    /// Transitions that were done.
    pub succeeded: u64,
    /// Transitions refused because they started from another posture.
    pub stale: u64,
    /// Transitions refused by a guard.
    pub guarded: u64,
    /// Transitions refused because the agent was latched.
    pub latched: u64,
    /// Transitions refused because another change came between.
    pub superseded: u64,
    /// Postures set past all guards.
    pub set: u64,
    /// Emergencies of known agents, one for each agent that a downgrade of many has covered.
    pub emergencies: u64,
    /// Emergencies of agents that were not known and could not be: all unknown agents were taken down instead.
    pub untracked_downgrades: u64,
    /// Calls refused because there was no room for another agent.
    pub refused_full: u64,
}
