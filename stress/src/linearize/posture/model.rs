//! What postures are between two steps.

use super::super::check::{MAX_THREADS, Model};
use super::{DEFAULT, NAMES};
use tollgate::posture::{Posture, PostureError, Refusal};

#[derive(Clone, Debug)]
pub(in crate::linearize) enum Step {
    Get(usize, Posture),
    IsLatched(usize, bool),
    /// A call begins that may have to let its agent be known.
    Begin(Call),
    /// A transition, an emergency or a set that was done, with the number and the `from` of its record.
    Done {
        agent: usize,
        from: Posture,
        to: Posture,
        kind: Kind,
        seq: u64,
    },
    /// A transition finds its agent as it was asked for.
    Decided {
        agent: usize,
        from: Posture,
    },
    /// Or refuses for what its agent is.
    Refused {
        agent: usize,
        from: Posture,
        refusal: Refusal,
    },
    /// Or finds it in some way that does not last.
    Asked(usize),
    /// The record of a refusal: what was asked for, and what the agent was.
    Recorded {
        agent: usize,
        asked: Posture,
        from: Posture,
        seq: u64,
        refusal: Refusal,
    },
    /// There was no room for the agent.
    Full(usize),
    /// Nor for that of an emergency: strangers were taken down, and it is one.
    AllUnknown {
        agent: usize,
        latch: bool,
    },
    DowngradeAll {
        latch: bool,
    },
    /// How many it says there were.
    DowngradeEnd(u64),
    Release(usize, bool),
    /// A set was refused: the agent is latched.
    NotSet(usize),
    Enrolled,
    EnrollEnd,
    Forget(usize, Result<bool, PostureError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::linearize) enum Kind {
    Transition,
    Emergency { latch: bool },
    Set,
}

/// What a thread is in the middle of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::linearize) enum Call {
    About(usize),
    Emergency {
        agent: usize,
        latch: bool,
        /// How often it has taken strangers down.
        lowered: u8,
    },
    Forget(usize),
    DowngradeAll {
        principal: Option<usize>,
        /// The agents that it has to count, by bits.
        certain: u8,
    },
    Enroll {
        agent: usize,
        principal: usize,
        left: Option<usize>,
        /// The latches of downgrades of the principal joined and of the one left, in which the agent may be counted.
        owed: [Option<bool>; 2],
    },
}

