//! `TraceStore` against a vector of records, oldest first.

use crate::input::{check, option, sequence};
use arbitrary::{Result, Unstructured};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::sync::Arc;
use tollgate::clock::Timestamp;
use tollgate::trace::{ActionTrace, EventType, Outcome, TraceError, TraceQuery, TraceStore};

const EVENTS: [EventType; 3] = [EventType::Invoke, EventType::Expand, EventType::Deny];

#[derive(Clone, Debug)]
enum Op {
    Record(ActionTrace),
    Get(String),
    Latest(usize),
    Query(TraceQuery),
}

fn op(input: &mut Unstructured<'_>) -> Result<Op> {
    let name = |input: &mut Unstructured<'_>| Ok(input.int_in_range(0..=15)?.to_string());
    let few = |input: &mut Unstructured<'_>| Ok(input.int_in_range(0..=1)?.to_string());
    let at = |input: &mut Unstructured<'_>| Ok(Timestamp::from_nanos(input.int_in_range(0..=7)?));
    Ok(match input.int_in_range(0..=5)? {
        0..=2 => {
            let mut trace = ActionTrace::new(name(input)?, few(input)?, few(input)?, "token", at(input)?);
            trace.error = option(input, few)?;
            trace.reason_code = option(input, few)?;
            trace.event_type = *input.choose(&EVENTS)?;
            Op::Record(trace)
        }
        3 => Op::Get(name(input)?),
        4 => Op::Latest(input.int_in_range(0..=15)?),
        _ => Op::Query(TraceQuery {
            principal_id: option(input, few)?,
            capability_id: option(input, few)?,
            event_type: option(input, |input| input.choose(&EVENTS).copied())?,
            outcome: option(input, |input| input.choose(&[Outcome::Succeeded, Outcome::Failed]).copied())?,
            reason_code: option(input, few)?,
            since: option(input, at)?,
            until: option(input, at)?,
            limit: option(input, |input| input.int_in_range(-1..=14))?,
            offset: input.int_in_range(-1..=14)?,
            newest_first: input.arbitrary()?,
        }),
    })
}

/// The newest so many, and queries over them.
pub fn traces(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| Ok((input.int_in_range(1..=12)?, sequence(input, op)?));
    check(data, decode, |(cap, ops)| {
        let store = TraceStore::new(cap as u64).unwrap();
        let mut model = Vec::new();
        for op in ops {
            step(&store, &mut model, cap, op)?;
        }
        Ok(())
    });
}

fn step(store: &TraceStore, model: &mut Vec<ActionTrace>, cap: usize, op: Op) -> TestCaseResult {
    match op {
        Op::Record(trace) => {
            let known = model.iter_mut().find(|known| known.action_id == trace.action_id);
            prop_assert_eq!(store.record(trace.clone()).replaced, known.is_some());
            match known {
                Some(known) => *known = trace,
                None => model.push(trace),
            }
            if model.len() > cap {
                model.remove(0);
            }
        }
        Op::Get(id) => {
            let known = model.iter().find(|known| known.action_id == id);
            let expected = known.cloned().ok_or_else(|| TraceError::NotFound { id: format!("{id:?}") });
            prop_assert_eq!(store.get(&id).map(Arc::unwrap_or_clone), expected);
        }
        Op::Latest(n) => {
            let expected: Vec<_> = model.iter().rev().take(n).cloned().collect();
            prop_assert_eq!(owned(store.latest(n)), expected);
        }
        Op::Query(query) => prop_assert_eq!(store.query(&query).map(owned), answer(model, &query)),
    }
    prop_assert_eq!(owned(store.list()), &model[..]);
    prop_assert!(store.stats().live <= cap as u64);
    Ok(())
}

fn owned(traces: Vec<Arc<ActionTrace>>) -> Vec<ActionTrace> {
    traces.into_iter().map(Arc::unwrap_or_clone).collect()
}

/// A condition after the other, then a page of what is left.
fn answer(model: &[ActionTrace], query: &TraceQuery) -> std::result::Result<Vec<ActionTrace>, TraceError> {
    if query.offset < 0 {
        return Err(TraceError::NegativeOffset { given: query.offset });
    }
    if let Some(given) = query.limit.filter(|&limit| limit < 0) {
        return Err(TraceError::NegativeLimit { given });
    }
    let mut found = model.to_vec();
    if let Some(principal) = &query.principal_id {
        found.retain(|trace| trace.principal_id == *principal);
    }
    if let Some(capability) = &query.capability_id {
        found.retain(|trace| trace.capability_id == *capability);
    }
    if let Some(event) = query.event_type {
        found.retain(|trace| trace.event_type == event);
    }
    if let Some(outcome) = query.outcome {
        found.retain(|trace| trace.error.is_some() == (outcome == Outcome::Failed));
    }
    if let Some(reason) = &query.reason_code {
        found.retain(|trace| trace.reason_code.as_ref() == Some(reason));
    }
    if let Some(since) = query.since {
        found.retain(|trace| trace.invoked_at >= since);
    }
    if let Some(until) = query.until {
        found.retain(|trace| trace.invoked_at < until);
    }
    found.sort_by_key(|trace| (trace.invoked_at, trace.action_id.clone()));
    if query.newest_first {
        found.reverse();
    }
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    Ok(found.into_iter().skip(query.offset as usize).take(limit).collect())
}
