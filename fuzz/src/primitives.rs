//! The primitives against the models of their property tests.

use crate::input::{check, number, option, sequence, small};
use crate::properties::ModThree;
use crate::properties::deadline::{self as deadline_model, Keep, NOTHING, Sweep};
use crate::properties::fifo::{self as fifo_model, Pair};
use crate::properties::map::{self as map_model, Choice};
use crate::properties::meter::{self as meter_model, Calls, When};
use arbitrary::{Result, Unstructured};
use tollgate::budget::Status;
use tollgate::hash::RandomState;
use tollgate::map::ShardedMap;

/// `ShardedMap` against a `HashMap`, with keys that collide and without, and a filter or none.
pub fn map(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        Ok((input.arbitrary()?, input.arbitrary()?, input.int_in_range(0..=19_usize)?, sequence(input, map_op)?))
    };
    check(data, decode, |(collide, filter, shards, ops): (bool, bool, _, _)| match (collide, filter) {
        (true, true) => map_model::agrees(&ShardedMap::with_filter(shards, ModThree), ops),
        (true, false) => map_model::agrees(&ShardedMap::with_shards_and_hasher(shards, ModThree), ops),
        (false, true) => map_model::agrees(&ShardedMap::with_filter(shards, RandomState::new()), ops),
        (false, false) => map_model::agrees(&ShardedMap::with_shards_and_hasher(shards, RandomState::new()), ops),
    });
}

fn map_op(input: &mut Unstructured<'_>) -> Result<map_model::Op> {
    use map_model::Op;
    let kind = input.int_in_range(0..=7)?;
    let key = input.int_in_range(0..=23)?;
    let value = |input: &mut Unstructured<'_>| input.int_in_range(0..=255_u64);
    Ok(match kind {
        0 => Op::Insert(key, value(input)?),
        1 => Op::Fill(key, input.int_in_range(1..=100)?),
        2 => Op::TryInsert(key, value(input)?),
        3 => Op::Get(key),
        4 => Op::Remove(key),
        5 => Op::RemoveIfOdd(key),
        6 => Op::Repin,
        _ => {
            let choice = match input.int_in_range(0..=3)? {
                0 => Choice::Keep,
                1 => Choice::Put(value(input)?),
                2 => Choice::Remove,
                _ => Choice::ByValue,
            };
            Op::Compute(key, choice)
        }
    })
}

/// `FifoMap` against a vector of entries: its cap in entries and bytes, its listener, every way out of it.
pub fn fifo(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let cap = match input.int_in_range(1..=100)? {
            100 => u64::MAX,
            cap => cap,
        };
        let max = option(input, |input| Ok(small(input)?.max(1)))?;
        Ok((input.arbitrary()?, cap, max, sequence(input, fifo_op)?))
    };
    check(data, decode, |(collide, cap, max, ops): (bool, _, _, _)| match collide {
        true => Pair::new(cap, max, ModThree).agrees(ops),
        false => Pair::new(cap, max, RandomState::new()).agrees(ops),
    });
}

fn fifo_op(input: &mut Unstructured<'_>) -> Result<fifo_model::Op> {
    use fifo_model::Op;
    let kind = input.int_in_range(0..=7)?;
    let key = input.int_in_range(0..=11)?;
    Ok(match kind {
        0 => Op::Insert(key, small(input)?),
        1 => Op::Burst(input.int_in_range(1..=79)?, input.int_in_range(0..=2)?),
        2 => Op::Get(key),
        3 => Op::Remove(key),
        4 => Op::RemoveNth(input.int_in_range(0..=255)?),
        5 => Op::EvictWhile(limit(input)?, input.int_in_range(0..=19)?),
        6 => Op::PopOldest,
        _ => Op::InsertReclaiming(key, small(input)?),
    })
}

/// `DeadlineQueue` against a vector of keys and deadlines, while time steps ahead and back.
pub fn deadline(data: &[u8]) {
    let decode =
        |input: &mut Unstructured<'_>| Ok((number(input)?, input.int_in_range(1..=7)?, sequence(input, deadline_op)?));
    check(data, decode, |(now, limit, ops)| deadline_model::agrees(now, ops, limit));
}

fn deadline_op(input: &mut Unstructured<'_>) -> Result<deadline_model::Op> {
    use deadline_model::Op;
    Ok(match input.int_in_range(0..=6)? {
        0..=1 => Op::Add { count: input.int_in_range(1..=2)?, forth: input.arbitrary()?, by: number(input)? },
        2 => Op::Add { count: input.int_in_range(1..=89)?, forth: input.arbitrary()?, by: number(input)? },
        3 => Op::AddForever,
        4 => Op::NoteStale(input.int_in_range(1..=99)?),
        _ => {
            let (forth, by, limit) = (input.arbitrary()?, number(input)?, limit(input)?);
            let keep = option(input, |input| {
                Ok(Keep { every: input.int_in_range(1..=4)?, forth: input.arbitrary()?, by: number(input)? })
            })?;
            Op::Sweep(Sweep { forth, by, limit, keep: keep.unwrap_or(NOTHING) })
        }
    })
}

/// `Meter`, with its budget, rate limit and status, against a state of wide integers.
pub fn meter(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let rate = option(input, |input| {
            let (calls, window) = (small(input)?, u128::from(small(input)?));
            // One nanosecond more than a timestamp can say.
            Ok((calls, if window == u128::from(u64::MAX) { window + 1 } else { window }))
        })?;
        Ok((small(input)?, rate, number(input)?, sequence(input, meter_op)?))
    };
    check(data, decode, |(budget, rate, origin, ops)| meter_model::agrees(budget, rate, origin, ops));
}

fn meter_op(input: &mut Unstructured<'_>) -> Result<meter_model::Op> {
    use meter_model::Op;
    Ok(match input.int_in_range(0..=9)? {
        0..=5 => Op::Admit(calls(input)?, when(input)?),
        6..=7 => Op::Refund(calls(input)?),
        8 => Op::Look(when(input)?),
        _ => {
            let status = *input.choose(&[Status::Open, Status::Expired, Status::Closed])?;
            option(input, small)?.map_or(Op::Shut(status), |most| Op::ShutIf(status, most))
        }
    })
}

fn calls(input: &mut Unstructured<'_>) -> Result<Calls> {
    Ok(match input.int_in_range(0..=2)? {
        0 => Calls::Just(small(input)?),
        1 => Calls::Left(input.int_in_range(-1..=1)?),
        _ => Calls::LeftInWindow(input.int_in_range(-1..=1)?),
    })
}

fn when(input: &mut Unstructured<'_>) -> Result<When> {
    Ok(match input.int_in_range(0..=2)? {
        0 => When::WindowEnd(input.int_in_range(-1..=1)?),
        forth => When::Moved(forth == 1, small(input)?),
    })
}

/// How many steps something may take.
pub(crate) fn limit(input: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match input.int_in_range(0..=15)? {
        15 => usize::MAX,
        limit => limit,
    })
}
