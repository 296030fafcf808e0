//! The rules of weaver-kernel's handle store, and its known flaws as regression tests.
//!
//! Rules are ported, not code: each test states one behaviour of `HandleStore` that users of weaver-kernel rely on, or
//! one that upstream gets wrong. Time stands still unless a test moves it.

mod common;
#[path = "common/log.rs"]
mod log;

use common::sum_over_threads;
use log::warnings_of;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::error::ConfigError;
use tollgate::handle::{
    ENTRY_BYTES, ExpandError, Grant, Handle, HandleConfig, HandleError, HandleRequest, HandleStore, Page, Payload,
    Query, Rows,
};
use uuid::Uuid;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const NANOSECOND: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const ANN: &str = "ann";
const BOB: &str = "bob";

/// A payload of as many bytes as it says.
#[derive(Debug, PartialEq)]
struct Sized(u64);

impl Payload for Sized {
    fn bytes(&self) -> u64 {
        self.0
    }
}

type Store<T> = HandleStore<T, ManualClock>;

fn store_of<T: Payload>(config: HandleConfig) -> (Store<T>, ManualClock) {
    let clock = ManualClock::new(START);
    (HandleStore::with_clock(config, clock.clone()).unwrap(), clock)
}

fn store<T: Payload>() -> (Store<T>, ManualClock) {
    store_of(HandleConfig::new())
}

fn request() -> HandleRequest {
    HandleRequest::new("")
}

/// Stores a payload that makes an entry of `bytes` in all.
fn put(store: &Store<Sized>, bytes: u64) -> Result<Arc<Handle>, HandleError> {
    store.store(request(), Sized(bytes - ENTRY_BYTES))
}

/// Which of these are there.
fn alive<T: Payload>(store: &Store<T>, handles: &[Arc<Handle>]) -> Vec<bool> {
    handles.iter().map(|handle| store.get(&handle.id).is_ok()).collect()
}

fn sweep_all<T: Payload>(store: &Store<T>) -> u64 {
    let swept = store.sweep(1_000_000);
    assert!(!swept.more);
    swept.removed
}

#[test]
fn what_was_stored_is_returned_itself_with_what_is_known_of_it() {
    let (store, _) = store();
    let data = Arc::new("result".to_owned());
    let handle = store.store(HandleRequest::new("search").principal(ANN), Arc::clone(&data)).unwrap();
    assert!(Arc::ptr_eq(&store.get(&handle.id).unwrap(), &data));
    let meta = store.get_meta(&handle.id).unwrap();
    assert!(Arc::ptr_eq(&meta, &handle));
    assert_eq!((&*meta.capability_id, meta.principal_id.as_deref()), ("search", Some(ANN)));
    assert_eq!((meta.created_at, meta.expires_at, meta.total_rows), (START, START.saturating_add(HOUR), 1));
}

#[test]
fn a_list_has_as_many_rows_as_items_and_anything_else_has_one() {
    let (store, _) = store::<Rows>();
    for (value, rows) in [(json!([1, 2, 3]), 3), (json!([]), 0), (json!({"a": 1}), 1), (json!(7), 1)] {
        assert_eq!(store.store(request(), Rows::new(value, Grant::new())).unwrap().total_rows, rows);
    }
    assert_eq!(vec!["a".to_owned(), "b".to_owned()].rows(), 2);
}

#[test]
fn an_unknown_handle_is_not_found() {
    let (store, _) = store::<String>();
    let id = Uuid::from_u128(7);
    assert_eq!(store.get(&id), Err(HandleError::NotFound));
    assert_eq!(store.get_meta(&id), Err(HandleError::NotFound));
    assert_eq!(store.remove(&id), Err(HandleError::NotFound));
}

