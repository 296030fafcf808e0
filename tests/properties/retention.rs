//! `sweep` against its rules as they are told: everything is looked through again for each eviction.

use super::config;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;
use tollgate::clock::Timestamp;
use tollgate::retention::{
    EvictionReport, LossReason, RawSession, RetentionConfig, RetentionPolicy, TieredStore, sweep,
};

pub(crate) const NOW: u64 = 100;

/// What an analysis does to a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Works,
    Fails,
    DoesNothing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
    pub(crate) max_age: u64,
    pub(crate) protect_pinned: bool,
    pub(crate) largest_first: bool,
    pub(crate) has_analysis: bool,
}

pub(crate) type Session = RawSession<usize>;

fn instant() -> impl Strategy<Value = Option<Timestamp>> {
    option::weighted(0.7, (0..=NOW + 2).prop_map(Timestamp::from_nanos))
}

fn session() -> impl Strategy<Value = (Session, Outcome)> {
    let outcome = prop_oneof![3 => Just(Outcome::Works), 1 => Just(Outcome::Fails), 1 => Just(Outcome::DoesNothing)];
    let times = (instant(), instant(), instant(), option::weighted(0.4, 0..NOW), option::weighted(0.1, 0..NOW));
    (times, 0..20_u64, any::<bool>(), outcome).prop_map(|(times, bytes, pinned, outcome)| {
        let mut session = RawSession::new(0, bytes);
        (session.started_at, session.ended_at, session.ingested_at) = (times.0, times.1, times.2);
        session.analyzed_at = times.3.map(Timestamp::from_nanos);
        session.evicted_at = times.4.map(Timestamp::from_nanos);
        session.pinned = pinned;
        (session, outcome)
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..120_u64, 0..80_u64, 1..110_u64, flags).prop_map(|(soft, more, max_age, flags)| Rules {
        soft,
        hard: (soft + more).max(1),
        max_age,
        protect_pinned: flags.0,
        largest_first: flags.1,
        has_analysis: flags.2,
    })
}

#[derive(Debug, Default, PartialEq)]
struct Done {
    backstop: Vec<usize>,
    budget: Vec<usize>,
    analyzed: Vec<usize>,
    lost: Vec<(usize, LossReason)>,
    freed: u64,
    usage: u64,
}

/// The rules, step by step.
struct Naive {
    rules: Rules,
    sessions: Vec<Session>,
    outcomes: Vec<Outcome>,
    done: Done,
}

impl Naive {
    fn usage(&self) -> u64 {
        self.sessions.iter().filter(|session| session.evicted_at.is_none()).map(|session| session.raw_bytes).sum()
    }

    /// The first by key of those that hold data and satisfy `wanted`.
    fn first(&self, wanted: impl Fn(&Session) -> bool) -> Option<usize> {
        let key = |session: &&Session| session.analyzed_at.or(session.ended_at).or(session.ingested_at);
        let free = |session: &&Session| !(self.rules.protect_pinned && session.pinned);
        let held = self.sessions.iter().filter(|session| session.evicted_at.is_none());
        held.filter(free).filter(|session| wanted(session)).min_by_key(key).map(|session| session.id)
    }

    fn evict(&mut self, id: usize) {
        self.done.freed += self.sessions[id].raw_bytes;
        self.sessions[id].evicted_at = Some(Timestamp::from_nanos(NOW));
    }

    fn budget(&mut self) {
        while self.usage() > self.rules.soft {
            let Some(id) = self.first(|session| session.analyzed_at.is_some()) else { return };
            self.evict(id);
            self.done.budget.push(id);
        }
    }

    fn run(mut self) -> Done {
        let Rules { soft, hard, max_age, has_analysis, .. } = self.rules;
        let aged = |session: &Session| {
            let since = session.ended_at.or(session.started_at).or(session.ingested_at);
            since.is_some_and(|since| NOW.saturating_sub(since.as_nanos()) > max_age)
        };
        while let Some(id) = self.first(|session| session.analyzed_at.is_some() && aged(session)) {
            self.evict(id);
            self.done.backstop.push(id);
        }
        self.budget();
        let mut asked = Vec::new();
        if self.usage() > hard && has_analysis {
            while self.usage() > soft {
                let next = self.first(|session| session.analyzed_at.is_none() && !asked.contains(&session.id));
                let Some(id) = next else { break };
                asked.push(id);
                if self.outcomes[id] == Outcome::Works {
                    self.sessions[id].analyzed_at = Some(Timestamp::from_nanos(NOW));
                    self.done.analyzed.push(id);
                    self.budget();
                }
            }
        }
        while self.usage() > hard {
            let raw = |session: &Session| session.analyzed_at.is_none();
            let largest = self.sessions.iter().filter(|session| session.evicted_at.is_none() && raw(session));
            let largest = largest.filter(|session| !(self.rules.protect_pinned && session.pinned));
            let most = largest.map(|session| session.raw_bytes).max();
            let largest_first = self.rules.largest_first;
            let next = self.first(|session| raw(session) && (!largest_first || Some(session.raw_bytes) == most));
            let Some(id) = next else { break };
            let reason = match self.outcomes[id] {
                _ if !has_analysis => LossReason::NoAnalysis,
                _ if !asked.contains(&id) => LossReason::NotReached,
                Outcome::Fails => LossReason::AnalysisFailed,
                _ => LossReason::AnalysisWithoutEffect,
            };
            self.evict(id);
            self.done.lost.push((id, reason));
        }
        self.done.usage = self.usage();
        self.done
    }
}

struct Store(RefCell<Vec<Session>>);

impl TieredStore for Store {
    type Id = usize;
    type Error = Infallible;

    fn list_sessions(&self) -> Result<Vec<Session>, Infallible> {
        Ok(self.0.borrow().clone())
    }

    fn evict_raw(&self, id: &usize) -> Result<Option<u64>, Infallible> {
        let session = &mut self.0.borrow_mut()[*id];
        let held = session.evicted_at.is_none();
        session.evicted_at = session.evicted_at.or(Some(Timestamp::from_nanos(NOW)));
        Ok(held.then_some(session.raw_bytes))
    }

    fn tier1_usage_bytes(&self) -> Result<u64, Infallible> {
        let sessions = self.0.borrow();
        Ok(sessions.iter().filter(|session| session.evicted_at.is_none()).map(|session| session.raw_bytes).sum())
    }

    fn tier2_usage_bytes(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

fn swept(rules: Rules, store: &Store, outcomes: &[Outcome]) -> EvictionReport<usize, Infallible> {
    let config = RetentionConfig::new()
        .soft_cap(rules.soft)
        .hard_cap(rules.hard)
        .max_age(Duration::from_nanos(rules.max_age))
        .protect_pinned(rules.protect_pinned)
        .largest_first(rules.largest_first);
    let mut analyze = |session: &Session| match outcomes[session.id] {
        Outcome::Works => {
            store.0.borrow_mut()[session.id].analyzed_at = Some(Timestamp::from_nanos(NOW));
            Ok(())
        }
        Outcome::Fails => Err("no reply".into()),
        Outcome::DoesNothing => Ok(()),
    };
    let policy = RetentionPolicy::new(config).unwrap();
    let now = Timestamp::from_nanos(NOW);
    if rules.has_analysis { sweep(store, &policy, Some(&mut analyze), now) } else { sweep(store, &policy, None, now) }
}

pub(crate) fn agrees(rules: Rules, sessions: Vec<(Session, Outcome)>) -> Result<(), TestCaseError> {
    let (mut sessions, outcomes): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
    sessions.iter_mut().enumerate().for_each(|(id, session)| session.id = id);
    let store = Store(RefCell::new(sessions.clone()));
    let report = swept(rules, &store, &outcomes);
    let done = Done {
        backstop: report.backstop_evicted,
        budget: report.budget_evicted,
        analyzed: report.overflow_analyzed,
        lost: report.overflow_data_loss.iter().map(|loss| (loss.id, loss.reason)).collect(),
        freed: report.bytes_freed,
        usage: report.final_usage_bytes,
    };
    prop_assert_eq!(report.over_hard_cap, done.usage > rules.hard);
    prop_assert!(report.stopped.is_none());
    let naive = Naive { rules, sessions, outcomes, done: Done::default() };
    prop_assert_eq!(done, naive.run());
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_sweep_does_what_its_rules_say(rules in rules(), sessions in vec(session(), 0..16)) {
        agrees(rules, sessions)?;
    }
}
