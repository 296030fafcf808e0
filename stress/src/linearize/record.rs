//! Makes histories: windows of a few calls by every thread on a fresh structure, and what each answered and when.
//!
//! "When" is a number from one counter that every call draws before it begins and after it has ended. Unlike a clock that
//! is a total order, costs the same everywhere, and asks nobody to trust the time-stamp counters of two cores. A call that
//! ended before another began by these numbers happened before it in the language's own sense, so that no rejection is the
//! numbers' fault. The price: the counter synchronises the threads, so an ordering that is too weak *between* calls can
//! hide behind it. Orderings are the model checker's task; what is looked for here is what hardware and scheduler do to
//! whole operations.

use super::check::{Event, Model, lines};
use crate::run::{Checked, Round, broken, caught};
use fastrand::Rng;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use tollgate::hash::RandomState;

/// Windows between two starts of threads.
const WINDOWS: u64 = 64;

pub(super) type StepOf<S> = <<S as Subject>::Model as Model>::Step;
type Events<S> = Vec<Event<StepOf<S>>>;

/// Gives up the core now and then, more often than `stumble`: windows are short. Called from keys and closures, it does so
/// inside an operation.
pub(super) fn pause() {
    if fastrand::u8(..16) == 0 {
        thread::yield_now();
    }
}

/// A key whose comparison pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(pub(super) u64);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        pause();
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Has the seed decide which keys share a line.
pub(super) fn hasher(rng: &mut Rng) -> RandomState {
    RandomState::with_seeds(rng.u64(..), rng.u64(..), rng.u64(..), rng.u64(..))
}

/// A structure under test.
pub(super) trait Subject: Sync + Sized {
    /// One call, chosen before the window begins.
    type Op: Copy + Debug + Send + Sync;
    /// What explains the answers.
    type Model: Model<Step: Send + Sync>;

    /// Calls of each thread in a window.
    const CALLS: u64;

    /// A fresh structure.
    fn new(rng: &mut Rng) -> Checked<Self>;

    /// What it is when it is fresh; for every part, if there are parts.
    fn start(&self) -> Self::Model;

    /// Chooses a call. No other has the number `unique`.
    fn plan(rng: &mut Rng, unique: u64) -> Self::Op;

    /// Makes the call, and appends its steps.
    fn call(&self, op: Self::Op, steps: &mut Vec<StepOf<Self>>);

    /// Appends what the structure shows at rest.
    fn rest(&self, steps: &mut Vec<StepOf<Self>>);

    /// Which part of the structure a step is about. Parts have nothing to do with each other, and are checked one by one.
    fn part(_: &StepOf<Self>) -> u64 {
        0
    }
}

/// A fresh structure, and who will do what to it.
struct Window<S: Subject> {
    number: u64,
    subject: S,
    plans: Vec<Vec<S::Op>>,
    arrived: AtomicUsize,
    ticks: AtomicU64,
}

/// What a thread did in a window.
struct Lane<S: Subject> {
    events: Events<S>,
    /// The call that panicked, if one did: the thread makes no further ones, and goes on to the next window, where the
    /// others wait for it.
    failed: Option<String>,
}

/// What happened in a window.
pub(super) struct History<S: Subject> {
    pub(super) window: u64,
    pub(super) start: S::Model,
    pub(super) events: Events<S>,
    pub(super) calls: u64,
    /// Calls during which another one began or ended.
    pub(super) overlapped: u64,
}

impl<S: Subject> Window<S> {
    fn new(round: &Round) -> Checked<Self> {
        let subject = S::new(&mut round.setup())?;
        let plan = |thread: usize| {
            let mut rng = round.rng(thread);
            (1..=S::CALLS).map(|i| S::plan(&mut rng, 1_000 * (thread as u64 + 1) + i)).collect()
        };
        let plans = (0..round.threads).map(plan).collect();
        let (arrived, ticks) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Self { number: round.number, subject, plans, arrived, ticks })
    }

    fn tick(&self) -> u64 {
        // AcqRel: the call that follows stays behind it, the one before stays before it.
        self.ticks.fetch_add(1, Ordering::AcqRel)
    }

    /// Waits for the others without going to sleep, from which they would not wake together.
    fn enter(&self) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < self.plans.len() {
            thread::yield_now();
        }
    }

    fn work(&self, thread: usize) -> Lane<S> {
        let mut events = Vec::with_capacity(4 * self.plans[thread].len());
        let mut steps = Vec::with_capacity(16);
        for &op in &self.plans[thread] {
            pause();
            let start = self.tick();
            let called = caught(|| {
                self.subject.call(op, &mut steps);
                Ok(())
            });
            let end = self.tick();
            if let Err(what) = called {
                let failed = format!("thread {thread}, {start} to {end}, {op:?}: {what}");
                return Lane { events, failed: Some(failed) };
            }
            events.extend(steps.drain(..).map(|step| Event { thread, start, end, step }));
        }
        Lane { events, failed: None }
    }

    /// The history of a window whose threads have ended.
    fn finish(&self, lanes: Vec<Lane<S>>) -> Checked<History<S>> {
        let failed: Vec<_> = lanes.iter().filter_map(|lane| lane.failed.clone()).collect();
        let mut events: Events<S> = lanes.into_iter().flat_map(|lane| lane.events).collect();
        if !failed.is_empty() {
            events.sort_by_key(|event| event.start);
            return broken(format_args!("window {}: {}{}", self.number, failed.join("; "), lines(&events)));
        }
        let mut intervals: Vec<_> = events.iter().map(|event| (event.start, event.end)).collect();
        intervals.dedup();
        let overlapped = intervals.iter().filter(|(start, end)| end - start > 1).count() as u64;
        let (start, end) = (self.tick(), self.tick());
        let mut steps = Vec::new();
        self.subject.rest(&mut steps);
        events.extend(steps.into_iter().map(|step| Event { thread: 0, start, end, step }));
        let calls = self.plans.len() as u64 * S::CALLS;
        Ok(History { window: self.number, start: self.subject.start(), events, calls, overlapped })
    }
}

/// The histories of the windows that are recorded with `some`.
pub(super) fn record<S: Subject>(name: &'static str, seed: u64, threads: usize, some: u64) -> Checked<Vec<History<S>>> {
    let first = some - some % WINDOWS;
    let window = |number| Window::<S>::new(&Round { name, seed, number, threads });
    let windows: Vec<_> = (first..first + WINDOWS).map(window).collect::<Checked<_>>()?;
    let work = |thread| {
        fastrand::seed(seed ^ first ^ thread as u64);
        let one = |window: &Window<S>| {
            window.enter();
            window.work(thread)
        };
        windows.iter().map(one).collect::<Vec<_>>()
    };
    let lanes: Vec<_> = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it caught its panics")).collect()
    });
    let mut lanes: Vec<_> = lanes.into_iter().map(Vec::into_iter).collect();
    let finish =
        |window: &Window<S>| window.finish(lanes.iter_mut().map(|lane| lane.next().expect("one a window")).collect());
    windows.iter().map(finish).collect()
}
