//! The stores whose keys are their own: sessions, handles, bodies and postures run the user's clocks, payloads, guards,
//! listeners, tool names and subscribers.

use crate::fuse::{Fuse, Piece, Range, Watch};
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, PrunePolicy, Record};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::fifo::FifoMap;
use tollgate::handle::{ENTRY_BYTES, HandleConfig, HandleRequest, HandleStore, Payload};
use tollgate::posture::{
    Downgrade, Guard, HistoryQuery, Posture, PostureConfig, PostureMachine, Scope, TransitionRequest, WhenFull,
};
use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

const CAP: u64 = 3;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// With a subscriber that is user code as well.
fn subscribed(fuse: &Fuse, work: impl FnOnce()) {
    let fuse = fuse.clone();
    let writer = move || {
        fuse.burn();
        std::io::sink()
    };
    // With a second dispatcher about, tracing asks both of them whether an event is wanted, not just that of the thread
    // that comes to it first.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    tracing::subscriber::with_default(tracing_subscriber::fmt().with_writer(writer).finish(), work);
}

struct Sessions {
    store: SessionStore<Watch>,
    clock: ManualClock,
    ids: [Uuid; 2],
}

const AGENTS: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];

fn request(agent: Uuid) -> SessionRequest {
    SessionRequest::new(agent).budget(10).rate(4, Duration::from_secs(5)).tools(Tools::only(["read"]))
}

/// Room for three, of two agents with two each: one has one that is active, the other one that was closed.
fn sessions(fuse: &Fuse) -> Sessions {
    let clock = ManualClock::new(at(1_000));
    let config = SessionConfig::new().capacity(CAP).sessions_per_agent(2);
    let store = SessionStore::with_clock(config, fuse.watch(&clock)).unwrap();
    let ids = AGENTS.map(|agent| store.create(request(agent)).unwrap());
    store.admit(&ids[0], None, &["read"; 3]).unwrap();
    store.close(&ids[1]).unwrap();
    Sessions { store, clock, ids }
}

fn sessions_work(world: &Sessions, _: &Fuse) {
    let Sessions { store, clock, ids } = world;
    // Whatever was admitted, no more than the budget, and none of it twice.
    if let Some(info) = store.get(&ids[0]) {
        assert!((3..=4).contains(&info.usage.calls_made));
    }
    clock.advance(Duration::from_secs(1_000_000));
    while store.sweep(usize::MAX).removed > 0 {}
    assert_eq!((store.stats().live, store.stats().agents), (0, 0), "room was lost");
    for (agent, sessions) in [(AGENTS[0], 2), (AGENTS[1], 1)] {
        for _ in 0..sessions {
            let id = store.create(request(agent)).unwrap();
            assert_eq!(store.admit(&id, Some(&agent), &["read"; 4]).unwrap().calls_made, 4);
            assert!(store.admit(&id, Some(&agent), &["read"]).is_err());
        }
        assert_eq!(store.count_active(&agent), sessions);
    }
    assert!(store.create(request(AGENTS[1])).is_err(), "the store is full");
    assert_eq!(AGENTS.map(|agent| store.close_for_agent(&agent)), [2, 1]);
}

/// A tool's name.
struct Tool<'f>(&'f Fuse);

impl AsRef<str> for Tool<'_> {
    fn as_ref(&self) -> &str {
        self.0.burn();
        "read"
    }
}

