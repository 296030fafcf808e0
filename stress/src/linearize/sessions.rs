//! Admission and closing of sessions: a session's budget and rate, its agent's cap, and one instant for all of an agent's.
//!
//! Two agents with two sessions each are checked together. Time is what callers bring; the store's own clock stands still.

use super::check::{MAX_THREADS, Model};
use super::meter::{Counts, Used};
use super::record::{Subject, pause};
use crate::run::{Checked, broken};
use fastrand::Rng;
use std::time::Duration;
use tollgate::budget::{Denied, Status as MeterStatus};
use tollgate::clock::{Clock, Timestamp};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Status, Tools};
use uuid::Uuid;

const START: Timestamp = Timestamp::from_secs(1_000);
const AGENTS: usize = 2;
const SESSIONS: usize = 4;
/// Active sessions that an agent may have.
const PLACES: u64 = 4;
const RATE: u64 = 6;
/// Of a rate window, and of a session's life.
const WINDOW: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(60);

/// Always the same, and sometimes slow to say it.
#[derive(Debug)]
struct Slow;

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        pause();
        START
    }
}

pub(super) struct Sessions {
    store: SessionStore<Slow>,
    ids: [Uuid; SESSIONS],
    budgets: [u64; SESSIONS],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Admit(Batch),
    Close(usize),
    CloseForAgent(usize),
    Get(usize),
    Create(usize),
    CountActive(usize),
    Sweep,
}

/// A batch of calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    session: usize,
    calls: usize,
    /// Whether its agent asks for it, and for a tool that is allowed.
    owner: bool,
    allowed: bool,
    /// Seconds since the start.
    at: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Admit(Batch, Result<Used, SessionError>),
    Close(usize, Result<(), SessionError>),
    /// The session that this call ended, if it did, gives its place back.
    Leave,
    CloseForAgent(usize, u64),
    /// The status that a get saw, and the calls that it saw then.
    Status(usize, Option<Status>),
    Calls(usize, u64),
    /// Whether there was a place.
    Create(usize, bool),
    CountActive(usize, u64),
    /// Sessions that are closed may go from now on.
    Sweep,
}

/// Sessions belong to the agent `index % AGENTS`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    sessions: [Session; SESSIONS],
    agents: [Agent; AGENTS],
    /// The agent and roster that a thread's call has to give a place back to.
    leaving: [Option<(usize, u8)>; MAX_THREADS],
    sweeping: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    counts: Counts,
    swept: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Agent {
    /// How often all its sessions were closed: those that there are at first belong to roster 0.
    roster: u8,
    /// Places taken on the present roster.
    places: u64,
}

impl Store {
    fn is_roster_closed(&self, session: usize) -> bool {
        self.agents[session % AGENTS].roster > 0
    }

    /// The status once it is settled at a time by which it has or has not expired.
    fn settle(&mut self, thread: usize, session: usize, expired: bool) -> MeterStatus {
        let to = if self.is_roster_closed(session) {
            MeterStatus::Closed
        } else if expired {
            MeterStatus::Expired
        } else {
            MeterStatus::Open
        };
        if self.sessions[session].counts.status == MeterStatus::Open {
            self.shut(thread, session, to);
        }
        self.sessions[session].counts.status
    }

    fn shut(&mut self, thread: usize, session: usize, to: MeterStatus) {
        let status = &mut self.sessions[session].counts.status;
        if *status == MeterStatus::Open && to != MeterStatus::Open {
            self.leaving[thread] = Some((session % AGENTS, 0));
        }
        *status = to;
    }

    fn admit(&mut self, thread: usize, batch: Batch) -> Result<Used, SessionError> {
        let Batch { session, calls, owner, allowed, at } = batch;
        if self.sessions[session].swept {
            return Err(SessionError::NotFound);
        }
        if !owner {
            return Err(SessionError::AgentMismatch);
        }
        match self.settle(thread, session, at > LIFE.as_secs()) {
            MeterStatus::Open => {}
            MeterStatus::Expired => return Err(SessionError::Expired),
            MeterStatus::Closed => return Err(SessionError::Closed),
        }
        let counts = &mut self.sessions[session].counts;
        let (asked, now) = (calls as u64, Duration::from_secs(at).as_nanos() as u64);
        // The budget comes before the tools, the rate after.
        if !allowed && asked > 0 && asked <= counts.remaining() {
            return Err(SessionError::ToolNotAuthorized { index: 0 });
        }
        counts.admit(asked, now).map_err(|denied| match denied {
            Denied::Rate { asked, limit, used, retry_at } => {
                let after = |at: Timestamp| START.saturating_add(at.saturating_since(Timestamp::ZERO));
                SessionError::RateLimited { asked, limit, used, retry_at: retry_at.map(after) }
            }
            other => other.into(),
        })
    }

