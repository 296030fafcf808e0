//! Handles, bodies and postures: their main operations, beside what a user would write in ten minutes.

use super::{Entrant, Job, Role, Workload};
use crate::load::{Cursors, each, pick};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, Digest, Record};
use tollgate::clock::{Clock, SystemClock, Timestamp};
use tollgate::handle::{HandleConfig, HandleRequest, HandleStore};
use tollgate::posture::{Downgrade, Posture, PostureConfig, PostureMachine, TransitionRequest};
use uuid::Uuid;

/// Handles that a store holds at its cap.
const HANDLES: u64 = 10_000;
/// Agents with a posture.
const AGENTS: u64 = 1_000;
/// Bytes of a body, as upstream's was measured.
const BODY: usize = 2_048;
/// Different bodies.
const BODIES: u64 = 1_000;

static HANDLE_GET: Workload = workload("handle_get", "Handle: get one of 10,000", "get, with its check for expiry");
static HANDLE_STORE: Workload = workload("handle_store", "Handle: store at the cap of 10,000", "store of 200 bytes");
static BODY_INSERT: Workload = workload(
    "body_insert",
    "Body: insert one of 1,000 of 2 KB, all of which are there",
    "a record, and a reference to its body",
);
static BODY_GET: Workload = workload("body_get", "Body: get one of 1,000 of 2 KB", "get, decompressed");
static BODY_RESENT: Workload = workload(
    "body_resent",
    "Body: a conversation of 100 messages that goes on with another",
    "a body of 101 parts, 30 KB, of which one is new",
);
static POSTURE_GET: Workload = workload("posture_get", "Posture: get that of one of 1,000 agents", "get");
static POSTURE_TRANSITION: Workload = workload(
    "posture_transition",
    "Posture: an agent down, then up again, of 1,000 for each thread",
    "transition, one in two with a guard",
);
static POSTURE_EMERGENCY: Workload =
    workload("posture_emergency", "Posture: emergency of one of 1,000 agents", "emergency");

const fn workload(id: &'static str, title: &'static str, operation: &'static str) -> Workload {
    Workload { id, title, operation, targets: &[] }
}

/// Something that does one thing again and again, and returns 1 if it was done.
struct Repeated<S> {
    state: S,
    step: fn(&S, usize, u64) -> u64,
    cursors: Cursors,
}

impl<S: Send + Sync> Job for Repeated<S> {
    fn run(&self, thread: usize, operations: u64) -> u64 {
        each(self.cursors.take(thread, operations), |n| (self.step)(&self.state, thread, n))
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        if sum == operations { Ok(()) } else { Err(format!("{sum} of {operations} were done")) }
    }
}

