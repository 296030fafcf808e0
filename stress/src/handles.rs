//! Tries to make a handle store hold more than it may, return what is dead or another's, or lose count: while threads
//! store, get, remove and sweep, and the clock steps forth and back.

use crate::run::{Checked, Round, at_most, broken, ensure, same, stumble};
use fastrand::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::{
    ENTRY_BYTES, Handle, HandleConfig, HandleError, HandleRequest, HandleStats, HandleStore, Payload,
};
use uuid::Uuid;

const OPERATIONS: u64 = 600;
const SECOND: u64 = 1_000_000_000;
/// The clock's first instant, in nanoseconds.
const BEGIN: u64 = 1_000_000 * SECOND;
/// How far the clock goes in a round, on the whole.
const SPAN: u64 = 600 * SECOND;
/// The longest time to live but that of the default.
const LONGEST: u64 = 60 * SECOND;

/// A payload that knows whose it is.
struct Data {
    own: u64,
    bytes: u64,
}

impl Payload for Data {
    fn bytes(&self) -> u64 {
        stumble();
        self.bytes
    }
}

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let (capacity, total) = round
        .pick(1, &[(1, None), (20, None), (20, Some(ENTRY_BYTES * 12)), (500, Some(ENTRY_BYTES * 30)), (5_000, None)]);
    let race = Race::new(round, capacity, total)?;
    let operations = round.race_watched(
        |thread, rng| {
            for i in 0..OPERATIONS {
                race.step(thread as u64 * OPERATIONS + i, rng)?;
            }
            Ok(OPERATIONS)
        },
        || race.within(),
    )?;
    race.check_rest()?;
    Ok(operations)
}

struct Race {
    store: HandleStore<Data, ManualClock>,
    clock: ManualClock,
    capacity: u64,
    total: Option<u64>,
    /// Handles of all threads, with the number of the payload.
    known: Mutex<Vec<(Arc<Handle>, u64)>>,
    stored: AtomicU64,
    removed: AtomicU64,
    swept: AtomicU64,
    steps: AtomicU64,
    all_steps: u64,
}

impl Race {
    fn new(round: &Round, capacity: u64, total: Option<u64>) -> Checked<Self> {
        let clock = ManualClock::new(Timestamp::from_nanos(BEGIN));
        let mut config = HandleConfig::new().capacity(capacity).ttl(Duration::from_secs(86_400));
        if let Some(total) = total {
            config = config.max_total_bytes(total);
        }
        let store = HandleStore::with_clock(config, clock.clone())
            .or_else(|error| broken(format_args!("expected a store, saw {error}")))?;
        Ok(Self {
            store,
            clock,
            capacity,
            total,
            known: Mutex::default(),
            stored: AtomicU64::new(0),
            removed: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            all_steps: round.threads as u64 * OPERATIONS,
        })
    }

    fn step(&self, own: u64, rng: &mut Rng) -> Checked {
        let steps = self.steps.fetch_add(1, Ordering::SeqCst);
        match rng.u8(..32) {
            0..12 => self.put(own, rng),
            12..22 => self.look(rng),
            22..26 => self.take(rng),
            26..29 => {
                let limit = rng.usize(..20);
                let swept = self.store.sweep(limit);
                self.swept.fetch_add(swept.removed, Ordering::SeqCst);
                at_most("entries that a sweep removed", limit as u64, swept.removed)
            }
            29..31 => {
                // On the whole forward, but each step may go back by seconds.
                let now = BEGIN + SPAN / self.all_steps * steps + rng.u64(..20 * SECOND);
                self.clock.set(Timestamp::from_nanos(now - 10 * SECOND));
                Ok(())
            }
            _ => self.within(),
        }
    }

