//! `HandleStore` against a vector of entries, oldest first.

use super::{OPS, config};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::{ENTRY_BYTES, HandleConfig, HandleError, HandleRequest, HandleStore, Payload};
use uuid::Uuid;

const TTL: u64 = 50;

/// A payload of as many bytes as it says.
#[derive(Debug)]
struct Sized(u64);

impl Payload for Sized {
    fn bytes(&self) -> u64 {
        self.0
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Of a payload's bytes, and a time to live in nanoseconds.
    Store(u64, Option<u64>),
    /// The handle at this place among all that ever were, modulo their number.
    Get(usize),
    GetMeta(usize),
    Remove(usize),
    Sweep(usize),
    /// Nanoseconds to go on, or back.
    Move(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let ttl = option::weighted(0.7, prop_oneof![1 => Just(0), 8 => 1..80_u64, 1 => any::<u64>()]);
    let bytes = prop_oneof![8 => 0..40_u64, 1 => 40..200_u64, 1 => any::<u64>()];
    prop_oneof![
        10 => (bytes, ttl).prop_map(|(bytes, ttl)| Op::Store(bytes, ttl)),
        3 => any::<usize>().prop_map(Op::Get),
        2 => any::<usize>().prop_map(Op::GetMeta),
        2 => any::<usize>().prop_map(Op::Remove),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::Sweep),
        4 => (-20..60_i64).prop_map(Op::Move),
    ]
}

/// What the store was configured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) capacity: u64,
    pub(crate) entry: Option<u64>,
    pub(crate) total: Option<u64>,
}

fn caps() -> impl Strategy<Value = Caps> {
    let entry = option::of(0..60_u64);
    let total = option::of(prop_oneof![0..60_u64, 400..2_400_u64]);
    (prop_oneof![8 => 1..8_u64, 1 => Just(100)], entry, total).prop_map(|(capacity, entry, total)| Caps {
        capacity,
        entry: entry.map(|bytes| bytes + ENTRY_BYTES),
        total: total.map(|bytes| bytes + ENTRY_BYTES),
    })
}

impl Caps {
    fn ceiling(&self) -> u64 {
        self.entry.unwrap_or(u64::MAX).min(self.total.unwrap_or(u64::MAX))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    id: Uuid,
    bytes: u64,
    expires: u64,
}

struct Pair {
    store: HandleStore<Sized, ManualClock>,
    clock: ManualClock,
    caps: Caps,
    now: u64,
    /// The latest time that was swept at.
    high_water: u64,
    /// Oldest first.
    entries: Vec<Entry>,
    ids: Vec<Uuid>,
    expired: u64,
    removed: u64,
    evicted: u64,
    refused: u64,
}

impl Pair {
    fn new(caps: Caps) -> Self {
        let now = 1_000;
        let clock = ManualClock::new(Timestamp::from_nanos(now));
        let mut config = HandleConfig::new().capacity(caps.capacity).ttl(Duration::from_nanos(TTL));
        if let Some(entry) = caps.entry {
            config = config.max_entry_bytes(entry);
        }
        if let Some(total) = caps.total {
            config = config.max_total_bytes(total);
        }
        let store = HandleStore::with_clock(config, clock.clone()).unwrap();
        let (entries, ids) = (Vec::new(), Vec::new());
        Self { store, clock, caps, now, high_water: 0, entries, ids, expired: 0, removed: 0, evicted: 0, refused: 0 }
    }

    fn now(&self) -> u64 {
        self.now.max(self.high_water)
    }

    fn bytes(&self) -> u128 {
        self.entries.iter().map(|entry| u128::from(entry.bytes)).sum()
    }

