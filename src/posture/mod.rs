//! Trust postures: how much each agent may do by itself, and how that came about.
//!
//! # Transitions
//!
//! An agent is one immutable entry: its posture, whether it is latched, and its own history. A transition is decided on an
//! entry, by guards that are the caller's code and run outside of any step that others could wait for, and takes effect by
//! one exchange of the entry. It fails if the agent has changed since it was decided: of two from the same posture one
//! wins, and an *emergency*, which asks no guard, beats everything that was decided before it. Posture and record change
//! in the same exchange, so each record's `from` is what the one before has left. Attempts that failed are recorded, too.
//!
//! # Taking many down
//!
//! Everyone's agents, and those of a principal, are *cohorts*, as the tokens of a principal are for a revocation: a
//! bound that is shut takes all of them down at one instant. Whoever meets an agent of such a cohort enters that into the
//! agent's history before anything is decided on it, or answered for it.
//!
//! # Unknown agents
//!
//! They have the default posture, or level 1 once everyone, or one of them that could not be entered, was taken down,
//! until [`restore_default`](PostureMachine::restore_default). A full machine refuses other agents. It never forgets one
//! by itself: that could raise it.
//!
//! # History
//!
//! Records of all agents together never exceed the limit. One that finds no place has the oldest tenth dropped first (of
//! 10,000 records, the 10,001st leaves 9,001), sparing the newest few of each agent while there are others. A trim is
//! seen by readers as a whole or not at all. Where others hold every place for records that they are only about to append,
//! a record is dropped as soon as it is made, and its agent's older ones with it, so that no history has a gap.
//!
//! # Progress
//!
//! Every operation is lock-free. A look at a posture writes no shared memory, unless it meets a downgrade of many that has
//! still to be entered, and enters it. A trim and a downgrade of many walk over the agents.
//!
//! # Linearization points
//!
//! *transition*, *emergency_downgrade*, *set_posture*, *enroll*, *forget*, *release*: the exchange of the agent's entry. If
//! one of its cohorts was shut just before, and nobody has entered that, it comes before that. *downgrade_all*, and an
//! emergency of an agent that there is no room for: the shutting of the cohort. *trim*: the exchange of the floors.
//! *get_posture*, *is_latched*: the lookup of the agent.
//!
//! # Panics
//!
//! None of its own. A guard or the clock is asked before anything is changed, the listener told when all is done: a panic goes
//! to the caller, and other trims of the same call go untold. What was taken down is down.
//!
//! # Memory
//!
//! About 280 bytes a record beside its reason and metadata, 200 an agent, 520 a principal with agents (resident memory,
//! measured over 300,000, 100,000 and 100,000 of them, names of 16 bytes included): 5 MB at the default limits. An agent's
//! floor, once a trim has touched it, takes 30 bytes and its place in the table. The history is bounded in records, not in
//! bytes: who lets strangers choose reasons and metadata bounds those.

#![forbid(unsafe_code)]

mod agent;
mod cohort;
mod config;
mod error;
mod guard;
mod history;
mod level;
mod many;
mod members;
mod shared;
mod transition;
mod trim;

pub use config::{PostureConfig, PostureStats, TrimReport, WhenFull};
pub use error::PostureError;
pub use guard::{Guard, UPGRADE_APPROVAL};
pub use history::HistoryQuery;
pub use level::{ParsePostureError, Posture};
pub use transition::{
    Downgrade, Emergency, Metadata, Refusal, Scope, TransitionKind, TransitionRequest, TransitionResult,
};

use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::map::Step;
use agent::{Agent, Draft, Standing};
use shared::Shared;
use std::fmt;
use std::sync::Arc;

/// The postures of agents.
///
/// A cheap handle: clones share the agents.
///
/// # Examples
///
/// ```
/// use tollgate::posture::{Downgrade, HistoryQuery, Posture, PostureConfig, PostureMachine, Refusal, TransitionRequest};
///
/// let machine = PostureMachine::new(PostureConfig::new())?;
/// assert_eq!(machine.get_posture("agent-7"), Posture::Tool);
///
/// let request = TransitionRequest::new("agent-7", Posture::Tool, Posture::Supervised);
/// let refused = machine.transition(&request)?;
/// assert_eq!(refused.refusal, Some(Refusal::Guarded)); // nobody has asked for it
/// assert!(machine.transition(&request.requester("alice"))?.success);
///
/// let _ = machine.emergency_downgrade("agent-7", &Downgrade::new("key leaked").latch());
/// assert_eq!(machine.get_posture("agent-7"), Posture::Pseudo);
/// assert_eq!(machine.history(&HistoryQuery::new().agent("agent-7")).len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostureMachine<C: Clock = SystemClock> {
    shared: Arc<Shared<C>>,
}

