//! The second floor: every `unsafe` block of the crate, and the lock-free structures that need them.
//!
//! | room | what it is |
//! |---|---|
//! | [`epoch`] | reclamation: pin, retire; crossbeam-epoch, or an ideal epoch under the model checker |
//! | [`link`] | an atomic pointer with tag bits |
//! | [`list`] | Michael's ordered list, with replacement in one step |
//! | [`segments`] | the bucket array that grows without moving |
//! | [`table`] | a sharded split-ordered hash table on those two |
//! | [`stack`] | a stack that can be sealed |
//! | [`order`] | which sequence numbers are alive: a trie of bits that are only ever set |
//!
//! # Invariants
//!
//! `SAFETY` comments cite these by number.
//!
//! 1. **Protected.** A block that was reachable at some moment of a guard's life is not freed during it: whoever
//!    unlinks a block retires it afterwards, and reclamation waits for every guard that was there.
//! 2. **Reached.** A pointer loaded under a guard from a reachable block, or from a block reached that way, leads to
//!    a block that was reachable at some moment of the guard's life: a marked block's successor is frozen, so it was
//!    reachable when the marked block was unlinked.
//! 3. **Once.** A block is unlinked by exactly one successful compare-exchange, and whoever made it retires it.
//! 4. **Tail bit.** A header with an odd order is the first field of a [`list::Node`]; an even one is a sentinel.
//! 5. **Fixed.** Sentinels and segments live as long as their table.
//! 6. **Sole.** `&mut self`, or a block that was never published, has no other reader.

pub(crate) mod epoch;
#[cfg(all(tollgate_loom, not(crossbeam_loom)))]
mod ideal;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod order;
pub(crate) mod segments;
pub(crate) mod stack;
pub(crate) mod table;
