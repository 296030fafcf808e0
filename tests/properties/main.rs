//! Primitives and stores against a plain sequential model: random sequences of operations must agree with it at every step.
//! The package `fuzz` holds the same models against sequences that a fuzzer makes up.

pub(crate) mod bodies;
pub(crate) mod deadline;
pub(crate) mod fifo;
pub(crate) mod handle;
pub(crate) mod map;
pub(crate) mod meter;
pub(crate) mod posture;
pub(crate) mod retention;

use proptest::prelude::*;
use std::hash::{BuildHasher, Hasher};

/// Operations in a sequence, at most.
const OPS: usize = 60;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Numbers of all magnitudes below 2^`bits`, small ones as often as large ones; `bits` is 1 to 64.
fn magnitude(bits: u32) -> impl Strategy<Value = u64> {
    (any::<u64>(), 64 - bits..64).prop_map(|(number, shift)| number >> shift)
}

/// `base` moved by `by`, in either direction, staying a `u64`.
fn moved(base: u64, forth: bool, by: u64) -> u64 {
    if forth { base.saturating_add(by) } else { base.saturating_sub(by) }
}

/// Hashes a `u64` to one of three values, so that most keys collide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModThree;

impl BuildHasher for ModThree {
    type Hasher = Remainder;

    fn build_hasher(&self) -> Remainder {
        Remainder(0)
    }
}

pub(crate) struct Remainder(u64);

impl Hasher for Remainder {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key % 3;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
