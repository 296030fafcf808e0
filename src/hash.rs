//! The default hasher.
//!
//! Keys are chosen by whoever calls the gateway, so the default is keyed with random seeds of this process;
//! every structure takes another [`BuildHasher`](std::hash::BuildHasher) in its place.

/// Keyed hashing with seeds drawn from the operating system, new for each structure.
pub use ahash::RandomState;

use crate::sync::MODEL;

/// Random seeds, or fixed ones in a model, whose every run must be alike.
pub(crate) fn random_state() -> RandomState {
    if MODEL { RandomState::with_seeds(1, 2, 3, 4) } else { RandomState::new() }
}
