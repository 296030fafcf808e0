//! `PostureMachine` against a list of records and a table of agents.

use super::{OPS, config};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, Emergency, HistoryQuery, Posture, PostureConfig, PostureError, PostureMachine, Refusal, Scope,
    TransitionRequest, WhenFull,
};

pub(crate) const AGENTS: [&str; 4] = ["a", "b", "c", ""];
pub(crate) const PRINCIPALS: [&str; 2] = ["p", "q"];

type Machine = PostureMachine<ManualClock>;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Transition { agent: usize, from: Option<Posture>, to: Posture, approved: bool },
    Set { agent: usize, to: Posture },
    Emergency { agent: usize, latch: bool },
    All { latch: bool },
    Principal { principal: usize, latch: bool },
    Enroll { agent: usize, principal: usize },
    Release { agent: usize },
    Forget { agent: usize },
    Restore,
}

fn op() -> impl Strategy<Value = Op> {
    let agent = || 0..AGENTS.len();
    let posture = || prop::sample::select(Posture::ALL.as_slice());
    let principal = || 0..PRINCIPALS.len();
    let latch = || prop::bool::weighted(0.3);
    let transition = (agent(), prop::option::weighted(0.2, posture()), posture(), prop::bool::weighted(0.7));
    prop_oneof![
        12 => transition.prop_map(|(agent, from, to, approved)| Op::Transition { agent, from, to, approved }),
        3 => (agent(), posture()).prop_map(|(agent, to)| Op::Set { agent, to }),
        3 => (agent(), latch()).prop_map(|(agent, latch)| Op::Emergency { agent, latch }),
        1 => latch().prop_map(|latch| Op::All { latch }),
        2 => (principal(), latch()).prop_map(|(principal, latch)| Op::Principal { principal, latch }),
        2 => (agent(), principal()).prop_map(|(agent, principal)| Op::Enroll { agent, principal }),
        2 => agent().prop_map(|agent| Op::Release { agent }),
        2 => agent().prop_map(|agent| Op::Forget { agent }),
        1 => Just(Op::Restore),
    ]
}

#[derive(Clone, Copy)]
struct Agent {
    posture: Posture,
    latched: bool,
    principal: Option<usize>,
}

/// Agent, from, to, done.
type Record = (usize, Posture, Posture, bool);

struct Model {
    agents: BTreeMap<usize, Agent>,
    records: Vec<Record>,
    limit: usize,
    share: usize,
    cap: usize,
    when_full: WhenFull,
    lowered: bool,
    latched: bool,
}

impl Model {
    fn get(&self, agent: usize) -> Agent {
        let posture = if self.lowered { Posture::Pseudo } else { Posture::Tool };
        let stranger = Agent { posture, latched: self.latched, principal: None };
        self.agents.get(&agent).copied().unwrap_or(stranger)
    }

    /// Whether the agent is known from now on.
    fn admit(&mut self, agent: usize) -> bool {
        let known = self.agents.contains_key(&agent) || self.agents.len() < self.cap;
        if known {
            self.agents.insert(agent, self.get(agent));
        } else if self.when_full == WhenFull::LowerUnknown {
            self.lowered = true;
        }
        known
    }

    fn record(&mut self, record: Record) {
        if self.limit > 0 && self.records.len() == self.limit {
            self.trim();
        }
        self.records.push(record);
        self.records.truncate(self.limit);
    }

    /// Drops a tenth, one at a time: the oldest that is not among the newest of its agent, or else the oldest.
    fn trim(&mut self) {
        for _ in 0..(self.limit / 10).max(1) {
            let newer = |i: usize| self.records[i..].iter().filter(|record| record.0 == self.records[i].0).count();
            let exposed = (0..self.records.len()).find(|&i| newer(i) > self.share);
            self.records.remove(exposed.unwrap_or(0));
        }
    }

    fn change(&mut self, agent: usize, to: Posture, latch: bool) {
        let known = self.get(agent);
        self.record((agent, known.posture, to, true));
        self.agents.insert(agent, Agent { posture: to, latched: known.latched || latch, ..known });
    }

    fn down(&mut self, latch: bool, whose: impl Fn(&Agent) -> bool) -> u64 {
        let covered = self.agents.iter().filter(|(_, agent)| whose(agent));
        let mut theirs: Vec<usize> = covered.map(|(&agent, _)| agent).collect();
        theirs.sort_by_key(|&agent| AGENTS[agent]);
        theirs.iter().for_each(|&agent| self.change(agent, Posture::Pseudo, latch));
        theirs.len() as u64
    }
}

fn order(latch: bool) -> Downgrade {
    let order = Downgrade::new("stop");
    if latch { order.latch() } else { order }
}

fn transition(
    machine: &Machine,
    model: &mut Model,
    agent: usize,
    from: Option<Posture>,
    to: Posture,
    approved: bool,
) -> Result<(), TestCaseError> {
    let from = from.unwrap_or(model.get(agent).posture);
    let request = TransitionRequest::new(AGENTS[agent], from, to);
    let done = machine.transition(&if approved { request.requester("boss") } else { request });
    let known = model.get(agent);
    if !model.admit(agent) {
        prop_assert_eq!(done.unwrap_err(), PostureError::Full { capacity: model.cap as u64 });
        return Ok(());
    }
    let expected = if from != known.posture {
        Some(Refusal::Stale)
    } else if known.latched {
        Some(Refusal::Latched)
    } else if to > from && !approved {
        Some(Refusal::Guarded)
    } else {
        None
    };
    let result = done.unwrap();
    prop_assert_eq!((result.refusal, result.success, result.from), (expected, expected.is_none(), known.posture));
    if expected.is_none() {
        model.change(agent, to, false);
    } else {
        model.record((agent, known.posture, to, false));
    }
    Ok(())
}

