//! One test for each bug that was found and fixed, named after what must not happen again.

use serde_json::json;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, Record};
use tollgate::budget::{Denied, Limits, Meter};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::fifo::FifoMap;
use tollgate::handle::{Grant, HandleConfig, HandleRequest, HandleStore, Query, Rows};
use tollgate::hash::RandomState;
use tollgate::map::ShardedMap;
use tollgate::retention::{Ingest, MemoryTiers, TieredStore};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore};
use uuid::Uuid;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// The cutoff stood at the clock's time, before the tokens that it was to cover.
#[test]
fn a_clock_that_stepped_back_does_not_put_a_cutoff_before_what_was_issued() {
    let clock = ManualClock::new(at(1_000));
    let set = RevocationSet::with_clock(RevocationConfig::new(), clock.clone()).unwrap();
    set.track("alice", "tracked", at(5_000)).unwrap();
    clock.set(at(999));
    set.revoke_principal(&"alice").unwrap();
    assert_eq!(set.check_issued(&"untracked", &"alice", at(1_000)), Standing::Revoked);
}

/// A second `revoke_principal` found the cohort taken away and returned before the first one had shut it; a cutoff that
/// is renewed must not make way for the cohort either.
#[test]
fn a_second_revocation_of_a_principal_covers_what_was_tracked_in_between() {
    let set = RevocationSet::with_clock(RevocationConfig::new(), ManualClock::new(at(1_000))).unwrap();
    set.revoke_principal(&"alice").unwrap();
    set.track("alice", "later", at(5_000)).unwrap();
    assert!(set.check(&"later").is_clear());
    assert_eq!(set.revoke_principal(&"alice"), Ok(1));
    assert_eq!(set.check(&"later"), Standing::Revoked);
}

/// A token's first expiry was noted as what had been forgotten, not its later one.
#[test]
fn a_token_that_was_prolonged_and_forgotten_is_not_clear_when_the_clock_steps_back() {
    let clock = ManualClock::new(at(1_000));
    let set: RevocationSet<u64, u64, _> = RevocationSet::with_clock(RevocationConfig::new(), clock.clone()).unwrap();
    set.revoke(1, at(2_000)).unwrap();
    set.revoke(1, at(9_000)).unwrap();
    clock.set(at(20_000));
    while set.sweep(64).more {}
    assert_eq!(set.stats().live, 0);
    clock.set(at(8_000));
    assert_eq!(set.check(&1), Standing::Unknown);
}

/// The slot of an evicted entry was in hand when the caller's condition panicked, and lost.
#[test]
fn a_condition_that_panics_costs_no_capacity() {
    let map = FifoMap::builder(2).build().unwrap();
    for key in 0..2 {
        map.insert(key, key).unwrap();
    }
    let calls = AtomicUsize::new(0);
    let second = |_: &i32, _: &i32| calls.fetch_add(1, Ordering::Relaxed) == 0 || panic!("the user's code");
    assert!(catch_unwind(AssertUnwindSafe(|| map.evict_while(9, second))).is_err());
    assert_eq!(map.len(), 1);
    for key in 2..6 {
        map.insert(key, key).unwrap();
    }
    assert_eq!(map.snapshot().len(), 2);
}

/// The evicted entry's bytes were in hand while the caller's condition inserted, which waited for them for ever.
#[test]
fn a_condition_may_insert() {
    let map = FifoMap::builder(9).max_bytes(100, |_, &weight: &u64| weight).build().unwrap();
    map.insert(0, 60).unwrap();
    map.insert(1, 10).unwrap();
    map.evict_while(9, |&key, _| {
        if key == 1 {
            map.insert(2, 100).unwrap();
        }
        key == 0
    });
    assert_eq!(map.snapshot(), [(2, 2, 100)]);
}

