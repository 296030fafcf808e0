//! Races of the meter: the last unit, shutting, the turn of the window.

use loom_tests::{bounded, exhaustive, thread};
use std::sync::Arc;
use std::time::Duration;
use tollgate::budget::{Denied, Limits, Meter, Status};
use tollgate::clock::Timestamp;

const WINDOW: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

#[test]
fn meter_spend_spend_at_the_last_unit() {
    exhaustive(|| {
        let meter = Arc::new(Meter::new(Limits::new(3), at(0)).unwrap());
        let other = Arc::clone(&meter);
        let spender = thread::spawn(move || other.admit(2, at(0)).is_ok());
        let ours = meter.admit(2, at(0)).is_ok();
        assert!(ours ^ spender.join().unwrap());
        assert_eq!(meter.spent_at(at(0)).calls, 2);
    });
}

#[test]
fn meter_spend_shut() {
    exhaustive(|| {
        let meter = Arc::new(Meter::new(Limits::new(3), at(0)).unwrap());
        let other = Arc::clone(&meter);
        let spender = thread::spawn(move || other.admit(1, at(0)).is_ok());
        let at_shut = meter.shut(Status::Closed).unwrap().calls;
        assert_eq!(at_shut, u64::from(spender.join().unwrap()));
        assert_eq!(meter.spent_at(at(0)).calls, at_shut);
    });
}

#[test]
fn meter_shut_shut_has_one_winner() {
    exhaustive(|| {
        let meter = Arc::new(Meter::new(Limits::new(3), at(0)).unwrap());
        let other = Arc::clone(&meter);
        let shutter = thread::spawn(move || other.shut(Status::Closed).is_ok());
        assert!(meter.shut(Status::Closed).is_ok() ^ shutter.join().unwrap());
    });
}

#[test]
fn meter_refund_spend() {
    exhaustive(|| {
        let meter = Arc::new(Meter::new(Limits::new(1), at(0)).unwrap());
        meter.admit(1, at(0)).unwrap();
        let other = Arc::clone(&meter);
        let refunder = thread::spawn(move || other.refund(1).unwrap());
        let spent = meter.admit(1, at(0)).is_ok();
        refunder.join().unwrap();
        assert_eq!(meter.spent_at(at(0)).calls, u64::from(spent));
    });
}

#[test]
fn meter_turn_of_the_window_by_three_threads() {
    bounded(|| {
        let meter = Arc::new(Meter::new(Limits::new(10).with_rate(2, WINDOW), at(0)).unwrap());
        meter.admit(2, at(1)).unwrap();
        let spenders: Vec<_> = (0..2)
            .map(|_| {
                let meter = Arc::clone(&meter);
                thread::spawn(move || u64::from(meter.admit(1, at(10)).is_ok()))
            })
            .collect();
        // A reader whose time was read before the others' turned the window: it counts as in the new one.
        let late = meter.admit(1, at(9));
        let admitted = spenders.into_iter().map(|spender| spender.join().unwrap()).sum::<u64>();
        let late = match late {
            Ok(_) => 1,
            Err(Denied::Rate { .. }) => 0,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(admitted + late, 2);
        assert_eq!(meter.spent_at(at(10)).calls, 4);
    });
}
