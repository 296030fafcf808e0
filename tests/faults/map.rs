//! The sharded map.

use crate::fuse::{Fuse, Piece, Range, Seeds};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use tollgate::map::{ShardedMap, Step};

type Map = ShardedMap<Piece, Piece, Seeds>;

/// With this many entries a line is full, and the next insert makes the table grow.
const FULL: u64 = 7;

fn filled(fuse: &Fuse, entries: u64) -> Map {
    let map = ShardedMap::with_shards_and_hasher(1, Seeds(fuse.clone()));
    for name in 0..entries {
        map.pin().insert(fuse.piece(name), fuse.piece(name + 100));
    }
    map
}

/// A map whose entries are on their way to a larger table: a walk moves, and hashes, them.
fn growing(fuse: &Fuse) -> Map {
    static ENTRIES: OnceLock<u64> = OnceLock::new();
    let moves = |entries: &u64| {
        let fuse = Fuse::default();
        let map = filled(&fuse, *entries);
        fuse.blows(1, || _ = map.len())
    };
    filled(fuse, *ENTRIES.get_or_init(|| (50..500).find(moves).expect("tables grow")))
}

fn entries(map: &Map) -> BTreeMap<u64, u64> {
    let pinned = map.pin();
    let walked: Vec<_> = pinned.iter().map(|(key, value)| (key.id(), value.id())).collect();
    let entries: BTreeMap<_, _> = walked.iter().copied().collect();
    assert_eq!(entries.len(), walked.len(), "a key is there twice");
    entries
}

/// Every entry is found, and a key that is not there does all that a key can do.
fn works(map: &Map, fuse: &Fuse) {
    let before = entries(map);
    let pinned = map.pin();
    for (&key, &value) in &before {
        assert_eq!(pinned.get(&fuse.name(key)).map(Piece::id), Some(value));
        assert_eq!(pinned.insert(fuse.piece(key), fuse.piece(value)).map(Piece::id), Some(value));
    }
    assert!(pinned.try_insert(fuse.piece(900), fuse.piece(1)).is_ok());
    assert!(pinned.try_insert(fuse.piece(900), fuse.piece(2)).is_err());
    pinned.compute(fuse.piece(900), |value| Step::Put(fuse.piece(value.unwrap().id() + 1)));
    assert_eq!(pinned.remove_if(&fuse.name(900), |value| value.id() == 2).map(Piece::id), Some(2));
    for key in 1_000..1_020 {
        assert!(map.insert(fuse.piece(key), fuse.piece(key)).is_none());
    }
    for key in 1_000..1_020 {
        assert_eq!(map.remove(&fuse.name(key)).unwrap().id(), key);
    }
    assert_eq!(entries(map), before);
    assert_eq!(map.len(), before.len() as u64);
}

/// After a panic the map is as it was, or as the operation leaves it: nothing in between.
fn all_or_nothing(range: &mut Range<Map>, name: &str, operation: impl Fn(&Map, &Fuse)) {
    let fuse = Fuse::default();
    let (before, done) = (range.made(&fuse), range.made(&fuse));
    operation(&done, &fuse);
    let (before, done) = (entries(&before), entries(&done));
    range.fire(name, operation, |map, blown| {
        let now = entries(map);
        assert!(now == done || blown && now == before, "{now:?}");
    });
}

fn all_operations(mut range: Range<Map>) {
    let range = &mut range;
    for key in [3, 500] {
        all_or_nothing(range, "get", |map, fuse| drop(map.get(&fuse.name(key))));
        all_or_nothing(range, "contains_key", |map, fuse| _ = map.contains_key(&fuse.name(key)));
        all_or_nothing(range, "insert", |map, fuse| drop(map.insert(fuse.piece(key), fuse.piece(1))));
        all_or_nothing(range, "remove", |map, fuse| drop(map.remove(&fuse.name(key))));
        all_or_nothing(range, "Pinned::get_key_value", |map, fuse| {
            _ = map.pin().get_key_value(&fuse.name(key)).is_some();
        });
        all_or_nothing(range, "Pinned::insert", |map, fuse| {
            _ = map.pin().insert(fuse.piece(key), fuse.piece(1)).is_some();
        });
        all_or_nothing(range, "Pinned::try_insert", |map, fuse| {
            _ = map.pin().try_insert(fuse.piece(key), fuse.piece(1)).is_ok();
        });
        all_or_nothing(range, "Pinned::remove_if", |map, fuse| {
            let condition = |value: &Piece| {
                value.burn();
                true
            };
            _ = map.pin().remove_if(&fuse.name(key), condition).is_some();
        });
        for step in 0..3 {
            all_or_nothing(range, "Pinned::compute", |map, fuse| {
                map.pin().compute(fuse.piece(key), |_| {
                    let value = fuse.piece(1);
                    fuse.burn();
                    [Step::Keep, Step::Put(value), Step::Remove].into_iter().nth(step).unwrap()
                });
            });
        }
    }
    all_or_nothing(range, "len", |map, _| _ = map.len());
    all_or_nothing(range, "is_empty", |map, _| _ = map.is_empty());
    all_or_nothing(range, "Pinned::iter", |map, _| map.pin().iter().for_each(|(key, _)| key.burn()));
}

#[test]
fn a_small_map_survives_a_panic_in_every_call_of_user_code() {
    all_operations(Range::new("map", |fuse| filled(fuse, 4), works));
}

#[test]
fn a_map_that_is_about_to_grow_survives_a_panic_in_every_call_of_user_code() {
    all_operations(Range::new("map, full line", |fuse| filled(fuse, FULL), works));
}

#[test]
fn a_map_that_is_growing_survives_a_panic_in_every_call_of_user_code() {
    all_operations(Range::new("map, growing", growing, works));
}

/// What a value panics with when it is dropped: dropped itself, it panics once more.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new(()));
    }
}

struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        resume_unwind(Box::new(Bomb));
    }
}

/// It would come out of whatever operation has the collector run.
#[test]
fn a_drop_that_panics_with_what_panics_when_dropped_reaches_nobody() {
    let map = ShardedMap::new();
    let same_key = |value: Option<Loud>| {
        let pinned = map.pin();
        for _ in 0..500 {
            pinned.insert(0, (String::from("value"), None));
        }
        pinned.insert(0, (String::from("loud"), value));
    };
    for _ in 0..200 {
        same_key(Some(Loud));
        map.pin().flush();
    }
    same_key(None);
    assert_eq!(map.pin().get(&0).unwrap().0, "loud");
}
