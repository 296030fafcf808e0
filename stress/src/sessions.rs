//! Tries to make sessions oversell or outlive their end: calls made are the calls admitted, never over the budget;
//! what was closed admits nothing that starts later, all sessions of an agent at one instant; no cap is ever exceeded.

use crate::run::{Broken, Checked, Round, at_most, broken, ensure, same};
use fastrand::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

const OPERATIONS: u64 = 1_000;
const START: Timestamp = Timestamp::from_secs(1_000);
const HOUR: Duration = Duration::from_secs(3_600);
const TOOLS: [&str; 3] = ["read", "write", "search"];

type Store = SessionStore<ManualClock>;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    match round.number % 3 {
        0 => spend(round),
        1 => close_all(round),
        _ => create(round),
    }
}

fn store(config: SessionConfig, clock: &ManualClock) -> Checked<Store> {
    Store::with_clock(config, clock.clone()).or_else(|error| broken(format_args!("expected a store, saw {error}")))
}

fn agent(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

fn unexpected<T>(error: &SessionError) -> Checked<T> {
    broken(format_args!("expected no refusal, saw: {error:?}"))
}

/// A session, and what is known of it from outside.
struct Session {
    id: Uuid,
    agent: u64,
    budget: u64,
    limit: Duration,
    admitted: AtomicU64,
    /// Set when a call that closed it has returned.
    closed: AtomicBool,
}

impl Session {
    fn create(store: &Store, agent_number: u64, budget: u64, rng: &mut Rng) -> Checked<Self> {
        // Above the least that a store accepts; a few end during the round.
        let limit = if rng.u8(..4) == 0 { Duration::from_millis(rng.u64(1_000..2_000)) } else { HOUR };
        let request = SessionRequest::new(agent(agent_number)).budget(budget).time_limit(limit);
        let mut request = request.tools(Tools::only(TOOLS));
        if rng.u8(..4) == 0 {
            request = request.rate(rng.u64(1..20), Duration::from_millis(rng.u64(1..50)));
        }
        let id = store.create(request).or_else(|error| unexpected(&error))?;
        Ok(Self { id, agent: agent_number, budget, limit, admitted: AtomicU64::new(0), closed: AtomicBool::new(false) })
    }

    /// Admits a batch, one tool of it or its agent sometimes wrong, and judges the answer.
    fn admit(&self, store: &Store, clock: &ManualClock, rng: &mut Rng) -> Checked {
        let mut batch: Vec<&str> = (0..rng.usize(..6)).map(|_| TOOLS[rng.usize(..TOOLS.len())]).collect();
        let bad = !batch.is_empty() && rng.u8(..8) == 0;
        if bad {
            let place = rng.usize(..batch.len());
            batch[place] = "delete";
        }
        let who = match rng.u8(..8) {
            0 => None,
            1 => Some(self.agent + 100),
            _ => Some(self.agent),
        };
        // Known before the call starts.
        let closed = self.closed.load(Ordering::SeqCst);
        let over = clock.now() > START.saturating_add(self.limit);
        let asked = batch.len() as u64;
        match store.admit(&self.id, who.map(agent).as_ref(), &batch) {
            Ok(usage) => {
                ensure(!closed, "expected no admission after the session was closed, saw one")?;
                ensure(!over, "expected no admission after the time limit, saw one")?;
                ensure(!bad, "expected a batch with a bad tool to be refused, saw it admitted")?;
                ensure(who != Some(self.agent + 100), "expected the wrong agent to be refused, saw it let in")?;
                self.admitted.fetch_add(asked, Ordering::SeqCst);
                same("calls made and remaining", self.budget, usage.calls_made + usage.calls_remaining)
            }
            Err(SessionError::BudgetExceeded { limit, used, asked: refused, .. }) => {
                same("the budget, as told", self.budget, limit)?;
                same("the batch, as told", asked, refused)?;
                let right = asked > limit.saturating_sub(used);
                ensure(right, format_args!("expected {asked} on top of {used} of {limit} to be admitted"))
            }
            Err(SessionError::AgentMismatch) => {
                ensure(who == Some(self.agent + 100), "expected the right agent to be let in, saw a mismatch")
            }
            Err(SessionError::ToolNotAuthorized { .. }) => ensure(bad, "expected the tools to be authorized"),
            Err(SessionError::Expired) => ensure(self.limit < HOUR, "expected a session of an hour to live"),
            Err(SessionError::NotFound | SessionError::Closed | SessionError::RateLimited { .. }) => Ok(()),
            Err(other) => unexpected(&other),
        }
    }

    /// At rest: what the store counts is what was admitted, within the budget.
    fn check(&self, store: &Store) -> Checked {
        let admitted = self.admitted.load(Ordering::SeqCst);
        at_most("calls admitted, against the budget", self.budget, admitted)?;
        let Some(info) = store.get(&self.id) else { return Ok(()) };
        same("calls made, against calls admitted", admitted, info.usage.calls_made)?;
        same("calls remaining", self.budget - admitted, info.usage.calls_remaining)
    }

    /// Spends what is left, call by call: if it is the budget that ends it, all of it was sold.
    fn exhaust(&self, store: &Store) -> Checked {
        loop {
            match store.admit(&self.id, None, &["read"]) {
                Ok(_) => self.admitted.fetch_add(1, Ordering::SeqCst),
                Err(SessionError::BudgetExceeded { .. }) => {
                    return same("calls sold", self.budget, self.admitted.load(Ordering::SeqCst));
                }
                Err(_) => return self.check(store),
            };
        }
    }
}

/// Batches on a few sessions of two agents, while sessions are closed, swept, and time runs.
fn spend(round: &Round) -> Checked<u64> {
    let mut rng = round.setup();
    let clock = ManualClock::new(START);
    let store = store(SessionConfig::new(), &clock)?;
    let session = |number: u64| {
        let budget = rng.u64(..800);
        Session::create(&store, number % 2, budget, &mut rng)
    };
    let sessions: Vec<_> = (0..8).map(session).collect::<Checked<_>>()?;
    let operations = round.race(|thread, rng| {
        for _ in 0..OPERATIONS {
            let session = &sessions[rng.usize(..sessions.len())];
            match rng.u16(..4_096) {
                0..8 => close(&store, session)?,
                8 => {
                    store.close_for_agent(&agent(session.agent));
                    let closed = sessions.iter().filter(|other| other.agent == session.agent);
                    closed.for_each(|other| other.closed.store(true, Ordering::SeqCst));
                }
                9..16 => at_most("sessions removed by a sweep of three", 3, store.sweep(3).removed)?,
                // One thread only: a clock that two threads advance might step back.
                16..272 if thread == 0 => clock.advance(Duration::from_millis(rng.u64(..40))),
                _ => session.admit(&store, &clock, rng)?,
            }
        }
        Ok(OPERATIONS)
    })?;
    for session in &sessions {
        session.check(&store)?;
        session.exhaust(&store)?;
    }
    Ok(operations)
}

fn close(store: &Store, session: &Session) -> Checked {
    match store.close(&session.id) {
        Ok(()) | Err(SessionError::Closed | SessionError::NotFound) => session.closed.store(true, Ordering::SeqCst),
        // Expired, then: it admits nothing either.
        Err(SessionError::Expired) => {}
        Err(other) => return unexpected(&other),
    }
    Ok(())
}

/// All sessions of one agent are closed at once, in the middle: whoever has seen one of them closed sees all closed,
/// and the other agent's never.
fn close_all(round: &Round) -> Checked<u64> {
    const EACH: usize = 5;
    let clock = ManualClock::new(START);
    let store = store(SessionConfig::new(), &clock)?;
    let create = |number: u64| {
        let request = SessionRequest::new(agent(number)).budget(u64::MAX).tools(Tools::Any);
        store.create(request).or_else(|error| unexpected(&error))
    };
    let doomed: Vec<_> = (0..EACH).map(|_| create(0)).collect::<Checked<_>>()?;
    let spared: Vec<_> = (0..EACH).map(|_| create(1)).collect::<Checked<_>>()?;
    let when = round.setup().u64(..OPERATIONS);
    let closed = AtomicBool::new(false);
    let operations = round.race(|thread, rng| {
        for i in 0..OPERATIONS {
            if thread == 0 && i == when {
                same("sessions closed for the agent", EACH as u64, store.close_for_agent(&agent(0)))?;
                closed.store(true, Ordering::SeqCst);
            }
            let late = closed.load(Ordering::SeqCst);
            let first = store.admit(&doomed[rng.usize(..EACH)], None, &["a"]);
            ensure(!late || first.is_err(), "expected no admission after close_for_agent returned, saw one")?;
            if first.is_err() {
                let second = store.admit(&doomed[rng.usize(..EACH)], None, &["a", "b"]);
                ensure(second.is_err(), "expected all of an agent's sessions to close at once, saw one admit later")?;
            }
            if let Err(error) = store.admit(&spared[rng.usize(..EACH)], None, &["a"]) {
                return unexpected(&error);
            }
            if rng.u8(..16) == 0 {
                let swept = store.sweep(2).removed;
                at_most("sessions removed by a sweep of two", 2, swept)?;
            }
        }
        Ok(3 * OPERATIONS)
    })?;
    same("active sessions of the agent that was closed", 0, store.count_active(&agent(0)))?;
    same("active sessions of the other agent", EACH as u64, store.count_active(&agent(1)))?;
    Ok(operations)
}

const AGENTS: u64 = 3;
const PER_AGENT: u64 = 4;
/// Fewer than all agents together may have.
const CAPACITY: u64 = 10;

/// Sessions come and go under a cap per agent and one for all.
fn create(round: &Round) -> Checked<u64> {
    let clock = ManualClock::new(START);
    let store = store(SessionConfig::new().capacity(CAPACITY).sessions_per_agent(PER_AGENT), &clock)?;
    // Sessions that are active for certain: created, and their closing not begun. By agent, and last in all.
    let held: Vec<_> = (0..=AGENTS).map(|_| AtomicU64::new(0)).collect();
    let operations = round.race_watched(
        |_, rng| {
            let mut mine = Vec::new();
            for _ in 0..OPERATIONS {
                come_or_go(&store, &held, &mut mine, rng)?;
            }
            mine.into_iter().try_for_each(|(number, id)| go(&store, &held, number, &id))?;
            Ok(OPERATIONS)
        },
        || {
            at_most("sessions in the store", CAPACITY, store.stats().live)?;
            (0..AGENTS).try_for_each(|number| {
                at_most("active sessions of an agent", PER_AGENT, store.count_active(&agent(number)))
            })
        },
    )?;
    check_places(&store)?;
    // Sessions that are over their time hold no place either.
    clock.advance(2 * HOUR);
    check_places(&store)?;
    Ok(operations)
}

fn come_or_go(store: &Store, held: &[AtomicU64], mine: &mut Vec<(u64, Uuid)>, rng: &mut Rng) -> Checked {
    let number = rng.u64(..AGENTS);
    if rng.u8(..8) < 5 {
        match ask(store, number) {
            Ok(id) => {
                mine.push((number, id));
                let of_agent = held[number as usize].fetch_add(1, Ordering::SeqCst) + 1;
                let in_all = held[AGENTS as usize].fetch_add(1, Ordering::SeqCst) + 1;
                at_most("sessions of an agent held at once", PER_AGENT, of_agent)?;
                at_most("sessions held at once", CAPACITY, in_all)
            }
            Err(SessionError::TooManySessions { max, .. }) => same("the cap per agent, as told", PER_AGENT, max),
            Err(SessionError::Full { capacity, .. }) => same("the capacity, as told", CAPACITY, capacity),
            Err(other) => unexpected(&other),
        }
    } else if mine.is_empty() {
        store.sweep(rng.usize(1..4));
        Ok(())
    } else {
        let (number, id) = mine.swap_remove(rng.usize(..mine.len()));
        go(store, held, number, &id)
    }
}

fn ask(store: &Store, number: u64) -> Result<Uuid, SessionError> {
    store.create(SessionRequest::new(agent(number)).budget(5).time_limit(HOUR).tools(Tools::Any))
}

fn go(store: &Store, held: &[AtomicU64], number: u64, id: &Uuid) -> Checked {
    held[number as usize].fetch_sub(1, Ordering::SeqCst);
    held[AGENTS as usize].fetch_sub(1, Ordering::SeqCst);
    store.close(id).or_else(|error| unexpected(&error))?;
    let late = store.admit(id, None, &["a"]);
    ensure(late.is_err(), "expected no admission after close returned, saw one")
}

/// When no session is active, an agent gets as many as its cap, and not one more.
fn check_places(store: &Store) -> Checked {
    for place in 0..PER_AGENT {
        let what = |error| Broken(format!("expected a place for session {place} of an idle agent, saw {error:?}"));
        ask(store, 0).map_err(what)?;
    }
    let one_more = ask(store, 0);
    let refused = matches!(one_more, Err(SessionError::TooManySessions { .. }));
    ensure(refused, format_args!("expected an agent at its cap to be refused, saw {one_more:?}"))
}