#[test]
fn a_handle_expires_at_its_expiry_and_not_a_nanosecond_before() {
    let (store, clock) = store::<String>();
    let handle = store.store(request().ttl(SECOND), "x".to_owned()).unwrap();
    clock.advance(SECOND - NANOSECOND);
    assert!(store.get(&handle.id).is_ok());
    clock.advance(NANOSECOND);
    assert!(handle.is_expired_at(START.saturating_add(SECOND)) && !handle.is_expired_at(START));
    assert_eq!(store.get(&handle.id), Err(HandleError::Expired));
    // The first to ask removes it.
    assert_eq!(store.get(&handle.id), Err(HandleError::NotFound));
    let stats = store.stats();
    assert_eq!((stats.live, stats.expired, stats.bytes), (0, 1, 0));
}

#[test]
fn a_handle_that_expires_at_the_end_of_time_never_does() {
    let (store, clock) = store::<String>();
    let handle = store.store(request().ttl(Duration::MAX), "x".to_owned()).unwrap();
    assert_eq!(handle.expires_at, Timestamp::MAX);
    clock.set(Timestamp::MAX);
    assert!(!handle.is_expired_at(Timestamp::MAX) && store.get(&handle.id).is_ok());
}

#[test]
fn looking_at_a_handle_checks_its_expiry_as_upstream_does_not() {
    let (store, clock) = store::<String>();
    let handle = store.store(request(), "x".to_owned()).unwrap();
    clock.advance(HOUR);
    assert_eq!(store.get_meta(&handle.id), Err(HandleError::Expired));
}

#[test]
fn removing_an_expired_handle_counts_as_its_expiry() {
    let (store, clock) = store::<String>();
    let (first, second) = (store.store(request(), "x".to_owned()), store.store(request(), "y".to_owned()));
    assert_eq!(*store.remove(&first.unwrap().id).unwrap(), "x");
    clock.advance(HOUR);
    assert_eq!(store.remove(&second.unwrap().id), Err(HandleError::Expired));
    let stats = store.stats();
    assert_eq!((stats.removed, stats.expired, stats.live, stats.bytes), (1, 1, 0, 0));
}

#[test]
fn a_sweep_removes_what_has_expired_and_nothing_else() {
    let (store, clock) = store::<String>();
    let handles = [SECOND, 2 * SECOND, HOUR].map(|ttl| store.store(request().ttl(ttl), "x".to_owned()).unwrap());
    clock.advance(2 * SECOND);
    assert_eq!(sweep_all(&store), 2);
    assert_eq!(alive(&store, &handles), [false, false, true]);
    assert_eq!(sweep_all(&store), 0);
}

#[test]
fn a_sweep_keeps_to_its_limit() {
    let (store, clock) = store::<String>();
    for _ in 0..10 {
        store.store(request().ttl(SECOND), "x".to_owned()).unwrap();
    }
    clock.advance(SECOND);
    let first = store.sweep(4);
    assert_eq!((first.removed, first.more), (4, true));
    assert_eq!(sweep_all(&store), 6);
}

#[test]
fn a_full_store_evicts_the_oldest() {
    let (store, clock) = store_of::<String>(HandleConfig::new().capacity(5));
    let handles: Vec<_> = (0..7)
        .map(|_| {
            clock.advance(SECOND);
            store.store(request(), "x".to_owned()).unwrap()
        })
        .collect();
    assert_eq!(alive(&store, &handles), [false, false, true, true, true, true, true]);
    assert_eq!((store.stats().live, store.stats().evicted_for_capacity), (5, 2));
}

#[test]
fn expired_entries_go_before_live_ones() {
    let (store, clock) = store_of::<String>(HandleConfig::new().capacity(3));
    let ttls = [HOUR, SECOND, HOUR, HOUR];
    let mut handles = Vec::new();
    for ttl in ttls {
        handles.push(store.store(request().ttl(ttl), "x".to_owned()).unwrap());
        clock.advance(SECOND);
    }
    assert_eq!(alive(&store, &handles), [true, false, true, true]);
    assert_eq!((store.stats().evicted(), store.stats().expired), (0, 1));
}

