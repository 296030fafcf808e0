//! The rules of the house, checked on its source.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module's floor. A module imports from the floors below its own, and from itself.
const FLOORS: &[(&str, u8)] = &[
    ("sync", 1),
    ("clock", 1),
    ("contain", 1),
    ("hash", 1),
    ("error", 1),
    ("raw", 2),
    ("map", 3),
    ("fifo", 3),
    ("deadline", 3),
    ("budget", 3),
    ("room", 4),
    ("session", 5),
    ("revocation", 5),
    ("trace", 5),
    ("body", 5),
    ("handle", 5),
    ("posture", 5),
    ("retention", 5),
];

/// Lines that a file may have; `raw`, whose files are half argument, more.
const LIMIT: usize = 450;
const RAW_LIMIT: usize = 600;

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

impl Source {
    /// The code without comments, line by line from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().map(|line| line.split("//").next().unwrap_or_default());
        lines.enumerate().map(|(number, line)| (number + 1, line))
    }

    fn floor(&self) -> u8 {
        floor(&self.module).unwrap_or_else(|| panic!("{} is on no floor", self.path.display()))
    }
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|&(_, floor)| floor)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let sources = files.into_iter().filter(|path| path.file_name().unwrap() != "lib.rs").map(|path| {
        let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
        let module = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned();
        Source { text: fs::read_to_string(&path).unwrap(), module, path }
    });
    sources.collect()
}

/// Fails with every line of code for which `broken` names a breach.
fn forbid(broken: impl Fn(&Source, &str) -> Option<String>) {
    let sources = sources();
    assert!(sources.len() > 20, "the source was not found");
    let mut breaches = Vec::new();
    for source in &sources {
        for (number, line) in source.code() {
            if let Some(breach) = broken(source, line) {
                breaches.push(format!("{}:{number}: {breach}", source.path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// The modules of the crate that a line names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
}

#[test]
fn every_module_imports_from_the_floors_below() {
    forbid(|source, line| {
        let upward = |module: &&str| *module != source.module && floor(module).is_none_or(|at| at >= source.floor());
        // The ground's modules may lean on each other.
        let grounded = |module: &str| source.floor() == 1 && floor(module) == Some(1);
        named(line)
            .find(|module| upward(module) && !grounded(module))
            .map(|module| format!("{} imports {module}, which is not below it", source.module))
    });
}

#[test]
fn imports_are_not_grouped_so_that_each_can_be_seen() {
    forbid(|_, line| line.contains("crate::{").then(|| "a grouped import hides floors".to_owned()));
}

#[test]
fn only_sync_names_the_atomics_of_std_or_of_loom() {
    forbid(|source, line| {
        let names = [
            "std::sync::atomic",
            "core::sync::atomic",
            "portable_atomic",
            "loom::sync::atomic",
            "shuttle::sync::atomic",
        ];
        // The ideal epoch is a part of the model, not of the crate that is modelled.
        let exempt = source.module == "sync" || source.path.ends_with("raw/ideal.rs");
        names.iter().find(|name| !exempt && line.contains(*name)).map(|name| format!("{name} outside `sync`"))
    });
}

#[test]
fn only_clock_reads_a_time_source() {
    forbid(|source, line| {
        let sources = ["Instant", "SystemTime", "clock_gettime", "elapsed()", "thread::sleep"];
        let found = sources.iter().find(|name| line.contains(*name) && !line.contains("SystemTimeError"));
        found.filter(|_| source.module != "clock").map(|name| format!("{name} outside `clock`"))
    });
}

#[test]
fn stores_hold_no_atomics_no_orderings_and_no_unsafe() {
    forbid(|source, line| {
        let names = ["Ordering::", "Atomic", "unsafe ", "crate::raw"];
        let found = names.iter().find(|name| line.contains(*name));
        found.filter(|_| source.floor() >= 4).map(|name| format!("{name} in a store"))
    });
}

#[test]
fn every_file_of_a_store_forbids_unsafe() {
    for source in sources().iter().filter(|source| source.floor() >= 4) {
        assert!(source.text.contains("#![forbid(unsafe_code)]"), "{}", source.path.display());
    }
}

#[test]
fn nothing_is_sequentially_consistent_and_no_fence_stands_alone() {
    forbid(|_, line| {
        ["SeqCst", "fence("].iter().find(|name| line.contains(*name)).map(|name| format!("{name} has no place here"))
    });
}

#[test]
fn no_file_outgrows_its_limit() {
    for source in sources() {
        let limit = if source.module == "raw" { RAW_LIMIT } else { LIMIT };
        let lines = source.text.lines().count();
        assert!(lines <= limit, "{} has {lines} lines, {limit} are allowed", source.path.display());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in sources() {
        assert!(source.text.starts_with("//!"), "{} begins without a word", source.path.display());
    }
}
