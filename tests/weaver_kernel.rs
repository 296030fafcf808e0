//! The rules of weaver-kernel's trace store and revocation store, and their known flaws as regression tests.
//!
//! Rules are ported, not code: each test states one behaviour of `TraceStore` or `RevocationSet` that users of
//! weaver-kernel rely on, or one that upstream gets wrong. Time stands still unless a test moves it.

mod common;
#[path = "common/log.rs"]
mod log;

use common::sum_over_threads;
use log::warnings_of;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::error::ConfigError;
use tollgate::fifo::Reason;
use tollgate::revocation::{RevocationConfig, RevocationError, RevocationSet, Revoked, Standing, WhenFull};
use tollgate::trace::{ActionTrace, EventType, Outcome, Record, Sensitivity, TraceError, TraceQuery, TraceStore};

type Traces = TraceStore<ActionTrace>;
type Tokens = RevocationSet<u64, &'static str, ManualClock>;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const NANOSECOND: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const ANN: &str = "ann";
const BOB: &str = "bob";

fn after(duration: Duration) -> Timestamp {
    START.saturating_add(duration)
}

fn trace(action: impl Into<String>) -> ActionTrace {
    ActionTrace::new(action, "search", ANN, "token", START)
}

fn trace_at(action: impl Into<String>, invoked_at: Timestamp) -> ActionTrace {
    ActionTrace::new(action, "search", ANN, "token", invoked_at)
}

fn traces(cap: u64) -> Traces {
    TraceStore::new(cap).unwrap()
}

fn ids(traces: &[Arc<ActionTrace>]) -> Vec<&str> {
    traces.iter().map(|trace| trace.action_id.as_str()).collect()
}

/// Three calls of Ann's and Bob's, all different, a second apart.
fn three_calls() -> Traces {
    let store = traces(10);
    store.record(trace_at("a", after(SECOND)));
    let mut expand = ActionTrace::new("b", "fetch", BOB, "token", after(2 * SECOND));
    expand.event_type = EventType::Expand;
    expand.error = Some("boom".to_owned());
    store.record(expand);
    let mut deny = ActionTrace::new("c", "fetch", ANN, "token", after(3 * SECOND));
    deny.event_type = EventType::Deny;
    deny.reason_code = Some("scope".to_owned());
    store.record(deny);
    store
}

fn found(query: &TraceQuery) -> Vec<String> {
    three_calls().query(query).unwrap().iter().map(|trace| trace.action_id.clone()).collect()
}

fn tokens_of(config: RevocationConfig) -> (Tokens, ManualClock) {
    let clock = ManualClock::new(START);
    (RevocationSet::with_clock(config, clock.clone()).unwrap(), clock)
}

fn tokens() -> (Tokens, ManualClock) {
    tokens_of(RevocationConfig::new())
}

fn sweep_all(set: &Tokens) -> u64 {
    let swept = set.sweep(1_000_000);
    assert!(!swept.more);
    swept.removed
}

#[test]
fn a_recorded_trace_is_returned_itself_by_every_reader() {
    let store = traces(10);
    let recorded = Arc::new(trace("a"));
    let placed = store.record(Arc::clone(&recorded));
    assert_eq!((placed.seq, placed.replaced), (0, false));
    assert!(Arc::ptr_eq(&store.get("a").unwrap(), &recorded));
    assert!(Arc::ptr_eq(&store.list()[0], &recorded));
    assert!(Arc::ptr_eq(&store.query(&TraceQuery::default()).unwrap()[0], &recorded));
}

#[test]
fn an_unknown_or_evicted_trace_is_an_error_that_names_the_id() {
    let store = traces(1);
    store.record(trace("evicted"));
    store.record(trace("kept"));
    for id in ["evicted", "never-seen"] {
        let missing = store.get(id).unwrap_err();
        assert!(matches!(missing, TraceError::NotFound { .. }) && missing.http_status() == 404);
        assert!(missing.to_string().contains(id));
    }
}

#[test]
fn traces_are_listed_in_the_order_in_which_they_were_recorded() {
    let store = traces(10);
    for (n, action) in ["c", "a", "b"].into_iter().enumerate() {
        store.record(trace_at(action, START.saturating_sub(n as u32 * SECOND)));
    }
    assert_eq!(ids(&store.list()), ["c", "a", "b"]);
    assert_eq!(ids(&store.latest(2)), ["b", "a"]);
    assert_eq!(ids(&store.latest(9)), ["b", "a", "c"]);
}

