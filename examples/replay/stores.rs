//! The stores of the gateway, which outlive its days.

use crate::Failure;
use crate::gateway::refused_option;
use crate::options::Options;
use tollgate::body::{BodyConfig, BodyStore};
use tollgate::clock::{ManualClock, Timestamp};
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
        Ok(Self { clock, session_cap, sessions, revocations, traces, bodies })
    }

    /// Forgets the tokens whose time is over.
    pub(crate) fn sweep(&self) {
        while self.revocations.sweep(SWEEP).more {}
    }

    /// Makes room for another day: its sessions are closed, its tokens expired.
    pub(crate) fn close_day(&self) {
        while self.sessions.sweep(SWEEP).more {}
        self.sweep();
    }
}
