//! Bounded, lock-free state for agent gateways.
#![warn(missing_docs)]

pub mod budget;
pub mod clock;
pub mod error;
pub mod hash;
pub mod map;
#[expect(unsafe_code, reason = "the one module that holds it; every block argues from a numbered invariant")]
mod raw;
mod sync;