#[test]
fn the_oldest_trace_goes_first_at_the_cap() {
    let store = traces(2);
    for action in ["a", "b", "c"] {
        store.record(trace(action));
    }
    assert_eq!(ids(&store.list()), ["b", "c"]);
    assert_eq!((store.stats().live, store.stats().evicted()), (2, 1));
}

#[test]
fn recording_an_id_again_replaces_it_in_place_and_evicts_nothing() {
    let store = traces(2);
    store.record(trace("act-0"));
    store.record(trace("act-1"));
    let mut again = trace("act-0");
    again.driver_id = "second".to_owned();
    let placed = store.record(again);
    assert_eq!((placed.seq, placed.replaced), (0, true));
    assert_eq!(ids(&store.list()), ["act-0", "act-1"]);
    assert_eq!(store.get("act-0").unwrap().driver_id, "second");
    assert_eq!(store.stats().evicted(), 0);
    store.record(trace("act-2"));
    assert_eq!(ids(&store.list()), ["act-1", "act-2"], "it kept its old place, and goes first");
}

#[test]
fn optional_fields_default_to_none_and_a_call_that_failed_says_so() {
    let mut trace = trace("a");
    assert_eq!((&trace.result_summary, trace.sensitivity), (&None, Sensitivity::None));
    assert_eq!((&trace.handle_id, &trace.error, &trace.reason_code), (&None, &None, &None));
    assert_eq!((trace.event_type, trace.outcome()), (EventType::Invoke, Outcome::Succeeded));
    trace.error = Some(String::new());
    assert_eq!(trace.outcome(), Outcome::Failed);
}

#[test]
fn a_query_filters_by_each_field_exactly_and_all_must_match() {
    let any = TraceQuery::default;
    assert_eq!(found(&any()), ["a", "b", "c"]);
    assert_eq!(found(&TraceQuery { principal_id: Some(ANN.into()), ..any() }), ["a", "c"]);
    assert_eq!(found(&TraceQuery { capability_id: Some("fetch".into()), ..any() }), ["b", "c"]);
    assert_eq!(found(&TraceQuery { event_type: Some(EventType::Expand), ..any() }), ["b"]);
    assert_eq!(found(&TraceQuery { outcome: Some(Outcome::Succeeded), ..any() }), ["a", "c"]);
    assert_eq!(found(&TraceQuery { outcome: Some(Outcome::Failed), ..any() }), ["b"]);
    assert_eq!(found(&TraceQuery { reason_code: Some("scope".into()), ..any() }), ["c"]);
    assert!(found(&TraceQuery { principal_id: Some("an".into()), ..any() }).is_empty());
    let both = TraceQuery { principal_id: Some(ANN.into()), capability_id: Some("fetch".into()), ..any() };
    assert_eq!(found(&both), ["c"]);
}

#[test]
fn a_querys_window_includes_since_and_excludes_until() {
    let (first, last) = (Some(after(SECOND)), Some(after(3 * SECOND)));
    assert_eq!(found(&TraceQuery { since: first, until: last, ..TraceQuery::default() }), ["a", "b"]);
    assert_eq!(found(&TraceQuery { since: last, ..TraceQuery::default() }), ["c"]);
    assert!(found(&TraceQuery { until: first, ..TraceQuery::default() }).is_empty());
}

#[test]
fn a_query_sorts_by_time_and_breaks_ties_by_id() {
    let store = traces(10);
    for (action, at) in [("d", after(SECOND)), ("c", START), ("a", after(SECOND)), ("b", START)] {
        store.record(trace_at(action, at));
    }
    assert_eq!(ids(&store.query(&TraceQuery::default()).unwrap()), ["b", "c", "a", "d"]);
}

#[test]
fn a_querys_pages_are_disjoint_and_complete_and_a_limit_of_zero_is_an_empty_one() {
    let store = traces(100);
    for n in 0..25 {
        store.record(trace_at(format!("act-{n:02}"), after(SECOND * (n / 4))));
    }
    let page = |offset| store.query(&TraceQuery { offset, limit: Some(10), ..TraceQuery::default() }).unwrap();
    let pages: Vec<_> = [0, 10, 20, 30].into_iter().map(page).collect();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5, 0]);
    assert_eq!(ids(&pages.concat()), ids(&store.list()));
    assert!(found(&TraceQuery { limit: Some(0), ..TraceQuery::default() }).is_empty());
}

