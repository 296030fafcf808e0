//! What one worker has counted; added up at the end.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Why calls were refused, in calls.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Refused {
    pub(crate) budget: u64,
    pub(crate) rate: u64,
    pub(crate) tool: u64,
    pub(crate) expired: u64,
    pub(crate) closed: u64,
    pub(crate) revoked: u64,
}

impl Refused {
    pub(crate) fn sum(&self) -> u64 {
        self.budget + self.rate + self.tool + self.expired + self.closed + self.revoked
    }
}

/// One reason to refuse a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Budget,
    Rate,
    Tool,
    Expired,
    Closed,
    Revoked,
}

/// The counts of one worker, or of all.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) offered: u64,
    pub(crate) admitted: u64,
    pub(crate) refused: Refused,
    pub(crate) batches_admitted: u64,
    pub(crate) batches_refused: u64,
    /// Traces recorded.
    pub(crate) recorded: u64,
    /// Tokens revoked.
    pub(crate) revoked: u64,
    /// Sessions whose extra call was refused because the token is revoked.
    pub(crate) extra_refused: u64,
    /// Sessions whose store has another number of calls than was admitted.
    pub(crate) miscounted: u64,
    /// Bytes of the request bodies of all turns.
    pub(crate) bodies_offered: u64,
    /// Parts that these were cut into.
    pub(crate) parts: u64,
    /// Bodies that were refused.
    pub(crate) bodies_refused: u64,
    /// Bodies that read back otherwise than they were stored.
    pub(crate) bodies_wrong: u64,
    /// Results that were stored behind a handle.
    pub(crate) handles_stored: u64,
    /// Looks behind a handle that showed another number of rows than there are.
    pub(crate) handles_wrong: u64,
    /// Nanoseconds that each batch took to be admitted or refused.
    pub(crate) admit_ns: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, String> {
        let admit_ns = Histogram::new(3).map_err(|error| format!("no histogram: {error}"))?;
        Ok(Self {
            offered: 0,
            admitted: 0,
            refused: Refused::default(),
            batches_admitted: 0,
            batches_refused: 0,
            recorded: 0,
            revoked: 0,
            extra_refused: 0,
            miscounted: 0,
            bodies_offered: 0,
            parts: 0,
            bodies_refused: 0,
            bodies_wrong: 0,
            handles_stored: 0,
            handles_wrong: 0,
            admit_ns,
        })
    }

    /// Counts `calls` calls that were refused.
    pub(crate) fn refuse(&mut self, cause: Cause, calls: u64) {
        let count = match cause {
            Cause::Budget => &mut self.refused.budget,
            Cause::Rate => &mut self.refused.rate,
            Cause::Tool => &mut self.refused.tool,
            Cause::Expired => &mut self.refused.expired,
            Cause::Closed => &mut self.refused.closed,
            Cause::Revoked => &mut self.refused.revoked,
        };
        *count += calls;
    }

    /// Takes in what another worker has counted.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), String> {
        self.offered += other.offered;
        self.admitted += other.admitted;
        self.refused.budget += other.refused.budget;
        self.refused.rate += other.refused.rate;
        self.refused.tool += other.refused.tool;
        self.refused.expired += other.refused.expired;
        self.refused.closed += other.refused.closed;
        self.refused.revoked += other.refused.revoked;
        self.batches_admitted += other.batches_admitted;
        self.batches_refused += other.batches_refused;
        self.recorded += other.recorded;
        self.revoked += other.revoked;
        self.extra_refused += other.extra_refused;
        self.miscounted += other.miscounted;
        self.bodies_offered += other.bodies_offered;
        self.parts += other.parts;
        self.bodies_refused += other.bodies_refused;
        self.bodies_wrong += other.bodies_wrong;
        self.handles_stored += other.handles_stored;
        self.handles_wrong += other.handles_wrong;
        self.admit_ns.add(&other.admit_ns).map_err(|error| format!("histograms do not add up: {error}"))
    }
}
