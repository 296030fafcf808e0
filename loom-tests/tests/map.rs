//! Races of the map: what one thread publishes, replaces or removes while another looks.

use loom_tests::{HashedBy, bounded, exhaustive};
use std::sync::Arc;
use tollgate::map::{ShardedMap, Step};

/// Keys that differ by 100 collide. Models choose lines so, and keys within them.
const COLLIDING: HashedBy = HashedBy(|key| key % 100);

type Map = Arc<ShardedMap<u64, Box<u64>, HashedBy>>;

fn map(entries: &[u64]) -> Map {
    let map = ShardedMap::with_shards_and_hasher(1, COLLIDING);
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

/// The keys met by a walk, sorted.
fn keys(map: &Map) -> Vec<u64> {
    let mut keys: Vec<_> = map.pin().iter().map(|(&key, _)| key).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn map_insert_into_the_slot_of_a_removed_entry() {
    exhaustive(|order| {
        // While one looks for a place, the other makes a slot free and may take that one, or the next.
        let map = map(&[2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let remove_and_insert = move || {
            two.remove(&2);
            two.pin().try_insert(1, Box::new(20)).is_ok()
        };
        let (first, second) = order.race(move || one.pin().try_insert(1, Box::new(10)).is_ok(), remove_and_insert);
        assert!(first ^ second);
        assert_eq!((read(&map, 1), keys(&map)), (Some(if first { 10 } else { 20 }), vec![1]));
    });
}

#[test]
fn map_insert_into_the_slot_of_an_entry_that_came_and_went() {
    exhaustive(|order| {
        // The slot that one means to fill is filled and free again before it does, and the key is elsewhere.
        let map = map(&[]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let come_and_go = move || {
            two.insert(2, Box::new(2));
            let inserted = two.pin().try_insert(1, Box::new(20)).is_ok();
            two.remove(&2);
            inserted
        };
        let (first, second) = order.race(move || one.pin().try_insert(1, Box::new(10)).is_ok(), come_and_go);
        assert!(first ^ second);
        assert_eq!(keys(&map), [1]);
    });
}

#[test]
fn map_insert_under_a_turn_that_has_moved_on() {
    // Too many steps to exhaust.
    bounded(|order| {
        // The turn's slot is free again when one reads it, and the turn somewhere else.
        let map = map(&[]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let come_and_go = move || {
            two.insert(2, Box::new(2));
            two.remove(&2);
            two.pin().try_insert(1, Box::new(20)).is_ok()
        };
        let (first, second) = order.race(move || one.pin().try_insert(1, Box::new(10)).is_ok(), come_and_go);
        assert!(first ^ second);
        assert_eq!(keys(&map), [1]);
    });
}

#[test]
fn map_insert_remove_insert_by_three_threads_keeps_one() {
    bounded(|order| {
        // The turn is at the slot of 2. A removal frees that slot, and the turn moves on before, after, or meanwhile.
        let map = map(&[3, 2]);
        map.remove(&3);
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&map));
        let insert = |map: Map, value| move || map.pin().try_insert(1, Box::new(value)).is_ok();
        let (one, two) = (insert(one, 10), insert(two, 20));
        let remove = move || drop(three.remove(&2));
        let ((first, second), ()) = order.race(move || order.race(one, two), remove);
        assert!(first ^ second);
        assert_eq!((keys(&map), read(&map, 1)), (vec![1], Some(if first { 10 } else { 20 })));
    });
}

/// Who removes an entry finds it, and comes to the turn when that is back at its slot, which others have freed.
#[test]
fn map_remove_that_comes_too_late_insert_insert_of_one_key_keeps_one() {
    bounded(|order| {
        let map = map(&[0, 1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let late = move || {
            one.remove(&1);
            one.remove(&0);
            one.pin().try_insert(3, Box::new(30)).is_ok()
        };
        let others = move || {
            two.remove(&1);
            two.pin().try_insert(3, Box::new(31)).is_ok()
        };
        let (first, second) = order.race(late, others);
        assert!(first != second, "a key is there twice");
    });
}

#[test]
fn map_insert_decided_before_its_slot_was_filled_and_freed() {
    exhaustive(|order| {
        // The turn's slot was free before and is again, by a removal that began under the same turn.
        let map = map(&[3, 2]);
        map.remove(&2);
        let pinned = map.pin();
        let mut inserted = None;
        pinned.compute(1, |before| {
            if before.is_some() {
                return Step::Keep;
            }
            map.insert(2, Box::new(2));
            let (one, two) = (Arc::clone(&map), Arc::clone(&map));
            let move_on = move || {
                two.remove(&3);
                two.pin().try_insert(1, Box::new(20)).is_ok()
            };
            let (_, done) = order.race(move || one.remove(&2), move_on);
            inserted = Some(done);
            Step::Put(Box::new(10))
        });
        assert_eq!((inserted, keys(&map), read(&map, 1)), (Some(true), vec![1], Some(20)));
    });
}

#[test]
fn map_remove_insert_elsewhere_iterate_meets_a_key_once() {
    exhaustive(|order| {
        // The key comes back in a slot that a walk gets to later.
        let map = map(&[1]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let reinsert = move || {
            one.remove(&1);
            one.insert(1, Box::new(10));
        };
        let (_, seen) = order.race(reinsert, move || keys(&two));
        assert!(matches!(seen.as_slice(), [] | [1]), "{seen:?}");
    });
}

#[test]
fn map_remove_reinsert_iterate_meets_a_key_once() {
    exhaustive(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let reinsert = move || {
            one.remove(&2);
            one.remove(&1);
            one.insert(1, Box::new(10));
        };
        let (_, seen) = order.race(reinsert, move || keys(&two));
        assert!([[].as_slice(), &[1], &[2], &[1, 2]].contains(&seen.as_slice()), "{seen:?}");
        assert_eq!(keys(&map), [1]);
    });
}

// A line of a model has two slots. The third entry grows the table to two lines; later, and for keys from 64 to 99 always, a
// line that is full goes on to another one. There are too many steps in that to exhaust.

#[test]
fn map_grow_insert_get() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (_, seen) =
            order.race(move || drop(one.insert(3, Box::new(3))), move || [1, 2, 3].map(|key| read(&two, key)));
        assert!(matches!(seen, [Some(1), Some(2), None | Some(3)]), "{seen:?}");
        assert_eq!(keys(&map), [1, 2, 3]);
    });
}

#[test]
fn map_grow_insert_insert_of_one_key_keeps_one() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(
            move || one.pin().try_insert(3, Box::new(10)).is_ok(),
            move || two.pin().try_insert(3, Box::new(20)).is_ok(),
        );
        assert!(first ^ second);
        assert_eq!((read(&map, 3), keys(&map)), (Some(if first { 10 } else { 20 }), vec![1, 2, 3]));
    });
}

