//! The rules of arbiter-session's session store, and its known flaws as regression tests.
//!
//! Rules are ported, not code: each test states one behaviour of `SessionStore` that users of arbiter-session rely on,
//! or one that upstream gets wrong. Time stands still unless a test moves it.

mod common;
#[path = "common/log.rs"]
mod log;

use common::sum_over_threads;
use log::warnings_of;
use std::collections::HashSet;
use std::time::Duration;
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::error::ConfigError;
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Status, Tools, Usage};
use uuid::Uuid;

type Store = SessionStore<ManualClock>;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const NANOSECOND: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const ANN: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);
const NOBODY: Uuid = Uuid::from_u128(3);

fn store_of(config: SessionConfig) -> (Store, ManualClock) {
    let clock = ManualClock::new(START);
    (SessionStore::with_clock(config, clock.clone()).unwrap(), clock)
}

fn store() -> (Store, ManualClock) {
    store_of(SessionConfig::new())
}

/// A session of Ann's that may call any tool.
fn request() -> SessionRequest {
    request_of(ANN)
}

fn request_of(agent: Uuid) -> SessionRequest {
    SessionRequest::new(agent).tools(Tools::Any)
}

fn call(store: &Store, id: &Uuid) -> Result<Usage, SessionError> {
    calls(store, id, 1)
}

fn calls(store: &Store, id: &Uuid, n: usize) -> Result<Usage, SessionError> {
    store.admit(id, None, &vec!["read"; n])
}

fn usage(store: &Store, id: &Uuid) -> Usage {
    store.get(id).unwrap().usage
}

fn status(store: &Store, id: &Uuid) -> Status {
    store.get(id).unwrap().status
}

fn sweep_all(store: &Store) -> u64 {
    let swept = store.sweep(1_000_000);
    assert!(!swept.more);
    swept.removed
}

#[test]
fn a_created_session_is_active_and_counts_its_calls() {
    let (store, clock) = store();
    let id = store.create(request().budget(5)).unwrap();
    let before = store.get(&id).unwrap();
    assert_eq!((before.id, before.agent, before.budget), (id, ANN, 5));
    assert_eq!((before.status, before.usage.calls_made), (Status::Active, 0));
    assert_eq!((before.created_at, before.expires_after), (START, START.saturating_add(HOUR)));
    clock.advance(10 * SECOND);
    let used = call(&store, &id).unwrap();
    assert_eq!((used.calls_made, used.calls_remaining), (1, 4));
    assert_eq!(used.time_remaining, HOUR - 10 * SECOND);
    assert_eq!(usage(&store, &id).calls_made, 1);
    assert_eq!(status(&store, &id), Status::Active);
}

#[test]
fn a_budget_of_n_admits_n_calls_and_refuses_the_next() {
    let (store, _) = store();
    for budget in 1..=5 {
        let id = store.create(request().budget(budget)).unwrap();
        for _ in 0..budget {
            assert_eq!(status(&store, &id), Status::Active);
            call(&store, &id).unwrap();
        }
        let refused = call(&store, &id).unwrap_err();
        assert!(matches!(refused, SessionError::BudgetExceeded { limit, used, asked: 1, .. }
            if limit == budget && used == budget));
        assert_eq!(usage(&store, &id).calls_made, budget);
    }
}

#[test]
fn a_budget_of_zero_admits_nothing() {
    let (store, _) = store();
    let id = store.create(request().budget(0)).unwrap();
    assert!(matches!(call(&store, &id), Err(SessionError::BudgetExceeded { limit: 0, .. })));
}

#[test]
fn only_tools_that_are_listed_are_authorized_byte_for_byte() {
    let (store, _) = store();
    let id = store.create(request().tools(Tools::only(["read", "list"]))).unwrap();
    for tool in ["read", "list"] {
        store.admit(&id, None, &[tool]).unwrap();
    }
    for tool in ["write", "Read", "rea", "read ", "read*", "*", ""] {
        let refused = store.admit(&id, None, &[tool]);
        assert!(matches!(refused, Err(SessionError::ToolNotAuthorized { index: 0, .. })), "{tool:?}");
    }
    assert_eq!(usage(&store, &id).calls_made, 2);
}

