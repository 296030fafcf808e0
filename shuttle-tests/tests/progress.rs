//! One thread stopped at every step of every operation of every primitive and store.

use shuttle_tests::cases::{self, Fifo};
use shuttle_tests::progress::{holds_up, holds_up_nobody, lock_free};
use shuttle_tests::{Case, Operation};
use tollgate::fifo::Reason;

#[test]
fn map() {
    lock_free(cases::MAP);
}

#[test]
fn fifo() {
    lock_free(cases::FIFO);
}

#[test]
fn fifo_by_bytes() {
    lock_free(cases::FIFO_BYTES);
}

#[test]
fn deadline() {
    lock_free(cases::DEADLINE);
}

#[test]
fn meter() {
    lock_free(cases::METER);
}

#[test]
fn meter_that_is_shut() {
    lock_free(cases::METER_SHUT);
}

#[test]
fn sessions() {
    lock_free(cases::SESSIONS);
}

#[test]
fn revocations() {
    lock_free(cases::REVOCATIONS);
}

#[test]
fn traces() {
    lock_free(cases::TRACES);
}

#[test]
fn handles() {
    lock_free(cases::HANDLES);
}

#[test]
fn bodies() {
    lock_free(cases::BODIES);
}

#[test]
fn retention() {
    lock_free(cases::RETENTION);
}

#[test]
fn posture() {
    lock_free(cases::POSTURE);
}

/// One slot, which may be in the hands of the thread that stands.
const ONE_SLOT: Case<Fifo> = Case {
    setup: || Fifo::new(1, u64::MAX, 1),
    operations: &[("fifo insert", |fifo| fifo.insert(3, 1))],
    always: |fifo| fifo.assert_bounded(u64::MAX),
    settled: Fifo::assert_sums,
};

const TAKE_THE_SLOT: &[Operation<Fifo>] = &[
    ("fifo insert", |fifo| fifo.insert(2, 1)),
    ("fifo remove", |fifo| _ = fifo.map.remove(&0)),
    ("fifo pop_oldest", |fifo| _ = fifo.map.pop_oldest(Reason::Age)),
    ("fifo evict_while", |fifo| _ = fifo.map.evict_while(1, |_, _| true)),
];

/// Inserts wait where every slot is in the hands of threads that stopped: not lock-free.
#[test]
fn fifo_insert_waits_for_a_slot_that_another_thread_has_in_hand() {
    for &operation in TAKE_THE_SLOT {
        holds_up(operation, ONE_SLOT);
    }
}

/// As for slots, where nearly all bytes are in such hands.
#[test]
fn fifo_insert_waits_for_bytes_that_another_thread_has_in_hand() {
    let case = Case {
        setup: || Fifo::new(9, 4, 1),
        operations: &[("fifo insert of much", |fifo| fifo.insert(3, 4))],
        always: |fifo| fifo.assert_bounded(4),
        settled: Fifo::assert_sums,
    };
    for &operation in TAKE_THE_SLOT {
        holds_up(operation, case);
    }
}

/// Only inserts do.
#[test]
fn fifo_gets_and_removals_wait_for_nobody_at_a_cap_of_one() {
    let case: Case<Fifo> = Case {
        operations: &[
            ("fifo get", |fifo| _ = fifo.map.get(&0)),
            ("fifo remove", |fifo| _ = fifo.map.remove(&0)),
            ("fifo remove of what comes in", |fifo| _ = fifo.map.remove(&2)),
            ("fifo pop_oldest", |fifo| _ = fifo.map.pop_oldest(Reason::Age)),
            ("fifo evict_while", |fifo| _ = fifo.map.evict_while(1, |_, _| true)),
            ("fifo snapshot", |fifo| _ = fifo.map.snapshot()),
            ("fifo stats", |fifo| _ = fifo.map.stats()),
        ],
        ..ONE_SLOT
    };
    for &operation in TAKE_THE_SLOT {
        holds_up_nobody(operation, case);
    }
}