fn repeated<S: Send + Sync + 'static>(threads: usize, state: S, step: fn(&S, usize, u64) -> u64) -> Box<dyn Job> {
    Box::new(Repeated { state, step, cursors: Cursors::new(threads) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn handles() -> (HandleStore<Vec<u8>>, Vec<Uuid>) {
    let store = HandleStore::new(HandleConfig::new().capacity(HANDLES)).expect("a cap");
    let id = |_| store.store(HandleRequest::new("report"), vec![0; 200]).expect("room").id;
    let ids = (0..HANDLES).map(id).collect();
    (store, ids)
}

/// Data and expiry by id, and the ids, oldest first.
type PlainHandles = (HashMap<Uuid, (Arc<Vec<u8>>, Timestamp)>, VecDeque<Uuid>);

fn store_plainly((map, order): &mut PlainHandles) -> Uuid {
    let id = Uuid::new_v4();
    let expires_at = SystemClock.now().saturating_add(Duration::from_secs(3_600));
    map.insert(id, (Arc::new(vec![0; 200]), expires_at));
    order.push_back(id);
    if map.len() as u64 > HANDLES {
        let oldest = order.pop_front();
        oldest.and_then(|oldest| map.remove(&oldest));
    }
    id
}

fn plain_handles() -> (Mutex<PlainHandles>, Vec<Uuid>) {
    let mut handles = PlainHandles::default();
    let ids = (0..HANDLES).map(|_| store_plainly(&mut handles)).collect();
    (Mutex::new(handles), ids)
}

fn body(number: u64) -> Vec<u8> {
    format!("body {number} with some words in it, ").bytes().cycle().take(BODY).collect()
}

fn record(thread: usize, n: u64) -> Record {
    Record::log(format!("{thread}/{n}"), Timestamp::from_secs(1), "info", "request")
}

struct Bodies {
    store: BodyStore,
    bodies: Vec<Vec<u8>>,
    digests: Vec<Digest>,
}

fn bodies() -> Bodies {
    let store = BodyStore::new(BodyConfig::new().max_bytes(16 << 20)).expect("a cap");
    let bodies: Vec<_> = (0..BODIES).map(body).collect();
    let insert = |(n, body): (u64, &Vec<u8>)| store.insert(record(usize::MAX, n), body).ok()?.body;
    let digests = (0..).zip(&bodies).map(|numbered| insert(numbered).expect("room")).collect();
    Bodies { store, bodies, digests }
}

/// Bodies by digest, with their references, and the records, oldest first.
type PlainBodies = (HashMap<Digest, (Arc<Vec<u8>>, u64)>, VecDeque<(String, Digest)>);

fn insert_plainly((bodies, records): &mut PlainBodies, name: String, body: &[u8], digest: Digest) {
    bodies.entry(digest).or_insert_with(|| (Arc::new(body.to_vec()), 0)).1 += 1;
    records.push_back((name, digest));
    if records.len() > 16_384 {
        let oldest = records.pop_front();
        let entry = oldest.map(|(_, digest)| bodies.entry(digest));
        if let Some(std::collections::hash_map::Entry::Occupied(mut entry)) = entry {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                entry.remove();
            }
        }
    }
}

fn agents() -> (PostureMachine, Vec<Arc<str>>) {
    let machine = PostureMachine::new(PostureConfig::new().agents(100 * AGENTS)).expect("limits");
    let names: Vec<Arc<str>> = (0..AGENTS).map(|n| format!("agent-{n}").into()).collect();
    for name in &names {
        let down = TransitionRequest::new(Arc::clone(name), Posture::Tool, Posture::Pseudo);
        assert!(machine.transition(&down).is_ok_and(|done| done.success), "an agent comes down");
    }
    (machine, names)
}

/// Postures by agent, and the history, oldest first.
type PlainPostures = (HashMap<Arc<str>, Posture>, VecDeque<(Arc<str>, Posture, Posture)>);

fn plain_transition((agents, history): &mut PlainPostures, agent: Arc<str>, from: Posture, to: Posture) -> bool {
    let posture = agents.entry(Arc::clone(&agent)).or_insert(Posture::Tool);
    if *posture != from {
        return false;
    }
    *posture = to;
    history.push_back((agent, from, to));
    if history.len() > 10_000 {
        history.drain(..1_000);
    }
    true
}

/// The agent of a thread's operation, and from where to where it moves.
fn movement(thread: usize, n: u64) -> (Arc<str>, Posture, Posture) {
    let agent = format!("{thread}/{}", n / 2 % AGENTS).into();
    if n & 1 == 0 { (agent, Posture::Tool, Posture::Pseudo) } else { (agent, Posture::Pseudo, Posture::Tool) }
}

/// A choice of something that there are `len` of.
fn at(thread: usize, n: u64, len: usize) -> usize {
    pick(thread, n, len as u64) as usize
}

/// A conversation of 100 messages, 300 bytes each.
fn conversation() -> Vec<Vec<u8>> {
    (0..100).map(|at| format!("message {at} ").bytes().cycle().take(300).collect()).collect()
}

/// Sends it again, with one more message that is new each time.
fn resend((store, messages): &(BodyStore, Vec<Vec<u8>>), thread: usize, n: u64) -> u64 {
    let last = format!("message of {thread} number {n}").into_bytes();
    let parts: Vec<_> = messages.iter().chain([&last]).map(Vec::as_slice).collect();
    store.insert_parts(record(thread, n), &parts).is_ok().into()
}

/// Everyone in these workloads.
#[must_use]
pub fn entrants() -> Vec<Entrant> {
    let enter = |workload, role, make| Entrant {
        workload,
        name: if role == Role::Tollgate { "tollgate" } else { "std::Mutex<HashMap>" },
        version: "",
        role,
        max_threads: usize::MAX,
        make,
        lacks: String::new,
    };
    let ours = |workload, make| enter(workload, Role::Tollgate, make);
    let plain = |workload, make| enter(workload, Role::Peer, make);
    vec![
        ours(&HANDLE_GET, |threads| {
            repeated(threads, handles(), |(store, ids), thread, n| {
                store.get(&ids[at(thread, n, ids.len())]).is_ok().into()
            })
        }),
        plain(&HANDLE_GET, |threads| {
            repeated(threads, plain_handles(), |(store, ids), thread, n| {
                let now = SystemClock.now();
                let entry = lock(store).0.get(&ids[at(thread, n, ids.len())]).cloned();
                entry.is_some_and(|(_, expires_at)| expires_at > now).into()
            })
        }),
        ours(&HANDLE_STORE, |threads| {
            repeated(threads, handles(), |(store, _), _, _| {
                store.store(HandleRequest::new("report"), vec![0; 200]).is_ok().into()
            })
        }),
        plain(&HANDLE_STORE, |threads| {
            repeated(threads, plain_handles(), |(store, _), _, _| u64::from(!store_plainly(&mut lock(store)).is_nil()))
        }),
        ours(&BODY_INSERT, |threads| {
            repeated(threads, bodies(), |Bodies { store, bodies, .. }, thread, n| {
                store.insert(record(thread, n), &bodies[at(thread, n, bodies.len())]).is_ok().into()
            })
        }),
        plain(&BODY_INSERT, |threads| {
            let state = (Mutex::new(PlainBodies::default()), bodies().bodies);
            repeated(threads, state, |(store, bodies), thread, n| {
                let body = &bodies[at(thread, n, bodies.len())];
                let digest = Digest::of(body);
                insert_plainly(&mut lock(store), format!("{thread}/{n}"), body, digest);
                1
            })
        }),
        ours(&BODY_GET, |threads| {
            repeated(threads, bodies(), |Bodies { store, digests, .. }, thread, n| {
                store.get(&digests[at(thread, n, digests.len())]).is_ok().into()
            })
        }),
        ours(&BODY_RESENT, |threads| {
            let store = BodyStore::new(BodyConfig::new().max_bytes(16 << 20)).expect("a cap");
            repeated(threads, (store, conversation()), resend)
        }),
        ours(&POSTURE_GET, |threads| {
            repeated(threads, agents(), |(machine, names), thread, n| {
                u64::from(machine.get_posture(&names[at(thread, n, names.len())]) == Posture::Pseudo)
            })
        }),
        plain(&POSTURE_GET, |threads| {
            let (_, names) = agents();
            let postures: PlainPostures =
                (names.iter().map(|n| (Arc::clone(n), Posture::Pseudo)).collect(), VecDeque::new());
            repeated(threads, (Mutex::new(postures), names), |(postures, names), thread, n| {
                let posture = lock(postures).0.get(&names[at(thread, n, names.len())]).copied();
                u64::from(posture == Some(Posture::Pseudo))
            })
        }),
        ours(&POSTURE_TRANSITION, |threads| {
            repeated(threads, agents().0, |machine, thread, n| {
                let (agent, from, to) = movement(thread, n);
                let request = TransitionRequest::new(agent, from, to).requester("alice");
                machine.transition(&request).is_ok_and(|done| done.success).into()
            })
        }),
        plain(&POSTURE_TRANSITION, |threads| {
            repeated(threads, Mutex::new(PlainPostures::default()), |postures, thread, n| {
                let (agent, from, to) = movement(thread, n);
                plain_transition(&mut lock(postures), agent, from, to).into()
            })
        }),
        ours(&POSTURE_EMERGENCY, |threads| {
            repeated(threads, agents(), |(machine, names), thread, n| {
                let order = Downgrade::new("stop");
                let name = Arc::clone(&names[at(thread, n, names.len())]);
                u64::from(machine.emergency_downgrade(name, &order).record().is_some())
            })
        }),
    ]
}
