//! `hashbrown`, the hash table of std, under the locks of std.

use super::hashbrown_parking_lot::Locked;
use crate::plain::{Fifo, Session, Table};
use crate::workload::{Entrant, Role, SweepingEntrant, fifo, map, revocation, session};
use std::sync::{Mutex, RwLock};
use uuid::Uuid;

const VERSION: &str = "std";

/// In the workloads of maps.
#[must_use]
pub fn maps() -> Vec<Entrant> {
    type Map = Table<u128, u64>;
    let mut entrants = map::enter::<Locked<RwLock<Map>, Map>>("std::RwLock<HashMap>", VERSION, Role::Peer);
    entrants.extend(map::enter::<Locked<Mutex<Map>, Map>>("std::Mutex<HashMap>", VERSION, Role::Peer));
    entrants
}

/// As a map with a cap.
#[must_use]
pub fn fifo() -> Entrant {
    fifo::enter::<Locked<Mutex<Fifo>, Fifo>>("std::Mutex<(HashMap, VecDeque)>", VERSION, Role::ExactPeer)
}

/// As a map with a large cap.
#[must_use]
pub fn fifo_large() -> Entrant {
    fifo::enter_large::<Locked<Mutex<Fifo>, Fifo>>("std::Mutex<(HashMap, VecDeque)>", VERSION, Role::ExactPeer)
}

/// As a set of revocations.
#[must_use]
pub fn revocations() -> Entrant {
    type Map = Table<u128, u64>;
    revocation::enter::<Locked<RwLock<Map>, Map>>("std::RwLock<HashMap>", VERSION, Role::Peer)
}

/// In the pause experiment.
#[must_use]
pub fn sweeping() -> SweepingEntrant {
    type Map = Table<u128, u64>;
    revocation::sweeping::<Locked<RwLock<Map>, Map>>("std::RwLock<HashMap> + retain", VERSION, Role::Peer)
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    type One = Mutex<Session>;
    type Map = Table<Uuid, One>;
    session::enter::<Locked<RwLock<Map>, Map>>("std::RwLock<HashMap<_, Mutex>>", VERSION, Role::Peer)
}
