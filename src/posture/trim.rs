//! The bound of the history: places for records, and the trims that win them back.
//!
//! A record has a place before it is appended, so there are never more than places. Who finds none trims: it decides for
//! each agent from which number on its records stay, and publishes these *floors* for all agents in one exchange. Then it
//! cuts the lists, and each exchange that cuts one gives back the places of what it cut. A reader takes the lists first
//! and the floors last, so it sees all of a trim or nothing of it.

#![forbid(unsafe_code)]

use super::history::History;
use super::shared::Shared;
use super::{TransitionResult, TrimReport};
use crate::clock::Clock;
use crate::hash::{RandomState, random_state};
use crate::map::Step;
use crate::room::Hold;
use std::collections::HashMap;
use std::sync::Arc;

/// From which number on the records of each agent stay.
#[derive(Clone)]
pub(super) struct Floors {
    /// Shared by those that differ in nothing else: most forgotten agents never had a floor.
    by_agent: Arc<HashMap<Arc<str>, u64, RandomState>>,
    /// Those whose floor the last trim has raised.
    raised: Arc<[Arc<str>]>,
}

/// What was trimmed in the course of an operation, to be told when all else is done.
pub(super) type Trims = Vec<TrimReport>;

impl Floors {
    pub(super) fn new() -> Self {
        Self { by_agent: Arc::new(HashMap::with_hasher(random_state())), raised: Arc::default() }
    }

    /// The number from which on the agent's records stay.
    pub(super) fn of(&self, agent: &str) -> u64 {
        self.by_agent.get(agent).copied().unwrap_or(0)
    }
}

impl<C: Clock> Shared<C> {
    pub(super) fn floors(&self) -> Arc<Floors> {
        self.floors.get(&()).expect("there from the beginning, and only ever replaced")
    }

