//! Every primitive and store, with operations that are in each other's way: few keys, caps that are full, tables that grow,
//! clocks that step ahead.

pub(crate) mod primitives;
mod requests;
mod results;
mod trust;

pub(crate) use primitives::{DEADLINE, FIFO, FIFO_BYTES, MAP, METER, METER_SHUT};
pub(crate) use requests::{REVOCATIONS, SESSIONS};
pub(crate) use results::{BODIES, HANDLES, RETENTION, TRACES};
pub(crate) use trust::POSTURE;
