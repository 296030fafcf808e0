//! The stores that keep what was said and done: traces, handles, bodies, retention.

use super::{Counted, Keys, Living, Numbers};
use crate::run::{Checked, at_most, broken, ensure, same};
use fastrand::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, Digest, PrunePolicy, Record, RecordId};
use tollgate::clock::{Clock, ManualClock};
use tollgate::handle::{HandleConfig, HandleError, HandleRequest, HandleStore};
use tollgate::retention::{Ingest, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, TierError, sweep};
use tollgate::trace::TraceStore;
use uuid::Uuid;

static IN_TRACES: AtomicU64 = AtomicU64::new(0);
static IN_HANDLES: AtomicU64 = AtomicU64::new(0);

/// Full of the newest records.
pub(super) struct Traces {
    store: TraceStore<Counted>,
    numbers: Numbers,
}

impl Traces {
    const CAP: u64 = 10_000;

    pub(super) fn new() -> Checked<Self> {
        Ok(Self { store: TraceStore::new(Self::CAP).or_else(broken)?, numbers: Numbers::default() })
    }
}

impl Living for Traces {
    fn name(&self) -> &'static str {
        "traces"
    }

    fn held(&self) -> (u64, Option<u64>) {
        (self.store.stats().live, Some(Self::CAP))
    }

    fn alive(&self) -> Option<u64> {
        Some(IN_TRACES.load(Ordering::Relaxed))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        match rng.u16(..8_192) {
            // It looks at all of them.
            0 => at_most("records of latest()", 8, self.store.latest(8).len() as u64),
            1..4_096 => {
                let placed = self.store.record(Counted::new(self.numbers.next(), &IN_TRACES));
                ensure(!placed.replaced, "expected a record to be new, saw it replace another")
            }
            _ => {
                let number = self.numbers.recent(Self::CAP, rng);
                let Ok(record) = self.store.get(&number) else { return Ok(()) };
                same("the number of a record", number, record.number)
            }
        }
    }
}

/// Results that expire, are taken away, or have to go for newer ones.
pub(super) struct Handles {
    store: HandleStore<Counted, ManualClock>,
    numbers: Numbers,
    keys: Keys<Uuid>,
}

impl Handles {
    pub(super) fn new(clock: &ManualClock) -> Checked<Self> {
        let config = HandleConfig::new().capacity(5_000);
        let store = HandleStore::with_clock(config, clock.clone()).or_else(broken)?;
        Ok(Self { store, numbers: Numbers::default(), keys: Keys::new(5_000) })
    }
}

impl Living for Handles {
    fn name(&self) -> &'static str {
        "handles"
    }

    fn held(&self) -> (u64, Option<u64>) {
        let stats = self.store.stats();
        (stats.live, Some(stats.capacity))
    }

    fn beside(&self) -> u64 {
        self.store.stats().queued
    }

    fn alive(&self) -> Option<u64> {
        Some(IN_HANDLES.load(Ordering::Relaxed))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let draw = rng.u8(..64);
        if draw < 24 {
            let ttl = Duration::from_millis(rng.u64(1..10_000));
            let request = HandleRequest::new("search").principal("churn").ttl(ttl);
            let handle = self.store.store(request, Counted::new(self.numbers.next(), &IN_HANDLES)).or_else(broken)?;
            self.keys.put(handle.id, rng);
            return Ok(());
        }
        let Some(id) = self.keys.look(rng) else { return Ok(()) };
        let found = match draw {
            24 => {
                self.store.sweep(32);
                return Ok(());
            }
            25..30 => self.store.remove(&id).map(drop),
            _ => self.store.get(&id).map(drop),
        };
        match found {
            Ok(()) | Err(HandleError::NotFound | HandleError::Expired) => Ok(()),
            Err(other) => broken(format_args!("expected a payload or none, saw: {other}")),
        }
    }
}

/// Conversations that grow by a part a turn, full of bytes.
pub(super) struct Bodies {
    store: BodyStore<ManualClock>,
    clock: ManualClock,
    numbers: Numbers,
    keys: Keys<(RecordId, Digest)>,
}

impl Bodies {
    pub(super) fn new(clock: &ManualClock) -> Checked<Self> {
        let config = BodyConfig::new().max_bytes(4 << 20).compress_above(512);
        let store = BodyStore::with_clock(config, clock.clone()).or_else(broken)?;
        Ok(Self { store, clock: clock.clone(), numbers: Numbers::default(), keys: Keys::new(1_000) })
    }