#[test]
fn a_session_is_alive_at_its_time_limit_and_expired_past_it() {
    let (store, clock) = store();
    let id = store.create(request().time_limit(10 * SECOND)).unwrap();
    clock.advance(10 * SECOND);
    assert_eq!(call(&store, &id).unwrap().time_remaining, Duration::ZERO);
    clock.advance(NANOSECOND);
    assert_eq!(status(&store, &id), Status::Expired);
    assert!(matches!(call(&store, &id), Err(SessionError::Expired)));
    assert_eq!(usage(&store, &id).calls_made, 1);
}

#[test]
fn a_time_limit_under_a_second_is_raised_to_a_second() {
    let (store, _) = store();
    for limit in [Duration::ZERO, SECOND - NANOSECOND, SECOND] {
        let id = store.create(request().time_limit(limit)).unwrap();
        assert_eq!(store.get(&id).unwrap().expires_after, START.saturating_add(SECOND));
    }
}

#[test]
fn a_closed_session_makes_room_though_the_clock_has_stepped_back() {
    for closed_at in [START.saturating_add(MINUTE), Timestamp::MAX] {
        let (store, clock) = store_of(SessionConfig::new().capacity(2));
        clock.set(closed_at);
        let one = store.create(request()).unwrap();
        store.create(request_of(BOB)).unwrap();
        store.close(&one).unwrap();
        assert_eq!(store.close_for_agent(&BOB), 1);
        clock.set(START);
        assert!((0..2).all(|_| store.create(request()).is_ok()));
    }
}

#[test]
fn only_a_time_limit_that_is_raised_is_warned_of() {
    let warnings = [NANOSECOND, SECOND - NANOSECOND, SECOND, HOUR].map(|limit| {
        let (store, _) = store();
        warnings_of(|| _ = store.create(request().time_limit(limit)).unwrap())
    });
    assert_eq!(warnings, [1, 1, 0, 0]);
}

#[test]
fn a_closed_session_is_not_reusable_and_not_expired() {
    let (store, _) = store();
    let id = store.create(request()).unwrap();
    store.close(&id).unwrap();
    assert_eq!(status(&store, &id), Status::Closed);
    assert!(matches!(call(&store, &id), Err(SessionError::Closed)));
    assert!(matches!(store.close(&id), Err(SessionError::Closed)));
}

#[test]
fn a_session_that_does_not_exist_is_not_found() {
    let (store, _) = store();
    assert!(matches!(call(&store, &NOBODY), Err(SessionError::NotFound)));
    assert!(matches!(store.close(&NOBODY), Err(SessionError::NotFound)));
}

#[test]
fn another_agent_is_refused_for_a_call_and_for_a_batch() {
    let (store, _) = store();
    let id = store.create(request()).unwrap();
    assert!(matches!(store.admit(&id, Some(&BOB), &["read"]), Err(SessionError::AgentMismatch)));
    assert!(matches!(store.admit(&id, Some(&BOB), &["read", "write"]), Err(SessionError::AgentMismatch)));
    assert_eq!(usage(&store, &id).calls_made, 0);
    store.admit(&id, Some(&ANN), &["read"]).unwrap();
}

#[test]
fn the_checks_come_in_upstreams_order_and_an_expired_session_can_be_closed() {
    let (store, clock) = store();
    let asked = request().budget(2).tools(Tools::only(["read"])).rate(0, MINUTE).time_limit(MINUTE);
    let id = store.create(asked).unwrap();
    let worst = ["write"; 3];
    assert!(matches!(store.admit(&id, None, &["read"]), Err(SessionError::RateLimited { .. })));
    for within_budget in [1, 2] {
        let refused = store.admit(&id, None, &worst[..within_budget]);
        assert!(matches!(refused, Err(SessionError::ToolNotAuthorized { .. })));
    }
    assert!(matches!(store.admit(&id, None, &worst), Err(SessionError::BudgetExceeded { .. })));
    clock.advance(2 * MINUTE);
    assert!(matches!(store.admit(&id, None, &worst), Err(SessionError::Expired)));
    store.close(&id).unwrap();
    assert!(matches!(store.admit(&id, None, &worst), Err(SessionError::Closed)));
    assert!(matches!(store.admit(&id, Some(&BOB), &worst), Err(SessionError::AgentMismatch)));
    assert!(matches!(store.admit(&NOBODY, Some(&BOB), &worst), Err(SessionError::NotFound)));
}