#[test]
fn a_session_store_survives_a_panic_in_every_call_of_user_code() {
    let range = &mut Range::new("session", sessions, sessions_work);
    let bounded = |world: &Sessions, _: bool| assert!(world.store.stats().live <= CAP);
    range.fire("admit", |world, fuse| _ = world.store.admit(&world.ids[0], None, &[Tool(fuse)]).is_ok(), bounded);
    range.fire(
        "admit, too many",
        |world, fuse| {
            _ = world.store.admit(&world.ids[0], None, &[Tool(fuse), Tool(fuse)]).is_ok();
        },
        bounded,
    );
    for now in [1_000, 10_000] {
        for agent in AGENTS {
            range.fire(
                "create",
                |world, fuse| {
                    subscribed(fuse, || {
                        world.clock.set(at(now));
                        for _ in 0..4 {
                            _ = world.store.create(request(agent).time_limit(Duration::ZERO)).is_ok();
                        }
                    })
                },
                bounded,
            );
            range.fire("close_for_agent", |world, _| _ = world.store.close_for_agent(&agent), bounded);
            range.fire("list_for_agent", |world, _| drop(world.store.list_for_agent(&agent)), bounded);
            range.fire("count_active", |world, _| _ = world.store.count_active(&agent), bounded);
        }
        range.fire(
            "get, close, list, sweep",
            |world, _| {
                world.clock.set(at(now));
                _ = world.store.get(&world.ids[0]);
                _ = world.store.close(&world.ids[0]);
                drop(world.store.list());
                world.store.sweep(1);
            },
            bounded,
        );
    }
}

struct Large(Piece);

impl Payload for Large {
    fn bytes(&self) -> u64 {
        self.0.burn();
        self.0.id()
    }

    fn rows(&self) -> u64 {
        self.0.burn();
        1
    }
}

struct Handles {
    store: HandleStore<Large, Watch>,
    clock: ManualClock,
    ids: Vec<Uuid>,
}

const BYTES: u64 = 10_000;

fn handles(fuse: &Fuse) -> Handles {
    let clock = ManualClock::new(at(1_000));
    let config = HandleConfig::new().capacity(CAP).max_total_bytes(BYTES).ttl(Duration::from_secs(50));
    let store = HandleStore::with_clock(config, fuse.watch(&clock)).unwrap();
    let handle = |_| store.store(HandleRequest::new(""), Large(fuse.piece(1_000))).unwrap().id;
    let ids = (0..CAP).map(handle).collect();
    Handles { store, clock, ids }
}

/// What was stored is what is there, or went for a reason.
fn counted(store: &HandleStore<Large, Watch>) {
    let stats = store.stats();
    assert!(stats.live <= CAP && stats.bytes <= BYTES);
    assert_eq!(stats.stored, stats.live + stats.expired + stats.removed + stats.evicted(), "{stats:?}");
}

fn handles_work(world: &Handles, fuse: &Fuse) {
    let Handles { store, clock, .. } = world;
    counted(store);
    clock.advance(Duration::from_secs(1_000_000));
    while store.sweep(usize::MAX).removed > 0 {}
    assert_eq!((store.stats().live, store.stats().bytes), (0, 0), "room was lost");
    for _ in 0..2 * CAP {
        let handle = store.store(HandleRequest::new(""), Large(fuse.piece(5))).unwrap();
        assert_eq!(store.get(&handle.id).map(|data| data.0.id()).unwrap(), 5);
        assert_eq!(store.get_meta(&handle.id).unwrap(), handle);
    }
    assert_eq!(store.stats().live, CAP);
    let whole = store.store(HandleRequest::new(""), Large(fuse.piece(BYTES - ENTRY_BYTES))).unwrap();
    assert_eq!(store.stats().live, 1);
    assert!(store.remove(&whole.id).is_ok());
    counted(store);
}

#[test]
fn a_handle_store_survives_a_panic_in_every_call_of_user_code() {
    let range = &mut Range::new("handle", handles, handles_work);
    // A `Drop` may panic between the end of an entry and its count.
    let bounded = |world: &Handles, _: bool| counted(&world.store);
    for now in [1_000, 1_050] {
        for bytes in [0, BYTES - ENTRY_BYTES, BYTES] {
            range.fire(
                "store",
                |world, fuse| {
                    subscribed(fuse, || {
                        world.clock.set(at(now));
                        _ = world.store.store(HandleRequest::new(""), Large(fuse.piece(bytes))).is_ok();
                    })
                },
                bounded,
            );
        }
        range.fire(
            "get, get_meta, remove, sweep",
            |world, _| {
                world.clock.set(at(now));
                _ = world.store.get(&world.ids[0]).is_ok();
                _ = world.store.get_meta(&world.ids[1]).is_ok();
                _ = world.store.remove(&world.ids[2]).is_ok();
                world.store.sweep(usize::MAX);
            },
            bounded,
        );
    }
}

