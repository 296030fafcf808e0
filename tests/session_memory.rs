//! The rules of session-memory's retention sweep, and its known flaws as regression tests.
//!
//! Rules are ported, not code: each test states one behaviour of `sweep` that users of session-memory rely on, or one that
//! upstream gets wrong.

mod common;
#[path = "common/log.rs"]
mod log;
#[path = "common/panics.rs"]
mod panics;

use common::sum_over_threads;
use log::warnings_of;
use panics::beside_a_subscriber_that_panics;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::error::ConfigError;
use tollgate::retention::{
    Analyze, EvictionReport, Ingest, LossReason, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, TierError,
    TieredStore, Warning, parse_instant, sweep,
};

type Tiers = MemoryTiers<&'static str, ManualClock>;
type Report = EvictionReport<&'static str, Infallible>;

const NOW: Timestamp = Timestamp::from_secs(100_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const NANOSECOND: Duration = Duration::from_nanos(1);

fn days_ago(days: u32) -> Timestamp {
    NOW.saturating_sub(DAY * days)
}

/// A soft cap of 100 bytes, a hard one of 200.
fn config() -> RetentionConfig {
    RetentionConfig::new().soft_cap(100).hard_cap(200)
}

fn policy() -> RetentionPolicy {
    RetentionPolicy::new(config()).unwrap()
}

/// Sessions of so many bytes each, that ended and, where it says so, were analysed so many days ago.
fn tiers(sessions: &[(&'static str, usize, u32, bool)]) -> (Tiers, ManualClock) {
    let clock = ManualClock::new(NOW);
    let tiers = MemoryTiers::with_clock(100, clock.clone()).unwrap();
    for &(id, bytes, days, analyzed) in sessions {
        clock.set(days_ago(days));
        tiers.ingest(id, Ingest::new().ended_at(days_ago(days)), vec![0; bytes]).unwrap();
        if analyzed {
            tiers.record_analysis(&id, [1; 1]).unwrap();
        }
    }
    clock.set(NOW);
    (tiers, clock)
}

/// Sweeps without an analysis.
fn swept(tiers: &Tiers, policy: &RetentionPolicy) -> Report {
    sweep(tiers, policy, None, NOW)
}

/// Sweeps, and analyses those that are not in `fail` nor in `idle`, which says that it went well and does nothing.
fn analyzed(tiers: &Tiers, fail: &[&str], idle: &[&str]) -> Report {
    let mut analyze = |session: &RawSession<&'static str>| {
        if fail.contains(&session.id) {
            return Err("no reply".into());
        }
        if !idle.contains(&session.id) {
            tiers.record_analysis(&session.id, [1; 1])?;
        }
        Ok(())
    };
    sweep(tiers, &policy(), Some(&mut analyze), NOW)
}

fn lost(report: &Report) -> Vec<(&str, LossReason)> {
    report.overflow_data_loss.iter().map(|loss| (loss.id, loss.reason)).collect()
}

#[test]
fn what_is_analysed_and_too_old_goes_however_much_room_there_is() {
    let (tiers, _) =
        tiers(&[("new", 1, 44, true), ("old", 2, 46, true), ("raw", 4, 99, false), ("older", 8, 60, true)]);
    let report = swept(&tiers, &policy());
    assert_eq!(report.backstop_evicted, ["older", "old"]);
    assert_eq!((report.bytes_freed, report.final_usage_bytes), (10, 5));
    assert_eq!(tiers.raw(&"old"), Err(TierError::Evicted));
    assert!(report.budget_evicted.is_empty() && !report.lost_data() && !report.over_hard_cap);
}

#[test]
fn a_session_of_exactly_the_age_stays() {
    let (tiers, _) = tiers(&[("exact", 1, 45, true)]);
    assert!(swept(&tiers, &policy()).backstop_evicted.is_empty());
    let report = sweep(&tiers, &policy(), None, NOW.saturating_add(NANOSECOND));
    assert_eq!(report.backstop_evicted, ["exact"]);
}

#[test]
fn age_counts_from_the_end_or_else_the_beginning_or_else_the_arrival() {
    let clock = ManualClock::new(days_ago(50));
    let tiers = Tiers::with_clock(9, clock.clone()).unwrap();
    let (old, new) = (days_ago(50), days_ago(1));
    tiers.ingest("ended", Ingest::new().started_at(old).ended_at(new), [1; 1]).unwrap();
    tiers.ingest("started", Ingest::new().started_at(new), [1; 1]).unwrap();
    tiers.ingest("came", Ingest::new(), [1; 1]).unwrap();
    clock.set(days_ago(2));
    tiers.ingest("began", Ingest::new().started_at(old), [1; 1]).unwrap();
    for id in ["ended", "started", "came", "began"] {
        tiers.record_analysis(&id, [1; 1]).unwrap();
    }
    assert_eq!(swept(&tiers, &policy()).backstop_evicted, ["came", "began"]);
    assert_eq!(RawSession::new("unknown", 1).age(NOW), None);
}

#[test]
fn over_the_soft_cap_what_is_analysed_goes_oldest_first_and_nothing_else() {
    let (tiers, _) = tiers(&[
        ("raw", 50, 9, false),
        ("c", 30, 1, true),
        ("a", 30, 3, true),
        ("b", 30, 2, true),
        ("d", 20, 4, false),
    ]);
    let report = swept(&tiers, &policy());
    // 160 bytes: two are enough, and exactly the cap is fine.
    assert_eq!(report.budget_evicted, ["a", "b"]);
    assert_eq!((report.final_usage_bytes, report.lost_data()), (100, false));
}

#[test]
fn between_the_caps_nothing_is_lost() {
    let (tiers, _) = tiers(&[("a", 100, 2, false), ("b", 100, 1, false)]);
    let report = analyzed(&tiers, &[], &[]);
    // Exactly the hard cap: no analysis either.
    assert_eq!((report.final_usage_bytes, report.over_hard_cap, report.warnings.len()), (200, false, 0));
    assert!(report.overflow_analyzed.is_empty());
}

#[test]
fn over_the_hard_cap_what_is_not_analysed_is_analysed_and_then_goes() {
    let (tiers, _) = tiers(&[("b", 80, 2, false), ("a", 80, 3, false), ("c", 80, 1, false)]);
    let report = analyzed(&tiers, &[], &[]);
    assert_eq!(report.overflow_analyzed, ["a", "b"]);
    assert_eq!(report.budget_evicted, ["a", "b"]);
    assert_eq!((report.final_usage_bytes, report.over_hard_cap, report.lost_data()), (80, false, false));
}

#[test]
fn over_the_hard_cap_without_an_analysis_data_is_lost_and_said_to_be() {
    let (tiers, _) = tiers(&[("b", 80, 2, false), ("a", 80, 3, false), ("c", 80, 1, false)]);
    let report = swept(&tiers, &policy());
    // Down to the hard cap, not the soft one.
    assert_eq!(lost(&report), [("a", LossReason::NoAnalysis)]);
    assert_eq!((report.final_usage_bytes, report.bytes_freed, report.lost_data()), (160, 80, true));
    assert_eq!(report.warnings, [Warning::DataLost(report.overflow_data_loss[0].clone())]);
    assert_eq!(report.warnings[0].to_string(), "80 bytes of raw data were lost: there was no analysis");
}

#[test]
fn a_sweep_that_loses_data_is_logged() {
    let (tiers, _) = tiers(&[("a", 150, 3, false), ("b", 150, 2, false)]);
    assert_eq!(warnings_of(|| assert!(swept(&tiers, &policy()).lost_data())), 1);
    assert_eq!(warnings_of(|| assert!(!swept(&tiers, &policy()).lost_data())), 0);
}

#[test]
fn an_analysis_that_fails_does_not_end_the_sweep() {
    let (tiers, _) = tiers(&[("a", 80, 3, false), ("b", 80, 2, false), ("c", 80, 1, false)]);
    let report = analyzed(&tiers, &["a"], &[]);
    assert_eq!(report.overflow_analyzed, ["b", "c"]);
    assert_eq!(report.warnings, [Warning::AnalysisFailed { id: "a", error: "no reply".to_owned() }]);
    assert_eq!((report.final_usage_bytes, report.lost_data()), (80, false));
}

#[test]
fn each_loss_has_its_reason() {
    let (tiers, _) = tiers(&[("a", 150, 3, false), ("b", 150, 2, false), ("c", 150, 1, false)]);
    let report = analyzed(&tiers, &["a"], &["b", "c"]);
    assert_eq!(lost(&report), [("a", LossReason::AnalysisFailed), ("b", LossReason::AnalysisWithoutEffect)]);
    assert_eq!((report.final_usage_bytes, report.over_hard_cap), (150, false));
}

#[test]
fn an_analysis_that_changes_nothing_is_not_counted() {
    // Upstream counts it, and then loses the data.
    let (tiers, _) = tiers(&[("a", 150, 3, false), ("b", 150, 2, false)]);
    let report = analyzed(&tiers, &[], &["a"]);
    assert_eq!(report.overflow_analyzed, ["b"]);
    assert_eq!(report.warnings[0], Warning::AnalysisWithoutEffect { id: "a" });
    assert_eq!((report.final_usage_bytes, report.lost_data()), (150, false));
}

#[test]
fn analysis_stops_when_there_is_room() {
    // Upstream analyses all thirty.
    let clock = ManualClock::new(NOW);
    let tiers = MemoryTiers::with_clock(100, clock).unwrap();
    for id in 0..30 {
        tiers.ingest(id, Ingest::new(), vec![0; 10]).unwrap();
    }
    let policy = RetentionPolicy::new(RetentionConfig::new().soft_cap(250).hard_cap(250)).unwrap();
    let mut calls = 0;
    let mut analyze = |session: &RawSession<i32>| {
        calls += 1;
        tiers.record_analysis(&session.id, [1; 1])?;
        Ok(())
    };
    let report = sweep(&tiers, &policy, Some(&mut analyze), NOW);
    assert_eq!((report.overflow_analyzed, calls), (vec![0, 1, 2, 3, 4], 5));
    assert_eq!(report.final_usage_bytes, 250);
}

#[test]
fn analysis_goes_on_for_what_comes_in_meanwhile() {
    let (tiers, _) = tiers(&[("a", 150, 2, false), ("b", 100, 1, false)]);
    let mut analyze = |session: &RawSession<&'static str>| {
        if session.id == "a" {
            tiers.ingest("c", Ingest::new(), [0; 50])?;
        }
        Ok(tiers.record_analysis(&session.id, [1; 1])?)
    };
    let report = sweep(&tiers, &policy(), Some(&mut analyze), NOW);
    assert_eq!((report.overflow_analyzed, report.final_usage_bytes), (vec!["a", "b"], 50));
}

#[test]
fn what_the_analysis_itself_evicts_is_not_said_to_be_without_effect() {
    let (tiers, _) = tiers(&[("a", 150, 2, false), ("b", 100, 1, false)]);
    let mut analyze = |session: &RawSession<&'static str>| {
        tiers.evict_raw(&session.id)?;
        Ok(())
    };
    let report = sweep(&tiers, &policy(), Some(&mut analyze), NOW);
    assert_eq!((report.overflow_analyzed.len(), report.warnings.len(), report.final_usage_bytes), (0, 0, 100));
}

