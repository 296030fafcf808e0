//! What a sweep keeps to, and what it reports.

#![forbid(unsafe_code)]

use crate::clock::Timestamp;
use crate::error::{ConfigError, positive};
use std::fmt;
use std::time::Duration;

const GIB: u64 = 1 << 30;
const DAY: u64 = 86_400;

/// Configures a [`RetentionPolicy`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetentionConfig {
    soft_cap: u64,
    hard_cap: u64,
    max_age: Duration,
    tier2_cap: u64,
    protect_pinned: bool,
    largest_first: bool,
}

impl RetentionConfig {
    /// A soft cap of 4 GiB, a hard one of 6 GiB, 45 days, and 1 GiB of distilled data (upstream's defaults).
    #[must_use]
    pub fn new() -> Self {
        Self {
            soft_cap: 4 * GIB,
            hard_cap: 6 * GIB,
            max_age: Duration::from_secs(45 * DAY),
            tier2_cap: GIB,
            protect_pinned: false,
            largest_first: false,
        }
    }

    /// Above this many bytes of raw data, what was analysed goes. Zero keeps none of it.
    #[must_use]
    pub fn soft_cap(mut self, bytes: u64) -> Self {
        self.soft_cap = bytes;
        self
    }

    /// Above this many bytes of raw data, what was not analysed is analysed, and lost if that does not help.
    #[must_use]
    pub fn hard_cap(mut self, bytes: u64) -> Self {
        self.hard_cap = bytes;
        self
    }

    /// What was analysed goes when it is older than this, however much room there is.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Above this many bytes of distilled data, the report says so. Nothing of it is ever dropped.
    #[must_use]
    pub fn tier2_cap(mut self, bytes: u64) -> Self {
        self.tier2_cap = bytes;
        self
    }

    /// Whether sessions that are pinned are left alone, even if the hard cap cannot be kept then.
    #[must_use]
    pub fn protect_pinned(mut self, protect: bool) -> Self {
        self.protect_pinned = protect;
        self
    }

    /// Whether of the data that has to be lost the largest goes first, so that few sessions lose theirs, instead of the
    /// oldest.
    #[must_use]
    pub fn largest_first(mut self, largest_first: bool) -> Self {
        self.largest_first = largest_first;
        self
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`sweep`](super::sweep) keeps to.
#[derive(Clone, Debug)]
pub struct RetentionPolicy {
    config: RetentionConfig,
}

impl RetentionPolicy {
    /// A policy that makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a hard cap, an age or a cap of distilled data of nothing; [`ConfigError::Below`] for a hard
    /// cap below the soft one: data that was not analysed would be lost before data that was.
    pub fn new(config: RetentionConfig) -> Result<Self, ConfigError> {
        positive("hard_cap", config.hard_cap)?;
        positive("tier2_cap", config.tier2_cap)?;
        if config.max_age.is_zero() {
            return Err(ConfigError::Zero { what: "max_age" });
        }
        if config.hard_cap < config.soft_cap {
            let (given, min) = (config.hard_cap, config.soft_cap);
            return Err(ConfigError::Below { what: "hard_cap", given, other: "soft_cap", min });
        }
        Ok(Self { config })
    }

    pub(super) fn soft_cap(&self) -> u64 {
        self.config.soft_cap
    }

    pub(super) fn hard_cap(&self) -> u64 {
        self.config.hard_cap
    }

    pub(super) fn tier2_cap(&self) -> u64 {
        self.config.tier2_cap
    }

    pub(super) fn largest_first(&self) -> bool {
        self.config.largest_first
    }

    /// Whether a session holds raw data that this policy may touch.
    pub(super) fn concerns<I>(&self, session: &RawSession<I>) -> bool {
        session.evicted_at.is_none() && !(self.config.protect_pinned && session.pinned)
    }

    /// Whether a session is over the age; one whose age is not known is not.
    pub(super) fn is_aged<I>(&self, session: &RawSession<I>, now: Timestamp) -> bool {
        session.age(now).is_some_and(|age| age > self.config.max_age)
    }
}

/// A session, as far as its raw data is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawSession<I> {
    /// Its id.
    pub id: I,
    /// When it began, if that is known.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When its data came in.
    pub ingested_at: Option<Timestamp>,
    /// When its data was analysed; none if it never was.
    pub analyzed_at: Option<Timestamp>,
    /// When its raw data was evicted; none if it is there.
    pub evicted_at: Option<Timestamp>,
    /// Bytes of its raw data.
    pub raw_bytes: u64,
    /// Whether somebody wants it kept. Counts only where the policy says so.
    pub pinned: bool,
}

