//! What is known of an agent: one immutable entry, replaced as a whole.

#![forbid(unsafe_code)]

use super::cohort::{Cohort, Everyone};
use super::history::History;
use super::{Downgrade, Metadata, Posture, Refusal, TransitionKind, TransitionRequest, TransitionResult};
use crate::clock::Timestamp;
use std::sync::Arc;

/// An agent's posture and its history change in one exchange, so no reader sees one without the other.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) posture: Posture,
    /// No other agent has this number: one that is forgotten and comes back is another.
    pub(super) born: u64,
    /// The number of its last change: failures, and a posture that was only confirmed, are none. Zero before the first.
    pub(super) changed: u64,
    pub(super) latched: bool,
    pub(super) all: Arc<Cohort>,
    pub(super) principal: Option<Arc<Cohort>>,
    /// The cohort of the unknown, until the agent has been confirmed as known.
    pub(super) birth: Option<Arc<Cohort>>,
    pub(super) history: History,
    /// The number of its last record.
    pub(super) last: u64,
    pub(super) last_at: Timestamp,
}

/// What a decision on an agent is made on.
pub(super) struct Standing {
    pub(super) posture: Posture,
    pub(super) latched: bool,
    basis: Basis,
}

/// What must not change before the decision takes effect.
enum Basis {
    Known {
        born: u64,
        changed: u64,
    },
    /// Replaced whenever strangers change, and before an agent becomes one of them again.
    Stranger(Arc<Everyone>),
}

impl Standing {
    pub(super) fn of_stranger(everyone: Arc<Everyone>, default: Posture) -> Self {
        Self { posture: everyone.posture(default), latched: everyone.latched, basis: Basis::Stranger(everyone) }
    }

    /// Whether a decision that was made on this may take effect on `agent`, while strangers are `everyone`.
    pub(super) fn still_holds(&self, agent: &Agent, everyone: impl FnOnce() -> Arc<Everyone>) -> bool {
        match &self.basis {
            Basis::Known { born, changed } => (agent.born, agent.changed) == (*born, *changed),
            Basis::Stranger(before) => {
                let is_unchanged = agent.changed == 0 && (agent.posture, agent.latched) == (self.posture, self.latched);
                is_unchanged && Arc::ptr_eq(before, &everyone())
            }
        }
    }
}

impl Refusal {
    /// Whether a request from that posture may be refused so, as the agent is by now: the record says what it was.
    pub(super) fn still_fits(self, agent: &Agent, from: Posture) -> bool {
        match self {
            Self::Stale => agent.posture != from,
            Self::Latched => agent.posture == from && agent.latched,
            Self::Guarded | Self::Superseded => agent.posture == from,
        }
    }
}

/// A change, or an attempt at one, before it has a number.
pub(super) struct Draft {
    pub(super) to: Posture,
    pub(super) kind: TransitionKind,
    pub(super) refusal: Option<Refusal>,
    pub(super) reason: Arc<str>,
    pub(super) blocked_by: Option<Arc<str>>,
    pub(super) requester: Option<Arc<str>>,
    pub(super) metadata: Metadata,
    pub(super) requested_at: Option<Timestamp>,
    pub(super) at: Timestamp,
    pub(super) latch: bool,
}

impl Agent {
    /// An agent as it is before it is known, under a number of its own.
    pub(super) fn stranger(everyone: &Everyone, default: Posture, born: u64) -> Self {
        Self {
            posture: everyone.posture(default),
            born,
            changed: 0,
            latched: everyone.latched,
            all: Arc::clone(&everyone.all),
            principal: None,
            birth: Some(Arc::clone(&everyone.unknown)),
            history: History::default(),
            last: 0,
            last_at: Timestamp::ZERO,
        }
    }

    /// A cohort of its that was taken down, which is to be entered before anyone answers for it.
    pub(super) fn down(&self) -> Option<&Arc<Cohort>> {
        let cohorts = [Some(&self.all), self.principal.as_ref(), self.birth.as_ref()];
        cohorts.into_iter().flatten().find(|cohort| cohort.is_down())
    }

    /// Whether it is confirmed as known, and in no cohort that was taken down, so that it can be changed.
    pub(super) fn is_settled(&self) -> bool {
        self.birth.is_none() && self.down().is_none()
    }

