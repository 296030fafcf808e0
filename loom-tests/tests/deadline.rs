//! Races of the deadline queue: adds into buckets that are being taken away, sweeps beside sweeps.

use loom_tests::{bounded, exhaustive};
use std::sync::Arc;
use tollgate::clock::Timestamp;
use tollgate::deadline::{DeadlineQueue, Next};

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn queue(deadlines: &[u64]) -> Arc<DeadlineQueue<u64>> {
    let queue = DeadlineQueue::new();
    for &deadline in deadlines {
        queue.add(deadline, at(deadline));
    }
    Arc::new(queue)
}

fn drain(queue: &DeadlineQueue<u64>, now: u64) -> usize {
    queue.sweep(at(now), usize::MAX, |_, _| Next::Drop).dropped
}

#[test]
fn deadline_add_sweep() {
    exhaustive(|order| {
        // The add goes into the bucket that the sweep empties and seals.
        let queue = queue(&[65]);
        let (one, two) = (Arc::clone(&queue), Arc::clone(&queue));
        let (_, dropped) = order.race(move || one.add(66, at(66)), move || drain(&two, 70));
        assert!((1..=2).contains(&dropped));
        assert_eq!(dropped + drain(&queue, 70), 2, "an entry was left behind");
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn deadline_sweep_sweep() {
    exhaustive(|order| {
        let queue = queue(&[65]);
        let (one, two) = (Arc::clone(&queue), Arc::clone(&queue));
        let (first, second) = order.race(move || drain(&one, 65), move || drain(&two, 66));
        assert_eq!(first + second, 1);
        assert_eq!((queue.len(), queue.high_water()), (0, at(66)));
    });
}

#[test]
fn deadline_keep_sweep() {
    // Both move the entry to a bucket of its own: too many steps to exhaust.
    bounded(|order| {
        let queue = queue(&[1]);
        let (one, two) = (Arc::clone(&queue), Arc::clone(&queue));
        let (_, second) = order.race(
            move || one.sweep(at(1), usize::MAX, |_, _| Next::KeepUntil(at(70))).dropped,
            move || two.sweep(at(2), usize::MAX, |_, _| Next::KeepUntil(at(80))).dropped,
        );
        assert_eq!(second, 0);
        assert_eq!(drain(&queue, 80), 1);
    });
}

#[test]
fn deadline_move_move_onto_another() {
    bounded(|order| {
        // Both meet the entry in a bucket that is ripe before it is due, and look ahead of it. In its next one there is another
        // entry, which must be published to who sees the link to it.
        let queue = queue(&[103]);
        let (one, two) = (Arc::clone(&queue), Arc::clone(&queue));
        let add_and_drain = move || {
            one.advance(at(100));
            one.add(7, at(103));
            drain(&one, 100)
        };
        assert_eq!(order.race(add_and_drain, move || drain(&two, 100)), (0, 0));
        assert_eq!(drain(&queue, 103), 2);
    });
}

#[test]
fn deadline_keep_until_the_past_sweep() {
    bounded(|order| {
        // What is put off into the past is not due before the next time: a sweep would meet it again and again.
        let queue = queue(&[1]);
        let (one, two) = (Arc::clone(&queue), Arc::clone(&queue));
        let keep = |queue: Arc<DeadlineQueue<u64>>| move || queue.sweep(at(1), 8, |_, _| Next::KeepUntil(at(0))).more;
        let more = order.race(keep(one), keep(two));
        assert_eq!((more, drain(&queue, 2)), ((false, false), 1));
    });
}
