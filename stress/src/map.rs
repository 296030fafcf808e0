//! Tries to break the map's promise that every operation on a key takes effect exactly once: no entry is lost, none is
//! met twice, none is read after it was freed, and no update of a counter goes missing.

use crate::run::{Checked, Key, Round, at_most, ensure, same, stumble};
use fastrand::Rng;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate::hash::RandomState;
use tollgate::map::{Pinned, ShardedMap, Step};

const OPERATIONS: u64 = 2_000;
const KEYS: u64 = 64;
const COUNTERS: u64 = 5;

/// Marks a value that is alive.
const SEAL: u64 = 0x5ea1_5ea1_5ea1_5ea1;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    match round.number % 4 {
        0 => churn(round, map(round, RandomState::new())),
        1 => churn(round, map(round, Thirds)),
        2 => count(round, map(round, RandomState::new())),
        _ => count(round, map(round, Thirds)),
    }
}

/// Of few shards or many, with a filter or none.
fn map<V: Send + Sync + 'static, S: BuildHasher>(round: &Round, hasher: S) -> ShardedMap<Key, V, S> {
    let is_filtered = round.pick(4, &[false, true]);
    let new = if is_filtered { ShardedMap::with_filter } else { ShardedMap::with_shards_and_hasher };
    new(round.pick(8, &[1, 2, 16]), hasher)
}

/// Hashes a key to one of three values, so that everything collides.
#[derive(Clone, Copy)]
struct Thirds;

impl BuildHasher for Thirds {
    type Hasher = Third;

    fn build_hasher(&self) -> Third {
        Third(0)
    }
}

struct Third(u64);

