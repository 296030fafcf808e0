//! The workloads of `benches::workload::stores` under criterion, and sweeps of retention.

mod common;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use std::sync::Arc;
use tollgate::clock::Timestamp;
use tollgate::retention::{Ingest, MemoryTiers, RetentionConfig, RetentionPolicy, sweep};

fn main() {
    common::run(benches::workload::stores::entrants());
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    retention(&mut criterion);
    criterion.final_summary();
}

/// Sweeps that evict every session there is: all were analysed, and no raw data may stay.
fn retention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retention_sweep");
    for sessions in [500, 4_000] {
        group.throughput(Throughput::Elements(sessions));
        group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
            bencher.iter_batched(
                || tiers(sessions),
                |tiers| {
                    let report = sweep(&tiers, &policy(), None, Timestamp::from_secs(1));
                    assert_eq!(report.budget_evicted.len() as u64, sessions);
                    tiers
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn policy() -> RetentionPolicy {
    RetentionPolicy::new(RetentionConfig::new().soft_cap(0).hard_cap(1)).expect("a soft cap below the hard one")
}

fn tiers(sessions: u64) -> MemoryTiers<u64> {
    let tiers = MemoryTiers::new(sessions).expect("a capacity");
    let raw: Arc<[u8]> = vec![0; 100].into();
    for session in 0..sessions {
        tiers.ingest(session, Ingest::new(), Arc::clone(&raw)).expect("room");
        tiers.record_analysis(&session, Vec::new()).expect("there");
    }
    tiers
}
