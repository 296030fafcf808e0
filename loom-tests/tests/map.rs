//! Races of the map: what one thread publishes, replaces or removes while another looks.

use loom_tests::{bounded, exhaustive};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use tollgate::map::{ShardedMap, Step};

/// Hashes a number to itself, so that models choose runs and buckets.
#[derive(Clone, Default)]
struct Same;

struct Last(u64);

impl BuildHasher for Same {
    type Hasher = Last;

    fn build_hasher(&self) -> Last {
        Last(0)
    }
}

impl Hasher for Last {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, value: u64) {
        // Keys that differ by 100 collide.
        self.0 = value % 100;
    }
}

type Map = Arc<ShardedMap<u64, Box<u64>, Same>>;

fn map(entries: &[u64]) -> Map {
    let map = ShardedMap::with_shards_and_hasher(1, Same);
    for &key in entries {
        map.insert(key, Box::new(key));
    }
    Arc::new(map)
}

fn read(map: &Map, key: u64) -> Option<u64> {
    map.pin().get(&key).map(|value| **value)
}

#[test]
fn map_insert_get() {
    exhaustive(|order| {
        let map = map(&[]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (_, seen) = order.race(move || drop(one.insert(1, Box::new(10))), move || read(&two, 1));
        assert!(matches!(seen, None | Some(10)));
        assert_eq!(read(&map, 1), Some(10));
    });
}

#[test]
fn map_insert_behind_a_present_entry_get() {
    exhaustive(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let look = move || (read(&two, 101), read(&two, 1));
        let (_, seen) = order.race(move || drop(one.insert(101, Box::new(10))), look);
        assert!(matches!(seen, (None | Some(10), Some(1))));
        assert_eq!(read(&map, 101), Some(10));
    });
}

#[test]
fn map_insert_insert_of_one_key_keeps_one() {
    exhaustive(|order| {
        let map = map(&[]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(
            move || one.pin().try_insert(1, Box::new(10)).is_ok(),
            move || two.pin().try_insert(1, Box::new(20)).is_ok(),
        );
        assert!(first ^ second);
        assert_eq!(read(&map, 1), Some(if first { 10 } else { 20 }));
        assert_eq!((map.len(), map.pin().iter().count()), (1, 1));
    });
}

#[test]
fn map_replace_get_never_misses() {
    exhaustive(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let replace = move || {
            one.insert(1, Box::new(10));
            one.insert(1, Box::new(11));
        };
        let (_, seen) = order.race(replace, move || read(&two, 1));
        assert!(matches!(seen, Some(1 | 10 | 11)));
        assert_eq!(map.pin().iter().map(|(_, value)| **value).collect::<Vec<_>>(), [11]);
    });
}

#[test]
fn map_replace_iterate_meets_a_key_once() {
    exhaustive(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let walk = move || two.pin().iter().map(|(&key, _)| key).collect::<Vec<_>>();
        let (_, mut keys) = order.race(move || drop(one.insert(1, Box::new(10))), walk);
        keys.sort_unstable();
        assert_eq!(keys, [1, 2]);
    });
}

#[test]
fn map_remove_get() {
    exhaustive(|order| {
        let map = map(&[1, 101]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let look = move || {
            let pinned = two.pin();
            (pinned.get(&1).map(|value| **value), pinned.get(&101).map(|value| **value))
        };
        let (removed, seen) = order.race(move || one.remove(&1), look);
        assert!(matches!(seen, (None | Some(1), Some(101))));
        assert!(removed.is_some());
        assert_eq!(read(&map, 1), None);
    });
}

#[test]
fn map_remove_remove_of_neighbours() {
    exhaustive(|order| {
        let map = map(&[1, 101, 201]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let removed = order.race(move || one.remove(&101).is_some(), move || two.remove(&1).is_some());
        assert_eq!(removed, (true, true));
        assert_eq!(map.pin().iter().map(|(&key, _)| key).collect::<Vec<_>>(), [201]);
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn map_remove_remove_of_one_key_has_one_winner() {
    exhaustive(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(move || one.remove(&1).is_some(), move || two.remove(&1).is_some());
        assert!(first ^ second);
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn map_remove_reinsert() {
    exhaustive(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let reinsert = move || {
            one.remove(&1);
            one.insert(1, Box::new(10));
        };
        let (_, removed) = order.race(reinsert, move || two.remove(&1).map(|value| *value));
        assert!(matches!(removed, None | Some(1 | 10)));
        assert_eq!(read(&map, 1), if removed == Some(10) { None } else { Some(10) });
    });
}

#[test]
fn map_replace_remove() {
    exhaustive(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let replace = move || one.insert(1, Box::new(10)).map(|value| *value);
        match order.race(replace, move || two.remove(&1).map(|value| *value)) {
            (None, Some(1)) => assert_eq!(read(&map, 1), Some(10)),
            (Some(1), Some(10)) => assert_eq!(read(&map, 1), None),
            other => panic!("no order of the two explains {other:?}"),
        }
    });
}

#[test]
fn map_remove_if_judges_what_it_removes() {
    exhaustive(|order| {
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let small = move || two.pin().remove_if(&1, |value| **value < 10).map(|value| **value);
        let (_, removed) = order.race(move || drop(one.insert(1, Box::new(10))), small);
        assert!(matches!(removed, None | Some(1)));
        assert_eq!(read(&map, 1), Some(10));
    });
}

#[test]
fn map_compute_compute_loses_no_step() {
    exhaustive(|order| {
        let map = map(&[]);
        let step = |map: Map| {
            move || {
                map.pin().compute(1, |value| Step::Put(Box::new(value.map_or(0, |value| **value) + 1)));
            }
        };
        order.race(step(Arc::clone(&map)), step(Arc::clone(&map)));
        assert_eq!(read(&map, 1), Some(2));
    });
}

#[test]
fn map_grow_insert_get() {
    exhaustive(|order| {
        // One bucket, full: the next insert grows, and both threads come to the new bucket.
        let map = map(&[2, 4, 6]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let look = move || {
            two.insert(3, Box::new(3));
            read(&two, 2)
        };
        let (_, seen) = order.race(move || drop(one.insert(1, Box::new(1))), look);
        assert_eq!(seen, Some(2));
        assert_eq!([1, 2, 3].map(|key| read(&map, key)), [Some(1), Some(2), Some(3)]);
    });
}

#[test]
fn map_insert_get_remove_by_three_threads() {
    bounded(|order| {
        let map = map(&[101]);
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&map));
        let insert = move || drop(one.insert(1, Box::new(1)));
        let remove = move || two.remove(&101).is_some();
        let ((_, removed), seen) = order.race(move || order.race(insert, remove), move || read(&three, 1));
        assert!(removed && matches!(seen, None | Some(1)));
        assert_eq!([1, 101].map(|key| read(&map, key)), [Some(1), None]);
    });
}