impl<I> RawSession<I> {
    /// A session of `raw_bytes`, of which nothing else is known.
    #[must_use]
    pub fn new(id: I, raw_bytes: u64) -> Self {
        Self {
            id,
            started_at: None,
            ended_at: None,
            ingested_at: None,
            analyzed_at: None,
            evicted_at: None,
            raw_bytes,
            pinned: false,
        }
    }

    /// Whether its raw data is there and was analysed, so that nothing is lost with it.
    #[must_use]
    pub fn is_evictable(&self) -> bool {
        self.analyzed_at.is_some() && self.evicted_at.is_none()
    }

    /// How long ago it ended, or else began, or else came in. None if nothing of that is known.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.ended_at.or(self.started_at).or(self.ingested_at).map(|since| now.saturating_since(since))
    }

    /// Where it is in the order of eviction: none, which comes first, if nothing is known.
    pub(super) fn key(&self) -> Option<Timestamp> {
        self.analyzed_at.or(self.ended_at).or(self.ingested_at)
    }
}

/// Why raw data was lost that was not analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The sweep was given no analysis.
    NoAnalysis,
    /// The analysis failed.
    AnalysisFailed,
    /// The analysis said that it went well, but the session was not analysed afterwards.
    AnalysisWithoutEffect,
    /// The session came after all of those that were analysed.
    NotReached,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnalysis => "there was no analysis",
            Self::AnalysisFailed => "its analysis failed",
            Self::AnalysisWithoutEffect => "its analysis had no effect",
            Self::NotReached => "it came in too late to be analysed",
        })
    }
}

/// Raw data that was lost: the last resort.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss<I> {
    /// The session's id.
    pub id: I,
    /// Bytes of its raw data, as the store said when it evicted them.
    pub bytes: u64,
    /// Why.
    pub reason: LossReason,
}

/// What somebody should look at. `Display` names no ids.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning<I> {
    /// An analysis failed; the sweep went on.
    AnalysisFailed {
        /// The session's id.
        id: I,
        /// What the analysis said.
        error: String,
    },
    /// An analysis said that it went well, and the session was not analysed afterwards.
    AnalysisWithoutEffect {
        /// The session's id.
        id: I,
    },
    /// Raw data was lost that was not analysed.
    DataLost(Loss<I>),
    /// There is more distilled data than there should be: it needs curation.
    Tier2OverCap {
        /// Bytes that there are.
        usage: u64,
        /// Bytes that there should be at most.
        cap: u64,
    },
}

impl<I> fmt::Display for Warning<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnalysisFailed { .. } => f.write_str("the analysis of a session failed"),
            Self::AnalysisWithoutEffect { .. } => f.write_str("the analysis of a session had no effect"),
            Self::DataLost(loss) => write!(f, "{} bytes of raw data were lost: {}", loss.bytes, loss.reason),
            Self::Tier2OverCap { usage, cap } => {
                write!(f, "{usage} bytes of distilled data are over the cap of {cap}: flag them for curation")
            }
        }
    }
}

/// What a sweep did, in order. Also of one that a store's error ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictionReport<I, E> {
    /// Sessions evicted for their age.
    pub backstop_evicted: Vec<I>,
    /// Analysed sessions evicted for room.
    pub budget_evicted: Vec<I>,
    /// Sessions that were analysed because of the hard cap, and are analysed now.
    pub overflow_analyzed: Vec<I>,
    /// Sessions whose raw data was lost because of the hard cap.
    pub overflow_data_loss: Vec<Loss<I>>,
    /// Bytes freed, as the store said.
    pub bytes_freed: u64,
    /// Bytes of raw data that there are at the end, or were when the store was last asked if an error ended the sweep.
    pub final_usage_bytes: u64,
    /// Whether that is over the hard cap.
    pub over_hard_cap: bool,
    /// Whether there is more distilled data than there should be.
    pub tier2_over_cap: bool,
    /// What somebody should look at.
    pub warnings: Vec<Warning<I>>,
    /// The store's error that ended the sweep, if one did.
    pub stopped: Option<E>,
}

impl<I, E> EvictionReport<I, E> {
    pub(super) fn new() -> Self {
        Self {
            backstop_evicted: Vec::new(),
            budget_evicted: Vec::new(),
            overflow_analyzed: Vec::new(),
            overflow_data_loss: Vec::new(),
            bytes_freed: 0,
            final_usage_bytes: 0,
            over_hard_cap: false,
            tier2_over_cap: false,
            warnings: Vec::new(),
            stopped: None,
        }
    }

    /// Whether data was lost that was not analysed.
    #[must_use]
    pub fn lost_data(&self) -> bool {
        !self.overflow_data_loss.is_empty()
    }
}
