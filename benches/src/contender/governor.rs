//! `governor`: rate limits by key (GCRA). It has the rate part of admission alone.

use crate::Hasher;
use crate::versions;
use crate::workload::session::{self, Admission, Admit, Call, Limits};
use crate::workload::{Entrant, Role};
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use uuid::Uuid;

type Limiter = RateLimiter<Uuid, DashMapStateStore<Uuid, Hasher>, DefaultClock>;

impl Admission for Limiter {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let rate = u32::try_from(limits.rate).ok().and_then(NonZeroU32::new).expect("a rate that it can have");
        let limiter = Self::dashmap_with_hasher(Quota::per_minute(rate), Hasher::new());
        (limiter, agents.iter().map(|_| Uuid::new_v4()).collect())
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &Limiter {
    fn admit(&mut self, call: Call<'_>) -> bool {
        match NonZeroU32::new(call.tools.len() as u32) {
            None | Some(NonZeroU32::MIN) => self.check_key(call.session).is_ok(),
            Some(calls) => matches!(self.check_key_n(call.session, calls), Ok(Ok(_))),
        }
    }
}

/// In the workloads of admission, but for the one of exhausted budgets: it has none.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    let mut entrants = session::enter::<Limiter>("governor", versions::of("governor"), Role::Part);
    entrants.retain(|entrant| entrant.workload.id != session::REFUSED.id);
    entrants
}
