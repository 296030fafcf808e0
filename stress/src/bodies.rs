//! Tries to make a body store keep more bytes than its cap, lose a body that a record refers to, show one in part, or leave
//! something behind when everything has gone.

use crate::run::{Checked, Round, at_most, broken, ensure, same};
use fastrand::Rng;
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyError, BodyStore, Digest, Freed, PrunePolicy, Record, RecordId};
use tollgate::clock::{ManualClock, Timestamp};

const OPERATIONS: u64 = 200;
const NOW: Timestamp = Timestamp::from_secs(1_000);

pub(crate) fn round(round: &Round) -> Checked<u64> {
    // Room for next to nothing, for some, and for all.
    let max = round.pick(1, &[4_000, 20_000, 1 << 30]);
    let config = BodyConfig::new().max_bytes(max).compress_above(100);
    let store = BodyStore::with_clock(config, ManualClock::new(NOW));
    let store = store.or_else(|error| broken(format_args!("expected a store, saw {error}")))?;
    let operations = round.race_watched(
        |thread, rng| work(&store, thread as u64, rng),
        || at_most("stats().bytes", max, store.stats().bytes),
    )?;
    check_rest(&store, max)?;
    Ok(operations)
}

/// A body of a conversation that all threads share: its first parts, and one of a few ends. Parts are long enough to be
/// compressed, or not.
fn body(rng: &mut Rng) -> Vec<Vec<u8>> {
    let talk = rng.u8(..2);
    let part = |at: u8| format!("part {at} of {talk} ").repeat(usize::from(at % 3 * 5 + 1)).into_bytes();
    let mut parts: Vec<_> = (0..rng.u8(1..8)).map(part).collect();
    if rng.bool() {
        parts.push(vec![rng.u8(..4)]);
    }
    // The same bytes, cut elsewhere.
    if rng.u8(..4) == 0 { vec![parts.concat()] } else { parts }
}

fn work(store: &BodyStore<ManualClock>, thread: u64, rng: &mut Rng) -> Checked<u64> {
    let mut mine: Vec<(RecordId, Digest, Vec<u8>)> = Vec::new();
    for i in 0..OPERATIONS {
        match rng.u8(..16) {
            0..8 => {
                // A name that others use as well, now and then: the same record from two threads.
                let name = if rng.u8(..4) == 0 { rng.u64(..8) } else { 100 + thread * OPERATIONS + i };
                let at = NOW.saturating_sub(Duration::from_secs(rng.u64(..20)));
                let record = Record::log((name % 5).to_string(), at, "info", name.to_string());
                let parts = body(rng);
                let slices: Vec<_> = parts.iter().map(Vec::as_slice).collect();
                match store.insert_parts(record, &slices) {
                    Ok(receipt) => {
                        let (whole, digest) = (parts.concat(), Digest::of(&parts.concat()));
                        same("the digest of what was inserted", Some(digest), receipt.body)?;
                        mine.push((receipt.id, digest, whole));
                    }
                    Err(BodyError::NoRoom { .. } | BodyError::TooLarge { .. }) => {}
                    Err(error) => return broken(format_args!("expected a receipt, saw {error}")),
                }
            }
            8..12 if !mine.is_empty() => {
                let (_, digest, whole) = &mine[rng.usize(..mine.len())];
                if let Ok(seen) = store.get(digest) {
                    ensure(seen == *whole, "expected a body as it was inserted, saw another")?;
                }
            }
            12..14 if !mine.is_empty() => {
                let (id, ..) = mine.swap_remove(rng.usize(..mine.len()));
                if let Ok(freed) = store.release(&id) {
                    same("records of a release", 1, freed.records)?;
                }
            }
            14 => {
                let policy = match rng.bool() {
                    true => PrunePolicy::keep_all().max_age(Duration::from_secs(rng.u64(10..20))),
                    false => PrunePolicy::keep_all().max_bytes(rng.u64(2_000..30_000)),
                };
                store.prune(policy);
            }
            _ => {
                let turn = store.get_turn(&rng.u8(..5).to_string());
                let in_order = turn.is_sorted_by_key(|stored| stored.record.at);
                ensure(in_order, "expected a turn in the order of time, saw one that is not")?;
            }
        }
    }
    Ok(OPERATIONS)
}

/// Every record that is there has its body, every body is counted, and nothing is left when all have gone.
fn check_rest(store: &BodyStore<ManualClock>, max: u64) -> Checked {
    let stats = store.stats();
    at_most("bytes at rest", max, stats.bytes)?;
    let gone = stats.evicted_for_bytes + stats.evicted_for_age + stats.released;
    same("records inserted, against those there and those gone", stats.inserted, stats.records + gone)?;
    let mut records = 0;
    let mut bodies = std::collections::HashSet::new();
    for turn in 0..5 {
        for stored in store.get_turn(&turn.to_string()) {
            records += 1;
            let Some(digest) = stored.body else { return broken("expected a record with a body, saw one without") };
            bodies.insert(digest);
            let Ok(body) = store.get(&digest) else { return broken("expected the body of a record, saw none") };
            same("the digest of a body that is there", digest, Digest::of(&body))?;
            ensure(store.record(&stored.id).is_ok(), "expected a record of a turn by its id, saw none")?;
        }
    }
    same("stats().records, against those met in turns", records, stats.records)?;
    same("stats().bodies, against those met in turns", bodies.len() as u64, stats.bodies)?;
    let report = store.prune(PrunePolicy::keep_all().max_bytes(0));
    same("bytes reclaimed by letting everything go", stats.bytes, report.total().bytes)?;
    same("bodies reclaimed by letting everything go", stats.bodies, report.total().bodies)?;
    let left = store.stats();
    same("what is left of nothing", (0, 0, 0, 0), (left.bytes, left.bodies, left.parts, left.stored_bytes))?;
    same("what a second time finds", Freed::default(), store.prune(PrunePolicy::keep_all().max_bytes(0)).total())
}