#[test]
fn a_negative_limit_or_offset_is_an_error_and_the_offset_comes_first() {
    let refused = |offset, limit| three_calls().query(&TraceQuery { offset, limit, ..TraceQuery::default() });
    for (offset, limit) in [(-1, None), (i64::MIN, Some(-1))] {
        let error = refused(offset, limit).unwrap_err();
        assert!(matches!(error, TraceError::NegativeOffset { .. }) && error.http_status() == 400);
        assert!(error.to_string().contains("offset must be >= 0"));
    }
    let error = refused(0, Some(-1)).unwrap_err();
    assert!(matches!(error, TraceError::NegativeLimit { .. }) && error.http_status() == 400);
    assert!(error.to_string().contains("limit must be >= 0"));
    assert!(refused(i64::MAX, Some(i64::MAX)).unwrap().is_empty());
}

#[test]
fn a_query_can_ask_for_the_newest_first() {
    let newest = TraceQuery { newest_first: true, ..TraceQuery::default() };
    assert_eq!(found(&newest), ["c", "b", "a"]);
    assert_eq!(found(&TraceQuery { offset: 1, limit: Some(1), ..newest }), ["b"]);
}

#[test]
fn the_first_eviction_warns_once_in_a_stores_life() {
    let warnings = warnings_of(|| {
        let store = traces(5);
        for n in 0..20 {
            store.record(trace(format!("act-{n}")));
        }
    });
    assert_eq!(warnings, 1);
}

#[test]
fn evictions_are_counted_and_sequence_numbers_tell_what_is_missing() {
    let store = traces(10);
    assert_eq!((store.stats().first_seq, store.stats().last_seq), (None, None));
    for n in 0..25 {
        assert_eq!(store.record(trace(format!("act-{n}"))).seq, n);
    }
    let stats = store.stats();
    assert_eq!((stats.live, store.list().len(), stats.evicted(), stats.evicted_for_capacity), (10, 10, 15, 15));
    assert_eq!((stats.first_seq, stats.last_seq), (Some(15), Some(24)));
}

#[test]
fn what_is_evicted_is_handed_to_the_listener_oldest_first() {
    let gone = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&gone);
    let store = Traces::with_listener(2, move |trace, reason| {
        seen.lock().unwrap().push((trace.action_id.clone(), reason));
    })
    .unwrap();
    for action in ["a", "b", "c", "b", "d"] {
        store.record(trace(action));
    }
    let expected = ["a", "b"].map(|id| (id.to_owned(), Reason::Capacity));
    assert_eq!(*gone.lock().unwrap(), expected);
}

#[test]
fn threads_that_record_at_once_lose_no_call_and_never_exceed_the_cap() {
    let gone = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&gone);
    let store = Traces::with_listener(50, move |_, _| *seen.lock().unwrap() += 1).unwrap();
    let recorded = sum_over_threads(|thread| {
        for n in 0..200 {
            store.record(trace(format!("{thread}-{n}")));
            assert!(store.list().len() <= 50 && store.stats().live <= 50);
        }
        200
    });
    let stats = store.stats();
    assert_eq!((recorded, stats.live, stats.evicted(), *gone.lock().unwrap()), (2_000, 50, 1_950, 1_950));
    // Of the numbers, some were passed over if their threads were held up for long enough.
    let (first, last) = (stats.first_seq.unwrap(), stats.last_seq.unwrap());
    assert_eq!((store.list().len(), last - first), (50, 49));
    assert!(last >= 1_999);
}

#[test]
fn users_may_record_a_type_of_their_own() {
    struct Note(u64);
    impl Record for Note {
        type Id = u64;
        fn id(&self) -> &u64 {
            &self.0
        }
    }
    let store = TraceStore::<Note>::new(2).unwrap();
    for id in [7, 3, 5] {
        store.record(Note(id));
    }
    assert_eq!(store.get(&3).unwrap().0, 3);
    assert!(store.get(&7).is_err_and(|error| error.to_string().contains('7')));
}

