//! The sharded map, key by key.

use super::check::Model;
use super::record::{Key, Subject, hasher, pause};
use crate::run::Checked;
use fastrand::Rng;
use tollgate::map::{ShardedMap, Step as Decision};

/// Keys that all threads are after.
const HOT: u64 = 3;
/// All keys. The cold ones make the table grow meanwhile.
const KEYS: u64 = 24;

pub(super) struct Map(ShardedMap<Key, u64>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Get(u64),
    Contains(u64),
    Insert(u64, u64),
    TryInsert(u64, u64),
    Remove(u64),
    RemoveEven(u64),
    Compute(u64, Way),
    Walk,
}

/// What a closure of `compute` makes of the value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Put(u64),
    /// Puts a value in the place of an even one, and keeps everything else.
    ReplaceEven(u64),
    /// Removes an odd value.
    RemoveOdd,
}

impl Way {
    fn decide(self, before: Option<u64>) -> Decision<u64> {
        match (self, before) {
            (Self::Put(value), _) => Decision::Put(value),
            (Self::ReplaceEven(value), Some(before)) if before % 2 == 0 => Decision::Put(value),
            (Self::RemoveOdd, Some(before)) if before % 2 == 1 => Decision::Remove,
            _ => Decision::Keep,
        }
    }
}

/// What was done to a key, and the answer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    key: u64,
    did: Did,
}

#[derive(Clone, Debug)]
enum Did {
    /// By a get, or met by a walk.
    Get(Option<u64>),
    Contains(bool),
    Insert {
        value: u64,
        replaced: Option<u64>,
    },
    TryInsert {
        value: u64,
        there: Option<u64>,
    },
    Remove(Option<u64>),
    RemoveEven(Option<u64>),
    Compute {
        way: Way,
        before: Option<u64>,
        after: Option<u64>,
    },
}

/// The value of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Value(Option<u64>);

impl Model for Value {
    type Step = Step;

    fn apply(&mut self, _: usize, step: &Step) -> bool {
        let Self(value) = self;
        let before = *value;
        match step.did {
            Did::Get(seen) => seen == before,
            Did::Contains(seen) => seen == before.is_some(),
            Did::Insert { value: new, replaced } => value.replace(new) == replaced,
            Did::TryInsert { value: new, there } => {
                *value = before.or(Some(new));
                there == before
            }
            Did::Remove(removed) => value.take() == removed,
            Did::RemoveEven(removed) => value.take_if(|value| *value % 2 == 0) == removed,
            Did::Compute { way, before: seen, after } => {
                *value = match way.decide(before) {
                    Decision::Keep => before,
                    Decision::Put(new) => Some(new),
                    Decision::Remove => None,
                };
                (seen, after) == (before, *value)
            }
        }
    }

    fn is_read(step: &Step) -> bool {
        match step.did {
            Did::Get(_) | Did::Contains(_) | Did::Remove(None) | Did::RemoveEven(None) => true,
            Did::TryInsert { there, .. } => there.is_some(),
            Did::Insert { .. } | Did::Remove(_) | Did::RemoveEven(_) => false,
            Did::Compute { before, after, .. } => before == after,
        }
    }
}

impl Subject for Map {
    type Op = Op;
    type Model = Value;
    const CALLS: u64 = 40;

    fn new(rng: &mut Rng) -> Checked<Self> {
        // One shard, which begins with a single line and grows in every window.
        let new = if rng.bool() { ShardedMap::with_filter } else { ShardedMap::with_shards_and_hasher };
        Ok(Self(new(1, hasher(rng))))
    }

    fn start(&self) -> Value {
        Value::default()
    }

