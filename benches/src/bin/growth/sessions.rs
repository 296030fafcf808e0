//! Admission: by the size of the batch, and by the number of limits that a session has.

use crate::curve::{Curve, Point};
use crate::stage::{Line, Stage};
use benches::Hasher;
use benches::load::{Cursors, each, pick};
use benches::plain::Session;
use benches::workload::Job;
use benches::workload::session::{Admission, Admit, Call, HOUR, Limits, MINUTE, TOOLS};
use dashmap::DashMap;
use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

pub(crate) const BATCHES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const SESSIONS: usize = 10_000;
const PER_AGENT: usize = 100;
/// A budget, and a rate, that are never reached.
const PLENTY: u64 = (1 << 31) - 1;

/// Batches of this size, of many sessions or of one.
struct Batches<S> {
    store: S,
    /// Ids and owners.
    sessions: Vec<(Uuid, Uuid)>,
    tools: Vec<&'static str>,
    cursors: Cursors,
}

impl<S: Admission> Batches<S> {
    fn new(count: usize, batch: usize, open: impl FnOnce(&[Uuid]) -> (S, Vec<Uuid>)) -> Self {
        let owners: Vec<_> = (0..count.div_ceil(PER_AGENT)).map(|_| Uuid::new_v4()).collect();
        let agents: Vec<_> = (0..count).map(|place| owners[place / PER_AGENT]).collect();
        let (store, ids) = open(&agents);
        let tools = TOOLS.iter().copied().cycle().take(batch).collect();
        Self { store, sessions: ids.into_iter().zip(agents).collect(), tools, cursors: Cursors::new(1) }
    }
}

impl<S: Admission> Job for Batches<S> {
    fn run(&self, thread: usize, operations: u64) -> u64 {
        let mut pin = self.store.pin();
        each(self.cursors.take(thread, operations), |n| {
            let (session, agent) = &self.sessions[pick(thread, n, self.sessions.len() as u64) as usize];
            pin.admit(Call { session, agent, tools: &self.tools }).into()
        })
    }

    fn check(&self, operations: u64, sum: u64) -> Result<(), String> {
        if sum == operations { Ok(()) } else { Err(format!("{sum} of {operations} batches were admitted")) }
    }
}

fn batches<S: Admission>(count: usize, batch: usize) -> Line {
    let open = |agents: &[Uuid]| S::open(Limits { budget: PLENTY, rate: PLENTY }, agents);
    Line::new(Box::new(Batches::<S>::new(count, batch, open)), 1)
}

/// By the number of calls in a batch.
pub(crate) fn by_batch(stage: &Stage) -> Result<Curve, String> {
    type Obvious = DashMap<Uuid, Session, Hasher>;
    let mut points = Vec::new();
    for batch in BATCHES {
        stage.progress.say(&format!("batches of {batch}"));
        let lines = [
            batches::<SessionStore>(SESSIONS, batch),
            batches::<SessionStore>(1, batch),
            batches::<Obvious>(SESSIONS, batch),
            batches::<Obvious>(1, batch),
        ];
        points.push(Point {
            place: batch as f64,
            name: batch.to_string(),
            figures: stage.nanos(&lines)?,
            more: Vec::new(),
        });
        stage.progress.step();
    }
    let reading = "Batches of calls of eight tools in turn, one thread; nanoseconds for a whole batch. Lookup, clock and \
                   the change of the state are paid once for a batch, so the curve starts flat; each further call costs \
                   the comparison of its tool with up to eight names, and from there the curve rises in proportion.";
    Ok(Curve {
        id: "batch",
        title: "Admission, by calls in a batch",
        grows: "calls in a batch",
        unit: "ns per batch",
        reading: reading.to_owned(),
        names: vec![
            "tollgate, 10,000 sessions",
            "tollgate, one session",
            "dashmap, 10,000 sessions",
            "dashmap, one session",
        ],
        more: Vec::new(),
        points,
    })
}

/// The limits that are added one by one.
pub(crate) const LIMITS: [&str; 4] = ["none", "budget", "+ 8 tools", "+ rate"];

/// tollgate's sessions with the first so many limits.
fn limited(count: usize, limits: usize) -> Result<Line, String> {
    let store = SessionStore::new(SessionConfig::new()).map_err(|error| error.to_string())?;
    let request = |agent| {
        let request = SessionRequest::new(agent).time_limit(HOUR).tools(Tools::Any);
        let request = request.budget(if limits > 0 { PLENTY } else { u64::MAX });
        let request = if limits > 1 { request.tools(Tools::only(TOOLS)) } else { request };
        if limits > 2 { request.rate(PLENTY, MINUTE) } else { request }
    };
    let mut wrong = None;
    let open = |agents: &[Uuid]| {
        let create = |&agent: &Uuid| {
            let made = store.create(request(agent));
            made.map_err(|error| wrong = Some(error.to_string())).unwrap_or_default()
        };
        let ids = agents.iter().map(create).collect();
        (store, ids)
    };
    let jobs = Batches::new(count, 1, open);
    wrong.map_or_else(|| Ok(Line::new(Box::new(jobs), 1)), Err)
}

/// By the number of limits.
pub(crate) fn by_limits(stage: &Stage) -> Result<Curve, String> {
    let mut points = Vec::new();
    for (limits, name) in LIMITS.into_iter().enumerate() {
        stage.progress.say(name);
        let lines = [limited(SESSIONS, limits)?, limited(1, limits)?];
        points.push(Point {
            // The axis is logarithmic: evenly spaced.
            place: f64::from(1 << limits),
            name: name.to_owned(),
            figures: stage.nanos(&lines)?,
            more: Vec::new(),
        });
        stage.progress.step();
    }
    let reading = "One call, one thread. Every session has an owner, an expiry and a count of its calls, which are checked \
                   in each row: `none` is a budget that cannot be reached and any tool, `budget` one of 2^31 calls. Budget \
                   and rate window are one word that is changed at once, so neither should cost a step of its own; tools \
                   are compared by name.";
    Ok(Curve {
        id: "limits",
        title: "Admission, by limits",
        grows: "limits",
        unit: "ns per call",
        reading: reading.to_owned(),
        names: vec!["10,000 sessions", "one session"],
        more: Vec::new(),
        points,
    })
}