    fn put(&self, own: u64, rng: &mut Rng) -> Checked {
        let mut request = HandleRequest::new("");
        let endless = rng.u8(..4) == 0;
        if !endless {
            request = request.ttl(Duration::from_nanos(rng.u64(1..LONGEST)));
        }
        let data = Data { own, bytes: rng.u64(..ENTRY_BYTES) };
        let handle = match self.store.store(request, data) {
            Ok(handle) => handle,
            Err(error) => return broken(format_args!("expected a handle, saw {error}")),
        };
        ensure(handle.expires_at > handle.created_at, "expected a handle that is alive, saw one that is dead")?;
        self.stored.fetch_add(1, Ordering::SeqCst);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).push((handle, own));
        Ok(())
    }

    /// One of the handles that any thread has stored, a late one more often than not.
    fn some(&self, rng: &mut Rng) -> Option<(Arc<Handle>, u64)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let back = rng.usize(..known.len().max(1)).min(rng.usize(..known.len().max(1)));
        known.iter().rev().nth(back).cloned()
    }

    fn look(&self, rng: &mut Rng) -> Checked {
        let Some((handle, own)) = self.some(rng) else { return Ok(()) };
        if rng.bool() {
            return match self.store.get(&handle.id) {
                Ok(data) => same("the payload of a handle", own, data.own),
                Err(error) => self.gone(&handle, error),
            };
        }
        match self.store.get_meta(&handle.id) {
            Ok(meta) => ensure(Arc::ptr_eq(&meta, &handle), "expected the handle that was stored, saw another"),
            Err(error) => self.gone(&handle, error),
        }
    }

    fn take(&self, rng: &mut Rng) -> Checked {
        let Some((handle, own)) = self.some(rng) else { return Ok(()) };
        match self.store.remove(&handle.id) {
            Ok(data) => {
                self.removed.fetch_add(1, Ordering::SeqCst);
                same("the payload of a handle", own, data.own)?;
                let again = self.store.get(&handle.id).map(drop);
                same("what is found of a removed handle", Err(HandleError::NotFound), again)
            }
            Err(error) => self.gone(&handle, error),
        }
    }

    /// A handle may be gone at any time, but not expired if it lives for longer than the round.
    fn gone(&self, handle: &Handle, error: HandleError) -> Checked {
        let latest = Timestamp::from_nanos(BEGIN + SPAN + 20 * SECOND);
        match error {
            HandleError::NotFound => Ok(()),
            HandleError::Expired if handle.expires_at <= latest => Ok(()),
            other => broken(format_args!("expected a handle until {:?}, saw: {other}", handle.expires_at)),
        }
    }

    fn within(&self) -> Checked {
        let stats = self.store.stats();
        at_most("entries", self.capacity, stats.live)?;
        at_most("bytes", self.total.unwrap_or(u64::MAX), stats.bytes)
    }

    fn sums(&self, stats: &HandleStats) -> Checked {
        let gone = stats.expired + stats.removed + stats.evicted();
        same("entries stored, against those there and those gone", stats.stored, stats.live + gone)
    }

    fn check_rest(&self) -> Checked {
        self.within()?;
        let stats = self.store.stats();
        self.sums(&stats)?;
        same("stats().stored, against handles", self.stored.load(Ordering::SeqCst), stats.stored)?;
        same("stats().removed, against payloads returned", self.removed.load(Ordering::SeqCst), stats.removed)?;
        at_most("entries swept, of those that expired", stats.expired, self.swept.load(Ordering::SeqCst))?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |id: &Uuid| self.store.get_meta(id).ok();
        let (met, bytes) = known
            .iter()
            .filter_map(|(handle, _)| there(&handle.id))
            .fold((0, 0), |(met, bytes), handle| (met + 1, bytes + handle.bytes));
        let stats = self.store.stats();
        same("stats().live, against handles that are found", met, stats.live)?;
        same("stats().bytes, against those of handles that are found", bytes, stats.bytes)?;
        // Long after everything has expired, nothing is left.
        self.clock.set(Timestamp::from_nanos(BEGIN + SPAN + 2 * 86_400 * SECOND));
        let last = self.store.sweep(usize::MAX);
        let stats = self.store.stats();
        same("more to sweep, entries, bytes and queue entries at the end", (false, 0, 0, 0), {
            (last.more, stats.live, stats.bytes, stats.queued)
        })?;
        self.sums(&stats)
    }
}
