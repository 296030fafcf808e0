//! The sequential floors: what the stores do, without a thought of threads. Behind a mutex they are the obvious version.

use crate::Hasher;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;
use tollgate::clock::Timestamp;
use uuid::Uuid;

/// A map that keeps the newest `cap` entries.
#[derive(Debug)]
pub struct Fifo<K, V> {
    map: HashMap<K, V, Hasher>,
    order: VecDeque<K>,
    cap: usize,
}

impl<K: Hash + Eq + Copy, V> Fifo<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { map: HashMap::default(), order: VecDeque::new(), cap }
    }

    /// Inserts at the back, or replaces in place. True if it was new.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        if let Some(old) = self.map.get_mut(&key) {
            *old = value;
            return false;
        }
        if self.order.len() == self.cap
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        self.order.push_back(key);
        self.map.insert(key, value);
        true
    }
}

/// A session with the fields that admission needs.
#[derive(Debug)]
pub struct Session {
    /// Whose it is.
    pub agent: Uuid,
    /// What it may call.
    pub tools: Box<[Box<str>]>,
    /// Whether it was closed.
    pub closed: bool,
    /// The last instant at which it is alive.
    pub expires_after: Timestamp,
    /// Calls in all.
    pub budget: u64,
    /// Calls in a window.
    pub rate: u64,
    /// The window's length.
    pub window: Duration,
    /// Calls made.
    pub calls: u64,
    /// Calls made in the present window.
    pub window_calls: u64,
    /// When that began.
    pub window_start: Timestamp,
}

/// Why a call was refused.
#[derive(Debug)]
pub enum Refused {
    /// There is no such session.
    NotFound,
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

/// Sessions by id.
pub type Sessions = HashMap<Uuid, Session, Hasher>;

/// Admits a batch of calls, all or nothing, with tollgate's checks in tollgate's order.
///
/// # Errors
///
/// The first check that fails.
pub fn admit(
    sessions: &mut Sessions,
    id: &Uuid,
    agent: &Uuid,
    tools: &[&str],
    now: Timestamp,
) -> Result<Usage, Refused> {
    let session = sessions.get_mut(id).ok_or(Refused::NotFound)?;
    if session.agent != *agent {
        return Err(Refused::Agent);
    }
    if session.closed {
        return Err(Refused::Closed);
    }
    if now > session.expires_after {
        return Err(Refused::Expired);
    }
    let asked = tools.len() as u64;
    if asked > session.budget - session.calls {
        return Err(Refused::Budget);
    }
    if !tools.iter().all(|name| session.tools.iter().any(|tool| **tool == **name)) {
        return Err(Refused::Tool);
    }
    let is_over = now.saturating_since(session.window_start) >= session.window;
    let before = if is_over { 0 } else { session.window_calls };
    if before + asked > session.rate {
        return Err(Refused::Rate);
    }
    if is_over {
        session.window_start = now;
    }
    session.window_calls = before + asked;
    session.calls += asked;
    Ok(Usage {
        calls_made: session.calls,
        calls_remaining: session.budget - session.calls,
        time_remaining: session.expires_after.saturating_since(now),
        window_calls: session.window_calls,
    })
}