#[test]
fn every_error_has_upstreams_status_code() {
    let (store, _) = store_of(SessionConfig::new().sessions_per_agent(1));
    let status = |result: Result<Usage, SessionError>| result.unwrap_err().http_status();
    let asked = request().budget(2).tools(Tools::only(["read"])).rate(1, MINUTE);
    let id = store.create(asked).unwrap();
    assert_eq!(status(call(&store, &NOBODY)), 404);
    assert_eq!(status(store.admit(&id, Some(&BOB), &["read"])), 403);
    assert_eq!(status(store.admit(&id, None, &["write"])), 403);
    assert_eq!(status(calls(&store, &id, 3)), 429);
    assert_eq!(status(calls(&store, &id, 2)), 429);
    assert_eq!(store.create(request()).unwrap_err().http_status(), 429);
    store.close(&id).unwrap();
    assert_eq!(status(call(&store, &id)), 410);
    assert_eq!(SessionError::Expired.http_status(), 408);
    assert_eq!(store.create(request_of(BOB).rate(1, Duration::ZERO)).unwrap_err().http_status(), 400);
}

#[test]
fn an_error_shows_neither_ids_nor_tools() {
    let (store, _) = store();
    let id = store.create(request().tools(Tools::only(["read"]))).unwrap();
    for refused in [store.admit(&id, None, &["secret-tool"]), store.admit(&id, Some(&BOB), &["read"])] {
        let text = refused.unwrap_err().to_string();
        let hidden = ["secret-tool".to_owned(), id.to_string(), ANN.to_string(), BOB.to_string()];
        assert!(!hidden.iter().any(|hidden| text.contains(hidden)), "{text}");
    }
}

#[test]
fn a_rate_limit_admits_up_to_the_limit_and_refuses_the_next() {
    let (store, clock) = store();
    let id = store.create(request().rate(3, MINUTE)).unwrap();
    for made in 1..=3 {
        assert_eq!(call(&store, &id).unwrap().window_calls, made);
    }
    clock.advance(40 * SECOND);
    let refused = call(&store, &id).unwrap_err();
    assert!(matches!(refused, SessionError::RateLimited { limit: 3, used: 3, asked: 1, .. }));
    assert_eq!(refused.retry_after(clock.now()), Some(20 * SECOND));
    assert_eq!((usage(&store, &id).calls_made, usage(&store, &id).window_calls), (3, 3));
}

#[test]
fn without_a_rate_limit_nothing_is_limited_or_counted() {
    let (store, _) = store();
    let id = store.create(request().budget(500)).unwrap();
    for _ in 0..500 {
        assert_eq!(call(&store, &id).unwrap().window_calls, 0);
    }
}

#[test]
fn a_window_ends_exactly_at_its_length_and_the_next_counts_from_one() {
    let (store, clock) = store();
    let id = store.create(request().rate(2, MINUTE)).unwrap();
    calls(&store, &id, 2).unwrap();
    clock.advance(MINUTE - NANOSECOND);
    assert!(matches!(call(&store, &id), Err(SessionError::RateLimited { .. })));
    clock.advance(NANOSECOND);
    let used = call(&store, &id).unwrap();
    assert_eq!((used.window_calls, used.calls_made), (1, 3));
}

