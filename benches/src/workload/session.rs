//! Sessions with budgets: is this call admitted?

use super::{Against, Entrant, Job, Role, Target, Workload};
use crate::contender;
use crate::load::{Cursors, below, bits, each, in_batches};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use uuid::Uuid;

/// Sessions of the workloads with many.
pub const SESSIONS: usize = 10_000;
/// Sessions of one agent.
const PER_AGENT: usize = 100;
/// What a session may call.
pub const TOOLS: [&str; 8] =
    ["read_file", "write_file", "list_dir", "search_code", "run_tests", "open_issue", "send_mail", "fetch_url"];
/// The same with the first three once more, so that any three that follow one are a slice.
const TOOLS_AND_ON: [&str; 11] =
    [TOOLS[0], TOOLS[1], TOOLS[2], TOOLS[3], TOOLS[4], TOOLS[5], TOOLS[6], TOOLS[7], TOOLS[0], TOOLS[1], TOOLS[2]];
/// A budget and a rate that are never reached.
const PLENTY: u64 = (1 << 31) - 1;
/// The rate window.
pub const MINUTE: Duration = Duration::from_secs(60);
/// How long a session lives.
pub const HOUR: Duration = Duration::from_secs(3_600);

const TARGETS_MANY: &[Target] = &[
    Target::new(2, Against::BestPeer, 2.0),
    Target::new(2, Against::Upstream, 15.0),
    Target::new(1, Against::BestPeer, 2.0),
    Target::new(1, Against::Upstream, 8.0),
];
const TARGETS_HOT: &[Target] = &[
    Target::new(2, Against::BestPeer, 1.2),
    Target::new(2, Against::Limit("bare CAS"), 0.4),
    Target::new(1, Against::BestPeer, 1.0),
];

/// Calls of many sessions.
pub static MANY: Workload = Workload {
    id: "admit_10k",
    title: "Admission, 10,000 sessions",
    operation: "one call: lookup, owner, closed, expiry, budget, one of 8 tools, rate window, clock",
    targets: TARGETS_MANY,
};

/// Calls of one session.
pub static HOT: Workload = Workload {
    id: "admit_hot",
    title: "Admission, one hot session",
    operation: "one call, all of the same session",
    targets: TARGETS_HOT,
};

/// Calls that are refused.
pub static REFUSED: Workload = Workload {
    id: "admit_refused",
    title: "Refusal, 10,000 sessions with an exhausted budget",
    operation: "one call that the budget refuses",
    targets: &[],
};

/// Batches of many sessions.
pub static MANY_BATCH: Workload = Workload {
    id: "admit_10k_batch4",
    title: "Admission of batches of 4, 10,000 sessions",
    operation: "one batch of four tools, all or nothing",
    targets: TARGETS_MANY,
};

/// Batches of one session.
pub static HOT_BATCH: Workload = Workload {
    id: "admit_hot_batch4",
    title: "Admission of batches of 4, one hot session",
    operation: "one batch of four tools, all or nothing, all of the same session",
    targets: TARGETS_HOT,
};

/// The workloads in the order of the report.
pub static ALL: [&Workload; 5] = [&MANY, &HOT, &REFUSED, &MANY_BATCH, &HOT_BATCH];

/// What a session may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls in all.
    pub budget: u64,
    /// Calls in a minute.
    pub rate: u64,
}

/// What is asked of a session.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Which session.
    pub session: &'a Uuid,
    /// Who asks.
    pub agent: &'a Uuid,
    /// The tools to be called, all or none.
    pub tools: &'a [&'a str],
}

/// A store of sessions.
pub trait Admission: Send + Sync + Sized + 'static {
    /// What calls go through.
    type Pin<'a>: Admit
    where
        Self: 'a;

    /// Calls that share a pin.
    const PER_PIN: u64;

    /// A session for each of these agents, with the ids that they got.
    fn open(limits: Limits, agents: &[Uuid]) -> (Self, Vec<Uuid>);

    /// A pin for that many calls.
    fn pin(&self) -> Self::Pin<'_>;
}

