//! The workloads of `benches::workload::stores` under criterion.

mod common;

fn main() {
    common::run(benches::workload::stores::entrants());
}