#[test]
fn a_refused_call_consumes_neither_budget_nor_window() {
    let (store, _) = store();
    let id = store.create(request().tools(Tools::only(["read"])).rate(3, MINUTE)).unwrap();
    assert!(store.admit(&id, None, &["write"]).is_err());
    assert!(store.admit(&id, Some(&BOB), &["read"]).is_err());
    assert_eq!((usage(&store, &id).calls_made, usage(&store, &id).window_calls), (0, 0));
    assert_eq!(calls(&store, &id, 3).unwrap().window_calls, 3);
}

#[test]
fn a_batch_with_one_bad_tool_consumes_nothing_and_names_the_first() {
    let (store, _) = store();
    let id = store.create(request().tools(Tools::only(["read", "list"]))).unwrap();
    let refused = store.admit(&id, None, &["read", "drop", "list", "write"]);
    assert!(matches!(refused, Err(SessionError::ToolNotAuthorized { index: 1, .. })));
    assert_eq!(usage(&store, &id).calls_made, 0);
    assert_eq!(store.admit(&id, None, &["read", "list", "read"]).unwrap().calls_made, 3);
}

#[test]
fn a_batch_over_the_budget_consumes_nothing() {
    let (store, _) = store();
    let id = store.create(request().budget(3)).unwrap();
    let refused = calls(&store, &id, 4);
    assert!(matches!(refused, Err(SessionError::BudgetExceeded { limit: 3, used: 0, asked: 4, .. })));
    assert_eq!(usage(&store, &id).calls_made, 0);
    assert_eq!(calls(&store, &id, 3).unwrap().calls_remaining, 0);
}

#[test]
fn a_batch_over_the_rate_limit_consumes_nothing() {
    let (store, clock) = store();
    let id = store.create(request().rate(3, MINUTE)).unwrap();
    let refused = calls(&store, &id, 4).unwrap_err();
    assert!(matches!(refused, SessionError::RateLimited { limit: 3, used: 0, asked: 4, .. }));
    assert_eq!(refused.retry_after(clock.now()), None, "no window will ever hold it");
    assert_eq!((usage(&store, &id).calls_made, usage(&store, &id).window_calls), (0, 0));
}

#[test]
fn an_empty_batch_succeeds_on_a_live_session_and_consumes_nothing() {
    let (store, _) = store();
    let spent = store.create(request().budget(1).rate(1, MINUTE)).unwrap();
    call(&store, &spent).unwrap();
    for id in [spent, store.create(request().budget(0)).unwrap()] {
        let before = usage(&store, &id).calls_made;
        assert_eq!(calls(&store, &id, 0).unwrap().calls_made, before);
        assert!(matches!(store.admit::<&str>(&id, Some(&BOB), &[]), Err(SessionError::AgentMismatch)));
        store.close(&id).unwrap();
        assert!(matches!(calls(&store, &id, 0), Err(SessionError::Closed)));
    }
}

#[test]
fn a_sweep_removes_expired_sessions_and_no_others() {
    let (store, clock) = store();
    let short = store.create(request().time_limit(SECOND)).unwrap();
    let long = store.create(request()).unwrap();
    clock.advance(SECOND);
    assert_eq!(sweep_all(&store), 0, "alive at its very limit");
    clock.advance(NANOSECOND);
    assert_eq!(sweep_all(&store), 1);
    assert!(matches!(call(&store, &short), Err(SessionError::NotFound)));
    call(&store, &long).unwrap();
}

#[test]
fn a_sweep_also_removes_closed_sessions() {
    let (store, _) = store();
    let ids = [store.create(request()).unwrap(), store.create(request()).unwrap()];
    store.close(&ids[0]).unwrap();
    assert_eq!(sweep_all(&store), 1);
    assert!(store.get(&ids[0]).is_none() && store.get(&ids[1]).is_some());
}

#[test]
fn a_sweep_removes_no_more_than_its_limit() {
    let (store, clock) = store();
    for _ in 0..10 {
        store.create(request().time_limit(SECOND)).unwrap();
    }
    clock.advance(2 * SECOND);
    let first = store.sweep(3);
    assert!(first.removed <= 3 && first.more);
    assert_eq!(first.removed + sweep_all(&store), 10);
    assert_eq!(store.stats().live, 0);
}

