//! One thread is stopped between two steps of an operation, at every step that it has, and the others have to go on.
//!
//! A step is an access to shared memory and what follows it up to the next. The stopped thread takes `k` steps of one
//! operation, for every `k` until it is done with it, alone or with others in its way. Then it stands until two others are
//! done with all operations of the case, one from the first to the last and one from the last to the first. They may take
//! 20,000 steps together meanwhile, and what always holds must hold: to them it makes no difference whether it will
//! ever go on, so it is a thread that died between two steps, too. Then it goes on, and the sums must be right.

use crate::case::{Case, Operation};
use crate::thread;

impl<S: Send + Sync> Case<S> {
    /// Stops a thread in `stopped` while others do `operations`, and calls `stand` while it stands.
    fn stop(&self, stopped: fn(&S), stand: impl FnOnce()) {
        let state = (self.setup)();
        thread::scope(|scope| {
            let state = &state;
            // In this order: the scheduler knows them by it.
            let first = scope.spawn(move || stopped(state));
            let others = [
                scope.spawn(|| self.operations.iter().for_each(|(_, run)| run(state))),
                scope.spawn(|| self.operations.iter().rev().for_each(|(_, run)| run(state))),
            ];
            for other in others {
                other.join().expect("an operation panicked beside the one that was stopped");
            }
            (self.always)(state);
            stand();
            first.join().expect("the operation that was stopped panicked");
        });
        self.finish(state);
    }
}

/// No operation of the case waits for a thread that was stopped in another one, or in the same.
pub fn lock_free<S: Send + Sync>(case: Case<S>) {
    for &operation in case.operations {
        holds_up_nobody(operation, case);
    }
}

/// No operation of the case waits for a thread that was stopped in this one.
pub fn holds_up_nobody<S: Send + Sync>(stopped: Operation<S>, case: Case<S>) {
    engine::stop(stopped, case, false);
}

/// Operations of the case wait for a thread that was stopped in this one, at one of its steps at least, until it goes on.
pub fn holds_up<S: Send + Sync>(stopped: Operation<S>, case: Case<S>) {
    engine::stop(stopped, case, true);
}

#[cfg(tollgate_shuttle)]
mod engine {
    use super::{Case, Operation};
    use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    /// Steps that the others may take together while one stands.
    const STEPS: usize = 20_000;
    /// Times that they may yield meanwhile: to each other, but not for ever.
    const YIELDS: usize = 200;
    /// Orders of the steps, for each place at which one stands: one other after the other, and these at random.
    const ORDERS: u64 = 8;
    /// In the first of them it gets to its place alone.
    const ALONE: u64 = 4;

    const MAIN: usize = 0;
    const STOPPED: usize = 1;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    enum Phase {
        /// The structure is made, and the threads are.
        #[default]
        Setup,
        /// The thread that will be stopped takes its steps.
        Approach,
        /// It stands, and the others run.
        Stand,
        /// All run.
        End,
    }

    /// What the scheduler and the scenario know of each other, and what is counted.
    #[derive(Debug, Default)]
    struct Control {
        phase: Phase,
        /// Steps before the thread is stopped.
        place: usize,
        order: u64,
        /// It had as many steps, in one of the orders at least.
        is_place: bool,
        /// The others waited for it, and it was let go.
        waited: bool,
        /// Of this phase: those of the thread that is stopped, or of the others.
        steps: usize,
        yields: usize,
        stands: usize,
        waits: usize,
        most_steps: usize,
    }

    struct Stopping {
        control: Arc<Mutex<Control>>,
        rng: fastrand::Rng,
    }