/// Giving back a call of an earlier window made room in the present one.
#[test]
fn a_refund_of_an_earlier_window_makes_no_room_in_this_one() {
    let meter = Meter::new(Limits::new(100).with_rate(3, Duration::from_secs(60)), at(0)).unwrap();
    meter.admit(3, at(1)).unwrap();
    meter.admit(3, at(70)).unwrap();
    meter.refund(3, at(1)).unwrap();
    assert!(matches!(meter.admit(1, at(71)), Err(Denied::Rate { used: 3, .. })));
    meter.refund(1, at(70)).unwrap();
    assert_eq!(meter.admit(1, at(71)).unwrap().window_calls, 3);
}

/// Both windows began in one tick, so that a call of the first made room in the second.
#[test]
fn a_refund_that_may_be_of_the_window_before_makes_no_room_in_this_one() {
    let limits = Limits::new(u64::MAX).with_rate(1, Duration::from_secs(1));
    let nanos = |nanos| Timestamp::from_nanos(nanos);
    let meter = Meter::new(limits, Timestamp::ZERO).unwrap();
    meter.admit(1, nanos(999_999_999)).unwrap();
    meter.admit(1, nanos(1_000_000_000)).unwrap();
    meter.refund(1, nanos(999_999_999)).unwrap();
    assert!(matches!(meter.admit(1, nanos(1_000_000_001)), Err(Denied::Rate { used: 1, .. })));
    assert_eq!(meter.spent_at(nanos(1_000_000_001)).calls, 1);
}

/// At the last instant every call opened a window of its own.
#[test]
fn the_rate_limit_holds_at_the_end_of_time() {
    let meter = Meter::new(Limits::new(10).with_rate(1, Duration::from_secs(60)), Timestamp::MAX).unwrap();
    meter.admit(1, Timestamp::MAX).unwrap();
    assert!(matches!(meter.admit(1, Timestamp::MAX), Err(Denied::Rate { used: 1, .. })));
}

/// An agent that was refused left a roster behind.
#[test]
fn a_refused_session_leaves_no_agent_behind() {
    let clock = ManualClock::new(at(100));
    let store = SessionStore::with_clock(SessionConfig::new().capacity(1), clock).unwrap();
    let id = store.create(SessionRequest::new(Uuid::from_u128(1))).unwrap();
    let refused = store.create(SessionRequest::new(Uuid::from_u128(2)));
    assert_eq!(refused, Err(SessionError::Full { capacity: 1 }));
    assert_eq!(store.stats().agents, 1);
    store.close(&id).unwrap();
    store.sweep(9);
    assert_eq!((store.stats().agents, store.stats().live), (0, 0));
}

/// `Hash` is a safe trait: one that breaks its rules may lose entries, but nothing may be freed twice.
#[test]
fn a_hash_that_changes_its_mind_frees_nothing_twice() {
    static DRAWN: AtomicU64 = AtomicU64::new(0);

    #[derive(PartialEq, Eq)]
    struct Fickle(u64);

    impl Hash for Fickle {
        fn hash<H: Hasher>(&self, state: &mut H) {
            DRAWN.fetch_add(1, Ordering::Relaxed).hash(state);
        }
    }

    let counted = Arc::new(());
    let map = ShardedMap::with_shards_and_hasher(1, RandomState::with_seeds(1, 2, 3, 4));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (map, counted) = (&map, &counted);
            scope.spawn(move || {
                for number in 0..10_000 {
                    assert!(map.insert(Fickle(thread << 32 | number), Arc::clone(counted)).is_none());
                }
            });
        }
    });
    assert_eq!(Arc::strong_count(&counted), 40_001);
    assert_eq!(map.len(), 40_000);
    drop(map);
    assert_eq!(Arc::strong_count(&counted), 1);
}

/// An id whose hash panics when it is told to.
#[derive(Clone)]
struct Touchy(u64, Arc<AtomicU64>);

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Touchy {
    /// The `call`th hash from now on panics.
    fn provoke(&self, call: u64) {
        self.1.store(call, Ordering::Relaxed);
    }
}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let left = self.1.load(Ordering::Relaxed);
        self.1.store(left.saturating_sub(1), Ordering::Relaxed);
        assert!(left != 1, "the user's code");
        self.0.hash(state);
    }
}

