//! Tries to make a posture machine lose an emergency, break an agent's chain of records, or keep more than its limit.

use crate::run::{Checked, Round, at_most, broken, ensure, same, stumble};
use fastrand::Rng;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, Emergency, Guard, HistoryQuery, Posture, PostureConfig, PostureError, PostureMachine, Refusal, Scope,
    TransitionRequest, TransitionResult, WhenFull,
};

const OPERATIONS: u64 = 300;
const AGENTS: u64 = 12;
/// Nobody releases this one: once it was latched it never moves again.
const CONDEMNED: &str = "condemned";
const POSTURES: [Posture; 5] = Posture::ALL;

type Machine = PostureMachine<ManualClock>;
type Records = Vec<Arc<TransitionResult>>;

struct World {
    machine: Machine,
    clock: ManualClock,
    limit: u64,
    agents: u64,
    /// What the listener was told.
    trimmed: Arc<AtomicU64>,
    /// Whether, and since when, nobody may see the condemned one above level 1.
    latched: AtomicU64,
    forgets: bool,
}

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let limit = round.pick(1, &[0, 1, 7, 40, 500, 100_000]);
    // Threads that insert one agent hold a place each for a moment.
    let agents = round.pick(2, &[3, AGENTS + 1 + round.threads as u64]);
    let when_full = round.pick(4, &[WhenFull::Refuse, WhenFull::LowerUnknown]);
    let trimmed = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&trimmed);
    let config = PostureConfig::new().history(limit).agents(agents).when_full(when_full).on_trim(move |report| {
        stumble();
        heard.fetch_add(report.dropped, Ordering::SeqCst);
    });
    let clock = ManualClock::new(Timestamp::from_secs(1_000));
    let machine = PostureMachine::with_clock(config, clock.clone());
    let machine = machine.or_else(|error| broken(format_args!("expected a machine, saw {error}")))?;
    machine.add_guard(Guard::new("stumbles", |_| {
        stumble();
        true
    }));
    machine.set_posture(CONDEMNED, Posture::Autonomous).or_else(broken)?;
    let forgets = round.number % 3 == 0;
    let world = World { machine, clock, limit, agents, trimmed, latched: AtomicU64::new(0), forgets };
    let operations = round.race_watched(|_, rng| world.work(rng), || world.watch())?;
    world.check_rest()?;
    Ok(operations)
}

impl World {
    fn work(&self, rng: &mut Rng) -> Checked<u64> {
        for _ in 0..OPERATIONS {
            self.step(rng)?;
        }
        Ok(OPERATIONS)
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let machine = &self.machine;
        let agent = format!("agent-{}", rng.u64(..AGENTS));
        let order = Downgrade::new("stop");
        match rng.u8(..64) {
            0 => {
                let covered = machine.downgrade_all(&Scope::Everyone, &order);
                at_most("agents of everyone", self.agents, covered)?;
            }
            1 => {
                machine.downgrade_all(&Scope::Principal(principal(rng)), &order);
            }
            2 | 3 => self.allowed(machine.enroll(agent, principal(rng)))?,
            4 => machine.restore_default(),
            5 => self.clock.set(Timestamp::from_secs(rng.u64(..2_000))),
            6 | 7 if self.forgets => match machine.forget(agent) {
                Ok(_) | Err(PostureError::WouldRaise | PostureError::Latched) => {}
                Err(error) => return broken(format_args!("expected no refusal, saw {error}")),
            },
            8 => {
                let _ = machine.release(agent);
            }
            9..14 => self.stop(&agent, if rng.bool() { order } else { order.latch() })?,
            14 => {
                let _ = machine.emergency_downgrade(CONDEMNED, &order.latch());
                self.latched.store(1, Ordering::SeqCst);
                self.check_condemned()?;
            }
            15..18 => {
                let request = TransitionRequest::new(CONDEMNED, Posture::Autonomous, Posture::Autonomous);
                let _ = machine.transition(&request);
                self.check_condemned()?;
            }
            18..22 => {
                let query = HistoryQuery::new().agent(agent).limit(rng.usize(..9));
                let records = machine.history(&query);
                at_most("records of a query", 9, records.len() as u64)?;
                chained(&records)?;
            }
            _ => self.transition(&agent, rng)?,
        }
        Ok(())
    }