#[test]
fn revoking_a_token_is_idempotent_and_leaves_others_alone() {
    let (set, _) = tokens();
    for token in [1, 2] {
        set.track(ANN, token, after(HOUR)).unwrap();
        assert_eq!(set.check(&token), Standing::Clear);
    }
    assert_eq!(set.revoke(1, after(HOUR)).unwrap(), Revoked::Newly);
    assert_eq!(set.revoke(1, after(HOUR)).unwrap(), Revoked::Already);
    assert_eq!((set.check(&1), set.check(&2), set.check(&3)), (Standing::Revoked, Standing::Clear, Standing::Clear));
    assert!(!set.check(&1).is_clear() && set.check(&2).is_clear());
}

#[test]
fn revoking_a_principal_counts_what_it_newly_revoked() {
    let (set, clock) = tokens();
    for token in [1, 2, 3] {
        set.track(ANN, token, after(HOUR)).unwrap();
    }
    set.track(BOB, 4, after(HOUR)).unwrap();
    set.revoke(3, after(HOUR)).unwrap();
    assert_eq!(set.revoke_principal(&ANN).unwrap(), 2);
    assert!([1, 2, 3].iter().all(|token| set.check(token) == Standing::Revoked));
    assert_eq!(set.check(&4), Standing::Clear);
    assert_eq!(set.revoke(1, after(HOUR)).unwrap(), Revoked::Already);
    assert_eq!((set.revoke_principal(&ANN).unwrap(), set.revoke_principal(&"nobody").unwrap()), (0, 0));
    clock.advance(SECOND);
    set.track(ANN, 5, after(HOUR)).unwrap();
    assert_eq!(set.check(&5), Standing::Clear, "tokens issued later start afresh");
    assert_eq!(set.revoke_principal(&ANN).unwrap(), 1);
}

#[test]
fn revoking_a_principal_does_not_count_what_was_forgotten() {
    let (set, clock) = tokens();
    set.track(ANN, 1, after(SECOND)).unwrap();
    set.track(ANN, 2, after(HOUR)).unwrap();
    clock.set(after(SECOND + MINUTE));
    assert_eq!(sweep_all(&set), 1);
    assert_eq!(set.revoke_principal(&ANN).unwrap(), 1);
}

#[test]
fn a_revoked_token_is_never_clear_before_it_has_expired_and_was_swept() {
    let (set, clock) = tokens();
    set.revoke(1, after(HOUR)).unwrap();
    for at in [START, after(HOUR - NANOSECOND), after(HOUR), after(HOUR + MINUTE - NANOSECOND)] {
        clock.set(at);
        assert_eq!(sweep_all(&set), 0);
        assert_eq!((set.check(&1), set.check_at(&1, START)), (Standing::Revoked, Standing::Revoked));
    }
    clock.set(after(HOUR + MINUTE));
    assert_eq!((sweep_all(&set), set.stats().live), (1, 0));
}

#[test]
fn an_entry_is_dropped_exactly_when_a_check_would_answer_expired() {
    let (set, clock) = tokens_of(RevocationConfig::new().grace(Duration::ZERO));
    set.track(ANN, 1, after(HOUR)).unwrap();
    clock.set(after(HOUR - NANOSECOND));
    assert_eq!((sweep_all(&set), set.check(&1)), (0, Standing::Clear));
    clock.set(after(HOUR));
    assert_eq!((set.check(&1), sweep_all(&set), set.stats().live), (Standing::Expired, 1, 0));
}

#[test]
fn grants_and_revocations_are_kept_while_they_live_and_forgotten_after() {
    let (set, clock) = tokens();
    for token in 0..500 {
        set.track(ANN, token, after(HOUR)).unwrap();
        set.revoke(token, after(HOUR)).unwrap();
    }
    assert_eq!(sweep_all(&set), 0);
    let stats = set.stats();
    assert_eq!((stats.live, stats.revoked, stats.tracked), (500, 500, 0));
    clock.set(after(HOUR + MINUTE + SECOND));
    assert_eq!(sweep_all(&set), 500);
    let stats = set.stats();
    assert_eq!((stats.live, stats.principals, stats.cutoffs, stats.swept), (0, 0, 0, 500));
}

#[test]
fn a_token_belongs_to_one_principal() {
    let (set, _) = tokens();
    set.track(ANN, 1, after(HOUR)).unwrap();
    let refused = set.track(BOB, 1, after(HOUR)).unwrap_err();
    assert!(matches!(refused, RevocationError::TrackedElsewhere) && refused.http_status() == 409);
    assert_eq!((set.revoke_principal(&BOB).unwrap(), set.check(&1)), (0, Standing::Clear));
}

