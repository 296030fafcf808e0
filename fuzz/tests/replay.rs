//! The targets without a fuzzer: over their corpus, and over random inputs.

use fuzz::{TARGETS, Target};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Random inputs for each target, and their bytes at most.
const INPUTS: u32 = 1_000;
const BYTES: usize = 400;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect()
}

/// Runs a target; says which input it was that it failed on, as bytes that a shell understands.
fn run(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let bytes: String = input.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        panic!("{name} fails on printf '{bytes}'; put that into a file of fuzz/corpus/{name} and set PRINT_CASE=1");
    }
}

#[test]
fn every_target_holds_over_its_corpus() {
    let mut inputs = 0;
    for (name, target) in TARGETS {
        let files = fs::read_dir(folder("corpus").join(name)).unwrap_or_else(|_| panic!("{name} has no corpus"));
        let before = inputs;
        for file in files {
            run(name, target, &fs::read(file.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > before, "the corpus of {name} is empty");
    }
    println!("{inputs} inputs of {} targets", TARGETS.len());
}

#[test]
fn every_target_holds_over_random_inputs() {
    let mut random = fastrand::Rng::with_seed(0x7011_6a7e);
    for (name, target) in TARGETS {
        for _ in 0..INPUTS {
            // Small bytes more often: most of what is decoded is small.
            let most = [4, 32, 255][random.usize(..3)];
            let input: Vec<u8> = (0..random.usize(..BYTES)).map(|_| random.u8(..=most)).collect();
            run(name, target, &input);
        }
    }
}

#[test]
fn every_target_is_a_fuzz_target_with_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder("targets")), targets);
    assert_eq!(names(&folder("corpus")), targets);
}
