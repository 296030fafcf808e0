//! The deadline queue, and the meter's one closure.

use crate::fuse::{Fuse, Piece, Range};
use std::sync::Mutex;
use std::time::Duration;
use tollgate::budget::{Limits, Meter, Status};
use tollgate::clock::Timestamp;
use tollgate::deadline::{DeadlineQueue, Next};

const ENTRIES: u64 = 5;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

struct Queue {
    queue: DeadlineQueue<Piece>,
    /// Entries that were told to go.
    told: Mutex<Vec<u64>>,
}

fn queue(fuse: &Fuse) -> Queue {
    let queue = DeadlineQueue::new();
    (0..ENTRIES).for_each(|name| queue.add(fuse.piece(name), at(name * 100)));
    Queue { queue, told: Mutex::default() }
}

impl Queue {
    fn go(&self, name: u64) {
        self.told.lock().unwrap().push(name);
    }
}

/// Whatever was not told to go is met, once, at its time.
fn works(world: &Queue, fuse: &Fuse) {
    let queue = &world.queue;
    queue.add(fuse.piece(77), at(10_000));
    let due = |now| {
        let mut due = Vec::new();
        queue.sweep(at(now), usize::MAX, |key, _| {
            due.push(key.id());
            Next::Drop
        });
        due.sort_unstable();
        due
    };
    let mut rest = due(9_999);
    rest.extend(world.told.lock().unwrap().drain(..));
    rest.sort_unstable();
    assert!(rest.is_empty() || rest.iter().copied().eq(0..ENTRIES), "{rest:?}");
    assert!(due(9_999).is_empty());
    assert_eq!(due(10_000), [77]);
    assert!(queue.is_empty());
    // For the other thread: it starts at a later time, but its entries are due at once.
    queue.add(fuse.piece(78), at(0));
    assert_eq!(due(0), [78]);
}

#[test]
fn a_deadline_queue_survives_a_panic_in_every_visit() {
    let mut range = Range::new("deadline", queue, |world, fuse| {
        if world.queue.high_water() < at(9_999) {
            works(world, fuse);
        }
        world.queue.add(fuse.piece(79), at(0));
        assert_eq!(world.queue.sweep(at(0), 1, |_, _| Next::Drop).dropped, 1);
    });
    let counted = |world: &Queue, _: bool| {
        assert_eq!(world.queue.len() + world.told.lock().unwrap().len() as u64, ENTRIES);
    };
    for limit in [0, 1, 3, usize::MAX] {
        let drop_all = |world: &Queue, fuse: &Fuse| {
            world.queue.sweep(at(1_000), limit, |key, _| {
                fuse.burn();
                // The visitor's last word: from here on it has gone.
                world.go(key.id());
                Next::Drop
            });
        };
        range.fire("sweep, all go", drop_all, counted);
        let keep_all = |world: &Queue, fuse: &Fuse| {
            world.queue.sweep(at(250), limit, |_, _| {
                fuse.burn();
                Next::KeepUntil(at(5_000))
            });
        };
        range.fire("sweep, all stay", keep_all, counted);
    }
    let reentrant = |world: &Queue, fuse: &Fuse| {
        world.queue.sweep(at(1_000), usize::MAX, |key, _| {
            fuse.burn();
            world.go(key.id());
            world.queue.sweep(at(1_000), 0, |_, _| Next::Drop);
            Next::Drop
        });
    };
    range.fire("sweep within a sweep", reentrant, counted);
}

fn meter(_: &Fuse) -> Meter {
    let meter = Meter::new(Limits::new(5).with_rate(3, Duration::from_nanos(10)), at(0)).unwrap();
    meter.admit(2, at(1)).unwrap();
    meter
}

#[test]
fn a_meter_survives_a_panic_of_its_condition() {
    let mut range = Range::new("meter", meter, |meter, _| {
        assert!(meter.status() != Status::Open || meter.spent_at(at(1)).calls == 2);
        if meter.status() == Status::Open {
            assert!(meter.admit(2, at(1)).is_err() && meter.admit(1, at(1)).is_ok());
            assert!(meter.refund(1, at(1)).is_ok());
        }
    });
    let shut = |meter: &Meter, fuse: &Fuse| {
        _ = meter.shut_if(Status::Expired, |spent| {
            fuse.burn();
            spent.calls == 2
        });
    };
    range.fire("shut_if", shut, |meter, blown| assert_eq!(meter.status() == Status::Open, blown));
}
