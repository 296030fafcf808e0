//! Tries to break the FIFO map's cap: a watcher never sees more than the cap, in entries or in bytes; the survivors are
//! the newest by number; and every entry has one end: still there, evicted and announced, removed, or refused.

use crate::run::{Checked, Key, Round, at_most, broken, ensure, same, stumble};
use fastrand::Rng;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tollgate::fifo::{FifoMap, FifoStats, Reason};

const OPERATIONS: u64 = 600;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let cap = round.pick(4, &[1, 2, 7, 64]);
    let weighted = round.number & 1 != 0;
    let shared = round.number & 2 != 0;
    let max_bytes = weighted.then_some(10 + 4 * cap);
    let setting = Setting { cap, max_bytes, keys: shared.then_some(2 * cap + 3) };
    let ends = Ends::new(round.threads as u64 * OPERATIONS);
    let map = setting.build(&ends)?;
    let tally = Tally::default();
    let operations = round.race_watched(
        |thread, rng| {
            if shared {
                mix(&setting, &map, &ends, &tally, thread, rng)
            } else {
                insert_only(&setting, &map, &ends, &tally, thread, rng)
            }
        },
        || look(&setting, &map),
    )?;
    check_rest(&setting, &map, &ends)?;
    if shared { check_mix(&map, &ends, &tally) } else { check_newest(round, &setting, &map, &ends, &tally) }?;
    Ok(operations)
}

/// What is tried in this round.
struct Setting {
    cap: u64,
    max_bytes: Option<u64>,
    /// Keys that the threads share; none where each insert has a key of its own.
    keys: Option<u64>,
}

/// A value with a number of its own, which is the key too where keys are not shared.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    key: u64,
    unique: u64,
    weight: u64,
}

/// How often each value has come to an end.
#[derive(Clone)]
struct Ends(Arc<[AtomicU8]>);

impl Ends {
    fn new(values: u64) -> Self {
        Self((0..values).map(|_| AtomicU8::new(0)).collect())
    }

    fn add(&self, value: &Value) {
        self.0[value.unique as usize].fetch_add(1, Ordering::SeqCst);
    }

