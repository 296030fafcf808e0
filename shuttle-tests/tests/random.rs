//! Four threads on every primitive and store, under random and PCT schedules.

use shuttle_tests::{cases, random};

#[test]
fn map() {
    random(cases::MAP);
}

#[test]
fn fifo() {
    random(cases::FIFO);
}

#[test]
fn fifo_by_bytes() {
    random(cases::FIFO_BYTES);
}

#[test]
fn deadline() {
    random(cases::DEADLINE);
}

#[test]
fn meter() {
    random(cases::METER);
}

#[test]
fn meter_that_is_shut() {
    random(cases::METER_SHUT);
}

#[test]
fn sessions() {
    random(cases::SESSIONS);
}

#[test]
fn revocations() {
    random(cases::REVOCATIONS);
}

#[test]
fn traces() {
    random(cases::TRACES);
}

#[test]
fn handles() {
    random(cases::HANDLES);
}

#[test]
fn bodies() {
    random(cases::BODIES);
}

#[test]
fn retention() {
    random(cases::RETENTION);
}

#[test]
fn posture() {
    random(cases::POSTURE);
}
