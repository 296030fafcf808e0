//! Races of the meter: the last unit, shutting, the turn of the window. And of the clock that is set by hand.

use loom_tests::{Order, bounded, exhaustive};
use std::sync::Arc;
use std::time::Duration;
use tollgate::budget::{Denied, Limits, Meter, Status};
use tollgate::clock::{Clock, ManualClock, Timestamp};

const WINDOW: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn meter(limits: Limits) -> Arc<Meter> {
    Arc::new(Meter::new(limits, at(0)).unwrap())
}

#[test]
fn meter_spend_spend_at_the_last_unit() {
    exhaustive(|order| {
        let meter = meter(Limits::new(3));
        let (one, two) = (Arc::clone(&meter), Arc::clone(&meter));
        let (first, second) = order.race(move || one.admit(2, at(0)).is_ok(), move || two.admit(2, at(0)).is_ok());
        assert!(first ^ second);
        assert_eq!(meter.spent_at(at(0)).calls, 2);
    });
}

#[test]
fn meter_spend_shut() {
    exhaustive(|order| {
        let meter = meter(Limits::new(3));
        let (one, two) = (Arc::clone(&meter), Arc::clone(&meter));
        let shut = move || two.shut(Status::Closed).unwrap().calls;
        let (admitted, at_shut) = order.race(move || one.admit(1, at(0)).is_ok(), shut);
        assert_eq!(at_shut, u64::from(admitted));
        assert_eq!(meter.spent_at(at(0)).calls, at_shut);
    });
}

#[test]
fn meter_shut_shut_has_one_winner() {
    exhaustive(|order| {
        let meter = meter(Limits::new(3));
        let (one, two) = (Arc::clone(&meter), Arc::clone(&meter));
        let (first, second) =
            order.race(move || one.shut(Status::Closed).is_ok(), move || two.shut(Status::Closed).is_ok());
        assert!(first ^ second);
    });
}

#[test]
fn meter_refund_spend() {
    exhaustive(|order| {
        let meter = meter(Limits::new(1));
        meter.admit(1, at(0)).unwrap();
        let (one, two) = (Arc::clone(&meter), Arc::clone(&meter));
        let (_, spent) = order.race(move || one.refund(1, at(0)).unwrap(), move || two.admit(1, at(0)).is_ok());
        assert_eq!(meter.spent_at(at(0)).calls, u64::from(spent));
    });
}

#[test]
fn meter_shut_shows_what_came_before() {
    exhaustive(|order| {
        let meter = meter(Limits::new(1));
        let note = Arc::new(Meter::new(Limits::new(1), at(0)).unwrap());
        let (one, two) = (Arc::clone(&meter), Arc::clone(&meter));
        let (noted, read) = (Arc::clone(&note), Arc::clone(&note));
        let write = move || {
            noted.admit(1, at(0)).unwrap();
            one.shut(Status::Closed).unwrap();
        };
        let look = move || two.status() == Status::Open || read.spent_at(at(0)).calls == 1;
        assert!(order.race(write, look).1, "seen shut, but not what was done before it was shut");
    });
}

#[test]
fn meter_refusal_shows_what_came_before_it_was_shut() {
    exhaustive(|order| {
        let meter = meter(Limits::new(1));
        let note = Arc::new(Meter::new(Limits::new(1), at(0)).unwrap());
        let (one, two) = (Arc::clone(&meter), Arc::clone(&meter));
        let (noted, read) = (Arc::clone(&note), Arc::clone(&note));
        let write = move || {
            noted.admit(1, at(0)).unwrap();
            one.shut(Status::Closed).unwrap();
        };
        let ask = move || two.admit(1, at(0)).is_ok() || read.spent_at(at(0)).calls == 1;
        assert!(order.race(write, ask).1, "refused, but what was done before it was shut is not seen");
    });
}

#[test]
fn meter_turn_of_the_window_by_three_threads() {
    bounded(|order| {
        let meter = meter(Limits::new(10).with_rate(2, WINDOW));
        meter.admit(2, at(1)).unwrap();
        let spend = |seconds| {
            let meter = Arc::clone(&meter);
            move || match meter.admit(1, at(seconds)) {
                Ok(_) => 1,
                Err(Denied::Rate { .. }) => 0,
                Err(other) => panic!("{other}"),
            }
        };
        // One of the times was read before the others' turned the window: it counts as in the new one.
        let (one, two, late) = (spend(10), spend(10), spend(9));
        let ((one, two), late) = order.race(move || order.race(one, two), late);
        assert_eq!(one + two + late, 2);
        assert_eq!(meter.spent_at(at(10)).calls, 4);
    });
}

/// Moves one clock to 1, then another from 1 to 2: who sees the later move sees the earlier one.
fn who_sees_a_time_sees_what_came_before(order: Order, shift: fn(&ManualClock, to: u64)) {
    let (clock, note) = (ManualClock::new(at(1)), ManualClock::new(at(0)));
    let (shifted, noted) = (clock.clone(), note.clone());
    let write = move || {
        shift(&noted, 1);
        shift(&shifted, 2);
    };
    let look = move || clock.now() == at(1) || note.now() == at(1);
    assert!(order.race(write, look).1, "a time was seen, but not what was done before it was shown");
}

#[test]
fn clock_set_shows_what_came_before() {
    exhaustive(|order| who_sees_a_time_sees_what_came_before(order, |clock, to| clock.set(at(to))));
}

#[test]
fn clock_advance_shows_what_came_before() {
    exhaustive(|order| {
        who_sees_a_time_sees_what_came_before(order, |clock, _| clock.advance(Duration::from_secs(1)));
    });
}

#[test]
fn clock_advance_advance_adds_up() {
    exhaustive(|order| {
        let clock = ManualClock::new(at(1));
        let (one, two) = (clock.clone(), clock.clone());
        order.race(move || one.advance(Duration::from_secs(2)), move || two.advance(Duration::from_secs(3)));
        assert_eq!(clock.now(), at(6));
    });
}
