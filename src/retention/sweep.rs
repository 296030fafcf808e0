//! The passes of a sweep.

#![forbid(unsafe_code)]

use super::{Analyze, EvictionReport, Loss, LossReason, RawSession, RetentionPolicy, TieredStore, Warning};
use crate::clock::Timestamp;
use std::cmp::Reverse;
use std::collections::HashMap;

/// One sweep on its way: what there is, oldest first, and what was done.
pub(super) struct Sweep<'s, S: TieredStore> {
    store: &'s S,
    policy: &'s RetentionPolicy,
    now: Timestamp,
    /// Sessions that hold raw data and may be touched, by key, those of one key as the store lists them.
    sessions: Vec<Candidate<S::Id>>,
    /// Bytes of raw data, as the store said last, less what was evicted since.
    usage: u64,
    pub(super) report: EvictionReport<S::Id, S::Error>,
}

struct Candidate<I> {
    session: RawSession<I>,
    /// Evicted, by this sweep or another.
    gone: bool,
    /// Why it would be lost, if it must be.
    reason: LossReason,
}

impl<'s, S: TieredStore> Sweep<'s, S> {
    pub(super) fn new(store: &'s S, policy: &'s RetentionPolicy, now: Timestamp) -> Self {
        Self { store, policy, now, sessions: Vec::new(), usage: 0, report: EvictionReport::new() }
    }

    /// All passes, in order.
    pub(super) fn run(&mut self, analyze: Option<&mut Analyze<'_, S::Id>>) -> Result<(), S::Error> {
        self.list(&HashMap::new(), LossReason::NoAnalysis)?;
        self.usage = self.store.tier1_usage_bytes()?;
        self.backstop()?;
        self.budget()?;
        if self.is_over(self.policy.hard_cap())? {
            let reached = if analyze.is_some() { LossReason::NotReached } else { LossReason::NoAnalysis };
            if let Some(analyze) = analyze {
                self.analyze(analyze)?;
            }
            if self.is_over(self.policy.hard_cap())? {
                self.last_resort(reached)?;
            }
        }
        Ok(())
    }

    /// What there is at the end.
    pub(super) fn conclude(&mut self) -> Result<(), S::Error> {
        self.usage = self.store.tier1_usage_bytes()?;
        let (usage, cap) = (self.store.tier2_usage_bytes()?, self.policy.tier2_cap());
        self.report.tier2_over_cap = usage > cap;
        if usage > cap {
            self.report.warnings.push(Warning::Tier2OverCap { usage, cap });
        }
        Ok(())
    }

    /// The report, whether or not the sweep came through.
    pub(super) fn report(mut self, done: Result<(), S::Error>) -> EvictionReport<S::Id, S::Error> {
        self.report.stopped = done.err();
        self.report.final_usage_bytes = self.usage;
        self.report.over_hard_cap = self.usage > self.policy.hard_cap();
        // While the report is still in here: if an id panicked when it is dropped, what is being returned would leak.
        self.sessions.clear();
        self.report
    }

    /// Lists what there is. Where a reason is known why a session would be lost, it is kept.
    fn list(&mut self, known: &HashMap<&S::Id, LossReason>, otherwise: LossReason) -> Result<(), S::Error> {
        let mut sessions = self.store.list_sessions()?;
        sessions.retain(|session| self.policy.concerns(session));
        // Stable: sessions of one key go as the store lists them.
        sessions.sort_by_key(RawSession::key);
        let candidate = |session: RawSession<S::Id>| {
            let reason = known.get(&&session.id).copied().unwrap_or(otherwise);
            Candidate { session, gone: false, reason }
        };
        self.sessions = sessions.into_iter().map(candidate).collect();
        Ok(())
    }

    /// Asks the store whether usage is over `cap`.
    fn is_over(&mut self, cap: u64) -> Result<bool, S::Error> {
        self.usage = self.store.tier1_usage_bytes()?;
        Ok(self.usage > cap)
    }

    /// Evicts the session at `at`. None if there was nothing left to evict: another sweep was first.
    fn evict(&mut self, at: usize) -> Result<Option<u64>, S::Error> {
        let evicted = self.store.evict_raw(&self.sessions[at].session.id)?;
        self.sessions[at].gone = true;
        match evicted {
            Some(bytes) => {
                self.usage = self.usage.saturating_sub(bytes);
                self.report.bytes_freed = self.report.bytes_freed.saturating_add(bytes);
            }
            // Nobody knows what the other one has freed.
            None => self.usage = self.store.tier1_usage_bytes()?,
        }
        Ok(evicted)
    }

