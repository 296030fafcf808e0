//! The FIFO map, and the trace store on it.

use crate::fuse::{Fuse, Piece, Range, Seeds};
use std::sync::{Arc, Mutex};
use tollgate::fifo::{FifoMap, Reason};
use tollgate::trace::{Record, TraceStore};

type Map = FifoMap<Piece, Piece, Seeds>;

/// A value weighs its number, so that six of these fit, and the slots are gone first.
const CAP: u64 = 4;
const BYTES: u64 = 6_000;

fn full(fuse: &Fuse) -> Map {
    let (weigh, listen) = (fuse.clone(), fuse.clone());
    let map = FifoMap::builder(CAP)
        .max_bytes(BYTES, move |_, value: &Piece| {
            weigh.burn();
            value.id()
        })
        .listener(move |_, _, _| listen.burn())
        .hasher(Seeds(fuse.clone()))
        .build()
        .unwrap();
    for key in 0..CAP {
        map.insert(fuse.piece(key), fuse.piece(1_000 + key)).unwrap();
    }
    map
}

/// Numbers, keys and values, oldest first; and what is counted is what is there.
fn entries(map: &Map) -> Vec<(u64, u64, u64)> {
    let entries: Vec<_> = map.snapshot().into_iter().map(|(seq, key, value)| (seq, key.id(), value.id())).collect();
    let stats = map.stats();
    assert_eq!(stats.live, entries.len() as u64, "slots are lost");
    assert_eq!(stats.bytes, entries.iter().map(|entry| entry.2).sum::<u64>(), "bytes are lost");
    assert!(stats.live <= CAP && stats.bytes <= BYTES);
    entries
}

fn works(map: &Map, fuse: &Fuse) {
    for key in 500..500 + 2 * CAP {
        let placed = map.insert(fuse.piece(key), fuse.piece(1_000)).unwrap();
        assert!(!placed.replaced && !placed.overtaken);
        assert_eq!(map.get(&fuse.name(key)).map(|value| value.id()), Some(1_000));
    }
    assert!(entries(map).iter().map(|entry| entry.1).eq(504..508));
    assert!(map.insert(fuse.piece(507), fuse.piece(1_001)).unwrap().replaced);
    assert_eq!(map.remove(&fuse.name(507)).map(|value| value.id()), Some(1_001));
    assert!(map.insert(fuse.piece(508), fuse.piece(BYTES + 1)).is_err());
    // All bytes: everything else goes.
    map.insert(fuse.piece(509), fuse.piece(BYTES)).unwrap();
    assert_eq!(entries(map).len(), 1);
    assert_eq!(map.evict_while(9, |_, _| true), 1);
    assert_eq!(map.pop_oldest(Reason::Age).map(|(key, _)| key.id()), None);
    assert!(map.is_empty());
}

/// After a panic the map is as it was, less what had to go for the insert, or as the operation leaves it.
fn nothing_in_between(range: &mut Range<Map>, name: &str, operation: impl Fn(&Map, &Fuse)) {
    let fuse = Fuse::default();
    let (before, done) = (range.made(&fuse), range.made(&fuse));
    operation(&done, &fuse);
    let (before, done) = (entries(&before), entries(&done));
    range.fire(name, operation, |map, blown| {
        let now = entries(map);
        assert!(now == done || blown && now.iter().all(|entry| before.contains(entry)), "{now:?}");
    });
}

