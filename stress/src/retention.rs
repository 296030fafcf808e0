//! Tries to make sweeps evict a session twice, lose one that is analysed or protected, or lose count of bytes: while
//! threads ingest, analyse, pin, sweep, evict and forget sessions.

use crate::run::{Checked, Round, at_most, broken, ensure, same};
use fastrand::Rng;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::retention::{
    EvictionReport, Ingest, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, TierError, TieredStore, sweep,
};

const OPERATIONS: u64 = 300;
const NOW: Timestamp = Timestamp::from_secs(1_000_000);
/// Sessions of a round that are pinned: every so manieth.
const PINNED: u64 = 7;
const MOST_BYTES: u64 = 100;

type Tiers = MemoryTiers<u64, ManualClock>;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let (capacity, hard) = round.pick(1, &[(50, 500), (1_000, 1_000), (10_000, 20_000)]);
    let race = Race::new(capacity, hard)?;
    let operations = round.race_watched(
        |thread, rng| {
            for i in 0..OPERATIONS {
                race.step(thread as u64 * OPERATIONS + i, rng)?;
            }
            Ok(OPERATIONS)
        },
        || at_most("sessions", capacity, race.tiers.len()),
    )?;
    race.check_rest()?;
    Ok(operations)
}

struct Race {
    tiers: Tiers,
    policy: RetentionPolicy,
    capacity: u64,
    /// Bytes taken in, and bytes that were freed by sweeps, evictions and removals.
    taken_in: AtomicU64,
    freed: AtomicU64,
    /// Sessions whose raw data somebody was told to have freed.
    evicted: Mutex<HashSet<u64>>,
}

/// What a session's data is: as long as its id tells.
fn bytes(id: u64) -> u64 {
    id * 31 % MOST_BYTES
}

impl Race {
    fn new(capacity: u64, hard: u64) -> Checked<Self> {
        let tiers = Tiers::with_clock(capacity, ManualClock::new(NOW));
        let config = RetentionConfig::new().soft_cap(hard / 2).hard_cap(hard).protect_pinned(true);
        let policy =
            RetentionPolicy::new(config).or_else(|error| broken(format_args!("expected a policy, saw {error}")))?;
        Ok(Self {
            tiers: tiers.or_else(|error| broken(format_args!("expected tiers, saw {error}")))?,
            policy,
            capacity,
            taken_in: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            evicted: Mutex::default(),
        })
    }

    fn step(&self, own: u64, rng: &mut Rng) -> Checked {
        let other = rng.u64(..=own);
        match rng.u8(..32) {
            0..16 => self.ingest(own),
            16..22 => self.analyze(other),
            22..24 => self.sweep(rng),
            24..27 => {
                if other % PINNED != 0 {
                    let Ok(bytes) = self.tiers.evict_raw(&other);
                    bytes.map_or(Ok(()), |bytes| self.gone(other, bytes))?;
                }
                Ok(())
            }
            27..29 => self.look(other),
            _ => self.forget(other),
        }
    }

    fn ingest(&self, id: u64) -> Checked {
        let known = if id % PINNED == 0 { Ingest::new().pinned() } else { Ingest::new() };
        match self.tiers.ingest(id, known, vec![0; bytes(id) as usize]) {
            Ok(()) => drop(self.taken_in.fetch_add(bytes(id), Ordering::SeqCst)),
            Err(TierError::Full { capacity }) => same("the capacity", self.capacity, capacity)?,
            Err(error) => return broken(format_args!("expected session {id} to be new, saw: {error}")),
        }
        Ok(())
    }

    fn analyze(&self, id: u64) -> Checked {
        match self.tiers.record_analysis(&id, vec![0; 3]) {
            Ok(()) | Err(TierError::NotFound | TierError::Evicted) => Ok(()),
            Err(error) => broken(format_args!("expected an analysis to be kept, saw: {error}")),
        }
    }

    fn sweep(&self, rng: &mut Rng) -> Checked {
        let mut analyze = |session: &RawSession<u64>| {
            if session.id % 3 == 0 {
                return Err("no reply".into());
            }
            if session.id % 3 == 1 {
                self.tiers.record_analysis(&session.id, vec![0; 3])?;
            }
            Ok(())
        };
        let report = if rng.bool() {
            sweep(&self.tiers, &self.policy, Some(&mut analyze), NOW)
        } else {
            sweep(&self.tiers, &self.policy, None, NOW)
        };
        self.check_report(report)
    }

    fn check_report(&self, report: EvictionReport<u64, Infallible>) -> Checked {
        let lost = report.overflow_data_loss.iter().map(|loss| loss.id);
        let evicted = report.backstop_evicted.iter().chain(&report.budget_evicted).copied().chain(lost);
        let mut freed = 0;
        for id in evicted {
            ensure(id % PINNED != 0, format_args!("expected {id}, which is pinned, to be left alone, saw it evicted"))?;
            freed += bytes(id);
            self.gone(id, bytes(id))?;
        }
        same("bytes that a sweep freed, against its sessions", freed, report.bytes_freed)
    }

    /// Notes that somebody was told to have evicted a session.
    fn gone(&self, id: u64, freed: u64) -> Checked {
        same(format_args!("bytes of session {id}"), bytes(id), freed)?;
        self.freed.fetch_add(freed, Ordering::SeqCst);
        let new = self.evicted.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        ensure(new, format_args!("expected session {id} to be evicted once, saw it evicted again"))
    }

    fn look(&self, id: u64) -> Checked {
        match self.tiers.raw(&id) {
            Ok(raw) => same("bytes of raw data", bytes(id), raw.len() as u64),
            Err(TierError::NotFound | TierError::Evicted) => Ok(()),
            Err(error) => broken(format_args!("expected raw data or none, saw: {error}")),
        }
    }

    fn forget(&self, id: u64) -> Checked {
        match self.tiers.remove(&id) {
            Ok(session) if session.evicted_at.is_none() => self.gone(id, session.raw_bytes),
            Ok(_) | Err(TierError::NotFound) => Ok(()),
            Err(error) => broken(format_args!("expected a session or none, saw: {error}")),
        }
    }

    fn check_rest(&self) -> Checked {
        let Ok(sessions) = self.tiers.list_sessions();
        same("sessions listed, against len()", self.tiers.len(), sessions.len() as u64)?;
        let held: u64 = sessions.iter().filter(|session| session.evicted_at.is_none()).map(|held| held.raw_bytes).sum();
        let distilled = 3 * sessions.iter().filter(|session| session.analyzed_at.is_some()).count() as u64;
        same("bytes of raw data, against those of its sessions", Ok(held), self.tiers.tier1_usage_bytes())?;
        same("bytes of distilled data, against those of its sessions", Ok(distilled), self.tiers.tier2_usage_bytes())?;
        let (taken_in, freed) = (self.taken_in.load(Ordering::SeqCst), self.freed.load(Ordering::SeqCst));
        same("bytes taken in, against those there and those freed", taken_in, held + freed)?;
        // With nobody else about, a sweep gets down to the cap, or to what is pinned.
        let report = sweep(&self.tiers, &self.policy, None, NOW);
        let pinned = |session: &&RawSession<u64>| session.pinned && session.evicted_at.is_none();
        let pinned: u64 = sessions.iter().filter(pinned).map(|session| session.raw_bytes).sum();
        ensure(
            !report.over_hard_cap || report.final_usage_bytes == pinned,
            format_args!("expected the hard cap or {pinned} pinned bytes, saw {} bytes", report.final_usage_bytes),
        )?;
        self.check_report(report)
    }
}
