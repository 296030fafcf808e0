//! The workloads of `benches::workload::revocation` under criterion.

mod common;

fn main() {
    common::run(benches::workload::revocation::entrants());
}
