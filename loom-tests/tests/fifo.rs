//! Races of the FIFO map: the cap, the order, and the entry that is evicted while it is still on its way in.

use loom_tests::{Order, bounded, coarse, exhaustive};
use std::sync::{Arc, Mutex};
use tollgate::fifo::{FifoMap, Reason};

type Map = Arc<FifoMap<u64, u64>>;

fn map(cap: u64, entries: u64) -> Map {
    let map = FifoMap::builder(cap).build().unwrap();
    for key in 0..entries {
        map.insert(key, key).unwrap();
    }
    Arc::new(map)
}

fn keys(map: &Map) -> Vec<u64> {
    map.snapshot().into_iter().map(|(_, key, _)| key).collect()
}

#[test]
fn fifo_insert_evict() {
    exhaustive(|order| {
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let look = move || (two.snapshot().len(), two.len());
        let (_, (seen, len)) = order.race(move || one.insert(1, 1).unwrap(), look);
        assert!(seen <= 1 && len <= 1, "{seen} entries seen, {len} counted, with a cap of 1");
        assert_eq!(keys(&map), [1]);
        assert_eq!((map.stats().evicted(), map.len()), (1, 1));
    });
}

#[test]
fn fifo_insert_behind_a_walk_is_not_met_by_it() {
    // In one of these the walk meets the oldest, another, and would then meet the entry that evicts the oldest.
    for (oldest, other, newest) in (5..8).flat_map(|newest| [(0, 4, newest), (4, 0, newest)]) {
        exhaustive(move |order| {
            let map = Arc::new(FifoMap::builder(2).build().unwrap());
            map.insert(oldest, 0).unwrap();
            map.insert(other, 0).unwrap();
            let (one, two) = (Arc::clone(&map), Arc::clone(&map));
            let (_, seen) = order.race(move || one.insert(newest, 0).unwrap(), move || two.snapshot().len());
            assert!(seen <= 2, "{seen} entries seen, with a cap of 2");
        });
    }
}

/// Two inserts into a map of two, after so many before, evict one each.
fn insert_insert_leave_nothing_older_behind(before: u64) -> impl Fn(Order) {
    move |order| {
        let map = map(2, before);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let look = move || {
            let seq = two.insert(before + 1, 0).unwrap().seq;
            // Keys are numbers here. What is two or more before an insert that has returned is gone.
            (0..=seq - 2).find(|&old| old < before && two.get(&old).is_some()).map(|old| (old, seq))
        };
        let (_, left) = order.race(move || one.insert(before, 0).unwrap(), look);
        assert_eq!(left, None, "an older entry than the cap allows, and the number that it was seen after");
        assert_eq!(map.len(), 2);
    }
}

#[test]
fn fifo_insert_insert_leave_nothing_older_behind() {
    bounded(insert_insert_leave_nothing_older_behind(2));
}

#[test]
fn fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf() {
    // A leaf of the model has four numbers: one evicts the last of the first leaf, the other the first of the next.
    coarse(insert_insert_leave_nothing_older_behind(5));
}

#[test]
fn fifo_insert_twice_insert_leaves_nothing_older_behind() {
    coarse(|order| {
        // The first of the two may be evicted by the other thread, which has seen it published and not yet in the index.
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert_twice = move || {
            two.insert(3, 3).unwrap();
            two.insert(4, 4).unwrap();
            two.get(&3)
        };
        let (_, left) = order.race(move || one.insert(2, 2).unwrap(), insert_twice);
        assert_eq!((left, map.len()), (None, 1));
    });
}

#[test]
fn fifo_insert_pop_oldest_leave_nothing_older_behind() {
    coarse(|order| {
        // The first may be popped by who has seen it published and not yet in the index.
        let map = map(2, 0);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert = move || {
            for key in 0..3 {
                one.insert(key, key).unwrap();
            }
            (one.get(&1), one.get(&0))
        };
        let (seen, _) = order.race(insert, move || two.pop_oldest(Reason::Bytes));
        assert!(seen.0.is_some() || seen.1.is_none(), "the second was evicted, and the first is still to be seen");
    });
}