/// The place that was taken for a token, or a cutoff, was lost when the caller's code panicked before its entry was linked.
#[test]
fn a_revocation_that_panics_costs_no_room() {
    let clock = ManualClock::new(at(1_000));
    let set = RevocationSet::with_clock(RevocationConfig::new().capacity(1), clock.clone()).unwrap();
    let id = Touchy(1, Arc::default());
    for call in 1..4 {
        for operation in 0..3 {
            id.provoke(call);
            let panicked = catch_unwind(AssertUnwindSafe(|| match operation {
                0 => drop(set.revoke(id.clone(), at(2_000))),
                1 => drop(set.track(id.clone(), id.clone(), at(2_000))),
                _ => drop(set.revoke_principal(&id)),
            }));
            id.provoke(0);
            // All of it expires, and can be used again.
            clock.advance(Duration::from_secs(1_000_000));
            while set.sweep(9).removed > 0 {}
            assert_eq!((set.stats().live, set.stats().cutoffs), (0, 0), "{operation}, {call}, {panicked:?}");
        }
    }
}

/// The place and the bytes that were counted for a session's data were lost when the caller's code panicked before its entry
/// was linked, and the bytes of data that was evicted when it panicked after that.
#[test]
fn tiers_count_what_there_is_after_a_panic() {
    let tiers = MemoryTiers::new(1).unwrap();
    let id = Touchy(1, Arc::default());
    id.provoke(2);
    assert!(catch_unwind(AssertUnwindSafe(|| tiers.ingest(id.clone(), Ingest::new(), vec![0; 9]))).is_err());
    assert_eq!((tiers.len(), tiers.tier1_usage_bytes()), (0, Ok(0)));
    tiers.ingest(id.clone(), Ingest::new(), vec![0; 9]).unwrap();
    id.provoke(1);
    assert!(catch_unwind(AssertUnwindSafe(|| tiers.record_analysis(&id, vec![0; 9]))).is_err());
    assert_eq!(tiers.tier2_usage_bytes(), Ok(0));
}

/// Each batch that a `Drop` removed let the collector run again, which dropped the next value, and so on down the stack.
#[test]
fn values_that_remove_batches_when_dropped_do_not_pile_up_on_the_stack() {
    struct Batch(Arc<ShardedMap<u64, u64>>);

    impl Drop for Batch {
        fn drop(&mut self) {
            let pinned = self.0.pin();
            for key in 0..40 {
                pinned.insert(key, key);
                pinned.remove(&key);
            }
        }
    }

    let drops = || {
        let (batches, other) = (ShardedMap::new(), Arc::new(ShardedMap::new()));
        let pinned = batches.pin();
        for key in 0..20_000_u64 {
            pinned.insert(key, Batch(Arc::clone(&other)));
            pinned.remove(&key);
        }
        drop(pinned);
        while Arc::strong_count(&other) > 1 {
            batches.pin().flush();
        }
    };
    thread::Builder::new().stack_size(1 << 18).spawn(drops).unwrap().join().unwrap();
}

/// The slot of what was evicted was in hand when the first eviction was warned of, and an insert by the subscriber waited
/// for it for ever.
#[test]
fn a_subscriber_may_insert_when_the_first_eviction_is_warned_of() {
    let map = Arc::new(FifoMap::builder(1).build().unwrap());
    let inner = Arc::clone(&map);
    let insert = move || {
        inner.insert(3, "by the subscriber").unwrap();
        std::io::sink()
    };
    // With a second dispatcher about, tracing asks both whether an event is wanted.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    tracing::subscriber::with_default(tracing_subscriber::fmt().with_writer(insert).finish(), || {
        for key in 1..3 {
            map.insert(key, "by the caller").unwrap();
        }
    });
    assert_eq!(map.snapshot(), [(2, 3, "by the subscriber")]);
}

