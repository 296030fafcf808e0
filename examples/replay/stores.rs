//! The stores of the gateway, which outlive its days.

use crate::Failure;
use crate::gateway::refused_option;
use crate::options::Options;
use tollgate::body::{BodyConfig, BodyStore};
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::handle::{HandleConfig, HandleStore, Rows};
use tollgate::posture::{PostureConfig, PostureMachine};
use tollgate::retention::{self, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, TieredStore};
use tollgate::revocation::{RevocationConfig, RevocationSet};
use tollgate::session::{SessionConfig, SessionStore};
use tollgate::trace::TraceStore;
use uuid::Uuid;

/// Entries that one call of a sweep looks at.
const SWEEP: usize = 1024;

pub(crate) struct Stores {
    pub(crate) clock: ManualClock,
    pub(crate) session_cap: u64,
    pub(crate) sessions: SessionStore<ManualClock>,
    pub(crate) revocations: RevocationSet<Uuid, Uuid, ManualClock>,
    pub(crate) traces: TraceStore,
    pub(crate) bodies: BodyStore<ManualClock>,
    pub(crate) handles: HandleStore<Rows, ManualClock>,
    pub(crate) postures: PostureMachine<ManualClock>,
    /// The raw data of the day's sessions, by name.
    pub(crate) tiers: MemoryTiers<String, ManualClock>,
    retention: RetentionPolicy,
}

/// What the sweeps of retention have done.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    pub(crate) evicted: u64,
    pub(crate) lost: u64,
    pub(crate) bytes_freed: u64,
}

impl Stores {
    /// Stores for `at_once` sessions, at an instant before the first.
    pub(crate) fn new(options: &Options, at_once: u64, start: Timestamp) -> Result<Self, Failure> {
        let clock = ManualClock::new(start);
        let session_cap = options.session_cap.unwrap_or(at_once);
        let config = SessionConfig::new().capacity(session_cap);
        let sessions = SessionStore::with_clock(config, clock.clone()).map_err(refused_option)?;
        let config = RevocationConfig::new().capacity(at_once.max(1)).max_token_life(options.token_life());
        let revocations = RevocationSet::with_clock(config, clock.clone()).map_err(refused_option)?;
        let traces = TraceStore::new(options.trace_cap).map_err(refused_option)?;
        let config = BodyConfig::new().max_bytes(options.body_cap);
        let bodies = BodyStore::with_clock(config, clock.clone()).map_err(refused_option)?;
        let config = HandleConfig::new().capacity(options.handle_cap);
        let handles = HandleStore::with_clock(config, clock.clone()).map_err(refused_option)?;
        let config = PostureConfig::new().agents(at_once.max(1)).history(options.history);
        let postures = PostureMachine::with_clock(config, clock.clone()).map_err(refused_option)?;
        let tiers = MemoryTiers::with_clock(at_once.max(1), clock.clone()).map_err(refused_option)?;
        // A half over the soft cap, un-analysed data is not safe any more.
        let hard_cap = options.raw_cap.saturating_add(options.raw_cap / 2);
        let config = RetentionConfig::new().soft_cap(options.raw_cap).hard_cap(hard_cap);
        let retention = RetentionPolicy::new(config).map_err(refused_option)?;
        Ok(Self { clock, session_cap, sessions, revocations, traces, bodies, handles, postures, tiers, retention })
    }

    /// Sweeps the raw data of the sessions that were handed over.
    pub(crate) fn retain(&self, retained: &mut Retained) -> Result<(), String> {
        let mut analyze = |session: &RawSession<String>| Ok(self.tiers.record_analysis(&session.id, Vec::new())?);
        let report = retention::sweep(&self.tiers, &self.retention, Some(&mut analyze), self.clock.now());
        if let Some(error) = report.stopped {
            return Err(format!("retention was stopped: {error}"));
        }
        retained.evicted += (report.backstop_evicted.len() + report.budget_evicted.len()) as u64;
        retained.lost += report.overflow_data_loss.len() as u64;
        retained.bytes_freed += report.bytes_freed;
        Ok(())
    }

    /// Forgets the tokens and results whose time is over.
    pub(crate) fn sweep(&self) {
        while self.revocations.sweep(SWEEP).more {}
        while self.handles.sweep(SWEEP).more {}
    }

    /// Makes room for another day, on which nothing of the last one is alive: sessions are closed, tokens expired.
    pub(crate) fn close_day(&self) -> Result<(), String> {
        while self.sessions.sweep(SWEEP).more {}
        self.sweep();
        for session in self.tiers.list_sessions().unwrap_or_else(|never| match never {}) {
            self.tiers.remove(&session.id).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