    fn insert(&self, rng: &mut Rng) -> Checked {
        let number = self.numbers.next();
        let (talk, turn) = (number / 8, number % 8);
        let parts: Vec<_> = (0..=turn)
            .map(|part| {
                format!("part {part} of {talk} ").repeat(usize::try_from(1 + part * 8).unwrap_or(1)).into_bytes()
            })
            .collect();
        let slices: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let record = Record::log(talk.to_string(), self.clock.now(), "info", number.to_string());
        let receipt = self.store.insert_parts(record, &slices).or_else(broken)?;
        let Some(digest) = receipt.body else { return broken("expected a body's digest, saw none") };
        self.keys.put((receipt.id, digest), rng);
        Ok(())
    }
}

impl Living for Bodies {
    fn name(&self) -> &'static str {
        "bodies (bytes)"
    }

    fn held(&self) -> (u64, Option<u64>) {
        let stats = self.store.stats();
        (stats.bytes, Some(stats.max_bytes))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let draw = rng.u8(..64);
        if draw < 8 {
            return self.insert(rng);
        }
        let Some((id, digest)) = self.keys.look(rng) else { return Ok(()) };
        match draw {
            8 => drop(self.store.release(&id)),
            9 if rng.u8(..) == 0 => {
                self.store.prune(PrunePolicy::keep_all().max_age(Duration::from_secs(60)));
            }
            10..12 => drop(self.store.get_turn(&(self.numbers.recent(1_000, rng) / 8).to_string())),
            12..20 => {
                if let Ok(body) = self.store.get(&digest) {
                    same("the digest of a body", digest, Digest::of(&body))?;
                }
            }
            _ => drop(self.store.record(&id)),
        }
        Ok(())
    }
}

/// Sessions' raw data, which is analysed, evicted by sweeps, and removed.
pub(super) struct Retention {
    tiers: MemoryTiers<u64, ManualClock>,
    policy: RetentionPolicy,
    clock: ManualClock,
    numbers: Numbers,
    keys: Keys<u64>,
}

impl Retention {
    const CAPACITY: u64 = 1_000;

    pub(super) fn new(clock: &ManualClock) -> Checked<Self> {
        let config = RetentionConfig::new().soft_cap(200_000).hard_cap(300_000);
        Ok(Self {
            tiers: MemoryTiers::with_clock(Self::CAPACITY, clock.clone()).or_else(broken)?,
            policy: RetentionPolicy::new(config).or_else(broken)?,
            clock: clock.clone(),
            numbers: Numbers::default(),
            // More than there is room for.
            keys: Keys::new(1_200),
        })
    }

    fn ingest(&self, rng: &mut Rng) -> Checked {
        let id = self.numbers.next();
        let old = match self.tiers.ingest(id, Ingest::new(), vec![0; rng.usize(..1_000)]) {
            Ok(()) => self.keys.put(id, rng),
            Err(TierError::Full { .. }) => self.keys.take(rng),
            Err(other) => return broken(format_args!("expected a place or none, saw: {other}")),
        };
        old.map_or(Ok(()), |old| self.tiers.remove(&old).map(drop).or_else(broken))
    }
}

impl Living for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn held(&self) -> (u64, Option<u64>) {
        (self.tiers.len(), Some(Self::CAPACITY))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        match rng.u16(..2_048) {
            0..512 => self.ingest(rng),
            512 => {
                let mut analyze = |session: &RawSession<u64>| {
                    self.tiers.record_analysis(&session.id, vec![0; 30])?;
                    Ok(())
                };
                drop(sweep(&self.tiers, &self.policy, Some(&mut analyze), self.clock.now()));
                Ok(())
            }
            513..800 => {
                let Some(id) = self.keys.look(rng) else { return Ok(()) };
                match self.tiers.record_analysis(&id, vec![0; 30]) {
                    Ok(()) | Err(TierError::NotFound | TierError::Evicted) => Ok(()),
                    Err(other) => broken(format_args!("expected an analysis to be kept, saw: {other}")),
                }
            }
            _ => {
                let Some(id) = self.keys.look(rng) else { return Ok(()) };
                drop(self.tiers.raw(&id));
                Ok(())
            }
        }
    }
}
