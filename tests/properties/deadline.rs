//! `DeadlineQueue` against a vector of keys and deadlines.

use super::{OPS, config, magnitude, moved};
use proptest::collection::vec;
use proptest::prelude::*;
use tollgate::clock::Timestamp;
use tollgate::deadline::{DeadlineQueue, Next};

/// Stale entries that a new era needs at least.
const MIN_STALE: u64 = 64;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Adds so many entries, due this much after or before the present time.
    Add {
        count: u64,
        forth: bool,
        by: u64,
    },
    AddForever,
    Sweep(Sweep),
    NoteStale(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    /// How the present time moves first.
    pub(crate) forth: bool,
    pub(crate) by: u64,
    pub(crate) limit: usize,
    pub(crate) keep: Keep,
}

/// Entries whose key is a multiple of `every` are kept until `by` after or before their deadline; others go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) every: u64,
    pub(crate) forth: bool,
    pub(crate) by: u64,
}

impl Keep {
    fn next(self, key: u64, deadline: u64) -> Next {
        if key % self.every == 0 {
            Next::KeepUntil(Timestamp::from_nanos(moved(deadline, self.forth, self.by)))
        } else {
            Next::Drop
        }
    }
}

pub(crate) const NOTHING: Keep = Keep { every: u64::MAX, forth: true, by: 0 };

/// Times move by less than 2^`bits` at once.
fn op(bits: u32) -> impl Strategy<Value = Op> {
    let by = || magnitude(bits);
    let forth = || prop::bool::weighted(0.75);
    let count = prop_oneof![9 => 1..3_u64, 1 => 3..90_u64];
    let limit = prop_oneof![3 => 0..5_usize, 1 => 5..50_usize, 2 => Just(usize::MAX)];
    let keep = (1..5_u64, forth(), by()).prop_map(|(every, forth, by)| Keep { every, forth, by });
    let keep = prop_oneof![Just(NOTHING), keep];
    let sweep = (forth(), by(), limit, keep);
    prop_oneof![
        8 => (count, forth(), by()).prop_map(|(count, forth, by)| Op::Add { count, forth, by }),
        1 => Just(Op::AddForever),
        6 => sweep.prop_map(|(forth, by, limit, keep)| Op::Sweep(Sweep { forth, by, limit, keep })),
        1 => (1..100_u64).prop_map(Op::NoteStale),
    ]
}

fn case() -> impl Strategy<Value = (u64, Vec<Op>)> {
    let bits = prop_oneof![1..14_u32, 14..65_u32];
    bits.prop_flat_map(|bits| (magnitude(64), vec(op(bits), 0..=OPS)))
}

struct Entry {
    key: u64,
    deadline: u64,
    era: u64,
}

#[derive(Default)]
struct Pair {
    queue: DeadlineQueue<u64>,
    entries: Vec<Entry>,
    added: u64,
    now: u64,
    high_water: u64,
    dropped_through: u64,
    era: u64,
    stale: u64,
}

impl Pair {
    fn add(&mut self, deadline: u64) {
        // Keys start at 1: 0 is a multiple even of what `NOTHING` says.
        self.added += 1;
        self.queue.add(self.added, Timestamp::from_nanos(deadline));
        self.entries.push(Entry { key: self.added, deadline, era: self.era });
    }

    fn note_stale(&mut self) {
        self.queue.note_stale();
        self.stale += 1;
        self.begin_era_if_due();
    }

    fn begin_era_if_due(&mut self) {
        if self.stale >= MIN_STALE && self.stale > self.entries.len() as u64 / 2 {
            self.stale = 0;
            self.era += 1;
        }
    }

    /// What may be visited is what is due, and what is left of older eras.
    fn may_be_visited(&self, entry: &Entry) -> bool {
        entry.deadline <= self.high_water || entry.era < self.era
    }

