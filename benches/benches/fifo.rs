//! The workloads of `benches::workload::fifo` under criterion.

mod common;

fn main() {
    common::run(benches::workload::fifo::entrants());
}