#[test]
fn unknown_ids_have_a_bounded_life() {
    let (set, clock) = tokens();
    for bogus in 0..1_000 {
        set.revoke(bogus, Timestamp::MAX).unwrap();
    }
    clock.set(after(DAY - NANOSECOND));
    assert_eq!((sweep_all(&set), set.check(&999)), (0, Standing::Revoked));
    clock.set(after(DAY + MINUTE));
    assert_eq!((sweep_all(&set), set.stats().live), (1_000, 0));
}

#[test]
fn re_tracking_keeps_the_later_expiry() {
    for (first, second) in [(HOUR, SECOND), (SECOND, HOUR)] {
        let (set, clock) = tokens();
        set.track(ANN, 1, after(first)).unwrap();
        set.track(ANN, 1, after(second)).unwrap();
        set.track(ANN, 2, after(first)).unwrap();
        set.revoke(2, after(second)).unwrap();
        set.revoke(3, after(first)).unwrap();
        set.track(ANN, 3, after(second)).unwrap();
        set.revoke(4, after(first)).unwrap();
        set.revoke(4, after(second)).unwrap();
        clock.set(after(HOUR - NANOSECOND));
        assert_eq!((sweep_all(&set), set.check(&1)), (0, Standing::Clear));
        assert!((2..=4).all(|token| set.check(&token) == Standing::Revoked));
    }
}

#[test]
fn a_sweep_with_a_clock_that_jumped_ahead_does_not_make_a_revoked_token_clear() {
    let (set, clock) = tokens();
    set.revoke(1, after(HOUR)).unwrap();
    clock.set(after(2 * HOUR));
    assert_eq!(sweep_all(&set), 1);
    for at in [START, after(HOUR / 2), after(HOUR - NANOSECOND)] {
        clock.set(at);
        sweep_all(&set);
        assert_eq!((set.check(&1), set.check_issued(&1, &ANN, START)), (Standing::Unknown, Standing::Unknown));
    }
}

#[test]
fn what_was_forgotten_is_not_missed_from_its_expiry_on() {
    let (set, clock) = tokens_of(RevocationConfig::new().grace(SECOND));
    set.revoke(1, after(HOUR)).unwrap();
    clock.set(after(HOUR + SECOND));
    assert_eq!(sweep_all(&set), 1);
    clock.set(after(HOUR - NANOSECOND));
    assert_eq!(set.check(&1), Standing::Unknown, "it might be alive");
    clock.set(after(HOUR));
    assert_eq!(set.check(&1), Standing::Clear, "whoever has it finds it expired");
}

#[test]
fn a_dropped_cutoff_does_not_make_a_tracked_token_clear_for_who_was_pinned_before() {
    let (set, clock) = tokens();
    set.track(ANN, 1, after(10 * DAY)).unwrap();
    set.revoke_principal(&BOB).unwrap();
    let pinned = set.pin();
    assert_eq!(pinned.check_issued(&1, &ANN, START), Standing::Clear);
    clock.set(after(2 * DAY));
    assert_eq!(sweep_all(&set), 1);
    assert_eq!(pinned.check_issued(&1, &ANN, START), Standing::Unknown, "it might have been Ann's");
    assert_eq!(set.check_issued(&1, &ANN, START), Standing::Clear, "by now");
}

#[test]
fn a_dropped_cutoff_does_not_make_its_tokens_clear_when_the_clock_steps_back() {
    let (set, clock) = tokens();
    assert_eq!(set.revoke_principal(&ANN).unwrap(), 0);
    clock.set(after(2 * DAY));
    assert_eq!((sweep_all(&set), set.stats().cutoffs), (1, 0));
    for at in [START, after(DAY - NANOSECOND)] {
        clock.set(at);
        assert_eq!(set.check_issued(&1, &ANN, START), Standing::Unknown);
    }
}

#[test]
fn what_a_sweep_has_seen_expired_stays_expired_when_the_clock_steps_back() {
    let (set, clock) = tokens();
    set.track(ANN, 1, after(10 * SECOND)).unwrap();
    set.revoke(2, after(10 * SECOND)).unwrap();
    clock.set(after(20 * SECOND));
    assert_eq!(sweep_all(&set), 0, "still in its grace");
    clock.set(START);
    assert_eq!((set.check(&1), set.check(&2)), (Standing::Expired, Standing::Revoked));
}