    /// Sweeps and compares. True if there is more to do.
    fn sweep(&mut self, limit: usize, keep: Keep) -> Result<bool, TestCaseError> {
        let before = self.entries.len();
        self.high_water = self.high_water.max(self.now.min(u64::MAX - 1));
        self.begin_era_if_due();
        let mut visits = Vec::new();
        let mut times = Vec::new();
        let swept = self.queue.sweep(Timestamp::from_nanos(self.now), limit, |&key, met| {
            times.push(met.now.as_nanos());
            visits.push((key, met.deadline.as_nanos()));
            keep.next(key, met.deadline.as_nanos())
        });
        prop_assert!(times.iter().all(|&time| time == self.high_water), "judged by {times:?}");
        let mut visited: Vec<_> = visits.iter().map(|visit| visit.0).collect();
        visited.sort_unstable();
        visited.dedup();
        prop_assert_eq!(visited.len(), visits.len(), "an entry was visited twice");
        for &(key, deadline) in &visits {
            let at = self.entries.iter().position(|entry| entry.key == key);
            let Some(at) = at else { return Err(TestCaseError::fail(format!("{key} was dropped before"))) };
            prop_assert_eq!(deadline, self.entries[at].deadline);
            prop_assert!(self.may_be_visited(&self.entries[at]), "{key} was visited before {deadline}");
            if deadline <= self.high_water {
                self.dropped_through = self.high_water;
            }
            match keep.next(key, deadline) {
                Next::Drop => drop(self.entries.swap_remove(at)),
                Next::KeepUntil(until) => {
                    let deadline = until.as_nanos().max(self.high_water + 1);
                    self.entries[at] = Entry { key, deadline, era: self.era };
                }
            }
        }
        prop_assert_eq!((swept.visited, swept.dropped), (visits.len(), before - self.entries.len()));
        prop_assert!(swept.visited <= limit);
        // An entry takes one step of a sweep at most.
        prop_assert!(!swept.more || limit < before, "{limit} steps were not enough for {before} entries");
        let left = self.entries.iter().find(|entry| self.may_be_visited(entry));
        prop_assert!(swept.more || left.is_none(), "{:?} was left", left.map(|entry| entry.key));
        let due = self.entries.iter().find(|entry| entry.deadline <= self.high_water);
        prop_assert!(swept.more_due || due.is_none(), "{:?}, which is due, was left", due.map(|entry| entry.key));
        prop_assert!(swept.more || !swept.more_due);
        Ok(swept.more)
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.queue.len(), self.entries.len() as u64);
        prop_assert_eq!(self.queue.is_empty(), self.entries.is_empty());
        prop_assert_eq!(self.queue.high_water(), Timestamp::from_nanos(self.high_water));
        prop_assert_eq!(self.queue.dropped_through(), Timestamp::from_nanos(self.dropped_through));
        Ok(())
    }

    fn follows(&mut self, ops: Vec<Op>) -> Result<(), TestCaseError> {
        for op in ops {
            match op {
                Op::Add { count, forth, by } => (0..count).for_each(|_| self.add(moved(self.now, forth, by))),
                Op::AddForever => self.add(u64::MAX),
                Op::Sweep(Sweep { forth, by, limit, keep }) => {
                    self.now = moved(self.now, forth, by);
                    self.sweep(limit, keep)?;
                }
                Op::NoteStale(times) => (0..times).for_each(|_| self.note_stale()),
            }
            self.compare()?;
        }
        Ok(())
    }

    /// At the last instant everything goes, a few at a time, but what is due never.
    fn drains(&mut self, limit: usize) -> Result<(), TestCaseError> {
        self.now = u64::MAX;
        // A step for each, and another if an era begins when others have gone.
        let sweeps = 2 * self.entries.len() / limit + 1;
        for sweep in 0..sweeps {
            if !self.sweep(limit, NOTHING)? {
                prop_assert!(self.entries.iter().all(|entry| entry.deadline == u64::MAX));
                return self.compare();
            }
            prop_assert!(sweep + 1 < sweeps, "{sweeps} sweeps of {limit} steps were not enough");
        }
        Ok(())
    }
}

/// Follows the operations from `now` on, then drains the queue, `limit` entries at a time.
pub(crate) fn agrees(now: u64, ops: Vec<Op>, limit: usize) -> Result<(), TestCaseError> {
    let mut pair = Pair { now, ..Pair::default() };
    pair.follows(ops)?;
    pair.drains(limit)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_sweep_visits_exactly_what_is_due((now, ops) in case(), limit in 1..8_usize) {
        agrees(now, ops, limit)?;
    }
}