#[test]
fn distilled_data_over_its_cap_is_said_to_be_and_kept() {
    let (tiers, _) = tiers(&[("a", 1, 3, true)]);
    tiers.record_analysis(&"a", vec![0; 11]).unwrap();
    let of = |cap| swept(&tiers, &RetentionPolicy::new(config().tier2_cap(cap)).unwrap());
    assert_eq!((of(11).tier2_over_cap, of(11).warnings.len()), (false, 0));
    let report = of(10);
    assert!(report.tier2_over_cap);
    assert_eq!(report.warnings, [Warning::Tier2OverCap { usage: 11, cap: 10 }]);
    assert_eq!(tiers.distilled(&"a").unwrap().unwrap().len(), 11);
}

#[test]
fn nothing_to_sweep_is_nothing_done() {
    let (tiers, _) = tiers(&[]);
    let report = analyzed(&tiers, &[], &[]);
    assert_eq!((report.final_usage_bytes, report.bytes_freed, report.warnings.len()), (0, 0, 0));
    assert!(!report.over_hard_cap && !report.tier2_over_cap && report.stopped.is_none());
}

#[test]
fn a_soft_cap_of_nothing_keeps_nothing_that_is_analysed() {
    let (tiers, _) = tiers(&[("a", 10, 3, true), ("b", 10, 2, false)]);
    let policy = RetentionPolicy::new(config().soft_cap(0)).unwrap();
    let report = swept(&tiers, &policy);
    assert_eq!((report.budget_evicted, report.final_usage_bytes), (vec!["a"], 10));
}

