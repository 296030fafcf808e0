//! The workloads of `benches::workload::map` under criterion.

mod common;

fn main() {
    common::run(benches::workload::map::entrants());
}
