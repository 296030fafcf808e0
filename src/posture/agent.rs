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
    /// The number of its last change: failures, and a posture that was only confirmed, are none. Before the first, the
    /// last time that unknown agents were taken down.
    pub(super) changed: u64,
    pub(super) latched: bool,
    pub(super) all: Arc<Cohort>,
    pub(super) principal: Option<Arc<Cohort>>,
    /// The cohort of the unknown, as it was when the agent was inserted.
    pub(super) birth: Option<Arc<Cohort>>,
    pub(super) history: History,
    /// The number of its last record.
    pub(super) last: u64,
    pub(super) last_at: Timestamp,
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
    /// An agent as it is before it is known.
    pub(super) fn unknown(everyone: &Everyone, default: Posture) -> Self {
        Self {
            posture: if everyone.is_low() { Posture::Pseudo } else { default },
            changed: everyone.epoch,
            latched: everyone.latched,
            all: Arc::clone(&everyone.all),
            principal: None,
            birth: Some(Arc::clone(&everyone.unknown)),
            history: History::default(),
            last: 0,
            last_at: Timestamp::ZERO,
        }
    }

    fn cohorts(&self) -> impl Iterator<Item = &Arc<Cohort>> {
        [Some(&self.all), self.principal.as_ref(), self.birth.as_ref()].into_iter().flatten()
    }

    /// A cohort of its that was taken down, if there is one.
    pub(super) fn down(&self) -> Option<&Arc<Cohort>> {
        self.cohorts().find(|cohort| cohort.is_down())
    }

    /// Whether it is kept down, as far as a downgrade of many has not been entered yet, too.
    pub(super) fn is_latched(&self) -> bool {
        self.latched || self.cohorts().any(|cohort| cohort.is_latched())
    }

    /// Its posture, as far as a downgrade of many has not been entered yet.
    pub(super) fn effective(&self) -> Posture {
        if self.down().is_some() { Posture::Pseudo } else { self.posture }
    }

    /// What a decision was made on, and must still be so when it takes effect.
    pub(super) fn token(&self) -> (u64, Posture) {
        (self.changed, self.posture)
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
