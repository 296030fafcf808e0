//! What the handles of a machine share, and the steps that its operations are made of.

#![forbid(unsafe_code)]

use super::agent::{Agent, Draft, Standing};
use super::cohort::{Cohort, Everyone};
use super::trim::{Floors, Trims};
use super::{Downgrade, Emergency, Guard, PostureConfig, PostureError, TransitionResult, TrimReport, WhenFull};
use crate::budget::Bound;
use crate::clock::{Clock, Timestamp};
use crate::hash::random_state;
use crate::map::{ShardedMap, Step};
use crate::room::Hold;
use crate::sync::Counter;
use std::sync::Arc;

pub(super) struct Shared<C> {
    pub(super) config: PostureConfig,
    pub(super) share: u64,
    pub(super) clock: C,
    pub(super) agents: ShardedMap<Arc<str>, Agent>,
    pub(super) everyone: ShardedMap<(), Arc<Everyone>>,
    pub(super) principals: ShardedMap<Arc<str>, Arc<Cohort>>,
    pub(super) guards: ShardedMap<(), Arc<[Guard]>>,
    pub(super) floors: ShardedMap<(), Arc<Floors>>,
    /// Agents known, against their cap.
    pub(super) agent_room: Bound,
    /// Records kept, and those that are about to be appended, against the limit.
    pub(super) record_room: Bound,
    /// Numbers given to records.
    pub(super) numbers: Bound,
    /// Numbers given to agents.
    pub(super) births: Counter,
    pub(super) recorded: Counter,
    pub(super) dropped: Counter,
    pub(super) trims: Counter,
    pub(super) succeeded: Counter,
    pub(super) stale: Counter,
    pub(super) guarded: Counter,
    pub(super) latched: Counter,
    pub(super) superseded: Counter,
    pub(super) set: Counter,
    pub(super) emergencies: Counter,
    pub(super) untracked: Counter,
    pub(super) refused_full: Counter,
}

/// A map of one value, which is there from the beginning.
fn cell<V: Send + Sync + 'static>(value: V) -> ShardedMap<(), V> {
    let map = ShardedMap::with_shards_and_hasher(1, random_state());
    map.pin().insert((), value);
    map
}

/// What a closure of [`Shared::write`] decides on an agent.
pub(super) type Decision = Result<Draft, PostureError>;

/// A call that is over when what it trimmed has been told.
pub(super) type Written = Result<Arc<TransitionResult>, PostureError>;

impl<C: Clock> Shared<C> {
    pub(super) fn new(config: PostureConfig, clock: C) -> Self {
        let guards: Arc<[Guard]> =
            if config.upgrade_approval { Arc::from([Guard::upgrade_approval()]) } else { Arc::default() };
        Self {
            share: config.share(),
            clock,
            agents: ShardedMap::new(),
            everyone: cell(Arc::new(Everyone::new())),
            principals: ShardedMap::new(),
            guards: cell(guards),
            floors: cell(Arc::new(Floors::new())),
            agent_room: Bound::new(config.agents),
            record_room: Bound::new(config.history),
            numbers: Bound::new(u64::MAX),
            births: Counter::default(),
            config,
            recorded: Counter::default(),
            dropped: Counter::default(),
            trims: Counter::default(),
            succeeded: Counter::default(),
            stale: Counter::default(),
            guarded: Counter::default(),
            latched: Counter::default(),
            superseded: Counter::default(),
            set: Counter::default(),
            emergencies: Counter::default(),
            untracked: Counter::default(),
            refused_full: Counter::default(),
        }
    }

    /// Does `work`, then tells what it trimmed: the listener is the user's code, and comes last.
    pub(super) fn telling<R>(&self, work: impl FnOnce(&mut Trims) -> R) -> R {
        let mut trims = Trims::new();
        let done = work(&mut trims);
        trims.iter().for_each(|trim| self.tell(trim));
        done
    }

    fn tell(&self, trim: &TrimReport) {
        let TrimReport { dropped, dropped_total, limit } = *trim;
        tracing::warn!(dropped, dropped_total, limit, "posture history trimmed");
        if let Some(listen) = &self.config.on_trim {
            listen(trim);
        }
    }

    pub(super) fn everyone(&self) -> Arc<Everyone> {
        self.everyone.get(&()).expect("there from the beginning, and only ever replaced")
    }

    /// Where an agent stands, known or not.
    ///
    /// What was taken down is entered first, and never answered for: an agent may leave a cohort, be known or be forgotten
    /// just when that is shut, and it is the exchange of its entry that decides which came first.
    pub(super) fn look(&self, agent: &str, trims: &mut Trims) -> Standing {
        loop {
            let agents = self.agents.pin();
            if let Some(known) = agents.get(agent) {
                if known.down().is_none() {
                    return known.standing();
                }
                drop(agents);
                self.settle(&Arc::from(agent), trims);
                continue;
            }
            let everyone = self.open_everyone();
            // Not known, and strangers the same before that and after it.
            if agents.get(agent).is_none() && Arc::ptr_eq(&everyone, &self.open_everyone()) {
                return Standing::of_stranger(everyone, self.config.default_posture);
            }
        }
    }

