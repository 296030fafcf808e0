//! The deadline queue: an entry is visited when it is due and not before, with the deadline it has, and is then gone.
//!
//! A sweep is many instants: it raises the time, then visits entry by entry. Two sweeps may visit the same one, and neither
//! knows which of them takes it off, nor when, only that it is off when they are done. And one may miss what the other has
//! in hand, to put it nearer to its deadline, or have it put back after a visit; the next one meets it.

use super::check::{MAX_THREADS, Model};
use super::record::{Subject, pause};
use crate::run::Checked;
use fastrand::Rng;
use std::collections::BTreeMap;
use tollgate::clock::Timestamp;
use tollgate::deadline::{DeadlineQueue, Next};

/// Deadlines are so far apart that entries change buckets.
const SPREAD: u64 = 300;
/// A time that no sweep but the last comes to.
const LATER: u64 = 1 << 20;

pub(super) struct Deadlines(DeadlineQueue<u64>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Add { key: u64, deadline: u64 },
    Sweep(u64),
    Advance(u64),
    HighWater,
    DroppedThrough,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Add {
        key: u64,
        deadline: u64,
    },
    /// Time is raised, by an `advance` or a sweep; what it is then.
    Raise {
        now: u64,
        high_water: u64,
    },
    /// A sweep has raised the time, and will have met what is due by now.
    Begin {
        now: u64,
    },
    Visit {
        key: u64,
        deadline: u64,
    },
    End,
    HighWater(u64),
    DroppedThrough(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    entries: BTreeMap<u64, Entry>,
    high_water: u64,
    dropped_through: u64,
    sweeps: [Option<Sweep>; MAX_THREADS],
}

/// A sweep of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sweep {
    /// What it has to meet: what was due when it began, and what it visited.
    due: Vec<u64>,
    now: u64,
    /// Whether another one was going on at some moment of it.
    beside_another: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    deadline: u64,
    /// It was visited, and is taken off as was decided, now or later; or is put back by who had it in hand.
    visited: bool,
}

/// What a visit decides: every fourth entry is put off once.
fn later(key: u64, deadline: u64) -> Option<u64> {
    (key % 4 == 0 && deadline < LATER).then_some(LATER + key)
}

impl Queue {
    fn begin(&mut self, thread: usize, now: u64) {
        self.high_water = self.high_water.max(now);
        let now = self.high_water;
        let due = self.entries.iter().filter(|(_, entry)| entry.deadline <= now).map(|(key, _)| *key).collect();
        self.sweeps[thread] = Some(Sweep { due, now, beside_another: false });
        let beside_another = self.sweeps.iter().flatten().count() > 1;
        self.sweeps.iter_mut().flatten().for_each(|sweep| sweep.beside_another |= beside_another);
    }

    fn visit(&mut self, thread: usize, key: u64, deadline: u64) -> bool {
        let Some(Sweep { due, now, .. }) = &mut self.sweeps[thread] else { return false };
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        if entry.visited && later(key, entry.deadline) == Some(deadline) {
            entry.deadline = deadline;
        }
        entry.visited = true;
        due.push(key);
        self.dropped_through = self.dropped_through.max(*now);
        deadline <= *now && entry.deadline == deadline
    }

    /// Nothing is left that was due when the sweep began, or that it visited, unless another one had it. An entry that was
    /// visited is off by now, as was decided; to take it off no earlier rules out nothing, for nobody misses it before.
    fn end(&mut self, thread: usize) -> bool {
        let Some(Sweep { due, now, beside_another }) = self.sweeps[thread].take() else { return false };
        due.into_iter().all(|key| match self.entries.get(&key).copied() {
            Some(entry) if entry.visited && !beside_another => {
                match later(key, entry.deadline) {
                    Some(deadline) => self.entries.insert(key, Entry { deadline, visited: false }),
                    None => self.entries.remove(&key),
                };
                true
            }
            entry => beside_another || entry.is_none_or(|entry| entry.deadline > now),
        })
    }
}

impl Model for Queue {
    type Step = Step;

    fn apply(&mut self, thread: usize, step: &Step) -> bool {
        match *step {
            Step::Add { key, deadline } => self.entries.insert(key, Entry { deadline, visited: false }).is_none(),
            Step::Raise { now, high_water } => {
                self.high_water = self.high_water.max(now);
                self.high_water == high_water
            }
            Step::Begin { now } => {
                self.begin(thread, now);
                true
            }
            Step::Visit { key, deadline } => self.visit(thread, key, deadline),
            Step::End => self.end(thread),
            Step::HighWater(seen) => self.high_water == seen,
            Step::DroppedThrough(seen) => self.dropped_through == seen,
        }
    }

