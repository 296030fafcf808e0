//! The harness of what loom cannot hold: Shuttle under `--cfg tollgate_shuttle`, a short run on real threads without it.
//!
//! [`random`] has four threads do operations of a [`Case`] under many schedules: half of them choose the next thread at
//! random at every step, half are PCT's (Burckhardt et al., ASPLOS 2010), which find a bug that needs three orderings with a
//! probability that is known. [`progress`] stops one thread at every step of an operation instead.
//!
//! Shuttle takes every access as sequentially consistent: orderings are loom's. Blocks that were not freed when a scenario
//! is over are a leak, and fail it.
//!
//! # Variables
//!
//! | | |
//! |---|---|
//! | `TOLLGATE_SCHEDULES` | schedules of each scenario, 20,000 unless told otherwise |
//! | `SHUTTLE_RANDOM_SEED` | another choice of schedules |
//! | `TOLLGATE_REPLAY` | a schedule, as a failing test prints it: it alone is run. For one test, chosen by its name |

mod case;
pub mod cases;
pub mod progress;

pub use case::{Case, Operation, random};

#[cfg(tollgate_shuttle)]
use shuttle::thread;
#[cfg(not(tollgate_shuttle))]
use std::thread;

fn assert_nothing_leaked() {
    #[cfg(tollgate_shuttle)]
    assert_eq!(tollgate::blocks_alive(), 0, "blocks were neither freed nor retired");
}

#[cfg(tollgate_shuttle)]
mod engine {
    use shuttle::rand::{Rng, thread_rng};
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
    use shuttle::{Config, Runner};
    use std::env;
    use std::sync::Arc;

    /// Orderings that a bug may need.
    const DEPTH: usize = 3;
    const SEED: u64 = 5;

    type Scenario = Arc<dyn Fn() + Send + Sync>;

    /// A number below `n`, which is part of the schedule.
    pub(crate) fn choose(n: usize) -> usize {
        thread_rng().gen_range(0..n)
    }

    pub(crate) fn check(scenario: Scenario) {
        let schedules = match env::var("TOLLGATE_SCHEDULES") {
            Ok(given) => given.parse().expect("TOLLGATE_SCHEDULES is a number"),
            Err(_) => 20_000,
        };
        let half = schedules / 2;
        run(RandomScheduler::new_from_seed(SEED, half), Arc::clone(&scenario));
        run(PctScheduler::new_from_seed(SEED, DEPTH, schedules - half), scenario);
    }

    /// Runs a scenario under the schedules that a scheduler makes, or under the one that is to be replayed.
    pub(crate) fn run(scheduler: impl Scheduler + 'static, scenario: Scenario) -> usize {
        let mut config = Config::new();
        config.silence_warnings = true;
        // Compressing takes more than Shuttle's 60 KiB.
        config.stack_size = 1 << 18;
        match env::var("TOLLGATE_REPLAY") {
            Ok(schedule) => {
                let replay = ReplayScheduler::new_from_encoded(schedule.trim());
                Runner::new(replay, config).run(move || scenario())
            }
            Err(_) => Runner::new(scheduler, config).run(move || scenario()),
        }
    }
}

#[cfg(not(tollgate_shuttle))]
mod engine {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::Arc;

    /// Runs on real threads.
    pub(crate) const SMOKE_RUNS: usize = 50;

    /// A number below `n`.
    pub(crate) fn choose(n: usize) -> usize {
        RandomState::new().hash_one(n) as usize % n
    }

    pub(crate) fn check(scenario: Arc<dyn Fn() + Send + Sync>) {
        for _ in 0..SMOKE_RUNS {
            scenario();
        }
    }
}
