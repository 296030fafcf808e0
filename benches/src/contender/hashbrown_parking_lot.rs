//! `hashbrown`, the hash table of std, under the locks of `parking_lot`; and what all locked tables have in common.

use super::lock::Lock;
use crate::plain::{Fifo, Session, Table};
use crate::timing;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::map::{self, Fill, Get, Key, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, MemoryEntrant, Role, SweepingEntrant};
use parking_lot::{Mutex, RwLock};
use std::marker::PhantomData;
use uuid::Uuid;

/// A table under one lock. `fn() -> T` names what is inside without owning another one.
#[derive(Debug)]
pub struct Locked<L, T> {
    lock: L,
    inside: PhantomData<fn() -> T>,
}

impl<T, L: Lock<T>> Locked<L, T> {
    fn around(value: T) -> Self {
        Self { lock: L::around(value), inside: PhantomData }
    }
}

impl<K: Key, L: Lock<Table<K, u64>>> Store<K> for Locked<L, Table<K, u64>> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        Self::around(fill.all().map(|key| (key, 1)).collect())
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }
}

impl<K: Key, L: Lock<Table<K, u64>>> Get<K> for &Locked<L, Table<K, u64>> {
    fn get(&mut self, key: K) -> u64 {
        self.lock.reading(|map| map.get(&key).copied().unwrap_or(0))
    }
}

impl<K: Key, L: Lock<Table<K, u64>>> Put<K> for &Locked<L, Table<K, u64>> {
    fn put(&mut self, key: K, value: u64) {
        self.lock.writing(|map| map.insert(key, value));
    }

    fn remove(&mut self, key: K) -> bool {
        self.lock.writing(|map| map.remove(&key).is_some())
    }
}

impl<L: Lock<Fifo>> Capped for Locked<L, Fifo> {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        Self::around(Fifo::new(cap))
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.lock.reading(|fifo| fifo.holds(key))
    }

    fn live(&self) -> Option<usize> {
        Some(self.lock.reading(Fifo::len))
    }
}

impl<L: Lock<Fifo>> CappedInsert for &Locked<L, Fifo> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        self.lock.writing(|fifo| fifo.insert(key, payload))
    }
}

/// Revoked ids and when they expire.
impl<L: Lock<Table<u128, u64>>> Revocations for Locked<L, Table<u128, u64>> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn empty(_capacity: u64) -> Self {
        Self::around(Table::default())
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.lock.writing(|set| set.insert(id, expires_at));
        true
    }

    fn forget(&self, now: u64) {
        self.lock.writing(|set| set.retain(|_, expires_at| *expires_at > now));
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl<L: Lock<Table<u128, u64>>> Check for &Locked<L, Table<u128, u64>> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.lock.reading(|set| set.contains_key(&id))
    }
}

/// A lock around the table, for readers of it, and one around each session.
type Sessions<L, M> = Locked<L, Table<Uuid, M>>;

impl<M: Lock<Session>, L: Lock<Table<Uuid, M>>> Admission for Sessions<L, M> {
    type Pin<'a> = SessionsPin<'a, L, M>;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let ids: Vec<_> = agents.iter().map(|_| Uuid::new_v4()).collect();
        let sessions = agents.iter().map(|&agent| M::around(Session::new(agent, limits)));
        (Self::around(ids.iter().copied().zip(sessions).collect()), ids)
    }

    fn pin(&self) -> Self::Pin<'_> {
        SessionsPin(self)
    }
}

/// Just a reference, to a store whose type is told apart from the others.
#[derive(Debug)]
pub struct SessionsPin<'a, L, M>(&'a Sessions<L, M>);

impl<M: Lock<Session>, L: Lock<Table<Uuid, M>>> Admit for SessionsPin<'_, L, M> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        let now = timing::now();
        self.0.lock.reading(|sessions| {
            let session = sessions.get(call.session);
            session.is_some_and(|session| session.writing(|session| session.admit(call, now).is_ok()))
        })
    }
}

fn version() -> &'static str {
    versions::of("parking_lot")
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    type Map = Table<u128, u64>;
    let mut entrants = map::enter::<Locked<RwLock<Map>, Map>>("parking_lot::RwLock<HashMap>", version(), Role::Peer);
    entrants.extend(map::enter::<Locked<Mutex<Map>, Map>>("parking_lot::Mutex<HashMap>", version(), Role::Peer));
    entrants
}

/// The memory of the table.
#[must_use]
pub fn memory() -> MemoryEntrant {
    type Map = Table<Uuid, u64>;
    MemoryEntrant {
        name: "parking_lot::RwLock<HashMap>",
        version: version(),
        role: Role::Peer,
        lock_free: false,
        fill: map::churn::<Locked<RwLock<Map>, Map>, Uuid>,
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    let name = "parking_lot::Mutex<(HashMap, VecDeque)>";
    fifo::enter::<Locked<Mutex<Fifo>, Fifo>>(name, version(), Role::ExactPeer)
}

/// As a map with a large cap.
#[must_use]
pub fn fifo_large() -> Entrant {
    let name = "parking_lot::Mutex<(HashMap, VecDeque)>";
    fifo::enter_large::<Locked<Mutex<Fifo>, Fifo>>(name, version(), Role::ExactPeer)
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    type Map = Table<u128, u64>;
    revocation::enter::<Locked<RwLock<Map>, Map>>("parking_lot::RwLock<HashMap>", version(), Role::Peer)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    type Map = Table<u128, u64>;
    let name = "parking_lot::RwLock<HashMap> + retain";
    revocation::sweeping::<Locked<RwLock<Map>, Map>>(name, version(), Role::Peer)
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    type One = Mutex<Session>;
    let name = "parking_lot::RwLock<HashMap<_, Mutex>>";
    session::enter::<Sessions<RwLock<Table<Uuid, One>>, One>>(name, version(), Role::Peer)
}