    pub(super) fn standing(&self) -> Standing {
        let Self { posture, latched, born, changed, .. } = *self;
        Standing { posture, latched, basis: Basis::Known { born, changed } }
    }

    /// This agent after `draft`, and the record of it, under number `seq`. The record is not in the history yet.
    pub(super) fn after(&self, name: &Arc<str>, draft: &Draft, seq: u64) -> (Self, Arc<TransitionResult>) {
        let success = draft.refusal.is_none();
        let record = Arc::new(TransitionResult {
            seq,
            agent: Arc::clone(name),
            from: self.posture,
            to: draft.to,
            kind: draft.kind,
            success,
            refusal: draft.refusal,
            reason: Arc::clone(&draft.reason),
            blocked_by: draft.blocked_by.clone(),
            requester: draft.requester.clone(),
            metadata: Arc::clone(&draft.metadata),
            recorded_at: draft.at.max(self.last_at),
            requested_at: draft.requested_at,
        });
        let mut next = self.clone();
        next.last = seq;
        next.last_at = record.recorded_at;
        if success {
            next.posture = draft.to;
            next.latched |= draft.latch;
            // A confirmation is no change: it makes no other decision wrong.
            next.changed = if draft.kind == TransitionKind::Maintain { self.changed } else { seq };
        }
        (next, record)
    }
}

impl Draft {
    /// A transition that is done.
    pub(super) fn done(request: &TransitionRequest, at: Timestamp) -> Self {
        Self {
            to: request.to,
            kind: request.kind(),
            refusal: None,
            reason: Arc::clone(&request.reason),
            blocked_by: None,
            requester: request.requester.clone(),
            metadata: Arc::clone(&request.metadata),
            requested_at: request.requested_at,
            at,
            latch: false,
        }
    }

    /// A transition that is refused.
    pub(super) fn refused(mut self, refusal: Refusal, reason: Arc<str>, blocked_by: Option<Arc<str>>) -> Self {
        (self.refusal, self.reason, self.blocked_by) = (Some(refusal), reason, blocked_by);
        self
    }

    /// An emergency.
    pub(super) fn emergency(order: &Downgrade, at: Timestamp) -> Self {
        Self {
            to: Posture::Pseudo,
            kind: TransitionKind::EmergencyDowngrade,
            refusal: None,
            reason: Arc::clone(&order.reason),
            blocked_by: None,
            requester: order.requester.clone(),
            metadata: Metadata::default(),
            requested_at: None,
            at,
            latch: order.latch,
        }
    }

    /// A posture that is set past all guards.
    pub(super) fn set(to: Posture, at: Timestamp) -> Self {
        let order = Downgrade::new("posture set");
        Self { to, kind: TransitionKind::Set, ..Self::emergency(&order, at) }
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;
    use crate::posture::cohort::Order;

    #[test]
    fn an_agent_is_settled_once_it_is_confirmed_and_until_it_is_taken_down() {
        let agent = Agent::stranger(&Everyone::new(), Posture::Tool, 1);
        assert!(!agent.is_settled(), "an emergency of others would take it down with the unknown");
        let agent = Agent { birth: None, ..agent };
        assert!(agent.is_settled());
        let order = Order { downgrade: Downgrade::new("stop"), at: Timestamp::ZERO, next: Cohort::new(None) };
        assert!(agent.all.take_down(&Arc::new(order)));
        assert!(!agent.is_settled());
    }

    #[test]
    fn a_refusal_fits_an_agent_that_it_can_be_recorded_of() {
        use Refusal::{Guarded, Latched, Stale, Superseded};
        let agent = Agent::stranger(&Everyone::new(), Posture::Tool, 1);
        let latched = Agent { latched: true, ..agent.clone() };
        let fitting = |agent: &Agent, from| {
            [Stale, Latched, Guarded, Superseded]
                .into_iter()
                .filter(|refusal| refusal.still_fits(agent, from))
                .collect()
        };
        let found: [Vec<_>; 3] =
            [fitting(&agent, Posture::Tool), fitting(&latched, Posture::Tool), fitting(&latched, Posture::Supervised)];
        assert_eq!(found, [vec![Guarded, Superseded], vec![Latched, Guarded, Superseded], vec![Stale]]);
    }
}