/// An insert takes what a removal gives back, and walks under the pin from before it.
fn insert_and_look_under_one_pin_remove(map: fn() -> FifoMap<u64, u64>) {
    bounded(move |order| {
        let map = Arc::new(map());
        map.insert(0, 2).unwrap();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert_and_look = move || {
            let mut seen = 0;
            let inside = || {
                one.insert(1, 2).unwrap();
                seen = one.snapshot().len();
                false
            };
            one.insert_reclaiming(2, 2, inside).unwrap();
            seen
        };
        let (seen, _) = order.race(insert_and_look, move || two.remove(&0));
        assert!(seen <= 1, "{seen} entries seen, with room for one");
    });
}

#[test]
fn fifo_insert_and_look_under_one_pin_remove() {
    insert_and_look_under_one_pin_remove(|| FifoMap::builder(1).build().unwrap());
}

#[test]
fn fifo_insert_and_look_under_one_pin_remove_by_bytes() {
    insert_and_look_under_one_pin_remove(|| {
        FifoMap::builder(4).max_bytes(2, |_, &weight: &u64| weight).build().unwrap()
    });
}

#[test]
fn fifo_insert_insert_at_the_cap_keeps_the_newest() {
    exhaustive(|order| {
        // One of them takes the free slot, the other that of the oldest.
        let map = map(2, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(move || one.insert(1, 1).unwrap(), move || two.insert(2, 2).unwrap());
        assert_eq!(keys(&map), if first.seq < second.seq { [1, 2] } else { [2, 1] });
        let stats = map.stats();
        assert_eq!((stats.live, stats.evicted(), stats.last_seq), (2, 1, Some(2)));
    });
}

#[test]
fn fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of() {
    // One slot for two: they wait for each other, which makes too many steps to exhaust.
    bounded(|order| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listen = Arc::clone(&heard);
        let listener = move |&key: &u64, _: &u64, _: Reason| listen.lock().unwrap().push(key);
        let map = Arc::new(FifoMap::builder(1).listener(listener).build().unwrap());
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(move || one.insert(1, 1).unwrap(), move || two.insert(2, 2).unwrap());
        let (newest, oldest) = if first.seq > second.seq { (1, 2) } else { (2, 1) };
        assert_eq!((keys(&map), heard.lock().unwrap().clone()), (vec![newest], vec![oldest]));
        let stats = map.stats();
        assert_eq!((stats.live, stats.evicted(), stats.last_seq), (1, 1, Some(1)));
    });
}

#[test]
fn fifo_insert_get_pop_oldest_bring_nothing_back() {
    bounded(|order| {
        // The other insert evicts the first of these two while it is on its way in, or none.
        let map = map(1, 0);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert_and_look = move || {
            let placed = two.insert(2, 2).unwrap();
            (placed.overtaken, two.get(&2), two.pop_oldest(Reason::Bytes))
        };
        let (_, (overtaken, seen, popped)) = order.race(move || one.insert(1, 1).unwrap(), insert_and_look);
        assert!(seen.is_none() || !overtaken, "seen after its own insert told of its eviction");
        assert!(seen.is_some() || popped != Some((2, 2)), "popped after it was gone");
        assert_eq!(map.stats().evicted() + map.stats().live, 2);
    });
}

#[test]
fn fifo_insert_get() {
    exhaustive(|order| {
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        // Once the new entry is seen, the old one is not.
        let (_, seen) = order.race(move || one.insert(1, 1).unwrap(), move || (two.get(&1), two.get(&0)));
        assert_ne!(seen, (Some(1), Some(0)));
    });
}