#[test]
fn a_policy_that_would_lose_data_before_it_must_is_refused() {
    let refused = |config| RetentionPolicy::new(config).map(drop).unwrap_err();
    let below = ConfigError::Below { what: "hard_cap", given: 99, other: "soft_cap", min: 100 };
    assert_eq!(refused(config().hard_cap(99)), below);
    assert!(RetentionPolicy::new(config().hard_cap(100)).is_ok());
    assert_eq!(refused(config().soft_cap(0).hard_cap(0)), ConfigError::Zero { what: "hard_cap" });
    assert_eq!(refused(config().max_age(Duration::ZERO)), ConfigError::Zero { what: "max_age" });
    assert_eq!(refused(config().tier2_cap(0)), ConfigError::Zero { what: "tier2_cap" });
}

#[test]
fn what_is_pinned_is_protected_only_where_the_policy_says_so() {
    let make = || {
        let (tiers, _) =
            tiers(&[("old", 80, 50, true), ("a", 80, 3, true), ("b", 160, 2, false), ("c", 160, 1, false)]);
        for id in ["old", "a", "b"] {
            tiers.set_pinned(&id, true).unwrap();
        }
        tiers
    };
    let report = swept(&make(), &policy());
    assert_eq!((report.backstop_evicted, report.budget_evicted), (vec!["old"], vec!["a"]));
    assert_eq!(report.overflow_data_loss[0].id, "b");
    let tiers = make();
    let report = swept(&tiers, &RetentionPolicy::new(config().protect_pinned(true)).unwrap());
    assert_eq!(lost(&report), [("c", LossReason::NoAnalysis)]);
    assert!(report.backstop_evicted.is_empty() && report.budget_evicted.is_empty());
    assert_eq!((report.final_usage_bytes, report.over_hard_cap), (320, true));
    // A pin that was let go protects nothing.
    tiers.set_pinned(&"old", false).unwrap();
    let report = swept(&tiers, &RetentionPolicy::new(config().protect_pinned(true)).unwrap());
    assert_eq!(report.backstop_evicted, ["old"]);
}