#[test]
fn a_loop_of_a_hundred_thousand_grants_and_revocations_leaves_nothing_behind() {
    const PRINCIPALS: [&str; 4] = ["p", "q", "r", "s"];
    let (set, clock) = tokens();
    for token in 0..100_000 {
        let (principal, expires_at) = (PRINCIPALS[token as usize % 4], after(SECOND * (token as u32 + 10)));
        set.track(principal, token, expires_at).unwrap();
        match token % 3 {
            0 => assert!(set.revoke_principal(&principal).unwrap() >= 1),
            _ => assert_eq!(set.revoke(token, expires_at).unwrap(), Revoked::Newly),
        }
        assert_eq!(set.check(&token), Standing::Revoked);
        clock.advance(SECOND);
        set.sweep(64);
        assert!(token % 1_000 != 0 || set.stats().live <= 200);
    }
    clock.advance(2 * DAY);
    sweep_all(&set);
    let stats = set.stats();
    assert_eq!((stats.live, stats.revoked, stats.tracked, stats.principals, stats.cutoffs), (0, 0, 0, 0, 0));
}

#[test]
fn the_cutoff_covers_tokens_that_nobody_tracked() {
    let (set, clock) = tokens();
    assert_eq!(set.check_issued(&1, &ANN, START), Standing::Clear);
    assert_eq!(set.revoke_principal(&ANN).unwrap(), 0);
    for issued_at in [Timestamp::ZERO, START.saturating_sub(NANOSECOND), START] {
        assert_eq!(set.check_issued(&1, &ANN, issued_at), Standing::Revoked);
    }
    clock.advance(SECOND);
    assert_eq!(set.check_issued(&1, &ANN, after(NANOSECOND)), Standing::Clear);
    assert_eq!(set.check_issued(&1, &BOB, START), Standing::Clear);
}

#[test]
fn cutoffs_combine_by_the_later_one_and_go_when_no_token_they_cover_can_be_alive() {
    let (set, clock) = tokens();
    set.revoke_principal(&ANN).unwrap();
    clock.set(START.saturating_sub(HOUR));
    set.revoke_principal(&ANN).unwrap();
    clock.set(START);
    assert_eq!(set.check_issued(&1, &ANN, START), Standing::Revoked);
    clock.set(after(DAY + MINUTE - NANOSECOND));
    assert_eq!((sweep_all(&set), set.stats().cutoffs), (0, 1));
    clock.set(after(DAY + MINUTE));
    assert_eq!((sweep_all(&set), set.stats().cutoffs, set.stats().principals), (1, 0, 0));
}

#[test]
fn a_cutoff_that_is_moved_on_stays_for_what_it_covers_by_then() {
    let (set, clock) = tokens();
    set.revoke_principal(&ANN).unwrap();
    clock.set(after(HOUR));
    set.revoke_principal(&ANN).unwrap();
    clock.set(after(DAY + HOUR + MINUTE - NANOSECOND));
    assert_eq!(sweep_all(&set), 0);
    assert_eq!(set.check_issued(&1, &ANN, after(HOUR)), Standing::Revoked);
    clock.set(after(DAY + HOUR + MINUTE));
    assert_eq!((sweep_all(&set), set.stats().cutoffs), (1, 0));
}

#[test]
fn a_cutoff_that_goes_leaves_a_principals_tokens_to_be_revoked() {
    let (set, clock) = tokens();
    set.revoke_principal(&ANN).unwrap();
    set.track(ANN, 1, after(10 * DAY)).unwrap();
    clock.set(after(2 * DAY));
    assert_eq!((sweep_all(&set), set.check(&1)), (1, Standing::Clear));
    assert_eq!((set.revoke_principal(&ANN).unwrap(), set.check(&1)), (1, Standing::Revoked));
}

