//! `Meter` against a state of wide integers.

use super::{OPS, config, magnitude, moved};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;
use tollgate::budget::{Denied, Limits, Meter, Spent, Status};
use tollgate::clock::Timestamp;

const MAX: u128 = u64::MAX as u128;
/// Bits that budget and rate limit may need together, and those that leave a nanosecond clock whole.
const MOST_BITS: u32 = 92;
const FINE_BITS: u32 = 62;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Admit(Calls, When),
    Refund(Calls),
    Shut(Status),
    /// Shuts if at most so many calls were made.
    ShutIf(Status, u64),
    Look(When),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Calls {
    Just(u64),
    /// What the budget has left, more or less.
    Left(i8),
    /// What the window has left, more or less.
    LeftInWindow(i8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Moved(bool, u64),
    /// At the end of the window, more or less.
    WindowEnd(i8),
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20_u64, 2 => magnitude(64), 1 => (0..3_u64).prop_map(|less| u64::MAX - less)]
}

fn calls() -> impl Strategy<Value = Calls> {
    prop_oneof![
        1 => Just(Calls::Just(0)),
        4 => (1..6_u64).prop_map(Calls::Just),
        2 => number().prop_map(Calls::Just),
        2 => (-1..=1_i8).prop_map(Calls::Left),
        2 => (-1..=1_i8).prop_map(Calls::LeftInWindow),
    ]
}