#[test]
fn closing_an_agents_sessions_leaves_other_agents_alone() {
    let (store, _) = store();
    let anns: Vec<_> = (0..3).map(|_| store.create(request()).unwrap()).collect();
    let bobs = store.create(request_of(BOB)).unwrap();
    assert_eq!(store.close_for_agent(&ANN), 3);
    for id in &anns {
        assert!(matches!(call(&store, id), Err(SessionError::Closed)));
        assert_eq!(status(&store, id), Status::Closed);
    }
    call(&store, &bobs).unwrap();
    assert_eq!((store.count_active(&ANN), store.count_active(&BOB)), (0, 1));
    assert_eq!((store.close_for_agent(&ANN), store.close_for_agent(&NOBODY)), (0, 0));
    let later = store.create(request()).unwrap();
    assert_eq!(sweep_all(&store), 3);
    call(&store, &later).unwrap();
}

#[test]
fn lists_and_counts_tell_agents_apart() {
    let (store, clock) = store();
    let anns = [store.create(request()).unwrap(), store.create(request().time_limit(SECOND)).unwrap()];
    let bobs = store.create(request_of(BOB)).unwrap();
    let listed: HashSet<_> = store.list_for_agent(&ANN).iter().map(|session| session.id).collect();
    assert_eq!(listed, HashSet::from(anns));
    assert_eq!(store.list_for_agent(&BOB)[0].id, bobs);
    assert!(store.list_for_agent(&NOBODY).is_empty());
    assert_eq!((store.list().len(), store.count_active(&ANN)), (3, 2));
    clock.advance(2 * SECOND);
    assert_eq!(store.count_active(&ANN), 1, "expired sessions are not active");
    store.close(&anns[0]).unwrap();
    assert_eq!(store.count_active(&ANN), 0, "nor are closed ones");
}

#[test]
fn an_agent_at_its_cap_gets_no_further_session_until_one_is_closed() {
    let (store, _) = store_of(SessionConfig::new().sessions_per_agent(2));
    let first = store.create(request()).unwrap();
    store.create(request()).unwrap();
    assert!(matches!(store.create(request()), Err(SessionError::TooManySessions { max: 2, .. })));
    store.create(request_of(BOB)).unwrap();
    store.close(&first).unwrap();
    store.create(request()).unwrap();
    assert_eq!(store.count_active(&ANN), 2);
}

#[test]
fn concurrent_calls_get_the_budget_exactly() {
    let (store, _) = store();
    let id = store.create(request().budget(5)).unwrap();
    let admitted = sum_over_threads(|_| call(&store, &id).is_ok().into());
    assert_eq!((admitted, usage(&store, &id).calls_made), (5, 5));
}

#[test]
fn a_fresh_window_still_holds_a_batch_to_the_rate_limit() {
    let (store, clock) = store();
    let id = store.create(request().budget(10_000).rate(3, MINUTE)).unwrap();
    clock.advance(5 * MINUTE);
    assert!(matches!(calls(&store, &id, 1_000), Err(SessionError::RateLimited { .. })));
    assert!(matches!(calls(&store, &id, 4), Err(SessionError::RateLimited { .. })));
    assert_eq!(calls(&store, &id, 3).unwrap().window_calls, 3);
}

#[test]
fn a_rate_limit_of_zero_admits_nothing() {
    let (store, clock) = store();
    let id = store.create(request().rate(0, SECOND)).unwrap();
    for _ in 0..5 {
        assert!(matches!(call(&store, &id), Err(SessionError::RateLimited { limit: 0, .. })));
        clock.advance(2 * SECOND);
    }
    assert_eq!(usage(&store, &id).calls_made, 0);
}

#[test]
fn a_window_of_zero_is_refused_when_the_session_is_created() {
    let (store, _) = store();
    let refused = store.create(request().rate(3, Duration::ZERO));
    assert!(matches!(refused, Err(SessionError::Config(ConfigError::Zero { .. }))));
    assert_eq!((store.stats().live, store.stats().agents), (0, 0), "nothing is left behind");
}

