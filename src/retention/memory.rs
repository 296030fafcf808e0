//! Both tiers in memory.

#![forbid(unsafe_code)]

use super::{RawSession, TieredStore};
use crate::budget::Bound;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{ConfigError, positive};
use crate::map::{ShardedMap, Step};
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// What is known of a session when its data comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ingest {
    /// When it began, if that is known.
    pub started_at: Option<Timestamp>,
    /// When it ended, if that is known.
    pub ended_at: Option<Timestamp>,
    /// Whether somebody wants it kept.
    pub pinned: bool,
}

impl Ingest {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says when it began.
    #[must_use]
    pub fn started_at(mut self, at: Timestamp) -> Self {
        self.started_at = Some(at);
        self
    }

    /// Says when it ended.
    #[must_use]
    pub fn ended_at(mut self, at: Timestamp) -> Self {
        self.ended_at = Some(at);
        self
    }

    /// Pins it.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }
}

/// A refused operation on [`MemoryTiers`]. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TierError {
    /// There is no such session.
    #[error("session not found")]
    NotFound,
    /// There is a session with this id.
    #[error("session exists")]
    Exists,
    /// Its raw data was evicted.
    #[error("raw data was evicted")]
    Evicted,
    /// There are as many sessions as may be, or more bytes than can be counted.
    #[error("session tiers are full")]
    Full {
        /// Sessions that may be held.
        capacity: u64,
    },
}

impl TierError {
    /// 404 for a session that is not there, 409 for one that is, 410 for data that was evicted, 503 for full tiers.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Exists => 409,
            Self::Evicted => 410,
            Self::Full { .. } => 503,
        }
    }
}

/// Raw and distilled data of sessions, in memory: a [`TieredStore`] for tests, replays and small gateways.
///
/// Holds as many sessions as its capacity, evicted ones included until they are [removed](Self::remove), and refuses
/// more. Bytes are counted before data can be seen and until it cannot. A cheap handle: clones share the tiers. All
/// operations but the list are lock-free and expected O(1).
pub struct MemoryTiers<I, C: Clock = SystemClock> {
    shared: Arc<Shared<I, C>>,
}

struct Shared<I, C> {
    sessions: ShardedMap<I, Held<I>>,
    /// Sessions held, against the capacity.
    room: Bound,
    /// Numbers handed out.
    numbers: Bound,
    raw_bytes: Bound,
    distilled_bytes: Bound,
    clock: C,
}

/// A session's entry. Changed only by being replaced.
#[derive(Clone)]
struct Held<I> {
    session: RawSession<I>,
    /// Its place in the list.
    number: u64,
    /// None if it was evicted.
    raw: Option<Arc<[u8]>>,
    distilled: Option<Arc<[u8]>>,
}

/// What an entry holds.
struct Bytes {
    raw: u64,
    distilled: u64,
}

impl<I> Held<I> {
    fn bytes(&self) -> Bytes {
        let len = |data: &Option<Arc<[u8]>>| data.as_ref().map_or(0, |data| data.len() as u64);
        Bytes { raw: len(&self.raw), distilled: len(&self.distilled) }
    }
}

impl<I: Hash + Eq + Clone + Send + Sync + 'static> MemoryTiers<I> {
    /// Empty tiers for `capacity` sessions, on the system clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Zero`] for a capacity of nothing.
    pub fn new(capacity: u64) -> Result<Self, ConfigError> {
        Self::with_clock(capacity, SystemClock)
    }
}