#[test]
fn expired_entries_go_before_live_ones_however_many_evicted_ones_are_still_queued() {
    let (store, clock) = store_of::<String>(HandleConfig::new().capacity(1_000));
    // A thousand evictions leave half of the queue stale, and a new era begins.
    for _ in 0..2_100 {
        store.store(request().ttl(2 * HOUR), "x".to_owned()).unwrap();
    }
    let evicted = store.stats().evicted();
    let short = store.store(request().ttl(SECOND), "x".to_owned()).unwrap();
    clock.advance(SECOND);
    store.store(request().ttl(2 * HOUR), "x".to_owned()).unwrap();
    assert_eq!(store.get(&short.id), Err(HandleError::NotFound));
    assert_eq!((store.stats().evicted(), store.stats().expired), (evicted + 1, 1));
}

#[test]
fn expired_entries_go_before_live_ones_however_many_removed_ones_are_due_with_them() {
    let (store, clock) = store_of::<String>(HandleConfig::new().capacity(3));
    let put = |ttl| store.store(request().ttl(ttl), "x".to_owned()).unwrap();
    let (live, short) = (put(HOUR), put(SECOND));
    // Too few for a new era, too many for one step of a sweep.
    for _ in 0..60 {
        store.remove(&put(SECOND).id).unwrap();
    }
    let third = put(HOUR);
    clock.advance(SECOND);
    let new = put(HOUR);
    assert_eq!(alive(&store, &[live, short, third, new]), [true, false, true, true]);
}

#[test]
fn a_store_that_nobody_sweeps_forgets_what_has_expired() {
    let (store, clock) = store::<String>();
    for _ in 0..128 {
        store.store(request().ttl(SECOND), "x".to_owned()).unwrap();
    }
    clock.advance(SECOND);
    for _ in 0..128 {
        store.store(request(), "x".to_owned()).unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.live, stats.expired, stats.queued), (128, 128, 128));
}

#[test]
fn a_clock_that_steps_back_makes_no_new_entry_old() {
    // Upstream evicts by wall time: the newest would go.
    let (store, clock) = store_of::<String>(HandleConfig::new().capacity(2));
    let mut handles = Vec::new();
    for now in [100, 200, 50] {
        clock.set(Timestamp::from_secs(now));
        handles.push(store.store(request(), "x".to_owned()).unwrap());
    }
    assert_eq!(alive(&store, &handles), [false, true, true]);
}

#[test]
fn a_clock_that_steps_back_revives_nothing_that_a_sweep_has_passed() {
    let (store, clock) = store::<String>();
    let early = store.store(request().ttl(SECOND), "x".to_owned()).unwrap();
    clock.advance(10 * SECOND);
    assert_eq!(sweep_all(&store), 1);
    clock.set(START);
    assert_eq!(store.get(&early.id), Err(HandleError::NotFound));
    let late = store.store(request().ttl(SECOND), "y".to_owned()).unwrap();
    assert_eq!(late.created_at, START.saturating_add(10 * SECOND));
    assert!(store.get(&late.id).is_ok());
}

#[test]
fn no_handle_is_returned_dead() {
    let (store, clock) = store::<String>();
    assert_eq!(store.store(request().ttl(Duration::ZERO), "x".to_owned()), Err(HandleError::ZeroTtl));
    assert_eq!(store.stats().stored, 0);
    // At the end of time an hour is cut short, but not to nothing.
    clock.set(Timestamp::MAX);
    let last = store.store(request(), "x".to_owned()).unwrap();
    assert!(last.expires_at > last.created_at);
    assert!(store.get(&last.id).is_ok());
    assert_eq!(sweep_all(&store), 0);
}

#[test]
fn limits_of_nothing_are_refused_by_name() {
    let refused = |config| HandleStore::<String>::new(config).map(drop);
    for (config, what) in [
        (HandleConfig::new().capacity(0), "capacity"),
        (HandleConfig::new().ttl(Duration::ZERO), "ttl"),
        (HandleConfig::new().max_entry_bytes(0), "max_entry_bytes"),
        (HandleConfig::new().max_total_bytes(0), "max_total_bytes"),
    ] {
        assert_eq!(refused(config), Err(ConfigError::Zero { what }));
    }
}

