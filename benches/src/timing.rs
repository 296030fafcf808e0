//! Wall time of one or more threads that each do the same number of operations.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Runs `work` on this thread.
pub fn alone(operations: Range<u64>, work: &mut impl FnMut(u64, Range<u64>) -> u64) -> Duration {
    let start = now();
    black_box(work(0, operations));
    start.elapsed()
}

/// Runs `work` on `threads` threads, each doing all of `operations`: from the barrier until the last one ends.
///
/// # Panics
///
/// If `work` does.
pub fn together(threads: u64, operations: &Range<u64>, work: &(impl Fn(u64, Range<u64>) -> u64 + Sync)) -> Duration {
    let barrier = Barrier::new(threads as usize);
    let spans: Vec<_> = thread::scope(|scope| {
        let run = |thread| {
            barrier.wait();
            let start = now();
            black_box(work(thread, operations.clone()));
            (start, now())
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("no benchmark panics")).collect()
    });
    let start = spans.iter().map(|span| span.0).min();
    let end = spans.iter().map(|span| span.1).max();
    start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start)
}