impl PostureMachine {
    /// A machine that knows no agent, on the system clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] if it is to know no agents.
    pub fn new(config: PostureConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, SystemClock)
    }
}

impl<C: Clock> PostureMachine<C> {
    /// A machine that knows no agent, on `clock`.
    ///
    /// # Errors
    ///
    /// As for [`new`](PostureMachine::new).
    pub fn with_clock(config: PostureConfig, clock: C) -> Result<Self, ConfigError> {
        Ok(Self { shared: Arc::new(Shared::new(config.validated()?, clock)) })
    }

    /// The agent's posture; the default for an unknown one, which stays unknown. Lock-free, expected O(1). Writes no shared
    /// memory, unless it meets a downgrade of many that has still to be entered for the agent, or for the unknown, and
    /// enters it, which may trim the history.
    #[must_use]
    pub fn get_posture(&self, agent: &str) -> Posture {
        self.standing(agent).posture
    }

    /// Whether the agent is kept down until it is released. As [`get_posture`](Self::get_posture).
    #[must_use]
    pub fn is_latched(&self, agent: &str) -> bool {
        self.standing(agent).latched
    }

    fn standing(&self, agent: &str) -> Standing {
        self.shared.telling(|trims| self.shared.look(agent, trims))
    }

    /// Asks for a transition. The answer to a request that is refused is a result as well: it is recorded, and says why.
    /// Lock-free but for the guards; O(1) unless the history is full and trimmed first. Reads the clock after the guards.
    ///
    /// In this order, after upstream: a request from another posture than the agent's is [`Refusal::Stale`]; an agent
    /// that is kept down, [`Refusal::Latched`]; then the guards are asked in the order in which they were added. Any
    /// number of levels may be taken at once.
    ///
    /// # Errors
    ///
    /// [`PostureError::Full`] for an unknown agent that there is no room for. Nothing is recorded.
    pub fn transition(&self, request: &TransitionRequest) -> Result<Arc<TransitionResult>, PostureError> {
        let shared = &*self.shared;
        shared.telling(|trims| {
            let standing = shared.look(&request.agent, trims);
            let verdict = self.verdict(request, &standing);
            let at = shared.clock.now();
            let superseded = || {
                let (by, reason) = ("superseded", "another change came between the decision and its effect");
                Draft::done(request, at).refused(Refusal::Superseded, Arc::from(reason), Some(Arc::from(by)))
            };
            let done = shared.write(&request.agent, trims, |known| {
                Ok(match &verdict {
                    Some((refusal, reason, by)) if refusal.still_fits(known, request.from) => {
                        Draft::done(request, at).refused(*refusal, Arc::clone(reason), by.clone())
                    }
                    Some(_) => superseded(),
                    None if !standing.still_holds(known, || shared.everyone()) => superseded(),
                    None => Draft::done(request, at),
                })
            });
            if let Ok(result) = &done {
                let counter = match result.refusal {
                    None => &shared.succeeded,
                    Some(Refusal::Stale) => &shared.stale,
                    Some(Refusal::Guarded) => &shared.guarded,
                    Some(Refusal::Latched) => &shared.latched,
                    Some(Refusal::Superseded) => &shared.superseded,
                };
                counter.up();
            }
            shared.refuse_full(done)
        })
    }

    /// Why a request is refused, if it is.
    fn verdict(
        &self,
        request: &TransitionRequest,
        standing: &Standing,
    ) -> Option<(Refusal, Arc<str>, Option<Arc<str>>)> {
        if standing.posture != request.from {
            return Some((Refusal::Stale, Arc::from("the agent's posture does not match the request's"), None));
        }
        if standing.latched {
            let reason = Arc::from("the agent is kept down until it is released");
            return Some((Refusal::Latched, reason, Some(Arc::from("latch"))));
        }
        // The list as it is now, and no pin while the user's code runs.
        let guards = self.guards();
        let (by, reason) = guards.iter().find(|guard| !guard.passes(request))?.blocked();
        Some((Refusal::Guarded, reason, Some(by)))
    }

