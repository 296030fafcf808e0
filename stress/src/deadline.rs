//! Tries to break the deadline queue's promise that an entry is visited when it is due, not before, is dropped exactly
//! once, and is never lost, whatever times the sweeps bring.

use crate::run::{Broken, Checked, Round, at_most, ensure, same, stumble};
use fastrand::Rng;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tollgate::clock::Timestamp;
use tollgate::deadline::{DeadlineQueue, Next, Swept};

const OPERATIONS: u64 = 800;
/// More than a queue's first few digits, less than any arithmetic wraps at.
const BASE: u64 = 1 << 40;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let race = Race::new(round);
    let operations = round.race(|thread, rng| race.work(thread, rng))?;
    race.check(&mut round.setup())?;
    Ok(operations)
}

/// One entry, by its key.
#[derive(Default)]
struct Entry {
    /// The deadline it was added with, as nanoseconds; zero before.
    added: AtomicU64,
    visits: AtomicU32,
    stale: AtomicBool,
}

struct Race {
    queue: DeadlineQueue<u64>,
    entries: Vec<Entry>,
    added: AtomicU64,
    dropped: AtomicU64,
    time: AtomicU64,
    /// How far ahead deadlines are, at most.
    spread: u64,
    /// Whether entries become stale; then they may be visited before they are due.
    stale: bool,
}

impl Race {
    fn new(round: &Round) -> Self {
        let entries = (0..round.threads as u64 * OPERATIONS).map(|_| Entry::default()).collect();
        Self {
            queue: DeadlineQueue::new(),
            entries,
            added: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            time: AtomicU64::new(BASE),
            spread: round.pick(2, &[1 << 4, 1 << 9, 1 << 20, 1 << 34]),
            stale: round.number % 2 == 1,
        }
    }

    fn work(&self, thread: usize, rng: &mut Rng) -> Checked<u64> {
        let mut high_water = Timestamp::ZERO;
        let mut mine = Vec::new();
        for i in 0..OPERATIONS {
            match rng.u8(..16) {
                0..9 => {
                    let key = thread as u64 * OPERATIONS + i;
                    self.add(key, rng);
                    mine.push(key);
                }
                9..11 if self.stale && !mine.is_empty() => {
                    let key = mine.swap_remove(rng.usize(..mine.len()));
                    self.entries[key as usize].stale.store(true, Ordering::SeqCst);
                    self.queue.note_stale();
                }
                _ => self.sweep(rng)?,
            }
            let now = self.queue.high_water();
            ensure(high_water <= now, format_args!("expected high_water() to rise, saw {high_water:?}, then {now:?}"))?;
            high_water = now;
        }
        Ok(OPERATIONS)
    }

    fn add(&self, key: u64, rng: &mut Rng) {
        let time = self.time.load(Ordering::SeqCst);
        // Some are due already.
        let deadline = (time + rng.u64(..self.spread)).saturating_sub(self.spread / 16);
        self.entries[key as usize].added.store(deadline, Ordering::SeqCst);
        self.queue.add(key, Timestamp::from_nanos(deadline));
        self.added.fetch_add(1, Ordering::SeqCst);
    }

    /// A sweep that moves time on, or brings a time that is long over.
    fn sweep(&self, rng: &mut Rng) -> Checked {
        let now = if rng.u8(..4) == 0 {
            BASE.saturating_sub(rng.u64(..self.spread))
        } else {
            self.time.fetch_add(rng.u64(..=self.spread / 64 + 1), Ordering::SeqCst)
        };
        let limit = rng.usize(1..48);
        let mut wrong = None;
        let mut visits = 0;
        let swept = self.queue.sweep(Timestamp::from_nanos(now), limit, |&key, met| {
            visits += 1;
            self.visit(key, met.deadline, rng).unwrap_or_else(|broken| {
                wrong = Some(broken);
                Next::Drop
            })
        });
        self.dropped.fetch_add(swept.dropped as u64, Ordering::SeqCst);
        at_most("entries dropped, against visits", visits, swept.dropped as u64)?;
        at_most("visits, against the limit", limit as u64, visits)?;
        wrong.map_or(Ok(()), Err)
    }

