//! What a turn leaves behind: the body of its request, its results, its agent's posture, and at last its session's raw data.

use crate::options::Options;
use crate::recording::{Recording, Turn};
use crate::stores::Stores;
use crate::tally::Tally;
use serde_json::Value;
use std::sync::Arc;
use tollgate::body::{Digest, Record, split_request};
use tollgate::clock::{Clock, Timestamp};
use tollgate::handle::{Grant, HandleError, HandleRequest, Query, Rows};
use tollgate::posture::{Downgrade, Posture, TransitionRequest};
use tollgate::retention::Ingest;

/// Rows that a look behind a handle shows.
const ROWS: i64 = 10;

/// Keeps the body of the request that a turn answers, in parts, and reads it back if that is asked for.
pub(crate) fn body(
    stores: &Stores,
    recording: &Recording,
    turn: &Turn,
    session: &str,
    verify: bool,
    tally: &mut Tally,
) -> Result<(), String> {
    let body = recording.body(turn);
    let parts = split_request(body.as_bytes());
    tally.bodies_offered += body.len() as u64;
    tally.parts += parts.len() as u64;
    let (number, at) = (turn.number.to_string(), stores.clock.now());
    let record = Record::open(format!("{session}/{number}"), at, number, "request").conversation(session);
    let Ok(receipt) = stores.bodies.insert_parts(record, &parts) else {
        tally.bodies_refused += 1;
        return Ok(());
    };
    let digest = receipt.body.ok_or("a body has no digest")?;
    if verify {
        let same = match stores.bodies.get(&digest) {
            Ok(read) => read == body.as_bytes(),
            // What was evicted since is not a fault.
            Err(_) => stores.bodies.stats().evicted_for_bytes > 0,
        };
        tally.bodies_wrong += u64::from(!same || digest != Digest::of(body.as_bytes()));
    }
    Ok(())
}

/// Keeps the large results of a turn by handle, and looks behind each once.
pub(crate) fn results(
    stores: &Stores,
    turn: &Turn,
    session: &str,
    options: &Options,
    tally: &mut Tally,
) -> Result<(), String> {
    for result in turn.results.iter().filter(|result| result.len() as u64 > options.handle_above) {
        // A list is its rows, anything else a single one.
        let value = serde_json::from_str(result).unwrap_or_else(|_| Value::String(result.clone()));
        let rows = Rows::new(value, Grant::new().max_rows(ROWS as u64));
        let request = HandleRequest::new("result").principal(session);
        let handle = stores.handles.store(request, rows).map_err(|error| error.to_string())?;
        tally.handles_stored += 1;
        let query = Query { limit: Some(ROWS), ..Query::default() };
        match stores.handles.expand(&handle.id, &query, Some(session)) {
            Ok(page) => {
                let expected = handle.total_rows.min(ROWS as u64);
                tally.handles_wrong += u64::from(page.rows.len() as u64 != expected);
            }
            // Evicted by others since.
            Err(error) if error == HandleError::NotFound.into() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Takes a session's agent down by a level, for a call that was refused.
pub(crate) fn lower(stores: &Stores, agent: &str) -> Result<(), String> {
    let from = stores.postures.get_posture(agent);
    let Some(to) = Posture::ALL.into_iter().rev().find(|&posture| posture < from) else { return Ok(()) };
    ask(stores, TransitionRequest::new(agent, from, to).reason("a call was refused"))
}

/// Takes a session's agent up by a level, to where it began at most: asks, is told to have it approved, and asks again.
pub(crate) fn raise(stores: &Stores, agent: &str) -> Result<(), String> {
    let from = stores.postures.get_posture(agent);
    let higher = Posture::ALL.into_iter().find(|&posture| posture > from && posture <= Posture::Tool);
    let Some(to) = higher else { return Ok(()) };
    let request = TransitionRequest::new(agent, from, to).reason("a call was admitted");
    ask(stores, request.clone())?;
    ask(stores, request.requester("operator"))
}

/// Takes a session's agent down at once, for a call with a revoked token.
pub(crate) fn take_down(stores: &Stores, agent: &str) {
    let order = Downgrade::new("a call with a revoked token");
    // There is nobody who would have to be told which agents this was.
    let _ = stores.postures.emergency_downgrade(agent, &order);
}

/// Lets an agent go, with an operator's approval to be as trusted as anybody new.
pub(crate) fn forget(stores: &Stores, agent: &str) -> Result<(), String> {
    raise(stores, agent)?;
    stores.postures.forget(agent).map(drop).map_err(|error| error.to_string())
}

fn ask(stores: &Stores, request: TransitionRequest) -> Result<(), String> {
    // Refusals are counted by the machine.
    stores.postures.transition(&request).map(drop).map_err(|error| error.to_string())
}

/// Hands a session's raw data to retention; every other one was analysed when it ended.
pub(crate) fn raw(
    stores: &Stores,
    session: String,
    (started, ended): (Timestamp, Timestamp),
    raw: &Arc<[u8]>,
) -> Result<(), String> {
    let known = Ingest::new().started_at(started).ended_at(ended);
    let is_analysed = stores.tiers.len() % 2 == 0;
    stores.tiers.ingest(session.clone(), known, Arc::clone(raw)).map_err(|error| error.to_string())?;
    if is_analysed {
        stores.tiers.record_analysis(&session, Vec::new()).map_err(|error| error.to_string())?;
    }
    Ok(())
}
