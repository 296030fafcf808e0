//! `FifoMap` against a vector of entries, oldest first.

use super::{ModThree, OPS, config};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};
use tollgate::fifo::{FifoMap, Reason};
use tollgate::hash::RandomState;

/// A serial number, new for each insert, and a weight.
type Value = (u64, u64);
type Fallen = (u64, Value, Reason);

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Of a key and a weight.
    Insert(u64, u64),
    /// Inserts this many keys that were never used, of this weight each: numbers pass from leaf to leaf.
    Burst(u64, u64),
    Get(u64),
    Remove(u64),
    /// Removes the live entry at this place in the order, modulo their number.
    RemoveNth(usize),
    /// Evicts at most so many of the entries that were not written by the latest so many inserts.
    EvictWhile(usize, u64),
    PopOldest,
    /// As an insert, but what has a weight of nothing goes before anything is evicted, one by one, oldest first.
    InsertReclaiming(u64, u64),
}

fn weight() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..8_u64, 1 => 8..30_u64, 1 => Just(u64::MAX / 2), 1 => (0..3_u64).prop_map(|less| u64::MAX - less)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..12_u64, weight()).prop_map(|(key, weight)| Op::Insert(key, weight)),
        1 => (1..80_u64, 0..3_u64).prop_map(|(count, weight)| Op::Burst(count, weight)),
        2 => (0..12_u64).prop_map(Op::Get),
        2 => (0..12_u64).prop_map(Op::Remove),
        2 => any::<usize>().prop_map(Op::RemoveNth),
        2 => (prop_oneof![0..6_usize, Just(usize::MAX)], 0..20_u64).prop_map(|(limit, age)| Op::EvictWhile(limit, age)),
        1 => Just(Op::PopOldest),
        3 => (0..12_u64, weight()).prop_map(|(key, weight)| Op::InsertReclaiming(key, weight)),
    ]
}

fn cap() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..10_u64, 1 => 10..90_u64, 1 => Just(u64::MAX)]
}

fn max_bytes() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.8, prop_oneof![4 => 1..40_u64, 1 => Just(u64::MAX)])
}

struct Model {
    cap: u64,
    max: Option<u64>,
    /// Numbers, keys and values, oldest first.
    entries: Vec<(u64, u64, Value)>,
    next: u64,
    removed: u64,
    fallen: Vec<Fallen>,
}

impl Model {
    fn weight(&self, value: Value) -> u64 {
        if self.max.is_some() { value.1 } else { 0 }
    }

    fn bytes(&self) -> u128 {
        self.entries.iter().map(|&(_, _, value)| u128::from(self.weight(value))).sum()
    }

    fn find(&self, key: u64) -> Option<usize> {
        self.entries.iter().position(|&(_, k, _)| k == key)
    }

    fn evict(&mut self, reason: Reason) {
        let (_, key, value) = self.entries.remove(0);
        self.fallen.push((key, value, reason));
    }

    /// The entry's number, and whether it replaced another; none if it is too heavy.
    fn insert(&mut self, key: u64, value: Value, reclaiming: bool) -> Option<(u64, bool)> {
        let max = self.max.unwrap_or(u64::MAX);
        let weight = self.weight(value);
        if weight > max {
            return None;
        }
        loop {
            let found = self.find(key);
            let old = found.map_or(0, |at| self.weight(self.entries[at].2));
            let is_full = found.is_none() && self.entries.len() as u64 == self.cap;
            let is_heavy = self.bytes() - u128::from(old) + u128::from(weight) > u128::from(max);
            if (is_full || is_heavy) && reclaiming && self.reclaim() {
                continue;
            }
            if is_full {
                self.evict(Reason::Capacity);
            } else if is_heavy {
                // An entry that is the oldest itself goes too, and comes back as the newest.
                self.evict(Reason::Bytes);
            } else if let Some(at) = found {
                self.entries[at].2 = value;
                return Some((self.entries[at].0, true));
            } else {
                self.entries.push((self.next, key, value));
                self.next += 1;
                return Some((self.next - 1, false));
            }
        }
    }

    fn reclaim(&mut self) -> bool {
        let weightless = self.entries.iter().find(|(_, _, value)| value.1 == 0).map(|&(_, key, _)| key);
        weightless.is_some_and(|key| self.remove(key).is_some())
    }

    fn remove(&mut self, key: u64) -> Option<Value> {
        let (_, _, value) = self.entries.remove(self.find(key)?);
        self.removed += 1;
        Some(value)
    }

    fn fallen_for(&self, reason: Reason) -> u64 {
        self.fallen.iter().filter(|&&(_, _, why)| why == reason).count() as u64
    }
}

pub(crate) struct Pair<S> {
    map: FifoMap<u64, Value, S>,
    heard: Arc<Mutex<Vec<Fallen>>>,
    model: Model,
    serial: u64,
}