#[test]
fn fifo_insert_insert_of_one_key() {
    exhaustive(|order| {
        let map = map(2, 0);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(move || one.insert(1, 1).unwrap(), move || two.insert(1, 2).unwrap());
        assert!(first.replaced ^ second.replaced);
        assert_eq!(map.get(&1), Some(if first.replaced { 1 } else { 2 }));
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn fifo_insert_insert_of_one_key_at_the_cap() {
    bounded(|order| {
        // One of them may be evicted before it is linked, and then finds the key there: its number and slot are gone.
        let map = map(1, 0);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || one.insert(1, 1).unwrap(), move || two.insert(1, 2).unwrap());
        assert_eq!((keys(&map), map.len()), (vec![1], 1));
    });
}

#[test]
fn fifo_insert_remove() {
    exhaustive(|order| {
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert = move || {
            one.insert(1, 1).unwrap();
            one.snapshot().len()
        };
        let (seen, removed) = order.race(insert, move || two.remove(&0));
        assert_eq!(seen, 1, "the new entry, and beside it what it took the slot from");
        let stats = map.stats();
        assert_eq!(keys(&map), [1]);
        assert_eq!(
            (stats.live, stats.evicted(), stats.removed),
            match removed {
                Some(_) => (1, 0, 1),
                None => (1, 1, 0),
            }
        );
    });
}

#[test]
fn fifo_insert_evict_insert_meets_no_entry_of_a_slot_in_use() {
    // They wait for each other's slot: too many steps to exhaust.
    bounded(|order| {
        // The oldest is unlinked before its slot goes to anybody, also where its evictor does not use the slot itself.
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert_and_look = move || {
            two.insert(2, 2).unwrap();
            two.snapshot().len()
        };
        let (_, seen) = order.race(move || one.insert(1, 1).unwrap(), insert_and_look);
        assert!(seen <= 1, "{seen} entries seen, with a cap of 1");
    });
}

#[test]
fn fifo_upsert_evict() {
    // Both may evict and insert anew: too many steps to exhaust.
    bounded(|order| {
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || one.insert(1, 1).unwrap(), move || two.insert(0, 9).unwrap());
        // The upsert found its entry, or was an insert of its own.
        assert!(matches!(*map.snapshot(), [(1, 1, 1)] | [(2, 0, 9)] | [(2, 1, 1)]), "{:?}", map.snapshot());
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn fifo_weights_stay_below_the_byte_cap() {
    exhaustive(|order| {
        let map = Arc::new(FifoMap::builder(4).max_bytes(3, |_, &weight: &u64| weight).build().unwrap());
        map.insert(0, 2).unwrap();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let look = move || two.snapshot().iter().map(|(_, _, weight)| weight).sum::<u64>();
        let (_, sum) = order.race(move || one.insert(1, 3).unwrap(), look);
        assert!(sum <= 3, "{sum} bytes seen, with a cap of 3");
        assert_eq!((map.stats().bytes, map.len()), (3, 1));
    });
}

#[test]
fn fifo_insert_insert_of_what_fits_alone() {
    bounded(|order| {
        // Each may evict one of two, and then has too little: whoever waits for the other's bytes lets go of its own.
        let map = Arc::new(FifoMap::builder(4).max_bytes(4, |_, &weight: &u64| weight).build().unwrap());
        map.insert(0, 2).unwrap();
        map.insert(1, 2).unwrap();
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        order.race(move || one.insert(2, 3).unwrap(), move || two.insert(3, 3).unwrap());
        assert_eq!((map.stats().bytes, map.len()), (3, 1));
    });
}

#[test]
fn fifo_insert_insert_of_one_key_by_bytes_leaves_it_there() {
    bounded(|order| {
        // One may find the other's entry on its way in, and evict it for bytes to replace it with.
        let map = Arc::new(FifoMap::builder(4).max_bytes(4, |_, &weight: &u64| weight).build().unwrap());
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let insert_twice = move || {
            two.insert(2, 2).unwrap();
            two.insert(1, 3).unwrap();
        };
        order.race(move || one.insert(1, 2).unwrap(), insert_twice);
        assert!(map.get(&1).is_some(), "whichever came last");
        let weighs: u64 = map.snapshot().iter().map(|&(_, _, weight)| weight).sum();
        assert_eq!((map.stats().bytes, map.len()), (weighs, map.snapshot().len() as u64));
    });
}

#[test]
fn fifo_insert_of_a_key_whose_insert_was_overtaken() {
    bounded(|order| {
        // The entry that was overtaken is there for a moment, but not to be replaced.
        let map = map(1, 0);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let overtake = move || {
            two.insert(2, 2).unwrap();
            two.insert(1, 9).unwrap();
        };
        order.race(move || one.insert(1, 1).unwrap(), overtake);
        assert_eq!((keys(&map), map.len()), (vec![1], 1));
    });
}

#[test]
fn fifo_remove_remove_leaves_nothing_to_be_seen() {
    exhaustive(|order| {
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, (second, seen)) = order.race(move || one.remove(&0), move || (two.remove(&0), two.get(&0)));
        assert!(first.is_some() ^ second.is_some());
        assert_eq!(seen, None, "seen after a removal found it gone");
        let stats = map.stats();
        assert_eq!((stats.live, stats.removed, stats.evicted()), (0, 1, 0));
    });
}

#[test]
fn fifo_leaf_is_finished_while_it_is_in_use() {
    // A leaf of the model has four numbers: one insert takes the last, the other finishes the leaf or waits for it.
    bounded(|order| {
        let map = map(1, 3);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (first, second) = order.race(move || one.insert(8, 8).unwrap(), move || two.insert(9, 9).unwrap());
        assert_eq!(keys(&map), [if first.seq > second.seq { 8 } else { 9 }]);
        let stats = map.stats();
        let newest = first.seq.max(second.seq);
        assert_eq!((stats.live, stats.evicted(), stats.first_seq), (1, 4, Some(newest)));
    });
}

#[test]
fn fifo_watcher_of_an_overtaken_insert_by_three_threads() {
    bounded(|order| {
        // The one that was overtaken is linked for a moment, and must not be seen beside the one that overtook it.
        let map = map(1, 0);
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&map));
        let watch = move || three.snapshot().len();
        let insert = |map: Map, key| move || map.insert(key, key).unwrap();
        let (one, two) = (insert(one, 1), insert(two, 2));
        let (_, seen) = order.race(move || order.race(one, two), watch);
        assert!(seen <= 1, "{seen} entries seen, with a cap of 1");
        assert_eq!((keys(&map).len(), map.len()), (1, 1));
    });
}

#[test]
fn fifo_insert_evict_while_it_is_popped_by_three_threads() {
    coarse(|order| {
        // The first is popped while it is on its way in: its number may be sealed by one and claimed by another.
        let map = map(1, 0);
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&map));
        let look = move || {
            three.insert(2, 2).unwrap();
            three.snapshot().len()
        };
        let (insert, pop) = (move || one.insert(1, 1).unwrap(), move || two.pop_oldest(Reason::Bytes));
        let (_, seen) = order.race(move || order.race(insert, pop), look);
        assert!(seen <= 1, "{seen} entries seen, with a cap of 1");
    });
}