impl Call {
    /// The agent that it is about, if that is one.
    fn agent(&self) -> Option<usize> {
        match *self {
            Self::About(agent) | Self::Forget(agent) => Some(agent),
            Self::Emergency { agent, .. } | Self::Enroll { agent, .. } => Some(agent),
            Self::DowngradeAll { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::linearize) struct Machine {
    agents: [Agent; NAMES.len()],
    strangers: Standing,
    calls: [Option<Call>; MAX_THREADS],
    /// How often the agent that a thread decides on had changed, and whether it was known.
    decided: [Option<(u32, bool)>; MAX_THREADS],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Agent {
    known: Option<Standing>,
    principal: Option<usize>,
    /// How often it has changed, or was forgotten: a confirmation is no change.
    changes: u32,
    /// The last record's number.
    seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Standing {
    posture: Posture,
    latched: bool,
}

impl Standing {
    fn lower(&mut self, latch: bool) {
        self.posture = Posture::Pseudo;
        self.latched |= latch;
    }
}

impl Agent {
    fn lower(&mut self, latch: bool) {
        if let Some(known) = &mut self.known {
            known.lower(latch);
            self.changes += 1;
        }
    }

    /// Whether it has changed since a thread decided on it.
    fn is_late(&self, decided: Option<(u32, bool)>) -> bool {
        decided.is_some_and(|(changes, _)| changes != self.changes)
    }

    fn record(&mut self, number: u64) -> bool {
        std::mem::replace(&mut self.seq, number) < number
    }

    fn done(&mut self, from: Posture, to: Posture, kind: Kind) -> bool {
        let Some(known) = &mut self.known else { return false };
        let may = from == known.posture && (!known.latched || matches!(kind, Kind::Emergency { .. }));
        self.changes += u32::from(kind != Kind::Transition || from != to);
        known.posture = to;
        if let Kind::Emergency { latch } = kind {
            known.latched |= latch;
        }
        may
    }

    fn forget(&mut self) -> Result<bool, PostureError> {
        match self.known {
            None => Ok(false),
            Some(Standing { latched: true, .. }) => Err(PostureError::Latched),
            Some(Standing { posture, .. }) if posture < DEFAULT => Err(PostureError::WouldRaise),
            Some(_) => {
                (self.known, self.principal) = (None, None);
                self.changes += 1;
                Ok(true)
            }
        }
    }
}

impl Machine {
    pub(super) fn new() -> Self {
        let agents = std::array::from_fn(|_| Agent::default());
        let strangers = Standing { posture: DEFAULT, latched: false };
        Self { agents, strangers, calls: Default::default(), decided: [None; MAX_THREADS] }
    }

    fn standing(&self, agent: usize) -> Standing {
        self.agents[agent].known.unwrap_or(self.strangers)
    }

    fn lower_strangers(&mut self, latch: bool) {
        self.strangers.lower(latch);
        self.agents.iter_mut().filter(|agent| agent.known.is_none()).for_each(|agent| agent.changes += 1);
    }

    /// A call begins. What a downgrade has still to count does not include what another call is about by then.
    fn begin(&mut self, thread: usize, call: &Call) -> bool {
        if let Some(agent) = call.agent() {
            for call in self.calls.iter_mut().flatten() {
                if let Call::DowngradeAll { certain, .. } = call {
                    *certain &= !(1 << agent);
                }
            }
        }
        self.calls[thread].replace(call.clone()).is_none()
    }

    /// The agents that a downgrade has to count: those that are known, and no other call is about.
    fn certain(&self, thread: usize, of: Option<usize>) -> u8 {
        let others =
            || self.calls.iter().enumerate().filter(|&(at, _)| at != thread).filter_map(|(_, call)| call.as_ref());
        // Of those that another one takes down just now, some are counted there.
        if others().any(|call| matches!(call, Call::DowngradeAll { principal, .. } if of.is_some() && *principal == of))
        {
            return 0;
        }
        let covered = |agent: &Agent| agent.known.is_some() && (of.is_none() || agent.principal == of);
        let known = self.agents.iter().enumerate().filter(|(_, agent)| covered(agent));
        let busy = |at: usize| others().any(|call| call.agent() == Some(at));
        known.filter(|&(at, _)| !busy(at)).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    fn downgrade(&mut self, principal: Option<usize>, latch: bool) {
        let covered = |agent: &&mut Agent| principal.is_none() || agent.principal == principal;
        self.agents.iter_mut().filter(covered).for_each(|agent| agent.lower(latch));
        if principal.is_none() {
            self.lower_strangers(latch);
        }
        for call in self.calls.iter_mut().flatten() {
            if let Call::Enroll { principal: joined, left, owed, .. } = call {
                for (of, owed) in [Some(*joined), *left].into_iter().zip(owed) {
                    if of.is_some() && of == principal {
                        *owed = Some(latch || *owed == Some(true));
                    }
                }
            }
        }
    }

    /// What has to be so still when a thread's decision on an agent takes effect.
    fn note(&mut self, thread: usize, agent: usize) {
        let Agent { changes, known, .. } = self.agents[agent];
        self.decided[thread] = Some((changes, known.is_some()));
    }

    fn refuses(&self, agent: usize, from: Posture, refusal: Refusal) -> bool {
        let Standing { posture, latched } = self.standing(agent);
        match refusal {
            Refusal::Stale => posture != from,
            Refusal::Latched => posture == from && latched,
            // No guard refuses here.
            _ => false,
        }
    }

    /// What `thread`, in the middle of `call`, may do to the machine that its answer does not tell.
    fn hidden_of(&self, thread: usize, call: &Call, states: &mut Vec<Self>) {
        let (Call::About(agent) | Call::Emergency { agent, .. } | Call::Enroll { agent, .. }) = *call else { return };
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut state = self.clone();
            change(&mut state);
            states.push(state);
        };
        if self.agents[agent].known.is_none() {
            with(&|state| {
                state.agents[agent].known = Some(state.strangers);
            });
        }
        // Twice, if the agent came to be known and was forgotten in between. More is not believed.
        if let Call::Emergency { latch, lowered: lowered @ 0..2, .. } = *call {
            with(&|state| {
                state.lower_strangers(latch);
                state.calls[thread] = Some(Call::Emergency { agent, latch, lowered: lowered + 1 });
            });
        }
        if let (Call::Enroll { owed, .. }, Some(_)) = (call, self.agents[agent].known) {
            for (which, latch) in owed.iter().enumerate() {
                let Some(latch) = *latch else { continue };
                with(&|state| {
                    state.agents[agent].lower(latch);
                    if let Some(Call::Enroll { owed, .. }) = &mut state.calls[thread] {
                        owed[which] = None;
                    }
                });
            }
        }
    }
}

impl Model for Machine {
    type Step = Step;

    fn apply(&mut self, thread: usize, step: &Step) -> bool {
        let Self { agents, calls, decided, .. } = self;
        match *step {
            Step::Get(agent, seen) => self.standing(agent).posture == seen,
            Step::IsLatched(agent, seen) => self.standing(agent).latched == seen,
            Step::Begin(ref call) => self.begin(thread, call),
            Step::Done { agent, from, to, kind, seq } => {
                calls[thread] = None;
                let late = agents[agent].is_late(decided[thread].take());
                !late && agents[agent].record(seq) && agents[agent].done(from, to, kind)
            }
            Step::Decided { agent, from } => {
                self.note(thread, agent);
                self.standing(agent) == Standing { posture: from, latched: false }
            }
            Step::Refused { agent, from, refusal } => self.refuses(agent, from, refusal),
            Step::Asked(agent) => {
                self.note(thread, agent);
                true
            }
            Step::Recorded { agent, asked, from, seq, refusal } => {
                calls[thread] = None;
                let decided = decided[thread].take();
                let agent = &mut agents[agent];
                let Some(known) = agent.known.filter(|known| known.posture == from) else { return false };
                let explained = match refusal {
                    // Who decided on a stranger may be superseded by any agent that is forgotten.
                    Refusal::Superseded => agent.is_late(decided) || decided.is_some_and(|(_, was_known)| !was_known),
                    Refusal::Stale => from != asked,
                    Refusal::Latched => from == asked && known.latched,
                    _ => false,
                };
                explained && agent.record(seq)
            }
            Step::Full(agent) => {
                (calls[thread], decided[thread]) = (None, None);
                agents[agent].known.is_none()
            }
            Step::AllUnknown { agent, latch } => {
                calls[thread] = None;
                let Standing { posture, latched } = self.strangers;
                agents[agent].known.is_none() && posture == Posture::Pseudo && (latched || !latch)
            }
            Step::DowngradeAll { latch } => {
                let Some(Call::DowngradeAll { principal, .. }) = calls[thread] else { return false };
                let certain = self.certain(thread, principal);
                self.calls[thread] = Some(Call::DowngradeAll { principal, certain });
                self.downgrade(principal, latch);
                true
            }
            Step::DowngradeEnd(counted) => {
                let Some(Call::DowngradeAll { certain, .. }) = calls[thread].take() else { return false };
                u64::from(certain.count_ones()) <= counted
            }
            Step::Release(agent, released) => {
                let Agent { known, changes, .. } = &mut agents[agent];
                *changes += u32::from(released);
                known.as_mut().is_some_and(|known| std::mem::take(&mut known.latched)) == released
            }
            Step::NotSet(agent) => {
                calls[thread] = None;
                self.standing(agent).latched
            }
            Step::Enrolled => {
                let Some(Call::Enroll { agent, principal, left, .. }) = &mut calls[thread] else { return false };
                let agent = &mut agents[*agent];
                *left = agent.principal.replace(*principal);
                agent.known.is_some()
            }
            Step::EnrollEnd => calls[thread].take().is_some(),
            Step::Forget(agent, ref outcome) => {
                calls[thread] = None;
                agents[agent].forget() == *outcome
            }
        }
    }

    fn is_read(step: &Step) -> bool {
        matches!(step, Step::Get(..) | Step::IsLatched(..) | Step::Refused { .. } | Step::Release(_, false))
    }

    fn hidden(&self) -> Vec<Self> {
        let mut states = Vec::new();
        for (thread, call) in self.calls.iter().enumerate() {
            call.iter().for_each(|call| self.hidden_of(thread, call, &mut states));
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::holds;
    use super::*;
    use Posture::{Pseudo, Supervised, Tool};

    /// By thread, start and end.
    type Timed = (usize, u64, u64, Step);

    /// The steps of a call of agent 0.
    fn call(thread: usize, start: u64, end: u64, steps: impl IntoIterator<Item = Step>) -> Vec<Timed> {
        let steps = [Step::Begin(Call::About(0))].into_iter().chain(steps);
        steps.map(|step| (thread, start, end, step)).collect()
    }

    fn transition(from: Posture, to: Posture, seq: u64) -> [Step; 2] {
        [Step::Decided { agent: 0, from }, Step::Done { agent: 0, from, to, kind: Kind::Transition, seq }]
    }

    fn set(from: Posture, to: Posture, seq: u64) -> [Step; 1] {
        [Step::Done { agent: 0, from, to, kind: Kind::Set, seq }]
    }

    fn emergency(from: Posture, latch: bool, seq: u64) -> [Step; 1] {
        [Step::Done { agent: 0, from, to: Pseudo, kind: Kind::Emergency { latch }, seq }]
    }

    fn see(thread: usize, start: u64, agent: usize, posture: Posture) -> Timed {
        (thread, start, start + 1, Step::Get(agent, posture))
    }

    fn enroll(start: u64, end: u64, principal: usize) -> Vec<Timed> {
        let begin = Step::Begin(Call::Enroll { agent: 0, principal, left: None, owed: [None; 2] });
        [begin, Step::Enrolled, Step::EnrollEnd].map(|step| (0, start, end, step)).to_vec()
    }

    fn downgrade(start: u64, end: u64, principal: Option<usize>, counted: u64) -> Vec<Timed> {
        let begin = Step::Begin(Call::DowngradeAll { principal, certain: 0 });
        let steps = [begin, Step::DowngradeAll { latch: false }, Step::DowngradeEnd(counted)];
        steps.map(|step| (1, start, end, step)).to_vec()
    }

    fn forget(start: u64, outcome: Result<bool, PostureError>) -> Vec<Timed> {
        [Step::Begin(Call::Forget(0)), Step::Forget(0, outcome)].map(|step| (1, start, start + 1, step)).to_vec()
    }

    fn refused(end: u64, asked: Posture, from: Posture, refusal: Refusal) -> Vec<Timed> {
        let looked = match refusal {
            Refusal::Superseded => Step::Asked(0),
            _ => Step::Refused { agent: 0, from: asked, refusal },
        };
        call(0, 0, end, [looked, Step::Recorded { agent: 0, asked, from, seq: 2, refusal }])
    }

    #[test]
    fn rejects_two_transitions_from_the_same_posture() {
        let calls = [call(0, 0, 3, transition(Tool, Supervised, 1)), call(1, 1, 2, transition(Tool, Pseudo, 2))];
        assert!(!holds(&Machine::new(), calls.concat()));
    }

    #[test]
    fn rejects_a_transition_that_is_superseded_by_nothing() {
        let loser = refused(3, Tool, Supervised, Refusal::Superseded);
        assert!(!holds(&Machine::new(), loser.clone()));
        let winner = call(1, 1, 2, transition(Tool, Supervised, 1));
        assert!(holds(&Machine::new(), [loser, winner].concat()));
    }

    #[test]
    fn rejects_a_transition_past_an_emergency_or_a_latch() {
        let fell = |latch| call(0, 0, 1, emergency(Tool, latch, 1));
        let rise = call(1, 2, 3, transition(Pseudo, Tool, 2));
        assert!(holds(&Machine::new(), [fell(false), rise.clone()].concat()));
        assert!(!holds(&Machine::new(), [fell(true), rise].concat()));
        let stale = call(1, 2, 3, transition(Tool, Supervised, 2));
        assert!(!holds(&Machine::new(), [fell(false), stale].concat()));
    }

    /// Down, up by an operator, forgotten and known again: what was decided before all that comes too late.
    #[test]
    fn rejects_a_transition_that_was_decided_on_an_agent_before_it_was_forgotten() {
        let down = call(1, 4, 5, emergency(Tool, false, 1));
        let up = call(1, 6, 7, set(Pseudo, Tool, 2));
        let lived = [down, up, forget(8, Ok(true))].concat();
        let asked = |decided| {
            let mut steps = call(0, 0, 11, transition(Tool, Supervised, 3));
            steps[..2].iter_mut().for_each(|step| step.2 = decided);
            [steps, lived.clone()].concat()
        };
        assert!(holds(&Machine::new(), asked(11)), "decided afterwards");
        assert!(!holds(&Machine::new(), asked(3)));
    }

    #[test]
    fn rejects_a_downgrade_of_all_that_reaches_them_one_after_the_other() {
        let all = downgrade(0, 9, None, 0);
        let calm = vec![see(0, 1, 1, Tool), see(0, 3, 2, Pseudo)];
        assert!(holds(&Machine::new(), [all.clone(), calm].concat()));
        let torn = vec![see(0, 1, 1, Pseudo), see(0, 3, 2, Tool)];
        assert!(!holds(&Machine::new(), [all, torn].concat()));
    }

    #[test]
    fn rejects_a_downgrade_of_all_that_counts_too_few() {
        for principal in [None, Some(0)] {
            assert!(!holds(&Machine::new(), [enroll(0, 1, 0), downgrade(2, 3, principal, 0)].concat()));
            assert!(holds(&Machine::new(), [enroll(0, 1, 0), downgrade(2, 3, principal, 1)].concat()));
            assert!(holds(&Machine::new(), [enroll(0, 3, 0), downgrade(1, 2, principal, 0)].concat()), "just coming");
        }
    }

    #[test]
    fn rejects_a_record_that_contradicts_itself() {
        let set = call(1, 1, 2, set(Tool, Supervised, 1));
        assert!(!holds(&Machine::new(), [refused(3, Supervised, Supervised, Refusal::Stale), set.clone()].concat()));
        assert!(holds(&Machine::new(), [refused(3, Supervised, Supervised, Refusal::Superseded), set].concat()));
        assert!(holds(&Machine::new(), refused(3, Supervised, Tool, Refusal::Stale)));
    }

    #[test]
    fn rejects_an_agent_that_is_up_again_by_nothing() {
        let down = [enroll(0, 1, 0), downgrade(2, 3, Some(0), 1), vec![see(2, 4, 0, Pseudo)]].concat();
        assert!(holds(&Machine::new(), down.clone()));
        let moved = [down.clone(), enroll(5, 8, 1), vec![see(2, 6, 0, Tool)]].concat();
        assert!(!holds(&Machine::new(), moved));
        let forgotten = [down, forget(5, Ok(true)), vec![see(2, 7, 0, Tool)]].concat();
        assert!(!holds(&Machine::new(), forgotten));
    }

    #[test]
    fn an_agent_may_go_down_late_with_the_principal_that_it_leaves_or_joins_but_no_other() {
        for (principal, may) in [(0, true), (1, true), (2, false)] {
            let calls = [enroll(0, 1, 0), enroll(2, 9, 1), downgrade(3, 4, Some(principal), 1)].concat();
            let seen = vec![see(2, 5, 0, Tool), see(2, 7, 0, Pseudo)];
            assert_eq!(holds(&Machine::new(), [calls, seen].concat()), may, "principal {principal}");
        }
    }

    #[test]
    fn an_emergency_that_there_is_no_room_for_takes_every_stranger_down() {
        let lost = |seen| {
            let begin = Step::Begin(Call::Emergency { agent: 0, latch: false, lowered: 0 });
            let all = [begin, Step::AllUnknown { agent: 0, latch: false }].map(|step| (0, 0, 1, step)).to_vec();
            [all, vec![see(1, 2, 1, seen)]].concat()
        };
        assert!(holds(&Machine::new(), lost(Pseudo)));
        assert!(!holds(&Machine::new(), lost(Tool)));
    }
}