    /// What was analysed and is too old goes, however much room there is.
    fn backstop(&mut self) -> Result<(), S::Error> {
        for at in 0..self.sessions.len() {
            let session = &self.sessions[at].session;
            if session.is_evictable() && self.policy.is_aged(session, self.now) && self.evict(at)?.is_some() {
                self.report.backstop_evicted.push(self.sessions[at].session.id.clone());
            }
        }
        Ok(())
    }

    /// While usage is over the soft cap, what was analysed goes, oldest first.
    fn budget(&mut self) -> Result<(), S::Error> {
        for at in 0..self.sessions.len() {
            if self.usage <= self.policy.soft_cap() && !self.is_over(self.policy.soft_cap())? {
                break;
            }
            let candidate = &self.sessions[at];
            if candidate.session.is_evictable() && !candidate.gone && self.evict(at)?.is_some() {
                self.report.budget_evicted.push(self.sessions[at].session.id.clone());
            }
        }
        Ok(())
    }

    /// What was not analysed is analysed and evicted, oldest first, until usage is down at the soft cap.
    fn analyze(&mut self, analyze: &mut Analyze<'_, S::Id>) -> Result<(), S::Error> {
        for candidate in &mut self.sessions {
            candidate.reason = LossReason::NotReached;
        }
        for at in 0..self.sessions.len() {
            if self.usage <= self.policy.soft_cap() && !self.is_over(self.policy.soft_cap())? {
                break;
            }
            let session = &self.sessions[at].session;
            if session.is_evictable() {
                continue;
            }
            let id = session.id.clone();
            if let Err(error) = analyze(session) {
                self.sessions[at].reason = LossReason::AnalysisFailed;
                self.report.warnings.push(Warning::AnalysisFailed { id, error: error.to_string() });
                continue;
            }
            // What counts is what the store says now.
            match self.store.session(&id)? {
                Some(session) if session.is_evictable() => {
                    self.report.overflow_analyzed.push(id.clone());
                    // It may have been pinned meanwhile.
                    if self.policy.concerns(&session) && self.evict(at)?.is_some() {
                        self.report.budget_evicted.push(id);
                    }
                }
                Some(session) if session.evicted_at.is_none() => {
                    self.sessions[at].reason = LossReason::AnalysisWithoutEffect;
                    self.report.warnings.push(Warning::AnalysisWithoutEffect { id });
                }
                // Gone meanwhile, and nobody knows what that has freed.
                _ => self.usage = self.store.tier1_usage_bytes()?,
            }
        }
        Ok(())
    }

    /// While usage is over the hard cap, what was not analysed is lost.
    fn last_resort(&mut self, otherwise: LossReason) -> Result<(), S::Error> {
        // A fresh look: what others have analysed meanwhile need not be lost.
        let before = std::mem::take(&mut self.sessions);
        let known = before.iter().map(|candidate| (&candidate.session.id, candidate.reason)).collect();
        self.list(&known, otherwise)?;
        self.budget()?;
        let mut order: Vec<_> = (0..self.sessions.len()).collect();
        if self.policy.largest_first() {
            order.sort_by_key(|&at| Reverse(self.sessions[at].session.raw_bytes));
        }
        for at in order {
            // What was analysed has gone by now, or there is room.
            if self.sessions[at].session.is_evictable() {
                continue;
            }
            // Asked before each: what another sweep has freed need not be lost here.
            if !self.is_over(self.policy.hard_cap())? {
                break;
            }
            // Nor what was pinned or analysed since the list was made.
            let now = self.store.session(&self.sessions[at].session.id)?;
            let Some(session) = now.filter(|session| self.policy.concerns(session)) else { continue };
            if let Some(bytes) = self.evict(at)? {
                self.lose(session, bytes, self.sessions[at].reason);
            }
        }
        Ok(())
    }

    /// Reports what a last resort has evicted: lost, unless it was analysed by then.
    fn lose(&mut self, session: RawSession<S::Id>, bytes: u64, reason: LossReason) {
        if session.is_evictable() {
            self.report.budget_evicted.push(session.id);
            return;
        }
        let loss = Loss { id: session.id, bytes, reason };
        self.report.warnings.push(Warning::DataLost(loss.clone()));
        self.report.overflow_data_loss.push(loss);
    }
}