#[test]
fn what_is_pinned_while_it_is_analysed_is_protected() {
    let (tiers, _) = tiers(&[("a", 160, 2, false), ("b", 160, 1, false)]);
    let policy = RetentionPolicy::new(config().protect_pinned(true)).unwrap();
    let mut pin = |session: &RawSession<&'static str>| {
        tiers.set_pinned(&session.id, true)?;
        Ok(tiers.record_analysis(&session.id, [1; 1])?)
    };
    let report = sweep(&tiers, &policy, Some(&mut pin), NOW);
    assert_eq!((report.overflow_analyzed.len(), report.bytes_freed, report.over_hard_cap), (2, 0, true));
    assert!(tiers.raw(&"a").is_ok() && tiers.raw(&"b").is_ok());
}

#[test]
fn the_largest_goes_first_where_the_policy_says_so() {
    // Five small sessions are lost by age alone, before the one that matters.
    let small = [("a", 1, 9, false), ("b", 1, 8, false), ("c", 1, 7, false), ("d", 1, 6, false), ("e", 1, 5, false)];
    let sessions = [&small[..], &[("giant", 500, 4, false)]].concat();
    let report = swept(&tiers(&sessions).0, &policy());
    assert_eq!(report.overflow_data_loss.len(), 6);
    let report = swept(&tiers(&sessions).0, &RetentionPolicy::new(config().largest_first(true)).unwrap());
    assert_eq!(lost(&report), [("giant", LossReason::NoAnalysis)]);
}

