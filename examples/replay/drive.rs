//! The threads: one coordinator, which alone moves the clock, and workers that share the work of each instant.
//!
//! An instant has two phases, turns and ends, each between two barriers. Within a phase, workers take sessions from a
//! common list; no session is with two of them, so that counts cannot depend on who takes what.

use crate::Failure;
use crate::gateway::Gateway;
use crate::schedule::{Group, Random, Tick};
use crate::tally::Tally;
use indicatif::ProgressBar;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

/// Chunks that each worker takes of a long list: enough to even out, few enough to stay out of each other's way.
const CHUNKS: usize = 8;
/// The most items in a chunk.
const MAX_CHUNK: usize = 64;

/// What the workers do between two barriers. Sessions are places in the gateway.
enum Phase {
    Turns(Vec<Group>),
    Ends(Vec<usize>),
    Stop,
}

/// What all threads see.
struct Shared<'g> {
    gateway: &'g Gateway<'g>,
    threads: usize,
    phase: RwLock<Phase>,
    /// The first item of the phase that nobody has taken.
    next: AtomicUsize,
    failed: AtomicBool,
    /// What failed first.
    failure: Mutex<Option<String>>,
}

/// Replays all ticks and returns what was counted.
pub(crate) fn drive(
    gateway: &Gateway<'_>,
    ticks: &[Tick],
    threads: usize,
    seed: u64,
    bar: &ProgressBar,
) -> Result<Tally, Failure> {
    let shared = Shared::new(gateway, threads);
    // Workers wait for the lock; one that finds no barrier knows that not all threads could be started.
    let door = RwLock::new(None);
    thread::scope(|scope| {
        let mut opening = write(&door);
        let mut workers = Vec::new();
        for number in 1..=threads {
            let own = Tally::new().map_err(Failure::Run)?;
            let (shared, door) = (&shared, &door);
            let spawned = thread::Builder::new().spawn_scoped(scope, move || worker(shared, door, own));
            let what = |error: std::io::Error| format!("thread {number} of {threads} cannot be started: {error}");
            workers.push(spawned.map_err(|error| Failure::Run(what(error)))?);
        }
        let barrier = Arc::new(Barrier::new(threads + 1));
        *opening = Some(Arc::clone(&barrier));
        drop(opening);

        // Caught, as workers that wait for a coordinator who is gone would wait for ever.
        let coordinate = || shared.coordinate(ticks, &barrier, &mut Random::new(seed), bar);
        let outcome = panic::catch_unwind(AssertUnwindSafe(coordinate));
        *write(&shared.phase) = Phase::Stop;
        barrier.wait();

        let mut sum = Tally::new().map_err(Failure::Run)?;
        for worker in workers {
            let own = worker.join().map_err(|_| Failure::Run("a worker panicked".to_owned()))?;
            sum.add(&own).map_err(Failure::Run)?;
        }
        outcome.unwrap_or_else(|_| Err(Failure::Run("the coordinator panicked".to_owned())))?;
        Ok(sum)
    })
}

/// One worker, from the opening of the door to the end.
fn worker(shared: &Shared<'_>, door: &RwLock<Option<Arc<Barrier>>>, mut own: Tally) -> Tally {
    let barrier = read(door).clone();
    let Some(barrier) = barrier else { return own };
    loop {
        barrier.wait();
        // Whatever happens in a phase, its second barrier must be reached.
        let worked = panic::catch_unwind(AssertUnwindSafe(|| shared.work(&mut own)));
        match worked {
            Ok(Ok(ControlFlow::Continue(()))) => {}
            Ok(Ok(ControlFlow::Break(()))) => return own,
            Ok(Err(what)) => shared.fail(what),
            Err(_) => shared.fail("a worker panicked".to_owned()),
        }
        barrier.wait();
    }
}

impl<'g> Shared<'g> {
    fn new(gateway: &'g Gateway<'g>, threads: usize) -> Self {
        Self {
            gateway,
            threads,
            phase: RwLock::new(Phase::Stop),
            next: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Takes the gateway through time.
    fn coordinate(
        &self,
        ticks: &[Tick],
        barrier: &Barrier,
        random: &mut Random,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        for tick in ticks {
            self.gateway.set_time(tick.at_ms);
            // Copy by copy, so that a store without enough room is full at the same session every time.
            let mut starts: Vec<usize> = tick.starts.iter().flat_map(|&at| self.gateway.places(at)).collect();
            starts.sort_unstable();
            for place in starts {
                self.gateway.start(place)?;
            }
            let mut groups: Vec<Group> = (tick.groups.iter())
                .flat_map(|group| {
                    self.gateway.places(group.session).map(move |session| Group { session, ..group.clone() })
                })
                .collect();
            let turns: usize = groups.iter().map(|group| group.turns.len()).sum();
            random.shuffle(&mut groups);
            self.run(Phase::Turns(groups), barrier)?;
            bar.inc(turns as u64);

            let mut ends: Vec<usize> = tick.ends.iter().flat_map(|&at| self.gateway.places(at)).collect();
            random.shuffle(&mut ends);
            self.run(Phase::Ends(ends), barrier)?;
            self.gateway.sweep();
        }
        Ok(())
    }

    /// Lets the workers do a phase, and waits until it is done.
    fn run(&self, phase: Phase, barrier: &Barrier) -> Result<(), Failure> {
        if phase.len() == 0 {
            return Ok(());
        }
        *write(&self.phase) = phase;
        // Relaxed: the barrier publishes it.
        self.next.store(0, Ordering::Relaxed);
        barrier.wait();
        barrier.wait();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), |what| Err(Failure::Run(what)))
    }

    /// A worker's share of a phase.
    fn work(&self, own: &mut Tally) -> Result<ControlFlow<()>, String> {
        let phase = read(&self.phase);
        let len = phase.len();
        let chunk = (len / (self.threads * CHUNKS)).clamp(1, MAX_CHUNK);
        loop {
            // Relaxed: each item is taken once whatever the order, and its contents came with the barrier.
            let from = self.next.fetch_add(chunk, Ordering::Relaxed).min(len);
            let to = (from + chunk).min(len);
            // Relaxed: to stop soon is enough, the barrier decides.
            let stop = from == to || self.failed.load(Ordering::Relaxed);
            match &*phase {
                Phase::Stop => return Ok(ControlFlow::Break(())),
                _ if stop => return Ok(ControlFlow::Continue(())),
                Phase::Turns(groups) => {
                    groups[from..to].iter().try_for_each(|group| self.turns(group, own))?;
                }
                Phase::Ends(places) => {
                    places[from..to].iter().try_for_each(|&place| self.gateway.end(place, own))?;
                }
            }
        }
    }

    fn turns(&self, group: &Group, own: &mut Tally) -> Result<(), String> {
        let turns = &self.gateway.turns(group.session)[group.turns.clone()];
        turns.iter().try_for_each(|turn| self.gateway.turn(group.session, turn, own))
    }

    /// Notes what went wrong, if it is the first thing.
    fn fail(&self, what: String) {
        self.failed.store(true, Ordering::Relaxed);
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }
}

impl Phase {
    fn len(&self) -> usize {
        match self {
            Self::Turns(groups) => groups.len(),
            Self::Ends(places) => places.len(),
            Self::Stop => 0,
        }
    }
}

/// The lock, whoever panicked with it: what it guards is replaced as a whole.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// The lock, as in [`read`].
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