    fn close(&mut self, thread: usize, session: usize) -> Result<(), SessionError> {
        if self.sessions[session].swept {
            return Err(SessionError::NotFound);
        }
        if self.settle(thread, session, false) == MeterStatus::Closed {
            return Err(SessionError::Closed);
        }
        self.shut(thread, session, MeterStatus::Closed);
        Ok(())
    }

    fn status(&mut self, thread: usize, session: usize) -> Option<Status> {
        if self.sessions[session].swept {
            return None;
        }
        Some(match self.settle(thread, session, false) {
            MeterStatus::Open => Status::Active,
            MeterStatus::Expired => Status::Expired,
            MeterStatus::Closed => Status::Closed,
        })
    }
}

impl Model for Store {
    type Step = Step;

    fn apply(&mut self, thread: usize, step: &Step) -> bool {
        match *step {
            Step::Admit(batch, ref answer) => self.admit(thread, batch) == *answer,
            Step::Close(session, ref answer) => self.close(thread, session) == *answer,
            Step::Leave => {
                if let Some((agent, roster)) = self.leaving[thread].take() {
                    let Agent { roster: present, places } = &mut self.agents[agent];
                    // A roster that was closed has counted the session already.
                    *places -= u64::from(*present == roster);
                }
                true
            }
            Step::CloseForAgent(agent, closed) => {
                let Agent { roster, places } = &mut self.agents[agent];
                *roster += 1;
                std::mem::take(places) == closed
            }
            Step::Status(session, status) => self.status(thread, session) == status,
            Step::Calls(session, calls) => self.sessions[session].counts.calls == calls,
            Step::Create(agent, done) => {
                let places = &mut self.agents[agent].places;
                let room = *places < PLACES;
                *places += u64::from(room);
                room == done
            }
            Step::CountActive(agent, active) => self.agents[agent].places == active,
            Step::Sweep => {
                self.sweeping = true;
                true
            }
        }
    }

    fn is_read(step: &Step) -> bool {
        matches!(step, Step::Calls(..) | Step::CountActive(..) | Step::Create(_, false))
    }

    /// A sweep takes away what is closed, and says only how much. What expired by a caller's time has not expired by the
    /// store's.
    fn hidden(&self) -> Vec<Self> {
        let gone = |session: &usize| {
            let Session { counts, swept } = &self.sessions[*session];
            !swept && (counts.status == MeterStatus::Closed || self.is_roster_closed(*session))
        };
        let sweep = |session: usize| {
            let mut after = self.clone();
            after.sessions[session].swept = true;
            after
        };
        if self.sweeping { (0..SESSIONS).filter(gone).map(sweep).collect() } else { Vec::new() }
    }
}

fn agent(index: usize) -> Uuid {
    Uuid::from_u128(index as u128 + 1)
}

fn request(index: usize, budget: u64) -> SessionRequest {
    SessionRequest::new(agent(index)).budget(budget).rate(RATE, WINDOW).time_limit(LIFE).tools(Tools::only(["a"]))
}

impl Subject for Sessions {
    type Op = Op;
    type Model = Store;
    const CALLS: u64 = 16;

    fn new(rng: &mut Rng) -> Checked<Self> {
        let store = SessionStore::with_clock(SessionConfig::new().sessions_per_agent(PLACES), Slow).or_else(broken)?;
        let budgets = std::array::from_fn(|_| rng.u64(2..16));
        let mut ids = [Uuid::nil(); SESSIONS];
        for (index, id) in ids.iter_mut().enumerate() {
            *id = store.create(request(index % AGENTS, budgets[index])).or_else(broken)?;
        }
        Ok(Self { store, ids, budgets })
    }

    fn start(&self) -> Store {
        let rate = Some((RATE, WINDOW.as_nanos() as u64));
        let session = |budget| Session { counts: Counts::new(budget, rate), swept: false };
        Store {
            sessions: self.budgets.map(session),
            agents: std::array::from_fn(|_| Agent { roster: 0, places: (SESSIONS / AGENTS) as u64 }),
            leaving: [None; MAX_THREADS],
            sweeping: false,
        }
    }

