//! Shared pieces of the benchmarks: the load, the timing, and the sequential floors.

pub mod load;
pub mod plain;
pub mod timing;

/// The hasher of every contender that takes one.
pub use ahash::RandomState as Hasher;
