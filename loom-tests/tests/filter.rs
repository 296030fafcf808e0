//! Races of a map with a filter: it never says that an entry is absent which is there.

use loom_tests::{HashedBy, Order, bounded, coarse, exhaustive};
use std::sync::Arc;
use tollgate::map::ShardedMap;

/// Keys that differ by 100 share a line, and each of five hundreds has a bit of the filter to itself.
const HUNDREDS: HashedBy = HashedBy(|key| {
    let (bit, line) = (key / 100, key % 100);
    bit << 43 | bit << 38 | line
});

type Map = Arc<ShardedMap<u64, Box<u64>, HashedBy>>;

fn map(entries: &[u64]) -> Map {
    let map = ShardedMap::with_filter(1, HUNDREDS);
    for &key in entries {
        map.insert(key, Box::new(key));
    }
    Arc::new(map)
}

fn read(map: &Map, key: u64) -> Option<u64> {
    map.pin().get(&key).map(|value| **value)
}

fn insert(map: &Map, key: u64) {
    map.insert(key, Box::new(key));
}

#[test]
fn filter_insert_get() {
    exhaustive(|order| {
        let map = map(&[]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (_, seen) = order.race(move || insert(&one, 1), move || [(); 2].map(|()| read(&two, 1)));
        assert!(!matches!(seen, [Some(_), None]), "{seen:?}");
        assert_eq!(read(&map, 1), Some(1));
    });
}

#[test]
fn filter_insert_insert_of_one_key_get() {
    exhaustive(|order| {
        let map = map(&[]);
        let racers = [Arc::clone(&map), Arc::clone(&map)];
        // Whoever lost has met the other one's entry.
        let [first, second] = racers.map(|map| {
            move || {
                let won = map.pin().try_insert(1, Box::new(10)).is_ok();
                (won, read(&map, 1))
            }
        });
        let (first, second) = order.race(first, second);
        assert!(first.0 ^ second.0);
        assert_eq!((first.1, second.1), (Some(10), Some(10)));
    });
}

#[test]
fn filter_insert_insert_of_two_keys_get() {
    exhaustive(|order| {
        // One renews the filter while the other announces its entry under the next turn.
        let map = map(&[]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || insert(&one, 1), move || insert(&two, 101));
        assert_eq!([1, 101].map(|key| read(&map, key)), [Some(1), Some(101)]);
    });
}

#[test]
fn filter_remove_insert_insert_of_two_keys_get() {
    bounded(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let make_room = move || {
            one.remove(&1);
            insert(&one, 201);
            read(&one, 1)
        };
        let insert_and_read = move || {
            insert(&two, 101);
            read(&two, 101)
        };
        assert_eq!(order.race(make_room, insert_and_read), (None, Some(101)));
        assert_eq!([1, 101, 201].map(|key| read(&map, key)), [None, Some(101), Some(201)]);
    });
}

#[test]
fn filter_remove_reinsert_insert_get() {
    bounded(|order| {
        // The entry is gone when the filter is renewed, and back when that is done.
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let reinsert = move || {
            one.remove(&1);
            insert(&one, 1);
            read(&one, 1)
        };
        assert_eq!(order.race(reinsert, move || insert(&two, 101)).0, Some(1));
        assert_eq!([1, 101].map(|key| read(&map, key)), [Some(1), Some(101)]);
    });
}

#[test]
fn filter_remove_insert_get_sees_what_came_before() {
    exhaustive(|order| {
        let (map, before) = (map(&[1]), map(&[]));
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = (Arc::clone(&before), Arc::clone(&before));
        let remove = move || {
            insert(&first, 7);
            one.remove(&1);
            insert(&one, 101);
        };
        let look = move || (read(&two, 1), read(&second, 7));
        // No grace period ends meanwhile, so a pin learns nothing by itself.
        let pinned = map.pin();
        let (_, seen) = order.race(remove, look);
        assert_ne!(seen, (None, None));
        drop(pinned);
    });
}

#[test]
fn filter_insert_insert_get_by_three_threads() {
    bounded(|order| {
        let map = map(&[]);
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&map));
        let inserts = move || order.race(move || insert(&one, 1), move || insert(&two, 101));
        let (_, seen) = order.race(inserts, move || [(); 2].map(|()| read(&three, 101)));
        assert!(!matches!(seen, [Some(_), None]), "{seen:?}");
        assert_eq!([1, 101].map(|key| read(&map, key)), [Some(1), Some(101)]);
    });
}

// A line of a model has two slots: the third entry grows the table to two lines.

#[test]
fn filter_grow_insert_get() {
    bounded(|order| {
        let map = map(&[1, 102]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (_, seen) = order.race(move || insert(&one, 203), move || [1, 102, 203].map(|key| read(&two, key)));
        assert!(matches!(seen, [Some(1), Some(102), None | Some(203)]), "{seen:?}");
        assert_eq!([1, 102, 203].map(|key| read(&map, key)), [Some(1), Some(102), Some(203)]);
    });
}

#[test]
fn filter_grow_insert_insert_of_two_keys_get() {
    bounded(|order| {
        // One settles the lines that the other has put in place, and announces its entry before that one opens their filters.
        let map = map(&[1, 102]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || insert(&one, 203), move || insert(&two, 304));
        assert_eq!([1, 102, 203, 304].map(|key| read(&map, key)), [Some(1), Some(102), Some(203), Some(304)]);
    });
}

#[test]
fn filter_chain_insert_insert_get() {
    bounded(|order| {
        // As many entries as a line has slots: both have it go on to another, and one renews the filter meanwhile.
        let map = map(&[64, 164]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || insert(&one, 264), move || insert(&two, 364));
        assert_eq!([64, 164, 264, 364].map(|key| read(&map, key)), [Some(64), Some(164), Some(264), Some(364)]);
    });
}

#[test]
fn filter_grow_remove_get_brings_nothing_back() {
    bounded(|order| {
        let map = map(&[1, 102]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let grow_and_remove = move || {
            insert(&one, 203);
            one.remove(&1).is_some()
        };
        let (removed, seen) = order.race(grow_and_remove, move || [(); 2].map(|()| read(&two, 1)));
        assert!(removed && !matches!(seen, [None, Some(_)]), "{seen:?}");
    });
}

/// Beside a thread that inserts `key`, one removes 1. Whoever finds that gone must find what came before it. No grace period
/// ends meanwhile, so that a pin learns nothing by itself.
fn removal_is_seen_with_what_came_before(order: Order, map: &Map, key: u64) {
    let before = self::map(&[]);
    let [one, two, three] = [(); 3].map(|()| Arc::clone(map));
    let (first, second) = (Arc::clone(&before), Arc::clone(&before));
    let remove = move || {
        insert(&first, 7);
        one.remove(&1);
    };
    let look = move || (read(&three, 1), read(&second, 7));
    let pinned = map.pin();
    let (_, seen) = order.race(move || order.race(remove, move || insert(&two, key)), look);
    assert_ne!(seen, (None, None));
    drop(pinned);
}

#[test]
fn filter_insert_remove_get_sees_what_came_before() {
    // The filter is renewed without what another thread has removed.
    coarse(|order| removal_is_seen_with_what_came_before(order, &map(&[1]), 101));
}

#[test]
fn filter_grow_remove_get_sees_what_came_before() {
    // The line was full, and moves without what another thread has removed.
    coarse(|order| removal_is_seen_with_what_came_before(order, &map(&[1, 102]), 203));
}
