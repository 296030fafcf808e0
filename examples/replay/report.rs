//! The report, and the proof that it adds up.

use crate::stores::{Retained, Stores};
use crate::tally::{Refused, Tally};
use serde::Serialize;
use std::fmt;

/// What is known about the run as a whole.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) sessions: u64,
    pub(crate) turns: u64,
    pub(crate) threads: usize,
    pub(crate) seconds: f64,
}

/// What is printed. Everything but `admit_ns` and what follows it is the same for every run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    sessions: u64,
    turns: u64,
    calls: Calls,
    batches: Batches,
    traces: Traces,
    revocations: Revocations,
    bodies: Bodies,
    handles: Handles,
    postures: Postures,
    retention: Retention,
    admit_ns: Latency,
    admits_per_second: f64,
    /// None where the system does not tell.
    peak_rss_bytes: Option<u64>,
    threads: usize,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Calls {
    offered: u64,
    admitted: u64,
    refused: Refused,
}

#[derive(Debug, Serialize)]
struct Batches {
    admitted: u64,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct Traces {
    recorded: u64,
    live: u64,
    evicted: u64,
    cap: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Revocations {
    revoked: u64,
    live: u64,
    swept: u64,
}

#[derive(Debug, Serialize)]
struct Bodies {
    /// Of the requests of all turns, as they came.
    offered_bytes: u64,
    /// Of the parts that are held at the end, as they are kept.
    stored_bytes: u64,
    /// What counts towards the cap: these, and what they and their records take beside.
    held_bytes: u64,
    cap: u64,
    /// Of all turns' bodies.
    parts: u64,
    /// Of the bodies that are held at the end.
    unique_parts: u64,
    refused: u64,
    /// Records whose bodies had to go.
    evicted: u64,
}

#[derive(Debug, Serialize)]
struct Handles {
    stored: u64,
    live: u64,
    expired: u64,
    evicted: u64,
}

#[derive(Debug, Serialize)]
struct Postures {
    transitions: u64,
    refused: u64,
    emergency: u64,
    history_live: u64,
    history_dropped: u64,
}

#[derive(Debug, Serialize)]
struct Retention {
    evicted: u64,
    lost: u64,
    bytes_freed: u64,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Report {
    pub(crate) fn new(run: &Run, tally: &Tally, stores: &Stores, retained: &Retained) -> Self {
        let (traces, revocations, bodies) = (stores.traces.stats(), stores.revocations.stats(), stores.bodies.stats());
        let (handles, postures) = (stores.handles.stats(), stores.postures.stats());
        let batches = Batches { admitted: tally.batches_admitted, refused: tally.batches_refused };
        let quantile = |quantile| tally.admit_ns.value_at_quantile(quantile);
        Self {
            sessions: run.sessions,
            turns: run.turns,
            calls: Calls { offered: tally.offered, admitted: tally.admitted, refused: tally.refused },
            batches,
            traces: Traces {
                recorded: tally.recorded,
                live: traces.live,
                evicted: traces.evicted(),
                cap: traces.cap,
                first_seq: traces.first_seq,
                last_seq: traces.last_seq,
            },
            revocations: Revocations { revoked: tally.revoked, live: revocations.revoked, swept: revocations.swept },
            bodies: Bodies {
                offered_bytes: tally.bodies_offered,
                stored_bytes: bodies.stored_bytes,
                held_bytes: bodies.bytes,
                cap: bodies.max_bytes,
                parts: tally.parts,
                unique_parts: bodies.parts,
                refused: tally.bodies_refused,
                evicted: bodies.evicted_for_bytes,
            },
            handles: Handles {
                stored: handles.stored,
                live: handles.live,
                expired: handles.expired,
                evicted: handles.evicted(),
            },
            postures: Postures {
                transitions: postures.succeeded,
                refused: postures.stale + postures.guarded + postures.latched + postures.superseded,
                emergency: postures.emergencies,
                history_live: postures.records,
                history_dropped: postures.dropped,
            },
            retention: Retention { evicted: retained.evicted, lost: retained.lost, bytes_freed: retained.bytes_freed },
            admit_ns: Latency {
                p50: quantile(0.5),
                p99: quantile(0.99),
                p999: quantile(0.999),
                max: tally.admit_ns.max(),
            },
            // While admitting: hashing bodies takes most of the run.
            admits_per_second: (run.threads as f64 * 1e9 / tally.admit_ns.mean().max(1.0)).round(),
            peak_rss_bytes: peak_rss_bytes(),
            threads: run.threads,
            seconds: run.seconds,
        }
    }

    /// The report as one JSON object on one line.
    pub(crate) fn json(&self) -> Result<String, String> {
        let text = serde_json::to_string(self).map_err(|error| format!("the report cannot be written: {error}"))?;
        Ok(text + "\n")
    }

    /// What does not add up, one line each. The input has `recorded_calls` calls.
    pub(crate) fn faults(&self, tally: &Tally, recorded_calls: u64) -> Vec<String> {
        let (calls, traces, bodies, sessions) = (&self.calls, &self.traces, &self.bodies, self.sessions);
        let mut faults = Vec::new();
        let mut equal = |what: &str, left: u64, right: u64| {
            if left != right {
                faults.push(format!("replay: self-check failed: {what}: {left} is not {right}"));
            }
        };
        equal("calls offered = calls recorded + one a session", calls.offered, recorded_calls + sessions);
        equal("calls offered = admitted + refused", calls.offered, calls.admitted + calls.refused.sum());
        equal("turns = batches admitted + refused", self.turns, self.batches.admitted + self.batches.refused);
        equal("traces recorded = calls admitted", traces.recorded, calls.admitted);
        equal("traces evicted = recorded - live", traces.evicted, traces.recorded.wrapping_sub(traces.live));
        equal("traces live beyond the cap", traces.live.saturating_sub(traces.cap), 0);
        equal("sessions whose calls made are not its calls admitted", tally.miscounted, 0);
        equal("bodies that read back otherwise than they were stored", tally.bodies_wrong, 0);
        equal("bytes of bodies beyond the cap", bodies.held_bytes.saturating_sub(bodies.cap), 0);
        let (handles, postures) = (&self.handles, &self.postures);
        equal("handles stored", handles.stored, tally.handles_stored);
        equal(
            "handles stored = live + expired + evicted",
            handles.stored,
            handles.live + handles.expired + handles.evicted,
        );
        equal("looks behind a handle that showed something else", tally.handles_wrong, 0);
        let records = postures.history_live + postures.history_dropped;
        equal("records of postures", records, postures.transitions + postures.refused + postures.emergency);
        equal("emergencies = calls with a revoked token", postures.emergency, calls.refused.revoked);
        equal("tokens revoked = sessions", self.revocations.revoked, sessions);
        equal("extra calls refused as revoked = sessions", tally.extra_refused, sessions);
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, refused) = (&self.calls, &self.calls.refused);
        writeln!(f, "sessions     {}", self.sessions)?;
        writeln!(f, "turns        {}", self.turns)?;
        writeln!(f, "calls        {} offered, {} admitted, {} refused", calls.offered, calls.admitted, refused.sum())?;
        write!(f, "  refused    {} budget, {} rate, {} tool, ", refused.budget, refused.rate, refused.tool)?;
        writeln!(f, "{} expired, {} closed, {} revoked", refused.expired, refused.closed, refused.revoked)?;
        writeln!(f, "batches      {} admitted, {} refused", self.batches.admitted, self.batches.refused)?;
        let traces = &self.traces;
        write!(f, "traces       {} recorded, {} live, {} evicted, ", traces.recorded, traces.live, traces.evicted)?;
        write!(f, "cap {}", traces.cap)?;
        match (traces.first_seq, traces.last_seq) {
            (Some(first), Some(last)) => writeln!(f, ", numbers {first} to {last}")?,
            _ => writeln!(f)?,
        }
        let Revocations { revoked, live, swept } = &self.revocations;
        writeln!(f, "revocations  {revoked} revoked, {live} live, {swept} swept")?;
        let Bodies { offered_bytes, stored_bytes, held_bytes, parts, unique_parts, refused, evicted, .. } =
            &self.bodies;
        let saved = 100.0 * (1.0 - *stored_bytes as f64 / (*offered_bytes).max(1) as f64);
        write!(f, "bodies       {offered_bytes} bytes offered, {stored_bytes} stored ({saved:.1} % saved), ")?;
        writeln!(f, "{held_bytes} with all that goes with them,")?;
        writeln!(f, "             {parts} parts, {unique_parts} unique, {refused} refused, {evicted} evicted")?;
        let Handles { stored, live, expired, evicted } = &self.handles;
        writeln!(f, "handles      {stored} stored, {live} live, {expired} expired, {evicted} evicted")?;
        let Postures { transitions, refused, emergency, history_live, history_dropped } = &self.postures;
        write!(f, "postures     {transitions} transitions, {refused} refused, {emergency} emergencies, ")?;
        writeln!(f, "{history_live} records live, {history_dropped} dropped")?;
        let Retention { evicted, lost, bytes_freed } = &self.retention;
        writeln!(f, "retention    {evicted} evicted, {lost} lost, {bytes_freed} bytes freed")?;
        let Latency { p50, p99, p999, max } = &self.admit_ns;
        writeln!(f, "admission    p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns, max {max} ns")?;
        writeln!(f, "throughput   {:.0} admissions a second, of all threads, while admitting", self.admits_per_second)?;
        match self.peak_rss_bytes {
            Some(bytes) => writeln!(f, "peak memory  {:.1} MiB", bytes as f64 / f64::from(1 << 20))?,
            None => writeln!(f, "peak memory  unknown")?,
        }
        writeln!(f, "run          {} threads, {:.3} s", self.threads, self.seconds)
    }
}

/// The most memory that this process has had, if the system tells.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