#[test]
fn instants_are_ordered_as_instants_and_not_as_text() {
    // As text the one with the offset is the later.
    let (early, late) = ("2026-03-01T10:30:00+02:00", "2026-03-01T09:00:00.5Z");
    assert!(early > late);
    let clock = ManualClock::new(NOW);
    let tiers = Tiers::with_clock(9, clock.clone()).unwrap();
    for (id, text) in [("late", late), ("early", early)] {
        tiers.ingest(id, Ingest::new(), vec![0; 100]).unwrap();
        clock.set(parse_instant(text).unwrap());
        tiers.record_analysis(&id, [1; 1]).unwrap();
    }
    assert_eq!(swept(&tiers, &policy()).budget_evicted, ["early"]);
}

#[test]
fn sessions_of_one_age_go_in_the_order_in_which_they_came() {
    let clock = ManualClock::new(NOW);
    let tiers = MemoryTiers::with_clock(100, clock).unwrap();
    for id in 0..50 {
        tiers.ingest(id, Ingest::new(), vec![0; 10]).unwrap();
        tiers.record_analysis(&id, [1; 1]).unwrap();
    }
    let report = sweep(&tiers, &policy(), None, NOW);
    assert_eq!(report.budget_evicted, (0..40).collect::<Vec<_>>());
}

#[test]
fn sessions_of_which_nothing_is_known_go_first_and_never_age() {
    let store = Plain::new([RawSession::new(0, 60), RawSession::new(1, 60)]);
    store.sessions.borrow_mut()[0].ingested_at = Some(days_ago(1));
    let policy = RetentionPolicy::new(config().hard_cap(100)).unwrap();
    let report = sweep(&store, &policy, None, NOW);
    assert!(report.backstop_evicted.is_empty());
    assert_eq!(report.overflow_data_loss[0].id, 1);
}

type Meanwhile = fn(&mut [RawSession<u32>]);

/// A store that can fail, or lie.
struct Plain {
    sessions: RefCell<Vec<RawSession<u32>>>,
    /// Evictions that succeed before one fails.
    evictions: Cell<u32>,
    /// Whether evictions change nothing.
    stuck: bool,
    /// What others do when this one begins to evict.
    meanwhile: Cell<Option<Meanwhile>>,
    calls: Cell<u32>,
}

impl Plain {
    fn new(sessions: impl Into<Vec<RawSession<u32>>>) -> Self {
        let (evictions, meanwhile, calls) = (Cell::new(u32::MAX), Cell::default(), Cell::default());
        Self { sessions: RefCell::new(sessions.into()), evictions, stuck: false, meanwhile, calls }
    }

