//! The harness of the models: loom under `--cfg tollgate_loom`, a short run on real threads without it.
//!
//! A model states its bound. [`exhaustive`] explores every interleaving (for two threads), [`bounded`] those with at
//! most three preemptions (for three). A model that takes longer than [`CAP`] fails: loom's own limits would let it
//! pass unfinished.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest that one model may take.
pub const CAP: Duration = Duration::from_secs(100);

/// Runs of a model on real threads.
const SMOKE_RUNS: u64 = 300;

/// Threads of the model, or of the system.
pub mod thread {
    #[cfg(tollgate_loom)]
    pub use loom::thread::{spawn, yield_now};
    #[cfg(not(tollgate_loom))]
    pub use std::thread::{spawn, yield_now};
}

/// Every interleaving.
pub fn exhaustive(model: impl Fn() + Send + Sync + 'static) {
    run(None, model);
}

/// Every interleaving with at most three preemptions.
pub fn bounded(model: impl Fn() + Send + Sync + 'static) {
    run(Some(3), model);
}

/// Every interleaving with at most `preemptions`, for models on the real epoch.
pub fn bridge(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    run(Some(preemptions), model);
}

#[expect(clippy::disallowed_methods, reason = "a model that does not end is to fail, not to pass")]
fn run(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicU64::new(0));
    let (counter, begin) = (Arc::clone(&runs), Instant::now());
    check(preemptions, move || {
        assert!(begin.elapsed() < CAP, "capped after {CAP:?}: the model is too large to be exhausted");
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let bound = preemptions.map_or("every interleaving".to_owned(), |bound| format!("{bound} preemptions"));
    let name = std::thread::current().name().unwrap_or("model").to_owned();
    println!("{name}: {} executions, {bound}, {:?}", runs.load(Ordering::Relaxed), begin.elapsed());
}

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

#[cfg(tollgate_loom)]
const _: u64 = SMOKE_RUNS;