#[test]
fn a_window_too_large_to_count_is_refused_when_the_session_is_created() {
    let (store, _) = store();
    for window in [Duration::MAX, Duration::from_secs(1 << 62)] {
        let refused = store.create(request().rate(3, window));
        assert!(matches!(refused, Err(SessionError::Config(ConfigError::TooLarge { .. }))));
    }
    let id = store.create(request().rate(1, Duration::from_nanos(u64::MAX))).unwrap();
    call(&store, &id).unwrap();
    assert!(matches!(call(&store, &id), Err(SessionError::RateLimited { .. })));
}

#[test]
fn no_limit_wraps_at_the_largest_u64() {
    let (store, clock) = store();
    let endless = store.create(request().budget(u64::MAX).time_limit(Duration::MAX)).unwrap();
    assert_eq!(calls(&store, &endless, 1_000).unwrap().calls_remaining, u64::MAX - 1_000);
    let unhurried = store.create(request().budget(3).rate(u64::MAX, MINUTE)).unwrap();
    assert_eq!(calls(&store, &unhurried, 3).unwrap().window_calls, 3);
    assert!(matches!(call(&store, &unhurried), Err(SessionError::BudgetExceeded { .. })));
    // Two counts of 64 bits cannot be kept exactly at once; they are refused, not cut short.
    let both = store.create(request().budget(u64::MAX).rate(u64::MAX, MINUTE));
    assert!(matches!(both, Err(SessionError::Config(ConfigError::TooLarge { .. }))));
    clock.set(Timestamp::MAX);
    assert_eq!(call(&store, &endless).unwrap().calls_made, 1_001);
    store.sweep(16);
    assert_eq!(status(&store, &endless), Status::Active);
}

#[test]
fn expired_sessions_hold_no_cap_slots() {
    let (store, clock) = store_of(SessionConfig::new().sessions_per_agent(1));
    store.create(request().time_limit(10 * SECOND)).unwrap();
    clock.advance(10 * SECOND);
    assert!(matches!(store.create(request()), Err(SessionError::TooManySessions { max: 1, .. })));
    clock.advance(NANOSECOND);
    store.create(request()).unwrap();
    assert!(matches!(store.create(request()), Err(SessionError::TooManySessions { max: 1, .. })));
}

#[test]
fn the_cap_per_agent_holds_when_sessions_are_created_at_once() {
    let (store, _) = store_of(SessionConfig::new().sessions_per_agent(7));
    let created = sum_over_threads(|_| (0..5).map(|_| u64::from(store.create(request()).is_ok())).sum());
    assert_eq!((created, store.count_active(&ANN), store.stats().live), (7, 7, 7));
}

#[test]
fn a_full_store_sweeps_expired_and_closed_sessions_and_then_refuses() {
    let (store, clock) = store_of(SessionConfig::new().capacity(2));
    store.create(request().time_limit(SECOND)).unwrap();
    let second = store.create(request_of(BOB)).unwrap();
    let refused = store.create(request()).unwrap_err();
    assert!(matches!(refused, SessionError::Full { capacity: 2, .. }));
    assert_eq!((refused.http_status(), store.stats().refused_full), (503, 1));
    clock.advance(SECOND + NANOSECOND);
    store.create(request()).unwrap();
    assert!(matches!(store.create(request()), Err(SessionError::Full { .. })));
    store.close(&second).unwrap();
    store.create(request()).unwrap();
    assert_eq!((store.stats().live, store.list().len()), (2, 2));
}

#[test]
fn the_capacity_holds_when_sessions_are_created_at_once() {
    let (store, _) = store_of(SessionConfig::new().capacity(25));
    let created = sum_over_threads(|thread| {
        let agent = Uuid::from_u128(thread as u128);
        (0..5).map(|_| u64::from(store.create(request_of(agent)).is_ok())).sum()
    });
    assert_eq!((created, store.stats().live, store.stats().refused_full), (25, 25, 25));
}