    /// Takes an agent down to level 1, whatever it is doing: no guard is asked, and every transition that was decided
    /// before fails. With a latch it stays there until [`release`](Self::release). Recorded even at level 1. Lock-free,
    /// O(1) unless the history is full and trimmed first.
    ///
    /// It cannot fail: if the agent is unknown and there is no room for it, all unknown agents are taken down in its
    /// place, and the answer says so.
    pub fn emergency_downgrade(&self, agent: impl Into<Arc<str>>, order: &Downgrade) -> Emergency {
        let agent = agent.into();
        let at = self.shared.clock.now();
        self.shared.telling(|trims| self.shared.emergency(&agent, order, at, trims))
    }

    /// Takes many agents down to level 1 at one instant, and returns how many known ones that were: exactly, but for those
    /// that come, go, or are taken down by another call at that very moment, and one more for each such call for the same
    /// principal. That instant does not depend on how many there are; the call then walks over all agents and enters it into
    /// their histories. Lock-free, O(known agents), and a trim for every tenth of the history's limit that they are.
    ///
    /// For everyone, unknown agents are at level 1 from then on as well, and latched if that is ordered, until
    /// [`restore_default`](Self::restore_default). An agent that is enrolled with the principal later is not covered.
    pub fn downgrade_all(&self, scope: &Scope, order: &Downgrade) -> u64 {
        self.shared.telling(|trims| self.shared.downgrade_all(scope, order, trims))
    }

    /// Gives unknown agents the default posture again, and lifts the latch that they were under. Agents that are known
    /// stay where they are, and so may one that is only being entered at that moment. Lock-free, O(1).
    pub fn restore_default(&self) {
        self.shared.restore_default();
    }

    /// Lets an agent that was latched ask for transitions again. It stays at level 1. False if it was not latched, or is
    /// unknown. Lock-free, O(1).
    pub fn release(&self, agent: impl Into<Arc<str>>) -> bool {
        let agent = agent.into();
        self.shared.telling(|trims| self.shared.release(&agent, trims))
    }

    /// Gives an agent a posture past all guards. Recorded, which upstream does not. Lock-free, O(1) unless the history is
    /// full and trimmed first.
    ///
    /// # Errors
    ///
    /// [`PostureError::Latched`]; [`PostureError::Full`] for an unknown agent that there is no room for.
    pub fn set_posture(
        &self,
        agent: impl Into<Arc<str>>,
        posture: Posture,
    ) -> Result<Arc<TransitionResult>, PostureError> {
        let (shared, agent) = (&*self.shared, agent.into());
        shared.telling(|trims| {
            if shared.look(&agent, trims).latched {
                return Err(PostureError::Latched);
            }
            let at = shared.clock.now();
            let done = shared.write(&agent, trims, |known| {
                if known.latched { Err(PostureError::Latched) } else { Ok(Draft::set(posture, at)) }
            });
            if done.is_ok() {
                shared.set.up();
            }
            shared.refuse_full(done)
        })
    }

    /// Makes an agent one of the principal's, and no other's: [`downgrade_all`](Self::downgrade_all) for the principal
    /// covers it from now on. Its posture stays what it is; an unknown agent is known from now on. One that comes from another
    /// principal just when that one is taken down, and is counted there, goes down with it before this returns, as by
    /// [`emergency_downgrade`](Self::emergency_downgrade), and takes as long as that. Lock-free, O(1) otherwise.
    ///
    /// # Errors
    ///
    /// [`PostureError::Full`] for an unknown agent that there is no room for.
    pub fn enroll(&self, agent: impl Into<Arc<str>>, principal: impl Into<Arc<str>>) -> Result<(), PostureError> {
        let (agent, principal) = (agent.into(), principal.into());
        let shared = &*self.shared;
        shared.telling(|trims| shared.refuse_full(shared.enroll(&agent, &principal, trims)))
    }

