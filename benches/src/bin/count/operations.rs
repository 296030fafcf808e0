//! The hot operations, each on a state that is the same in every run.
//!
//! The state is leaked: to drop it would cost more the more was inserted, and that is no part of an insert. Hashers
//! have fixed seeds where they can be chosen. The stores choose their own, as do new sessions their ids: those figures
//! are averages over all entries, and each entry is asked for equally often.

use benches::load::{each, key};
use benches::workload::session::{HOUR, MINUTE, TOOLS};
use std::hint::black_box;
use tollgate::budget::{Limits, Meter};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::fifo::FifoMap;
use tollgate::hash::RandomState;
use tollgate::map::ShardedMap;
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Tools};
use tollgate::trace::{ActionTrace, TraceStore};
use uuid::Uuid;

/// What is there before. Tables double at powers of two, and those of 16 shards are half way between two of them here,
/// so that how the seeds spread the entries does not decide how often a shard has doubled.
const ENTRIES: u64 = 12_000;
/// The same for sessions, which take longer to create. Divides [`ENTRIES`].
const SESSIONS: u64 = 1_500;
/// Operations of the two runs whose difference counts. The first also warms up: it meets every entry once.
pub(crate) const TIMES: [u64; 2] = [ENTRIES, 3 * ENTRIES];
/// What is used up is prepared for the larger number in both runs, or they would differ in more than the operations.
const MOST: u64 = TIMES[1];
/// A budget and a rate that are never reached.
const PLENTY: u64 = (1 << 31) - 1;
/// What the clock shows, throughout.
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Its name, and what sets the state up, does it so many times, and returns how many times it went as it should.
pub(crate) type Operation = (&'static str, fn(u64) -> u64);

pub(crate) const OPERATIONS: [Operation; 14] = [
    ("map_get_hit", map_get_hit),
    ("map_get_miss", map_get_miss),
    ("map_insert_new", map_insert_new),
    ("map_remove", map_remove),
    ("map_replace", map_replace),
    ("fifo_insert_at_cap", fifo_insert_at_cap),
    ("revocation_check_clear", |times| revocation_check(times, 1, Standing::Clear)),
    ("revocation_check_revoked", |times| revocation_check(times, 0, Standing::Revoked)),
    ("session_admit", |times| session_admit(times, 1)),
    ("session_admit_batch4", |times| session_admit(times, 4)),
    ("session_admit_refused", session_admit_refused),
    ("meter_admit", |times| meter_admit(times, Limits::new(PLENTY))),
    ("meter_admit_rate", |times| meter_admit(times, Limits::new(PLENTY).with_rate(PLENTY, MINUTE))),
    ("trace_record", trace_record),
];

fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

fn leak<T>(state: T) -> &'static T {
    Box::leak(Box::new(state))
}

/// An entry's key; `black_box` keeps the compiler from computing anything ahead of the loop.
fn nth(number: u64) -> u128 {
    black_box(key(0, number))
}

fn map(entries: u64) -> &'static ShardedMap<u128, u64> {
    let map = leak(ShardedMap::with_hasher(hasher()));
    (0..entries).for_each(|number| assert_eq!(map.insert(nth(number), 1), None));
    map
}

fn map_get_hit(times: u64) -> u64 {
    let map = map(ENTRIES);
    each(0..times, |number| u64::from(map.get(&nth(number % ENTRIES)) == Some(1)))
}

fn map_get_miss(times: u64) -> u64 {
    let map = map(ENTRIES);
    each(0..times, |number| u64::from(map.get(&nth(ENTRIES + number)).is_none()))
}

/// While the map grows fourfold, growing included.
fn map_insert_new(times: u64) -> u64 {
    let map = map(ENTRIES);
    each(0..times, |number| u64::from(map.insert(nth(ENTRIES + number), 1).is_none()))
}

