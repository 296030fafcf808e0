//! The harness of the models: loom under `--cfg tollgate_loom`, a short run on real threads without it.
//!
//! A model states its bound. [`exhaustive`] explores every interleaving (for two threads), [`bounded`] those with at
//! most three preemptions (for three), [`coarse`] those with two (for operations on many structures at once). A model
//! of more than [`CAP`] executions fails: loom's own limits would let it pass unfinished.
//!
//! Every model runs four times. Its racers' roles are exchanged: of the accesses that a write depends on, loom remembers
//! the last only, so a writer that loads before it writes hides an earlier reader from it; with the writer going first
//! once, each order is explored. And pins learn of what was retired before them, or only of what was freed: an epoch may
//! do either (`raw/ideal.rs`).
//!
//! `LOOM_MAX_PREEMPTIONS` makes it short, for a run on each change: it lowers every bound, never raises one, and has a
//! model run twice, with the roles exchanged and the other pins.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The most executions that one model may have: some minutes, of a large one.
pub const CAP: u64 = 2_000_000;

/// Runs of a model on real threads. Miri is slow, and varies its one run of each with its seed.
#[cfg(not(tollgate_loom))]
const SMOKE_RUNS: u64 = if cfg!(miri) { 1 } else { 200 };

/// Hashes a number by a function, so that a model chooses which keys meet, and where.
#[derive(Clone, Copy, Debug)]
pub struct HashedBy(pub fn(u64) -> u64);

/// See [`HashedBy`].
#[derive(Debug)]
pub struct Hashing {
    by: fn(u64) -> u64,
    hash: u64,
}

impl BuildHasher for HashedBy {
    type Hasher = Hashing;

    fn build_hasher(&self) -> Hashing {
        Hashing { by: self.0, hash: 0 }
    }
}

impl Hasher for Hashing {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.hash = (self.by)(key);
    }
}

/// Which racer goes to a thread of its own.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    exchanged: bool,
}

impl Order {
    /// Runs both at once and returns what they return.
    pub fn race<A, B>(self, a: impl FnOnce() -> A + Send + 'static, b: impl FnOnce() -> B + Send + 'static) -> (A, B)
    where
        A: Send + 'static,
        B: Send + 'static,
    {
        if self.exchanged {
            let spawned = spawn(b);
            let ours = a();
            (ours, spawned.join().expect("the other racer panicked"))
        } else {
            let spawned = spawn(a);
            let ours = b();
            (spawned.join().expect("the other racer panicked"), ours)
        }
    }
}

/// Every interleaving.
pub fn exhaustive(model: impl Fn(Order) + Send + Sync + 'static) {
    run(None, model);
}

/// Every interleaving with at most three preemptions.
pub fn bounded(model: impl Fn(Order) + Send + Sync + 'static) {
    run(Some(3), model);
}

/// Every interleaving with at most two preemptions: for two threads of so many steps that three take too long.
pub fn coarse(model: impl Fn(Order) + Send + Sync + 'static) {
    run(Some(2), model);
}

/// Every interleaving with at most two preemptions: for models on the real epoch.
pub fn bridge(model: impl Fn(Order) + Send + Sync + 'static) {
    run(Some(2), model);
}

#[expect(clippy::disallowed_methods, reason = "how long a model took is told, and decides nothing")]
fn run(preemptions: Option<usize>, model: impl Fn(Order) + Send + Sync + 'static) {
    let (model, runs, begin) = (Arc::new(model), Arc::new(AtomicU64::new(0)), Instant::now());
    let preemptions = lowered(preemptions);
    let roles = |exchanged| pins(exchanged).iter().map(move |&learn| (exchanged, learn));
    for (exchanged, learn) in roles(false).chain(roles(true)) {
        let (model, runs) = (Arc::clone(&model), Arc::clone(&runs));
        check(preemptions, move || {
            let before = runs.fetch_add(1, Ordering::Relaxed);
            assert!(before < CAP, "not exhausted within {CAP} executions: the model is too large");
            learn();
            model(Order { exchanged });
        });
    }
    let bound = preemptions.map_or("exhaustive".to_owned(), |bound| format!("{bound} preemptions"));
    let name = std::thread::current().name().unwrap_or("model").to_owned();
    println!("{name}: {} executions, {bound}, {:?}", runs.load(Ordering::Relaxed), begin.elapsed());
}

#[cfg(tollgate_loom)]
use loom::thread::spawn;
#[cfg(not(tollgate_loom))]
use std::thread::spawn;

/// The lower of a model's bound and the environment's.
#[cfg(tollgate_loom)]
fn lowered(preemptions: Option<usize>) -> Option<usize> {
    [preemptions, loom::model::Builder::new().preemption_bound].into_iter().flatten().min()
}

/// Real threads preempt each other as they please.
#[cfg(not(tollgate_loom))]
fn lowered(preemptions: Option<usize>) -> Option<usize> {
    preemptions
}

/// What settles the pins that a model runs with: both, or in a run that is to be short one for each exchange.
#[cfg(all(tollgate_loom, not(crossbeam_loom)))]
fn pins(exchanged: bool) -> &'static [fn()] {
    match (loom::model::Builder::new().preemption_bound, exchanged) {
        (None, _) => &[as_they_are, tollgate::learn_late],
        (Some(_), false) => &[as_they_are],
        (Some(_), true) => &[tollgate::learn_late],
    }
}

/// The real epoch has one kind.
#[cfg(not(all(tollgate_loom, not(crossbeam_loom))))]
fn pins(_: bool) -> &'static [fn()] {
    &[as_they_are]
}

fn as_they_are() {}

#[cfg(tollgate_loom)]
fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.check(model);
}

#[cfg(not(tollgate_loom))]
fn check(_: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    for _ in 0..SMOKE_RUNS {
        model();
    }
}
