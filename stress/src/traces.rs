//! Tries to make a trace store keep more than its cap, lose count of what it evicted, or show records out of order.

use crate::fifo::check_numbers;
use crate::run::{Checked, Round, at_most, broken, ensure, same, stumble};
use fastrand::Rng;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tollgate::clock::Timestamp;
use tollgate::trace::{ActionTrace, TraceQuery, TraceStore};

const OPERATIONS: u64 = 300;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let cap = round.pick(1, &[1, 3, 50, 5_000]);
    let heard: Arc<[AtomicU8]> = (0..round.threads as u64 * OPERATIONS).map(|_| AtomicU8::new(0)).collect();
    let listener = Arc::clone(&heard);
    let store = TraceStore::<ActionTrace>::with_listener(cap, move |trace, _| {
        stumble();
        listener[trace.invoked_at.as_nanos() as usize].fetch_add(1, Ordering::SeqCst);
    });
    let store = store.or_else(|error| broken(format_args!("expected a store, saw {error}")))?;
    let recorded = AtomicU64::new(0);
    let operations = round.race_watched(
        |thread, rng| {
            for i in 0..OPERATIONS {
                recorded.fetch_add(u64::from(step(&store, thread as u64, i, rng)?), Ordering::SeqCst);
            }
            Ok(OPERATIONS)
        },
        || in_order(cap, &store.list()),
    )?;
    check_rest(round, cap, &store, recorded.into_inner(), &heard)?;
    Ok(operations)
}

/// The one number of a thread's record, which is its time as well.
fn number(thread: u64, i: u64) -> u64 {
    thread * OPERATIONS + i
}

/// Records, three times in four, or reads. True if it recorded.
fn step(store: &TraceStore, thread: u64, i: u64, rng: &mut Rng) -> Checked<bool> {
    let own = number(thread, i);
    match rng.u8(..16) {
        0 => {
            let most = rng.usize(..8);
            at_most("records of latest()", most as u64, store.latest(most).len() as u64)?;
        }
        1 => {
            let query = TraceQuery {
                principal_id: Some(thread.to_string()),
                limit: Some(5),
                newest_first: rng.bool(),
                ..TraceQuery::default()
            };
            let found = match store.query(&query) {
                Ok(found) => found,
                Err(error) => return broken(format_args!("expected records, saw {error}")),
            };
            at_most("records of a query", 5, found.len() as u64)?;
            for trace in found {
                same("the principal of a record that was asked for", thread, number_of(&trace.principal_id)?)?;
            }
        }
        2 | 3 => {
            let other = number(thread, rng.u64(..=i));
            if let Ok(trace) = store.get(&other.to_string()) {
                same("the id of a record that was asked for", other, number_of(&trace.action_id)?)?;
            }
        }
        _ => {
            let (id, principal) = (own.to_string(), thread.to_string());
            let placed = store.record(ActionTrace::new(id, "tool", principal, "token", Timestamp::from_nanos(own)));
            ensure(!placed.replaced, format_args!("expected record {own} to be new, saw it replace another"))?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn number_of(text: &str) -> Checked<u64> {
    text.parse().or_else(|_| broken(format_args!("expected a number, saw {text:?}")))
}

/// No more than the cap, and the records of each thread in the order in which it made them.
fn in_order(cap: u64, list: &[Arc<ActionTrace>]) -> Checked {
    at_most("records of list()", cap, list.len() as u64)?;
    let mut last = HashMap::new();
    for trace in list {
        let own = trace.invoked_at.as_nanos();
        same("the id of a record, against its time", own, number_of(&trace.action_id)?)?;
        let before = last.insert(own / OPERATIONS, own);
        let rises = before.is_none_or(|before| before < own);
        ensure(rises, format_args!("expected a thread's records oldest first, saw {own} after {before:?}"))?;
    }
    Ok(())
}

fn check_rest(round: &Round, cap: u64, store: &TraceStore, recorded: u64, heard: &[AtomicU8]) -> Checked {
    let (list, stats) = (store.list(), store.stats());
    in_order(cap, &list)?;
    same("records left", recorded.min(cap), list.len() as u64)?;
    same("stats().live, against records met", list.len() as u64, stats.live)?;
    same("records, against those there and those evicted", recorded, stats.live + stats.evicted())?;
    check_numbers(round.threads, recorded, &stats)?;
    let announced: u64 = heard.iter().map(|count| u64::from(count.load(Ordering::SeqCst))).sum();
    same("records announced, against records evicted", stats.evicted(), announced)?;
    for (own, count) in heard.iter().enumerate() {
        at_most(format_args!("announcements of record {own}"), 1, count.load(Ordering::SeqCst).into())?;
    }
    for trace in list {
        let announced = heard[trace.invoked_at.as_nanos() as usize].load(Ordering::SeqCst);
        same("announcements of a record that is there", 0, announced)?;
    }
    Ok(())
}