    /// Sessions of ten bytes.
    fn of(sessions: u32, analyzed: bool) -> Self {
        let session = |id| {
            let mut session = RawSession::new(id, 10);
            session.ingested_at = Some(days_ago(1));
            session.analyzed_at = analyzed.then(|| days_ago(1));
            session
        };
        Self::new((0..sessions).map(session).collect::<Vec<_>>())
    }
}

impl TieredStore for Plain {
    type Id = u32;
    type Error = &'static str;

    fn list_sessions(&self) -> Result<Vec<RawSession<u32>>, &'static str> {
        self.calls.set(self.calls.get() + 1);
        Ok(self.sessions.borrow().clone())
    }

    fn evict_raw(&self, id: &u32) -> Result<Option<u64>, &'static str> {
        self.evictions.set(self.evictions.get().checked_sub(1).ok_or("disk full")?);
        let mut sessions = self.sessions.borrow_mut();
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile(&mut sessions);
        }
        let session = &mut sessions[*id as usize];
        if session.evicted_at.is_some() {
            return Ok(None);
        }
        if !self.stuck {
            session.evicted_at = Some(NOW);
        }
        Ok(Some(session.raw_bytes))
    }

    fn tier1_usage_bytes(&self) -> Result<u64, &'static str> {
        self.calls.set(self.calls.get() + 1);
        let sessions = self.sessions.borrow();
        Ok(sessions.iter().filter(|session| session.evicted_at.is_none()).map(|session| session.raw_bytes).sum())
    }

    fn tier2_usage_bytes(&self) -> Result<u64, &'static str> {
        Ok(0)
    }
}

#[test]
fn an_error_of_the_store_ends_in_a_report_of_what_was_done() {
    let store = Plain::of(30, true);
    store.evictions.set(3);
    let report = sweep(&store, &policy(), None, NOW);
    assert_eq!((report.stopped, &report.budget_evicted), (Some("disk full"), &vec![0, 1, 2]));
    assert_eq!((report.bytes_freed, report.final_usage_bytes, report.over_hard_cap), (30, 270, true));
}

#[test]
fn a_store_that_frees_nothing_does_not_keep_a_sweep_for_ever() {
    let mut store = Plain::of(30, false);
    store.stuck = true;
    let report = sweep(&store, &policy(), None, NOW);
    assert_eq!((report.overflow_data_loss.len(), report.over_hard_cap), (30, true));
}

#[test]
fn a_sweep_does_not_ask_the_store_again_for_each_eviction() {
    let calls = |sessions| {
        let store = Plain::of(sessions, true);
        assert_eq!(sweep(&store, &policy(), None, NOW).budget_evicted.len() as u32, sessions - 10);
        store.calls.get()
    };
    assert_eq!(calls(100), calls(10_000));
}

#[test]
fn a_sweep_that_finds_another_at_work_does_not_evict_as_much_again() {
    let store = Plain::of(30, true);
    store.meanwhile.set(Some(|sessions| sessions[..20].iter_mut().for_each(|session| session.evicted_at = Some(NOW))));
    let report = sweep(&store, &policy(), None, NOW);
    assert_eq!((report.budget_evicted.len(), report.bytes_freed, report.final_usage_bytes), (0, 0, 100));
}

#[test]
fn what_is_pinned_or_analysed_while_others_are_lost_is_not_lost() {
    let store = Plain::of(24, false);
    store.meanwhile.set(Some(|sessions| (sessions[1].pinned, sessions[2].analyzed_at) = (true, Some(NOW))));
    let report = sweep(&store, &RetentionPolicy::new(config().protect_pinned(true)).unwrap(), None, NOW);
    let lost: Vec<_> = report.overflow_data_loss.iter().map(|loss| loss.id).collect();
    assert_eq!((lost, report.budget_evicted), (vec![0, 3, 4], vec![2]));
    assert_eq!((report.bytes_freed, report.final_usage_bytes), (40, 200));
}