#[test]
fn bytes_start_at_zero_and_are_given_back() {
    let (store, clock) = store_of::<Sized>(HandleConfig::new().max_total_bytes(10_000));
    assert_eq!(store.stats().bytes, 0);
    let handles = [600, 700, 800].map(|bytes| put(&store, bytes).unwrap());
    assert_eq!(handles[1].bytes, 700);
    assert_eq!(store.stats().bytes, 2_100);
    store.remove(&handles[0].id).unwrap();
    assert_eq!(store.stats().bytes, 1_500);
    clock.advance(HOUR);
    store.get(&handles[1].id).unwrap_err();
    assert_eq!(store.stats().bytes, 800);
    sweep_all(&store);
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn an_entry_at_the_ceiling_is_kept_and_one_above_is_refused() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_entry_bytes(1_000));
    let kept = put(&store, 1_000).unwrap();
    assert_eq!(put(&store, 1_001), Err(HandleError::TooLarge { bytes: 1_001, max: 1_000 }));
    assert_eq!(alive(&store, &[kept]), [true]);
    let stats = store.stats();
    assert_eq!((stats.live, stats.bytes, stats.refused_too_large, stats.evicted()), (1, 1_000, 1, 0));
}

#[test]
fn the_first_refusal_and_the_first_eviction_are_logged() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().capacity(1).max_entry_bytes(1_000));
    let refuse = || (0..3).for_each(|_| assert!(put(&store, 1_001).is_err()));
    assert_eq!((warnings_of(refuse), warnings_of(refuse)), (1, 0));
    let evict = || (0..3).for_each(|_| assert!(put(&store, 1_000).is_ok()));
    assert_eq!((warnings_of(evict), warnings_of(evict)), (1, 0));
}

#[test]
fn the_ceiling_is_the_smaller_of_the_two() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_entry_bytes(5_000).max_total_bytes(1_000));
    assert_eq!(put(&store, 1_001), Err(HandleError::TooLarge { bytes: 1_001, max: 1_000 }));
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_entry_bytes(1_000).max_total_bytes(5_000));
    assert_eq!(put(&store, 1_001), Err(HandleError::TooLarge { bytes: 1_001, max: 1_000 }));
}

#[test]
fn the_size_is_looked_at_before_the_time_to_live() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_entry_bytes(1_000));
    let refused = store.store(request().ttl(Duration::ZERO), Sized(1_000)).unwrap_err();
    assert!(matches!(refused, HandleError::TooLarge { .. }));
}

#[test]
fn too_many_bytes_evict_the_oldest_and_never_what_was_just_stored() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_total_bytes(3_000));
    let handles = [1_000, 1_000, 1_000, 2_000].map(|bytes| put(&store, bytes).unwrap());
    assert_eq!(alive(&store, &handles), [false, false, true, true]);
    let stats = store.stats();
    assert_eq!((stats.bytes, stats.evicted_for_bytes), (3_000, 2));
    let whole = put(&store, 3_000).unwrap();
    assert_eq!((alive(&store, &[whole]), store.stats().live), (vec![true], 1));
}

#[test]
fn expired_bytes_go_before_live_ones() {
    let (store, clock) = store_of::<Sized>(HandleConfig::new().max_total_bytes(3_000));
    let old = put(&store, 1_000).unwrap();
    let short = store.store(request().ttl(SECOND), Sized(1_000 - ENTRY_BYTES)).unwrap();
    let third = put(&store, 1_000).unwrap();
    clock.advance(SECOND);
    let new = put(&store, 1_000).unwrap();
    assert_eq!(alive(&store, &[old, short, third, new]), [true, false, true, true]);
    assert_eq!((store.stats().evicted(), store.stats().expired), (0, 1));
}