fn map_remove(times: u64) -> u64 {
    let map = map(MOST + ENTRIES);
    each(0..times, |number| u64::from(map.remove(&nth(number)) == Some(1)))
}

fn map_replace(times: u64) -> u64 {
    let map = map(ENTRIES);
    each(0..times, |number| u64::from(map.insert(nth(number % ENTRIES), 1) == Some(1)))
}

/// With small values: allocating large ones would hide what the map does.
fn fifo_insert_at_cap(times: u64) -> u64 {
    let map = leak(FifoMap::builder(ENTRIES).hasher(hasher()).build().expect("a cap"));
    let insert = |number| u64::from(map.insert(nth(number), 1u64).is_ok_and(|placed| placed.seq == number));
    assert_eq!(each(0..ENTRIES, insert), ENTRIES);
    each(ENTRIES..ENTRIES + times, insert)
}

fn revocation_check(times: u64, space: u64, expected: Standing) -> u64 {
    let set = RevocationSet::<u128, u64, _>::with_clock(RevocationConfig::new(), ManualClock::new(NOW));
    let set = leak(set.expect("a capacity"));
    (0..ENTRIES).for_each(|number| assert!(set.revoke(nth(number), NOW.saturating_add(HOUR)).is_ok()));
    each(0..times, |number| u64::from(set.check(&black_box(key(space, number % ENTRIES))) == expected))
}

fn sessions(budget: u64) -> (&'static SessionStore<ManualClock>, Uuid, Vec<Uuid>) {
    let store = leak(SessionStore::with_clock(SessionConfig::new(), ManualClock::new(NOW)).expect("a capacity"));
    let agent = Uuid::from_u128(1);
    let request = SessionRequest::new(agent).budget(budget).rate(PLENTY, MINUTE).time_limit(HOUR);
    let request = request.tools(Tools::only(TOOLS));
    let ids = (0..SESSIONS).map(|_| store.create(request.clone()).expect("room")).collect();
    (store, agent, ids)
}

/// In turn over the sessions and, as far as a batch of them fits, over the tools.
fn session_admit(times: u64, calls: usize) -> u64 {
    let (store, agent, ids) = sessions(PLENTY);
    each(0..times, |number| {
        let number = number as usize;
        let tools = &TOOLS[number % (TOOLS.len() - calls + 1)..][..calls];
        u64::from(store.admit(&ids[number % ids.len()], Some(&agent), black_box(tools)).is_ok())
    })
}

fn session_admit_refused(times: u64) -> u64 {
    let (store, agent, ids) = sessions(1);
    let admit = |id| store.admit(id, Some(&agent), black_box(&TOOLS[..1]));
    assert!(ids.iter().all(|id| admit(id).is_ok()));
    each(0..times, |number| {
        let refused = admit(&ids[number as usize % ids.len()]);
        u64::from(matches!(refused, Err(SessionError::BudgetExceeded { .. })))
    })
}

fn meter_admit(times: u64, limits: Limits) -> u64 {
    let meter = leak(Meter::new(limits, NOW).expect("limits"));
    each(0..times, |_| u64::from(meter.admit(black_box(1), black_box(NOW)).is_ok()))
}

/// The records are made ahead, all of them in either run. What each evicts is freed.
fn trace_record(times: u64) -> u64 {
    let store = leak(TraceStore::new(ENTRIES).expect("a cap"));
    let make = |number| ActionTrace::new(format!("act-{number:08}"), "search", "alice", "token-1", NOW);
    let mut made = (0..ENTRIES + MOST).map(make).collect::<Vec<_>>().into_iter();
    assert_eq!(made.by_ref().take(ENTRIES as usize).map(|trace| store.record(trace).seq).last(), Some(ENTRIES - 1));
    let recorded = made.by_ref().take(times as usize).map(|trace| u64::from(!store.record(trace).replaced)).sum();
    // What was not needed: to free it is no part of recording.
    made.for_each(std::mem::forget);
    recorded
}
