//! tollgate itself.

use crate::Hasher;
use crate::versions;
use crate::workload::fifo::{self, Capped, CappedInsert, Payload};
use crate::workload::map::{self, Fill, Get, Key, PER_PIN, Put, Store};
use crate::workload::revocation::{self, Check, Revocations};
use crate::workload::session::{self, Admission, Admit, Call, HOUR, Limits, MINUTE, TOOLS};
use crate::workload::{Entrant, MemoryEntrant, Role, SweepingEntrant, Workload};
use std::time::Duration;
use tollgate::clock::Timestamp;
use tollgate::fifo::FifoMap;
use tollgate::map::{Pinned, ShardedMap};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

const NAME: &str = "tollgate";
/// Entries that a sweep looks at in one call.
const SWEPT_AT_ONCE: usize = 1_024;
/// Shards of a map, as many as one has by default.
const SHARDS: usize = 16;

impl<K: Key> Store<K> for ShardedMap<K, u64, Hasher> {
    type Pin<'a> = Pinned<'a, K, u64, Hasher>;

    const PER_PIN: u64 = PER_PIN;

    fn filled(fill: Fill) -> Self {
        fill_up(Self::with_hasher(Hasher::new()), fill)
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        self.pin()
    }
}

impl<K: Key> Get<K> for Pinned<'_, K, u64, Hasher> {
    fn get(&mut self, key: K) -> u64 {
        Pinned::get(self, &key).copied().unwrap_or(0)
    }
}

impl<K: Key> Put<K> for Pinned<'_, K, u64, Hasher> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn remove(&mut self, key: K) -> bool {
        Pinned::remove(self, &key).is_some()
    }
}

fn fill_up<K: Key>(map: ShardedMap<K, u64, Hasher>, fill: Fill) -> ShardedMap<K, u64, Hasher> {
    for key in fill.all() {
        map.insert(key, 1);
    }
    map
}

/// A map with a filter.
struct Filtered<K>(ShardedMap<K, u64, Hasher>);

impl<K: Key> Store<K> for Filtered<K> {
    type Pin<'a> = Pinned<'a, K, u64, Hasher>;

    const PER_PIN: u64 = PER_PIN;

    fn filled(fill: Fill) -> Self {
        Self(fill_up(ShardedMap::with_filter(SHARDS, Hasher::new()), fill))
    }

    fn pin(&self, _thread: usize) -> Self::Pin<'_> {
        self.0.pin()
    }
}

/// In the workloads of maps, with a filter and without. Its documentation recommends one for keys that are not there as a rule.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    let role = |is_filtered| {
        move |one: &Workload| if is_filtered == (one.id == map::GET_MISS.id) { Role::Tollgate } else { Role::Variant }
    };
    let version = versions::of(NAME);
    let plain = map::enter_as::<ShardedMap<u128, u64, Hasher>>(NAME, version, role(false));
    let filtered = map::enter_as::<Filtered<u128>>("tollgate with_filter", version, role(true));
    [plain, filtered].into_iter().flatten().collect()
}

/// Its map's memory.
#[must_use]
pub fn memory() -> MemoryEntrant {
    MemoryEntrant {
        name: NAME,
        version: versions::of(NAME),
        role: Role::Tollgate,
        lock_free: true,
        fill: map::churn::<ShardedMap<Uuid, u64, Hasher>, Uuid>,
    }
}

impl Capped for FifoMap<u128, Payload, Hasher> {
    type Pin<'a> = &'a Self;

    fn empty(_threads: usize, cap: usize) -> Self {
        FifoMap::builder(cap as u64).hasher(Hasher::new()).build().expect("a cap")
    }

    fn pin(&self, _thread: usize) -> &Self {
        self
    }

    fn holds(&self, key: u128) -> bool {
        self.get(&key).is_some()
    }

    fn live(&self) -> Option<usize> {
        Some(self.snapshot().len())
    }
}

impl CappedInsert for &FifoMap<u128, Payload, Hasher> {
    fn add(&mut self, key: u128, payload: Payload) -> bool {
        FifoMap::insert(self, key, payload).is_ok_and(|placed| !placed.replaced)
    }
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<FifoMap<u128, Payload, Hasher>>(NAME, versions::of(NAME), Role::Tollgate)
}

/// As a map with a large cap.
#[must_use]
pub fn fifo_large() -> Entrant {
    fifo::enter_large::<FifoMap<u128, Payload, Hasher>>(NAME, versions::of(NAME), Role::Tollgate)
}

/// Without principals: the others know of none.
type Set = RevocationSet<u128, u64>;

impl Revocations for Set {
    type Pin<'a> = tollgate::revocation::Pinned<'a, u128, u64>;

    const PER_PIN: u64 = PER_PIN;

    fn empty(capacity: u64) -> Self {
        Self::new(RevocationConfig::new().capacity(capacity)).expect("a capacity")
    }

    fn remember(&self, id: u128, expires_at: u64) -> bool {
        self.revoke(id, Timestamp::from_nanos(expires_at)).is_ok()
    }

    fn forget(&self, _now: u64) {
        // Its own clock tells the same.
        while RevocationSet::sweep(self, SWEPT_AT_ONCE).more {}
    }

    fn pin(&self) -> Self::Pin<'_> {
        self.pin()
    }
}

impl Check for tollgate::revocation::Pinned<'_, u128, u64> {
    fn is_revoked(&mut self, id: u128) -> bool {
        self.check(&id) == Standing::Revoked
    }
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<Set>(NAME, versions::of(NAME), Role::Tollgate)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    SweepingEntrant {
        name: NAME,
        version: versions::of(NAME),
        role: Role::Tollgate,
        make: |capacity| {
            // No grace, so that its entries go when those of the others do.
            let config = RevocationConfig::new().capacity(capacity).grace(Duration::ZERO);
            Box::new(Set::new(config).expect("a capacity"))
        },
    }
}

impl Admission for SessionStore {
    type Pin<'a> = tollgate::session::Pinned<'a>;

    const PER_PIN: u64 = PER_PIN;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let store = Self::new(SessionConfig::new()).expect("a capacity");
        let open = |&agent: &Uuid| {
            let request = SessionRequest::new(agent).budget(limits.budget).rate(limits.rate, MINUTE).time_limit(HOUR);
            store.create(request.tools(Tools::only(TOOLS))).expect("room")
        };
        let ids = agents.iter().map(open).collect();
        (store, ids)
    }

    fn pin(&self) -> Self::Pin<'_> {
        self.pin()
    }
}

impl Admit for tollgate::session::Pinned<'_> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        // Its own clock, once per call.
        Self::admit(self, call.session, Some(call.agent), call.tools).is_ok()
    }
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    session::enter::<SessionStore>(NAME, versions::of(NAME), Role::Tollgate)
}