    fn transition(&self, agent: &str, rng: &mut Rng) -> Checked {
        let from = self.machine.get_posture(agent);
        let request = TransitionRequest::new(agent, from, POSTURES[rng.usize(..5)]);
        let request = if rng.bool() { request.requester("boss") } else { request };
        match self.machine.transition(&request) {
            Ok(result) if result.success => {
                let same_request = (result.from, result.to) == (request.from, request.to);
                ensure(same_request, format_args!("expected {request:?} to be done, saw {result:?}"))
            }
            Ok(result) => ensure(
                result.refusal != Some(Refusal::Guarded) || request.requester.is_none(),
                format_args!("expected a named requester to pass, saw {result:?}"),
            ),
            Err(error) => self.allowed(Err(error)),
        }
    }

    fn stop(&self, agent: &str, order: Downgrade) -> Checked {
        match self.machine.emergency_downgrade(agent, &order) {
            Emergency::Agent(record) => {
                same("where an emergency ends", (Posture::Pseudo, true), (record.to, record.success))
            }
            Emergency::AllUnknown => ensure(self.agents <= AGENTS, "expected room for all, saw none"),
        }
    }

    /// A refusal is fine where there is no room for all.
    fn allowed(&self, done: Result<(), PostureError>) -> Checked {
        match done {
            Ok(()) => Ok(()),
            Err(PostureError::Full { capacity }) if capacity == self.agents && self.agents <= AGENTS => Ok(()),
            Err(error) => broken(format_args!("expected no refusal, saw {error}")),
        }
    }

    fn check_condemned(&self) -> Checked {
        if self.latched.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        same("the posture of who was latched", Posture::Pseudo, self.machine.get_posture(CONDEMNED))
    }

    fn watch(&self) -> Checked {
        self.check_condemned()?;
        let records = self.machine.history(&HistoryQuery::new());
        at_most("records of everyone", self.limit, records.len() as u64)?;
        at_most("records in stats()", self.limit, self.machine.stats().records)?;
        at_most("agents in stats()", self.agents, self.machine.stats().agents)?;
        chained(&records)
    }

    fn check_rest(&self) -> Checked {
        let stats = self.machine.stats();
        let records = self.machine.history(&HistoryQuery::new());
        chained(&records)?;
        same("records made, against those kept and dropped", stats.recorded, stats.records + stats.dropped)?;
        same("records kept, against those seen", stats.records, records.len() as u64)?;
        // A transition is one record, and so is an agent that was taken down or set.
        let refused = stats.stale + stats.guarded + stats.latched + stats.superseded;
        let counted = stats.succeeded + refused + stats.emergencies + stats.set;
        same("records made, against what was counted", stats.recorded, counted)?;
        at_most(
            "records that trims told of, beside others dropped",
            stats.dropped,
            self.trimmed.load(Ordering::SeqCst),
        )?;
        if self.latched.load(Ordering::SeqCst) == 1 {
            ensure(self.machine.is_latched(CONDEMNED), "expected a latch to hold, saw it gone")?;
        }
        Ok(())
    }
}

fn principal(rng: &mut Rng) -> Arc<str> {
    Arc::from(["p", "q", "r"][rng.usize(..3)])
}

/// Each agent's records, oldest first: numbers rise, times do not step back, and each starts where the last one ended.
fn chained(records: &Records) -> Checked {
    let mut last: HashMap<&str, &TransitionResult> = HashMap::new();
    for record in records {
        let Some(before) = last.insert(&record.agent, record) else { continue };
        let left = if before.success { before.to } else { before.from };
        let fits = record.from == left && before.seq < record.seq && before.recorded_at <= record.recorded_at;
        ensure(fits, format_args!("expected a record that follows {before:?}, saw {record:?}"))?;
    }
    Ok(())
}
