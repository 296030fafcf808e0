//! Who is known, and whose agents they are.

#![forbid(unsafe_code)]

use super::PostureError;
use super::agent::Agent;
use super::cohort::Cohort;
use super::shared::Shared;
use super::trim::Trims;
use crate::budget::{Denied, Status};
use crate::clock::{Clock, Timestamp};
use crate::map::Step;
use crate::room::Hold;
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
            match cohort.members.admit(1, Timestamp::ZERO) {
                Ok(_) => return Arc::clone(cohort),
                Err(Denied::Shut(Status::Closed)) => self.renew(cohort),
                Err(_) => {}
            }
        }
    }

    /// Counts an agent into the cohort that followed its own, or into the open one if all others have left that. False
    /// if it is down itself: such a cohort counts no more, and is followed in its turn.
    pub(super) fn follow(&self, next: &Arc<Cohort>) -> (Arc<Cohort>, bool) {
        match (next.members.admit(1, Timestamp::ZERO), &next.principal) {
            (Err(Denied::Shut(Status::Expired)), Some(principal)) => (self.join(principal), true),
            (counted, _) => (Arc::clone(next), counted.is_ok()),
        }
    }

    /// Counts an agent out of its principal's cohort, which goes with its last member. False if the cohort was taken down
    /// before, and the agent with it.
    pub(super) fn leave(&self, cohort: &Arc<Cohort>) -> bool {
        let Some(principal) = &cohort.principal else { return true };
        let left = cohort.members.give_back(1);
        if cohort.members.shut_if(Status::Expired, |spent| spent.calls == 0).is_ok() {
            self.principals.pin().remove_if(&**principal, |other| Arc::ptr_eq(other, cohort));
        }
        left
    }

    pub(super) fn enroll(&self, agent: &Arc<str>, principal: &Arc<str>, trims: &mut Trims) -> Result<(), PostureError> {
        let mut seat: Option<Hold<'_>> = None;
        loop {
            self.settle(agent, trims);
            let stranger = seat.as_ref().map(|_| self.stranger());
            let joined = self.join(principal);
            let agents = self.agents.pin();
            let mut enrolled = false;
            let done = agents.compute(Arc::clone(agent), |known| {
                enrolled = false;
                let Some(agent) = known.or(stranger.as_ref()) else { return Step::Keep };
                if agent.down().is_some() || joined.is_down() {
                    return Step::Keep;
                }
                enrolled = true;
                Step::Put(Agent { principal: Some(Arc::clone(&joined)), ..agent.clone() })
            });
            if !enrolled {
                self.leave(&joined);
                if done.before.is_none() && seat.is_none() {
                    seat = Some(self.find_seat()?);
                }
                continue;
            }
            if let Some(left) = done.before.and_then(|before| before.principal.as_ref()) {
                if !self.leave(left) && !Arc::ptr_eq(left, &joined) {
                    let order = left.order();
                    // Refused only if the agent was forgotten meanwhile, and there is no room to enter it anew.
                    let _ = self.lower(agent, &order.downgrade, order.at, trims);
                }
            }
            if done.before.is_none() {
                self.confirm(agent, seat, trims);
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
            let stranger = self.stranger();
            if known.posture < stranger.posture {
                return Err(PostureError::WouldRaise);
            }
            // Decided on this very entry: any other one is looked at anew.
            let same = |other: &Agent| other.last == known.last && other.changed == known.changed;
            let fits = |other: &Agent| same(other) && !other.latched && other.down().is_none();
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
