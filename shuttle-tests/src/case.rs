//! A structure, what is done to it, and what is expected of it.

use crate::{assert_nothing_leaked, engine, thread};
use std::sync::Arc;

/// Operations of a thread in [`random`].
const OPERATIONS: usize = 3;
/// Threads that do operations, beside one that looks.
const THREADS: usize = 3;

/// An operation and its name.
pub type Operation<S> = (&'static str, fn(&S));

/// A structure, what is done to it, and what is expected of it.
#[derive(Debug)]
pub struct Case<S: 'static> {
    /// Makes the structure, with what belongs into it.
    pub setup: fn() -> S,
    /// Operations that are in each other's way.
    pub operations: &'static [Operation<S>],
    /// What holds at every instant.
    pub always: fn(&S),
    /// What holds when nothing moves.
    pub settled: fn(&S),
}

impl<S> Clone for Case<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Case<S> {}

impl<S: Send + Sync> Case<S> {
    fn any(&self) -> fn(&S) {
        self.operations[engine::choose(self.operations.len())].1
    }

    /// What is to hold in the end, and that nothing is left.
    pub(crate) fn finish(&self, state: S) {
        (self.always)(&state);
        (self.settled)(&state);
        drop(state);
        assert_nothing_leaked();
    }
}

/// Three threads do operations at random while a fourth looks, under many schedules.
pub fn random<S: Send + Sync>(case: Case<S>) {
    let scenario = move || {
        let state = (case.setup)();
        thread::scope(|scope| {
            let state = &state;
            for _ in 0..THREADS {
                let operations = [(); OPERATIONS].map(|()| case.any());
                scope.spawn(move || operations.iter().for_each(|run| run(state)));
            }
            scope.spawn(move || (0..OPERATIONS).for_each(|_| (case.always)(state)));
        });
        case.finish(state);
    };
    engine::check(Arc::new(scenario));
}
