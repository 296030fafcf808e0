//! `SessionStore` against a list of sessions, each with the meter's model.

use crate::input::{check, option, sequence, small};
use crate::primitives::limit;
use crate::properties::meter::Model as Meter;
use arbitrary::{Result, Unstructured};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::collections::BTreeSet;
use std::time::Duration;
use tollgate::budget::Status as MeterStatus;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::session::{SessionConfig, SessionError, SessionInfo, SessionRequest, SessionStore, Status, Tools, Usage};
use uuid::Uuid;

const TOOLS: [&str; 3] = ["search", "read", "read_file_from_disk"];
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    Create(Request),
    /// At this place among all that were created, modulo their number; by an agent, if one is named; so many calls of
    /// these tools in turn.
    Admit(usize, Option<u128>, Vec<usize>),
    Get(usize),
    List,
    ListForAgent(u128),
    CountActive(u128),
    Close(usize),
    CloseForAgent(u128),
    Sweep(usize),
    /// Halves of a second to go on, or back.
    Move(i64),
}

#[derive(Clone, Debug)]
struct Request {
    agent: u128,
    budget: u64,
    /// Calls, and halves of a second, which may be none at all.
    rate: Option<(u64, u64)>,
    /// Halves of a second.
    time_limit: u64,
    /// How many of the tools; none for any.
    tools: Option<usize>,
}

fn op(input: &mut Unstructured<'_>) -> Result<Op> {
    let agent = |input: &mut Unstructured<'_>| input.int_in_range(0..=2_u128);
    let nth = |input: &mut Unstructured<'_>| input.int_in_range(0..=255_usize);
    Ok(match input.int_in_range(0..=13)? {
        0..=2 => Op::Create(Request {
            agent: agent(input)?,
            budget: small(input)?.min(1 << 32),
            rate: option(input, |input| Ok((input.int_in_range(0..=5)?, input.int_in_range(0..=9)?)))?,
            time_limit: input.int_in_range(0..=40)?,
            tools: option(input, |input| input.int_in_range(0..=TOOLS.len()))?,
        }),
        3..=5 => {
            let (nth, agent, calls) = (nth(input)?, option(input, agent)?, input.int_in_range(0..=4)?);
            let tools: Result<_> = (0..calls).map(|_| input.choose_index(TOOLS.len())).collect();
            Op::Admit(nth, agent, tools?)
        }
        6 => Op::Get(nth(input)?),
        7 => Op::List,
        8 => Op::ListForAgent(agent(input)?),
        9 => Op::CountActive(agent(input)?),
        10 => Op::Close(nth(input)?),
        11 => Op::CloseForAgent(agent(input)?),
        12 => Op::Sweep(limit(input)?),
        _ => Op::Move(input.int_in_range(-10..=30)?),
    })
}

/// Everything that a store promises, while time steps ahead and back.
pub fn sessions(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let per_agent = option(input, |input| input.int_in_range(1..=3))?;
        Ok((input.int_in_range(1..=6)?, per_agent.unwrap_or(u64::MAX), sequence(input, op)?))
    };
    check(data, decode, |(capacity, per_agent, ops)| {
        let mut pair = Pair::new(capacity, per_agent);
        for op in ops {
            pair.apply(op)?;
            pair.compare()?;
        }
        Ok(())
    });
}

struct Session {
    id: Uuid,
    agent: u128,
    meter: Meter,
    tools: Tools,
    expires_after: u64,
    /// When it may be swept.
    sweep_at: u64,
    /// Whether it was closed with its agent's.
    disbanded: bool,
}

struct Pair {
    store: SessionStore<ManualClock>,
    clock: ManualClock,
    capacity: u64,
    per_agent: u64,
    time: u64,
    high_water: u64,
    /// Those that were not swept.
    held: Vec<Session>,
    ids: Vec<Uuid>,
    closed: u64,
    expired: u64,
    refused_full: u64,
}

impl Pair {
    fn new(capacity: u64, per_agent: u64) -> Self {
        let time = 1_000 * SECOND;
        let clock = ManualClock::new(Timestamp::from_nanos(time));
        let config = SessionConfig::new().capacity(capacity).sessions_per_agent(per_agent);
        let store = SessionStore::with_clock(config, clock.clone()).unwrap();
        let (held, ids, high_water) = (Vec::new(), Vec::new(), 0);
        Self { store, clock, capacity, per_agent, time, high_water, held, ids, closed: 0, expired: 0, refused_full: 0 }
    }

    fn now(&self) -> u64 {
        self.time.max(self.high_water)
    }

    fn nth(&self, nth: usize) -> Uuid {
        nth.checked_rem(self.ids.len()).map_or(Uuid::nil(), |nth| self.ids[nth])
    }

