//! Tries to make a meter oversell: what is admitted equals the budget exactly, a window never admits more than its
//! limit, refunds give back what they say, and nothing is admitted after the meter is shut.

use crate::run::{Checked, Round, at_most, broken, ensure, same};
use fastrand::Rng;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tollgate::budget::{Denied, Limits, Meter, Spent, Status};
use tollgate::clock::Timestamp;

const OPERATIONS: u64 = 1_500;
const START: Timestamp = Timestamp::from_secs(1_000);
const WINDOW: Duration = Duration::from_nanos(1_000);

pub(crate) fn round(round: &Round) -> Checked<u64> {
    match round.number % 5 {
        0 => spend(round),
        1 => replay(round),
        2 => turn_over(round),
        3 => refund(round),
        _ => shut(round),
    }
}

fn meter(limits: Limits) -> Checked<Meter> {
    Meter::new(limits, START).or_else(|error| broken(format_args!("expected a meter, saw {error}")))
}

/// Admits batches, smaller and smaller ones, until a single call is refused; returns the calls admitted and the tries.
fn exhaust(meter: &Meter, rng: &mut Rng, now: Timestamp) -> Checked<(u64, u64)> {
    let (mut admitted, mut tries, mut most) = (0, 0, 9);
    loop {
        tries += 1;
        let batch = rng.u64(1..=most);
        match meter.admit(batch, now) {
            Ok(spent) => {
                admitted += batch;
                same("calls and what remains", meter.limits().budget, spent.calls + spent.remaining)?;
            }
            Err(Denied::Budget { asked, limit, used } | Denied::Rate { asked, limit, used, .. }) => {
                same("the batch that was refused", batch, asked)?;
                let fits = used.checked_add(asked).is_some_and(|sum| sum <= limit);
                ensure(!fits, format_args!("expected {asked} on top of {used} of {limit} to be admitted"))?;
                if batch == 1 {
                    return Ok((admitted, tries));
                }
                most = batch - 1;
            }
            Err(other) => return broken(format_args!("expected a limit, saw {other}")),
        }
    }
}

/// A budget alone: admitted to the last unit, and not one more.
fn spend(round: &Round) -> Checked<u64> {
    let budget = round.setup().u64(..20_000);
    let meter = meter(Limits::new(budget))?;
    let admitted = AtomicU64::new(0);
    let operations = round.race(|_, rng| {
        let (mine, tries) = exhaust(&meter, rng, START)?;
        admitted.fetch_add(mine, Ordering::SeqCst);
        Ok(tries)
    })?;
    same("calls admitted", budget, admitted.into_inner())?;
    let spent = meter.spent_at(START);
    same("calls made and left", (budget, 0), (spent.calls, spent.remaining))?;
    Ok(operations)
}

/// One batch that was admitted.
struct Admitted {
    calls: u64,
    now: u64,
    spent: Spent,
}

/// Time runs while batches are admitted. Each one tells the calls made after it, which puts all of them in order; in
/// that order a plain sequential window must admit the same.
fn replay(round: &Round) -> Checked<u64> {
    let mut rng = round.setup();
    let (budget, limit) = (rng.u64(1_000..1_000_000), rng.u64(1..40));
    let meter = meter(Limits::new(budget).with_rate(limit, WINDOW))?;
    let clock = AtomicU64::new(START.as_nanos());
    let log = Mutex::new(Vec::new());
    let operations = round.race(|_, rng| {
        let mut mine = Vec::new();
        for _ in 0..OPERATIONS {
            let now = clock.fetch_add(rng.u64(..200), Ordering::SeqCst);
            // Some come late.
            let now = if rng.u8(..8) == 0 { now - rng.u64(..5_000) } else { now };
            let calls = rng.u64(1..8);
            if let Ok(spent) = meter.admit(calls, Timestamp::from_nanos(now)) {
                mine.push(Admitted { calls, now, spent });
            }
        }
        log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(mine);
        Ok(OPERATIONS)
    })?;
    let mut log = log.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    log.sort_unstable_by_key(|admitted| admitted.spent.calls);
    let (mut total, mut used, mut start) = (0, 0, START.as_nanos());
    for Admitted { calls, now, spent } in log {
        total += calls;
        same("calls made, in the order of admission", total, spent.calls)?;
        if now >= start + WINDOW.as_nanos() as u64 {
            (used, start) = (0, now);
        }
        used += calls;
        at_most("calls admitted in one window", limit, used)?;
        same("calls in the window, as told", used, spent.window_calls)?;
    }
    at_most("calls admitted", budget, total)?;
    same("calls made", total, meter.spent_at(START).calls)?;
    Ok(operations)
}

