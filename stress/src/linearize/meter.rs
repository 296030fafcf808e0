//! The meter: budget, rate window and status change together, whatever is asked.

use super::check::Model;
use super::record::Subject;
use crate::run::{Checked, broken};
use fastrand::Rng;
use std::time::Duration;
use tollgate::budget::{Denied, Limits, Meter, Spent, Status};
use tollgate::clock::Timestamp;

/// Nanoseconds of a rate window.
const WINDOW: u64 = 10;

pub(super) struct Budget {
    meter: Meter,
    start: Counts,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Admit { calls: u64, now: u64 },
    Refund { calls: u64, admitted_at: u64 },
    Shut(Status),
    ShutIfUnused(Status),
    SpentAt(u64),
}

/// What was asked, and the answer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Admit { calls: u64, now: u64, answer: Result<Used, Denied> },
    Refund { calls: u64, admitted_at: u64, answer: Result<(), Denied> },
    Shut { to: Status, answer: Result<u64, Status> },
    ShutIfUnused { to: Status, answer: Result<u64, Status> },
    SpentAt { now: u64, status: Status, used: Used },
}

/// Calls made, left, and made in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) calls: u64,
    pub(super) remaining: u64,
    pub(super) window_calls: u64,
}

impl From<Spent> for Used {
    fn from(Spent { calls, remaining, window_calls, .. }: Spent) -> Self {
        Self { calls, remaining, window_calls }
    }
}

/// What a meter has counted, in nanoseconds since it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Counts {
    budget: u64,
    /// Calls of a window, and its length.
    rate: Option<(u64, u64)>,
    pub(super) status: Status,
    pub(super) calls: u64,
    window_calls: u64,
    window_start: u64,
}

impl Counts {
    pub(super) fn new(budget: u64, rate: Option<(u64, u64)>) -> Self {
        Self { budget, rate, status: Status::Open, calls: 0, window_calls: 0, window_start: 0 }
    }

    pub(super) fn remaining(&self) -> u64 {
        self.budget - self.calls
    }

    /// Calls in the window of `now`, and when that began.
    fn window(&self, now: u64) -> (u64, u64) {
        match self.rate {
            Some((_, length)) if now >= self.window_start + length => (0, now),
            _ => (self.window_calls, self.window_start),
        }
    }

    fn used(&self, now: u64) -> Used {
        Used { calls: self.calls, remaining: self.remaining(), window_calls: self.window(now).0 }
    }

    pub(super) fn admit(&mut self, asked: u64, now: u64) -> Result<Used, Denied> {
        if self.status != Status::Open {
            return Err(Denied::Shut(self.status));
        }
        if asked == 0 {
            return Ok(self.used(now));
        }
        if asked > self.remaining() {
            return Err(Denied::Budget { asked, limit: self.budget, used: self.calls });
        }
        if let Some((limit, length)) = self.rate {
            let (used, start) = self.window(now);
            if used + asked > limit {
                let retry_at = (asked <= limit).then(|| Timestamp::from_nanos(start + length));
                return Err(Denied::Rate { asked, limit, used, retry_at });
            }
            (self.window_calls, self.window_start) = (used + asked, start);
        }
        self.calls += asked;
        Ok(self.used(now))
    }

    fn refund(&mut self, calls: u64, admitted_at: u64) -> Result<(), Denied> {
        if self.status != Status::Open {
            return Err(Denied::Shut(self.status));
        }
        self.calls = self.calls.saturating_sub(calls);
        if admitted_at >= self.window_start {
            self.window_calls = self.window_calls.saturating_sub(calls);
        }
        self.window_calls = self.window_calls.min(self.calls);
        Ok(())
    }

    /// Shuts it if `may`; the calls made, or why not.
    pub(super) fn shut(&mut self, to: Status, may: bool) -> Result<u64, Status> {
        if self.status >= to || !may {
            return Err(self.status);
        }
        self.status = to;
        Ok(self.calls)
    }
}

impl Model for Counts {
    type Step = Step;

    fn apply(&mut self, _: usize, step: &Step) -> bool {
        match *step {
            Step::Admit { calls, now, answer } => self.admit(calls, now) == answer,
            Step::Refund { calls, admitted_at, answer } => self.refund(calls, admitted_at) == answer,
            Step::Shut { to, answer } => self.shut(to, true) == answer,
            Step::ShutIfUnused { to, answer } => self.shut(to, self.calls == 0) == answer,
            Step::SpentAt { now, status, used } => (status, used) == (self.status, self.used(now)),
        }
    }

