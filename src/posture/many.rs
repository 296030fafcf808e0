//! Downgrades of many agents at one instant: a cohort is shut, and whoever meets one of its agents enters that.

#![forbid(unsafe_code)]

use super::agent::{Agent, Draft};
use super::cohort::{Cohort, Everyone, Order};
use super::shared::Shared;
use super::trim::Trims;
use super::{Downgrade, Scope};
use crate::clock::{Clock, Timestamp};
use crate::map::Step;
use std::sync::Arc;

impl<C: Clock> Shared<C> {
    /// Enters every downgrade of many that covers the agent, so that it can be decided on.
    pub(super) fn settle(&self, agent: &Arc<str>, trims: &mut Trims) {
        loop {
            let down = self.agents.pin().get(&**agent).and_then(|known| known.down().cloned());
            let Some(down) = down else { return };
            self.enter(agent, &down, trims);
        }
    }

    /// Enters the downgrade of a cohort into one of its agents: a record, and another cohort.
    fn enter(&self, agent: &Arc<str>, down: &Arc<Cohort>, trims: &mut Trims) {
        let order = down.order().expect("there before the cohort is shut");
        let draft = Draft::emergency(&order.downgrade, order.at);
        let all = Arc::clone(&self.open_everyone().all);
        let joined = down.principal.as_ref().map(|principal| self.join(principal));
        let place = self.find_place(trims);
        let agents = self.agents.pin();
        let same = |cohort: &Option<Arc<Cohort>>| cohort.as_ref().is_some_and(|cohort| Arc::ptr_eq(cohort, down));
        let mut entered = false;
        let done = agents.compute(Arc::clone(agent), |known| {
            entered = false;
            let Some(known) = known.filter(|known| known.down().is_some_and(|other| Arc::ptr_eq(other, down))) else {
                return Step::Keep;
            };
            entered = true;
            let (mut next, record) = known.after(agent, &draft, self.number());
            if Arc::ptr_eq(&next.all, down) {
                next.all = Arc::clone(&all);
            }
            if same(&next.principal) {
                next.principal = joined.clone();
            }
            if same(&next.birth) {
                next.birth = None;
            }
            next.history = if place.is_some() { known.history.with(record) } else { Default::default() };
            Step::Put(next)
        });
        if entered {
            self.emergencies.up();
            self.account(done.before, place);
        } else if let Some(cohort) = &joined {
            self.leave(cohort);
        }
    }

    /// Takes all unknown agents down, and those that are only just being inserted.
    pub(super) fn lower_unknown(&self, order: &Downgrade) {
        let order = Arc::new(Order { downgrade: order.clone(), at: self.clock.now() });
        loop {
            let unknown = Arc::clone(&self.everyone().unknown);
            let mine = unknown.take_down(&order);
            self.renew(&unknown);
            if mine {
                tracing::warn!("no room for an agent: every unknown agent is taken down");
                return;
            }
        }
    }

    /// What holds for all, with no cohort that is down: whoever comes replaces it.
    pub(super) fn open_everyone(&self) -> Arc<Everyone> {
        loop {
            let everyone = self.everyone();
            if everyone.all.is_down() {
                self.renew(&everyone.all);
            } else if everyone.unknown.is_down() {
                self.renew(&everyone.unknown);
            } else {
                return everyone;
            }
        }
    }

    /// Puts another cohort in the place of one that was taken down, for those to come.
    fn renew(&self, down: &Arc<Cohort>) {
        if let Some(principal) = &down.principal {
            self.principals.pin().remove_if(&**principal, |other| Arc::ptr_eq(other, down));
            return;
        }
        let latch = down.order().is_some_and(|order| order.downgrade.latch);
        let (fresh, epoch) = (Cohort::new(None), self.number());
        self.everyone.pin().compute((), |current| {
            let Some(current) = current else { return Step::Keep };
            let mut next = Everyone::clone(current);
            if Arc::ptr_eq(&next.all, down) {
                next.all = Arc::clone(&fresh);
            } else if Arc::ptr_eq(&next.unknown, down) {
                next.unknown = Arc::clone(&fresh);
            } else {
                return Step::Keep;
            }
            (next.lowered, next.latched, next.epoch) = (true, next.latched || latch, epoch);
            Step::Put(Arc::new(next))
        });
    }

    /// Gives unknown agents the default posture again.
    pub(super) fn restore_default(&self) {
        // A downgrade that has begun is entered first, or it would be undone before it is done.
        self.open_everyone();
        self.everyone.pin().compute((), |current| match current {
            Some(current) => {
                Step::Put(Arc::new(Everyone { lowered: false, latched: false, ..Everyone::clone(current) }))
            }
            None => Step::Keep,
        });
    }

    pub(super) fn downgrade_all(&self, scope: &Scope, order: &Downgrade, trims: &mut Trims) -> u64 {
        let order = Arc::new(Order { downgrade: order.clone(), at: self.clock.now() });
        loop {
            let cohort = match scope {
                Scope::Everyone => Some(Arc::clone(&self.everyone().all)),
                Scope::Principal(principal) => self.principals.get(&**principal),
            };
            let Some(cohort) = cohort else { return 0 };
            // The linearization point is in here.
            let mine = cohort.take_down(&order);
            let known = match scope {
                Scope::Everyone => self.agent_room.spent_at(Timestamp::ZERO).calls,
                // What it had counted when it was shut stands.
                Scope::Principal(_) => cohort.members.spent_at(Timestamp::ZERO).calls,
            };
            self.renew(&cohort);
            if mine {
                self.settle_all(trims);
                return known;
            }
        }
    }

    /// Settles every agent that a downgrade of many covers.
    pub(super) fn settle_all(&self, trims: &mut Trims) {
        let down = |(name, agent): (&Arc<str>, &Agent)| agent.down().map(|_| Arc::clone(name));
        let agents: Vec<_> = self.agents.pin().iter().filter_map(down).collect();
        for agent in agents {
            self.settle(&agent, trims);
        }
    }
}