impl<I: Hash + Eq + Clone + Send + Sync + 'static, C: Clock> MemoryTiers<I, C> {
    /// Empty tiers on `clock`.
    ///
    /// # Errors
    ///
    /// As for [`new`](MemoryTiers::new).
    pub fn with_clock(capacity: u64, clock: C) -> Result<Self, ConfigError> {
        let shared = Shared {
            sessions: ShardedMap::new(),
            room: Bound::new(positive("capacity", capacity)?),
            numbers: Bound::new(u64::MAX),
            raw_bytes: Bound::new(u64::MAX),
            distilled_bytes: Bound::new(u64::MAX),
            clock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes in a session's raw data. Linearized where its entry is linked.
    ///
    /// # Errors
    ///
    /// [`TierError::Exists`], [`TierError::Full`].
    pub fn ingest(&self, id: I, known: Ingest, raw: impl Into<Arc<[u8]>>) -> Result<(), TierError> {
        let (shared, raw) = (&*self.shared, raw.into());
        let (bytes, now) = (raw.len() as u64, shared.clock.now());
        if shared.sessions.contains_key(&id) {
            return Err(TierError::Exists);
        }
        let full = || TierError::Full { capacity: shared.room.most() };
        let place = shared.room.hold(1).ok_or_else(full)?;
        let counted = shared.raw_bytes.hold(bytes).ok_or_else(full)?;
        let number = shared.numbers.take(1).map_err(|_| full())?;
        let session = RawSession {
            started_at: known.started_at,
            ended_at: known.ended_at,
            ingested_at: Some(now),
            pinned: known.pinned,
            ..RawSession::new(id.clone(), bytes)
        };
        let held = Held { session, number, raw: Some(raw), distilled: None };
        if shared.sessions.pin().try_insert(id, held).is_err() {
            return Err(TierError::Exists);
        }
        place.keep();
        counted.keep();
        Ok(())
    }

    /// Keeps what an analysis made of a session's raw data, in place of what an earlier one made, and marks the session as
    /// analysed now.
    ///
    /// # Errors
    ///
    /// [`TierError::NotFound`]; [`TierError::Evicted`] if the raw data has gone meanwhile; [`TierError::Full`].
    pub fn record_analysis(&self, id: &I, distilled: impl Into<Arc<[u8]>>) -> Result<(), TierError> {
        let (shared, distilled) = (&*self.shared, distilled.into());
        let (bytes, now) = (distilled.len() as u64, shared.clock.now());
        let full = || TierError::Full { capacity: shared.room.most() };
        let counted = shared.distilled_bytes.hold(bytes).ok_or_else(full)?;
        let before = self.replace(id, |held| {
            held.raw.as_ref().ok_or(TierError::Evicted)?;
            held.session.analyzed_at = Some(now);
            held.distilled = Some(Arc::clone(&distilled));
            Ok(())
        })?;
        counted.keep();
        shared.distilled_bytes.give_back(before.distilled);
        Ok(())
    }

    /// Pins a session, or lets it go.
    ///
    /// # Errors
    ///
    /// [`TierError::NotFound`].
    pub fn set_pinned(&self, id: &I, pinned: bool) -> Result<(), TierError> {
        let pin = |held: &mut Held<I>| {
            held.session.pinned = pinned;
            Ok(())
        };
        self.replace(id, pin).map(drop)
    }

    /// A session's raw data.
    ///
    /// # Errors
    ///
    /// [`TierError::NotFound`], [`TierError::Evicted`].
    pub fn raw(&self, id: &I) -> Result<Arc<[u8]>, TierError> {
        self.shared.sessions.pin().get(id).ok_or(TierError::NotFound)?.raw.clone().ok_or(TierError::Evicted)
    }

    /// What the latest analysis made of a session's raw data, if there was one.
    ///
    /// # Errors
    ///
    /// [`TierError::NotFound`].
    pub fn distilled(&self, id: &I) -> Result<Option<Arc<[u8]>>, TierError> {
        Ok(self.shared.sessions.pin().get(id).ok_or(TierError::NotFound)?.distilled.clone())
    }

    /// Forgets a session, with its data, and returns what it was: its raw data went with it if it was not evicted before.
    /// Its place is free.
    ///
    /// # Errors
    ///
    /// [`TierError::NotFound`].
    pub fn remove(&self, id: &I) -> Result<RawSession<I>, TierError> {
        let shared = &*self.shared;
        let sessions = shared.sessions.pin();
        let held = sessions.remove(id).ok_or(TierError::NotFound)?;
        let Bytes { raw, distilled } = held.bytes();
        shared.raw_bytes.give_back(raw);
        shared.distilled_bytes.give_back(distilled);
        shared.room.give_back(1);
        Ok(held.session.clone())
    }

    /// Sessions held, evicted ones included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shared.room.taken()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces a session's entry by what `change` makes of a copy, in one exchange, and returns what the one before held.
    fn replace(&self, id: &I, change: impl Fn(&mut Held<I>) -> Result<(), TierError>) -> Result<Bytes, TierError> {
        let mut refused = TierError::NotFound;
        let sessions = self.shared.sessions.pin();
        let done = sessions.compute(id.clone(), |held| {
            refused = TierError::NotFound;
            let Some(mut next) = held.cloned() else { return Step::Keep };
            match change(&mut next) {
                Ok(()) => Step::Put(next),
                Err(error) => {
                    refused = error;
                    Step::Keep
                }
            }
        });
        match (done.before, done.after) {
            (Some(before), Some(after)) if !std::ptr::eq(before, after) => Ok(before.bytes()),
            _ => Err(refused),
        }
    }
}

impl<I: Hash + Eq + Clone + Send + Sync + 'static, C: Clock> TieredStore for MemoryTiers<I, C> {
    type Id = I;
    type Error = Infallible;

    /// In the order in which they came in. O(n log n), weakly consistent.
    fn list_sessions(&self) -> Result<Vec<RawSession<I>>, Infallible> {
        let sessions = self.shared.sessions.pin();
        let mut held: Vec<_> = sessions.iter().map(|(_, held)| (held.number, held.session.clone())).collect();
        held.sort_unstable_by_key(|&(number, _)| number);
        Ok(held.into_iter().map(|(_, session)| session).collect())
    }

    fn evict_raw(&self, id: &I) -> Result<Option<u64>, Infallible> {
        let now = self.shared.clock.now();
        let evicted = self.replace(id, |held| {
            held.raw.take().ok_or(TierError::Evicted)?;
            held.session.evicted_at = Some(now);
            Ok(())
        });
        let bytes = evicted.ok().map(|before| before.raw);
        self.shared.raw_bytes.give_back(bytes.unwrap_or(0));
        Ok(bytes)
    }

    fn tier1_usage_bytes(&self) -> Result<u64, Infallible> {
        Ok(self.shared.raw_bytes.taken())
    }

    fn tier2_usage_bytes(&self) -> Result<u64, Infallible> {
        Ok(self.shared.distilled_bytes.taken())
    }

    fn session(&self, id: &I) -> Result<Option<RawSession<I>>, Infallible> {
        Ok(self.shared.sessions.pin().get(id).map(|held| held.session.clone()))
    }
}

impl<I, C: Clock> Clone for MemoryTiers<I, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<I, C: Clock> fmt::Debug for MemoryTiers<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTiers").field("sessions", &self.shared.room.taken()).finish_non_exhaustive()
    }
}
