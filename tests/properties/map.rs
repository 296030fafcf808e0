//! `ShardedMap` against a `HashMap`.

use super::{ModThree, OPS, config};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;
use std::hash::BuildHasher;
use tollgate::hash::RandomState;
use tollgate::map::{ShardedMap, Step};

/// Keys are below this.
const KEYS: u64 = 128;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Insert(u64, u64),
    /// Inserts this many keys from this one on, so that shards grow.
    Fill(u64, u64),
    TryInsert(u64, u64),
    Get(u64),
    Remove(u64),
    /// Removes the key if its value is odd.
    RemoveIfOdd(u64),
    Compute(u64, Choice),
    /// Unpins, pins anew.
    Repin,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    Keep,
    Put(u64),
    Remove,
    /// Decides by the value: absent becomes one, odd ones go, even ones grow by one.
    ByValue,
}

impl Choice {
    fn step(self, value: Option<&u64>) -> Step<u64> {
        match (self, value) {
            (Self::Keep, _) => Step::Keep,
            (Self::Put(value), _) => Step::Put(value),
            (Self::Remove, _) => Step::Remove,
            (Self::ByValue, None) => Step::Put(1),
            (Self::ByValue, Some(value)) if value % 2 == 1 => Step::Remove,
            (Self::ByValue, Some(value)) => Step::Put(value + 1),
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..24_u64;
    let value = || 0..1_000_u64;
    let choice =
        prop_oneof![Just(Choice::Keep), value().prop_map(Choice::Put), Just(Choice::Remove), Just(Choice::ByValue)];
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Op::Insert(key, value)),
        1 => (key(), 1..100_u64).prop_map(|(from, count)| Op::Fill(from, count)),
        3 => (key(), value()).prop_map(|(key, value)| Op::TryInsert(key, value)),
        2 => key().prop_map(Op::Get),
        4 => key().prop_map(Op::Remove),
        3 => key().prop_map(Op::RemoveIfOdd),
        6 => (key(), choice).prop_map(|(key, choice)| Op::Compute(key, choice)),
        1 => Just(Op::Repin),
    ]
}

pub(crate) fn agrees<S: BuildHasher>(map: &ShardedMap<u64, u64, S>, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut model = HashMap::new();
    let mut pinned = map.pin();
    for (step, op) in ops.into_iter().enumerate() {
        match op {
            Op::Insert(key, value) => prop_assert_eq!(pinned.insert(key, value).copied(), model.insert(key, value)),
            Op::Fill(from, count) => {
                for key in from..from + count {
                    prop_assert_eq!(map.insert(key, count), model.insert(key, count));
                }
            }
            Op::TryInsert(key, value) => match (pinned.try_insert(key, value), model.get(&key)) {
                (Ok(inserted), None) => {
                    prop_assert_eq!(*inserted, value);
                    model.insert(key, value);
                }
                (Err(exists), Some(current)) => {
                    prop_assert_eq!((exists.current, exists.key, exists.value), (current, key, value));
                }
                (result, current) => prop_assert!(false, "{result:?}, where the model has {current:?}"),
            },
            Op::Get(key) => {
                prop_assert_eq!(pinned.get(&key), model.get(&key));
                prop_assert_eq!(pinned.get_key_value(&key), model.get_key_value(&key));
                prop_assert_eq!(map.get(&key), model.get(&key).copied());
                prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
            }
            Op::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
            Op::RemoveIfOdd(key) => {
                let goes = model.get(&key).is_some_and(|value| value % 2 == 1);
                let gone = pinned.remove_if(&key, |value| value % 2 == 1).copied();
                prop_assert_eq!(gone, if goes { model.remove(&key) } else { None });
            }
            Op::Compute(key, choice) => {
                let computed = pinned.compute(key, |value| choice.step(value));
                let before = model.get(&key).copied();
                match choice.step(before.as_ref()) {
                    Step::Keep => {}
                    Step::Put(value) => {
                        model.insert(key, value);
                    }
                    Step::Remove => {
                        model.remove(&key);
                    }
                }
                prop_assert_eq!(computed.before.copied(), before);
                prop_assert_eq!(computed.after, model.get(&key));
            }
            Op::Repin => {
                pinned.flush();
                drop(pinned);
                pinned = map.pin();
            }
        }
        for key in 0..KEYS {
            prop_assert_eq!(pinned.get(&key), model.get(&key));
        }
        // A walk moves all that a growing table has not moved yet, so that it would hide the table from the steps between.
        if step % 8 == 7 {
            walk(map, &model)?;
        }
    }
    walk(map, &model)
}

fn walk<S: BuildHasher>(map: &ShardedMap<u64, u64, S>, model: &HashMap<u64, u64>) -> Result<(), TestCaseError> {
    let mut entries: Vec<_> = map.pin().iter().map(|(&key, &value)| (key, value)).collect();
    let mut expected: Vec<_> = model.iter().map(|(&key, &value)| (key, value)).collect();
    entries.sort_unstable();
    expected.sort_unstable();
    prop_assert_eq!(entries, expected);
    prop_assert_eq!(map.len(), model.len() as u64);
    prop_assert_eq!(map.is_empty(), model.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_map_does_what_a_hash_map_does(shards in 0..20_usize, ops in vec(op(), 0..=OPS)) {
        agrees(&ShardedMap::with_shards_and_hasher(shards, RandomState::new()), ops)?;
    }

    #[test]
    fn a_map_with_a_filter_does_what_a_hash_map_does(shards in 0..20_usize, ops in vec(op(), 0..=OPS)) {
        agrees(&ShardedMap::with_filter(shards, RandomState::new()), ops)?;
    }

    #[test]
    fn a_map_with_a_filter_whose_keys_collide_does_what_a_hash_map_does(shards in 0..20_usize, ops in vec(op(), 0..=OPS)) {
        agrees(&ShardedMap::with_filter(shards, ModThree), ops)?;
    }

    #[test]
    fn a_map_whose_keys_collide_does_what_a_hash_map_does(shards in 0..20_usize, ops in vec(op(), 0..=OPS)) {
        agrees(&ShardedMap::with_shards_and_hasher(shards, ModThree), ops)?;
    }
}