impl<S: BuildHasher> Pair<S> {
    pub(crate) fn new(cap: u64, max: Option<u64>, hasher: S) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let builder = FifoMap::builder(cap)
            .listener(move |&key, &value, reason| ear.lock().unwrap().push((key, value, reason)))
            .hasher(hasher);
        let builder = match max {
            Some(max) => builder.max_bytes(max, |_, value: &Value| value.1),
            None => builder,
        };
        let model = Model { cap, max, entries: Vec::new(), next: 0, removed: 0, fallen: Vec::new() };
        Self { map: builder.build().unwrap(), heard, model, serial: 0 }
    }

    fn insert(&mut self, key: u64, weight: u64, reclaiming: bool) -> Result<(), TestCaseError> {
        let value = (self.serial, weight);
        self.serial += 1;
        let done = if reclaiming {
            self.map.insert_reclaiming(key, value, || {
                let weightless = self.map.snapshot().into_iter().find(|(_, _, value)| value.1 == 0);
                weightless.is_some_and(|(_, key, _)| self.map.remove(&key).is_some())
            })
        } else {
            self.map.insert(key, value)
        };
        match (done, self.model.insert(key, value, reclaiming)) {
            (Ok(placed), expected) => {
                prop_assert_eq!(Some((placed.seq, placed.replaced)), expected);
                prop_assert!(!placed.overtaken);
            }
            (Err(heavy), expected) => {
                prop_assert_eq!(expected, None);
                prop_assert_eq!((heavy.key, heavy.value, heavy.weight), (key, value, weight));
                prop_assert_eq!(Some(heavy.max), self.model.max);
            }
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Insert(key, weight) => self.insert(key, weight, false)?,
            Op::InsertReclaiming(key, weight) => self.insert(key, weight, true)?,
            Op::Burst(count, weight) => {
                for _ in 0..count {
                    self.insert(1_000 + self.serial, weight, false)?;
                }
            }
            Op::Get(key) => {
                let expected = self.model.find(key).map(|at| self.model.entries[at].2);
                prop_assert_eq!(self.map.get(&key), expected);
            }
            Op::Remove(key) => prop_assert_eq!(self.map.remove(&key), self.model.remove(key)),
            Op::RemoveNth(nth) => {
                if let Some(at) = nth.checked_rem(self.model.entries.len()) {
                    let key = self.model.entries[at].1;
                    prop_assert_eq!(self.map.remove(&key), self.model.remove(key));
                }
            }
            Op::EvictWhile(limit, age) => {
                let old = |value: &Value| value.0 + age < self.serial;
                let count = self.model.entries.iter().take_while(|(_, _, value)| old(value)).take(limit).count();
                prop_assert_eq!(self.map.evict_while(limit, |_, value| old(value)), count);
                (0..count).for_each(|_| self.model.evict(Reason::Age));
            }
            Op::PopOldest => {
                let oldest = self.model.entries.first().map(|&(_, key, value)| (key, value));
                prop_assert_eq!(self.map.pop_oldest(Reason::Bytes), oldest);
                oldest.into_iter().for_each(|_| self.model.evict(Reason::Bytes));
            }
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let Self { map, model, .. } = self;
        prop_assert_eq!(&map.snapshot(), &model.entries);
        prop_assert_eq!(&*self.heard.lock().unwrap(), &model.fallen);
        prop_assert_eq!((map.cap(), map.len()), (model.cap, model.entries.len() as u64));
        prop_assert_eq!(map.is_empty(), model.entries.is_empty());
        let stats = map.stats();
        prop_assert_eq!((stats.cap, stats.live), (model.cap, model.entries.len() as u64));
        prop_assert_eq!(u128::from(stats.bytes), model.bytes());
        prop_assert_eq!(stats.evicted_for_capacity, model.fallen_for(Reason::Capacity));
        prop_assert_eq!(stats.evicted_for_bytes, model.fallen_for(Reason::Bytes));
        prop_assert_eq!(stats.evicted_for_age, model.fallen_for(Reason::Age));
        prop_assert_eq!((stats.evicted(), stats.removed), (model.fallen.len() as u64, model.removed));
        prop_assert_eq!(stats.first_seq, model.entries.first().map(|entry| entry.0));
        prop_assert_eq!(stats.last_seq, model.next.checked_sub(1));
        Ok(())
    }

    pub(crate) fn agrees(mut self, ops: Vec<Op>) -> Result<(), TestCaseError> {
        self.compare()?;
        for op in ops {
            self.apply(op)?;
            self.compare()?;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_fifo_map_keeps_what_a_vector_of_the_newest_keeps(
        cap in cap(), max in max_bytes(), ops in vec(op(), 0..=OPS)
    ) {
        Pair::new(cap, max, RandomState::new()).agrees(ops)?;
    }

    #[test]
    fn a_fifo_map_whose_keys_collide_keeps_what_a_vector_of_the_newest_keeps(
        cap in cap(), max in max_bytes(), ops in vec(op(), 0..=OPS)
    ) {
        Pair::new(cap, max, ModThree).agrees(ops)?;
    }
}
