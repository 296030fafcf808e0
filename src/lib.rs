//! Bounded, lock-free state for high-throughput agent gateways.
//!
//! Three promises: **it never exceeds its cap; it never forgets a live revocation; it never oversells a budget.** Each
//! holds at every instant that any thread can observe, and everything here exists to keep one of them.
//!
//! A gateway between agents and the tools that they call asks, for every call and on every core: is this token revoked
//! ([`revocation`]), is this session alive and within its budget and rate ([`session`]), where is the record of what was
//! done ([`trace`]), the result that was too large to pass on ([`handle`]), the request's body (`body`), how far is this
//! agent trusted ([`posture`]), and which raw data goes when there is too much of it ([`retention`])? The stores that
//! answer are made of four small primitives, which are useful by themselves:
//!
//! | | [`map`] | [`fifo`] | [`deadline`] | [`budget`] |
//! |---|---|---|---|---|
//! | [`session`] | x | | x | x |
//! | [`revocation`] | x | | x | x |
//! | [`trace`] | | x | | |
//! | [`handle`] | | x | x | |
//! | `body` | x | x | | x |
//! | [`posture`] | x | | | x |
//! | [`retention`] | x | | | x |
//!
//! What each store holds at most, what that costs, and what happens then: [`bounds`].
//!
//! # Features
//!
//! - `body`: the store of request and response bodies, with what hashes and compresses them.
//! - `json`: looks into JSON results behind a handle, and request bodies cut into their messages.
//!
//! Both are off by default, and only add.
//!
//! # Consistency
//!
//! Operations on one key, session or token are linearizable; each module names its linearization points. Those on several
//! are ordered by what happens before them: of two threads that each change one, and then look at the other's, both may
//! miss. Walks and counts over many entries are weakly consistent, except where a bound is promised.
//!
//! # Progress
//!
//! No operation takes a lock of this crate's own, and all but one are lock-free: an insert into a [`fifo::FifoMap`], and into
//! the stores on it, may wait for threads that stopped in the middle of an operation; its module says when. Below that, a
//! meter is a lock where the hardware has no 128-bit compare-and-swap, and the first reading of a [`clock::SystemClock`]
//! in a process waits for the thread that sets its anchor.
//!
//! # Faults
//!
//! A panic in the user's code (`Hash`, `Eq`, `Clone`, closures, clocks, listeners, guards, `tracing` subscribers) goes to the
//! caller; no promise is broken, no room is lost, and every thread goes on: each module says what else holds. One in `Drop`
//! is contained where a structure drops what it held. A thread may die anywhere. Memory that cannot be had aborts the
//! process, as it does in the standard library; limits allocate nothing ahead, whatever they are.
//!
//! A clock may step back, stand still, or jump. What a sweep saw as past stays past, and the stores that sweep date what comes
//! later by that sweep, until the clock has caught up: after a jump to the end of time, sessions and handles are opened that
//! do not expire by themselves, within their caps.
//!
//! # Trade-offs
//!
//! State is local to the process and gone with it. What is removed is freed by epochs: a thread that stays pinned delays
//! that for everybody. Meters need a 128-bit compare-and-swap, and fall back to a lock where the hardware has none.

#[cfg(feature = "body")]
pub mod body;
pub mod budget;
pub mod clock;
mod contain;
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
mod room;
pub mod session;

mod sync;
pub mod trace;

/// Blocks of memory that were neither freed nor retired, in an execution under Shuttle.
#[cfg(tollgate_shuttle)]
#[doc(hidden)]
#[must_use]
pub fn blocks_alive() -> usize {
    raw::epoch::alive()
}

/// Has pins learn late in this execution under loom; the ideal epoch says what that is.
#[cfg(all(tollgate_loom, not(crossbeam_loom)))]
#[doc(hidden)]
pub fn learn_late() {
    raw::epoch::learn_late();
}

#[doc = include_str!("../docs/bounds.md")]
pub mod bounds {}

#[doc = include_str!("../docs/verification.md")]
pub mod verification {
    #[doc = include_str!("../docs/mutations.md")]
    pub mod mutations {}

    #[doc = include_str!("../docs/soak.md")]
    #[doc = ""]
    #[doc = include_str!("../docs/soak.svg")]
    pub mod soak {}
}

/// The README's examples, compiled and run with the other documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
