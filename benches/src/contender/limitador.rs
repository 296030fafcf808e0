//! `limitador`: rate limits by conditions and variables. It has the rate part of admission alone.

use crate::versions;
use crate::workload::session::{self, Admission, Admit, Call, Limits, MINUTE};
use crate::workload::{Entrant, Role};
use limitador::RateLimiter;
use limitador::limit::{Context, Expression, Limit, Namespace};
use std::collections::HashMap;
use uuid::Uuid;

const VARIABLE: &str = "session";

struct Limitador {
    limiter: RateLimiter,
    namespace: Namespace,
}

impl Admission for Limitador {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let namespace = Namespace::from("gateway");
        // Room for the counters of all sessions, so that none is forgotten.
        let limiter = RateLimiter::new(agents.len() as u64 * 2);
        let variable = Expression::parse(VARIABLE).expect("a variable");
        limiter.add_limit(Limit::new(namespace.clone(), limits.rate, MINUTE.as_secs(), [], [variable]));
        (Self { limiter, namespace }, agents.iter().map(|_| Uuid::new_v4()).collect())
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &Limitador {
    fn admit(&mut self, call: Call<'_>) -> bool {
        let context = Context::from(HashMap::from([(VARIABLE.to_owned(), call.session.to_string())]));
        let calls = call.tools.len() as u64;
        let checked = self.limiter.check_rate_limited_and_update(&self.namespace, &context, calls);
        checked.is_ok_and(|result| !result.limited)
    }
}

/// In the workloads of admission, but for the one of exhausted budgets: it has none.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    let mut entrants = session::enter::<Limitador>("limitador", versions::of("limitador"), Role::Part);
    entrants.retain(|entrant| entrant.workload.id != session::REFUSED.id);
    entrants
}