#[test]
fn a_subscriber_that_panics_does_not_take_the_report_of_a_loss_with_it() {
    let lost = beside_a_subscriber_that_panics(|| sweep(&Plain::of(21, false), &policy(), None, NOW).lost_data());
    assert!(lost);
}

#[test]
fn a_session_that_was_analysed_since_is_not_lost() {
    // By the analysis of another one, which itself fails.
    let (tiers, _) = tiers(&[("a", 150, 3, false), ("b", 150, 2, false)]);
    let mut analyze = |session: &RawSession<&'static str>| {
        if session.id == "b" {
            tiers.record_analysis(&"a", [1; 1])?;
        }
        Err("no reply".into())
    };
    let analyze: &mut Analyze<'_, _> = &mut analyze;
    let report = sweep(&tiers, &policy(), Some(analyze), NOW);
    assert_eq!((&report.budget_evicted, report.lost_data()), (&vec!["a"], false));
}

#[test]
fn sweeps_at_once_never_evict_twice() {
    let clock = ManualClock::new(NOW);
    let tiers = MemoryTiers::with_clock(2_000, clock).unwrap();
    for id in 0..2_000 {
        tiers.ingest(id, Ingest::new(), vec![0; 10]).unwrap();
        if id % 2 == 0 {
            tiers.record_analysis(&id, [1; 1]).unwrap();
        }
    }
    let freed = sum_over_threads(|_| {
        let report = sweep(&tiers, &policy(), None, NOW);
        let evicted = report.budget_evicted.len() + report.overflow_data_loss.len();
        assert_eq!(evicted as u64 * 10, report.bytes_freed);
        report.bytes_freed
    });
    assert_eq!(freed + tiers.tier1_usage_bytes().unwrap(), 20_000);
    assert!(tiers.tier1_usage_bytes().unwrap() <= 200);
}

#[test]
fn tiers_refuse_what_does_not_fit_and_count_what_they_hold() {
    let tiers = MemoryTiers::new(2).unwrap();
    tiers.ingest("a", Ingest::new(), [0; 5]).unwrap();
    assert_eq!(tiers.ingest("a", Ingest::new(), [0; 9]), Err(TierError::Exists));
    tiers.ingest("b", Ingest::new().pinned(), [0; 6]).unwrap();
    assert_eq!(tiers.ingest("c", Ingest::new(), [0; 9]), Err(TierError::Full { capacity: 2 }));
    assert_eq!((tiers.tier1_usage_bytes(), tiers.len(), tiers.is_empty()), (Ok(11), 2, false));
    let pinned = |id| tiers.session(&id).unwrap().unwrap().pinned;
    assert_eq!((pinned("a"), pinned("b")), (false, true));
    tiers.record_analysis(&"a", [1; 3]).unwrap();
    tiers.record_analysis(&"a", [1; 2]).unwrap();
    assert_eq!(tiers.tier2_usage_bytes(), Ok(2));
    assert_eq!(tiers.evict_raw(&"a"), Ok(Some(5)));
    assert_eq!(tiers.evict_raw(&"a"), Ok(None));
    assert_eq!(tiers.record_analysis(&"a", [1; 9]), Err(TierError::Evicted));
    assert_eq!(tiers.record_analysis(&"x", [1; 9]), Err(TierError::NotFound));
    assert_eq!((tiers.tier1_usage_bytes(), tiers.tier2_usage_bytes(), tiers.len()), (Ok(6), Ok(2), 2));
    assert!(tiers.remove(&"a").unwrap().evicted_at.is_some());
    assert!(tiers.remove(&"b").unwrap().evicted_at.is_none());
    assert_eq!(tiers.remove(&"b"), Err(TierError::NotFound));
    assert_eq!((tiers.tier1_usage_bytes(), tiers.tier2_usage_bytes(), tiers.is_empty()), (Ok(0), Ok(0), true));
    assert!(MemoryTiers::<u8>::new(0).is_err());
}