fn step(machine: &Machine, model: &mut Model, op: Op) -> Result<(), TestCaseError> {
    match op {
        Op::Transition { agent, from, to, approved } => transition(machine, model, agent, from, to, approved)?,
        Op::Set { agent, to } => {
            let done = machine.set_posture(AGENTS[agent], to);
            if model.get(agent).latched {
                prop_assert_eq!(done.unwrap_err(), PostureError::Latched);
            } else if !model.admit(agent) {
                prop_assert_eq!(done.unwrap_err(), PostureError::Full { capacity: model.cap as u64 });
            } else {
                prop_assert!(done.is_ok());
                model.change(agent, to, false);
            }
        }
        Op::Emergency { agent, latch } => {
            let done = machine.emergency_downgrade(AGENTS[agent], &order(latch));
            if model.agents.contains_key(&agent) || model.agents.len() < model.cap {
                prop_assert!(done.record().is_some());
                model.change(agent, Posture::Pseudo, latch);
            } else {
                prop_assert_eq!(done, Emergency::AllUnknown);
                (model.lowered, model.latched) = (true, model.latched || latch);
            }
        }
        Op::All { latch } => {
            let known = machine.downgrade_all(&Scope::Everyone, &order(latch));
            prop_assert_eq!(known, model.down(latch, |_| true));
            (model.lowered, model.latched) = (true, model.latched || latch);
        }
        Op::Principal { principal, latch } => {
            let known = machine.downgrade_all(&Scope::Principal(PRINCIPALS[principal].into()), &order(latch));
            prop_assert_eq!(known, model.down(latch, |agent| agent.principal == Some(principal)));
        }
        Op::Enroll { agent, principal } => {
            let done = machine.enroll(AGENTS[agent], PRINCIPALS[principal]);
            prop_assert_eq!(done.is_ok(), model.admit(agent));
            if let Some(known) = model.agents.get_mut(&agent) {
                known.principal = Some(principal);
            }
        }
        Op::Release { agent } => {
            let latched = model.agents.get(&agent).is_some_and(|known| known.latched);
            prop_assert_eq!(machine.release(AGENTS[agent]), latched);
            if let Some(known) = model.agents.get_mut(&agent) {
                known.latched = false;
            }
        }
        Op::Forget { agent } => {
            let expected = match model.agents.get(&agent).copied() {
                None => Ok(false),
                Some(known) if known.latched => Err(PostureError::Latched),
                Some(known) if known.posture < Posture::Tool => Err(PostureError::WouldRaise),
                Some(_) => Ok(true),
            };
            prop_assert_eq!(machine.forget(AGENTS[agent]), expected.clone());
            if expected == Ok(true) {
                model.agents.remove(&agent);
                model.records.retain(|record| record.0 != agent);
            }
        }
        Op::Restore => {
            machine.restore_default();
            (model.lowered, model.latched) = (false, false);
        }
    }
    agree(machine, model)
}

fn agree(machine: &Machine, model: &Model) -> Result<(), TestCaseError> {
    for (agent, name) in AGENTS.iter().enumerate() {
        let known = model.get(agent);
        prop_assert_eq!((machine.get_posture(name), machine.is_latched(name)), (known.posture, known.latched));
        let seen: Vec<_> = machine.history(&HistoryQuery::new().agent(*name)).iter().map(|r| (r.from, r.to)).collect();
        let own = model.records.iter().filter(|record| record.0 == agent).map(|record| (record.1, record.2));
        prop_assert_eq!(seen, own.collect::<Vec<_>>());
    }
    let plain = |query: &HistoryQuery| -> Vec<Record> {
        let number = |name: &str| AGENTS.iter().position(|agent| *agent == name).unwrap();
        machine.history(query).iter().map(|r| (number(&r.agent), r.from, r.to, r.success)).collect()
    };
    let seen = plain(&HistoryQuery::new());
    prop_assert_eq!(&seen, &model.records);
    let last = plain(&HistoryQuery::new().limit(3));
    prop_assert_eq!(&last[..], &seen[seen.len() - seen.len().min(3)..]);
    let stats = machine.stats();
    prop_assert_eq!((stats.agents, stats.records), (model.agents.len() as u64, model.records.len() as u64));
    prop_assert_eq!(stats.recorded, stats.records + stats.dropped);
    Ok(())
}

pub(crate) fn agrees(limit: usize, share: usize, cap: usize, lowers: bool, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let when_full = if lowers { WhenFull::LowerUnknown } else { WhenFull::Refuse };
    let config = PostureConfig::new().history(limit as u64).history_share(share as u64).agents(cap as u64);
    let clock = ManualClock::new(Timestamp::from_secs(1));
    let machine = PostureMachine::with_clock(config.when_full(when_full), clock).unwrap();
    let (agents, records) = (BTreeMap::new(), Vec::new());
    let mut model = Model { agents, records, limit, share, cap, when_full, lowered: false, latched: false };
    for op in ops {
        step(&machine, &mut model, op)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_machine_decides_and_keeps_as_a_table_and_a_list_do(
        limit in prop_oneof![0..12_usize, 20..30_usize],
        share in 0..4_usize,
        cap in 1..=4_usize,
        lowers in any::<bool>(),
        ops in vec(op(), 0..=OPS)
    ) {
        agrees(limit, share, cap, lowers, ops)?;
    }
}
