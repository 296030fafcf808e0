//! Criterion over the entrants: a group for each workload, in it each contender on one thread and on all cores.

use benches::timing;
use benches::workload::{Entrant, Job};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

/// Runs the workloads of these entrants, as the command line says.
pub(crate) fn run(entrants: Vec<Entrant>) {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(10)
        .nresamples(10_000)
        .configure_from_args();
    for entrants in entrants.chunk_by(|a, b| a.workload.id == b.workload.id) {
        let mut group = criterion.benchmark_group(entrants[0].workload.id);
        for entrant in entrants {
            for threads in threads(entrant.max_threads) {
                // Filled only if it is asked for.
                let mut job = None;
                group.throughput(Throughput::Elements(threads as u64));
                group.bench_function(BenchmarkId::new(entrant.name, threads), |bencher| {
                    let job = job.get_or_insert_with(|| (entrant.make)(threads));
                    bencher.iter_custom(|operations| timed(job.as_ref(), threads, operations));
                });
            }
        }
    }
    criterion.final_summary();
}

/// One thread, and as many as there are cores.
fn threads(most: usize) -> impl Iterator<Item = usize> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    [1, cores].into_iter().take(if most == 1 || cores == 1 { 1 } else { 2 })
}

/// Has each thread do all of `operations`: from the barrier until the last one ends.
fn timed(job: &dyn Job, threads: usize, operations: u64) -> Duration {
    let barrier = Barrier::new(threads);
    let run = |thread| {
        barrier.wait();
        let start = timing::now();
        let sum = black_box(job.run(thread, operations));
        (start, timing::now(), sum)
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("no contender panics")).collect()
    });
    let sum = spans.iter().map(|span| span.2).fold(0, u64::wrapping_add);
    if let Err(wrong) = job.check(operations * threads as u64, sum) {
        panic!("{wrong}");
    }
    let start = spans.iter().map(|span| span.0).min();
    let end = spans.iter().map(|span| span.1).max();
    start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start)
}
