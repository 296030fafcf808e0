//! The comparison harness: what is asked, who is asked, and what they have in common.

pub mod contender;
pub mod load;
pub mod plain;
pub mod refusal;
pub mod timing;
pub mod versions;
pub mod workload;

/// The hasher of every contender that takes one.
pub use ahash::RandomState as Hasher;