#[test]
fn a_full_set_refuses_and_forgets_nothing() {
    let (set, clock) = tokens_of(RevocationConfig::new().capacity(3));
    set.revoke(1, after(HOUR)).unwrap();
    for token in [2, 3] {
        set.track(ANN, token, after(HOUR)).unwrap();
    }
    let refused = set.revoke(4, after(HOUR)).unwrap_err();
    assert!(matches!(refused, RevocationError::Full { capacity: 3, .. }) && refused.http_status() == 503);
    assert!(matches!(set.revoke_owned(&ANN, 4, after(HOUR)), Err(RevocationError::Full { .. })));
    assert!(matches!(set.track(ANN, 4, after(HOUR)), Err(RevocationError::Full { .. })));
    assert_eq!((set.check(&1), set.stats().live, set.stats().refused_full), (Standing::Revoked, 3, 3));
    assert_eq!(set.revoke(1, after(HOUR)).unwrap(), Revoked::Already);
    assert_eq!(set.revoke(2, after(HOUR)).unwrap(), Revoked::Newly, "what is tracked can always be revoked");
    assert_eq!(set.revoke_principal(&ANN).unwrap(), 1);
    assert!([1, 2, 3].iter().all(|token| set.check(token) == Standing::Revoked));
    clock.set(after(HOUR + MINUTE));
    assert_eq!(set.revoke(4, after(2 * HOUR)).unwrap(), Revoked::Newly, "what has expired makes room");
}

#[test]
fn a_full_set_coarsens_to_a_cutoff() {
    let (set, _) = tokens_of(RevocationConfig::new().capacity(2).when_full(WhenFull::Coarsen));
    for token in [1, 2] {
        assert_eq!(set.revoke_owned(&ANN, token, after(HOUR)).unwrap(), Revoked::Newly);
    }
    assert_eq!(set.revoke_owned(&ANN, 3, after(HOUR)).unwrap(), Revoked::Coarsened);
    assert!((1..=4).all(|token| set.check_issued(&token, &ANN, START) == Standing::Revoked));
    let grace = Duration::from_secs(60);
    assert_eq!(set.check_issued(&4, &ANN, after(grace)), Standing::Revoked, "the issuer's clock may be ahead");
    assert_eq!(set.check_issued(&4, &ANN, after(grace + NANOSECOND)), Standing::Clear);
    assert_eq!(set.check_issued(&4, &BOB, START), Standing::Clear);
    assert_eq!((set.stats().live, set.stats().coarsened), (2, 1));
    assert_eq!(set.stats().refused_full, 0, "none was refused");
    assert!(matches!(set.revoke(5, after(HOUR)), Err(RevocationError::Full { .. })), "nobody to cut off");
    assert_eq!(set.stats().refused_full, 1);
}

#[test]
fn a_cap_or_a_token_life_of_zero_is_refused() {
    assert!(matches!(Traces::new(0), Err(ConfigError::Zero { .. })));
    for config in [RevocationConfig::new().capacity(0), RevocationConfig::new().max_token_life(Duration::ZERO)] {
        let refused = Tokens::with_clock(config, ManualClock::new(START));
        assert!(matches!(refused, Err(ConfigError::Zero { .. })));
    }
}

#[test]
fn the_capacity_holds_when_tokens_are_revoked_at_once() {
    let (set, _) = tokens_of(RevocationConfig::new().capacity(50));
    let kept = sum_over_threads(|thread| {
        let revoked = |token: &u64| set.revoke(*token, after(HOUR)).is_ok();
        let kept: Vec<_> = (thread * 20..thread * 20 + 20).filter(revoked).collect();
        assert!(kept.iter().all(|token| set.check(token) == Standing::Revoked));
        kept.len() as u64
    });
    assert_eq!((kept, set.stats().live, set.stats().refused_full), (50, 50, 150));
}

#[test]
fn a_token_that_several_threads_revoke_is_newly_revoked_once() {
    let (set, _) = tokens();
    for token in 0..20 {
        set.track(ANN, token, after(HOUR)).unwrap();
    }
    let newly = |token: &u64| set.revoke(*token, after(HOUR)).unwrap() == Revoked::Newly;
    assert_eq!(sum_over_threads(|_| (0..40).filter(newly).count() as u64), 40);
    for token in 40..60 {
        set.track(ANN, token, after(HOUR)).unwrap();
    }
    assert_eq!(sum_over_threads(|_| set.revoke_principal(&ANN).unwrap()), 20);
}

#[test]
fn a_principal_revoked_while_its_tokens_are_tracked_keeps_none_that_was_issued_before() {
    for _ in 0..20 {
        let (set, _) = tokens();
        sum_over_threads(|thread| match thread {
            0 => set.revoke_principal(&ANN).unwrap(),
            _ => (0..20).map(|n| u64::from(set.track(ANN, thread * 20 + n, after(HOUR)).is_ok())).sum(),
        });
        assert!((20..200).all(|token| set.check_issued(&token, &ANN, START) == Standing::Revoked));
    }
}