#[test]
fn map_grow_insert_insert_of_two_keys_keeps_both() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || drop(one.insert(3, Box::new(3))), move || drop(two.insert(4, Box::new(4))));
        assert_eq!(keys(&map), [1, 2, 3, 4]);
    });
}

#[test]
fn map_grow_replace() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let replace = move || two.insert(1, Box::new(10)).map(|value| *value);
        let (_, replaced) = order.race(move || drop(one.insert(3, Box::new(3))), replace);
        assert_eq!((replaced, keys(&map), read(&map, 1)), (Some(1), vec![1, 2, 3], Some(10)));
    });
}

#[test]
fn map_grow_remove() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let remove = move || (two.remove(&2).map(|value| *value), read(&two, 2));
        let (_, seen) = order.race(move || drop(one.insert(3, Box::new(3))), remove);
        assert_eq!((seen, keys(&map)), ((Some(2), None), vec![1, 3]));
    });
}

#[test]
fn map_grow_insert_into_a_slot_that_became_free() {
    bounded(|order| {
        // One has found the line full; the other makes room in it, and means to use that.
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let make_room = move || {
            two.remove(&2);
            two.insert(4, Box::new(4));
        };
        order.race(move || drop(one.insert(3, Box::new(3))), make_room);
        assert_eq!(keys(&map), [1, 3, 4]);
    });
}