#[test]
fn a_full_fifo_map_survives_a_panic_in_every_call_of_user_code() {
    let range = &mut Range::new("fifo", full, works);
    for key in [1, 700] {
        nothing_in_between(range, "get", |map, fuse| drop(map.get(&fuse.name(key))));
        nothing_in_between(range, "remove", |map, fuse| drop(map.remove(&fuse.name(key))));
        for weight in [0, 1, 1_000, 2_500, BYTES, BYTES + 1] {
            nothing_in_between(range, "insert", |map, fuse| {
                _ = map.insert(fuse.piece(key), fuse.piece(weight)).is_ok();
            });
            for victim in [1, 3, 700] {
                nothing_in_between(range, "insert_reclaiming", |map, fuse| {
                    let mut left = 2;
                    let reclaim = || {
                        fuse.burn();
                        left -= 1;
                        left > 0 && map.remove(&fuse.name(victim)).is_some()
                    };
                    _ = map.insert_reclaiming(fuse.piece(key), fuse.piece(weight), reclaim).is_ok();
                });
            }
        }
    }
    for limit in [0, 1, 3, usize::MAX] {
        nothing_in_between(range, "evict_while", |map, fuse| {
            map.evict_while(limit, |key, _| {
                fuse.burn();
                key.id() < 3
            });
        });
    }
    nothing_in_between(range, "pop_oldest", |map, _| drop(map.pop_oldest(Reason::Bytes)));
    nothing_in_between(range, "snapshot", |map, _| drop(map.snapshot()));
}

/// The number that an insert had taken stayed in its hands when it looked for its key again, and was lost there with its
/// slot.
#[test]
fn an_insert_that_was_overtaken_by_its_own_closure_survives_a_panic() {
    let mut range = Range::new("fifo, overtaken", full, works);
    let operation = |map: &Map, fuse: &Fuse| {
        let mut first = true;
        let reclaim = || {
            std::mem::take(&mut first) && {
                map.remove(&fuse.name(1));
                map.remove(&fuse.name(2));
                map.insert(fuse.piece(700), fuse.piece(1)).is_ok()
            }
        };
        _ = map.insert_reclaiming(fuse.piece(700), fuse.piece(2), reclaim).is_ok();
    };
    range.fire("insert_reclaiming", operation, |map, _| drop(entries(map)));
}

#[derive(Debug)]
struct Call {
    id: Piece,
}

impl Record for Call {
    type Id = Piece;

    fn id(&self) -> &Piece {
        self.id.burn();
        &self.id
    }
}

struct Traces {
    store: TraceStore<Call>,
    heard: Arc<Mutex<Vec<u64>>>,
}

fn traces(fuse: &Fuse) -> Traces {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (ears, listen) = (Arc::clone(&heard), fuse.clone());
    let store = TraceStore::with_listener(CAP, move |record: &Arc<Call>, _| {
        ears.lock().unwrap().push(record.id.id());
        listen.burn();
    });
    let traces = Traces { store: store.unwrap(), heard };
    (0..CAP).for_each(|id| _ = traces.store.record(Call { id: fuse.piece(id) }));
    traces
}

fn traces_work(traces: &Traces, fuse: &Fuse) {
    for id in 500..500 + 2 * CAP {
        traces.store.record(Call { id: fuse.piece(id) });
        assert_eq!(traces.store.get(&fuse.name(id)).unwrap().id.id(), id);
    }
    assert!(traces.store.list().iter().map(|call| call.id.id()).eq(504..508));
    let heard = traces.heard.lock().unwrap();
    assert!((500..504).all(|id| heard.contains(&id)), "what went was told");
    assert_eq!(traces.store.stats().live, CAP);
}

#[test]
fn a_trace_store_survives_a_panic_in_every_call_of_user_code() {
    let mut range = Range::new("trace", traces, traces_work);
    let within = |traces: &Traces, _: bool| {
        let live = traces.store.list().len() as u64;
        assert!(live <= CAP && live == traces.store.stats().live);
    };
    for id in [1, 700] {
        range.fire("record", |traces, fuse| _ = traces.store.record(Call { id: fuse.piece(id) }), within);
        range.fire("get", |traces, fuse| drop(traces.store.get(&fuse.name(id))), within);
    }
    range.fire("list", |traces, _| drop(traces.store.list()), within);
    range.fire("latest", |traces, _| drop(traces.store.latest(2)), within);
}