#[test]
fn strings_count_as_bytes_too() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_entry_bytes(ENTRY_BYTES + 8));
    assert!(store.store(HandleRequest::new("tool").principal("dora"), Sized(0)).is_ok());
    assert!(store.store(HandleRequest::new("tools").principal("dora"), Sized(0)).is_err());
}

#[test]
fn a_payload_that_claims_more_than_can_be_counted_is_refused_or_kept_alone() {
    let (store, _) = store_of::<Sized>(HandleConfig::new().max_total_bytes(1_000));
    assert!(matches!(store.store(request(), Sized(u64::MAX)), Err(HandleError::TooLarge { .. })));
    let (store, _) = store_of::<Sized>(HandleConfig::new());
    let handles = [1, u64::MAX, 2].map(|bytes| store.store(request(), Sized(bytes)).unwrap());
    assert_eq!(alive(&store, &handles), [false, false, true]);
}

#[test]
fn the_capacity_holds_and_every_entry_is_accounted_for_with_many_threads() {
    let (store, clock) = store_of::<Sized>(HandleConfig::new().capacity(100).max_total_bytes(80_000));
    let stored = sum_over_threads(|thread| {
        for i in 0..1_000 {
            let ttl = if i % 3 == 0 { SECOND } else { HOUR };
            let handle = store.store(request().ttl(ttl), Sized(thread * 100)).unwrap();
            let stats = store.stats();
            assert!(stats.live <= 100 && stats.bytes <= 80_000, "{stats:?}");
            if i % 7 == 0 {
                let _ = store.remove(&handle.id);
            }
            if i % 100 == 0 {
                clock.advance(SECOND);
            }
        }
        1_000
    });
    let stats = store.stats();
    assert_eq!((stored, stats.stored), (10_000, 10_000));
    assert_eq!(stats.live + stats.expired + stats.removed + stats.evicted(), 10_000);
    clock.advance(HOUR);
    sweep_all(&store);
    let stats = store.stats();
    assert_eq!((stats.live, stats.bytes, stats.queued), (0, 0, 0));
}

#[test]
fn evicted_entries_do_not_pile_up_in_the_queue() {
    let (store, clock) = store_of::<Sized>(HandleConfig::new().capacity(100));
    for _ in 0..10_000 {
        clock.advance(Duration::from_millis(1));
        store.store(request(), Sized(1)).unwrap();
        assert!(store.stats().queued <= 300, "{:?}", store.stats());
    }
}

#[test]
fn what_the_queue_asks_about_before_its_time_is_still_swept_at_its_time() {
    let (store, clock) = store::<Sized>();
    store.store(request(), Sized(1)).unwrap();
    // A new era begins: the queue asks about every entry.
    for _ in 0..200 {
        store.remove(&store.store(request(), Sized(1)).unwrap().id).unwrap();
    }
    assert!(store.stats().queued < 100, "{:?}", store.stats());
    clock.advance(HOUR);
    assert_eq!((sweep_all(&store), store.stats().live), (1, 0));
}

#[test]
fn entries_that_are_removed_or_met_expired_do_not_pile_up_in_the_queue() {
    let (store, clock) = store::<Sized>();
    for _ in 0..2_000 {
        let removed = store.store(request(), Sized(1)).unwrap();
        store.remove(&removed.id).unwrap();
        assert!(store.stats().queued <= 200, "{:?}", store.stats());
    }
    // By a clock that steps back, no sweep sees them expire.
    for _ in 0..2_000 {
        let met = store.store(request().ttl(SECOND), Sized(1)).unwrap();
        clock.set(START.saturating_add(SECOND));
        store.get(&met.id).unwrap_err();
        clock.set(START);
        assert!(store.stats().queued <= 200, "{:?}", store.stats());
    }
}