/// Asking a store of sessions.
pub trait Admit {
    /// Whether these calls are admitted, and counted.
    fn admit(&mut self, call: Call<'_>) -> bool;
}

/// The calls that a workload makes.
#[derive(Debug)]
pub struct Script {
    /// Sessions and who owns them.
    sessions: Vec<(Uuid, Uuid)>,
    batch: usize,
    admitted: bool,
    cursors: Cursors,
}

impl Script {
    /// The calls of `workload` on what `open` makes.
    pub fn new<S>(
        workload: &Workload,
        threads: usize,
        open: impl FnOnce(Limits, &[Uuid]) -> (S, Vec<Uuid>),
    ) -> (S, Self) {
        let count = if workload.id == HOT.id || workload.id == HOT_BATCH.id { 1 } else { SESSIONS };
        let batch = if workload.id == MANY_BATCH.id || workload.id == HOT_BATCH.id { 4 } else { 1 };
        let admitted = workload.id != REFUSED.id;
        let owners: Vec<_> = (0..count.div_ceil(PER_AGENT)).map(|_| Uuid::new_v4()).collect();
        let agents: Vec<_> = (0..count).map(|place| owners[place / PER_AGENT]).collect();
        let budget = if admitted { PLENTY } else { 1 };
        let (store, ids) = open(Limits { budget, rate: PLENTY }, &agents);
        let sessions = ids.into_iter().zip(agents).collect();
        (store, Self { sessions, batch, admitted, cursors: Cursors::new(threads) })
    }

    /// Where calls are to be refused, lets every session use up its budget first.
    pub fn prepare(&self, mut admit: impl FnMut(Call<'_>) -> bool) {
        let exhausted = if self.admitted { &[] } else { self.sessions.as_slice() };
        for (session, agent) in exhausted {
            assert!(admit(Call { session, agent, tools: &TOOLS[..1] }), "the first call is admitted");
        }
    }

    /// The numbers of a thread's next calls.
    #[must_use]
    pub fn take(&self, thread: usize, operations: u64) -> std::ops::Range<u64> {
        self.cursors.take(thread, operations)
    }

    /// A thread's call of this number.
    #[must_use]
    pub fn call(&self, thread: usize, number: u64) -> Call<'_> {
        let bits = bits(thread, number);
        let (session, agent) = &self.sessions[below(bits, self.sessions.len() as u64) as usize];
        let first = bits as usize % TOOLS.len();
        Call { session, agent, tools: &TOOLS_AND_ON[first..first + self.batch] }
    }

    /// Whether `sum` of `operations` calls may have been admitted.
    ///
    /// # Errors
    ///
    /// What was wrong.
    pub fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        let expected = if self.admitted { operations } else { 0 };
        if sum == expected { Ok(()) } else { Err(format!("{sum} of {operations} admitted instead of {expected}")) }
    }
}

struct Calls<S> {
    store: S,
    script: Script,
}

impl<S: Admission> Job for Calls<S> {
    fn run(&self, thread: usize, operations: u64) -> u64 {
        in_batches(self.script.take(thread, operations), S::PER_PIN, |batch| {
            let mut pin = self.store.pin();
            each(batch, |n| pin.admit(self.script.call(thread, n)).into())
        })
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        self.script.check(operations, sum)
    }
}

fn calls<S: Admission>(workload: &Workload, threads: usize) -> Box<dyn Job> {
    let (store, script) = Script::new(workload, threads, S::open);
    script.prepare(|call| store.pin().admit(call));
    Box::new(Calls { store, script })
}

/// A store in all workloads of admission.
#[must_use]
pub fn enter<S: Admission>(name: &'static str, version: &'static str, role: Role) -> Vec<Entrant> {
    let entrant = |workload, make| Entrant {
        workload,
        name,
        version,
        role,
        max_threads: if role == Role::Floor { 1 } else { usize::MAX },
        make,
        lacks: if role == Role::Floor { String::new } else { lacks::<S> },
    };
    vec![
        entrant(&MANY, |threads| calls::<S>(&MANY, threads)),
        entrant(&HOT, |threads| calls::<S>(&HOT, threads)),
        entrant(&REFUSED, |threads| calls::<S>(&REFUSED, threads)),
        entrant(&MANY_BATCH, |threads| calls::<S>(&MANY_BATCH, threads)),
        entrant(&HOT_BATCH, |threads| calls::<S>(&HOT_BATCH, threads)),
    ]
}