    fn lock(control: &Mutex<Control>) -> MutexGuard<'_, Control> {
        control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Control {
        fn enter(&mut self, phase: Phase) {
            (self.phase, self.steps, self.yields) = (phase, 0, 0);
        }

        /// Goes to the next order, or place. False if there is none.
        fn advance(&mut self) -> bool {
            if self.phase != Phase::Setup {
                self.order = (self.order + 1) % ORDERS;
                if self.order == 0 && !std::mem::take(&mut self.is_place) {
                    return false;
                }
                self.place += usize::from(self.order == 0);
            }
            self.enter(Phase::Setup);
            self.waited = false;
            true
        }

        /// The one that has to run next, if it is not any of `ids`; leaves in these who may.
        fn next(&mut self, ids: &mut Vec<usize>, yields: bool) -> Option<usize> {
            if self.phase == Phase::Setup {
                if ids.contains(&MAIN) {
                    return Some(MAIN);
                }
                self.enter(Phase::Approach);
            }
            if self.phase == Phase::Approach {
                if !ids.contains(&STOPPED) {
                    self.enter(Phase::End);
                } else if self.steps == self.place {
                    self.enter(Phase::Stand);
                    (self.is_place, self.stands) = (true, self.stands + 1);
                } else if self.order < ALONE {
                    return Some(STOPPED);
                }
            }
            if self.phase == Phase::Stand {
                ids.retain(|&id| id != STOPPED);
                self.steps += 1;
                self.yields += usize::from(yields);
                self.most_steps = self.most_steps.max(self.steps);
                if ids.is_empty() || self.steps > STEPS || self.yields > YIELDS {
                    (self.waited, self.waits) = (true, self.waits + 1);
                    self.enter(Phase::End);
                    return Some(STOPPED);
                }
            }
            None
        }
    }

    impl Scheduler for Stopping {
        fn new_execution(&mut self) -> Option<Schedule> {
            let mut control = lock(&self.control);
            control.advance().then(|| {
                let seed = control.place as u64 * ORDERS + control.order;
                self.rng = fastrand::Rng::with_seed(seed);
                Schedule::new(seed)
            })
        }

        fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
            let mut control = lock(&self.control);
            let mut ids: Vec<usize> = runnable.iter().map(|task| task.id().into()).collect();
            let next = control.next(&mut ids, yields).unwrap_or_else(|| {
                // Who yields lets another one run.
                if yields && ids.len() > 1 {
                    ids.retain(|&id| Some(id) != current.map(usize::from));
                }
                match (control.phase, control.order) {
                    (Phase::Stand, 0) => ids[0],
                    (Phase::Stand, 1) => ids[ids.len() - 1],
                    _ => ids[self.rng.usize(..ids.len())],
                }
            });
            control.steps += usize::from(control.phase == Phase::Approach && next == STOPPED);
            Some(next.into())
        }

        fn next_u64(&mut self) -> u64 {
            self.rng.u64(..)
        }
    }

    pub(super) fn stop<S: Send + Sync>((name, stopped): Operation<S>, case: Case<S>, may_wait: bool) {
        let control = Arc::new(Mutex::new(Control::default()));
        let scheduler = Stopping { control: Arc::clone(&control), rng: fastrand::Rng::with_seed(0) };
        let shared = Arc::clone(&control);
        let stand = move || {
            let mut control = lock(&shared);
            let (place, waited) = (control.place, control.waited);
            control.enter(Phase::End);
            drop(control);
            assert!(may_wait || !waited, "others wait for a thread that was stopped after {place} steps of `{name}`");
        };
        crate::engine::run(scheduler, Arc::new(move || case.stop(stopped, &stand)));
        let Control { place, stands, waits, most_steps, .. } = *lock(&control);
        println!(
            "{name}: stopped at {place} places, {stands} times; others took {most_steps} steps at most, waited {waits} times"
        );
        assert!(!may_wait || waits > 0, "nobody waits for `{name}`, which is better than is said of it");
    }
}

#[cfg(not(tollgate_shuttle))]
mod engine {
    use super::{Case, Operation};
    use crate::engine::SMOKE_RUNS;

    pub(super) fn stop<S: Send + Sync>((_, operation): Operation<S>, case: Case<S>, _: bool) {
        for _ in 0..SMOKE_RUNS {
            case.stop(operation, || ());
        }
    }
}