/// All threads turn the window over at once: each window admits its limit exactly, until the budget ends.
fn turn_over(round: &Round) -> Checked<u64> {
    const WINDOWS: u64 = 4;
    let mut rng = round.setup();
    let limit = rng.u64(1..200);
    // Every other round with a budget so large that window starts are kept in coarser ticks.
    let wide = round.number % 2 == 0;
    let large = if wide { 1 << 27 } else { 0 };
    let (limit, budget) = if wide { (limit + large, u64::MAX) } else { (limit, limit * WINDOWS - limit / 2) };
    let window = if wide { Duration::from_secs(60) } else { WINDOW };
    let meter = meter(Limits::new(budget).with_rate(limit, window))?;
    let mut left = budget;
    let mut operations = 0;
    for number in 0..WINDOWS {
        let begin = START.saturating_add(window * (2 * number as u32));
        let admitted = AtomicU64::new(0);
        operations += round.race(|_, rng| {
            let at = begin.saturating_add(Duration::from_nanos(rng.u64(..window.as_nanos() as u64 / 2)));
            // One thread gets the large batch, which leaves fewer than 200 calls to all.
            let first = meter.admit(large, at).map_or(0, |_| large);
            let (rest, tries) = exhaust(&meter, rng, at)?;
            admitted.fetch_add(first + rest, Ordering::SeqCst);
            Ok(tries + 1)
        })?;
        let due = limit.min(left);
        same(format_args!("calls admitted in window {number}"), due, admitted.into_inner())?;
        left -= due;
    }
    same("calls left", left, meter.spent_at(START).remaining)?;
    Ok(operations)
}

/// Batches that are given back, some of them: the rest is what was spent.
fn refund(round: &Round) -> Checked<u64> {
    let budget = round.setup().u64(1..2_000);
    let meter = meter(Limits::new(budget))?;
    let kept = AtomicU64::new(0);
    let operations = round.race(|_, rng| {
        let mut mine = 0;
        for _ in 0..OPERATIONS {
            let calls = rng.u64(..12);
            let Ok(spent) = meter.admit(calls, START) else { continue };
            same("calls and what remains", budget, spent.calls + spent.remaining)?;
            let back = rng.u64(..=calls);
            mine += calls - back;
            meter.refund(back, START).or_else(|denied| broken(format_args!("expected a refund, saw: {denied}")))?;
        }
        kept.fetch_add(mine, Ordering::SeqCst);
        Ok(OPERATIONS)
    })?;
    let kept = kept.into_inner();
    same("calls made, against admitted less given back", kept, meter.spent_at(START).calls)?;
    let (rest, tries) = exhaust(&meter, &mut round.setup(), START)?;
    same("calls admitted in all", budget, kept + rest)?;
    Ok(operations + tries)
}

/// The meter is shut while batches are admitted: what it says it had spent then is all that was ever admitted.
fn shut(round: &Round) -> Checked<u64> {
    let meter = meter(Limits::new(u64::MAX).with_rate(1 << 27, WINDOW))?;
    let admitted = AtomicU64::new(0);
    let closed = AtomicBool::new(false);
    let told = Mutex::new(Vec::new());
    let operations = round.race(|_, rng| {
        let mut mine = 0;
        let end = rng.u64(..OPERATIONS);
        for i in 0..OPERATIONS {
            let late = closed.load(Ordering::SeqCst);
            let calls = rng.u64(1..5);
            match meter.admit(calls, START) {
                Ok(_) if late => return broken("expected no admission after the meter was shut, saw one"),
                Ok(_) => mine += calls,
                Err(Denied::Shut(_)) => {}
                Err(other) => return broken(format_args!("expected the meter to be open or shut, saw: {other}")),
            }
            if i == end {
                let to = if rng.bool() { Status::Expired } else { Status::Closed };
                if let Ok(spent) = meter.shut_if(to, |spent| spent.calls > 0) {
                    closed.store(true, Ordering::SeqCst);
                    told.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(spent.calls);
                }
            }
        }
        admitted.fetch_add(mine, Ordering::SeqCst);
        Ok(OPERATIONS)
    })?;
    let admitted = admitted.into_inner();
    let told = told.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    at_most("threads that shut the meter, once to each status", 2, told.len() as u64)?;
    ensure(!told.is_empty(), "expected one thread to shut the meter, saw none")?;
    for calls in told {
        same("calls at the instant that the meter was shut", admitted, calls)?;
    }
    same("calls made", admitted, meter.spent_at(START).calls)?;
    Ok(operations)
}