#[test]
fn fifo_evict_while_remove_count_an_entry_once() {
    exhaustive(|order| {
        let map = map(1, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let (aged, removed) = order.race(move || one.evict_while(1, |_, _| true), move || two.remove(&0));
        let stats = map.stats();
        assert_eq!(aged as u64 + u64::from(removed.is_some()), 1, "one of them has it");
        assert_eq!((stats.evicted_for_age, stats.removed), (aged as u64, u64::from(removed.is_some())));
        assert_eq!((map.len(), keys(&map)), (0, vec![]));
    });
}

#[test]
fn fifo_pop_oldest_insert_lose_no_entry() {
    exhaustive(|order| {
        let map = map(3, 1);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let pop_all = move || std::iter::from_fn(|| two.pop_oldest(Reason::Bytes)).map(|(key, _)| key).collect();
        let (placed, mut popped): (_, Vec<_>) = order.race(move || one.insert(1, 1).unwrap(), pop_all);
        // Each entry is popped, or told of by its own insert, or there.
        popped.extend(placed.overtaken.then_some(1));
        popped.extend(keys(&map));
        assert_eq!(popped, [0, 1]);
        let stats = map.stats();
        assert_eq!((stats.live + stats.evicted(), map.len()), (2, stats.live));
    });
}

#[test]
fn fifo_pop_oldest_twice_returns_no_entry_twice() {
    exhaustive(|order| {
        let map = map(3, 2);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        let pop = |map: Map| move || map.pop_oldest(Reason::Bytes).map(|(key, _)| key);
        let (first, second) = order.race(pop(one), pop(two));
        assert_eq!(first.unwrap() + second.unwrap(), 1, "0 and 1, in whichever order");
        assert_eq!((map.stats().evicted_for_bytes, map.len()), (2, 0));
    });
}

#[test]
fn fifo_insert_reclaiming_remove_give_room_once() {
    exhaustive(|order| {
        let map = map(2, 2);
        let (one, two) = (Arc::clone(&map), Arc::clone(&map));
        // What is to go is the newer one: the oldest stays, if it was removed in time.
        let insert = move || one.insert_reclaiming(2, 2, || one.remove(&1).is_some()).unwrap();
        let (_, removed) = order.race(insert, move || two.remove(&1).is_some());
        let stats = map.stats();
        assert_eq!(stats.removed, 1, "one of them removed it");
        // Removed by the other, it may not have given its room back yet, and then the oldest has to go.
        assert!(stats.evicted() <= u64::from(removed), "evicted, though there was another way");
        assert_eq!(map.len() + stats.evicted() + stats.removed, 3);
    });
}
