//! Downgrades of many agents at one instant: a cohort is shut, and whoever meets one of its agents enters that.

#![forbid(unsafe_code)]

use super::agent::{Agent, Draft};
use super::cohort::{Cohort, Everyone, Order};
use super::shared::Shared;
use super::trim::Trims;
use super::{Downgrade, Scope};
use crate::clock::Clock;
use crate::contain::contained;
use crate::map::Step;
use std::sync::Arc;

impl<C: Clock> Shared<C> {
    /// Enters every downgrade of many that covers the agent, and confirms it as known, so that it can be decided on.
    pub(super) fn settle(&self, agent: &Arc<str>, trims: &mut Trims) {
        while let Some(known) = self.agents.get(&**agent) {
            match (known.down(), &known.birth) {
                (Some(down), _) => self.enter(agent, down, trims),
                (None, Some(birth)) if !self.confirm(agent, &known, birth) => {}
                (None, _) => return,
            }
        }
    }

    /// Lets an agent that was only just inserted be a stranger no more, unless its cohorts are down by now: that is entered
    /// first, since nobody could tell which came first, and the walk over everyone may have been over. True if it is none.
    fn confirm(&self, agent: &Arc<str>, seen: &Agent, birth: &Arc<Cohort>) -> bool {
        // Confirmed, not only looked at: who takes the strangers, or everyone, down later then finds the agent known.
        let is_open = seen.all.members.confirm_open() && birth.members.confirm_open();
        is_open
            && self.amend(agent, |known| {
                let same = known.birth.as_ref().is_some_and(|other| Arc::ptr_eq(other, birth));
                let same = same && known.born == seen.born && Arc::ptr_eq(&known.all, &seen.all);
                same.then(|| Agent { birth: None, ..known.clone() })
            })
    }