/// The slot of what was removed was in hand while its value was cloned for the caller, and an insert by the `Clone` waited
/// for it for ever.
#[test]
fn the_clone_of_what_is_removed_may_insert() {
    struct Refill(Weak<FifoMap<u64, Self>>);

    impl Clone for Refill {
        fn clone(&self) -> Self {
            if let Some(map) = self.0.upgrade() {
                map.insert(2, Self(Weak::new())).ok();
            }
            Self(Weak::new())
        }
    }

    let map = Arc::new(FifoMap::builder(1).build().unwrap());
    map.insert(1, Refill(Arc::downgrade(&map))).ok();
    assert!(map.remove(&1).is_some());
    assert_eq!((map.get(&2).is_some(), map.len()), (true, 1));
}

/// The collector ran in the middle of a batch of evictions, with the bytes of one of them in hand, and an insert by what it
/// dropped waited for those for ever.
#[test]
fn what_is_dropped_during_evictions_may_insert() {
    struct Refill(Arc<FifoMap<u64, u64>>);

    impl Drop for Refill {
        fn drop(&mut self) {
            self.0.insert(1_000, 100).ok();
        }
    }

    let map = Arc::new(FifoMap::builder(100).max_bytes(100, |_, &weight| weight).build().unwrap());
    let garbage = ShardedMap::new();
    // What was removed is dropped a while later: in some of the rounds, by the evictions.
    for round in 0..200 {
        for key in 0..40 {
            map.insert(key, 2).unwrap();
        }
        garbage.pin().insert(0, Refill(Arc::clone(&map)));
        garbage.pin().remove(&0);
        for _ in 0..round % 4 {
            garbage.pin().flush();
        }
        map.evict_while(40, |_, _| true);
        assert!(map.stats().bytes <= 100);
    }
}

/// Once it was forgotten, a token that had been revoked could be tracked again, and was clear while the clock was back at
/// a time at which the revocation was alive.
#[test]
fn a_token_that_was_revoked_and_forgotten_is_not_clear_when_it_is_tracked_again_and_the_clock_steps_back() {
    let clock = ManualClock::new(at(0));
    let config = RevocationConfig::new().grace(Duration::ZERO);
    let set = RevocationSet::with_clock(config, clock.clone()).unwrap();
    set.track("alice", "token", at(10)).unwrap();
    set.revoke("token", at(10)).unwrap();
    clock.set(at(100));
    while set.sweep(64).more {}
    clock.set(at(5));
    set.track("alice", "token", at(200)).unwrap();
    assert_eq!(set.check(&"token"), Standing::Unknown);
    clock.set(at(100));
    assert_eq!(set.check(&"token"), Standing::Clear);
}

/// It was copied as often, all at once.
#[test]
fn a_field_that_is_asked_for_many_times_is_shown_once() {
    let store = HandleStore::<Rows>::new(HandleConfig::new()).unwrap();
    let large = json!({"text": "x".repeat(1 << 20)});
    let handle = store.store(HandleRequest::new("text"), Rows::new(large.clone(), Grant::new())).unwrap();
    // 64 GiB, if each were copied.
    let query = Query { fields: Some(vec!["text".to_owned(); 1 << 16]), ..Query::default() };
    assert_eq!(store.expand(&handle.id, &query, None).unwrap().rows, [large]);
}

/// Its joins were counted as if none of its parts were there.
#[test]
fn a_body_that_fits_with_the_prefix_that_is_there_is_not_too_large() {
    let store = BodyStore::new(BodyConfig::new().max_bytes(2_400)).unwrap();
    let note = |name: &str| Record::log("turn", at(1), "info", name);
    store.insert_parts(note("a"), &[b"aaaaaaaaaa"]).unwrap();
    let parts: Vec<&[u8]> = std::iter::repeat_n(&b"a"[..], 10).chain([&b"b"[..]]).collect();
    let receipt = store.insert_parts(note("b"), &parts).unwrap();
    assert_eq!(store.get(&receipt.body.unwrap()).unwrap(), b"aaaaaaaaaab");
}
