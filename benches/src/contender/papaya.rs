//! `papaya`: a lock-free map, pinned for as long as a batch lasts, as its documentation advises.

use crate::Hasher;
use crate::plain::Session;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, PER_PIN, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, MemoryEntrant, Role, SweepingEntrant};
use papaya::{HashMap, HashMapRef, LocalGuard};
use parking_lot::Mutex;
use uuid::Uuid;

const NAME: &str = "papaya";

impl<K: Key> Store<K> for HashMap<K, u64, Hasher> {
    type Pin<'a> = HashMapRef<'a, K, u64, Hasher, LocalGuard<'a>>;

    const PER_PIN: u64 = PER_PIN;

    fn filled(fill: Fill) -> Self {
        fill.all().map(|key| (key, 1)).collect()
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        self.pin()
    }
}

impl<K: Key> Get<K> for HashMapRef<'_, K, u64, Hasher, LocalGuard<'_>> {
    fn get(&mut self, key: K) -> u64 {
        HashMapRef::get(self, &key).copied().unwrap_or(0)
    }
}

impl<K: Key> Put<K> for HashMapRef<'_, K, u64, Hasher, LocalGuard<'_>> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        HashMapRef::remove(self, &key).is_some()
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<HashMap<u128, u64, Hasher>>(NAME, versions::of(NAME), Role::Peer)
}

/// Its memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of(NAME),
        role: Role::Peer,
        lock_free: true,
        fill: map::churn::<HashMap<Uuid, u64, Hasher>, Uuid>,
    }
}

/// Revoked ids and when they expire.
impl Revocations for HashMap<u128, u64, Hasher> {
    type Pin<'a> = HashMapRef<'a, u128, u64, Hasher, LocalGuard<'a>>;

    const PER_PIN: u64 = PER_PIN;

    fn empty(_capacity: u64) -> Self {
        Self::default()
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.pin().insert(id, expires_at);
        true
    }

    fn forget(&self, now: u64) {
        self.pin().retain(|_, expires_at| *expires_at > now);
    }

    fn pin(&self) -> Self::Pin<'_> {
        self.pin()
    }
}

impl Check for HashMapRef<'_, u128, u64, Hasher, LocalGuard<'_>> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.contains_key(&id)
    }
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<HashMap<u128, u64, Hasher>>(NAME, versions::of(NAME), Role::Peer)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    revocation::sweeping::<HashMap<u128, u64, Hasher>>("papaya + retain", versions::of(NAME), Role::Peer)
}

/// Sessions that are found without a lock, and locked one by one.
struct Sessions(HashMap<Uuid, Mutex<Session>, Hasher>);

impl Admission for Sessions {
    type Pin<'a> = HashMapRef<'a, Uuid, Mutex<Session>, Hasher, LocalGuard<'a>>;

    const PER_PIN: u64 = PER_PIN;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let sessions = HashMap::default();
        let add = |&agent: &Uuid| {
            let id = Uuid::new_v4();
            sessions.pin().insert(id, Mutex::new(Session::new(agent, limits)));
            id
        };
        let ids = agents.iter().map(add).collect();
        (Self(sessions), ids)
    }

    fn pin(&self) -> Self::Pin<'_> {
        self.0.pin()
    }
}

impl Admit for HashMapRef<'_, Uuid, Mutex<Session>, Hasher, LocalGuard<'_>> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        let now = crate::timing::now();
        self.get(call.session).is_some_and(|session| session.lock().admit(call, now).is_ok())
    }
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    session::enter::<Sessions>("papaya<_, Mutex>", versions::of(NAME), Role::Peer)
}
