//! The floor: the sequential structure without a lock, on one thread.
//!
//! There is a mutex, because a job is shared; it is taken once per run, and not per operation.

use super::limit::{Frozen, Private};
use crate::plain::{Fifo, Session, Table};
use crate::timing;
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, Role, fifo, map, revocation};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

const NAME: &str = "floor";

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    map::enter::<Private<Table<u128, u64>>>(NAME, "", Role::Floor)
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<Private<Fifo>>(NAME, "", Role::Floor)
}

/// As a map with a large cap.
#[must_use]
pub fn fifo_large() -> Entrant {
    fifo::enter_large::<Private<Fifo>>(NAME, "", Role::Floor)
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    revocation::enter::<Frozen<Table<u128, u64>>>(NAME, "", Role::Floor)
}

struct Sessions(Mutex<Table<Uuid, Session>>);

impl Admission for Sessions {
    type Pin<'a> = MutexGuard<'a, Table<Uuid, Session>>;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let ids: Vec<_> = agents.iter().map(|_| Uuid::new_v4()).collect();
        let sessions = agents.iter().map(|&agent| Session::new(agent, limits));
        (Self(Mutex::new(ids.iter().copied().zip(sessions).collect())), ids)
    }

    fn pin(&self) -> Self::Pin<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admit for MutexGuard<'_, Table<Uuid, Session>> {
    fn admit(&mut self, call: Call<'_>) -> bool {
        let now = timing::now();
        self.get_mut(call.session).is_some_and(|session| session.admit(call, now).is_ok())
    }
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    session::enter::<Sessions>(NAME, "", Role::Floor)
}
