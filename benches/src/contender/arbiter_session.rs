//! `arbiter-session`: the store whose behaviour tollgate's follows, behind an asynchronous lock. Two ways of calling it:
//! from threads that have no runtime, and from tasks of a runtime with as many workers as there are threads.

use crate::versions;
use crate::workload::session::{self, Admission, Admit, Call, HOUR, Limits, MINUTE, Script, TOOLS};
use crate::workload::{Entrant, Job, Role, Workload};
use arbiter_session::{CreateSessionRequest, DataSensitivity, SessionStore};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

impl Admission for SessionStore {
    type Pin<'a> = &'a Self;

    const PER_PIN: u64 = u64::MAX;

    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>) {
        let store = Self::new();
        let open = |&agent: &Uuid| pollster::block_on(store.create(request(agent, limits))).session_id;
        let ids = agents.iter().map(open).collect();
        (store, ids)
    }

    fn pin(&self) -> &Self {
        self
    }
}

impl Admit for &SessionStore {
    fn admit(&mut self, call: Call<'_>) -> bool {
        pollster::block_on(admit(self, call))
    }
}

async fn admit(store: &SessionStore, call: Call<'_>) -> bool {
    match call.tools {
        [tool] => store.use_session(*call.session, tool, Some(*call.agent)).await.is_ok(),
        tools => store.use_session_batch(*call.session, tools, Some(*call.agent)).await.is_ok(),
    }
}

fn request(agent: Uuid, limits: Limits) -> CreateSessionRequest {
    CreateSessionRequest {
        agent_id: agent,
        delegation_chain_snapshot: Vec::new(),
        declared_intent: String::new(),
        authorized_tools: TOOLS.map(Into::into).into(),
        authorized_credentials: Vec::new(),
        time_limit: chrono::Duration::from_std(HOUR).expect("not too long"),
        call_budget: limits.budget,
        rate_limit_per_minute: Some(limits.rate),
        rate_limit_window_secs: MINUTE.as_secs(),
        data_sensitivity_ceiling: DataSensitivity::Public,
    }
}

/// A run is a task of the runtime; the thread waits for it.
struct Tasks {
    runtime: Runtime,
    shared: Arc<(SessionStore, Script)>,
}

impl Job for Tasks {
    fn run(&self, thread: usize, operations: u64) -> u64 {
        let shared = Arc::clone(&self.shared);
        let numbers = shared.1.take(thread, operations);
        let task = self.runtime.spawn(async move {
            let (store, script) = &*shared;
            let mut admitted = 0;
            for number in numbers {
                admitted += u64::from(admit(store, script.call(thread, number)).await);
            }
            admitted
        });
        self.runtime.block_on(task).expect("no task panics")
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        self.shared.1.check(operations, sum)
    }
}

fn tasks(workload: &Workload, threads: usize) -> Box<dyn Job> {
    let (store, script) = Script::new(workload, threads, SessionStore::open);
    script.prepare(|call| (&store).admit(call));
    let runtime = Builder::new_multi_thread().worker_threads(threads).build().expect("a runtime without drivers");
    Box::new(Tasks { runtime, shared: Arc::new((store, script)) })
}

/// In the workloads of admission.
#[must_use]
pub fn sessions() -> Vec<Entrant> {
    let version = versions::of("arbiter-session");
    let mut entrants = session::enter::<SessionStore>("arbiter-session, block_on", version, Role::Upstream);
    let make: [fn(usize) -> Box<dyn Job>; 5] = [
        |threads| tasks(&session::MANY, threads),
        |threads| tasks(&session::HOT, threads),
        |threads| tasks(&session::REFUSED, threads),
        |threads| tasks(&session::MANY_BATCH, threads),
        |threads| tasks(&session::HOT_BATCH, threads),
    ];
    let in_tasks = session::enter::<SessionStore>("arbiter-session, tokio", version, Role::Upstream);
    entrants.extend(in_tasks.into_iter().zip(make).map(|(entrant, make)| Entrant { make, ..entrant }));
    entrants
}
