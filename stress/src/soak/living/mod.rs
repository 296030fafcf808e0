//! Structures that live as long as the soak does: filled to their caps once, and churned from then on.

mod access;
mod data;
mod primitives;

use crate::run::{Checked, at_most};
use fastrand::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::Payload;
use tollgate::trace::Record;

const BEGIN: Timestamp = Timestamp::from_secs(1_000_000);
/// What the clock moves for each operation of any thread, so that what expires keeps pace with what is added, on fast
/// machines and slow ones.
const TICK_NANOS: u64 = 20_000;
/// Operations on one structure before a thread goes on to the next.
const STRETCH: u64 = 64;

/// A structure under churn.
pub(super) trait Living: Send + Sync {
    fn name(&self) -> &'static str;

    /// What it holds, and what it may hold at any instant, where that is bounded.
    fn held(&self) -> (u64, Option<u64>);

    /// Entries of its own that go with what it holds: one for each agent or principal, those of a deadline queue.
    fn beside(&self) -> u64 {
        0
    }

    /// Values that were made and not dropped yet, where they are counted.
    fn alive(&self) -> Option<u64> {
        None
    }

    /// One random operation.
    fn step(&self, rng: &mut Rng) -> Checked;
}

/// All of them, on one clock.
pub(super) struct World {
    pub(super) all: Vec<Box<dyn Living>>,
    clock: ManualClock,
    steps: AtomicU64,
    over: AtomicBool,
}

impl World {
    pub(super) fn new() -> Checked<Self> {
        let clock = ManualClock::new(BEGIN);
        let all: Vec<Box<dyn Living>> = vec![
            Box::new(primitives::Map::new()),
            Box::new(primitives::Fifo::new()?),
            Box::new(primitives::Deadline::new(&clock)),
            Box::new(access::Sessions::new(&clock)?),
            Box::new(access::Revocations::new(&clock)?),
            Box::new(access::Postures::new(&clock)?),
            Box::new(data::Traces::new()?),
            Box::new(data::Handles::new(&clock)?),
            Box::new(data::Bodies::new(&clock)?),
            Box::new(data::Retention::new(&clock)?),
        ];
        Ok(Self { all, clock, steps: AtomicU64::new(0), over: AtomicBool::new(false) })
    }

    /// Churns, in stretches, until it is told to stop or a promise breaks.
    pub(super) fn churn(&self, rng: &mut Rng) -> Checked {
        while !self.over.load(Ordering::Relaxed) {
            for living in &self.all {
                (0..STRETCH).try_for_each(|_| living.step(rng))?;
                let steps = self.steps.fetch_add(STRETCH, Ordering::Relaxed) + STRETCH;
                // Two threads may set it in the other order: it steps back a little now and then.
                self.clock.set(BEGIN.saturating_add(Duration::from_nanos(steps * TICK_NANOS)));
            }
            // Some count by a walk, so not each time.
            if rng.u8(..64) == 0 {
                self.all.iter().try_for_each(|living| within(&**living))?;
            }
        }
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Operations so far.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Entries beside what is bounded: they should go with it.
    pub(super) fn beside(&self) -> u64 {
        let unbounded = |living: &dyn Living| if living.held().1.is_none() { living.held().0 } else { 0 };
        self.all.iter().map(|living| living.beside() + unbounded(&**living)).sum()
    }

    /// Values that were removed and are not freed yet, of the structures whose values are counted. Read while threads
    /// work, so a few more or fewer.
    pub(super) fn garbage(&self) -> u64 {
        let counted = self.all.iter().filter_map(|living| Some(living.alive()?.saturating_sub(living.held().0)));
        counted.sum()
    }
}

fn within(living: &dyn Living) -> Checked {
    let (held, cap) = living.held();
    at_most(format_args!("what {} hold", living.name()), cap.unwrap_or(u64::MAX), held)
}

/// A value that is counted as long as it is alive.
struct Counted {
    number: u64,
    alive: &'static AtomicU64,
}

impl Counted {
    fn new(number: u64, alive: &'static AtomicU64) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { number, alive }
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.number, self.alive)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Record for Counted {
    type Id = u64;

    fn id(&self) -> &u64 {
        &self.number
    }
}

impl Payload for Counted {
    fn bytes(&self) -> u64 {
        100
    }
}

/// Numbers that never come again, for keys.
#[derive(Default)]
struct Numbers(AtomicU64);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// One of the latest so many.
    fn recent(&self, most: u64, rng: &mut Rng) -> u64 {
        self.0.load(Ordering::Relaxed).saturating_sub(rng.u64(1..=most))
    }
}

/// So many keys that were added and not given up yet.
struct Keys<K>(Vec<Mutex<Option<K>>>);

impl<K: Clone> Keys<K> {
    fn new(most: usize) -> Self {
        Self((0..most).map(|_| Mutex::default()).collect())
    }

    /// Keeps a key in place of another one, which is the caller's to remove: nobody else is given it.
    fn put(&self, key: K, rng: &mut Rng) -> Option<K> {
        self.any(rng).lock().unwrap_or_else(PoisonError::into_inner).replace(key)
    }

    /// Gives up a key, as [`put`](Self::put) does.
    fn take(&self, rng: &mut Rng) -> Option<K> {
        self.any(rng).lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn look(&self, rng: &mut Rng) -> Option<K> {
        self.any(rng).lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn any(&self, rng: &mut Rng) -> &Mutex<Option<K>> {
        &self.0[rng.usize(..self.0.len())]
    }
}
