//! Threads that live through the run, and start each piece of work together.
//!
//! Between the tasks they sleep. Before a task each spins until all have arrived, and then a little longer: a core that
//! was asleep is awake again, and the scheduler has seen that there is work for every core, before the clock starts.

use crate::shared::clock;
use std::hint;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long everybody spins once all are there.
const WARM: Duration = Duration::from_micros(200);
/// Turns of a spinning wait before it offers its core to others: there may be more threads than cores.
const PATIENCE: u32 = 2_000;

type Task = Box<dyn FnOnce() + Send>;

/// The threads. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Pool {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// None once it is told to end.
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// What one piece of work gave.
#[derive(Debug)]
pub(crate) struct Run<T> {
    /// From the barrier until the last thread ended.
    pub(crate) seconds: f64,
    /// In no order.
    pub(crate) results: Vec<T>,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> io::Result<Self> {
        let workers = (0..threads).map(Worker::spawn).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Runs `work` on the first `threads` threads at once and waits for all of them. It is an error if one panics.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        threads: usize,
        work: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<Run<T>, String> {
        let work = Arc::new(work);
        let barrier = Arc::new(Barrier { threads, arrived: AtomicUsize::new(0) });
        let (done, results) = mpsc::channel();
        for (thread, worker) in self.workers.iter().take(threads).enumerate() {
            let (work, barrier, done) = (work.clone(), barrier.clone(), done.clone());
            worker.give(Box::new(move || {
                barrier.wait();
                let start = clock::now();
                let result = panic::catch_unwind(AssertUnwindSafe(|| work(thread)));
                let end = clock::now();
                // Whatever it holds is dropped on the caller's thread, after everybody has ended.
                drop(work);
                if let Ok(result) = result {
                    // Somebody listens: `run` does until all senders are gone.
                    let _ = done.send((start, end, result));
                }
            }));
        }
        drop(done);
        let ended: Vec<(Instant, Instant, T)> = results.iter().collect();
        if ended.len() < threads {
            return Err(format!("{} of {threads} threads panicked", threads - ended.len()));
        }
        let start = ended.iter().map(|run| run.0).min();
        let end = ended.iter().map(|run| run.1).max();
        let seconds = start.zip(end).map_or(0.0, |(start, end)| (end - start).as_secs_f64());
        Ok(Run { seconds, results: ended.into_iter().map(|run| run.2).collect() })
    }
}

impl Worker {
    fn spawn(number: usize) -> io::Result<Self> {
        let (tasks, inbox) = mpsc::channel::<Task>();
        let work = move || inbox.iter().for_each(|task| task());
        let thread = thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread) })
    }

    /// Never fails while the thread lives, which no task's panic ends.
    fn give(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // Tasks do not unwind out of it.
            let _ = thread.join();
        }
    }
}

/// For one start.
#[derive(Debug)]
struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
}

impl Barrier {
    fn wait(&self) {
        self.meet(self.threads);
        clock::spin_until(clock::now() + WARM);
        self.meet(2 * self.threads);
    }

    /// Arrives, and waits until so many arrivals are counted.
    fn meet(&self, arrivals: usize) {
        // Release and Acquire: what a thread did before it arrived is seen by all that leave.
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut turns = 0u32;
        while self.arrived.load(Ordering::Acquire) < arrivals {
            turns += 1;
            if turns > PATIENCE { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}
