//! The sequential structures: what the stores do, without a thought of threads. They are the floors, and behind locks
//! the obvious peers.

use crate::Hasher;
use crate::timing;
use crate::workload::fifo::Payload;
use crate::workload::session::{Call, HOUR, Limits, MINUTE, TOOLS};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A hash table as all floors have it.
pub type Table<K, V> = HashMap<K, V, Hasher>;

/// A map that keeps the newest `cap` entries.
#[derive(Debug)]
pub struct Fifo {
    map: Table<u128, Payload>,
    order: VecDeque<u128>,
    cap: usize,
}

impl Fifo {
    /// An empty map.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { map: Table::default(), order: VecDeque::new(), cap }
    }

    /// Inserts at the back, or replaces in place. True if it was new.
    pub fn insert(&mut self, key: u128, payload: Payload) -> bool {
        if let Some(old) = self.map.get_mut(&key) {
            *old = payload;
            return false;
        }
        if self.order.len() == self.cap
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        self.order.push_back(key);
        self.map.insert(key, payload);
        true
    }

    /// Whether a key is there.
    #[must_use]
    pub fn holds(&self, key: u128) -> bool {
        self.map.contains_key(&key)
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

/// A session with the fields that admission needs.
#[derive(Debug)]
pub struct Session {
    agent: Uuid,
    tools: Box<[Box<str>]>,
    closed: bool,
    /// The last instant at which it is alive.
    expires_after: Instant,
    budget: u64,
    /// Calls in a window.
    rate: u64,
    window: Duration,
    calls: u64,
    window_calls: u64,
    window_start: Instant,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It belongs to another agent.
    Agent,
    /// It was closed.
    Closed,
    /// It has expired.
    Expired,
    /// The budget is used up.
    Budget,
    /// A tool is not allowed.
    Tool,
    /// The window is used up.
    Rate,
}

/// What is left, as tollgate tells it.
#[derive(Debug)]
pub struct Usage {
    /// Calls made.
    pub calls_made: u64,
    /// Calls left.
    pub calls_remaining: u64,
    /// Time left.
    pub time_remaining: Duration,
    /// Calls in this window.
    pub window_calls: u64,
}

impl Session {
    /// An hour's session that may call the usual tools.
    #[must_use]
    pub fn new(agent: Uuid, limits: Limits) -> Self {
        let now = timing::now();
        Self {
            agent,
            tools: TOOLS.map(Into::into).into(),
            closed: false,
            expires_after: now + HOUR,
            budget: limits.budget,
            rate: limits.rate,
            window: MINUTE,
            calls: 0,
            window_calls: 0,
            window_start: now,
        }
    }

    /// Admits a batch of calls, all or nothing, with tollgate's checks in tollgate's order.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn admit(&mut self, call: Call<'_>, now: Instant) -> Result<Usage, Refused> {
        if self.agent != *call.agent {
            return Err(Refused::Agent);
        }
        if self.closed {
            return Err(Refused::Closed);
        }
        if now > self.expires_after {
            return Err(Refused::Expired);
        }
        let asked = call.tools.len() as u64;
        if asked > self.budget - self.calls {
            return Err(Refused::Budget);
        }
        if !call.tools.iter().all(|name| self.tools.iter().any(|tool| **tool == **name)) {
            return Err(Refused::Tool);
        }
        let is_over = now.saturating_duration_since(self.window_start) >= self.window;
        let before = if is_over { 0 } else { self.window_calls };
        if before + asked > self.rate {
            return Err(Refused::Rate);
        }
        if is_over {
            self.window_start = now;
        }
        self.window_calls = before + asked;
        self.calls += asked;
        Ok(Usage {
            calls_made: self.calls,
            calls_remaining: self.budget - self.calls,
            time_remaining: self.expires_after.saturating_duration_since(now),
            window_calls: self.window_calls,
        })
    }
}