#[test]
fn a_subscriber_that_panics_at_the_first_eviction_costs_no_bytes() {
    let make = |_: &Fuse| {
        let map = FifoMap::builder(9).max_bytes(10, |_, &weight: &u64| weight).build().unwrap();
        map.insert(0, 10).unwrap();
        map
    };
    let mut range = Range::new("fifo, subscriber", make, |map: &FifoMap<u64, u64>, _| {
        assert_eq!(map.stats().bytes, map.snapshot().iter().map(|entry| entry.2).sum::<u64>());
        map.insert(2, 10).unwrap();
        assert_eq!(map.snapshot().len(), 1);
    });
    let insert = |map: &FifoMap<u64, u64>, fuse: &Fuse| subscribed(fuse, || _ = map.insert(1, 10).unwrap());
    range.fire("insert", insert, |map, _| assert_eq!(map.stats().bytes, 10));
}

struct Bodies {
    store: BodyStore<Watch>,
    max: u64,
}

/// Room for two records with their bodies.
fn bodies(fuse: &Fuse) -> Bodies {
    let max = 2_500;
    let clock = ManualClock::new(at(1_000));
    let store = BodyStore::with_clock(BodyConfig::new().max_bytes(max), fuse.watch(&clock)).unwrap();
    (0..2).for_each(|second| _ = store.insert(Record::log("turn", at(second), "", ""), &[second as u8; 100]).unwrap());
    Bodies { store, max }
}

fn bodies_work(world: &Bodies, _: &Fuse) {
    let store = &world.store;
    assert!(store.stats().bytes <= world.max);
    assert_eq!(store.get_turn("turn").len() as u64, store.stats().records, "a turn has what is there");
    for second in 10..20 {
        let receipt = store.insert(Record::log("turn", at(second), "", ""), &[second as u8; 100]).unwrap();
        assert_eq!(store.get(&receipt.body.unwrap()).unwrap(), [second as u8; 100]);
    }
    store.prune(PrunePolicy::keep_all().max_bytes(0));
    assert_eq!((store.stats().bytes, store.stats().records, store.stats().parts), (0, 0, 0), "bytes were lost");
    assert!(store.get_turn("turn").is_empty());
}