    fn is_read(step: &Step) -> bool {
        matches!(step, Step::HighWater(_) | Step::DroppedThrough(_))
    }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

impl Subject for Deadlines {
    type Op = Op;
    type Model = Queue;
    const CALLS: u64 = 8;

    fn new(_: &mut Rng) -> Checked<Self> {
        Ok(Self(DeadlineQueue::new()))
    }

    fn start(&self) -> Queue {
        Queue { entries: BTreeMap::new(), high_water: 0, dropped_through: 0, sweeps: Default::default() }
    }

    fn plan(rng: &mut Rng, unique: u64) -> Op {
        let time = rng.u64(..SPREAD);
        match rng.u8(..32) {
            0..18 => Op::Add { key: unique, deadline: time },
            18..26 => Op::Sweep(time),
            26..28 => Op::Advance(time),
            28..30 => Op::HighWater,
            _ => Op::DroppedThrough,
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let Self(queue) = self;
        match op {
            Op::Add { key, deadline } => {
                queue.add(key, at(deadline));
                steps.push(Step::Add { key, deadline });
            }
            Op::Sweep(now) => {
                steps.push(Step::Begin { now });
                let mut visited = Vec::new();
                queue.sweep(at(now), usize::MAX, |&key, met| {
                    pause();
                    visited.push((key, met.deadline.as_nanos()));
                    later(key, met.deadline.as_nanos()).map_or(Next::Drop, |later| Next::KeepUntil(at(later)))
                });
                steps.extend(visited.into_iter().map(|(key, deadline)| Step::Visit { key, deadline }));
                steps.push(Step::End);
            }
            Op::Advance(now) => {
                let high_water = queue.advance(at(now)).as_nanos();
                steps.push(Step::Raise { now, high_water });
            }
            Op::HighWater => steps.push(Step::HighWater(queue.high_water().as_nanos())),
            Op::DroppedThrough => steps.push(Step::DroppedThrough(queue.dropped_through().as_nanos())),
        }
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        self.call(Op::HighWater, steps);
        self.call(Op::DroppedThrough, steps);
        // First what was to come, then what was put off.
        self.call(Op::Sweep(SPREAD), steps);
        self.call(Op::Sweep(2 * LATER), steps);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;

    fn judged(events: Vec<(usize, u64, u64, Step)>) -> bool {
        holds(&Deadlines::new(&mut Rng::with_seed(1)).unwrap().start(), events)
    }

    fn sweep(now: u64, visited: &[(u64, u64)]) -> Vec<Step> {
        let visits = visited.iter().map(|&(key, deadline)| Step::Visit { key, deadline });
        [Step::Begin { now }].into_iter().chain(visits).chain([Step::End]).collect()
    }

    fn history(first: Step, sweeps: Vec<(usize, u64, u64, Vec<Step>)>) -> Vec<(usize, u64, u64, Step)> {
        let steps = |(thread, start, end, steps): (_, _, _, Vec<Step>)| {
            steps.into_iter().map(move |step| (thread, start, end, step))
        };
        [(0, 0, 1, first)].into_iter().chain(sweeps.into_iter().flat_map(steps)).collect()
    }

    #[test]
    fn accepts_two_sweeps_that_visit_the_same_entry() {
        let add = Step::Add { key: 1, deadline: 5 };
        let both = vec![(0, 2, 9, sweep(5, &[(1, 5)])), (1, 3, 8, sweep(7, &[(1, 5)]))];
        assert!(judged(history(add, both)));
    }

    #[test]
    fn accepts_what_a_sweep_misses_beside_another_and_nothing_that_the_next_one_misses() {
        let add = Step::Add { key: 1, deadline: 5 };
        let mut sweeps = vec![(0, 2, 9, sweep(4, &[])), (1, 3, 8, sweep(7, &[]))];
        assert!(judged(history(add.clone(), sweeps.clone())));
        sweeps.push((1, 10, 11, sweep(7, &[])));
        assert!(!judged(history(add, sweeps)));
    }

    #[test]
    fn rejects_an_entry_that_is_missed_or_visited_early_or_after_it_has_gone() {
        let add = Step::Add { key: 1, deadline: 5 };
        assert!(!judged(history(add.clone(), vec![(1, 2, 3, sweep(5, &[]))])));
        assert!(!judged(history(add.clone(), vec![(1, 2, 3, sweep(4, &[(1, 5)]))])));
        let twice = vec![(0, 2, 3, sweep(5, &[(1, 5)])), (1, 4, 5, sweep(7, &[(1, 5)]))];
        assert!(!judged(history(add, twice)));
    }
}
