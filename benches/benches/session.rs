//! The workloads of `benches::workload::session` under criterion.

mod common;

fn main() {
    common::run(benches::workload::session::entrants());
}