    /// Lets an agent be known, and confirmed as such, if there is room.
    pub(super) fn introduce(&self, agent: &Arc<str>, trims: &mut Trims) -> Result<(), PostureError> {
        let is_confirmed = self.agents.pin().get(&**agent).map(|known| known.birth.is_none());
        match is_confirmed {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => {
                let seat = self.find_seat()?;
                let stranger = Agent::stranger(&self.open_everyone(), self.config.default_posture, self.births.up());
                if self.agents.pin().try_insert(Arc::clone(agent), stranger).is_ok() {
                    seat.keep();
                }
            }
        }
        self.settle(agent, trims);
        Ok(())
    }

    /// The next number. Taken after the agent's entry was read: numbers rise within an agent.
    pub(super) fn number(&self) -> u64 {
        // A number a nanosecond lasts for 146 years.
        self.numbers.take(1).unwrap_or(u64::MAX)
    }

    /// Replaces an agent's entry by what `decide` makes of it, with a record. `decide` may be called again.
    ///
    /// The one place where records are appended, but for downgrades of many. Linearized at the exchange of the entry; if a
    /// cohort is shut between the look at it and the exchange, the change comes just before the downgrade, and is not seen.
    pub(super) fn write(&self, name: &Arc<str>, trims: &mut Trims, decide: impl Fn(&Agent) -> Decision) -> Written {
        loop {
            // A seat first: who is refused one has not trimmed for it.
            self.introduce(name, trims)?;
            let place = self.find_place(trims);
            let agents = self.agents.pin();
            let mut decided = None;
            let done = agents.compute(Arc::clone(name), |known| {
                decided = None;
                let Some(agent) = known.filter(|known| known.is_settled()) else { return Step::Keep };
                match decide(agent) {
                    Err(refused) => {
                        decided = Some(Err(refused));
                        Step::Keep
                    }
                    Ok(draft) => {
                        let (mut next, record) = agent.after(name, &draft, self.number());
                        // Without a place the list ends before this record; what is kept stays without a gap.
                        let kept = place.is_some().then(|| agent.history.with(Arc::clone(&record)));
                        next.history = kept.unwrap_or_default();
                        decided = Some(Ok(record));
                        Step::Put(next)
                    }
                }
            });
            match decided {
                Some(Ok(record)) => {
                    self.account(done.before, place);
                    return Ok(record);
                }
                Some(refused) => return refused,
                None => {
                    drop(agents);
                    // What is entered first may need the very place.
                    drop(place);
                    self.settle(name, trims);
                }
            }
        }
    }

    /// Counts a record that was made, and what went for it if it had no place.
    pub(super) fn account(&self, before: Option<&Agent>, place: Option<Hold<'_>>) {
        self.recorded.up();
        if let Some(place) = place {
            place.keep();
        } else {
            self.drop_records(before.map_or(0, |agent| agent.history.len()));
            self.dropped.up();
        }
    }

    /// Takes a place for another agent.
    fn find_seat(&self) -> Result<Hold<'_>, PostureError> {
        self.agent_room.hold(1).ok_or(PostureError::Full { capacity: self.config.agents })
    }

    /// Replaces a known agent's entry by what `change` makes of it, without a record. False if that is nothing.
    pub(super) fn amend(&self, agent: &Arc<str>, change: impl Fn(&Agent) -> Option<Agent>) -> bool {
        let mut changed = false;
        self.agents.pin().compute(Arc::clone(agent), |known| {
            let next = known.and_then(&change);
            changed = next.is_some();
            next.map_or(Step::Keep, Step::Put)
        });
        changed
    }

    /// What a call about an unknown agent does when there is no room for it.
    pub(super) fn refuse_full<R>(&self, done: Result<R, PostureError>) -> Result<R, PostureError> {
        if let Err(PostureError::Full { capacity }) = done {
            if self.config.when_full == WhenFull::LowerUnknown && !self.open_everyone().lowered {
                self.lower_unknown(&Downgrade::new("posture machine is full"));
            }
            if self.refused_full.first() {
                tracing::warn!(capacity, "posture machine is full");
            }
        }
        done
    }

    /// Takes an agent down to level 1, with a record.
    pub(super) fn lower(&self, agent: &Arc<str>, order: &Downgrade, at: Timestamp, trims: &mut Trims) -> Written {
        let done = self.write(agent, trims, |_| Ok(Draft::emergency(order, at)));
        if done.is_ok() {
            self.emergencies.up();
        }
        done
    }

    /// Takes an agent down to level 1, or if there is no room to know it, every unknown one.
    pub(super) fn emergency(&self, agent: &Arc<str>, order: &Downgrade, at: Timestamp, trims: &mut Trims) -> Emergency {
        loop {
            if let Ok(record) = self.lower(agent, order, at, trims) {
                return Emergency::Agent(record);
            }
            self.lower_unknown(order);
            // Who inserted it meanwhile looked at the strangers before they were lowered, or is one of them.
            if !self.agents.contains_key(&**agent) {
                self.untracked.up();
                return Emergency::AllUnknown;
            }
        }
    }
}