    /// Takes a place for a record, trimming if there is none. None if nothing can be trimmed either: the limit is zero,
    /// or others hold all places for records that they are about to append.
    pub(super) fn find_place(&self, trims: &mut Trims) -> Option<Hold<'_>> {
        loop {
            if let Some(place) = self.record_room.hold(1) {
                return Some(place);
            }
            if self.config.history == 0 {
                return None;
            }
            // What was decided is carried out before more is.
            let floors = self.floors();
            self.cut(&floors);
            if let Some(place) = self.record_room.hold(1) {
                return Some(place);
            }
            let (next, dropped) = self.plan(&floors);
            if dropped == 0 {
                return None;
            }
            // Decided on these floors: of two trims at once one is dropped.
            let next = Arc::new(next);
            let all_floors = self.floors.pin();
            let done = all_floors.compute((), |current| match current {
                Some(current) if Arc::ptr_eq(current, &floors) => Step::Put(Arc::clone(&next)),
                _ => Step::Keep,
            });
            if done.after.is_some_and(|after| Arc::ptr_eq(after, &next)) {
                self.cut(&next);
                self.trims.up();
                let (dropped_total, limit) = (self.dropped.get(), self.config.history);
                trims.push(TrimReport { dropped, dropped_total, limit });
            }
        }
    }

    /// The floors of a trim that leaves all but the oldest tenth, and how many records it drops: first those that are
    /// not among the newest of their agent, and oldest first.
    fn plan(&self, floors: &Floors) -> (Floors, u64) {
        let limit = self.config.history;
        let tenth = (limit / 10).max(1);
        let (mut names, mut loose, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for (name, agent) in self.agents.pin().iter() {
            let floor = floors.of(name);
            let numbers: Vec<u64> = agent.history.iter().map(|record| record.seq).filter(|&seq| seq >= floor).collect();
            let exposed = numbers.len().saturating_sub(usize::try_from(self.share).unwrap_or(usize::MAX));
            loose.extend(numbers[..exposed].iter().map(|&seq| (seq, names.len())));
            held.extend(numbers[exposed..].iter().map(|&seq| (seq, names.len())));
            names.push(Arc::clone(name));
        }
        let found = (loose.len() + held.len()) as u64;
        // Fewer are found where others are about to append, or to give back what they cut: no more goes than has to.
        let dropped = found.saturating_sub(limit - tenth).clamp(1, tenth).min(found);
        let from_loose = (dropped as usize).min(loose.len());
        let from_held = dropped as usize - from_loose;
        let mut next = floors.clone();
        let by_agent = Arc::make_mut(&mut next.by_agent);
        for (number, agent) in lowest(&mut loose, from_loose).iter().chain(lowest(&mut held, from_held)) {
            let floor = by_agent.entry(Arc::clone(&names[*agent])).or_insert(0);
            *floor = (*floor).max(number + 1);
        }
        let raised = names.into_iter().filter(|name| next.of(name) > floors.of(name));
        next.raised = raised.collect();
        (next, dropped)
    }

    /// Cuts what the last trim has decided. Whoever comes helps; each list is cut, and its places given back, once.
    fn cut(&self, floors: &Floors) {
        let agents = self.agents.pin();
        for name in floors.raised.iter() {
            let floor = floors.of(name);
            let done = agents.compute(Arc::clone(name), |agent| {
                let cut = agent.and_then(|agent| agent.history.cut(floor).map(|history| (agent, history)));
                cut.map_or(Step::Keep, |(agent, history)| {
                    let mut next = agent.clone();
                    next.history = history;
                    Step::Put(next)
                })
            });
            if let (Some(before), Some(after)) = (done.before, done.after) {
                self.drop_records(before.history.len() - after.history.len());
            }
        }
    }

    /// Gives back the places of records that are out of reach.
    pub(super) fn drop_records(&self, records: u64) {
        if records > 0 {
            self.dropped.add(records);
            self.record_room.give_back(records);
        }
    }

    /// Drops the floor of an agent that was forgotten, and lets readers know that it went. A floor above `last` belongs
    /// to an agent of the same name that came since.
    pub(super) fn drop_floor(&self, agent: &str, last: u64) {
        self.floors.pin().compute((), |current| {
            let mut next = current.map_or_else(Floors::new, |current| Floors::clone(current));
            if (1..=last + 1).contains(&next.of(agent)) {
                Arc::make_mut(&mut next.by_agent).remove(agent);
            }
            Step::Put(Arc::new(next))
        });
    }

    /// The records of lists that are taken by `collect` between two looks that saw the same floors, less what is below
    /// these; of each list the newest `most`.
    pub(super) fn visible(
        &self,
        most: usize,
        collect: impl Fn() -> Vec<(Arc<str>, History)>,
    ) -> Vec<Arc<TransitionResult>> {
        let mut before = self.floors();
        loop {
            let lists = collect();
            let floors = self.floors();
            // A trim in between may have been decided on more than the lists showed, and the floor of an agent that was
            // forgotten is gone.
            if Arc::ptr_eq(&floors, &before) {
                let newest = |(name, list): &(Arc<str>, History)| {
                    let (floor, older) = (floors.of(name), (list.len() as usize).saturating_sub(most));
                    list.iter().skip(older).filter(|record| record.seq >= floor).cloned().collect::<Vec<_>>()
                };
                return lists.iter().flat_map(newest).collect();
            }
            before = floors;
        }
    }
}

/// The `n` lowest of `numbers`, in no particular order. O(length).
fn lowest(numbers: &mut [(u64, usize)], n: usize) -> &[(u64, usize)] {
    if n > 0 && n < numbers.len() {
        numbers.select_nth_unstable(n);
    }
    &numbers[..n]
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::posture::PostureConfig;

    #[test]
    fn the_floor_of_a_forgotten_agent_goes_and_that_of_one_that_came_since_stays() {
        // What is left of a floor of 8, with the last number of who is forgotten.
        for (last, left) in [(0, 8), (6, 8), (7, 0), (8, 0), (100, 0)] {
            let shared = Shared::new(PostureConfig::new(), ManualClock::new(Timestamp::ZERO));
            let mut floors = Floors::new();
            Arc::make_mut(&mut floors.by_agent).insert(Arc::from("agent"), 8);
            shared.floors.pin().insert((), Arc::new(floors));
            shared.drop_floor("another", 100);
            let before = shared.floors();
            assert_eq!(before.of("agent"), 8);
            shared.drop_floor("agent", last);
            assert_eq!(shared.floors().of("agent"), left);
            assert!(!Arc::ptr_eq(&before, &shared.floors()), "a reader is to look again");
        }
    }
}