#[test]
fn a_sum_for_an_operator_does_not_show_what_is_stored() {
    let (store, _) = store::<String>();
    store.store(HandleRequest::new("secret-tool").principal("secret-user"), "secret".to_owned()).unwrap();
    assert!(!format!("{store:?}").contains("secret"));
    let statuses = [
        (HandleError::NotFound, 404),
        (HandleError::Expired, 410),
        (HandleError::TooLarge { bytes: 2, max: 1 }, 413),
        (HandleError::ZeroTtl, 400),
    ];
    for (error, status) in statuses {
        assert_eq!(error.http_status(), status);
        assert_eq!(ExpandError::from(error).http_status(), status);
    }
}

/// Six orders of two tenants.
fn orders() -> Value {
    let order = |id: u64, tenant: &str, city: &str| json!({"id": id, "tenant": tenant, "city": city});
    json!([
        order(0, "acme", "LIS"),
        order(1, "beta", "OSL"),
        order(2, "acme", "OSL"),
        order(3, "acme", "LIS"),
        order(4, "beta", "LIS"),
        order(5, "acme", "OSL"),
    ])
}

fn filter(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Looks into a value under a grant, as nobody.
fn look(value: Value, grant: Grant, query: &Query) -> Result<Page, ExpandError> {
    let (store, _) = store::<Rows>();
    let handle = store.store(request(), Rows::new(value, grant)).unwrap();
    store.expand(&handle.id, query, None)
}

fn ids(page: &Page) -> Vec<u64> {
    page.rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn expand_shows_all_rows_and_where_they_come_from() {
    let (store, _) = store::<Rows>();
    let handle = store.store(HandleRequest::new("orders"), Rows::new(orders(), Grant::new())).unwrap();
    let page = store.expand(&handle.id, &Query::default(), None).unwrap();
    assert_eq!(Value::Array(page.rows.clone()), orders());
    assert!(Arc::ptr_eq(&page.handle, &handle));
    assert_eq!((page.handle.total_rows, page.matched, page.offset, page.more), (6, 6, 0, false));
}

#[test]
fn expand_pages() {
    let page = |offset, limit| {
        let query = Query { offset, limit: Some(limit), ..Query::default() };
        look(orders(), Grant::new(), &query).unwrap()
    };
    assert_eq!((ids(&page(0, 4)), page(0, 4).more), (vec![0, 1, 2, 3], true));
    assert_eq!((ids(&page(4, 4)), page(4, 4).more), (vec![4, 5], false));
    assert_eq!((ids(&page(6, 4)), page(6, 4).more), (vec![], false));
    assert_eq!((ids(&page(i64::MAX, i64::MAX)), page(9, 4).more), (vec![], false));
    assert_eq!(page(9, 4).offset, 6, "no more are left out than there are");
    assert_eq!((ids(&page(0, 0)), page(0, 0).more), (vec![], true));
}

#[test]
fn expand_filters_and_pages_what_is_left() {
    let query = Query { filter: filter(&json!({"tenant": "acme"})), offset: 1, limit: Some(2), ..Query::default() };
    let page = look(orders(), Grant::new(), &query).unwrap();
    assert_eq!((ids(&page), page.matched, page.offset, page.more), (vec![2, 3], 4, 1, true));
    let both = Query { filter: filter(&json!({"tenant": "acme", "city": "OSL"})), ..Query::default() };
    assert_eq!(ids(&look(orders(), Grant::new(), &both).unwrap()), [2, 5]);
}

#[test]
fn expand_shows_the_fields_that_are_asked_for() {
    let query = Query { fields: Some(vec!["city".to_owned(), "none".to_owned()]), ..Query::default() };
    let page = look(orders(), Grant::new(), &query).unwrap();
    assert_eq!(page.rows[1], json!({"city": "OSL"}));
}

#[test]
fn expand_filters_by_fields_that_it_does_not_show() {
    let query = Query { filter: filter(&json!({"city": "OSL"})), ..Query::default() };
    let page = look(orders(), Grant::new().fields(["id"]), &query).unwrap();
    assert_eq!(page.rows, [json!({"id": 1}), json!({"id": 2}), json!({"id": 5})]);
}

#[test]
fn rows_that_are_not_objects_are_wrapped_unless_there_is_a_filter() {
    let look = |value, query: &Query| look(value, Grant::new(), query).unwrap().rows;
    assert_eq!(look(json!(7), &Query::default()), [json!({"value": 7})]);
    assert_eq!(look(json!([1, {"a": 2}]), &Query::default()), [json!({"value": 1}), json!({"a": 2})]);
    let query = Query { filter: filter(&json!({"a": 2})), ..Query::default() };
    assert_eq!(look(json!([1, {"a": 2}, {"b": 2}]), &query), [json!({"a": 2})]);
    assert_eq!(look(json!(7), &query), [] as [Value; 0]);
}

#[test]
fn expand_needs_a_handle_that_is_alive() {
    let (store, clock) = store::<Rows>();
    let handle = store.store(request().principal(ANN), Rows::new(orders(), Grant::new())).unwrap();
    clock.advance(HOUR);
    // Before the principal: both are known from what is stored.
    assert_eq!(store.expand(&handle.id, &Query::default(), Some(BOB)), Err(HandleError::Expired.into()));
    assert_eq!(store.expand(&handle.id, &Query::default(), Some(ANN)), Err(HandleError::NotFound.into()));
}

#[test]
fn a_bound_handle_is_for_its_principal_alone() {
    let (store, _) = store::<Rows>();
    let rows = Arc::new(Rows::new(orders(), Grant::new()));
    let bound = store.store(request().principal(ANN), Arc::clone(&rows)).unwrap();
    let free = store.store(request(), rows).unwrap();
    let expand = |handle: &Handle, principal| store.expand(&handle.id, &Query::default(), principal).map(drop);
    assert_eq!(expand(&bound, Some(ANN)), Ok(()));
    assert_eq!(expand(&bound, Some(BOB)), Err(ExpandError::PrincipalMismatch));
    assert_eq!(expand(&bound, None), Err(ExpandError::PrincipalMismatch));
    assert_eq!((expand(&free, None), expand(&free, Some(BOB))), (Ok(()), Ok(())));
    assert_eq!(ExpandError::PrincipalMismatch.http_status(), 403);
}

#[test]
fn a_forged_copy_of_a_handle_opens_nothing() {
    // Upstream decides by the copy that the caller brings.
    let (store, _) = store::<Rows>();
    let grant = Grant::new().fields(["id"]).max_rows(2);
    let handle = store.store(request().principal(ANN), Rows::new(orders(), grant)).unwrap();
    let mut forged = Handle::clone(&handle);
    forged.principal_id = None;
    assert_eq!(store.expand(&forged.id, &Query::default(), None), Err(ExpandError::PrincipalMismatch));
    assert_eq!(store.get_meta(&handle.id).unwrap().principal_id.as_deref(), Some(ANN));
}

#[test]
fn fields_that_are_not_granted_are_refused_and_those_that_are_are_the_default() {
    let grant = Grant::new().fields(["id", "city"]);
    let query = Query { fields: Some(vec!["id".to_owned(), "tenant".to_owned()]), ..Query::default() };
    let refused = look(orders(), grant.clone(), &query).unwrap_err();
    assert_eq!((refused, refused.http_status()), (ExpandError::FieldNotGranted { index: 1 }, 403));
    let page = look(orders(), grant.clone(), &Query::default()).unwrap();
    assert_eq!(page.rows[0], json!({"id": 0, "city": "LIS"}));
    let fewer = Query { fields: Some(vec!["id".to_owned()]), ..Query::default() };
    assert_eq!(look(orders(), grant, &fewer).unwrap().rows[0], json!({"id": 0}));
}

#[test]
fn the_scope_cannot_be_left_and_need_not_be_asked_for() {
    let grant = || Grant::new().scope("tenant", json!("acme"));
    let ask = |value: &Value| look(orders(), grant(), &Query { filter: filter(value), ..Query::default() });
    assert_eq!(ids(&ask(&json!({})).unwrap()), [0, 2, 3, 5]);
    assert_eq!(ids(&ask(&json!({"tenant": "acme", "city": "LIS"})).unwrap()), [0, 3]);
    assert_eq!(ask(&json!({"tenant": "beta"})), Err(ExpandError::OutOfScope));
    assert_eq!(ExpandError::OutOfScope.http_status(), 403);
    // What has no fields is in no scope.
    assert_eq!(look(json!([1, 2]), grant(), &Query::default()).unwrap().rows, [] as [Value; 0]);
}

#[test]
fn more_rows_than_granted_are_refused_and_as_many_are_the_default() {
    let ask = |limit| look(orders(), Grant::new().max_rows(2), &Query { limit, ..Query::default() });
    assert_eq!(ask(Some(3)), Err(ExpandError::TooManyRows { asked: 3, max: 2 }));
    assert_eq!(ids(&ask(Some(2)).unwrap()), [0, 1]);
    let page = ask(None).unwrap();
    assert_eq!((ids(&page), page.more), (vec![0, 1], true));
    assert_eq!(ids(&ask(Some(1)).unwrap()), [0]);
}

#[test]
fn negative_pages_are_refused_the_offset_first() {
    let ask = |offset, limit| look(orders(), Grant::new(), &Query { offset, limit, ..Query::default() }).unwrap_err();
    assert_eq!(ask(-1, Some(-2)), ExpandError::NegativeOffset { given: -1 });
    assert_eq!(ask(0, Some(-2)), ExpandError::NegativeLimit { given: -2 });
    assert_eq!((ask(-1, None).http_status(), ask(0, Some(i64::MIN)).http_status()), (400, 400));
}

#[test]
fn refusals_come_in_upstreams_order() {
    let (store, _) = store::<Rows>();
    let grant = Grant::new().fields(["id"]).scope("tenant", json!("acme")).max_rows(1);
    let handle = store.store(request().principal(ANN), Rows::new(orders(), grant)).unwrap();
    let mut query = Query {
        filter: filter(&json!({"tenant": "beta"})),
        fields: Some(vec!["city".to_owned()]),
        offset: -1,
        limit: Some(-1),
    };
    let ask = |query: &Query, principal| store.expand(&handle.id, query, principal).unwrap_err();
    assert_eq!(ask(&query, None), ExpandError::PrincipalMismatch);
    assert_eq!(ask(&query, Some(ANN)), ExpandError::FieldNotGranted { index: 0 });
    query.fields = None;
    assert_eq!(ask(&query, Some(ANN)), ExpandError::OutOfScope);
    query.filter.clear();
    assert_eq!(ask(&query, Some(ANN)), ExpandError::NegativeOffset { given: -1 });
    query.offset = 0;
    assert_eq!(ask(&query, Some(ANN)), ExpandError::NegativeLimit { given: -1 });
    query.limit = Some(2);
    assert_eq!(ask(&query, Some(ANN)), ExpandError::TooManyRows { asked: 2, max: 1 });
}

#[test]
fn refusals_do_not_repeat_what_was_asked() {
    let query = Query { fields: Some(vec!["secret".to_owned()]), ..Query::default() };
    let refused = look(orders(), Grant::new().fields(["id"]), &query).unwrap_err();
    assert!(!refused.to_string().contains("secret"));
}

#[test]
fn expanding_an_evicted_handle_does_not_find_it() {
    let (store, _) = store_of::<Rows>(HandleConfig::new().capacity(1));
    let rows = || Rows::new(orders(), Grant::new());
    let first = store.store(request(), rows()).unwrap();
    store.store(request(), rows()).unwrap();
    assert_eq!(store.expand(&first.id, &Query::default(), None), Err(HandleError::NotFound.into()));
}

#[test]
fn rows_count_what_they_hold_in_bytes_and_not_in_characters() {
    let (store, _) = store::<Rows>();
    let of = |text: &str| store.store(request(), Rows::new(json!(text), Grant::new())).unwrap().bytes;
    assert_eq!(of("ééééé") - of("eeeee"), 5);
}