#[test]
fn a_capacity_of_zero_is_refused() {
    for config in [SessionConfig::new().capacity(0), SessionConfig::new().sessions_per_agent(0)] {
        let refused = SessionStore::with_clock(config, ManualClock::new(START));
        assert!(matches!(refused, Err(ConfigError::Zero { .. })));
    }
}

#[test]
fn close_for_agent_takes_effect_at_one_instant_for_all_sessions() {
    for _ in 0..20 {
        let (store, _) = store();
        let ids: Vec<_> = (0..8).map(|_| store.create(request().budget(1_000_000)).unwrap()).collect();
        let closed = sum_over_threads(|thread| {
            if thread == 0 {
                return store.close_for_agent(&ANN);
            }
            let outcomes: Vec<_> = (0..40).map(|turn| call(&store, &ids[turn % ids.len()]).is_ok()).collect();
            assert!(outcomes.is_sorted_by(|before, after| before >= after), "admitted after a refusal");
            0
        });
        assert_eq!((closed, store.count_active(&ANN)), (8, 0));
    }
}

#[test]
fn close_for_agent_counts_only_what_it_closed() {
    let (store, clock) = store();
    let ids: Vec<_> = (0..4).map(|_| store.create(request()).unwrap()).collect();
    store.create(request().time_limit(SECOND)).unwrap();
    store.close(&ids[0]).unwrap();
    clock.advance(2 * SECOND);
    assert_eq!(store.close_for_agent(&ANN), 3);
    assert_eq!(sweep_all(&store), 5);
}

#[test]
fn an_empty_tool_list_means_what_the_caller_says() {
    let (store, _) = store();
    let any = store.create(request().tools(Tools::Any)).unwrap();
    store.admit(&any, None, &["read", "no such tool", ""]).unwrap();
    let none: [&str; 0] = [];
    for asked in [request().tools(Tools::only(none)), SessionRequest::new(ANN)] {
        let id = store.create(asked).unwrap();
        for tool in ["read", ""] {
            assert!(matches!(store.admit(&id, None, &[tool]), Err(SessionError::ToolNotAuthorized { .. })));
        }
    }
}

#[test]
fn concurrent_batches_are_admitted_whole_or_not_at_all() {
    let (store, _) = store();
    for asked in [request().budget(10), request().rate(10, MINUTE)] {
        let id = store.create(asked).unwrap();
        let admitted = sum_over_threads(|_| calls(&store, &id, 3).is_ok().into());
        assert_eq!((admitted, usage(&store, &id).calls_made), (3, 9));
    }
}

#[test]
fn a_clock_that_steps_back_revives_no_session_and_opens_no_window() {
    let (store, clock) = store();
    let expired = store.create(request().time_limit(SECOND)).unwrap();
    let limited = store.create(request().rate(1, MINUTE)).unwrap();
    clock.advance(2 * SECOND);
    assert!(matches!(call(&store, &expired), Err(SessionError::Expired)));
    call(&store, &limited).unwrap();
    for earlier in [START, Timestamp::ZERO] {
        clock.set(earlier);
        assert!(matches!(call(&store, &expired), Err(SessionError::Expired)));
        assert!(matches!(call(&store, &limited), Err(SessionError::RateLimited { .. })));
    }
}

#[test]
fn sessions_that_come_and_go_leave_nothing_behind() {
    let (store, clock) = store_of(SessionConfig::new().capacity(100));
    for n in 0..10_000_u128 {
        let id = store.create(request_of(Uuid::from_u128(n)).time_limit(SECOND)).unwrap();
        match n % 3 {
            0 => store.close(&id).unwrap(),
            1 => assert_eq!(store.close_for_agent(&Uuid::from_u128(n)), 1),
            _ => clock.advance(SECOND),
        }
        assert!(store.stats().live <= 100);
    }
    clock.advance(2 * SECOND);
    sweep_all(&store);
    let stats = store.stats();
    assert_eq!((stats.live, stats.agents), (0, 0));
    assert_eq!((stats.created, stats.removed), (10_000, 10_000));
}