#[test]
fn map_grow_iterate_meets_a_key_once() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (_, seen) = order.race(move || drop(one.insert(3, Box::new(3))), move || keys(&two));
        assert!([[1, 2].as_slice(), &[1, 2, 3]].contains(&seen.as_slice()), "{seen:?}");
    });
}

#[test]
fn map_grow_remove_get_brings_nothing_back() {
    bounded(|order| {
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let grow_and_remove = move || {
            one.insert(3, Box::new(3));
            one.remove(&1).is_some()
        };
        let (removed, seen) = order.race(grow_and_remove, move || [(); 2].map(|()| read(&two, 1)));
        assert!(removed && !matches!(seen, [None, Some(_)]), "{seen:?}");
        assert_eq!(keys(&map), [2, 3]);
    });
}

#[test]
fn map_grow_insert_insert_get_without_the_lines_before() {
    bounded(|order| {
        // The second insert gives up the lines before: all must be seen settled then.
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert = move || {
            one.insert(3, Box::new(3));
            one.insert(4, Box::new(4));
        };
        let (_, seen) = order.race(insert, move || [1, 2].map(|key| read(&two, key)));
        assert_eq!(seen, [Some(1), Some(2)]);
    });
}

#[test]
fn map_grow_insert_insert_gives_up_the_lines_before_get() {
    bounded(|order| {
        // Of two lines, that of the odd keys is still to be moved: one moves it, and the other gives both up.
        let map = map(&[4, 1, 2, 5, 32]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert_and_read = move || {
            two.insert(6, Box::new(6));
            [1, 5].map(|key| read(&two, key))
        };
        let (_, seen) = order.race(move || drop(one.insert(7, Box::new(7))), insert_and_read);
        assert_eq!(seen, [Some(1), Some(5)]);
    });
}

/// Two lines, of which the second is full and goes on to another, which is full too.
fn chained() -> Map {
    map(&[2, 1, 101, 201])
}

#[test]
fn map_chain_insert_remove_of_the_entry_that_moves_on() {
    bounded(|order| {
        let map = chained();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let remove = move || (two.remove(&201).map(|value| *value), read(&two, 201), read(&two, 1));
        let (_, seen) = order.race(move || drop(one.insert(301, Box::new(3))), remove);
        assert_eq!(seen, (Some(201), None, Some(1)));
        assert_eq!(keys(&map), [1, 2, 101, 301]);
    });
}

#[test]
fn map_chain_insert_insert() {
    bounded(|order| {
        let map = chained();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(
            move || one.pin().try_insert(301, Box::new(3)).is_ok(),
            move || two.pin().try_insert(301, Box::new(4)).is_ok(),
        );
        assert!(first ^ second);
        assert_eq!(keys(&map), [1, 2, 101, 201, 301]);
    });
}

#[test]
fn map_chain_of_a_line_that_is_being_frozen() {
    bounded(|order| {
        // Both find the line full: one grows the table, the other has the line go on, before the last slot is frozen or not.
        let map = map(&[1, 2]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || drop(one.insert(3, Box::new(3))), move || drop(two.insert(64, Box::new(64))));
        assert_eq!(keys(&map), [1, 2, 3, 64]);
    });
}

#[test]
fn map_grow_chain_remove() {
    bounded(|order| {
        // One line, full, that goes on to another, which is full too.
        let map = map(&[66, 68, 70]);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (_, removed) = order.race(move || drop(one.insert(3, Box::new(3))), move || two.remove(&70).is_some());
        assert_eq!((removed, keys(&map)), (true, vec![3, 66, 68]));
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
