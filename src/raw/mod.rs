//! The second floor: every `unsafe` block of the crate, and the lock-free structures that need them.
//!
//! | room | what it is |
//! |---|---|
//! | [`epoch`] | reclamation: pin, retire; crossbeam-epoch, or an ideal epoch under the model checkers |
//! | [`backlog`] | what may be freed: a few blocks at a time, by each thread |
//! | [`blocks`] | memory for what is reclaimed soon: what a thread frees, it uses again |
//! | [`cache`] | hints: what is read soon is fetched while something else is done |
//! | [`link`] | an atomic pointer with tag bits |
//! | [`filter`](mod@filter) | what a bucket of a hash table surely does not have: a Bloom filter |
//! | [`line`](mod@line) | a bucket of a hash table: a cache line of tagged pointers to entries |
//! | [`lines`](mod@lines) | those of a shard, in an array that doubles |
//! | [`node`] | an entry, and who owns it until it is published |
//! | [`table`] | a sharded hash table of lines that grows without stopping anybody |
//! | [`word`] | what a slot of such a line holds |
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
//!    a block that was reachable at some moment of the guard's life. (The link of an item that is on no stack any more may lead
//!    to an older one: `Stack::below` looks whether it is.) Lines that have moved still point to entries that may
//!    have been removed since: those of lines that were not seen moved under the guard were there when it began, or later.
//! 3. **Once.** A block is unlinked by exactly one successful compare-exchange, and whoever made it retires it.
//! 4. **Low.** A pointer to an entry or a line has its upper 16 bits clear on the platforms whose slots use them; checked
//!    when it is put into a slot.
//! 5. **Owned.** The lines that a line goes on to live as long as it does.
//! 6. **Sole.** `&mut self`, or a block that was never published, has no other reader.

#[cfg(not(any(tollgate_shuttle, all(tollgate_loom, not(crossbeam_loom)))))]
mod backlog;
#[cfg(not(any(tollgate_shuttle, all(tollgate_loom, not(crossbeam_loom)))))]
mod blocks;
mod cache;
pub(crate) mod epoch;
mod filter;
#[cfg(any(tollgate_shuttle, all(tollgate_loom, not(crossbeam_loom))))]
mod ideal;
pub(crate) mod line;
mod lines;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod order;
pub(crate) mod stack;
pub(crate) mod table;
mod word;
