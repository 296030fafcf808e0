//! What is measured: the workloads with their targets, and who enters them.
//!
//! Each family of workloads has a file with the trait that its contenders implement, and the [`Job`]s over that trait.

pub mod fifo;
pub mod map;
pub mod revocation;
pub mod session;
pub mod stores;

use crate::contender;

/// A contender that is filled and ready, shared by all threads of a run. Built before the clock starts; dropped after
/// it stops.
pub trait Job: Send + Sync {
    /// Does `operations` operations as thread `thread`; may be called again and again, and carries on where it left.
    /// The sum depends on every result, so that nothing is optimised away.
    fn run(&self, thread: usize, operations: u64) -> u64;

    /// Does one operation, for latency histograms.
    fn one(&self, thread: usize) -> u64 {
        self.run(thread, 1)
    }

    /// Whether `operations` of all threads together may have given `sum`.
    ///
    /// # Errors
    ///
    /// What was wrong.
    fn check(&self, operations: u64, sum: u64) -> Result<(), String>;
}

/// What a contender is to tollgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The crate that this is about.
    Tollgate,
    /// The same crate, made in another way than its documentation recommends for this; shown, and not judged.
    Variant,
    /// Does the same.
    Peer,
    /// Means to do the same to the letter (a FIFO map that evicts the oldest).
    ExactPeer,
    /// Does something near to it (a cache that evicts by another rule).
    InexactPeer,
    /// The crate whose behaviour tollgate follows.
    Upstream,
    /// Does a part of it; never a best peer.
    Part,
    /// The sequential structure without any lock, on one thread.
    Floor,
    /// The same work on private data, or the least that the hardware must do.
    Limit,
}

impl Role {
    /// Whether it can be the best peer.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::ExactPeer | Self::InexactPeer)
    }
}

/// One question that is asked of every entrant.
#[derive(Debug)]
pub struct Workload {
    /// Its name on the command line.
    pub id: &'static str,
    /// Its name in a report.
    pub title: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// What tollgate should reach.
    pub targets: &'static [Target],
}

/// A ratio that tollgate should reach.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// One thread, or with 2 as many as the machine has cores.
    pub threads: usize,
    /// What it is compared with.
    pub against: Against,
    /// Throughput of tollgate over that of the other.
    pub at_least: f64,
}

