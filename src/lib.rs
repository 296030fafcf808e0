//! Bounded, lock-free state for high-throughput agent gateways.
//!
//! Three promises: **it never exceeds its cap; it never forgets a live revocation; it never oversells a budget.** Each
//! holds at every instant that any thread can observe, and everything here exists to keep one of them.
//!
//! A gateway between agents and the tools that they call asks, for every call and on every core: is this token revoked
//! ([`revocation`]), is this session alive and within its budget and rate ([`session`]), where is the record of what was
//! done ([`trace`]), where is the result that was too large to pass on ([`handle`]), whose raw data goes when there is too
//! much of it ([`retention`])? The stores that answer are made of four small primitives, which are useful by themselves:
//!
//! | | [`map`] | [`fifo`] | [`deadline`] | [`budget`] |
//! |---|---|---|---|---|
//! | [`posture`] | x | | | x |
//! | [`session`] | x | | x | x |
//! | [`revocation`] | x | | x | x |
//! | [`trace`] | | x | | |
//! | [`handle`] | | x | x | |
//! | [`retention`] | x | | | x |
//!
//! # Consistency
//!
//! Operations on one key, session or token are linearizable; each module names its linearization points. Walks and
//! counts over many entries are weakly consistent, except where a bound is promised.
//!
//! # Progress
//!
//! There is no lock on any path. Where an operation can wait for another, its module says when.
//!
//! # Trade-offs
//!
//! State is local to the process and gone with it. What is removed is freed by epochs: a thread that stays pinned delays
//! that for everybody. Meters need a 128-bit compare-and-swap, and fall back to a lock where the hardware has none.

#[cfg(feature = "body")]
pub mod body;
pub mod budget;
pub mod clock;
pub mod deadline;
pub mod error;
pub mod fifo;
pub mod handle;
pub mod hash;
pub mod map;
pub mod posture;
#[expect(unsafe_code, reason = "the one module that holds it; every block argues from a numbered invariant")]
mod raw;
pub mod retention;
pub mod revocation;
pub mod session;
mod sync;
pub mod trace;

/// The README's examples, compiled and run with the other documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
