//! The order of evictions over long runs of the FIFO map, where a search would not end.
//!
//! Every key is used once, so a history is right if it has none of these patterns, each found in O(n log n): an entry that
//! goes twice, that goes without having been inserted, that goes before its insert began, or that goes before an older one
//! that was in before it began. (These are what a queue can do wrong, but for saying that it is empty when it is not.)

use super::Report;
use super::record::{Key, pause};
use crate::run::{Checked, Round, broken, ensure, start};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tollgate::fifo::{FifoMap, Reason};

/// Calls of each thread in a window.
const CALLS: u64 = 5_000;

thread_local! {
    /// What the listener heard in this thread's call.
    static HEARD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// A call's interval.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    end: u64,
}

/// What happened to entries.
#[derive(Default)]
struct Record {
    inserted: Vec<(u64, Span)>,
    evicted: Vec<(u64, Span)>,
}

pub(super) fn rounds(name: &'static str, seed: u64, threads: usize, time: Duration, report: &mut Report) -> Checked {
    let begun = start();
    while report.windows == 0 || begun.elapsed() < time {
        let round = Round { name, seed, number: report.next, threads };
        let record = window(&round)?;
        report.windows += 1;
        report.next += 1;
        report.histories += 1;
        report.calls += threads as u64 * CALLS;
        let overlapped = record.inserted.iter().filter(|(_, span)| span.end - span.start > 1).count();
        report.overlapped += overlapped as u64;
        check(&record).or_else(|what| broken(format_args!("window {}: {what}", round.number)))?;
    }
    Ok(())
}

fn window(round: &Round) -> Checked<Record> {
    let heard = |key: &Key, (): &(), _: Reason| HEARD.with_borrow_mut(|heard| heard.push(key.0));
    let map = FifoMap::builder(round.pick(1, &[1, 4, 100])).listener(heard).build().or_else(broken)?;
    let ticks = AtomicU64::new(0);
    let tick = || ticks.fetch_add(1, Ordering::AcqRel);
    let records = Mutex::new(Record::default());
    round.race(|thread, rng| {
        let mut mine = Record::default();
        for i in 0..CALLS {
            pause();
            let key = thread as u64 * CALLS + i;
            let insert = rng.u8(..4) > 0;
            let start = tick();
            if insert {
                map.insert(Key(key), ()).or_else(broken)?;
            } else {
                map.pop_oldest(Reason::Age);
            }
            let span = Span { start, end: tick() };
            mine.inserted.extend(insert.then_some((key, span)));
            mine.evicted.extend(HEARD.take().into_iter().map(|key| (key, span)));
        }
        let mut records = records.lock().expect("no thread panics with it");
        records.inserted.append(&mut mine.inserted);
        records.evicted.append(&mut mine.evicted);
        Ok(CALLS)
    })?;
    let mut record = records.into_inner().expect("no thread panics with it");
    // The rest goes in order, one at a time.
    while map.pop_oldest(Reason::Age).is_some() {
        let span = Span { start: tick(), end: tick() };
        record.evicted.extend(HEARD.take().into_iter().map(|key| (key, span)));
    }
    Ok(record)
}

fn check(record: &Record) -> Checked {
    let mut evicted = HashMap::new();
    for &(key, span) in &record.evicted {
        let before = evicted.insert(key, span);
        ensure(before.is_none(), format_args!("{key} was evicted twice, by {before:?} and {span:?}"))?;
    }
    let inserted: HashMap<_, _> = record.inserted.iter().copied().collect();
    for (key, gone) in &evicted {
        let Some(put) = inserted.get(key) else { return broken(format_args!("{key} was evicted and never inserted")) };
        let what = format_args!("{key} was evicted by {gone:?} before its insert {put:?} began");
        ensure(put.start < gone.end, what)?;
    }
    // In the order in which inserts began, against what was in before: of that, what goes last.
    let mut by_start: Vec<_> =
        inserted.iter().filter_map(|(key, put)| Some((*put, *evicted.get(key)?, *key))).collect();
    ensure(by_start.len() == inserted.len(), "an entry was never evicted, though the map was emptied")?;
    let mut by_end = by_start.clone();
    by_start.sort_unstable_by_key(|(put, ..)| put.start);
    by_end.sort_unstable_by_key(|(put, ..)| put.end);
    let mut in_before = by_end.into_iter().peekable();
    let mut last: Option<(Span, Span, u64)> = None;
    for (put, gone, key) in by_start {
        while let Some(older) = in_before.next_if(|(older, ..)| older.end < put.start) {
            last = Some(last.filter(|last| last.1.start > older.1.start).unwrap_or(older));
        }
        if let Some(older) = last.filter(|older| gone.end < older.1.start) {
            let (older_put, older_gone, older) = older;
            return broken(format_args!(
                "{key}, inserted by {put:?} and evicted by {gone:?}, went before {older}, which is older: inserted by \
                 {older_put:?}, evicted by {older_gone:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(inserted: &[(u64, u64, u64)], evicted: &[(u64, u64, u64)]) -> Result<(), String> {
        let spans =
            |list: &[(u64, u64, u64)]| list.iter().map(|&(key, start, end)| (key, Span { start, end })).collect();
        check(&Record { inserted: spans(inserted), evicted: spans(evicted) }).map_err(|what| what.to_string())
    }

    #[test]
    fn accepts_entries_that_go_in_their_order_or_overlap() {
        assert_eq!(judged(&[(1, 0, 1), (2, 2, 3)], &[(1, 4, 5), (2, 6, 7)]), Ok(()));
        assert_eq!(judged(&[(1, 0, 2), (2, 1, 3)], &[(2, 4, 5), (1, 6, 7)]), Ok(()));
        assert_eq!(judged(&[(1, 0, 1), (2, 2, 3)], &[(2, 4, 6), (1, 5, 7)]), Ok(()));
    }

    #[test]
    fn rejects_an_inversion() {
        let what = judged(&[(1, 0, 1), (2, 2, 3)], &[(2, 4, 5), (1, 6, 7)]).unwrap_err();
        assert!(what.contains("went before 1"), "{what}");
    }

    #[test]
    fn rejects_an_eviction_that_is_one_too_many_or_too_early_or_missing() {
        let what = judged(&[(1, 0, 1)], &[(1, 2, 3), (1, 4, 5)]).unwrap_err();
        assert!(what.contains("twice"), "{what}");
        let what = judged(&[], &[(1, 2, 3)]).unwrap_err();
        assert!(what.contains("never inserted"), "{what}");
        let what = judged(&[(1, 2, 3)], &[(1, 0, 1)]).unwrap_err();
        assert!(what.contains("before its insert"), "{what}");
        let what = judged(&[(1, 2, 3)], &[]).unwrap_err();
        assert!(what.contains("never evicted"), "{what}");
    }
}