    fn plan(rng: &mut Rng, unique: u64) -> Op {
        let (session, agent) = (rng.usize(..SESSIONS), rng.usize(..AGENTS));
        let late = if rng.u8(..32) == 0 { 2 * LIFE.as_secs() } else { 0 };
        let at = unique % 1_000 + late;
        let batch = Batch { session, calls: rng.usize(..3), owner: rng.u8(..16) > 0, allowed: rng.u8(..16) > 0, at };
        match rng.u8(..64) {
            0..40 => Op::Admit(batch),
            40..43 => Op::Close(session),
            43 => Op::CloseForAgent(agent),
            44..50 => Op::Get(session),
            50..54 => Op::Create(agent),
            54..60 => Op::CountActive(agent),
            _ => Op::Sweep,
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let (store, ids) = (&self.store, &self.ids);
        match op {
            Op::Admit(batch) => {
                let Batch { session, calls, owner, allowed, at } = batch;
                let asks = agent(if owner { session % AGENTS } else { AGENTS });
                let tool = if allowed { "a" } else { "b" };
                let now = START.saturating_add(Duration::from_secs(at));
                let answer = store.admit_at(&ids[session], Some(&asks), &[tool; 2][..calls], now).map(|usage| Used {
                    calls: usage.calls_made,
                    remaining: usage.calls_remaining,
                    window_calls: usage.window_calls,
                });
                steps.extend([Step::Admit(batch, answer), Step::Leave]);
            }
            Op::Close(session) => steps.extend([Step::Close(session, store.close(&ids[session])), Step::Leave]),
            Op::CloseForAgent(index) => steps.push(Step::CloseForAgent(index, store.close_for_agent(&agent(index)))),
            Op::Get(session) => {
                let info = store.get(&ids[session]);
                steps.push(Step::Status(session, info.as_ref().map(|info| info.status)));
                steps.extend(info.map(|info| Step::Calls(session, info.usage.calls_made)));
                steps.push(Step::Leave);
            }
            Op::Create(index) => steps.push(Step::Create(index, store.create(request(index, 1)).is_ok())),
            Op::CountActive(index) => steps.push(Step::CountActive(index, store.count_active(&agent(index)))),
            Op::Sweep => {
                store.sweep(2);
                steps.push(Step::Sweep);
            }
        }
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        (0..AGENTS).for_each(|agent| self.call(Op::CountActive(agent), steps));
        (0..SESSIONS).for_each(|session| self.call(Op::Get(session), steps));
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;

    fn judged(steps: Vec<(usize, u64, u64, Step)>) -> bool {
        let mut sessions = Sessions::new(&mut Rng::with_seed(1)).unwrap();
        sessions.budgets = [2; SESSIONS];
        holds(&sessions.start(), steps)
    }

    fn admit(session: usize, at: u64, used: u64) -> Step {
        let batch = Batch { session, calls: 1, owner: true, allowed: true, at };
        Step::Admit(batch, Ok(Used { calls: used, remaining: 2 - used, window_calls: used }))
    }

    #[test]
    fn rejects_a_session_that_is_oversold() {
        assert!(judged(vec![(0, 0, 3, admit(0, 0, 2)), (1, 1, 2, admit(0, 0, 1))]));
        assert!(!judged(vec![(0, 0, 3, admit(0, 0, 1)), (1, 1, 2, admit(0, 0, 1))]));
    }

    #[test]
    fn rejects_an_admission_after_a_close_or_the_end_of_its_life() {
        let close = vec![(0, 0, 1, Step::Close(0, Ok(()))), (0, 0, 1, Step::Leave)];
        assert!(!judged([close, vec![(1, 2, 3, admit(0, 0, 1))]].concat()));
        assert!(!judged(vec![(1, 2, 3, admit(0, LIFE.as_secs() + 1, 1))]));
    }

    #[test]
    fn rejects_sessions_of_an_agent_that_close_one_after_the_other() {
        let close = (0, 0, 9, Step::CloseForAgent(0, 2));
        let closed = (1, 1, 2, Step::Status(0, Some(Status::Closed)));
        assert!(judged(vec![close.clone(), closed.clone(), (1, 3, 4, admit(1, 0, 1))]));
        assert!(!judged(vec![close, closed, (1, 3, 4, admit(2, 0, 1))]));
    }

    #[test]
    fn rejects_one_session_more_than_an_agent_may_have() {
        let create = |start| (0, start, start + 1, Step::Create(0, true));
        assert!(judged(vec![create(0), create(2)]));
        assert!(!judged(vec![create(0), create(2), create(4)]));
    }

    #[test]
    fn a_sweep_takes_what_is_closed_and_nothing_else() {
        let (sweep, gone) = ((0, 2, 3, Step::Sweep), (1, 4, 5, Step::Status(0, None)));
        let close = vec![(0, 0, 1, Step::Close(0, Ok(()))), (0, 0, 1, Step::Leave)];
        assert!(judged([close.clone(), vec![sweep.clone(), gone.clone()]].concat()));
        assert!(!judged(vec![sweep, gone.clone()]));
        assert!(!judged([close, vec![gone]].concat()));
    }
}
