//! A few models on the real crossbeam-epoch, to see that the ideal one stands for it.
//!
//! Run with `--cfg tollgate_loom --cfg crossbeam_loom --features bridge`; without `crossbeam_loom` they would repeat the
//! models on the ideal epoch, and without either they are smoke tests.
#![cfg(any(not(tollgate_loom), crossbeam_loom))]

use loom_tests::bridge;
use std::sync::Arc;
use tollgate::map::ShardedMap;

type Map = Arc<ShardedMap<u64, Box<u64>>>;

fn map() -> Map {
    let map = ShardedMap::new();
    map.insert(1, Box::new(1));
    Arc::new(map)
}

/// Lets garbage be freed while the model still runs.
fn collect(map: &Map) {
    for _ in 0..3 {
        map.pin().flush();
    }
}

#[test]
fn bridge_replace_get() {
    bridge(|order| {
        let map = map();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let replace = move || {
            one.insert(1, Box::new(2));
            collect(&one);
        };
        let (_, seen) = order.race(replace, move || two.pin().get(&1).map(|value| **value));
        assert!(matches!(seen, Some(1 | 2)));
    });
}

#[test]
fn bridge_remove_get() {
    bridge(|order| {
        let map = map();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let remove = move || {
            one.remove(&1);
            collect(&one);
        };
        let (_, seen) = order.race(remove, move || two.pin().get(&1).map(|value| **value));
        assert!(matches!(seen, None | Some(1)));
    });
}