    /// Forgets an agent and drops its records, if that cannot raise it. False if it is unknown. Lock-free, O(its records);
    /// if a trim has dropped some of them, O(agents of which trims have dropped records).
    ///
    /// # Errors
    ///
    /// [`PostureError::Latched`]; [`PostureError::WouldRaise`] if its posture is below the default: unknown agents have
    /// that, or will once it is restored.
    pub fn forget(&self, agent: impl Into<Arc<str>>) -> Result<bool, PostureError> {
        let agent = agent.into();
        self.shared.telling(|trims| self.shared.forget(&agent, trims))
    }

    /// Records, oldest first, as they are after the latest trim; never more than the limit. An answer about one agent is
    /// what was there at one instant. One about all agents leaves out what was recorded after the call began: it has no
    /// gap but for records that others were just then appending, and what was trimmed meanwhile is missing, too.
    /// Lock-free, O(known agents + n log n), or O(n) for one agent.
    #[must_use]
    pub fn history(&self, query: &HistoryQuery) -> Vec<Arc<TransitionResult>> {
        let shared = &*self.shared;
        let most = query.limit.unwrap_or(usize::MAX);
        let mut records = match &query.agent {
            Some(agent) => {
                shared.telling(|trims| shared.settle(agent, trims));
                let list = || shared.agents.pin().get(&**agent).map(|known| known.history.clone());
                shared.visible(most, || list().into_iter().map(|list| (Arc::clone(agent), list)).collect())
            }
            None => {
                shared.telling(|trims| shared.settle_all(trims));
                let start = shared.numbers.taken();
                let list = |(name, known): (&Arc<str>, &Agent)| (Arc::clone(name), known.history.clone());
                let mut records = shared.visible(usize::MAX, || shared.agents.pin().iter().map(list).collect());
                records.retain(|record| record.seq <= start);
                records.sort_unstable_by_key(|record| record.seq);
                records
            }
        };
        records.drain(..records.len().saturating_sub(most));
        records
    }

    /// Adds a guard, to be asked after the others. Names need not differ. A guard that holds a handle to its machine keeps
    /// that alive until it is removed. Lock-free, O(guards).
    pub fn add_guard(&self, guard: Guard) {
        self.change_guards(|guards| Some(guards.iter().chain([&guard]).cloned().collect()));
    }

    /// Removes the first guard of this name. False if there is none. Lock-free, O(guards).
    pub fn remove_guard(&self, name: &str) -> bool {
        self.change_guards(|guards| {
            let place = guards.iter().position(|guard| guard.name() == name)?;
            Some(guards[..place].iter().chain(&guards[place + 1..]).cloned().collect())
        })
    }

    /// The names of the guards, in the order in which they are asked. O(guards).
    #[must_use]
    pub fn list_guards(&self) -> Vec<String> {
        self.guards().iter().map(|guard| guard.name().to_owned()).collect()
    }

    fn guards(&self) -> Arc<[Guard]> {
        self.shared.guards.get(&()).unwrap_or_default()
    }

    /// Replaces the list of guards. False if `change` leaves it.
    fn change_guards(&self, change: impl Fn(&[Guard]) -> Option<Arc<[Guard]>>) -> bool {
        let mut changed = false;
        self.shared.guards.pin().compute((), |guards| {
            let next = change(guards.map_or(&[], |guards| &**guards));
            changed = next.is_some();
            next.map_or(Step::Keep, Step::Put)
        });
        changed
    }

    /// The machine in numbers. O(1).
    #[must_use]
    pub fn stats(&self) -> PostureStats {
        let shared = &*self.shared;
        PostureStats {
            agents: shared.agent_room.taken(),
            capacity: shared.config.agents,
            records: shared.record_room.taken(),
            history: shared.config.history,
            recorded: shared.recorded.get(),
            dropped: shared.dropped.get(),
            trims: shared.trims.get(),
            succeeded: shared.succeeded.get(),
            stale: shared.stale.get(),
            guarded: shared.guarded.get(),
            latched: shared.latched.get(),
            superseded: shared.superseded.get(),
            set: shared.set.get(),
            emergencies: shared.emergencies.get(),
            untracked_downgrades: shared.untracked.get(),
            refused_full: shared.refused_full.get(),
        }
    }
}

impl<C: Clock> Clone for PostureMachine<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Clock> fmt::Debug for PostureMachine<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostureMachine").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
