//! Transitions of postures: each from what it was decided on, none past a downgrade or a latch, by agents that come and go.
//!
//! All agents are checked together, so that a downgrade of many has to be one instant. That an agent comes to be known is a
//! hidden step of the call that needs it; so is taking strangers down for one that there is no room for, and taking down
//! an agent that was counted with a principal that it was just leaving or joining. A downgrade of many counts whoever no
//! other call is about; it may count more, by those that are only coming or going. `restore_default` is left out: one that is
//! only being entered at that moment may stay down.

mod model;

use super::record::{Subject, pause};
use crate::run::{Checked, broken};
use fastrand::Rng;
use model::{Call, Kind, Machine, Step};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, Emergency, Guard, Posture, PostureConfig, PostureError, PostureMachine, Refusal, Scope,
    TransitionRequest, TransitionResult,
};

/// Nobody does anything with the last one: it shows what strangers are.
const NAMES: [&str; 4] = ["a", "b", "c", "stranger"];
const AGENTS: usize = NAMES.len() - 1;
const PRINCIPALS: [&str; 2] = ["p", "q"];
const DEFAULT: Posture = Posture::Tool;

pub(super) struct Postures(PostureMachine<ManualClock>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Get(usize),
    IsLatched(usize),
    Transition { agent: usize, from: Posture, to: Posture },
    Emergency { agent: usize, latch: bool },
    DowngradeAll { principal: Option<usize>, latch: bool },
    Release(usize),
    Set(usize, Posture),
    Enroll { agent: usize, principal: usize },
    Forget(usize),
}

fn done(agent: usize, kind: Kind, record: &TransitionResult) -> Step {
    Step::Done { agent, from: record.from, to: record.to, kind, seq: record.seq }
}

fn order(latch: bool) -> Downgrade {
    let order = Downgrade::new("stop");
    if latch { order.latch() } else { order }
}

impl Postures {
    fn transition(&self, agent: usize, from: Posture, to: Posture, steps: &mut Vec<Step>) {
        steps.push(Step::Begin(Call::About(agent)));
        let Ok(record) = self.0.transition(&TransitionRequest::new(NAMES[agent], from, to)) else {
            steps.push(Step::Full(agent));
            return;
        };
        let (found, seq) = (record.from, record.seq);
        steps.push(match record.refusal {
            None => Step::Decided { agent, from },
            Some(Refusal::Superseded) => Step::Asked(agent),
            Some(refusal) => Step::Refused { agent, from, refusal },
        });
        steps.push(match record.refusal {
            None => done(agent, Kind::Transition, &record),
            Some(refusal) => Step::Recorded { agent, asked: from, from: found, seq, refusal },
        });
    }

    fn emergency(&self, agent: usize, latch: bool, steps: &mut Vec<Step>) {
        steps.push(Step::Begin(Call::Emergency { agent, latch, lowered: 0 }));
        steps.push(match self.0.emergency_downgrade(NAMES[agent], &order(latch)) {
            Emergency::Agent(record) => done(agent, Kind::Emergency { latch }, &record),
            _ => Step::AllUnknown { agent, latch },
        });
    }

    fn enroll(&self, agent: usize, principal: usize, steps: &mut Vec<Step>) {
        steps.push(Step::Begin(Call::Enroll { agent, principal, left: None, owed: [None; 2] }));
        match self.0.enroll(NAMES[agent], PRINCIPALS[principal]) {
            Ok(()) => steps.extend([Step::Enrolled, Step::EnrollEnd]),
            Err(_) => steps.push(Step::Full(agent)),
        }
    }

    fn set(&self, agent: usize, to: Posture, steps: &mut Vec<Step>) {
        steps.push(Step::Begin(Call::About(agent)));
        steps.push(match self.0.set_posture(NAMES[agent], to) {
            Ok(record) => done(agent, Kind::Set, &record),
            Err(PostureError::Latched) => Step::NotSet(agent),
            Err(_) => Step::Full(agent),
        });
    }
}

impl Subject for Postures {
    type Op = Op;
    type Model = Machine;
    const CALLS: u64 = 12;

    fn new(rng: &mut Rng) -> Checked<Self> {
        let config = PostureConfig::new().upgrade_approval(false).agents(rng.u64(1..=AGENTS as u64 + 2));
        let machine = PostureMachine::with_clock(config, ManualClock::new(Timestamp::from_secs(1))).or_else(broken)?;
        machine.add_guard(Guard::new("pauses", |_| {
            pause();
            true
        }));
        Ok(Self(machine))
    }

    fn start(&self) -> Machine {
        Machine::new()
    }

    fn plan(rng: &mut Rng, _: u64) -> Op {
        let agent = rng.usize(..AGENTS);
        // Few postures, or no request would ever start from the right one.
        let posture = |rng: &mut Rng| Posture::ALL[rng.usize(..3)];
        match rng.u8(..64) {
            0..10 => Op::Get(agent),
            10..13 => Op::IsLatched(agent),
            13..32 => Op::Transition { agent, from: posture(rng), to: posture(rng) },
            32..36 => Op::Emergency { agent, latch: rng.u8(..4) == 0 },
            36..40 => {
                let principal = (rng.u8(..4) > 0).then(|| rng.usize(..PRINCIPALS.len()));
                Op::DowngradeAll { principal, latch: rng.u8(..4) == 0 }
            }
            40..44 => Op::Release(agent),
            44..50 => Op::Set(agent, posture(rng)),
            50..56 => Op::Enroll { agent, principal: rng.usize(..PRINCIPALS.len()) },
            _ => Op::Forget(agent),
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let Self(machine) = self;
        match op {
            Op::Get(agent) => steps.push(Step::Get(agent, machine.get_posture(NAMES[agent]))),
            Op::IsLatched(agent) => steps.push(Step::IsLatched(agent, machine.is_latched(NAMES[agent]))),
            Op::Transition { agent, from, to } => self.transition(agent, from, to, steps),
            Op::Emergency { agent, latch } => self.emergency(agent, latch, steps),
            Op::DowngradeAll { principal, latch } => {
                let of = |principal: usize| Scope::Principal(PRINCIPALS[principal].into());
                let counted = machine.downgrade_all(&principal.map_or(Scope::Everyone, of), &order(latch));
                steps.push(Step::Begin(Call::DowngradeAll { principal, certain: 0 }));
                steps.extend([Step::DowngradeAll { latch }, Step::DowngradeEnd(counted)]);
            }
            Op::Release(agent) => steps.push(Step::Release(agent, machine.release(NAMES[agent]))),
            Op::Set(agent, to) => self.set(agent, to, steps),
            Op::Enroll { agent, principal } => self.enroll(agent, principal, steps),
            Op::Forget(agent) => {
                let outcome = machine.forget(NAMES[agent]);
                steps.extend([Step::Begin(Call::Forget(agent)), Step::Forget(agent, outcome)]);
            }
        }
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        for agent in 0..NAMES.len() {
            self.call(Op::Get(agent), steps);
            self.call(Op::IsLatched(agent), steps);
        }
    }
}
