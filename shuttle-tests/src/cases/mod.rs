//! Every primitive and store, with operations that are in each other's way: few keys, caps that are full, tables that grow,
//! clocks that step ahead.

mod primitives;
mod requests;
mod results;
mod trust;

pub use primitives::{DEADLINE, FIFO, FIFO_BYTES, Fifo, MAP, METER, METER_SHUT};
pub use requests::{REVOCATIONS, SESSIONS};
pub use results::{BODIES, HANDLES, RETENTION, TRACES};
pub use trust::POSTURE;