    fn of(&self, value: &Value) -> u8 {
        self.0[value.unique as usize].load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct Tally {
    inserted: AtomicU64,
    removed: AtomicU64,
    aged: AtomicU64,
}

impl Setting {
    fn build(&self, ends: &Ends) -> Checked<FifoMap<Key, Value>> {
        let heard = ends.clone();
        let mut builder = FifoMap::<Key, Value>::builder(self.cap).listener(move |_: &Key, value: &Value, reason| {
            stumble();
            if reason != Reason::Removed {
                heard.add(value);
            }
        });
        if let Some(max) = self.max_bytes {
            builder = builder.max_bytes(max, |_, value| {
                stumble();
                value.weight
            });
        }
        builder.build().or_else(|error| broken(format_args!("expected a map, saw {error}")))
    }

    fn value(&self, thread: usize, i: u64, rng: &mut Rng) -> Value {
        let unique = thread as u64 * OPERATIONS + i;
        let key = self.keys.map_or(unique, |keys| rng.u64(..keys));
        let weight = match self.max_bytes {
            None => 0,
            Some(max) if rng.u8(..) < 8 => max + rng.u64(..2),
            Some(max) => rng.u64(..=max / 3),
        };
        Value { key, unique, weight }
    }

    /// Inserts, and returns the number and whether it replaced; none if the value was refused, as it should be.
    fn insert(&self, map: &FifoMap<Key, Value>, ends: &Ends, value: Value) -> Checked<Option<(u64, bool)>> {
        let refuse = self.max_bytes.is_some_and(|max| value.weight > max);
        match map.insert(Key(value.key), value.clone()) {
            Ok(_) if refuse => broken(format_args!("expected a weight of {} to be refused", value.weight)),
            Ok(placed) => Ok(Some((placed.seq, placed.replaced))),
            Err(heavy) => {
                ensure(refuse, format_args!("expected a weight of {} to fit, saw it refused", value.weight))?;
                same("the value that was given back", &value, &heavy.value)?;
                ends.add(&value);
                Ok(None)
            }
        }
    }
}

/// What holds at every instant.
fn look(setting: &Setting, map: &FifoMap<Key, Value>) -> Checked {
    at_most("len()", setting.cap, map.len())?;
    let seen = map.snapshot();
    at_most("entries of a snapshot", setting.cap, seen.len() as u64)?;
    ensure(seen.is_sorted_by(|a, b| a.0 < b.0), "expected a snapshot's numbers to rise, saw one that does not")?;
    for (_, key, value) in &seen {
        same("the key that a value was stored under", key.0, value.key)?;
    }
    let stats = map.stats();
    at_most("stats().live", setting.cap, stats.live)?;
    setting.max_bytes.map_or(Ok(()), |max| at_most("stats().bytes", max, stats.bytes))
}

/// Inserts of keys that are never used again.
fn insert_only(
    setting: &Setting,
    map: &FifoMap<Key, Value>,
    ends: &Ends,
    tally: &Tally,
    thread: usize,
    rng: &mut Rng,
) -> Checked<u64> {
    let mut mine: Vec<(u64, u64)> = Vec::new();
    for i in 0..OPERATIONS {
        let value = setting.value(thread, i, rng);
        let key = value.key;
        let Some((seq, replaced)) = setting.insert(map, ends, value)? else { continue };
        ensure(!replaced, "expected a new key to replace nothing")?;
        tally.inserted.fetch_add(1, Ordering::SeqCst);
        if let Some(&(_, last)) = mine.last() {
            ensure(last < seq, format_args!("expected an insert after number {last} to get a later one, saw {seq}"))?;
        }
        mine.push((key, seq));
        let (old, number) = mine[rng.usize(..mine.len())];
        if let Some(value) = map.get(&Key(old)) {
            same("the key that a value was stored under", old, value.key)?;
            ensure(
                number + setting.cap > seq,
                format_args!("expected number {number} to be gone after {seq} went in, found it"),
            )?;
        }
    }
    Ok(OPERATIONS)
}

/// Inserts, replacements, removals and evictions by age on a few keys.
fn mix(
    setting: &Setting,
    map: &FifoMap<Key, Value>,
    ends: &Ends,
    tally: &Tally,
    thread: usize,
    rng: &mut Rng,
) -> Checked<u64> {
    for i in 0..OPERATIONS {
        let value = setting.value(thread, i, rng);
        let key = value.key;
        match rng.u8(..16) {
            0..10 => {
                if let Some((_, false)) = setting.insert(map, ends, value)? {
                    tally.inserted.fetch_add(1, Ordering::SeqCst);
                }
            }
            10..13 => {
                if let Some(value) = map.remove(&Key(key)) {
                    same("the key of what was removed", key, value.key)?;
                    ends.add(&value);
                    tally.removed.fetch_add(1, Ordering::SeqCst);
                }
            }
            13 => {
                let aged = map.evict_while(2, |_, value| value.unique % 4 == 0);
                at_most("evictions by age", 2, aged as u64)?;
                tally.aged.fetch_add(aged as u64, Ordering::SeqCst);
            }
            14 => {
                // A listener has been told of it; what nobody was told of ends here.
                if let Some((Key(popped), value)) = map.pop_oldest(Reason::Capacity) {
                    same("the key of what was popped", popped, value.key)?;
                }
            }
            _ => {
                if let Some(value) = map.get(&Key(key)) {
                    same("the key that a value was stored under", key, value.key)?;
                }
            }
        }
    }
    Ok(OPERATIONS)
}

/// What holds of every map at rest. Counts the survivors' end.
fn check_rest(setting: &Setting, map: &FifoMap<Key, Value>, ends: &Ends) -> Checked {
    let left = map.snapshot();
    let stats = map.stats();
    same("len(), against the entries met", left.len() as u64, map.len())?;
    same("stats().live, against the entries met", left.len() as u64, stats.live)?;
    let keys: HashSet<_> = left.iter().map(|(_, _, value)| value.key).collect();
    same("keys met, against entries", left.len(), keys.len())?;
    if let Some(max) = setting.max_bytes {
        let weight = left.iter().map(|(_, _, value)| value.weight).sum();
        same("stats().bytes, against the weights of what is there", weight, stats.bytes)?;
        at_most("bytes at rest", max, weight)?;
    }
    for (seq, key, value) in &left {
        ends.add(value);
        same(format_args!("ends of number {seq}, which is there"), 1, ends.of(value))?;
        same(format_args!("get of key {}, which was met", key.0), Some(value), map.get(key).as_ref())?;
    }
    Ok(())
}

/// After inserts of keys of their own: each took one number, and those that it found passed over. Returns how many numbers
/// there were.
///
/// A number is passed over if it and all its neighbours, 64 in all, died before its insert had come to it. It takes the
/// next one then, and that is of other neighbours; so among 64 there is one such at most for each thread.
pub(crate) fn check_numbers(threads: usize, inserted: u64, stats: &FifoStats) -> Checked<u64> {
    let numbers = stats.last_seq.map_or(0, |last| last + 1);
    at_most("inserts, against numbers", numbers, inserted)?;
    at_most("numbers that were passed over", threads as u64 * (numbers / 64), numbers - inserted)?;
    Ok(numbers)
}

/// After inserts only: the newest are there, all others were evicted, and announced once.
fn check_newest(round: &Round, setting: &Setting, map: &FifoMap<Key, Value>, ends: &Ends, tally: &Tally) -> Checked {
    let inserted = tally.inserted.load(Ordering::SeqCst);
    let left = map.snapshot();
    let stats = map.stats();
    let live = left.len() as u64;
    if setting.max_bytes.is_none() {
        same("entries left", setting.cap.min(inserted), live)?;
    }
    let numbers = check_numbers(round.threads, inserted, &stats)?;
    for (place, (seq, ..)) in left.iter().enumerate() {
        same("a survivor's number", numbers - live + place as u64, *seq)?;
    }
    same("the first number", left.first().map(|(seq, ..)| *seq), stats.first_seq)?;
    same("evictions, against what was inserted and is gone", inserted - live, stats.evicted())?;
    same("removals", 0, stats.removed)?;
    for (unique, count) in ends.0.iter().enumerate() {
        same(format_args!("ends of value {unique}"), 1, count.load(Ordering::SeqCst))?;
    }
    Ok(())
}

/// After everything at once: no value ended twice, and the counts by reason add up.
fn check_mix(map: &FifoMap<Key, Value>, ends: &Ends, tally: &Tally) -> Checked {
    let stats = map.stats();
    for (unique, count) in ends.0.iter().enumerate() {
        at_most(format_args!("ends of value {unique}"), 1, count.load(Ordering::SeqCst).into())?;
    }
    same("stats().removed", tally.removed.load(Ordering::SeqCst), stats.removed)?;
    same("stats().evicted_for_age", tally.aged.load(Ordering::SeqCst), stats.evicted_for_age)?;
    // A number that an insert took, and did not need because it found the key after all, may count as evicted.
    let ended = stats.live + stats.evicted() + stats.removed;
    let inserted = tally.inserted.load(Ordering::SeqCst);
    at_most("inserts, against entries there or counted as gone", ended, inserted)?;
    at_most("entries there or counted as gone, against numbers", stats.last_seq.map_or(0, |last| last + 1), ended)
}
