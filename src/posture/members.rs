//! Who is known, and whose agents they are.

#![forbid(unsafe_code)]

use super::PostureError;
use super::agent::Agent;
use super::cohort::Cohort;
use super::shared::Shared;
use super::trim::Trims;
use crate::budget::{Refused, Status};
use crate::clock::Clock;
use crate::map::Step;
use std::sync::Arc;

impl<C: Clock> Shared<C> {
    /// Counts an agent into the principal's open cohort.
    pub(super) fn join(&self, principal: &Arc<str>) -> Arc<Cohort> {
        let principals = self.principals.pin();
        loop {
            let done = principals.compute(Arc::clone(principal), |known| match known {
                Some(cohort) if cohort.members.status() != Status::Expired => Step::Keep,
                _ => Step::Put(Cohort::new(Some(Arc::clone(principal)))),
            });
            let Some(cohort) = done.after else { continue };
            match cohort.members.take(1) {
                Ok(_) => return Arc::clone(cohort),
                Err(Refused::Shut(Status::Closed)) => self.renew(cohort),
                Err(_) => {}
            }
        }
    }

    /// Counts an agent into the cohort that followed its own, or into the open one if all others have left that. One that
    /// is down itself counts no more, and is followed in its turn.
    pub(super) fn follow(&self, next: &Arc<Cohort>) -> Arc<Cohort> {
        match (next.members.take(1), &next.principal) {
            (Err(Refused::Shut(Status::Expired)), Some(principal)) => self.join(principal),
            _ => Arc::clone(next),
        }
    }

    /// Counts an agent out of its principal's cohort, which goes with its last member. False if the cohort was taken down
    /// before, and the agent with it.
    pub(super) fn leave(&self, cohort: &Arc<Cohort>) -> bool {
        let Some(principal) = &cohort.principal else { return true };
        let left = cohort.members.give_back(1);
        if cohort.members.shut_if_unused(Status::Expired).is_ok() {
            self.principals.pin().remove_if(&**principal, |other| Arc::ptr_eq(other, cohort));
        }
        left
    }

    pub(super) fn enroll(&self, agent: &Arc<str>, principal: &Arc<str>, trims: &mut Trims) -> Result<(), PostureError> {
        loop {
            self.introduce(agent, trims)?;
            self.settle(agent, trims);
            let joined = self.join(principal);
            let agents = self.agents.pin();
            let mut enrolled = false;
            let done = agents.compute(Arc::clone(agent), |known| {
                enrolled = false;
                let Some(known) = known.filter(|known| known.is_settled()) else { return Step::Keep };
                enrolled = true;
                Step::Put(Agent { principal: Some(Arc::clone(&joined)), ..known.clone() })
            });
            if !enrolled {
                self.leave(&joined);
                continue;
            }
            let left = done.before.and_then(|before| before.principal.clone());
            drop(agents);
            if let Some(left) = left {
                if !self.leave(&left) && !Arc::ptr_eq(&left, &joined) {
                    let order = left.order();
                    let _ = self.emergency(agent, &order.downgrade, order.at, trims);
                }
            }
            // If the cohort was taken down just then, it is followed. Confirmed, not only looked at: who takes it down
            // later then finds the agent in it.
            if !joined.members.confirm_open() {
                self.settle(agent, trims);
            }
            return Ok(());
        }
    }

    /// Forgets an agent. False if it is not known.
    pub(super) fn forget(&self, agent: &Arc<str>, trims: &mut Trims) -> Result<bool, PostureError> {
        loop {
            self.settle(agent, trims);
            let agents = self.agents.pin();
            let Some(known) = agents.get(&**agent) else { return Ok(false) };
            if known.latched {
                return Err(PostureError::Latched);
            }
            // As strangers may be at any time, and not only now: nobody who restores the default raises it, either.
            let would_raise = |known: &Agent| known.posture < self.config.default_posture;
            if would_raise(known) {
                return Err(PostureError::WouldRaise);
            }
            // What was decided on it before it was known does not concern who it is afterwards. Nor does that on a stranger
            // since, if it has come back meanwhile: then it is another.
            let born = known.born;
            let same = |known: &Agent| known.born == born && !known.latched;
            self.change_everyone(|same| Some(same.clone()));
            let fits = |known: &Agent| same(known) && !would_raise(known) && known.down().is_none();
            let Some(gone) = agents.remove_if(&**agent, fits) else { continue };
            self.drop_floor(agent, gone.last);
            self.drop_records(gone.history.len());
            if let Some(cohort) = &gone.principal {
                self.leave(cohort);
            }
            self.agent_room.give_back(1);
            return Ok(true);
        }
    }

    /// Lets a latched agent go. False if it is not latched.
    pub(super) fn release(&self, agent: &Arc<str>, trims: &mut Trims) -> bool {
        loop {
            self.settle(agent, trims);
            // A downgrade that came since may latch it, and is entered first.
            let open = |known: &Agent| known.down().is_none();
            let free = |known: &Agent| Agent { latched: false, ..known.clone() };
            if self.amend(agent, |known| (known.latched && open(known)).then(|| free(known))) {
                return true;
            }
            if !self.agents.pin().get(&**agent).is_some_and(|known| known.latched) {
                return false;
            }
        }
    }
}
