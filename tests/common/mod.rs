//! What the tests of several upstreams share.

use std::sync::Barrier;
use std::thread;

const THREADS: u64 = 10;

/// Runs `work` on ten threads that start together, and adds up what they return. Threads are numbered from 0.
pub(crate) fn sum_over_threads(work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let barrier = Barrier::new(THREADS as usize);
    let run = &|thread| {
        barrier.wait();
        work(thread)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}
