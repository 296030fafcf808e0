//! What calls leave: traces, handles, bodies, and raw data.

use crate::Case;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, PrunePolicy, Receipt, Record};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::{ENTRY_BYTES, HandleConfig, HandleRequest, HandleStore, Payload};
use tollgate::retention::{Ingest, MemoryTiers, RetentionConfig, RetentionPolicy, TieredStore, sweep};
use tollgate::trace::{ActionTrace, TraceQuery, TraceStore};
use uuid::Uuid;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// A trace store, and how many records came.
#[derive(Debug)]
pub struct Traces {
    store: TraceStore,
    recorded: AtomicU64,
}

impl Traces {
    fn record(&self, id: &str) {
        let placed = self.store.record(ActionTrace::new(id, "tool", "alice", "token", at(1)));
        self.recorded.fetch_add(u64::from(!placed.replaced), Ordering::Relaxed);
    }
}

/// At the cap.
pub const TRACES: Case<Traces> = Case {
    setup: || {
        let traces = Traces { store: TraceStore::new(2).unwrap(), recorded: AtomicU64::new(0) };
        traces.record("a");
        traces
    },
    operations: &[
        ("trace record", |traces| traces.record("b")),
        ("trace record at the cap", |traces| traces.record("c")),
        ("trace record again", |traces| traces.record("a")),
        ("trace get", |traces| _ = traces.store.get("a")),
        ("trace list", |traces| assert!(traces.store.list().len() <= 2)),
        ("trace query", |traces| assert!(traces.store.query(&TraceQuery::default()).unwrap().len() <= 2)),
        ("trace latest", |traces| assert!(traces.store.latest(1).len() <= 1)),
    ],
    always: |traces| {
        let stats = traces.store.stats();
        assert!(traces.store.list().len() <= 2 && stats.live <= 2, "{stats:?}");
    },
    settled: |traces| {
        let stats = traces.store.stats();
        assert_eq!(stats.live + stats.evicted(), traces.recorded.load(Ordering::Relaxed), "{stats:?}");
        assert_eq!(traces.store.list().len() as u64, stats.live);
    },
};

/// A payload of no bytes.
#[derive(Debug)]
struct Nothing;

impl Payload for Nothing {
    fn bytes(&self) -> u64 {
        0
    }
}

/// A handle store, and one of its handles.
#[derive(Debug)]
pub struct Handles {
    store: HandleStore<Nothing, ManualClock>,
    clock: ManualClock,
    id: Uuid,
}

fn put(store: &HandleStore<Nothing, ManualClock>, seconds: u64) -> Uuid {
    store.store(HandleRequest::new("").ttl(Duration::from_secs(seconds)), Nothing).unwrap().id
}

/// At the cap, where some expire.
pub const HANDLES: Case<Handles> = Case {
    setup: || {
        let clock = ManualClock::new(at(100));
        let store =
            HandleStore::with_clock(HandleConfig::new().capacity(2).max_total_bytes(3 * ENTRY_BYTES), clock.clone())
                .unwrap();
        let id = put(&store, 1);
        Handles { store, clock, id }
    },
    operations: &[
        ("handle store", |handles| _ = put(&handles.store, 10)),
        ("handle store at the cap", |handles| _ = put(&handles.store, 1)),
        ("handle get", |handles| _ = handles.store.get(&handles.id)),
        ("handle get of one that expires", |handles| {
            handles.clock.set(at(102));
            assert!(handles.store.get(&handles.id).is_err());
        }),
        ("handle remove", |handles| _ = handles.store.remove(&handles.id)),
        ("handle sweep", |handles| {
            handles.clock.set(at(102));
            handles.store.sweep(8);
        }),
    ],
    always: |handles| {
        let stats = handles.store.stats();
        assert!(stats.live <= 2 && stats.bytes <= 3 * ENTRY_BYTES, "{stats:?}");
    },
    settled: |handles| {
        let stats = handles.store.stats();
        assert_eq!(stats.live + stats.expired + stats.removed + stats.evicted(), stats.stored, "{stats:?}");
        assert_eq!(stats.bytes, stats.live * ENTRY_BYTES);
        handles.clock.set(at(1_000));
        while handles.store.sweep(8).more {}
        let stats = handles.store.stats();
        assert_eq!((stats.live, stats.bytes, stats.queued), (0, 0, 0), "something was left behind");
    },
};

type BodyBox = BodyStore<ManualClock>;

/// A body store, and one of its bodies.
#[derive(Debug)]
pub struct Bodies {
    store: BodyBox,
    max_bytes: u64,
    /// Of a record that is there at first.
    first: Receipt,
}

fn insert(store: &BodyBox, turn: &str, parts: &[&str]) -> Option<Receipt> {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    // Refused where others hold the room.
    store.insert_parts(Record::log(turn, at(50), "info", ""), &parts).ok()
}

