//! Sets of revoked tokens: is this one among them?

use super::{Against, Entrant, Job, Role, Sweeping, SweepingEntrant, Target, Workload, now_ns};
use crate::contender;
use crate::load::{Cursors, each, in_batches, key, pick};
use std::time::Duration;

/// Revoked tokens.
const REVOKED: u64 = 100_000;
/// Of so many tokens that are asked for, one is revoked.
const ASKED: u64 = 100;
/// Tokens that the set is told it may have to hold.
const CAPACITY: u64 = 1_000_000;
/// How long a token lives.
const HOUR: u64 = 3_600_000_000_000;

/// Checks.
pub static CHECK: Workload = Workload {
    id: "revocation_check",
    title: "Revocation check",
    operation: "is this token revoked: 100,000 are, 99 % of those asked for are not",
    targets: &[Target::new(2, Against::BestPeer, 1.0), Target::new(1, Against::Floor, 0.65)],
};

/// A set of revoked tokens, each until it expires.
pub trait Revocations: Send + Sync + 'static {
    /// What checks go through.
    type Pin<'a>: Check
    where
        Self: 'a;

    /// Checks that share a pin.
    const PER_PIN: u64;

    /// An empty set for so many tokens.
    fn empty(capacity: u64) -> Self;

    /// Revokes a token, and returns whether that was done. Times are by [`now_ns`].
    fn remember(&self, id: u128, expires_at: u64) -> bool;

    /// Forgets all that has expired.
    fn forget(&self, now: u64);

    /// A pin for that many checks.
    fn pin(&self) -> Self::Pin<'_>;
}

/// Asking a set of revoked tokens.
pub trait Check {
    /// Whether it is revoked.
    fn is_revoked(&mut self, id: u128) -> bool;
}

struct Checks<R> {
    set: R,
    cursors: Cursors,
}

impl<R: Revocations> Job for Checks<R> {
    fn run(&self, thread: usize, operations: u64) -> u64 {
        in_batches(self.cursors.take(thread, operations), R::PER_PIN, |batch| {
            let mut pin = self.set.pin();
            each(batch, |n| pin.is_revoked(key(0, pick(thread, n, REVOKED * ASKED))).into())
        })
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        // A sum of independent draws: six standard deviations.
        let expected = operations / ASKED;
        let within = 6 * (expected.isqrt() + 1);
        if sum.abs_diff(expected) <= within { Ok(()) } else { Err(format!("{sum} of {operations} were revoked")) }
    }
}

/// A set of 100,000, as a job.
#[must_use]
pub fn checks<R: Revocations>(threads: usize) -> Box<dyn Job> {
    let set = R::empty(CAPACITY);
    let expires_at = now_ns() + HOUR;
    for number in 0..REVOKED {
        assert!(set.remember(key(0, number), expires_at), "there is room");
    }
    Box::new(Checks { set, cursors: Cursors::new(threads) })
}

/// A set in the workload of checks.
#[must_use]
pub fn enter<R: Revocations>(name: &'static str, version: &'static str, role: Role) -> Entrant {
    Entrant {
        workload: &CHECK,
        name,
        version,
        role,
        max_threads: if role == Role::Floor { 1 } else { usize::MAX },
        make: checks::<R>,
        lacks: if matches!(role, Role::Floor | Role::Limit) { String::new } else { lacks::<R> },
    }
}

impl<R: Revocations> Sweeping for R {
    fn check(&self, id: u128) -> bool {
        self.pin().is_revoked(id)
    }

    fn revoke(&self, id: u128, expires_at: u64) {
        assert!(self.remember(id, expires_at), "there is room");
    }

    fn sweep(&self, now: u64) {
        self.forget(now);
    }
}

/// A set in the pause experiment.
#[must_use]
pub fn sweeping<R: Revocations>(name: &'static str, version: &'static str, role: Role) -> SweepingEntrant {
    SweepingEntrant { name, version, role, make: |capacity| Box::new(R::empty(capacity)) }
}

/// What a set does not do: remember all that it took, keep to its capacity, remember what has only just expired, for
/// the clocks of other machines.
fn lacks<R: Revocations>() -> String {
    const SOME: u64 = 1_000;
    let just_now = Duration::from_secs(30).as_nanos() as u64;
    let mut lacks = Vec::new();
    let set = R::empty(REVOKED);
    let taken = (0..REVOKED + SOME).filter(|&n| set.remember(key(0, n), now_ns() + HOUR)).count();
    let known = (0..REVOKED + SOME).filter(|&n| set.pin().is_revoked(key(0, n))).count();
    if known < taken {
        lacks.push(format!("forgot {} of {taken} revoked", taken - known));
    }
    if known as u64 > REVOKED {
        lacks.push(format!("no cap (holds {known} of {REVOKED})"));
    }
    let set = R::empty(REVOKED);
    let taken = (0..SOME).filter(|&n| set.remember(key(0, n), now_ns() - just_now)).count();
    set.forget(now_ns());
    let known = (0..SOME).filter(|&n| set.pin().is_revoked(key(0, n))).count();
    if known < taken {
        lacks.push(format!("no grace (forgot {} of {taken} that expired 30 s ago)", taken - known));
    }
    lacks.join("; ")
}

/// Everyone in the workload of checks.
#[must_use]
pub fn entrants() -> Vec<Entrant> {
    vec![
        contender::tollgate::revocations(),
        contender::scc_index::revocations(),
        contender::papaya::revocations(),
        contender::dashmap::revocations(),
        contender::scc_map::revocations(),
        contender::moka::revocations(),
        contender::hashbrown_parking_lot::revocations(),
        contender::hashbrown_std::revocations(),
        contender::floor::revocations(),
        contender::limit::revocations(),
    ]
}
