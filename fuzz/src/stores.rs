//! Stores against the models of their property tests.

use crate::input::{check, option, sequence, small};
use crate::primitives::limit;
use crate::properties::bodies as bodies_model;
use crate::properties::handle::{self as handles_model, Caps};
use crate::properties::posture::{self as posture_model, AGENTS, PRINCIPALS};
use crate::properties::retention::{self as retention_model, NOW, Outcome, Rules, Session};
use arbitrary::{Result, Unstructured};
use tollgate::clock::Timestamp;
use tollgate::handle::ENTRY_BYTES;
use tollgate::posture::Posture;
use tollgate::retention::RawSession;

/// `BodyStore` against a list of records: what it holds byte for byte, and its cap in bytes.
pub fn bodies(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let max = if input.ratio(1, 8)? { 1 << 20 } else { input.int_in_range(1_000..=5_999)? };
        Ok((max, sequence(input, bodies_op)?))
    };
    check(data, decode, |(max, ops)| bodies_model::agrees(max, ops));
}

fn bodies_op(input: &mut Unstructured<'_>) -> Result<bodies_model::Op> {
    use bodies_model::Op;
    let body = |input: &mut Unstructured<'_>| {
        let parts = input.int_in_range(0..=5)?;
        (0..parts).map(|_| input.int_in_range(0..=7_usize)).collect()
    };
    Ok(match input.int_in_range(0..=9)? {
        0..=4 => Op::Insert(input.int_in_range(0..=2)?, input.int_in_range(0..=2)?, option(input, body)?),
        5 => Op::Get(body(input)?),
        6 => Op::Release(input.int_in_range(0..=255)?),
        7 => Op::Wait(input.int_in_range(1..=19)?),
        8 => Op::PruneAge(input.int_in_range(0..=39)?),
        _ => Op::PruneBytes(input.int_in_range(0..=119)?),
    })
}

/// `HandleStore` against a vector of entries.
pub fn handles(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let bytes = |input: &mut Unstructured<'_>| Ok(small(input)?.min(2_400) + ENTRY_BYTES);
        let capacity = input.int_in_range(1..=10)?;
        let caps = Caps { capacity, entry: option(input, bytes)?, total: option(input, bytes)? };
        Ok((caps, sequence(input, handles_op)?))
    };
    check(data, decode, |(caps, ops)| handles_model::agrees(caps, &ops));
}

fn handles_op(input: &mut Unstructured<'_>) -> Result<handles_model::Op> {
    use handles_model::Op;
    Ok(match input.int_in_range(0..=7)? {
        0..=2 => Op::Store(small(input)?, option(input, small)?),
        3 => Op::Get(input.int_in_range(0..=255)?),
        4 => Op::GetMeta(input.int_in_range(0..=255)?),
        5 => Op::Remove(input.int_in_range(0..=255)?),
        6 => Op::Sweep(limit(input)?),
        _ => Op::Move(input.int_in_range(-20..=59)?),
    })
}

/// `PostureMachine` against a table of agents and a list of records.
pub fn posture(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let (limit, share) = (input.int_in_range(0..=29)?, input.int_in_range(0..=3)?);
        Ok((limit, share, input.int_in_range(1..=4)?, input.arbitrary()?, sequence(input, posture_op)?))
    };
    check(data, decode, |(limit, share, cap, lowers, ops)| posture_model::agrees(limit, share, cap, lowers, ops));
}

fn posture_op(input: &mut Unstructured<'_>) -> Result<posture_model::Op> {
    use posture_model::Op;
    let posture = |input: &mut Unstructured<'_>| input.choose(Posture::ALL.as_slice()).copied();
    let kind = input.int_in_range(0..=10)?;
    let agent = input.choose_index(AGENTS.len())?;
    Ok(match kind {
        0..=2 => {
            let (from, to) = (option(input, posture)?, posture(input)?);
            Op::Transition { agent, from, to, approved: input.arbitrary()? }
        }
        3 => Op::Set { agent, to: posture(input)? },
        4 => Op::Emergency { agent, latch: input.arbitrary()? },
        5 => Op::All { latch: input.arbitrary()? },
        6 => Op::Principal { principal: input.choose_index(PRINCIPALS.len())?, latch: input.arbitrary()? },
        7 => Op::Enroll { agent, principal: input.choose_index(PRINCIPALS.len())? },
        8 => Op::Release { agent },
        9 => Op::Forget { agent },
        _ => Op::Restore,
    })
}

/// `sweep` of retained raw data against its rules as they are told.
pub fn retention(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let soft = input.int_in_range(0..=119)?;
        let rules = Rules {
            soft,
            hard: (soft + input.int_in_range(0..=79)?).max(1),
            max_age: input.int_in_range(1..=109)?,
            protect_pinned: input.arbitrary()?,
            largest_first: input.arbitrary()?,
            has_analysis: input.arbitrary()?,
        };
        // The model takes the cube of their number.
        let mut sessions = sequence(input, retained)?;
        sessions.truncate(24);
        Ok((rules, sessions))
    };
    check(data, decode, |(rules, sessions)| retention_model::agrees(rules, sessions));
}

fn retained(input: &mut Unstructured<'_>) -> Result<(Session, Outcome)> {
    let instant = |input: &mut Unstructured<'_>| Ok(Timestamp::from_nanos(input.int_in_range(0..=NOW + 2)?));
    let before = |input: &mut Unstructured<'_>| Ok(Timestamp::from_nanos(input.int_in_range(0..=NOW - 1)?));
    let mut session = RawSession::new(0, input.int_in_range(0..=19)?);
    session.started_at = option(input, instant)?;
    session.ended_at = option(input, instant)?;
    session.ingested_at = option(input, instant)?;
    session.analyzed_at = option(input, before)?;
    session.evicted_at = if input.ratio(1, 8)? { Some(before(input)?) } else { None };
    session.pinned = input.arbitrary()?;
    let outcome = *input.choose(&[Outcome::Works, Outcome::Fails, Outcome::DoesNothing])?;
    Ok((session, outcome))
}