fn when() -> impl Strategy<Value = When> {
    let by = prop_oneof![3 => 0..30_u64, 1 => magnitude(36), 1 => magnitude(64)];
    prop_oneof![
        3 => (prop::bool::weighted(0.7), by).prop_map(|(forth, by)| When::Moved(forth, by)),
        2 => (-1..=1_i8).prop_map(When::WindowEnd),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let status = || prop_oneof![Just(Status::Open), Just(Status::Expired), Just(Status::Closed)];
    prop_oneof![
        20 => (calls(), when()).prop_map(|(calls, when)| Op::Admit(calls, when)),
        5 => calls().prop_map(Op::Refund),
        1 => status().prop_map(Op::Shut),
        1 => (status(), number()).prop_map(|(status, most)| Op::ShutIf(status, most)),
        3 => when().prop_map(Op::Look),
    ]
}

/// Calls and nanoseconds, some of them not to be had.
fn rate() -> impl Strategy<Value = Option<(u64, u128)>> {
    let window = prop_oneof![12 => (1..60_u64).boxed(), 4 => magnitude(64).boxed()].prop_map(u128::from);
    let window = prop_oneof![40 => window, 1 => Just(MAX), 1 => Just(MAX + 1)];
    option::weighted(0.8, (number(), window))
}

fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

fn sum(base: u128, by: i8) -> u64 {
    u64::try_from(base.saturating_add_signed(by.into())).unwrap_or(u64::MAX)
}

pub(crate) struct Model {
    budget: u64,
    rate: Option<(u64, u128)>,
    origin: u64,
    pub(crate) now: u64,
    pub(crate) status: Status,
    calls: u64,
    window_calls: u64,
    /// When the window began, which may be later than there are timestamps.
    start: u128,
}

impl Model {
    pub(crate) fn new(budget: u64, rate: Option<(u64, u128)>, origin: u64) -> Self {
        let (status, start) = (Status::Open, u128::from(origin));
        Self { budget, rate, origin, now: origin, status, calls: 0, window_calls: 0, start }
    }

    fn honours(&self) -> bool {
        let Some((calls, window)) = self.rate else { return true };
        (1..=MAX).contains(&window) && bits(self.budget) + bits(calls.min(self.budget)) <= MOST_BITS
    }

    /// Nanoseconds to which windows' starts are rounded up.
    fn tick(&self) -> u128 {
        let calls = self.rate.map_or(0, |rate| rate.0);
        match (bits(self.budget) + bits(calls.min(self.budget))).saturating_sub(FINE_BITS) {
            0 => 1,
            // One more: rounding up can take a bit more than a timestamp has.
            short => 2 << short,
        }
    }

    fn end(&self, start: u128) -> u128 {
        start + self.rate.map_or(0, |rate| rate.1)
    }

    /// Calls in the window of `now`, and its start.
    fn window(&self, now: u64) -> (u64, u128) {
        if self.rate.is_some() && u128::from(now) >= self.end(self.start) {
            let since = u128::from(now - self.origin);
            (0, u128::from(self.origin) + since.next_multiple_of(self.tick()))
        } else {
            (self.window_calls, self.start)
        }
    }

    pub(crate) fn spent(&self, now: u64) -> (Status, u64, u64, u64) {
        (self.status, self.calls, self.budget - self.calls, self.window(now).0)
    }

    pub(crate) fn admit(&mut self, asked: u64) -> Result<(), Denied> {
        let (used, start) = self.window(self.now);
        if self.status != Status::Open {
            return Err(Denied::Shut(self.status));
        }
        if u128::from(self.calls) + u128::from(asked) > self.budget.into() {
            return Err(Denied::Budget { asked, limit: self.budget, used: self.calls });
        }
        if asked == 0 {
            return Ok(());
        }
        if let Some((limit, _)) = self.rate {
            if u128::from(used) + u128::from(asked) > limit.into() {
                let end = Timestamp::from_nanos(self.end(start).min(MAX) as u64);
                return Err(Denied::Rate { asked, limit, used, retry_at: (asked <= limit).then_some(end) });
            }
            (self.window_calls, self.start) = (used + asked, start);
        }
        self.calls += asked;
        Ok(())
    }

    fn refund(&mut self, calls: u64) -> Result<(), Denied> {
        if self.status != Status::Open {
            return Err(Denied::Shut(self.status));
        }
        self.calls -= calls.min(self.calls);
        if self.rate.is_some() && u128::from(self.now.max(self.origin)) >= self.start {
            self.window_calls -= calls.min(self.window_calls);
        }
        self.window_calls = self.window_calls.min(self.calls);
        Ok(())
    }

    fn resolve(&self, calls: Calls) -> u64 {
        match calls {
            Calls::Just(calls) => calls,
            Calls::Left(by) => sum((self.budget - self.calls).into(), by),
            Calls::LeftInWindow(by) => {
                let limit = self.rate.map_or(self.budget, |rate| rate.0);
                sum(limit.saturating_sub(self.window(self.now).0).into(), by)
            }
        }
    }

    fn turn(&mut self, when: When) {
        let now = match when {
            When::Moved(forth, by) => moved(self.now, forth, by),
            When::WindowEnd(by) => sum(self.end(self.start), by),
        };
        self.now = now;
    }
}

fn plain(spent: Spent) -> (Status, u64, u64, u64) {
    (spent.status, spent.calls, spent.remaining, spent.window_calls)
}

fn step(meter: &Meter, model: &mut Model, op: Op) -> Result<(), TestCaseError> {
    match op {
        Op::Admit(calls, when) => {
            model.turn(when);
            let calls = model.resolve(calls);
            let admitted = meter.admit(calls, Timestamp::from_nanos(model.now)).map(plain);
            prop_assert_eq!(admitted, model.admit(calls).map(|()| model.spent(model.now)));
        }
        Op::Refund(calls) => {
            let calls = model.resolve(calls);
            prop_assert_eq!(meter.refund(calls, Timestamp::from_nanos(model.now)), model.refund(calls));
        }
        Op::Shut(to) => {
            let before = model.spent(model.origin);
            let expected = if model.status < to { Ok(before) } else { Err(model.status) };
            prop_assert_eq!(meter.shut(to).map(plain), expected);
            model.status = model.status.max(to);
        }
        Op::ShutIf(to, most) => {
            let shuts = model.status < to && model.calls <= most;
            let expected = if shuts { Ok(model.spent(model.origin)) } else { Err(model.status) };
            prop_assert_eq!(meter.shut_if(to, |spent| spent.calls <= most).map(plain), expected);
            model.status = if shuts { to } else { model.status };
        }
        Op::Look(when) => model.turn(when),
    }
    prop_assert_eq!(plain(meter.spent_at(Timestamp::from_nanos(model.now))), model.spent(model.now));
    prop_assert_eq!(meter.status(), model.status);
    Ok(())
}

pub(crate) fn agrees(budget: u64, rate: Option<(u64, u128)>, origin: u64, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut model = Model::new(budget, rate, origin);
    let limits = rate.map_or(Limits::new(budget), |(calls, window)| {
        let nanos = (window % 1_000_000_000) as u32;
        Limits::new(budget).with_rate(calls, Duration::new((window / 1_000_000_000) as u64, nanos))
    });
    let meter = Meter::new(limits, Timestamp::from_nanos(origin));
    prop_assert_eq!(meter.is_ok(), model.honours());
    let Ok(meter) = meter else { return Ok(()) };
    for op in ops {
        step(&meter, &mut model, op)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_meter_counts_as_wide_integers_do(
        budget in number(), rate in rate(), origin in magnitude(64), ops in vec(op(), 0..=OPS)
    ) {
        agrees(budget, rate, origin, ops)?;
    }
}
