//! Transitions of postures: each from what the one before has left, none past a downgrade or a latch.
//!
//! Three agents are checked together, two of them of one principal, so that a downgrade of many has to be one instant.

use super::check::{MAX_THREADS, Model};
use super::record::{Subject, pause};
use crate::run::{Checked, broken};
use fastrand::Rng;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, Guard, Posture, PostureConfig, PostureMachine, Refusal, Scope, TransitionRequest, TransitionResult,
};

const AGENTS: usize = 3;
/// The last agent is of no principal.
const OF_PRINCIPAL: usize = 2;
const NAMES: [&str; AGENTS] = ["a", "b", "c"];
const PRINCIPAL: &str = "p";

pub(super) struct Postures(PostureMachine<ManualClock>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Get(usize),
    IsLatched(usize),
    Transition { agent: usize, from: Posture, to: Posture },
    Emergency { agent: usize, latch: bool },
    DowngradeAll { principal: bool, latch: bool },
    Release(usize),
    Set(usize, Posture),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Get(usize, Posture),
    IsLatched(usize, bool),
    /// A transition, an emergency or a set that was done, with the number and the `from` of its record.
    Done {
        agent: usize,
        from: Posture,
        to: Posture,
        kind: Kind,
        seq: u64,
    },
    /// A transition that was refused for what its agent was.
    Refused {
        agent: usize,
        from: Posture,
        refusal: Refusal,
    },
    /// A transition that was decided on an agent, and at a later step found it changed.
    Decided {
        agent: usize,
        from: Posture,
    },
    Superseded {
        agent: usize,
    },
    DowngradeAll {
        principal: bool,
        latch: bool,
    },
    Release(usize, bool),
    /// A set was refused: the agent is latched.
    NotSet(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Transition,
    Emergency { latch: bool },
    Set,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    agents: [Agent; AGENTS],
    /// How often the agent that a thread decides on had changed.
    decided: [Option<u32>; MAX_THREADS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Agent {
    posture: Posture,
    latched: bool,
    /// How often it has changed, as the machine counts: a confirmation is no change.
    changes: u32,
    /// The last record's number.
    seq: u64,
}

impl Machine {
    fn new() -> Self {
        let agent = Agent { posture: Posture::Tool, latched: false, changes: 0, seq: 0 };
        Self { agents: std::array::from_fn(|_| agent.clone()), decided: [None; MAX_THREADS] }
    }
}

impl Agent {
    fn lower(&mut self, latch: bool) {
        self.posture = Posture::Pseudo;
        self.latched |= latch;
        self.changes += 1;
    }

    fn done(&mut self, from: Posture, to: Posture, kind: Kind, seq: u64) -> bool {
        let may = from == self.posture && seq > self.seq && (!self.latched || matches!(kind, Kind::Emergency { .. }));
        self.changes += u32::from(kind != Kind::Transition || from != to);
        (self.posture, self.seq) = (to, seq);
        if let Kind::Emergency { latch } = kind {
            self.latched |= latch;
        }
        may
    }
}

impl Model for Machine {
    type Step = Step;

    fn apply(&mut self, thread: usize, step: &Step) -> bool {
        let agents = &mut self.agents;
        match *step {
            Step::Get(agent, seen) => agents[agent].posture == seen,
            Step::IsLatched(agent, seen) => agents[agent].latched == seen,
            Step::Done { agent, from, to, kind, seq } => agents[agent].done(from, to, kind, seq),
            Step::Refused { agent, from, refusal: Refusal::Stale } => agents[agent].posture != from,
            Step::Refused { agent, from, refusal: Refusal::Latched } => {
                agents[agent].posture == from && agents[agent].latched
            }
            // No guard refuses here.
            Step::Refused { .. } => false,
            Step::Decided { agent, from } => {
                let Agent { posture, latched, changes, .. } = agents[agent];
                self.decided[thread] = Some(changes);
                posture == from && !latched
            }
            Step::Superseded { agent } => self.decided[thread].take() != Some(agents[agent].changes),
            Step::DowngradeAll { principal, latch } => {
                let covered = if principal { OF_PRINCIPAL } else { AGENTS };
                agents[..covered].iter_mut().for_each(|agent| agent.lower(latch));
                true
            }
            Step::Release(agent, released) => std::mem::take(&mut agents[agent].latched) == released,
            Step::NotSet(agent) => agents[agent].latched,
        }
    }

    fn is_read(step: &Step) -> bool {
        matches!(
            step,
            Step::Get(..) | Step::IsLatched(..) | Step::Refused { .. } | Step::Release(_, false) | Step::NotSet(_)
        )
    }
}

fn done(agent: usize, kind: Kind, record: &TransitionResult) -> Step {
    Step::Done { agent, from: record.from, to: record.to, kind, seq: record.seq }
}

fn order(latch: bool) -> Downgrade {
    let order = Downgrade::new("stop");
    if latch { order.latch() } else { order }
}

impl Subject for Postures {
    type Op = Op;
    type Model = Machine;
    const CALLS: u64 = 12;

    fn new(_: &mut Rng) -> Checked<Self> {
        let config = PostureConfig::new().upgrade_approval(false);
        let machine = PostureMachine::with_clock(config, ManualClock::new(Timestamp::from_secs(1))).or_else(broken)?;
        machine.add_guard(Guard::new("pauses", |_| {
            pause();
            true
        }));
        for (index, name) in NAMES.into_iter().enumerate() {
            machine.set_posture(name, Posture::Tool).or_else(broken)?;
            if index < OF_PRINCIPAL {
                machine.enroll(name, PRINCIPAL).or_else(broken)?;
            }
        }
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
            0..12 => Op::Get(agent),
            12..16 => Op::IsLatched(agent),
            16..46 => Op::Transition { agent, from: posture(rng), to: posture(rng) },
            46..50 => Op::Emergency { agent, latch: rng.u8(..4) == 0 },
            50..54 => Op::DowngradeAll { principal: rng.bool(), latch: rng.u8(..4) == 0 },
            54..58 => Op::Release(agent),
            _ => Op::Set(agent, posture(rng)),
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let Self(machine) = self;
        match op {
            Op::Get(agent) => steps.push(Step::Get(agent, machine.get_posture(NAMES[agent]))),
            Op::IsLatched(agent) => steps.push(Step::IsLatched(agent, machine.is_latched(NAMES[agent]))),
            Op::Transition { agent, from, to } => {
                let request = TransitionRequest::new(NAMES[agent], from, to);
                let result = machine.transition(&request).expect("there is room for every agent");
                match result.refusal {
                    None => steps.push(done(agent, Kind::Transition, &result)),
                    Some(Refusal::Superseded) => {
                        steps.extend([Step::Decided { agent, from }, Step::Superseded { agent }]);
                    }
                    Some(refusal) => steps.push(Step::Refused { agent, from, refusal }),
                }
            }
            Op::Emergency { agent, latch } => {
                let emergency = machine.emergency_downgrade(NAMES[agent], &order(latch));
                let record = emergency.record().expect("every agent is known");
                steps.push(done(agent, Kind::Emergency { latch }, record));
            }
            Op::DowngradeAll { principal, latch } => {
                let scope = if principal { Scope::Principal(PRINCIPAL.into()) } else { Scope::Everyone };
                machine.downgrade_all(&scope, &order(latch));
                steps.push(Step::DowngradeAll { principal, latch });
            }
            Op::Release(agent) => steps.push(Step::Release(agent, machine.release(NAMES[agent]))),
            Op::Set(agent, to) => match machine.set_posture(NAMES[agent], to) {
                Ok(record) => steps.push(done(agent, Kind::Set, &record)),
                Err(_) => steps.push(Step::NotSet(agent)),
            },
        }
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        for agent in 0..AGENTS {
            self.call(Op::Get(agent), steps);
            self.call(Op::IsLatched(agent), steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;
    use Posture::{Pseudo, Supervised, Tool};

    fn transition(from: Posture, to: Posture, seq: u64) -> Step {
        Step::Done { agent: 0, from, to, kind: Kind::Transition, seq }
    }

    fn emergency(from: Posture, latch: bool, seq: u64) -> Step {
        Step::Done { agent: 0, from, to: Pseudo, kind: Kind::Emergency { latch }, seq }
    }

    #[test]
    fn rejects_two_transitions_from_the_same_posture() {
        let calls = vec![(0, 0, 3, transition(Tool, Supervised, 1)), (1, 1, 2, transition(Tool, Pseudo, 2))];
        assert!(!holds(&Machine::new(), calls));
    }

    #[test]
    fn rejects_a_transition_that_is_superseded_by_nothing() {
        let superseded = [Step::Decided { agent: 0, from: Tool }, Step::Superseded { agent: 0 }];
        let loser = superseded.map(|step| (0, 0, 3, step)).to_vec();
        assert!(!holds(&Machine::new(), loser.clone()));
        let winner = vec![(1, 1, 2, transition(Tool, Supervised, 1))];
        assert!(holds(&Machine::new(), [loser, winner].concat()));
    }

    #[test]
    fn rejects_a_transition_past_an_emergency_or_a_latch() {
        let fell = |latch| vec![(0, 0, 1, emergency(Tool, latch, 1))];
        let rise = vec![(1, 2, 3, transition(Pseudo, Tool, 2))];
        assert!(holds(&Machine::new(), [fell(false), rise.clone()].concat()));
        assert!(!holds(&Machine::new(), [fell(true), rise].concat()));
        let stale = vec![(1, 2, 3, transition(Tool, Supervised, 2))];
        assert!(!holds(&Machine::new(), [fell(false), stale].concat()));
    }

    #[test]
    fn rejects_a_downgrade_of_all_that_reaches_them_one_after_the_other() {
        let all = (0, 0, 9, Step::DowngradeAll { principal: false, latch: false });
        let see = |start, agent, posture| (1, start, start + 1, Step::Get(agent, posture));
        assert!(holds(&Machine::new(), vec![all.clone(), see(1, 1, Tool), see(3, 2, Pseudo)]));
        assert!(!holds(&Machine::new(), vec![all, see(1, 1, Pseudo), see(3, 2, Tool)]));
    }
}