/// Room for two records of two parts, and no third.
pub const BODIES: Case<Bodies> = Case {
    setup: || {
        let make = |max| BodyBox::with_clock(BodyConfig::new().max_bytes(max), ManualClock::new(at(100))).unwrap();
        let alone = make(u64::MAX);
        insert(&alone, "a", &["x", "y"]).unwrap();
        let max_bytes = 5 * alone.stats().bytes / 2;
        let store = make(max_bytes);
        let first = insert(&store, "a", &["x", "y"]).unwrap();
        Bodies { store, max_bytes, first }
    },
    operations: &[
        ("body insert of what is there", |bodies| _ = insert(&bodies.store, "b", &["x", "y"])),
        ("body insert of one that goes on", |bodies| _ = insert(&bodies.store, "b", &["x", "z"])),
        ("body insert at the cap", |bodies| _ = insert(&bodies.store, "c", &["p", "q"])),
        ("body insert of the same record", |bodies| _ = insert(&bodies.store, "a", &["x", "y"])),
        ("body note", |bodies| _ = bodies.store.note(Record::log("a", at(60), "info", ""))),
        ("body release", |bodies| _ = bodies.store.release(&bodies.first.id)),
        ("body get", |bodies| {
            let read = bodies.store.get(&bodies.first.body.unwrap());
            assert!(read.is_err() || read == Ok(b"xy".to_vec()), "a body was read in part");
        }),
        ("body record", |bodies| _ = bodies.store.record(&bodies.first.id)),
        ("body get_turn", |bodies| assert!(bodies.store.get_turn("a").len() <= 2)),
        ("body prune", |bodies| _ = bodies.store.prune(PrunePolicy::keep_all().max_age(Duration::from_secs(45)))),
        ("body prune to a size", |bodies| {
            bodies.store.prune(PrunePolicy::keep_all().max_bytes(1));
        }),
    ],
    always: |bodies| assert!(bodies.store.stats().bytes <= bodies.max_bytes),
    settled: |bodies| {
        bodies.store.prune(PrunePolicy::keep_all().max_bytes(0));
        let stats = bodies.store.stats();
        let left = (stats.records, stats.bodies, stats.parts, stats.stored_bytes, stats.bytes);
        assert_eq!((left, bodies.store.indexed()), ((0, 0, 0, 0, 0), 0), "something was left behind");
        assert_eq!(stats.inserted, stats.evicted_for_bytes + stats.evicted_for_age + stats.released);
    },
};

/// Raw and distilled data.
type Tiers = MemoryTiers<u64, ManualClock>;

fn ingest(tiers: &Tiers, id: u64) {
    _ = tiers.ingest(id, Ingest::new(), [0; 10]);
}

/// Sessions that are evicted, removed and distilled.
pub const RETENTION: Case<Tiers> = Case {
    setup: || {
        let tiers = Tiers::with_clock(3, ManualClock::new(at(100))).unwrap();
        ingest(&tiers, 1);
        ingest(&tiers, 2);
        tiers.record_analysis(&1, [0; 3]).unwrap();
        tiers
    },
    operations: &[
        ("retention ingest", |tiers| ingest(tiers, 3)),
        ("retention ingest at the capacity", |tiers| ingest(tiers, 4)),
        ("retention record_analysis", |tiers| _ = tiers.record_analysis(&2, [0; 4])),
        ("retention set_pinned", |tiers| _ = tiers.set_pinned(&2, true)),
        ("retention sweep", |tiers| {
            let policy = RetentionPolicy::new(RetentionConfig::new().soft_cap(5).hard_cap(15)).unwrap();
            sweep(tiers, &policy, None, at(100));
        }),
        ("retention evict_raw", |tiers| _ = tiers.evict_raw(&2)),
        ("retention remove", |tiers| _ = tiers.remove(&1)),
        ("retention raw", |tiers| {
            let raw: Result<Arc<[u8]>, _> = tiers.raw(&2);
            assert!(raw.is_ok_and(|raw| raw.len() == 10) || tiers.session(&2).unwrap().unwrap().evicted_at.is_some());
        }),
        ("retention list_sessions", |tiers| _ = tiers.list_sessions()),
    ],
    always: |tiers| assert!(tiers.len() <= 3 && tiers.tier1_usage_bytes() <= Ok(40)),
    settled: |tiers| {
        let sessions = tiers.list_sessions().unwrap();
        let raw = sessions.iter().filter(|session| session.evicted_at.is_none()).count() as u64 * 10;
        let distilled: u64 =
            sessions.iter().filter_map(|session| tiers.distilled(&session.id).unwrap()).map(|it| it.len() as u64).sum();
        assert_eq!((tiers.tier1_usage_bytes(), tiers.tier2_usage_bytes()), (Ok(raw), Ok(distilled)));
        assert_eq!(tiers.len(), sessions.len() as u64);
    },
};