/// What a [`Target`] compares tollgate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The fastest of all peers.
    BestPeer,
    /// The fastest of those that mean to do the same to the letter.
    BestExactPeer,
    /// The fastest of those that do something near to it.
    BestInexactPeer,
    /// The sequential structure without a lock.
    Floor,
    /// The limit of this name.
    Limit(&'static str),
    /// The fastest entrant of upstream.
    Upstream,
    /// Tollgate itself in the workload of this id.
    SelfAt(&'static str),
}

impl Target {
    /// `at_least` times the throughput of `against` on `threads` threads.
    #[must_use]
    pub const fn new(threads: usize, against: Against, at_least: f64) -> Self {
        Self { threads, against, at_least }
    }
}

/// A contender in a workload.
#[derive(Debug)]
pub struct Entrant {
    /// What it enters.
    pub workload: &'static Workload,
    /// Its name, unique in its workload.
    pub name: &'static str,
    /// The version of its crate; "std" or "" where there is none.
    pub version: &'static str,
    /// What it is to tollgate.
    pub role: Role,
    /// 1 for what is sequential, `usize::MAX` otherwise.
    pub max_threads: usize,
    /// Fills it, for runs of this many threads.
    pub make: fn(threads: usize) -> Box<dyn Job>,
    /// Measures by a short experiment what it does not do; empty if it does everything.
    pub lacks: fn() -> String,
}

/// A map whose memory is measured.
#[derive(Debug)]
pub struct MemoryEntrant {
    /// Its name.
    pub name: &'static str,
    /// The version of its crate.
    pub version: &'static str,
    /// Whether it is tollgate or what.
    pub role: Role,
    /// Whether it works without locks.
    pub lock_free: bool,
    /// A map of `live` entries, UUID to `u64`, in equal parts by thread. Its job is churn: one operation inserts a new
    /// key and removes the thread's oldest one.
    pub fill: fn(live: u64, threads: usize) -> Box<dyn Job>,
}

/// A set of revocations that expire while others look.
pub trait Sweeping: Send + Sync {
    /// Whether it is revoked.
    fn check(&self, id: u128) -> bool;
    /// Revokes it until `expires_at` (nanoseconds, by [`now_ns`]).
    fn revoke(&self, id: u128, expires_at: u64);
    /// Forgets all that has expired at `now`, which was just read by [`now_ns`], before it returns.
    fn sweep(&self, now: u64);
}

/// A contender in the pause experiment.
#[derive(Debug)]
pub struct SweepingEntrant {
    /// Its name.
    pub name: &'static str,
    /// The version of its crate.
    pub version: &'static str,
    /// What it is to tollgate.
    pub role: Role,
    /// An empty set that may be told of `capacity` revocations at once.
    pub make: fn(capacity: u64) -> Box<dyn Sweeping>,
}

/// The time that the pause experiment's sets go by, in nanoseconds since the Unix epoch.
#[must_use]
pub fn now_ns() -> u64 {
    use tollgate::clock::{Clock, SystemClock};
    SystemClock.now().as_nanos()
}

/// Heap bytes per entry, and in churn. Not a matter of throughput: see [`memory_entrants`].
pub static MEMORY: Workload =
    Workload { id: "memory", title: "Memory of 1M entries, UUID to u64", operation: "entry", targets: &[] };

/// Pauses of a reader while entries expire. Not a matter of throughput: see [`sweeping_entrants`].
pub static SWEEPING: Workload = Workload {
    id: "revocation_check_sweeping",
    title: "Revocation check while 1M entries expire in sweeps",
    operation: "check",
    targets: &[],
};

/// Everyone in every workload of throughput, workload by workload in the order of the report.
#[must_use]
pub fn entrants() -> Vec<Entrant> {
    [map::entrants(), fifo::entrants(), revocation::entrants(), session::entrants()].into_iter().flatten().collect()
}

/// The maps whose memory is measured.
#[must_use]
pub fn memory_entrants() -> Vec<MemoryEntrant> {
    vec![
        contender::tollgate::memory(),
        contender::hashbrown_parking_lot::memory(),
        contender::dashmap::memory(),
        contender::scc_index::memory(),
        contender::scc_map::memory(),
        contender::papaya::memory(),
        contender::leapfrog::memory(),
        contender::flurry::memory(),
        contender::moka::memory(),
    ]
}

/// The sets of the pause experiment.
#[must_use]
pub fn sweeping_entrants() -> Vec<SweepingEntrant> {
    vec![
        contender::tollgate::sweeping(),
        contender::scc_index::sweeping(),
        contender::papaya::sweeping(),
        contender::moka::sweeping(),
        contender::dashmap::sweeping(),
        contender::hashbrown_parking_lot::sweeping(),
        contender::hashbrown_std::sweeping(),
    ]
}

/// Has every entrant do a little on one thread and on two, one after the other, and checks what came of it.
///
/// # Errors
///
/// A line for each that was wrong.
pub fn self_test() -> Result<(), Vec<String>> {
    const OPERATIONS: u64 = 10_000;
    let mut wrong = Vec::new();
    for entrant in entrants() {
        for threads in 1..=entrant.max_threads.min(2) {
            let job = (entrant.make)(threads);
            for round in 1..=2 {
                let sum = (0..threads).map(|thread| job.run(thread, OPERATIONS)).fold(0, u64::wrapping_add);
                if let Err(what) = job.check(OPERATIONS * threads as u64, sum) {
                    let (id, name) = (entrant.workload.id, entrant.name);
                    wrong.push(format!("{id}, {name}, {threads} threads, round {round}: {what}"));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
