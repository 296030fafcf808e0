//! Bounded, lock-free state for agent gateways.
#![warn(missing_docs)]

pub mod budget;
pub mod clock;
pub mod deadline;
pub mod error;
pub mod fifo;
pub mod hash;
pub mod map;
#[expect(unsafe_code, reason = "the one module that holds it; every block argues from a numbered invariant")]
mod raw;
pub mod revocation;
pub mod session;
mod sync;
pub mod trace;
