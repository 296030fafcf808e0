//! What is mutated, and what breaks by it.
//!
//! A mutation is found by text, so that the list goes with the source: text that is not there exactly once, or an ordering
//! that no mutation weakens, fails the check.

mod filter;
mod gates;
mod line;
mod primitives;
mod raw;
mod records;

use std::ops::Range;

/// A file of the crate, and its mutations in their order.
pub(super) struct Source {
    pub(super) file: &'static str,
    pub(super) mutations: &'static [Mutation],
}

/// One change of one place.
pub(super) struct Mutation {
    pub(super) id: &'static str,
    /// What the ordering is for, or what is dropped.
    pub(super) what: &'static str,
    /// Found once in the file. What is between « and » is changed; all of it, where they are not.
    pub(super) find: &'static str,
    /// An expression, or statements, in its place.
    pub(super) with: &'static str,
    pub(super) fate: Fate,
}

/// What becomes of a mutation.
pub(super) enum Fate {
    /// Each of these models breaks.
    Breaks(&'static [&'static str]),
    /// These pass, as all do, and this is why.
    Survives(&'static [&'static str], &'static str),
    /// These pass, for this reason, and a test of the crate fails.
    Fails(&'static [&'static str], &'static str, &'static str),
}

/// All of them.
pub(super) const SOURCES: &[Source] = &[
    line::LINE,
    filter::FILTER,
    raw::LINES,
    raw::TABLE,
    raw::LINK,
    raw::STACK,
    raw::ORDER,
    primitives::MAP,
    primitives::FIFO_EVICT,
    primitives::FIFO,
    primitives::FIFO_ROOM,
    primitives::DEADLINE,
    primitives::BUDGET,
    primitives::CLOCK,
    gates::BOUND,
    gates::ROOM,
    gates::SESSION_ENTRY,
    gates::SESSION,
    gates::SESSION_SHARED,
    gates::REVOCATION,
    gates::REVOCATION_SHARED,
    gates::HANDLE,
    records::BODY_PIECES,
    records::BODY_PLAN,
    records::BODY_SHARED,
    records::POSTURE_AGENT,
    records::POSTURE_COHORT,
    records::POSTURE_MANY,
    records::POSTURE_MEMBERS,
    records::POSTURE,
    records::POSTURE_SHARED,
    records::POSTURE_TRIM,
    records::RETENTION_MEMORY,
    records::RETENTION_SWEEP,
];

/// Files whose orderings are not the crate's: the ideal epoch is a part of the models.
pub(super) const EXEMPT: &[&str] = &["src/raw/ideal.rs"];

impl Mutation {
    /// Where it is in a text, if that is one place.
    pub(super) fn span(&self, text: &str) -> Option<Range<usize>> {
        let (before, rest) = self.find.split_once('«').unwrap_or(("", self.find));
        let (span, after) = rest.split_once('»').unwrap_or((rest, ""));
        let find = [before, span, after].concat();
        let (at, _) = text.match_indices(&find).next()?;
        let start = at + before.len();
        (text.matches(&find).count() == 1).then_some(start..start + span.len())
    }
}

impl Fate {
    pub(super) fn models(&self) -> &'static [&'static str] {
        match self {
            Self::Breaks(models) | Self::Survives(models, _) | Self::Fails(models, ..) => models,
        }
    }
}
