//! The FIFO map: what is evicted is the oldest, what is there is within the cap, and nothing comes back.
//!
//! By its module an insert is not one instant: it takes a slot, evicts for it if there is none, and links its entry then.

use super::check::Model;
use super::record::{Key, Subject, hasher, pause};
use crate::run::{Checked, broken};
use fastrand::Rng;
use std::cell::RefCell;
use tollgate::fifo::{FifoMap, Reason};

const KEYS: u64 = 5;
/// How many a call evicts at most because they have even values.
const LIMIT: usize = 2;

thread_local! {
    /// What the listener heard in this thread's call.
    static HEARD: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Fifo {
    map: FifoMap<Key, u64>,
    cap: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Get(u64),
    Insert(u64, u64),
    Remove(u64),
    PopOldest,
    /// Evicts as long as values are even, up to the limit.
    EvictEven,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A call that may hold a slot begins.
    Enter,
    /// Every slot is taken: by an entry, or by a call that is on its way.
    Full,
    /// The oldest entry goes.
    Evict {
        key: u64,
        value: u64,
    },
    /// How many went in one call because they had even values, though they may have been replaced since they were judged;
    /// and how many it said.
    Evicted {
        heard: usize,
        said: usize,
    },
    Put {
        seq: u64,
        key: u64,
        value: u64,
        replaced: bool,
    },
    /// The call holds no slot any more.
    Leave,
    Get(u64, Option<u64>),
    Remove(u64, Option<u64>),
    /// A pop found nothing.
    Empty,
    /// All that is there, at rest.
    Snapshot(Vec<Entry>),
}

/// Number, key and value.
type Entry = (u64, u64, u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    cap: usize,
    /// By number.
    entries: Vec<Entry>,
    /// Calls that may hold a slot.
    busy: usize,
}

impl Queue {
    fn find(&self, key: u64) -> Option<usize> {
        self.entries.iter().position(|entry| entry.1 == key)
    }

    fn put(&mut self, (seq, key, value): Entry, replaced: bool) -> bool {
        match self.find(key) {
            Some(at) => {
                self.entries[at].2 = value;
                replaced && self.entries[at].0 == seq
            }
            None => {
                let at = self.entries.partition_point(|entry| entry.0 < seq);
                self.entries.insert(at, (seq, key, value));
                !replaced && self.entries.len() <= self.cap
            }
        }
    }
}

impl Model for Queue {
    type Step = Step;

    fn apply(&mut self, _: usize, step: &Step) -> bool {
        match *step {
            Step::Enter => {
                self.busy += 1;
                true
            }
            Step::Full => self.entries.len() + self.busy > self.cap,
            Step::Evict { key, value } => {
                let oldest = (!self.entries.is_empty()).then(|| self.entries.remove(0));
                oldest.is_some_and(|(_, k, v)| (k, v) == (key, value))
            }
            Step::Evicted { heard, said } => heard == said && said <= LIMIT,
            Step::Put { seq, key, value, replaced } => self.put((seq, key, value), replaced),
            Step::Leave => {
                self.busy -= 1;
                true
            }
            Step::Get(key, seen) => self.find(key).map(|at| self.entries[at].2) == seen,
            Step::Remove(key, removed) => self.find(key).map(|at| self.entries.remove(at).2) == removed,
            Step::Empty => self.entries.is_empty(),
            Step::Snapshot(ref entries) => self.entries == *entries,
        }
    }

    fn is_read(step: &Step) -> bool {
        matches!(
            step,
            Step::Full | Step::Evicted { .. } | Step::Get(..) | Step::Remove(_, None) | Step::Empty | Step::Snapshot(_)
        )
    }
}

impl Fifo {
    fn insert(&self, key: u64, value: u64, steps: &mut Vec<Step>) {
        let placed = self.map.insert(Key(key), value).expect("nothing weighs anything");
        let mut heard = HEARD.take();
        // The call itself tells of its own entry, last, if that went before it was done.
        let own = if placed.overtaken { heard.pop() } else { None };
        steps.push(Step::Enter);
        for (key, value) in heard {
            // Decided when there was no room; by the time it goes there may be.
            steps.extend([Step::Full, Step::Evict { key, value }]);
        }
        steps.push(Step::Put { seq: placed.seq, key, value, replaced: placed.replaced });
        // Others need its slot. Where nobody saw it, the two steps have no other between them.
        steps.extend(own.map(|(key, value)| Step::Evict { key, value }));
        steps.push(Step::Leave);
    }
}

impl Subject for Fifo {
    type Op = Op;
    type Model = Queue;
    const CALLS: u64 = 8;

    fn new(rng: &mut Rng) -> Checked<Self> {
        let cap = rng.usize(1..=3);
        let heard = |key: &Key, value: &u64, _: Reason| {
            pause();
            HEARD.with_borrow_mut(|heard| heard.push((key.0, *value)));
        };
        let map = FifoMap::builder(cap as u64).listener(heard).hasher(hasher(rng)).build();
        Ok(Self { map: map.or_else(broken)?, cap })
    }

    fn start(&self) -> Queue {
        Queue { cap: self.cap, entries: Vec::new(), busy: 0 }
    }

    fn plan(rng: &mut Rng, unique: u64) -> Op {
        let key = rng.u64(..KEYS);
        match rng.u8(..16) {
            0..8 => Op::Insert(key, unique),
            8..12 => Op::Get(key),
            12 | 13 => Op::Remove(key),
            14 => Op::PopOldest,
            _ => Op::EvictEven,
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        match op {
            Op::Get(key) => steps.push(Step::Get(key, self.map.get(&Key(key)))),
            Op::Insert(key, value) => self.insert(key, value, steps),
            Op::Remove(key) => {
                let removed = self.map.remove(&Key(key));
                // Its slot is free a little later than its key.
                steps.extend([Step::Enter, Step::Remove(key, removed), Step::Leave]);
            }
            Op::PopOldest => {
                let popped = self.map.pop_oldest(Reason::Age);
                let evict = |(key, value): (Key, u64)| Step::Evict { key: key.0, value };
                steps.extend([Step::Enter, popped.map_or(Step::Empty, evict), Step::Leave]);
                HEARD.take();
            }
            Op::EvictEven => {
                let said = self.map.evict_while(LIMIT, |_, value| {
                    pause();
                    value % 2 == 0
                });
                let heard = HEARD.take();
                let evicted = Step::Evicted { heard: heard.len(), said };
                steps.push(Step::Enter);
                steps.extend(heard.into_iter().map(|(key, value)| Step::Evict { key, value }));
                steps.extend([evicted, Step::Leave]);
            }
        }
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        let entries = self.map.snapshot().into_iter().map(|(seq, key, value)| (seq, key.0, value)).collect();
        steps.push(Step::Snapshot(entries));
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;

    fn judged(cap: usize, calls: Vec<(usize, u64, u64, Vec<Step>)>) -> bool {
        let steps = calls
            .into_iter()
            .flat_map(|(thread, start, end, steps)| steps.into_iter().map(move |step| (thread, start, end, step)));
        holds(&Queue { cap, entries: Vec::new(), busy: 0 }, steps.collect())
    }

    /// An insert of a key as its own value and number, which evicts others.
    fn insert(key: u64, evicted: &[u64]) -> Vec<Step> {
        let evicted = evicted.iter().flat_map(|&key| [Step::Full, Step::Evict { key, value: key }]);
        let put = Step::Put { seq: key, key, value: key, replaced: false };
        [Step::Enter].into_iter().chain(evicted).chain([put, Step::Leave]).collect()
    }

    #[test]
    fn accepts_an_eviction_that_is_seen_before_its_insert() {
        let seen = [vec![Step::Get(0, None)], vec![Step::Get(1, None)]].concat();
        assert!(judged(1, vec![(0, 0, 1, insert(0, &[])), (0, 2, 5, insert(1, &[0])), (1, 3, 4, seen)]));
    }

    #[test]
    fn rejects_an_eviction_of_the_second_oldest() {
        let filled = vec![(0, 0, 1, insert(0, &[])), (0, 2, 3, insert(1, &[]))];
        assert!(judged(2, [filled.clone(), vec![(1, 4, 5, insert(2, &[0]))]].concat()));
        assert!(!judged(2, [filled, vec![(1, 4, 5, insert(2, &[1]))]].concat()));
    }

    #[test]
    fn rejects_more_than_the_limit_and_another_number_than_went() {
        let filled = |keys: [u64; 3]| keys.map(|key| (0, 10 * key, 10 * key + 1, insert(key, &[]))).to_vec();
        let swept = |keys: &[u64], said| {
            let gone = keys.iter().map(|&key| Step::Evict { key, value: key });
            let end = [Step::Evicted { heard: keys.len(), said }, Step::Leave];
            vec![(1, 100, 101, [Step::Enter].into_iter().chain(gone).chain(end).collect())]
        };
        assert!(judged(3, [filled([2, 4, 6]), swept(&[2, 4], 2)].concat()));
        assert!(!judged(3, [filled([2, 4, 6]), swept(&[2, 4, 6], 3)].concat()));
        assert!(!judged(3, [filled([2, 4, 6]), swept(&[2, 4], 1)].concat()));
    }

    #[test]
    fn rejects_an_entry_that_is_evicted_twice() {
        let calls = vec![(0, 0, 1, insert(0, &[])), (0, 2, 5, insert(1, &[0])), (1, 3, 6, insert(2, &[0]))];
        assert!(!judged(1, calls));
    }

    #[test]
    fn rejects_more_than_the_cap_and_an_eviction_for_nothing() {
        assert!(!judged(1, vec![(0, 0, 1, insert(0, &[])), (1, 2, 3, insert(1, &[]))]));
        assert!(!judged(2, vec![(0, 0, 1, insert(0, &[])), (1, 2, 3, insert(1, &[0]))]));
    }
}
