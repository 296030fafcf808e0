//! What a trace is, and how traces are asked for.

#![forbid(unsafe_code)]

use crate::clock::Timestamp;
use std::collections::BTreeMap;
use std::hash::Hash;

/// Anything that a [`TraceStore`](super::TraceStore) can keep.
pub trait Record: Send + Sync + 'static {
    /// What tells records apart.
    type Id: Hash + Eq + Ord + Clone + Send + Sync + 'static;

    /// This record's id.
    fn id(&self) -> &Self::Id;
}

/// What data a call touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sensitivity {
    /// Nothing sensitive.
    #[default]
    None,
    /// Personal data.
    Pii,
    /// Payment data.
    Pci,
    /// Secrets.
    Secrets,
    /// What an agent remembers.
    Memory,
}

/// What was attempted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// A call.
    #[default]
    Invoke,
    /// A look into a stored result.
    Expand,
    /// A call that was refused.
    Deny,
}

/// How it ended, by whether there is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Without an error.
    Succeeded,
    /// With one.
    Failed,
}

/// One call, with upstream's fields (weaver-kernel).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActionTrace {
    /// Tells this call from every other.
    pub action_id: String,
    /// The tool that was called.
    pub capability_id: String,
    /// Who called it.
    pub principal_id: String,
    /// With which token.
    pub token_id: String,
    /// When.
    pub invoked_at: Timestamp,
    /// With which arguments.
    pub args: BTreeMap<String, String>,
    /// How the result was asked for.
    pub response_mode: String,
    /// What carried the call out.
    pub driver_id: String,
    /// Where the result is kept, if it is.
    pub handle_id: Option<String>,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// What the result was, in short.
    pub result_summary: Option<BTreeMap<String, String>>,
    /// What data it touched.
    pub sensitivity: Sensitivity,
    /// What was attempted.
    pub event_type: EventType,
    /// Why it was decided as it was.
    pub reason_code: Option<String>,
}

impl ActionTrace {
    /// A call that succeeded, with every optional field left out.
    #[must_use]
    pub fn new(
        action_id: impl Into<String>,
        capability_id: impl Into<String>,
        principal_id: impl Into<String>,
        token_id: impl Into<String>,
        invoked_at: Timestamp,
    ) -> Self {
        Self {
            action_id: action_id.into(),
            capability_id: capability_id.into(),
            principal_id: principal_id.into(),
            token_id: token_id.into(),
            invoked_at,
            args: BTreeMap::new(),
            response_mode: String::new(),
            driver_id: String::new(),
            handle_id: None,
            error: None,
            result_summary: None,
            sensitivity: Sensitivity::None,
            event_type: EventType::Invoke,
            reason_code: None,
        }
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.error.is_some() { Outcome::Failed } else { Outcome::Succeeded }
    }
}

impl Record for ActionTrace {
    type Id = String;

    fn id(&self) -> &String {
        &self.action_id
    }
}

/// Which traces to return: all conditions that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceQuery {
    /// Who called.
    pub principal_id: Option<String>,
    /// What was called.
    pub capability_id: Option<String>,
    /// What was attempted.
    pub event_type: Option<EventType>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it was decided as it was.
    pub reason_code: Option<String>,
    /// Not before this instant.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// At most this many; zero for none.
    pub limit: Option<i64>,
    /// Leaving out this many first.
    pub offset: i64,
    /// Latest first, instead of earliest first.
    pub newest_first: bool,
}

impl TraceQuery {
    /// Whether every condition that is given holds of `trace`.
    #[must_use]
    pub fn matches(&self, trace: &ActionTrace) -> bool {
        fn is<T: PartialEq + ?Sized>(wanted: Option<&T>, actual: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == actual)
        }
        is(self.principal_id.as_ref(), &trace.principal_id)
            && is(self.capability_id.as_ref(), &trace.capability_id)
            && is(self.event_type.as_ref(), &trace.event_type)
            && is(self.outcome.as_ref(), &trace.outcome())
            && (self.reason_code.is_none() || self.reason_code == trace.reason_code)
            && self.since.is_none_or(|since| trace.invoked_at >= since)
            && self.until.is_none_or(|until| trace.invoked_at < until)
    }
}
