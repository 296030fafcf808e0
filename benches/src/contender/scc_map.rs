//! `scc::HashMap`: locked buckets.

use crate::Hasher;
use crate::plain::Session;
use crate::timing;
use crate::versions;
use crate::workload::map::{self, Fill, Get, Key, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, MemoryEntrant, Role};
use scc::HashMap;
use uuid::Uuid;

const NAME: &str = "scc::HashMap";

impl<K: Key> Store<K> for HashMap<K, u64, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn filled(fill: Fill) -> Self {
        let map = Self::default();
        for key in fill.all() {
            map.upsert_sync(key, 1);
        }
        map
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }
}

impl<K: Key> Get<K> for &HashMap<K, u64, Hasher> {
    fn get(&mut self, key: K) -> u64 {
        self.read_sync(&key, |_, value| *value).unwrap_or(0)
    }
}

impl<K: Key> Put<K> for &HashMap<K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.upsert_sync(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        self.remove_sync(&key).is_some()
    }
}

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<HashMap<u128, u64, Hasher>>(NAME, versions::of("scc"), Role::Peer)
}

/// Its memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of("scc"),
        role: Role::Peer,
        lock_free: false,
        fill: map::churn::<HashMap<Uuid, u64, Hasher>, Uuid>,
    }
}

/// Revoked ids and when they expire.
impl Revocations for HashMap<u128, u64, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn empty(_capacity: u64) -> Self {
        Self::default()
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.upsert_sync(id, expires_at);
        true
    }

    fn forget(&self, now: u64) {
        self.retain_sync(|_, expires_at| *expires_at > now);
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Check for &HashMap<u128, u64, Hasher> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.contains_sync(&id)
    }
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<HashMap<u128, u64, Hasher>>(NAME, versions::of("scc"), Role::Peer)
}

impl Admission for HashMap<Uuid, Session, Hasher> {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let sessions = Self::default();
        let add = |&agent: &Uuid| {
            let id = Uuid::new_v4();
            sessions.upsert_sync(id, Session::new(agent, limits));
            id
        };
        let ids = agents.iter().map(add).collect();
        (sessions, ids)
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &HashMap<Uuid, Session, Hasher> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        let now = timing::now();
        self.update_sync(call.session, |_, session| session.admit(call, now).is_ok()).unwrap_or(false)
    }
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    session::enter::<HashMap<Uuid, Session, Hasher>>("scc::HashMap update", versions::of("scc"), Role::Peer)
}
