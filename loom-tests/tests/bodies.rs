//! Races of the body store: the last reference dropped while the same content comes in, and the room for it.

use loom_tests::{bounded, coarse};
use tollgate::body::{BodyConfig, BodyStore, PrunePolicy, Receipt, Record};
use tollgate::clock::{ManualClock, Timestamp};

type Bodies = BodyStore<ManualClock>;

fn bodies(config: BodyConfig) -> Bodies {
    BodyStore::with_clock(config, ManualClock::new(Timestamp::from_secs(100))).unwrap()
}

fn record(turn: &str) -> Record {
    Record::log(turn, Timestamp::from_secs(50), "info", "")
}

fn put(store: &Bodies, turn: &str, parts: &[&str]) -> Receipt {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    store.insert_parts(record(turn), &parts).unwrap()
}

/// Lets everything go, after which nothing may be held.
fn empty(store: &Bodies) {
    store.prune(PrunePolicy::keep_all().max_bytes(0));
    let stats = store.stats();
    let left = (stats.records, stats.bodies, stats.parts, stats.stored_bytes, stats.bytes);
    assert_eq!((left, store.indexed()), ((0, 0, 0, 0, 0), 0), "something was left behind");
    assert_eq!(stats.inserted, stats.evicted_for_bytes + stats.evicted_for_age + stats.released);
}

#[test]
fn body_release_of_the_last_reference_insert_of_the_same() {
    bounded(|order| {
        let store = bodies(BodyConfig::new());
        let old = put(&store, "a", &["text"]);
        let (one, two) = (store.clone(), store.clone());
        let (_, new) = order.race(move || one.release(&old.id).unwrap(), move || put(&two, "b", &["text"]));
        assert_eq!(store.get(&new.body.unwrap()).unwrap(), b"text", "a body went while it was referred to");
        assert_eq!((store.stats().bodies, store.stats().parts), (1, 1));
        empty(&store);
    });
}

#[test]
fn body_release_insert_of_one_that_goes_on() {
    coarse(|order| {
        let store = bodies(BodyConfig::new());
        let old = put(&store, "a", &["x"]);
        let (one, two) = (store.clone(), store.clone());
        let release = move || one.release(&old.id).unwrap();
        let (_, new) = order.race(release, move || put(&two, "b", &["x", "y"]));
        assert_eq!(store.get(&new.body.unwrap()).unwrap(), b"xy", "a prefix went while it was referred to");
        assert_eq!((store.stats().bodies, store.stats().parts), (1, 2));
        empty(&store);
    });
}

#[test]
fn body_insert_insert_of_the_same_content() {
    coarse(|order| {
        let store = bodies(BodyConfig::new());
        let (one, two) = (store.clone(), store.clone());
        // Cut in different ways: what the slower one made is not needed, nor what that refers to.
        let whole = move || put(&one, "a", &["xy"]);
        let (first, second) = order.race(whole, move || put(&two, "b", &["x", "y"]));
        assert_eq!(first.body, second.body);
        assert_eq!(store.get(&first.body.unwrap()).unwrap(), b"xy");
        store.release(&first.id).unwrap();
        assert_eq!(store.get(&second.body.unwrap()).unwrap(), b"xy");
        empty(&store);
    });
}

#[test]
fn body_release_get() {
    bounded(|order| {
        let store = bodies(BodyConfig::new());
        let old = put(&store, "a", &["x", "y"]);
        let body = old.body.unwrap();
        let (one, two) = (store.clone(), store.clone());
        let (_, read) = order.race(move || one.release(&old.id).unwrap(), move || two.get(&body));
        assert!(read.is_err() || read == Ok(b"xy".to_vec()), "a body was read in part");
        empty(&store);
    });
}

#[test]
fn body_insert_evict() {
    coarse(|order| {
        let alone = bodies(BodyConfig::new());
        put(&alone, "a", &["text"]);
        let one = alone.stats().bytes;
        let store = bodies(BodyConfig::new().max_bytes(2 * one));
        put(&store, "a", &["1234"]);
        let (b, c) = (store.clone(), store.clone());
        let look = store.clone();
        let insert = |store: Bodies, turn: &'static str, text: &'static str| move || put(&store, turn, &[text]);
        order.race(insert(b, "b", "5678"), insert(c, "c", "9012"));
        let stats = look.stats();
        assert!(stats.bytes <= 2 * one);
        assert_eq!((stats.records, stats.evicted_for_bytes), (2, 1));
        assert!(store.get_turn("a").is_empty(), "the oldest goes");
        empty(&store);
    });
}

#[test]
fn body_insert_insert_of_the_same_record() {
    coarse(|order| {
        let store = bodies(BodyConfig::new());
        let (one, two) = (store.clone(), store.clone());
        // Without a body, which would only add steps.
        let note = |store: Bodies| move || store.note(record("a")).unwrap();
        let (first, second) = order.race(note(one), note(two));
        assert!(first.is_new ^ second.is_new);
        assert_eq!((store.stats().records, store.get_turn("a").len()), (1, 1));
        store.release(&first.id).unwrap();
        assert!(store.get_turn("a").is_empty());
        empty(&store);
    });
}

/// The one that comes too late may be evicted before it goes by itself.
#[test]
fn body_insert_insert_of_the_same_record_evict() {
    coarse(|order| {
        let store = bodies(BodyConfig::new());
        let (one, two) = (store.clone(), store.clone());
        let note_and_evict = move || {
            two.note(record("a")).unwrap();
            two.prune(PrunePolicy::keep_all().max_bytes(0));
        };
        order.race(move || one.note(record("a")).unwrap(), note_and_evict);
        empty(&store);
    });
}

/// The id is free for a moment: one of the two has it then, and keeps it.
#[test]
fn body_release_insert_insert_of_the_same_record() {
    coarse(|order| {
        let store = bodies(BodyConfig::new());
        let old = store.note(record("a")).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let release_and_note = move || {
            one.release(&old.id).unwrap();
            one.note(record("a")).unwrap()
        };
        order.race(release_and_note, move || two.note(record("a")).unwrap());
        assert_eq!((store.stats().records, store.get_turn("a").len()), (1, 1));
        store.release(&old.id).unwrap();
        empty(&store);
    });
}

#[test]
fn body_release_insert_of_the_same_record() {
    bounded(|order| {
        let store = bodies(BodyConfig::new());
        let old = put(&store, "a", &["text"]);
        let (one, two) = (store.clone(), store.clone());
        let (_, again) = order.race(move || one.release(&old.id).unwrap(), move || put(&two, "a", &["text"]));
        // It came before the release and was ignored, or after it and is there.
        let there = u64::from(again.is_new);
        assert_eq!((store.stats().records, store.get_turn("a").len() as u64), (there, there));
        assert_eq!(store.record(&again.id).is_ok(), again.is_new);
        empty(&store);
    });
}

#[test]
fn body_insert_prune() {
    coarse(|order| {
        let store = bodies(BodyConfig::new());
        put(&store, "a", &["text"]);
        let (one, two) = (store.clone(), store.clone());
        // The one that is on its way in may be all that there is to take.
        let prune = move || one.prune(PrunePolicy::keep_all().max_bytes(0)).total().records;
        let (pruned, new) = order.race(prune, move || put(&two, "b", &["text"]));
        let stats = store.stats();
        assert_eq!((stats.inserted, stats.records + stats.evicted_for_bytes), (2, 2));
        assert!((1..=2).contains(&pruned) && stats.evicted_for_bytes >= pruned);
        assert_eq!(store.get(&new.body.unwrap()).is_ok(), stats.records == 1);
        empty(&store);
    });
}