impl Hasher for Third {
    fn finish(&self) -> u64 {
        self.0 % 3
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, &byte| sum.wrapping_add(byte.into()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A value that knows its key, and whether it was dropped.
struct Value {
    key: u64,
    unique: u64,
    seal: AtomicU64,
}

impl Value {
    fn new(key: u64, unique: u64) -> Self {
        Self { key, unique, seal: AtomicU64::new(SEAL ^ key ^ unique) }
    }

    /// The value's own number, if it is whole and belongs to `key`.
    fn read(&self, key: u64) -> Checked<u64> {
        same("the key that a value was stored under", key, self.key)?;
        let seal = self.seal.load(Ordering::Relaxed);
        same("the seal of a value that was found", SEAL ^ key ^ self.unique, seal)?;
        Ok(self.unique)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.seal.store(0, Ordering::Relaxed);
    }
}

/// What a thread put in, less what it took out.
#[derive(Clone, Copy, Default)]
struct Tally {
    entries: u64,
    /// Wraps: the sum of the values' numbers, so that a value taken out twice does not cancel out.
    numbers: u64,
}

impl Tally {
    fn put(&mut self, unique: u64) {
        self.entries = self.entries.wrapping_add(1);
        self.numbers = self.numbers.wrapping_add(spread(unique));
    }

    fn take(&mut self, unique: u64) {
        self.entries = self.entries.wrapping_sub(1);
        self.numbers = self.numbers.wrapping_sub(spread(unique));
    }
}

fn spread(unique: u64) -> u64 {
    (unique ^ (unique >> 17)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Random operations on a few keys; what went in less what came out is what is there.
fn churn<S: BuildHasher + Sync>(round: &Round, map: ShardedMap<Key, Value, S>) -> Checked<u64> {
    let entries = AtomicU64::new(0);
    let numbers = AtomicU64::new(0);
    let operations = round.race(|thread, rng| {
        let mut tally = Tally::default();
        for i in 0..OPERATIONS {
            step(&map.pin(), rng, (thread as u64) << 32 | i, &mut tally)?;
            if rng.u8(..) == 0 {
                map.pin().flush();
            }
        }
        entries.fetch_add(tally.entries, Ordering::SeqCst);
        numbers.fetch_add(tally.numbers, Ordering::SeqCst);
        Ok(OPERATIONS)
    })?;
    let mut left = Tally::default();
    let mut keys = HashSet::new();
    let pinned = map.pin();
    for (key, value) in pinned.iter() {
        ensure(keys.insert(key.0), format_args!("expected each key once, met {} twice", key.0))?;
        left.put(value.read(key.0)?);
        let got = pinned.get(key).map(|value| value.unique);
        same(format_args!("get of key {}, which was met", key.0), Some(value.unique), got)?;
    }
    same("entries met, against inserts less removals", entries.into_inner(), left.entries)?;
    same("numbers met, against those put in less those taken out", numbers.into_inner(), left.numbers)?;
    same("len(), against entries met", left.entries, map.len())?;
    at_most("keys", KEYS, left.entries)?;
    Ok(operations)
}

fn step<S: BuildHasher>(map: &Pinned<'_, Key, Value, S>, rng: &mut Rng, unique: u64, tally: &mut Tally) -> Checked {
    let key = rng.u64(..KEYS);
    let value = Value::new(key, unique);
    match rng.u8(..16) {
        0..3 => {
            if let Some(old) = map.insert(Key(key), value) {
                tally.take(old.read(key)?);
            }
            tally.put(unique);
        }
        3..6 => match map.try_insert(Key(key), value) {
            Ok(there) => {
                same("the value that try_insert left", unique, there.read(key)?)?;
                tally.put(unique);
            }
            Err(exists) => {
                exists.current.read(key)?;
                same("the value that try_insert gave back", unique, exists.value.read(key)?)?;
            }
        },
        6..9 => {
            if let Some(old) = map.remove(&Key(key)) {
                tally.take(old.read(key)?);
            }
        }
        9..11 => {
            let even = |value: &Value| {
                stumble();
                value.unique % 2 == 0
            };
            if let Some(old) = map.remove_if(&Key(key), even) {
                ensure(old.unique % 2 == 0, "expected remove_if to remove what its condition holds of, saw another")?;
                tally.take(old.read(key)?);
            }
        }
        11..14 => decide(map, key, unique, tally)?,
        _ => {
            if let Some(value) = map.get(&Key(key)) {
                value.read(key)?;
            }
        }
    }
    Ok(())
}

/// Puts where there is nothing or an odd number; removes every fourth; keeps the rest.
fn decide<S: BuildHasher>(map: &Pinned<'_, Key, Value, S>, key: u64, unique: u64, tally: &mut Tally) -> Checked {
    let done = map.compute(Key(key), |before| {
        stumble();
        match before {
            Some(old) if old.unique % 4 == 0 => Step::Remove,
            Some(old) if old.unique % 4 == 2 => Step::Keep,
            _ => Step::Put(Value::new(key, unique)),
        }
    });
    let before = done.before.map(|value| value.read(key)).transpose()?;
    let after = done.after.map(|value| value.read(key)).transpose()?;
    let due = match before {
        Some(old) if old % 4 == 0 => None,
        Some(old) if old % 4 == 2 => Some(old),
        _ => Some(unique),
    };
    same("what compute left, against its decision on what it showed", due, after)?;
    if before == after {
        return Ok(());
    }
    if let Some(old) = before {
        tally.take(old);
    }
    if let Some(new) = after {
        tally.put(new);
    }
    Ok(())
}

/// Increments of shared counters, now and then taken away: none is lost, none counts twice.
fn count<S: BuildHasher + Sync>(round: &Round, map: ShardedMap<Key, u64, S>) -> Checked<u64> {
    let counted = AtomicU64::new(0);
    let taken = AtomicU64::new(0);
    let operations = round.race(|_, rng| {
        let (mut mine, mut away) = (0, 0);
        for _ in 0..OPERATIONS {
            let pinned = map.pin();
            let key = Key(rng.u64(..COUNTERS));
            if rng.u8(..) < 8 {
                away += pinned.remove(&key).copied().unwrap_or(0);
                pinned.flush();
                continue;
            }
            let done = pinned.compute(key, |before| {
                stumble();
                Step::Put(before.copied().unwrap_or(0) + 1)
            });
            let due = done.before.copied().unwrap_or(0) + 1;
            same("a counter, against the one before", Some(due), done.after.copied())?;
            mine += 1;
        }
        counted.fetch_add(mine, Ordering::SeqCst);
        taken.fetch_add(away, Ordering::SeqCst);
        Ok(OPERATIONS)
    })?;
    let pinned = map.pin();
    let left: u64 = pinned.iter().map(|(_, &count)| count).sum();
    same("counters left and taken away, against increments", counted.into_inner(), left + taken.into_inner())?;
    same("len(), against entries met", pinned.iter().count() as u64, map.len())?;
    Ok(operations)
}