    fn visit(&self, key: u64, deadline: Timestamp, rng: &mut Rng) -> Checked<Next> {
        stumble();
        let entry = &self.entries[key as usize];
        entry.visits.fetch_add(1, Ordering::SeqCst);
        self.check_deadline(key, deadline)?;
        let high_water = self.queue.high_water();
        if deadline > high_water {
            ensure(
                self.stale,
                format_args!("expected no visit of {key} before {deadline:?}, saw one at {high_water:?}"),
            )?;
            let gone = entry.stale.load(Ordering::SeqCst);
            return Ok(if gone { Next::Drop } else { Next::KeepUntil(deadline) });
        }
        let later = Timestamp::from_nanos(deadline.as_nanos() + rng.u64(..self.spread));
        Ok(if rng.u8(..8) == 0 { Next::KeepUntil(later) } else { Next::Drop })
    }

    /// A deadline moves to a later time only.
    fn check_deadline(&self, key: u64, deadline: Timestamp) -> Checked {
        let added = Timestamp::from_nanos(self.entries[key as usize].added.load(Ordering::SeqCst));
        let what = "to be visited with its deadline or a later one";
        ensure(added <= deadline, format_args!("expected {key}, due at {added:?}, {what}, saw {deadline:?}"))
    }

    /// When all is quiet: first what is due at some instant, then all the rest, each entry once.
    fn check(&self, rng: &mut Rng) -> Checked {
        let added = self.added.load(Ordering::SeqCst);
        let dropped = self.dropped.load(Ordering::SeqCst);
        same("len(), against what was added and not dropped", added.wrapping_sub(dropped), self.queue.len())?;
        let mut seen = HashSet::new();
        let middle = Timestamp::from_nanos(self.time.load(Ordering::SeqCst) + rng.u64(..self.spread));
        let first = self.drain(middle, |key, deadline| {
            self.check_deadline(key, deadline)?;
            ensure(seen.insert(key), format_args!("expected {key} once in a quiet sweep, saw it twice"))?;
            // Not due, but in a queue where many are stale: stays for the second part.
            let wait = deadline > self.queue.high_water() && seen.remove(&key);
            Ok(if wait { Next::KeepUntil(deadline) } else { Next::Drop })
        })?;
        let reached = self.queue.high_water();
        let second = self.drain(Timestamp::MAX, |key, deadline| {
            ensure(
                deadline > reached,
                format_args!("expected {key}, due at {deadline:?}, in the sweep to {reached:?}, saw it after that"),
            )?;
            ensure(seen.insert(key), format_args!("expected {key} once in a quiet sweep, saw it twice"))?;
            Ok(Next::Drop)
        })?;
        same("entries dropped by all sweeps, against entries added", added, dropped + first + second)?;
        same("len() after the last sweep", 0, self.queue.len())?;
        for (key, entry) in self.entries.iter().enumerate() {
            let (added, visits) = (entry.added.load(Ordering::SeqCst), entry.visits.load(Ordering::SeqCst));
            let met = added == 0 || visits > 0;
            ensure(met, format_args!("expected {key} to be visited before it is gone, saw it never"))?;
        }
        Ok(())
    }

    /// Sweeps until nothing more is due; returns how many entries were dropped.
    fn drain(&self, now: Timestamp, mut visit: impl FnMut(u64, Timestamp) -> Checked<Next>) -> Checked<u64> {
        let mut wrong: Option<Broken> = None;
        let mut dropped = 0;
        // Each sweep but the last takes all the steps it may, and an entry takes a few dozen in its life.
        for _ in 0..self.entries.len() + 2 {
            let Swept { dropped: now_dropped, more, .. } = self.queue.sweep(now, 64, |&key, met| {
                self.entries[key as usize].visits.fetch_add(1, Ordering::SeqCst);
                visit(key, met.deadline).unwrap_or_else(|broken| {
                    wrong.get_or_insert(broken);
                    Next::Drop
                })
            });
            dropped += now_dropped as u64;
            if !more {
                return wrong.map_or(Ok(dropped), Err);
            }
        }
        Err(Broken(format!("expected sweeps at {now:?} to come to an end, saw none")))
    }
}