    /// Enters the downgrade of a cohort into one of its agents: a record, and the next cohort.
    fn enter(&self, agent: &Arc<str>, down: &Arc<Cohort>, trims: &mut Trims) {
        let order = down.order();
        let draft = Draft::emergency(&order.downgrade, order.at);
        let next = self.follow(&order.next);
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
            let (mut after, record) = known.after(agent, &draft, self.number());
            if Arc::ptr_eq(&after.all, down) {
                after.all = Arc::clone(&next);
            }
            if same(&after.principal) {
                after.principal = Some(Arc::clone(&next));
            }
            if same(&after.birth) {
                after.birth = Some(Arc::clone(&next));
            }
            after.history = if place.is_some() { known.history.with(record) } else { Default::default() };
            Step::Put(after)
        });
        if entered {
            self.emergencies.up();
            self.account(done.before, place);
        } else {
            self.leave(&next);
        }
    }

    /// An order to take down a cohort of this principal, or of no one's.
    fn order(&self, downgrade: &Downgrade, principal: Option<&Arc<str>>) -> Arc<Order> {
        let next = Cohort::new(principal.cloned());
        Arc::new(Order { downgrade: downgrade.clone(), at: self.clock.now(), next })
    }

    /// Takes all unknown agents down, and those that are only just being inserted.
    pub(super) fn lower_unknown(&self, downgrade: &Downgrade) {
        let order = self.order(downgrade, None);
        loop {
            let unknown = Arc::clone(&self.everyone().unknown);
            let mine = unknown.take_down(&order);
            self.renew(&unknown);
            if mine {
                // Contained: the emergency that this is for has more to do.
                contained(|| tracing::warn!("no room for an agent: every unknown agent is taken down"));
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

    /// Puts the next cohort in the place of one that was taken down.
    pub(super) fn renew(&self, down: &Arc<Cohort>) {
        let order = down.order();
        if let Some(principal) = &down.principal {
            self.principals.pin().compute(Arc::clone(principal), |current| match current {
                Some(current) if Arc::ptr_eq(current, down) => Step::Put(Arc::clone(&order.next)),
                _ => Step::Keep,
            });
            return;
        }
        self.change_everyone(|current| {
            let mut next = current.clone();
            if Arc::ptr_eq(&next.all, down) {
                next.all = Arc::clone(&order.next);
            } else if Arc::ptr_eq(&next.unknown, down) {
                next.unknown = Arc::clone(&order.next);
            } else {
                return None;
            }
            (next.lowered, next.latched) = (true, next.latched || order.downgrade.latch);
            Some(next)
        });
    }

    /// Replaces what holds for all by what `change` makes of it, if it makes something.
    pub(super) fn change_everyone(&self, change: impl Fn(&Everyone) -> Option<Everyone>) {
        self.everyone.pin().compute((), |current| {
            let next = current.and_then(|current| change(current));
            next.map_or(Step::Keep, |next| Step::Put(Arc::new(next)))
        });
    }

    /// Gives unknown agents the default posture again.
    pub(super) fn restore_default(&self) {
        // A downgrade that has begun is entered first, or it would be undone before it is done.
        self.open_everyone();
        self.change_everyone(|current| Some(Everyone { lowered: false, latched: false, ..current.clone() }));
    }

    pub(super) fn downgrade_all(&self, scope: &Scope, downgrade: &Downgrade, trims: &mut Trims) -> u64 {
        let principal = match scope {
            Scope::Everyone => None,
            Scope::Principal(principal) => Some(principal),
        };
        let order = self.order(downgrade, principal);
        // Stays in it until all have followed, so that it is not given up while some are still to come.
        let _ = order.next.members.take(1);
        loop {
            let cohort = match principal {
                None => Some(Arc::clone(&self.everyone().all)),
                Some(principal) => self.principals.get(&**principal),
            };
            let Some(cohort) = cohort else { return 0 };
            // The linearization point is in here.
            let mine = cohort.take_down(&order);
            let known = match principal {
                // Who is known, and has seen everyone up, has confirmed that: it is counted.
                None => self.agent_room.taken(),
                // What it had counted when it was shut stands.
                Some(_) => cohort.members.taken(),
            };
            self.renew(&cohort);
            if mine {
                self.settle_all(trims);
                self.leave(&order.next);
                return known;
            }
        }
    }

    /// Settles every agent that a downgrade of many covers, in the order of their names.
    pub(super) fn settle_all(&self, trims: &mut Trims) {
        let down = |(name, agent): (&Arc<str>, &Agent)| agent.down().map(|_| Arc::clone(name));
        let mut agents: Vec<_> = self.agents.pin().iter().filter_map(down).collect();
        agents.sort_unstable();
        for agent in agents {
            self.settle(&agent, trims);
        }
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;
    use crate::budget::Status;
    use crate::clock::{ManualClock, Timestamp};
    use crate::posture::PostureConfig;

    fn shared() -> Shared<ManualClock> {
        Shared::new(PostureConfig::new(), ManualClock::new(Timestamp::ZERO))
    }

    #[test]
    fn an_agent_is_confirmed_as_it_was_looked_at_and_not_as_it_came_back() {
        let (shared, name) = (shared(), Arc::from("agent"));
        let seen = Agent::stranger(&shared.everyone(), shared.config.default_posture, 7);
        assert!(shared.agents.pin().try_insert(Arc::clone(&name), seen.clone()).is_ok());
        let birth = Arc::clone(seen.birth.as_ref().unwrap());
        let earlier = Agent { born: 6, ..seen.clone() };
        assert!(!shared.confirm(&name, &earlier, &birth), "forgotten since, and inserted again");
        let moved = Agent { all: Cohort::new(None), ..seen.clone() };
        assert!(!shared.confirm(&name, &moved, &birth), "taken down with everyone since");
        let lowered = Cohort::new(None);
        assert!(!shared.confirm(&name, &seen, &lowered), "taken down with the unknown since");
        assert!(shared.confirm(&name, &seen, &birth));
    }

    #[test]
    fn an_agent_is_not_confirmed_once_a_cohort_of_it_is_down() {
        for cohort in [|seen: &Agent| Arc::clone(&seen.all), |seen: &Agent| seen.birth.clone().unwrap()] {
            let (shared, name) = (shared(), Arc::from("agent"));
            let seen = Agent::stranger(&shared.everyone(), shared.config.default_posture, 7);
            assert!(shared.agents.pin().try_insert(Arc::clone(&name), seen.clone()).is_ok());
            cohort(&seen).members.shut(Status::Closed).unwrap();
            assert!(!shared.confirm(&name, &seen, seen.birth.as_ref().unwrap()));
        }
    }

    #[test]
    fn who_renews_a_cohort_late_leaves_the_one_that_came_after() {
        let (shared, principal, trims) = (shared(), Arc::<str>::from("p"), &mut Trims::new());
        shared.enroll(&Arc::from("agent"), &principal, trims).unwrap();
        let cohorts = || (shared.everyone().all.clone(), shared.principals.get("p").unwrap());
        let (all, mine) = cohorts();
        for scope in [Scope::Everyone, Scope::Principal(Arc::clone(&principal))] {
            for _ in 0..2 {
                assert_eq!(shared.downgrade_all(&scope, &Downgrade::new("stop"), trims), 1);
            }
        }
        shared.renew(&all);
        shared.renew(&mine);
        let (all, mine) = cohorts();
        assert!(!all.is_down() && !mine.is_down());
    }
}
