//! The command line.

use clap::Parser;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// More threads than this only measure the scheduler.
const MAX_THREADS: u16 = 1024;

/// Replays recorded agent sessions through all seven stores.
#[derive(Debug, Parser)]
#[command(name = "replay")]
pub(crate) struct Options {
    /// Worker threads [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_THREADS)))]
    threads: Option<u16>,

    /// Copies to replay, as distinct sessions: as many at once as the session store has room for
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) repeat: u64,

    /// Calls that each session may make
    #[arg(long, value_name = "CALLS", default_value_t = 1000)]
    pub(crate) budget: u64,

    /// Calls that each session may make in a window, 5/60 for instance [default: no limit]
    #[arg(long, value_name = "CALLS/SECONDS")]
    pub(crate) rate: Option<Rate>,

    /// Seconds that each session and its token live
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: u64,

    /// Traces that are kept
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) trace_cap: u64,

    /// Sessions that the store has room for [default: enough for the input]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) session_cap: Option<u64>,

    /// Bytes of request bodies that are kept, with what goes with them
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) body_cap: u64,

    /// Results of tools that are longer than this many bytes are kept by handle, and looked into once
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(crate) handle_above: u64,

    /// Handles that are kept
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) handle_cap: u64,

    /// Records of postures that are kept
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) history: u64,

    /// Bytes of raw data that retention lets stay; a half more before it gives up what was not analysed
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) raw_cap: u64,

    /// Read back every body that is stored, and compare it
    #[arg(long)]
    pub(crate) verify: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Names the sessions, and the order in which threads are handed the work of one instant
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Recordings, one session a line [default: a small one of its own]
    #[arg(value_name = "FILE.chat.jsonl")]
    pub(crate) files: Vec<PathBuf>,
}

impl Options {
    /// The options of this process; none if it only had to print its help. The error is one line.
    pub(crate) fn read() -> Result<Option<Self>, String> {
        let error = match Self::try_parse() {
            Ok(options) => return Ok(Some(options)),
            Err(error) => error,
        };
        if !error.use_stderr() {
            return error.print().map(|()| None).map_err(|error| format!("replay: {error}"));
        }
        let text = error.to_string();
        let line = text.lines().next().unwrap_or("the options cannot be understood");
        Err(format!("replay: {}", line.strip_prefix("error: ").unwrap_or(line)))
    }

    /// How long each session lives.
    pub(crate) fn time_limit(&self) -> Duration {
        Duration::from_secs(self.time_limit)
    }

    /// How long each token lives. A session still admits at the last instant of its time; its token outlives that instant,
    /// so that it is always the session which says that the time is over.
    pub(crate) fn token_life(&self) -> Duration {
        self.time_limit().saturating_add(Duration::from_millis(1))
    }

    /// Worker threads.
    pub(crate) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(cores, usize::from).min(usize::from(MAX_THREADS))
    }
}

/// Calls a window, as `CALLS/SECONDS`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) calls: u64,
    pub(crate) window: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (calls, seconds) = text.split_once('/').ok_or("it must be CALLS/SECONDS, 5/60 for instance")?;
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
        let (calls, seconds) = (number(calls)?, number(seconds)?);
        if seconds == 0 {
            return Err("the window must be one second at least".to_owned());
        }
        Ok(Self { calls, window: Duration::from_secs(seconds) })
    }
}