    fn find(&self, id: Uuid) -> Option<usize> {
        self.held.iter().position(|session| session.id == id)
    }

    /// A session is found to be expired only by who looks at it: time may step back before.
    fn settle(&mut self, which: impl Fn(&Session) -> bool) {
        let now = self.now();
        let open = |session: &&mut Session| session.meter.status == MeterStatus::Open && session.expires_after < now;
        for session in self.held.iter_mut().filter(|session| which(session)).filter(open) {
            session.meter.status = MeterStatus::Expired;
            self.expired += 1;
        }
    }

    fn active(&self, agent: u128) -> u64 {
        let of = |session: &&Session| session.agent == agent && session.meter.status == MeterStatus::Open;
        self.held.iter().filter(of).count() as u64
    }

    fn sweep(&mut self) -> u64 {
        self.high_water = self.now();
        let (now, before) = (self.high_water, self.held.len());
        self.settle(|session| session.sweep_at <= now);
        self.held.retain(|session| session.sweep_at > now);
        (before - self.held.len()) as u64
    }

    fn create(&mut self, request: Request) -> TestCaseResult {
        let Request { agent, budget, rate, time_limit, tools } = request;
        let tools = tools.map_or(Tools::Any, |some| Tools::only(TOOLS.into_iter().take(some)));
        let halves = |halves: u64| Duration::from_nanos(halves * SECOND / 2);
        let mut asked = SessionRequest::new(Uuid::from_u128(agent))
            .budget(budget)
            .time_limit(halves(time_limit))
            .tools(tools.clone());
        if let Some((calls, window)) = rate {
            asked = asked.rate(calls, halves(window));
        }
        let now = self.now();
        let done = self.store.create(asked);
        if rate.is_some_and(|(_, window)| window == 0) {
            prop_assert!(matches!(done, Err(SessionError::Config(_))), "{done:?}");
            return Ok(());
        }
        if self.active(agent) >= self.per_agent {
            self.settle(|session| session.agent == agent);
        }
        if self.active(agent) >= self.per_agent {
            prop_assert_eq!(done, Err(SessionError::TooManySessions { max: self.per_agent }));
            return Ok(());
        }
        if self.held.len() as u64 == self.capacity && self.sweep() == 0 {
            self.refused_full += 1;
            prop_assert_eq!(done, Err(SessionError::Full { capacity: self.capacity }));
            return Ok(());
        }
        let id = done.unwrap();
        let rate = rate.map(|(calls, window)| (calls, u128::from(window * SECOND / 2)));
        let expires_after = now + (time_limit * SECOND / 2).max(SECOND);
        let meter = Meter::new(budget, rate, now);
        let sweep_at = expires_after + 1;
        self.held.push(Session { id, agent, meter, tools, expires_after, sweep_at, disbanded: false });
        self.ids.push(id);
        Ok(())
    }

    /// What is to be answered to a batch of calls, in the documented order.
    fn admit(&mut self, id: Uuid, agent: Option<u128>, tools: &[usize]) -> std::result::Result<Seen, SessionError> {
        let now = self.now();
        let at = self.find(id).ok_or(SessionError::NotFound)?;
        if agent.is_some_and(|agent| agent != self.held[at].agent) {
            return Err(SessionError::AgentMismatch);
        }
        self.settle(|session| session.id == id);
        let session = &mut self.held[at];
        session.meter.now = now;
        let (status, used, remaining, _) = session.meter.spent(now);
        let asked = tools.len() as u64;
        let unknown = match &session.tools {
            Tools::Only(names) => tools.iter().position(|&tool| names.iter().all(|name| name != TOOLS[tool])),
            Tools::Any => None,
        };
        if let Some(index) = unknown.filter(|_| status == MeterStatus::Open && asked <= remaining) {
            return Err(SessionError::ToolNotAuthorized { index });
        }
        session.meter.admit(asked)?;
        let (_, after, remaining, window) = session.meter.spent(now);
        debug_assert_eq!(after, used + asked);
        Ok((after, remaining, session.expires_after - now, window))
    }

    /// What is to be told of a session that was settled.
    fn told(&self, session: &Session) -> (Uuid, Status, Seen) {
        let now = self.now();
        let (status, calls, remaining, window) = session.meter.spent(now);
        let status = match status {
            MeterStatus::Open => Status::Active,
            MeterStatus::Expired => Status::Expired,
            MeterStatus::Closed => Status::Closed,
        };
        (session.id, status, (calls, remaining, session.expires_after.saturating_sub(now), window))
    }