    fn find(&self, id: &Uuid) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == *id)
    }

    /// Everything that has expired goes.
    fn expire(&mut self) -> bool {
        let now = self.now();
        let before = self.entries.len();
        self.entries.retain(|entry| entry.expires > now || entry.expires == u64::MAX);
        self.expired += (before - self.entries.len()) as u64;
        self.high_water = now;
        before > self.entries.len()
    }

    fn store(&mut self, payload: u64, ttl: Option<u64>) -> Result<(), TestCaseError> {
        let mut request = HandleRequest::new("");
        if let Some(ttl) = ttl {
            request = request.ttl(Duration::from_nanos(ttl));
        }
        let (bytes, ttl) = (payload.saturating_add(ENTRY_BYTES), ttl.unwrap_or(TTL));
        let now = self.now();
        let done = self.store.store(request, Sized(payload));
        if bytes > self.caps.ceiling() {
            self.refused += 1;
            prop_assert_eq!(done, Err(HandleError::TooLarge { bytes, max: self.caps.ceiling() }));
            return Ok(());
        }
        if ttl == 0 {
            prop_assert_eq!(done, Err(HandleError::ZeroTtl));
            return Ok(());
        }
        let handle = done.unwrap();
        let entry = Entry { id: handle.id, bytes, expires: now.saturating_add(ttl) };
        prop_assert_eq!((handle.bytes, handle.created_at), (bytes, Timestamp::from_nanos(now)));
        prop_assert_eq!(handle.expires_at, Timestamp::from_nanos(entry.expires));
        let total = u128::from(self.caps.total.unwrap_or(u64::MAX));
        let lacks =
            |pair: &Self| pair.entries.len() as u64 == pair.caps.capacity || pair.bytes() + u128::from(bytes) > total;
        let sweeps = lacks(self);
        if sweeps {
            self.expire();
        }
        while lacks(self) {
            self.entries.remove(0);
            self.evicted += 1;
        }
        self.entries.push(entry);
        self.ids.push(handle.id);
        // A store sweeps only for the room that it lacks, and every eighth for good measure, some entries at a time. What
        // it leaves it would take later as well.
        if sweeps || self.ids.len() % 8 == 0 {
            self.store.sweep(usize::MAX);
            self.expire();
        }
        Ok(())
    }

    /// Asks for a handle, and says what is to be answered. What has expired is gone after this.
    fn ask(&mut self, nth: usize) -> Option<(Uuid, Result<usize, HandleError>)> {
        let id = self.ids[nth.checked_rem(self.ids.len())?];
        let Some(at) = self.find(&id) else { return Some((id, Err(HandleError::NotFound))) };
        let expires = self.entries[at].expires;
        if expires <= self.now() && expires != u64::MAX {
            self.entries.remove(at);
            self.expired += 1;
            return Some((id, Err(HandleError::Expired)));
        }
        Some((id, Ok(at)))
    }

    fn apply(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match *op {
            Op::Store(bytes, ttl) => self.store(bytes, ttl)?,
            Op::Get(nth) => {
                if let Some((id, expected)) = self.ask(nth) {
                    let got = self.store.get(&id).map(|data| data.0.saturating_add(ENTRY_BYTES));
                    prop_assert_eq!(got, expected.map(|at| self.entries[at].bytes));
                }
            }
            Op::GetMeta(nth) => {
                if let Some((id, expected)) = self.ask(nth) {
                    let got = self.store.get_meta(&id).map(|handle| (handle.id, handle.expires_at.as_nanos()));
                    prop_assert_eq!(got, expected.map(|at| (id, self.entries[at].expires)));
                }
            }
            Op::Remove(nth) => {
                if let Some((id, expected)) = self.ask(nth) {
                    prop_assert_eq!(self.store.remove(&id).map(drop), expected.map(drop));
                    if let Ok(at) = expected {
                        self.entries.remove(at);
                        self.removed += 1;
                    }
                }
            }
            Op::Sweep(limit) => {
                let (now, before) = (self.now(), self.expired);
                let swept = self.store.sweep(limit);
                prop_assert!(swept.removed <= limit as u64);
                if swept.more {
                    // Which of them it takes first is its own affair.
                    let gone: Vec<_> = (0..self.entries.len()).filter(|&at| self.entries[at].expires <= now).collect();
                    let rest = self.store.sweep(usize::MAX);
                    prop_assert!(!rest.more);
                    prop_assert_eq!(swept.removed + rest.removed, gone.len() as u64);
                    self.expire();
                } else {
                    self.expire();
                    prop_assert_eq!(swept.removed, self.expired - before);
                }
            }
            Op::Move(by) => {
                self.now = self.now.saturating_add_signed(by);
                self.clock.set(Timestamp::from_nanos(self.now));
            }
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let stats = self.store.stats();
        prop_assert_eq!((stats.live, stats.capacity), (self.entries.len() as u64, self.caps.capacity));
        prop_assert_eq!(u128::from(stats.bytes), self.bytes());
        prop_assert_eq!((stats.stored, stats.refused_too_large), (self.ids.len() as u64, self.refused));
        prop_assert_eq!((stats.expired, stats.removed, stats.evicted()), (self.expired, self.removed, self.evicted));
        prop_assert!(stats.queued >= stats.live);
        Ok(())
    }
}

pub(crate) fn agrees(caps: Caps, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(caps);
    for op in ops {
        pair.apply(op)?;
        pair.compare()?;
    }
    // Whatever is left is as it should be, the oldest included.
    for nth in 0..pair.ids.len() {
        pair.apply(&Op::Get(nth))?;
    }
    pair.compare()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_handle_store_keeps_what_a_vector_of_the_newest_alive_keeps(caps in caps(), ops in vec(op(), 0..=OPS)) {
        agrees(caps, &ops)?;
    }
}