    fn plan(rng: &mut Rng, unique: u64) -> Op {
        let key = if rng.u8(..4) == 0 { rng.u64(HOT..KEYS) } else { rng.u64(..HOT) };
        match rng.u8(..32) {
            0..8 => Op::Get(key),
            8 => Op::Contains(key),
            9..14 => Op::Insert(key, unique),
            14..18 => Op::TryInsert(key, unique),
            18..22 => Op::Remove(key),
            22..24 => Op::RemoveEven(key),
            24..27 => Op::Compute(key, Way::Put(unique)),
            27..29 => Op::Compute(key, Way::ReplaceEven(unique)),
            29..31 => Op::Compute(key, Way::RemoveOdd),
            _ => Op::Walk,
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let map = self.0.pin();
        let (key, did) = match op {
            Op::Get(key) => (key, Did::Get(map.get(&Key(key)).copied())),
            Op::Contains(key) => (key, Did::Contains(self.0.contains_key(&Key(key)))),
            Op::Insert(key, value) => (key, Did::Insert { value, replaced: map.insert(Key(key), value).copied() }),
            Op::TryInsert(key, value) => {
                let there = map.try_insert(Key(key), value).err().map(|exists| *exists.current);
                (key, Did::TryInsert { value, there })
            }
            Op::Remove(key) => (key, Did::Remove(map.remove(&Key(key)).copied())),
            Op::RemoveEven(key) => {
                let even = |value: &u64| {
                    pause();
                    value % 2 == 0
                };
                (key, Did::RemoveEven(map.remove_if(&Key(key), even).copied()))
            }
            Op::Compute(key, way) => {
                let done = map.compute(Key(key), |before| {
                    pause();
                    way.decide(before.copied())
                });
                (key, Did::Compute { way, before: done.before.copied(), after: done.after.copied() })
            }
            // An entry that was not met need not have been absent at any instant, if it was replaced meanwhile.
            Op::Walk => return steps.extend(map.iter().map(|(key, value)| met(key, *value))),
        };
        steps.push(Step { key, did });
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        steps.extend((0..KEYS).map(|key| Step { key, did: Did::Get(self.0.get(&Key(key))) }));
        steps.extend(self.0.pin().iter().map(|(key, value)| met(key, *value)));
    }

    fn part(step: &Step) -> u64 {
        step.key
    }
}

fn met(key: &Key, value: u64) -> Step {
    Step { key: key.0, did: Did::Get(Some(value)) }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;

    fn judged(calls: Vec<(usize, u64, u64, Did)>) -> bool {
        let steps = calls.into_iter().map(|(thread, start, end, did)| (thread, start, end, Step { key: 0, did }));
        holds(&Value::default(), steps.collect())
    }

    #[test]
    fn accepts_calls_that_overlap() {
        let (first, second) = (Did::Insert { value: 1, replaced: Some(2) }, Did::TryInsert { value: 2, there: None });
        assert!(judged(vec![(0, 0, 3, first), (1, 1, 2, second), (2, 4, 5, Did::Get(Some(1)))]));
    }

    #[test]
    fn rejects_a_key_that_comes_back() {
        let calls = vec![
            (0, 0, 1, Did::Insert { value: 1, replaced: None }),
            (1, 2, 3, Did::Remove(Some(1))),
            (0, 4, 5, Did::Get(Some(1))),
        ];
        assert!(!judged(calls));
    }

    #[test]
    fn rejects_two_inserts_that_both_found_nothing_and_two_removals_that_both_found_it() {
        let insert = |value| Did::TryInsert { value, there: None };
        assert!(!judged(vec![(0, 0, 3, insert(1)), (1, 1, 2, insert(2))]));
        let remove = Did::Remove(Some(1));
        assert!(!judged(vec![(0, 0, 1, insert(1)), (0, 2, 5, remove.clone()), (1, 3, 4, remove)]));
    }

    #[test]
    fn rejects_a_computation_that_lost_another_one() {
        let compute = |value| Did::Compute { way: Way::Put(value), before: None, after: Some(value) };
        assert!(!judged(vec![(0, 0, 3, compute(1)), (1, 1, 2, compute(2))]));
    }
}
