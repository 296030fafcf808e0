//! Looks into JSON rows against a filter of the rows, one by one.

use crate::input::{check, option, sequence};
use arbitrary::{Result, Unstructured};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Map, Value, json};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::{ExpandError, Grant, HandleConfig, HandleRequest, HandleStore, Query, Rows};

const NAMES: [&str; 3] = ["id", "city", "price"];

fn name(input: &mut Unstructured<'_>) -> Result<String> {
    Ok((*input.choose(&NAMES)?).to_owned())
}

/// Values that are nearly alike.
fn value(input: &mut Unstructured<'_>) -> Result<Value> {
    let values = [json!(1), json!(1.0), json!("1"), json!(null), json!([1]), json!({"id": 1}), json!(true)];
    Ok(input.choose(&values)?.clone())
}

fn object(input: &mut Unstructured<'_>) -> Result<Map<String, Value>> {
    let fields = input.int_in_range(0..=3)?;
    (0..fields).map(|_| Ok((name(input)?, value(input)?))).collect()
}

fn row(input: &mut Unstructured<'_>) -> Result<Value> {
    if input.ratio(1, 4)? { value(input) } else { object(input).map(Value::Object) }
}

fn names(input: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let names = input.int_in_range(0..=3)?;
    (0..names).map(|_| name(input)).collect()
}

fn grant(input: &mut Unstructured<'_>) -> Result<Grant> {
    let mut grant = Grant::new();
    grant.fields = option(input, names)?;
    grant.max_rows = option(input, |input| input.int_in_range(0..=9))?;
    if input.arbitrary()? {
        grant.scope = object(input)?;
    }
    Ok(grant)
}

fn query(input: &mut Unstructured<'_>) -> Result<Query> {
    Ok(Query {
        filter: if input.arbitrary()? { object(input)? } else { Map::new() },
        fields: option(input, names)?,
        offset: input.int_in_range(-1..=9)?,
        limit: option(input, |input| input.int_in_range(-1..=9))?,
    })
}

/// What is shown is granted, and what is granted and matches is shown.
pub fn expand(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let principal = |input: &mut Unstructured<'_>| input.choose(&["alice", "bob"]).copied();
        let (grant, query) = (grant(input)?, query(input)?);
        let (owner, asker) = (option(input, principal)?, option(input, principal)?);
        let one = input.ratio(1, 8)?;
        let mut rows = sequence(input, row)?;
        let value = if one { rows.pop().unwrap_or_default() } else { Value::Array(rows) };
        Ok((value, grant, query, owner, asker))
    };
    check(data, decode, |(value, grant, query, owner, asker)| agrees(value, grant, &query, owner, asker));
}

fn agrees(value: Value, grant: Grant, query: &Query, owner: Option<&str>, asker: Option<&str>) -> TestCaseResult {
    let clock = ManualClock::new(Timestamp::from_secs(1));
    let store = HandleStore::with_clock(HandleConfig::new(), clock).unwrap();
    let request = HandleRequest::new("tool");
    let request = owner.map_or(request.clone(), |owner| request.principal(owner));
    let handle = store.store(request, Rows::new(value.clone(), grant.clone())).unwrap();
    let rows = match value {
        Value::Array(rows) => rows,
        one => vec![one],
    };
    prop_assert_eq!(handle.total_rows, rows.len() as u64);
    let page = store.expand(&handle.id, query, asker);
    if let Some(refusal) = refusal(&grant, query, owner, asker) {
        prop_assert_eq!(page.unwrap_err(), refusal);
        return Ok(());
    }
    let page = page.unwrap();
    let matching: Vec<_> = rows.iter().filter(|row| holds(row, &grant.scope) && holds(row, &query.filter)).collect();
    let offset = (query.offset as usize).min(matching.len());
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    let limit = limit.min(grant.max_rows.unwrap_or(u64::MAX) as usize);
    let fields = query.fields.as_ref().or(grant.fields.as_ref());
    let shown: Vec<_> = matching.iter().skip(offset).take(limit).map(|row| show(row, fields)).collect();
    prop_assert_eq!((page.matched, page.offset), (matching.len() as u64, offset as u64));
    prop_assert_eq!(page.more, matching.iter().skip(offset).nth(limit).is_some());
    prop_assert_eq!(page.rows, shown);
    Ok(())
}

/// Why a look is refused, if it is.
fn refusal(grant: &Grant, query: &Query, owner: Option<&str>, asker: Option<&str>) -> Option<ExpandError> {
    if owner.is_some() && owner != asker {
        return Some(ExpandError::PrincipalMismatch);
    }
    if let (Some(granted), Some(asked)) = (&grant.fields, &query.fields) {
        if let Some(index) = asked.iter().position(|field| !granted.contains(field)) {
            return Some(ExpandError::FieldNotGranted { index });
        }
    }
    if query.filter.iter().any(|(field, value)| grant.scope.get(field).is_some_and(|scope| scope != value)) {
        return Some(ExpandError::OutOfScope);
    }
    if query.offset < 0 {
        return Some(ExpandError::NegativeOffset { given: query.offset });
    }
    match (query.limit, grant.max_rows) {
        (Some(given), _) if given < 0 => Some(ExpandError::NegativeLimit { given }),
        (Some(asked), Some(max)) if asked as u64 > max => Some(ExpandError::TooManyRows { asked: asked as u64, max }),
        _ => None,
    }
}

/// Whether a row is an object with all of these fields.
fn holds(row: &Value, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(field, value)| row.as_object().and_then(|row| row.get(field)) == Some(value))
}

fn show(row: &Value, fields: Option<&Vec<String>>) -> Value {
    let Value::Object(row) = row else { return json!({ "value": row }) };
    let mut row = row.clone();
    row.retain(|field, _| fields.is_none_or(|fields| fields.contains(field)));
    Value::Object(row)
}
