//! What a revocation set is configured with, and what it answers.

#![forbid(unsafe_code)]

use crate::clock::Timestamp;
use crate::error::{ConfigError, positive};
use std::time::Duration;

/// What a full [`RevocationSet`](super::RevocationSet) does with a revocation that does not fit. It never forgets one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Refuses it: the caller must not take the token for revoked.
    #[default]
    Refuse,
    /// Revokes more: every token of its principal that was issued up to now, or will be within the grace, which takes one
    /// entry for all of them. Only [`check_issued`](super::RevocationSet::check_issued) sees that.
    Coarsen,
}

/// Configures a [`RevocationSet`](super::RevocationSet).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RevocationConfig {
    pub(super) capacity: u64,
    pub(super) grace: Duration,
    pub(super) max_token_life: Duration,
    pub(super) when_full: WhenFull,
}

impl RevocationConfig {
    /// A million tokens, a grace of 60 s, tokens of 24 h at most, refusing when full.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capacity: 1_000_000,
            grace: Duration::from_secs(60),
            max_token_life: Duration::from_secs(24 * 3_600),
            when_full: WhenFull::Refuse,
        }
    }

    /// Holds at most this many tokens, tracked and revoked ones together, and this many cutoffs.
    #[must_use]
    pub fn capacity(mut self, entries: u64) -> Self {
        self.capacity = entries;
        self
    }

    /// Remembers everything this long beyond its expiry, for clocks that disagree. It should be longer than the time
    /// that can pass between a caller's reading of the clock and its check: an id that is not remembered is otherwise
    /// [`Unknown`](Standing::Unknown) to a check that a sweep has overtaken.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// No token lives longer than this from its issue, by this set's clock: what bounds the life of unknown ids and of
    /// cutoffs. A token that does live longer is covered only while it is tracked.
    #[must_use]
    pub fn max_token_life(mut self, life: Duration) -> Self {
        self.max_token_life = life;
        self
    }

    /// What to do when full.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    pub(super) fn validated(self) -> Result<Self, ConfigError> {
        positive("capacity", self.capacity)?;
        if self.max_token_life.is_zero() {
            return Err(ConfigError::Zero { what: "max_token_life" });
        }
        Ok(self)
    }
}

impl Default for RevocationConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`RevocationSet`](super::RevocationSet) says of a token. Only [`Clear`](Self::Clear) lets it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a token that is not clear must be refused"]
pub enum Standing {
    /// Not revoked, as far as this process was told. Says nothing of a token's own expiry, which is looked at first: what
    /// has expired is forgotten, revoked or not.
    Clear,
    /// Revoked, by itself or with its principal.
    Revoked,
    /// Tracked, and past its expiry by the latest time that the set has seen.
    Expired,
    /// Not remembered, or only since it was tracked again, but the clock is behind what a sweep has forgotten, so that nobody
    /// can tell. Refuse.
    Unknown,
}

impl Standing {
    /// Whether the token may pass.
    #[must_use]
    pub fn is_clear(self) -> bool {
        self == Self::Clear
    }
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The token is revoked now.
    Newly,
    /// It was revoked before, or its principal was while this call was at it.
    Already,
    /// The set was full: every token of the principal that was issued up to now, or will be within the grace, is revoked
    /// instead.
    Coarsened,
}

/// A refused revocation or registration. Nothing was stored, and nothing forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The set holds as much as it may, none of it expired, with what other calls have in hand.
    #[error("revocation set is full")]
    Full {
        /// The set's capacity.
        capacity: u64,
    },
    /// The token is tracked under another principal.
    #[error("token is tracked under another principal")]
    TrackedElsewhere,
}

impl RevocationError {
    /// 503 for a full set, 409 for a token of another principal.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Full { .. } => 503,
            Self::TrackedElsewhere => 409,
        }
    }
}

/// A [`RevocationSet`](super::RevocationSet) in numbers. Each is exact when nothing moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationStats {
    /// Tokens held, tracked and revoked ones together.
    pub live: u64,
    /// Those of them that are revoked.
    pub revoked: u64,
    /// Those of them that are only tracked.
    pub tracked: u64,
    /// Principals with tracked tokens or a cutoff.
    pub principals: u64,
    /// Principals with a cutoff.
    pub cutoffs: u64,
    /// Tokens that may be held, and cutoffs.
    pub capacity: u64,
    /// Tokens and cutoffs forgotten so far, all of them expired.
    pub swept: u64,
    /// Revocations and registrations refused because the set was full.
    pub refused_full: u64,
    /// Revocations that covered more than was asked because the set was full.
    pub coarsened: u64,
    /// The latest time that any call but a check has seen.
    pub high_water: Timestamp,
}
