//! A map, a FIFO map and a deadline queue.

use super::{Counted, Keys, Living, Numbers};
use crate::run::{Checked, broken, ensure, same};
use fastrand::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tollgate::clock::{Clock, ManualClock};
use tollgate::deadline::{DeadlineQueue, Next};
use tollgate::fifo::FifoMap;
use tollgate::map::ShardedMap;

static IN_MAP: AtomicU64 = AtomicU64::new(0);
static IN_FIFO: AtomicU64 = AtomicU64::new(0);
static IN_DEADLINE: AtomicU64 = AtomicU64::new(0);

/// Keys that come once, stay for a while, and are removed.
pub(super) struct Map {
    map: ShardedMap<u64, Counted>,
    numbers: Numbers,
    keys: Keys<u64>,
}

impl Map {
    pub(super) fn new() -> Self {
        Self { map: ShardedMap::new(), numbers: Numbers::default(), keys: Keys::new(10_000) }
    }
}

impl Living for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    fn held(&self) -> (u64, Option<u64>) {
        // Bounded by the keys, but a walk may count one that went and the one that came for it.
        (self.map.len(), None)
    }

    fn alive(&self) -> Option<u64> {
        Some(IN_MAP.load(Ordering::Relaxed))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        if rng.u8(..4) > 0 {
            let Some(key) = self.keys.look(rng) else { return Ok(()) };
            return self.map.get(&key).map_or(Ok(()), |value| same("the value of a key", key, value.number));
        }
        let key = self.numbers.next();
        let before = self.map.insert(key, Counted::new(key, &IN_MAP));
        ensure(before.is_none(), format_args!("expected key {key} to be new, saw it there"))?;
        let Some(old) = self.keys.put(key, rng) else { return Ok(()) };
        let removed = self.map.remove(&old).map(|value| value.number);
        same("what is removed by a key that is there", Some(old), removed)
    }
}

/// Full of entries, and of bytes as well.
pub(super) struct Fifo {
    map: FifoMap<u64, Counted>,
    numbers: Numbers,
}

impl Fifo {
    const CAP: u64 = 10_000;

    pub(super) fn new() -> Checked<Self> {
        // Stretches of light entries are held to the cap, stretches of heavy ones to the bytes.
        let weigh = |key: &u64, _: &Counted| if key / (4 * Self::CAP) % 2 == 0 { 1 } else { 4 };
        let map = FifoMap::builder(Self::CAP).max_bytes(2 * Self::CAP, weigh).build().or_else(broken)?;
        Ok(Self { map, numbers: Numbers::default() })
    }
}

impl Living for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn held(&self) -> (u64, Option<u64>) {
        (self.map.len(), Some(Self::CAP))
    }

    fn alive(&self) -> Option<u64> {
        Some(IN_FIFO.load(Ordering::Relaxed))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        match rng.u8(..8) {
            0..4 => {
                let key = self.numbers.next();
                let placed = self.map.insert(key, Counted::new(key, &IN_FIFO));
                ensure(placed.is_ok(), format_args!("expected room for entry {key}, saw none"))
            }
            4 => {
                self.map.remove(&self.numbers.recent(Self::CAP, rng));
                Ok(())
            }
            _ => {
                let key = self.numbers.recent(Self::CAP, rng);
                self.map.get(&key).map_or(Ok(()), |value| same("the value of an entry", key, value.number))
            }
        }
    }
}

/// Entries that are due soon, and a few that were put off.
pub(super) struct Deadline {
    queue: DeadlineQueue<Counted>,
    numbers: Numbers,
    clock: ManualClock,
}

impl Deadline {
    /// Entries that its callers let it have.
    const MOST: u64 = 20_000;

    pub(super) fn new(clock: &ManualClock) -> Self {
        Self { queue: DeadlineQueue::new(), numbers: Numbers::default(), clock: clock.clone() }
    }
}

impl Living for Deadline {
    fn name(&self) -> &'static str {
        "deadline"
    }

    fn held(&self) -> (u64, Option<u64>) {
        (self.queue.len(), None)
    }

    fn alive(&self) -> Option<u64> {
        Some(IN_DEADLINE.load(Ordering::Relaxed))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let now = self.clock.now();
        match rng.u8(..16) {
            0..8 if self.queue.len() < Self::MOST => {
                let deadline = now.saturating_add(Duration::from_millis(rng.u64(..10_000)));
                self.queue.add(Counted::new(self.numbers.next(), &IN_DEADLINE), deadline);
            }
            8 => {
                let later = now.saturating_add(Duration::from_secs(1));
                let visit = |value: &Counted, _| {
                    if value.number % 16 == rng.u64(..16) { Next::KeepUntil(later) } else { Next::Drop }
                };
                self.queue.sweep(now, 64, visit);
            }
            9 => self.queue.note_stale(),
            _ => {}
        }
        Ok(())
    }
}