#[test]
fn a_body_store_survives_a_panic_in_every_call_of_user_code() {
    let range = &mut Range::new("body", bodies, bodies_work);
    let bounded = |world: &Bodies, _: bool| assert!(world.store.stats().bytes <= world.max);
    for (record, bytes) in [(0, 100), (5, 100), (5, 9_000)] {
        range.fire(
            "insert",
            |world, fuse| {
                subscribed(fuse, || {
                    let record = Record::log("turn", at(record), "", "");
                    // Nothing like it, so that it is not compressed.
                    let body: Vec<u8> = (0..bytes).map(|i: u32| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
                    _ = world.store.insert(record, &body).is_ok();
                })
            },
            bounded,
        );
    }
    for age in [0, 999, 5_000] {
        range.fire(
            "prune",
            |world, fuse| {
                subscribed(fuse, || {
                    world.store.prune(PrunePolicy::keep_all().max_age(Duration::from_secs(age)).max_bytes(10));
                })
            },
            bounded,
        );
    }
}

const RECORDS: u64 = 10;

/// Two agents, of two, with a full history: `a` is supervised, `b` latched. A guard and a listener that are the fuse's.
fn machine(fuse: &Fuse) -> PostureMachine<Watch> {
    let (listen, ask) = (fuse.clone(), fuse.clone());
    let config = PostureConfig::new()
        .history(RECORDS)
        .agents(2)
        .when_full(WhenFull::LowerUnknown)
        .on_trim(move |_| listen.burn());
    let machine = PostureMachine::with_clock(config, fuse.watch(&ManualClock::new(at(1_000)))).unwrap();
    let held = fuse.piece(1);
    machine.add_guard(Guard::new("fuse", move |_| {
        ask.burn();
        held.id() == 1
    }));
    machine.enroll("a", "alice").unwrap();
    let _ = machine.emergency_downgrade("b", &Downgrade::new("").latch());
    for _ in 1..RECORDS {
        machine.set_posture("a", Posture::Supervised).unwrap();
    }
    machine
}

/// An agent that was latched stays so; the history has no gap, and is bounded; and all can be done.
fn machine_works(machine: &PostureMachine<Watch>, _: &Fuse) {
    let stats = machine.stats();
    assert!(stats.records <= RECORDS && stats.agents <= 2);
    assert!(machine.list_guards().len() <= 3);
    assert_eq!(machine.stats().records, machine.history(&HistoryQuery::new()).len() as u64, "places are lost");
    let _ = machine.emergency_downgrade("b", &Downgrade::new("").latch());
    assert!(machine.is_latched("b"));
    assert!(machine.release("b"));
    machine.set_posture("b", Posture::Tool).unwrap();
    let up = TransitionRequest::new("b", Posture::Tool, Posture::Autonomous).requester("alice");
    assert!(machine.transition(&up).unwrap().success);
    assert_eq!(machine.downgrade_all(&Scope::Everyone, &Downgrade::new("")), machine.stats().agents);
    assert_eq!(machine.get_posture("b"), Posture::Pseudo);
    let records = machine.history(&HistoryQuery::new().agent("b"));
    assert!(records.windows(2).all(|two| two[0].seq < two[1].seq));
    machine.restore_default();
    let _ = machine.emergency_downgrade("b", &Downgrade::new("").latch());
}

#[test]
fn a_posture_machine_survives_a_panic_in_every_call_of_user_code() {
    let range = &mut Range::new("posture", machine, machine_works);
    // An emergency beats everything, whatever panics.
    let down = |machine: &PostureMachine<Watch>, _: bool| {
        assert_eq!(machine.get_posture("b"), Posture::Pseudo);
        assert!(machine.stats().records <= RECORDS);
    };
    for agent in ["a", "b", "c"] {
        for to in [Posture::Tool, Posture::Autonomous] {
            range.fire(
                "transition",
                |machine, fuse| {
                    subscribed(fuse, || {
                        let request = TransitionRequest::new(agent, Posture::Supervised, to).requester("alice");
                        _ = machine.transition(&request).is_ok();
                    })
                },
                down,
            );
        }
        range.fire(
            "emergency_downgrade",
            |machine, fuse| {
                subscribed(fuse, || {
                    _ = machine.emergency_downgrade(agent, &Downgrade::new(""));
                })
            },
            |machine, blown| {
                down(machine, blown);
                assert!(blown || machine.get_posture(agent) == Posture::Pseudo);
            },
        );
        range.fire(
            "set_posture",
            |machine, fuse| {
                subscribed(fuse, || {
                    _ = machine.set_posture(agent, Posture::Delegating).is_ok();
                })
            },
            down,
        );
        range.fire("enroll", |machine, fuse| subscribed(fuse, || _ = machine.enroll(agent, "bob").is_ok()), down);
        range.fire("forget", |machine, fuse| subscribed(fuse, || _ = machine.forget(agent).is_ok()), down);
    }
    for scope in [Scope::Everyone, Scope::Principal("alice".into()), Scope::Principal("bob".into())] {
        range.fire(
            "downgrade_all",
            |machine, fuse| {
                subscribed(fuse, || {
                    machine.downgrade_all(&scope, &Downgrade::new(""));
                })
            },
            |machine, blown| {
                down(machine, blown);
                let covered = !matches!(&scope, Scope::Principal(principal) if **principal == *"bob");
                assert!(blown || !covered || machine.get_posture("a") == Posture::Pseudo);
            },
        );
    }
    range.fire(
        "add_guard, remove_guard",
        |machine, fuse| {
            let held = fuse.piece(1);
            machine.add_guard(Guard::new("held", move |_| held.id() == 1));
            machine.remove_guard("fuse");
        },
        down,
    );
}
