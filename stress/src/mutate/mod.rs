//! Mutations of the crate, and whether a loom model breaks by each: one ordering weakened, or one re-check dropped.
//!
//! All mutations are compiled into one copy of the source, each behind a switch, so that the models are built once and a
//! mutation costs no more than the models that are to break by it. Those models also run with every switch off, and
//! must pass.

mod check;
mod list;
mod models;
mod table;
mod tree;

use clap::Args;
use list::{Fate, Mutation};
use models::{Models, Outcome};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What went wrong, if not with the crate.
type Tried<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Args)]
pub(crate) struct Options {
    /// Lists the mutations and ends.
    #[arg(long, group = "instead")]
    list: bool,
    /// Checks that the list fits the source, leaves no ordering out, and is what `docs/mutations.md` shows, and ends.
    #[arg(long, group = "instead")]
    check: bool,
    /// Prints all mutations, and what breaks by each, for `docs/mutations.md`, and ends.
    #[arg(long, group = "instead", conflicts_with = "filters")]
    table: bool,
    /// Runs every model of the test files that have the named ones.
    #[arg(long, conflicts_with = "instead")]
    whole: bool,
    /// Models that run at a time (default: as many as cores).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), conflicts_with = "instead")]
    jobs: Option<u16>,
    /// Parts of the names of mutations to run (default: all).
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// A mutation, the file that it is of, and the number of its switch.
#[derive(Clone, Copy)]
struct Numbered {
    number: usize,
    file: &'static str,
    mutation: &'static Mutation,
}

/// Exit 1 for a mutation that did not end as the list says, or a list that is not complete; 2 for bad arguments, and if
/// nothing could be judged.
pub(crate) fn run(options: &Options) -> ExitCode {
    match tried(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn tried(options: &Options) -> Tried<bool> {
    let root = root();
    let chosen = chosen(&options.filters)?;
    if options.table {
        print!("{}", table::markdown(&root)?);
        return Ok(true);
    }
    let mut gaps = check::gaps(&root)?;
    if options.check {
        // Whoever runs a new mutation has not written it down yet.
        gaps.extend(check::stale(&root)?);
    }
    gaps.iter().for_each(|gap| eprintln!("{gap}"));
    if options.check || !gaps.is_empty() {
        println!("{} mutations, {} gaps", all().len(), gaps.len());
        return Ok(gaps.is_empty());
    }
    if options.list {
        chosen.iter().for_each(|it| println!("{:<44} {:<18} {}", it.mutation.id, it.file, it.mutation.what));
        return Ok(true);
    }
    judge(&root, &chosen, options)
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn all() -> Vec<Numbered> {
    let all = list::SOURCES.iter().flat_map(|source| source.mutations.iter().map(|mutation| (source.file, mutation)));
    all.enumerate().map(|(at, (file, mutation))| Numbered { number: at + 1, file, mutation }).collect()
}

/// How many are to break a model, to fail a test, and to do no harm.
fn tally(mutations: &[Numbered]) -> [usize; 3] {
    let count = |is: fn(&Fate) -> bool| mutations.iter().filter(|it| is(&it.mutation.fate)).count();
    [
        count(|fate| matches!(fate, Fate::Breaks(_))),
        count(|fate| matches!(fate, Fate::Fails(..))),
        count(|fate| matches!(fate, Fate::Survives(..))),
    ]
}

fn chosen(filters: &[String]) -> Tried<Vec<Numbered>> {
    let all = all();
    let fits = |filter: &String, it: &Numbered| it.mutation.id.contains(filter.as_str());
    if let Some(filter) = filters.iter().find(|filter| !all.iter().any(|it| fits(filter, it))) {
        return Err(format!("no mutation has {filter:?} in its name").into());
    }
    let asked = |it: &Numbered| filters.is_empty() || filters.iter().any(|filter| fits(filter, it));
    Ok(all.into_iter().filter(asked).collect())
}

/// Builds, sees that the models pass without a mutation, and runs them under each.
fn judge(root: &Path, chosen: &[Numbered], options: &Options) -> Tried<bool> {
    let known = models::known(root)?;
    let wanted = |mutation: &Mutation| -> Vec<&str> {
        let named = mutation.fate.models();
        let files: BTreeSet<_> = named.iter().map(|&model| &known[model]).collect();
        let whole = known.iter().filter(|(_, file)| files.contains(file)).map(|(model, _)| model.as_str());
        if options.whole { whole.collect() } else { named.to_vec() }
    };
    let needed: BTreeSet<&str> = chosen.iter().flat_map(|it| wanted(it.mutation)).collect();
    let files: BTreeSet<&str> = needed.iter().map(|&model| known[model].as_str()).collect();
    let folder = target_folder(root).join("mutate");
    tree::copy(root, &folder.join("tree"))?;
    let models = Models::build(&folder, &files, &known)?;
    let jobs = options.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);

    println!("{} models, without a mutation", needed.len());
    let needed: Vec<_> = needed.into_iter().collect();
    let broken: Vec<String> = side_by_side(jobs, &needed, |&model| {
        let start = start();
        let outcome = models.run(model, None)?;
        println!("  {model:<80} {:>5.1} s", start.elapsed().as_secs_f64());
        Ok(outcome.words(model))
    })
    .into_iter()
    .filter_map(Tried::transpose)
    .collect::<Tried<_>>()?;
    if !broken.is_empty() {
        return Err(format!("without a mutation: {}", broken.join("; ")).into());
    }

    println!("{} mutations", chosen.len());
    let ends = side_by_side(jobs, chosen, |it| {
        let start = start();
        let end = end_of(it, &wanted(it.mutation), &models);
        if let Ok((verdict, as_listed)) = &end {
            let mark = if *as_listed { " " } else { "!" };
            println!("{mark} {:<44} {:>5.1} s  {verdict}", it.mutation.id, start.elapsed().as_secs_f64());
        }
        end
    });
    let as_listed: Vec<bool> = ends.into_iter().map(|end| end.map(|(_, as_listed)| as_listed)).collect::<Tried<_>>()?;
    let [caught, tested, harmless] = tally(chosen);
    let wrong = as_listed.iter().filter(|as_listed| !**as_listed).count();
    println!("{caught} to be caught, {tested} left to tests, {harmless} harmless; {wrong} not as listed");
    Ok(wrong == 0)
}

/// What became of a mutation, in words, and whether that is what the list says.
fn end_of(it: &Numbered, wanted: &[&str], models: &Models) -> Tried<(String, bool)> {
    let ends: Vec<_> =
        wanted.iter().map(|&model| Ok((model, models.run(model, Some(it.number))?))).collect::<Tried<_>>()?;
    let named = |model: &str| it.mutation.fate.models().contains(&model);
    let breaks = matches!(it.mutation.fate, Fate::Breaks(_));
    let as_listed =
        ends.iter().all(|(model, outcome)| !named(model) || breaks == matches!(outcome, Outcome::Broken(_)));
    let mut words: Vec<_> = ends.iter().filter_map(|(model, outcome)| outcome.words(model)).collect();
    let missed = ends.iter().filter(|(model, outcome)| breaks && named(model) && matches!(outcome, Outcome::Passed));
    words.extend(missed.map(|(model, _)| format!("SURVIVED {model}")));
    if words.is_empty() {
        words.push("no model broke, as listed".to_owned());
    }
    Ok((words.join("; "), as_listed))
}

/// Works on all of `items`, `jobs` at a time, and returns what came of each, in their order.
fn side_by_side<T: Sync, R: Send>(jobs: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mine = std::iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, work(item)))
        });
        mine.collect::<Vec<_>>()
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker panicked")).collect::<Vec<_>>()
    });
    done.sort_unstable_by_key(|&(at, _)| at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    // The models are built elsewhere, where a relative path would be another.
    std::path::absolute(root.join(target)).expect("a path that is not empty")
}

#[expect(clippy::disallowed_methods, reason = "says how long a mutation took")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_fits_the_source_and_leaves_no_ordering_out() {
        let gaps = check::gaps(&root()).unwrap();
        assert!(gaps.is_empty(), "{}", gaps.join("\n"));
    }

    #[test]
    fn the_page_of_the_mutations_shows_the_list() {
        assert_eq!(check::stale(&root()).unwrap(), None);
    }
}