    fn lists(&mut self, infos: Vec<SessionInfo>, which: impl Fn(&Session) -> bool) -> TestCaseResult {
        self.settle(&which);
        let expected: BTreeSet<_> =
            self.held.iter().filter(|session| which(session)).map(|session| self.told(session).0).collect();
        prop_assert_eq!(infos.len(), expected.len());
        prop_assert_eq!(infos.iter().map(|info| info.id).collect::<BTreeSet<_>>(), expected);
        for info in infos {
            let session = &self.held[self.find(info.id).unwrap()];
            prop_assert_eq!((info.id, info.status, seen(info.usage)), self.told(session));
            prop_assert_eq!(info.agent, Uuid::from_u128(session.agent));
            prop_assert_eq!(info.expires_after.as_nanos(), session.expires_after);
        }
        Ok(())
    }

    fn close(&mut self, id: Uuid) -> std::result::Result<(), SessionError> {
        let at = self.find(id).ok_or(SessionError::NotFound)?;
        self.settle(|session| session.id == id);
        let session = &mut self.held[at];
        if session.meter.status == MeterStatus::Closed {
            return Err(SessionError::Closed);
        }
        session.meter.status = MeterStatus::Closed;
        session.sweep_at = 0;
        self.closed += 1;
        Ok(())
    }

    fn close_for_agent(&mut self, agent: u128) -> u64 {
        let closed = self.closed;
        self.settle(|session| session.agent == agent);
        for session in self.held.iter_mut().filter(|session| session.agent == agent && !session.disbanded) {
            self.closed += u64::from(session.meter.status == MeterStatus::Open);
            if session.meter.status == MeterStatus::Open {
                session.meter.status = MeterStatus::Closed;
            }
            session.sweep_at = 0;
            session.disbanded = true;
        }
        self.closed - closed
    }

    fn apply(&mut self, op: Op) -> TestCaseResult {
        match op {
            Op::Create(request) => self.create(request)?,
            Op::Admit(nth, agent, tools) => {
                let id = self.nth(nth);
                let names: Vec<_> = tools.iter().map(|&tool| TOOLS[tool]).collect();
                let done = self.store.admit(&id, agent.map(Uuid::from_u128).as_ref(), &names);
                prop_assert_eq!(done.map(seen), self.admit(id, agent, &tools));
            }
            Op::Get(nth) => {
                let id = self.nth(nth);
                let found = self.store.get(&id);
                self.lists(found.into_iter().collect(), |session| session.id == id)?;
            }
            Op::List => self.lists(self.store.list(), |_| true)?,
            Op::ListForAgent(agent) => {
                let found = self.store.list_for_agent(&Uuid::from_u128(agent));
                self.lists(found, |session| session.agent == agent && !session.disbanded)?;
            }
            Op::CountActive(agent) => {
                let count = self.store.count_active(&Uuid::from_u128(agent));
                self.settle(|session| session.agent == agent);
                prop_assert_eq!(count, self.active(agent));
            }
            Op::Close(nth) => {
                let id = self.nth(nth);
                prop_assert_eq!(self.store.close(&id), self.close(id));
            }
            Op::CloseForAgent(agent) => {
                prop_assert_eq!(self.store.close_for_agent(&Uuid::from_u128(agent)), self.close_for_agent(agent));
            }
            Op::Sweep(limit) => {
                let some = self.store.sweep(limit);
                prop_assert!(some.removed <= limit as u64);
                // Which of them a limited sweep takes first is its own affair.
                let rest = self.store.sweep(usize::MAX);
                prop_assert!(!rest.more && (some.more || rest.removed == 0), "{some:?}, then {rest:?}");
                prop_assert_eq!(some.removed + rest.removed, self.sweep());
            }
            Op::Move(halves) => {
                self.time = self.time.saturating_add_signed(halves * SECOND as i64 / 2);
                self.clock.set(Timestamp::from_nanos(self.time));
            }
        }
        Ok(())
    }

    fn compare(&self) -> TestCaseResult {
        let stats = self.store.stats();
        prop_assert!(stats.live <= self.capacity);
        prop_assert_eq!((stats.live, stats.created), (self.held.len() as u64, self.ids.len() as u64));
        prop_assert_eq!((stats.closed, stats.expired), (self.closed, self.expired));
        prop_assert_eq!((stats.removed, stats.refused_full), (stats.created - stats.live, self.refused_full));
        let listed = self.held.iter().filter(|session| !session.disbanded);
        prop_assert_eq!(stats.agents, listed.map(|session| session.agent).collect::<BTreeSet<_>>().len() as u64);
        Ok(())
    }
}

/// Calls made, calls left, nanoseconds left, calls in the window.
type Seen = (u64, u64, u64, u64);

fn seen(usage: Usage) -> Seen {
    (usage.calls_made, usage.calls_remaining, usage.time_remaining.as_nanos() as u64, usage.window_calls)
}
