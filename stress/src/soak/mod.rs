//! The long run: all scenarios in turn, beside structures that are churned for the whole time, until memory has had its
//! chance to grow.
//!
//! A *lap* gives each scenario a slice of time, and ends with a sample. When all are done, [`follow`](verdict::follow) judges
//! what must not grow by the samples. The report and the plot are written whatever the outcome.

mod living;
mod plot;
mod report;
mod verdict;

use crate::run::{Broken, Checked, broken, caught, start};
use crate::{Name, PATIENCE, attempt, default_threads, status_kib};
use clap::{Args, ValueEnum};
use fastrand::Rng;
use living::World;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A lap takes a second, or longer where there would be more of them than this.
const MOST_LAPS: u32 = 3_600;

/// Holds tollgate's promises for hours, and memory to be flat.
#[derive(Args)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, value_name = "N", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(10..=604_800))]
    seconds: u64,
    /// Threads of a scenario, and as many that churn (default: as many as cores, 4 at least).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Decides what the threads do, though not how they interleave.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where the report and the plot go.
    #[arg(long, value_name = "DIR", default_value = "target/soak")]
    out: PathBuf,
}

/// What was seen at the end of a lap.
struct Sample {
    /// Since the beginning.
    at: Duration,
    /// Resident memory, in bytes.
    resident: u64,
    /// Values of living structures that were removed and are not freed yet.
    garbage: u64,
    /// Entries of living structures beside what is bounded.
    beside: u64,
    /// Operations a second, on living structures and in scenarios.
    churned: f64,
    raced: f64,
}

/// What a scenario did in all laps.
struct Tally {
    name: &'static str,
    rounds: u64,
    operations: u64,
}

struct Soak {
    seed: u64,
    threads: usize,
    began: Instant,
    time: Duration,
    world: Arc<World>,
    samples: Vec<Sample>,
    tallies: Vec<Tally>,
    /// The least and the most that each living structure was seen to hold after the first quarter.
    held: Vec<Option<(u64, u64)>>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    // Tried at once, not when hours have gone by.
    if let Err(error) = std::fs::create_dir_all(&options.out) {
        eprintln!("error: {}: {error}", options.out.display());
        return ExitCode::from(2);
    }
    if resident().is_none() {
        eprintln!("error: this system does not tell what memory is resident");
        return ExitCode::from(2);
    }
    let threads = options.threads.map_or_else(default_threads, usize::from);
    println!("seed {}, {threads} threads, {} s", options.seed, options.seconds);
    let world = match World::new() {
        Ok(world) => Arc::new(world),
        Err(Broken(what)) => {
            println!("BROKEN: {what}");
            return ExitCode::FAILURE;
        }
    };
    let mut soak = Soak::new(options, threads, world);
    let outcome = soak.run();
    if stderr().is_terminal() {
        eprintln!();
    }
    report::write(&soak, outcome, &options.out).unwrap_or_else(|error| {
        eprintln!("error: {}: {error}", options.out.display());
        ExitCode::from(2)
    })
}

fn resident() -> Option<u64> {
    status_kib("VmRSS:").map(|kib| kib * 1024)
}

impl Soak {
    fn new(options: &Options, threads: usize, world: Arc<World>) -> Self {
        let tally = |name: &Name| Tally { name: name.scenario().name, rounds: 0, operations: 0 };
        Self {
            seed: options.seed,
            threads,
            began: start(),
            time: Duration::from_secs(options.seconds),
            held: vec![None; world.all.len()],
            world,
            samples: Vec::new(),
            tallies: Name::value_variants().iter().map(tally).collect(),
        }
    }

    fn run(&mut self) -> Checked {
        let ended = self.churn();
        let mut outcome = Ok(());
        while outcome.is_ok() && self.began.elapsed() < self.time {
            outcome = self.lap().and_then(|()| match ended.try_recv() {
                // None ends before it is told to, but by what it found.
                Ok(end) => end,
                Err(_) => Ok(()),
            });
        }
        self.world.stop();
        for _ in 0..self.threads {
            let end = ended.recv_timeout(PATIENCE).unwrap_or_else(|missed| match missed {
                RecvTimeoutError::Timeout => broken("expected a thread that churns to stop when told, saw it stuck"),
                // All that there were have sent their ends.
                RecvTimeoutError::Disconnected => Ok(()),
            });
            outcome = outcome.and(end);
        }
        outcome
    }

    /// Starts the threads that churn the living structures. Each sends how it ended.
    fn churn(&self) -> Receiver<Checked> {
        let (done, ended) = mpsc::channel();
        for thread in 0..self.threads as u64 {
            let (world, done) = (Arc::clone(&self.world), done.clone());
            let mut rng = Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(thread));
            thread::spawn(move || done.send(caught(|| world.churn(&mut rng))));
        }
        ended
    }

    /// A slice of every scenario, and a sample.
    fn lap(&mut self) -> Checked {
        let (began, steps) = (self.began.elapsed(), self.world.steps());
        let slice = (self.time / MOST_LAPS).max(Duration::from_secs(1)) / self.tallies.len() as u32;
        let mut raced = 0;
        for (tally, name) in self.tallies.iter_mut().zip(Name::value_variants()) {
            let report = attempt(name.scenario(), self.seed, tally.rounds, self.threads, slice);
            raced += report.operations;
            tally.rounds += report.rounds;
            tally.operations += report.operations;
            let failed = |Broken(what)| Broken(format!("{}, {what}", tally.name));
            report.outcome.map_err(failed)?;
        }
        let at = self.began.elapsed();
        let churned = self.world.steps() - steps;
        if churned == 0 {
            return broken("expected the living structures to be churned all the time, saw them stand still");
        }
        let second = (at - began).as_secs_f64();
        self.samples.push(Sample {
            at,
            resident: resident().unwrap_or(u64::MAX),
            garbage: self.world.garbage(),
            beside: self.world.beside(),
            churned: churned as f64 / second,
            raced: raced as f64 / second,
        });
        if at > self.time / 4 {
            self.note_held();
        }
        self.say();
        Ok(())
    }

    fn note_held(&mut self) {
        for (living, seen) in self.world.all.iter().zip(&mut self.held) {
            let (held, _) = living.held();
            let (least, most) = seen.unwrap_or((held, held));
            *seen = Some((least.min(held), most.max(held)));
        }
    }

    /// A line after each lap that takes the place of the last one; where lines stay, one after every sixtieth.
    fn say(&self) {
        let (Some(last), lasting) = (self.samples.last(), !stderr().is_terminal()) else { return };
        if lasting && self.samples.len() % 60 != 1 {
            return;
        }
        eprint!(
            "{:>6} of {} s  {:>5} MiB resident  {:>7} values to free  {:>5.2} M operations a second{}",
            last.at.as_secs(),
            self.time.as_secs(),
            last.resident >> 20,
            last.garbage,
            (last.churned + last.raced) / 1e6,
            if lasting { "\n" } else { "\r" },
        );
    }
}
