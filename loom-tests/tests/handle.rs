//! Races of the handle store: of what goes, and of what goes for it.

use loom_tests::{bounded, exhaustive};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::{ENTRY_BYTES, HandleConfig, HandleError, HandleRequest, HandleStats, HandleStore, Payload};
use uuid::Uuid;

/// A payload of as many bytes as it says.
struct Sized(u64);

impl Payload for Sized {
    fn bytes(&self) -> u64 {
        self.0
    }
}

type Store = HandleStore<Sized, ManualClock>;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn store(config: HandleConfig) -> (Store, ManualClock) {
    let clock = ManualClock::new(at(100));
    (HandleStore::with_clock(config, clock.clone()).unwrap(), clock)
}

/// Stores an entry that lives for `seconds`.
fn put(store: &Store, seconds: u64) -> Uuid {
    let request = HandleRequest::new("").ttl(Duration::from_secs(seconds));
    store.store(request, Sized(0)).unwrap().id
}

fn there(store: &Store, id: &Uuid) -> bool {
    store.get(id).is_ok()
}

/// Each entry is counted once, under one reason, and its bytes are given back once.
fn assert_sums(stats: &HandleStats) {
    assert_eq!(stats.live + stats.expired + stats.removed + stats.evicted(), stats.stored, "{stats:?}");
    assert_eq!(stats.bytes, stats.live * ENTRY_BYTES, "{stats:?}");
    assert!(stats.live <= stats.capacity, "{stats:?}");
}

#[test]
fn handle_store_store_at_the_cap() {
    // Each inserts into three tables: too many steps to exhaust.
    bounded(|order| {
        let (store, _) = store(HandleConfig::new().capacity(1));
        let (one, two) = (store.clone(), store.clone());
        let (first, second) = order.race(move || put(&one, 10), move || put(&two, 10));
        assert!(there(&store, &first) ^ there(&store, &second));
        let stats = store.stats();
        assert_eq!((stats.stored, stats.evicted_for_capacity), (2, 1));
        assert_sums(&stats);
    });
}

#[test]
fn handle_get_sweep_of_one_that_expires() {
    exhaustive(|order| {
        let (store, clock) = store(HandleConfig::new());
        let id = put(&store, 10);
        clock.set(at(110));
        let (one, two) = (store.clone(), store.clone());
        let (got, _) = order.race(move || one.get(&id).map(drop), move || two.sweep(8));
        assert!(matches!(got, Err(HandleError::Expired | HandleError::NotFound)));
        let stats = store.stats();
        assert_eq!((stats.live, stats.expired), (0, 1));
        assert_sums(&stats);
        store.sweep(8);
        assert_eq!(store.stats().queued, 0);
    });
}

#[test]
fn handle_get_get_of_one_that_expires() {
    exhaustive(|order| {
        let (store, clock) = store(HandleConfig::new());
        let id = put(&store, 10);
        clock.set(at(110));
        let (one, two) = (store.clone(), store.clone());
        order.race(move || one.get(&id).is_ok(), move || two.get_meta(&id).is_ok());
        assert_eq!(store.stats().expired, 1);
        assert_sums(&store.stats());
    });
}

#[test]
fn handle_remove_remove_returns_it_once() {
    exhaustive(|order| {
        let (store, _) = store(HandleConfig::new());
        let id = put(&store, 10);
        let (one, two) = (store.clone(), store.clone());
        let (first, second) = order.race(move || one.remove(&id).is_ok(), move || two.remove(&id).is_ok());
        assert!(first ^ second);
        assert_eq!(store.stats().removed, 1);
        assert_sums(&store.stats());
    });
}

#[test]
fn handle_expire_store_that_needs_its_place() {
    // The store inserts into three tables: exhausting it takes a minute.
    bounded(|order| {
        let (store, clock) = store(HandleConfig::new().capacity(1));
        let old = put(&store, 10);
        clock.set(at(110));
        let (one, two) = (store.clone(), store.clone());
        let (got, new) = order.race(move || one.get(&old).is_ok(), move || put(&two, 10));
        assert!(!got && there(&store, &new));
        let stats = store.stats();
        // Swept by the store, or met by the other: never evicted as if it were alive.
        assert_eq!((stats.expired, stats.evicted()), (1, 0));
        assert_sums(&stats);
    });
}

#[test]
fn handle_sweep_store_that_needs_its_place() {
    // The store inserts into three tables: too many steps to exhaust.
    bounded(|order| {
        let (store, clock) = store(HandleConfig::new().capacity(1));
        let old = put(&store, 10);
        clock.set(at(110));
        let (one, two) = (store.clone(), store.clone());
        let (_, new) = order.race(move || one.sweep(8), move || put(&two, 10));
        assert!(there(&store, &new) && !there(&store, &old));
        let stats = store.stats();
        // Removed by either, though the store may take its place from the sweep's hands: never evicted as if it were alive.
        assert_eq!((stats.expired, stats.evicted()), (1, 0));
        assert_sums(&stats);
    });
}

#[test]
fn handle_sweep_sweep_later_leaves_nothing_behind() {
    // Two sweeps and a clock: too many steps to exhaust.
    bounded(|order| {
        let (store, clock) = store(HandleConfig::new());
        put(&store, 10);
        let (one, two) = (store.clone(), store.clone());
        let later = move || {
            clock.set(at(110));
            two.sweep(8)
        };
        // The first may be told of the entry by the second's time, while it goes by its own.
        order.race(move || one.sweep(8), later);
        store.sweep(8);
        let stats = store.stats();
        assert_eq!((stats.live, stats.expired, stats.queued), (0, 1, 0));
    });
}

#[test]
fn handle_sweep_store_leaves_nothing_behind() {
    // The store inserts into three tables: too many steps to exhaust.
    bounded(|order| {
        let (store, clock) = store(HandleConfig::new());
        let clocked = clock.clone();
        let (one, two) = (store.clone(), store.clone());
        let sweep = move || {
            clocked.set(at(110));
            one.sweep(8)
        };
        order.race(sweep, move || put(&two, 10));
        clock.set(at(200));
        store.sweep(8);
        let stats = store.stats();
        assert_eq!((stats.live, stats.expired, stats.queued), (0, 1, 0));
        assert_sums(&stats);
    });
}
