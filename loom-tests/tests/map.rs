//! Races of the map: what one thread publishes, replaces or removes while another looks.

use loom_tests::{bounded, exhaustive, thread};
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
    exhaustive(|| {
        let map = map(&[]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.insert(1, Box::new(10)));
        assert!(matches!(read(&map, 1), None | Some(10)));
        writer.join().unwrap();
        assert_eq!(read(&map, 1), Some(10));
    });
}

#[test]
fn map_insert_behind_a_present_entry_get() {
    exhaustive(|| {
        let map = map(&[1]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.insert(101, Box::new(10)));
        assert!(matches!(read(&map, 101), None | Some(10)));
        assert_eq!(read(&map, 1), Some(1));
        writer.join().unwrap();
        assert_eq!(read(&map, 101), Some(10));
    });
}

#[test]
fn map_insert_insert_of_one_key_keeps_one() {
    exhaustive(|| {
        let map = map(&[]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.pin().try_insert(1, Box::new(10)).is_ok());
        let ours = map.pin().try_insert(1, Box::new(20)).is_ok();
        let theirs = writer.join().unwrap();
        assert!(ours ^ theirs);
        assert_eq!(read(&map, 1), Some(if ours { 20 } else { 10 }));
        assert_eq!((map.len(), map.pin().iter().count()), (1, 1));
    });
}

#[test]
fn map_replace_get_never_misses() {
    exhaustive(|| {
        let map = map(&[1]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || {
            other.insert(1, Box::new(10));
            other.insert(1, Box::new(11));
        });
        assert!(matches!(read(&map, 1), Some(1 | 10 | 11)));
        writer.join().unwrap();
        assert_eq!(map.pin().iter().map(|(_, value)| **value).collect::<Vec<_>>(), [11]);
    });
}

#[test]
fn map_replace_iterate_meets_a_key_once() {
    exhaustive(|| {
        let map = map(&[1, 2]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.insert(1, Box::new(10)));
        let mut keys: Vec<_> = map.pin().iter().map(|(&key, _)| key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 2]);
        writer.join().unwrap();
    });
}

#[test]
fn map_remove_get() {
    exhaustive(|| {
        let map = map(&[1, 101]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.remove(&1));
        assert!(matches!(read(&map, 1), None | Some(1)));
        assert_eq!(read(&map, 101), Some(101));
        assert!(writer.join().unwrap().is_some());
        assert_eq!(read(&map, 1), None);
    });
}

#[test]
fn map_remove_remove_of_neighbours() {
    exhaustive(|| {
        let map = map(&[1, 101, 201]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.remove(&101));
        assert!(map.remove(&1).is_some());
        assert!(writer.join().unwrap().is_some());
        assert_eq!(map.pin().iter().map(|(&key, _)| key).collect::<Vec<_>>(), [201]);
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn map_remove_remove_of_one_key_has_one_winner() {
    exhaustive(|| {
        let map = map(&[1]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.remove(&1).is_some());
        assert!(map.remove(&1).is_some() ^ writer.join().unwrap());
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn map_remove_reinsert() {
    exhaustive(|| {
        let map = map(&[1]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || {
            other.remove(&1);
            other.insert(1, Box::new(10));
        });
        assert!(matches!(map.remove(&1).map(|value| *value), None | Some(1 | 10)));
        writer.join().unwrap();
        assert!(matches!(read(&map, 1), None | Some(10)));
        assert!(map.pin().iter().count() <= 1);
    });
}

#[test]
fn map_replace_remove() {
    exhaustive(|| {
        let map = map(&[1]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || other.insert(1, Box::new(10)).map(|value| *value));
        let removed = map.remove(&1).map(|value| *value);
        let replaced = writer.join().unwrap();
        match (removed, replaced) {
            (Some(1), None) => assert_eq!(read(&map, 1), Some(10)),
            (Some(10), Some(1)) => assert_eq!(read(&map, 1), None),
            other => panic!("no order of the two explains {other:?}"),
        }
    });
}

#[test]
fn map_compute_compute_loses_no_step() {
    exhaustive(|| {
        let map = map(&[]);
        let step = |map: &Map| {
            map.pin().compute(1, |value| Step::Put(Box::new(value.map_or(0, |value| **value) + 1)));
        };
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || step(&other));
        step(&map);
        writer.join().unwrap();
        assert_eq!(read(&map, 1), Some(2));
    });
}

#[test]
fn map_grow_get() {
    exhaustive(|| {
        // One bucket: the second insert grows, and both threads link the new one.
        let map = map(&[2]);
        let other = Arc::clone(&map);
        let writer = thread::spawn(move || {
            other.insert(1, Box::new(1));
        });
        assert_eq!(read(&map, 2), Some(2));
        map.insert(3, Box::new(3));
        writer.join().unwrap();
        assert_eq!([1, 2, 3].map(|key| read(&map, key)), [Some(1), Some(2), Some(3)]);
    });
}

#[test]
fn map_insert_get_remove_by_three_threads() {
    bounded(|| {
        let map = map(&[101]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let inserter = thread::spawn(move || one.insert(1, Box::new(1)));
        let remover = thread::spawn(move || two.remove(&101).is_some());
        assert!(matches!(read(&map, 1), None | Some(1)));
        inserter.join().unwrap();
        assert!(remover.join().unwrap());
        assert_eq!([1, 101].map(|key| read(&map, key)), [Some(1), None]);
    });
}