    fn is_read(step: &Step) -> bool {
        match step {
            Step::Admit { calls, answer, .. } => *calls == 0 || answer.is_err(),
            Step::Refund { answer, .. } => answer.is_err(),
            Step::Shut { answer, .. } | Step::ShutIfUnused { answer, .. } => answer.is_err(),
            Step::SpentAt { .. } => true,
        }
    }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

impl Subject for Budget {
    type Op = Op;
    type Model = Counts;
    const CALLS: u64 = 40;

    fn new(rng: &mut Rng) -> Checked<Self> {
        let budget = rng.u64(..80);
        let rate = rng.bool().then(|| (rng.u64(1..8), WINDOW));
        let mut limits = Limits::new(budget);
        if let Some((calls, window)) = rate {
            limits = limits.with_rate(calls, Duration::from_nanos(window));
        }
        let meter = Meter::new(limits, at(0)).or_else(broken)?;
        Ok(Self { meter, start: Counts::new(budget, rate) })
    }

    fn start(&self) -> Counts {
        self.start.clone()
    }

    fn plan(rng: &mut Rng, unique: u64) -> Op {
        // Time goes on with the calls, and is read by each thread for itself.
        let now = unique % 1_000 + rng.u64(..2 * WINDOW);
        let to = if rng.bool() { Status::Expired } else { Status::Closed };
        match rng.u8(..128) {
            0..72 => Op::Admit { calls: rng.u64(..4), now },
            72..100 => Op::Refund { calls: rng.u64(..3), admitted_at: now.saturating_sub(rng.u64(..WINDOW)) },
            100 => Op::Shut(to),
            101..104 => Op::ShutIfUnused(to),
            _ => Op::SpentAt(now),
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let meter = &self.meter;
        steps.push(match op {
            Op::Admit { calls, now } => Step::Admit { calls, now, answer: meter.admit(calls, at(now)).map(Used::from) },
            Op::Refund { calls, admitted_at } => {
                Step::Refund { calls, admitted_at, answer: meter.refund(calls, at(admitted_at)) }
            }
            Op::Shut(to) => Step::Shut { to, answer: meter.shut(to).map(|spent| spent.calls) },
            Op::ShutIfUnused(to) => {
                let answer = meter.shut_if(to, |spent| spent.calls == 0).map(|spent| spent.calls);
                Step::ShutIfUnused { to, answer }
            }
            Op::SpentAt(now) => {
                let spent = meter.spent_at(at(now));
                Step::SpentAt { now, status: spent.status, used: spent.into() }
            }
        });
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        self.call(Op::SpentAt(0), steps);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;

    fn admit(calls: u64, now: u64, used: u64, left: u64, window_calls: u64) -> Step {
        Step::Admit { calls, now, answer: Ok(Used { calls: used, remaining: left, window_calls }) }
    }

    #[test]
    fn rejects_a_budget_that_is_oversold() {
        let start = Counts::new(3, None);
        assert!(holds(&start, vec![(0, 0, 3, admit(2, 0, 2, 1, 0)), (1, 1, 2, admit(1, 0, 3, 0, 0))]));
        assert!(!holds(&start, vec![(0, 0, 3, admit(2, 0, 2, 1, 0)), (1, 1, 2, admit(2, 0, 2, 1, 0))]));
        assert!(!holds(&start, vec![(0, 0, 3, admit(2, 0, 2, 1, 0)), (1, 1, 2, admit(2, 0, 4, 0, 0))]));
    }

    #[test]
    fn rejects_more_than_a_window_admits() {
        let start = Counts::new(9, Some((2, WINDOW)));
        assert!(holds(&start, vec![(0, 0, 1, admit(2, 1, 2, 7, 2)), (1, 2, 3, admit(1, WINDOW, 3, 6, 1))]));
        assert!(!holds(&start, vec![(0, 0, 1, admit(2, 1, 2, 7, 2)), (1, 2, 3, admit(1, WINDOW - 1, 3, 6, 3))]));
    }

    #[test]
    fn rejects_an_admission_after_it_was_shut_and_a_refund_that_is_lost() {
        let shut = Step::Shut { to: Status::Closed, answer: Ok(0) };
        assert!(!holds(&Counts::new(3, None), vec![(0, 0, 1, shut), (1, 2, 3, admit(1, 0, 1, 2, 0))]));
        let refund = Step::Refund { calls: 1, admitted_at: 0, answer: Ok(()) };
        let calls = vec![(0, 0, 1, admit(2, 0, 2, 1, 0)), (0, 2, 5, refund), (1, 3, 4, admit(1, 0, 3, 0, 0))];
        assert!(holds(&Counts::new(3, None), calls.clone()));
        let read =
            Step::SpentAt { now: 0, status: Status::Open, used: Used { calls: 3, remaining: 0, window_calls: 0 } };
        assert!(!holds(&Counts::new(3, None), [calls, vec![(0, 6, 7, read)]].concat()));
    }
}
