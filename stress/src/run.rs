//! What the scenarios share: seeded rounds, threads that start together, a watcher beside them, and the word for a
//! promise that did not hold.

use fastrand::Rng;
use std::any::Any;
use std::fmt::{self, Debug, Display};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// A promise that did not hold: what was expected, and what was seen.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a check, or a whole round, ended.
pub(crate) type Checked<T = ()> = Result<T, Broken>;

/// Says that a promise is broken.
pub(crate) fn broken<T>(what: impl Display) -> Checked<T> {
    Err(Broken(what.to_string()))
}

/// Holds `condition` to be true.
pub(crate) fn ensure(condition: bool, what: impl Display) -> Checked {
    if condition { Ok(()) } else { broken(what) }
}

/// Holds two values to be the same.
pub(crate) fn same<T: PartialEq + Debug>(what: impl Display, expected: T, seen: T) -> Checked {
    if expected == seen { Ok(()) } else { broken(format_args!("{what}: expected {expected:?}, saw {seen:?}")) }
}

/// Holds a value to a bound.
pub(crate) fn at_most(what: impl Display, most: u64, seen: u64) -> Checked {
    if seen <= most { Ok(()) } else { broken(format_args!("{what}: expected {most} at most, saw {seen}")) }
}

/// Sometimes gives up the core: called from closures, hashes and comparisons, it does so inside an operation.
pub(crate) fn stumble() {
    if fastrand::u8(..) < 3 {
        thread::yield_now();
    }
}

/// A key whose comparison stumbles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(pub(crate) u64);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        stumble();
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// One scenario: a name, and a round that checks itself and returns how many operations it did.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) round: fn(&Round) -> Checked<u64>,
}

/// What a scenario did in its time.
pub(crate) struct Report {
    pub(crate) operations: u64,
    pub(crate) rounds: u64,
    pub(crate) outcome: Checked,
}

impl Scenario {
    /// Runs rounds, the first of them with this number, until `time` is over or a promise breaks; one round at least.
    pub(crate) fn run(self, seed: u64, first: u64, threads: usize, time: Duration) -> Report {
        let start = start();
        let mut report = Report { operations: 0, rounds: 0, outcome: Ok(()) };
        while report.rounds == 0 || start.elapsed() < time {
            let round = Round { name: self.name, seed, number: first + report.rounds, threads };
            report.rounds += 1;
            match caught(|| (self.round)(&round)) {
                Ok(operations) => report.operations += operations,
                Err(Broken(what)) => {
                    report.outcome = broken(format_args!("round {}: {what}", round.number));
                    break;
                }
            }
        }
        report
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long the run takes; no promise is checked against it")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// One round: a fresh structure, a fixed number of operations from every thread, an exact check when all are done.
pub(crate) struct Round {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) number: u64,
    pub(crate) threads: usize,
}

impl Round {
    /// The generator of a thread; the same for the same seed, scenario, round and thread.
    pub(crate) fn rng(&self, thread: usize) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.name, self.number, thread).hash(&mut hasher);
        Rng::with_seed(self.seed ^ hasher.finish())
    }

    /// The generator for what is set up before the threads start.
    pub(crate) fn setup(&self) -> Rng {
        self.rng(usize::MAX)
    }

    /// One of `choices`, in turn from round to round; each turn lasts `period` rounds.
    pub(crate) fn pick<T: Copy>(&self, period: usize, choices: &[T]) -> T {
        choices[self.number as usize / period % choices.len()]
    }

    /// Runs `work` on every thread at once. Returns the operations that they did in all.
    pub(crate) fn race(&self, work: impl Fn(usize, &mut Rng) -> Checked<u64> + Sync) -> Checked<u64> {
        self.together(work, None)
    }

    /// As [`race`](Self::race), beside a watcher that takes `look` after look until all are done, and once more then.
    pub(crate) fn race_watched(
        &self,
        work: impl Fn(usize, &mut Rng) -> Checked<u64> + Sync,
        look: impl Fn() -> Checked + Sync,
    ) -> Checked<u64> {
        self.together(work, Some(&look))
    }

    fn together(
        &self,
        work: impl Fn(usize, &mut Rng) -> Checked<u64> + Sync,
        look: Option<&(dyn Fn() -> Checked + Sync)>,
    ) -> Checked<u64> {
        let barrier = &Barrier::new(self.threads + usize::from(look.is_some()));
        let running = &AtomicUsize::new(self.threads);
        let work = &work;
        thread::scope(|scope| {
            let spawn = |thread| scope.spawn(move || self.worker(thread, barrier, running, work));
            let mut threads: Vec<_> = (0..self.threads).map(spawn).collect();
            threads.extend(look.map(|look| scope.spawn(move || self.watcher(barrier, running, look))));
            gather(threads)
        })
    }

    fn watcher(&self, barrier: &Barrier, running: &AtomicUsize, look: &dyn Fn() -> Checked) -> Checked<u64> {
        fastrand::seed(self.setup().u64(..));
        barrier.wait();
        loop {
            let last = running.load(Ordering::SeqCst) == 0;
            look()?;
            if last {
                return Ok(0);
            }
        }
    }

    fn worker(
        &self,
        thread: usize,
        barrier: &Barrier,
        running: &AtomicUsize,
        work: &(impl Fn(usize, &mut Rng) -> Checked<u64> + Sync),
    ) -> Checked<u64> {
        let mut rng = self.rng(thread);
        fastrand::seed(rng.u64(..));
        let _running = Running(running);
        barrier.wait();
        work(thread, &mut rng)
    }
}

/// A worker that has not ended; says so when it does, by a panic too.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for all threads; the first broken promise counts, and so does a panic.
fn gather(handles: Vec<ScopedJoinHandle<'_, Checked<u64>>>) -> Checked<u64> {
    let ends: Vec<_> = handles.into_iter().map(ScopedJoinHandle::join).collect();
    ends.into_iter().map(|end| end.unwrap_or_else(|payload| panicked(&*payload))).sum()
}

/// What `work` returns; a panic of it is a broken promise.
pub(crate) fn caught<T>(work: impl FnOnce() -> Checked<T>) -> Checked<T> {
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    end.unwrap_or_else(|payload| panicked(&*payload))
}

fn panicked<T>(payload: &(dyn Any + Send)) -> Checked<T> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    broken(format_args!("expected no panic, saw one: {}", text.unwrap_or("(not text)")))
}