/// What a store does not do: check the owner, the tool, the budget and the rate; refuse a batch without consuming
/// anything; keep a budget that two threads share.
#[must_use]
pub fn lacks<S: Admission>() -> String {
    const FEW: u64 = 10;
    let admitted = |limits, agent: Option<Uuid>, tools: &[&[&str]]| {
        let owner = Uuid::new_v4();
        let (store, ids) = S::open(limits, &[owner]);
        let agent = agent.unwrap_or(owner);
        let call = |tools: &&[&str]| store.pin().admit(Call { session: &ids[0], agent: &agent, tools });
        tools.iter().filter(|tools| call(tools)).count() as u64
    };
    let one = &TOOLS[..1];
    let twelve = vec![one; 12];
    let plenty = Limits { budget: PLENTY, rate: PLENTY };
    let mut lacks = Vec::new();
    if admitted(plenty, Some(Uuid::new_v4()), &[one]) > 0 {
        lacks.push("owner not checked".to_owned());
    }
    if admitted(plenty, None, &[&["drop_tables"]]) > 0 {
        lacks.push("tool not checked".to_owned());
    }
    let over = admitted(Limits { budget: FEW, ..plenty }, None, &twelve);
    if over > FEW {
        lacks.push(format!("no budget (admits {over} of {FEW})"));
    } else {
        let (sold, budget) = sold::<S>();
        if sold != budget {
            lacks.push(format!("admits {sold} of {budget} from two threads"));
        }
    }
    let over = admitted(Limits { rate: FEW, ..plenty }, None, &twelve);
    if over > FEW {
        lacks.push(format!("no rate limit (admits {over} of {FEW})"));
    }
    // Eight of ten calls, then a batch of four that does not fit, then the two that are left.
    let calls: [&[&str]; 4] = [&TOOLS, &TOOLS[..4], one, one];
    let fitting = admitted(Limits { rate: FEW, budget: FEW }, None, &calls);
    if fitting < 3 {
        lacks.push(format!("a refused batch consumes {} of the 2 calls left", 3 - fitting));
    }
    lacks.join("; ")
}

/// What two threads are admitted of a budget that is half of what they ask for.
fn sold<S: Admission>() -> (u64, u64) {
    const BUDGET: u64 = 20_000;
    let owner = Uuid::new_v4();
    let (store, ids) = S::open(Limits { budget: BUDGET, rate: PLENTY }, &[owner]);
    let sold = AtomicU64::new(0);
    let ask = || {
        let call = Call { session: &ids[0], agent: &owner, tools: &TOOLS[..1] };
        let admitted = each(0..BUDGET, |_| store.pin().admit(call).into());
        sold.fetch_add(admitted, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        scope.spawn(ask);
        scope.spawn(ask);
    });
    (sold.into_inner(), BUDGET)
}

/// Everyone in the workloads of admission.
#[must_use]
pub fn entrants() -> Vec<Entrant> {
    let mut all = Vec::new();
    all.extend(contender::tollgate::sessions());
    all.extend(contender::hashbrown_parking_lot::sessions());
    all.extend(contender::hashbrown_std::sessions());
    all.extend(contender::dashmap::sessions());
    all.extend(contender::scc_map::sessions());
    all.extend(contender::papaya::sessions());
    all.extend(contender::arbiter_session::sessions());
    all.extend(contender::governor::sessions());
    all.extend(contender::limitador::sessions());
    all.extend(contender::floor::sessions());
    all.extend(contender::limit::sessions());
    all.sort_by_key(|entrant| ALL.iter().position(|workload| workload.id == entrant.workload.id));
    all
}
