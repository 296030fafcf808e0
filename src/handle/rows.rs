//! Results of JSON rows, and looks into them that stay within what was granted.

#![forbid(unsafe_code)]

use super::{Handle, HandleError, HandleStore, Payload};
use crate::clock::Clock;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::slice;
use std::sync::Arc;
use uuid::Uuid;

/// What those who expand a handle may see of its rows. Decided when the rows are stored.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use tollgate::handle::Grant;
///
/// let grant = Grant::new().fields(["id", "city"]).scope("tenant", json!("acme")).max_rows(50);
/// # let _ = grant;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    /// The fields that may be seen; none for all of them. A filter may name any, so that what matches tells of them: a scope
    /// hides rows altogether.
    pub fields: Option<Vec<String>>,
    /// What a row must hold to be seen at all, field by field.
    pub scope: Map<String, Value>,
    /// Rows that one look may show; none for all of them.
    pub max_rows: Option<u64>,
}

impl Grant {
    /// Everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows these fields only. A row that is not an object has no fields, and is shown as it is.
    #[must_use]
    pub fn fields<F: Into<String>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.fields = Some(fields.into_iter().map(F::into).collect());
        self
    }

    /// Shows only objects whose `field` is `value`. Several scopes must all hold.
    #[must_use]
    pub fn scope(mut self, field: impl Into<String>, value: Value) -> Self {
        self.scope.insert(field.into(), value);
        self
    }

    /// Shows at most this many rows at once.
    #[must_use]
    pub fn max_rows(mut self, rows: u64) -> Self {
        self.max_rows = Some(rows);
        self
    }

    fn bytes(&self) -> u64 {
        let fields = self.fields.as_ref().map_or(0, |fields| {
            fields.iter().map(String::capacity).sum::<usize>() + fields.capacity() * size_of::<String>()
        });
        (fields + heap_of_map(&self.scope)) as u64 + self.scope.values().map(heap_of).sum::<u64>()
    }
}

/// A result of JSON: a list of rows, or one row. With what may be seen of it.
///
/// A store counts all that it holds, but for the text of numbers if `serde_json` is built with `arbitrary_precision`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    value: Value,
    grant: Grant,
}

impl Rows {
    /// A result, of which `grant` may be seen.
    #[must_use]
    pub fn new(value: Value, grant: Grant) -> Self {
        Self { value, grant }
    }

    /// The whole result, whatever was granted.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What may be seen of it.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    fn as_slice(&self) -> &[Value] {
        self.value.as_array().map_or(slice::from_ref(&self.value), Vec::as_slice)
    }
}

impl Payload for Rows {
    fn bytes(&self) -> u64 {
        size_of::<Self>() as u64 + heap_of(&self.value) + self.grant.bytes()
    }

    fn rows(&self) -> u64 {
        self.as_slice().len() as u64
    }
}

/// A look into the rows behind a handle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Fields and what they must hold. A row that is not an object, or lacks one of them, does not match; values are the
    /// same only if they are of the same kind, so 1 is not 1.0.
    pub filter: Map<String, Value>,
    /// The fields to show; none for all that are granted.
    pub fields: Option<Vec<String>>,
    /// Leaving out this many matching rows first.
    pub offset: i64,
    /// At most this many rows; none for as many as are granted.
    pub limit: Option<i64>,
}

/// What a look has shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The rows, as objects: one that is not is wrapped as `{"value": row}`.
    pub rows: Vec<Value>,
    /// The handle that was looked behind, with the number of rows that it has in all.
    pub handle: Arc<Handle>,
    /// Rows that matched, shown or not.
    pub matched: u64,
    /// Matching rows that were left out before the first.
    pub offset: u64,
    /// Whether there are matching rows after the last.
    pub more: bool,
}

/// A refused look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// There is nothing to look into.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The handle is bound to another principal, or none was named.
    #[error("handle belongs to another principal")]
    PrincipalMismatch,
    /// A field was asked for that is not granted.
    #[error("field not granted")]
    FieldNotGranted {
        /// The first such field's place among those asked for.
        index: usize,
    },
    /// The filter asks for what is outside of the granted scope.
    #[error("filter is outside of the granted scope")]
    OutOfScope,
    /// A page cannot begin before the first row.
    #[error("offset must be >= 0, not {given}")]
    NegativeOffset {
        /// The offset asked for.
        given: i64,
    },
    /// A page cannot have fewer than no rows.
    #[error("limit must be >= 0, not {given}")]
    NegativeLimit {
        /// The limit asked for.
        given: i64,
    },
    /// More rows were asked for than are granted.
    #[error("{asked} rows asked, {max} are granted")]
    TooManyRows {
        /// The limit asked for.
        asked: u64,
        /// Rows that one look may show.
        max: u64,
    },
}

impl ExpandError {
    /// That of the [`HandleError`]; 403 for what was not granted, 400 for a page that makes no sense.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Handle(error) => error.http_status(),
            Self::PrincipalMismatch | Self::FieldNotGranted { .. } | Self::OutOfScope | Self::TooManyRows { .. } => 403,
            Self::NegativeOffset { .. } | Self::NegativeLimit { .. } => 400,
        }
    }
}

impl<C: Clock> HandleStore<Rows, C> {
    /// Looks into the rows behind a handle, as `principal`. O(rows) with a filter or scope, else O(rows shown); lock-free.
    ///
    /// What may be seen is decided by the handle and the grant that are stored, whatever copy of them a caller has. So
    /// the lookup comes first; the rest is in upstream's order: principal, fields, scope, offset, limit.
    ///
    /// # Errors
    ///
    /// [`ExpandError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use serde_json::json;
    /// use tollgate::handle::{Grant, HandleConfig, HandleRequest, HandleStore, Query, Rows};
    ///
    /// let store = HandleStore::<Rows>::new(HandleConfig::new())?;
    /// let flights = json!([{"id": 1, "to": "LIS"}, {"id": 2, "to": "OSL"}, {"id": 3, "to": "LIS"}]);
    /// let rows = Rows::new(flights, Grant::new().fields(["id"]));
    /// let handle = store.store(HandleRequest::new("flights").principal("alice"), rows)?;
    ///
    /// let filter = json!({"to": "LIS"}).as_object().cloned().unwrap_or_default();
    /// let page = store.expand(&handle.id, &Query { filter, ..Query::default() }, Some("alice"))?;
    /// assert_eq!(page.rows, [json!({"id": 1}), json!({"id": 3})]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expand(&self, id: &Uuid, query: &Query, principal: Option<&str>) -> Result<Page, ExpandError> {
        let (handle, data) = self.lookup(id)?;
        if handle.principal_id.as_deref().is_some_and(|bound| principal != Some(bound)) {
            return Err(ExpandError::PrincipalMismatch);
        }
        let grant = &data.grant;
        check(query, grant)?;
        let rows = data.as_slice();
        let (offset, limit) = window(query, grant)?;
        let all = query.filter.is_empty() && grant.scope.is_empty();
        let matching = || rows.iter().filter(|row| all || matches(row, &query.filter) && matches(row, &grant.scope));
        let matched = if all { rows.len() } else { matching().count() };
        let offset = offset.min(matched);
        let fields = query.fields.as_ref().or(grant.fields.as_ref()).map(|fields| distinct(fields));
        let project = |row| projected(row, fields.as_deref());
        let shown: Vec<_> = if all {
            rows[offset..].iter().take(limit).map(project).collect()
        } else {
            matching().skip(offset).take(limit).map(project).collect()
        };
        let more = offset + shown.len() < matched;
        Ok(Page { rows: shown, handle, matched: matched as u64, offset: offset as u64, more })
    }
}

/// Whether the query asks for fields and values that are granted.
fn check(query: &Query, grant: &Grant) -> Result<(), ExpandError> {
    if let (Some(asked), Some(granted)) = (&query.fields, &grant.fields) {
        let granted: HashSet<_> = granted.iter().collect();
        if let Some(index) = asked.iter().position(|field| !granted.contains(field)) {
            return Err(ExpandError::FieldNotGranted { index });
        }
    }
    let outside = |(field, value)| query.filter.get(field).is_some_and(|asked| asked != value);
    if grant.scope.iter().any(outside) { Err(ExpandError::OutOfScope) } else { Ok(()) }
}

/// How many rows to leave out, and how many to show.
fn window(query: &Query, grant: &Grant) -> Result<(usize, usize), ExpandError> {
    let offset = usize::try_from(query.offset).map_err(|_| ExpandError::NegativeOffset { given: query.offset })?;
    let max = grant.max_rows.unwrap_or(u64::MAX);
    let limit = match query.limit {
        None => max,
        Some(given) => u64::try_from(given).map_err(|_| ExpandError::NegativeLimit { given })?,
    };
    if limit > max {
        return Err(ExpandError::TooManyRows { asked: limit, max });
    }
    Ok((offset, usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn matches(row: &Value, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(field, value)| row.get(field) == Some(value))
}

/// Each field once, whoever asks for it how often: what is shown would be copied as often.
fn distinct(fields: &[String]) -> Vec<&String> {
    let mut seen = HashSet::new();
    fields.iter().filter(|field| seen.insert(*field)).collect()
}

fn projected(row: &Value, fields: Option<&[&String]>) -> Value {
    match (row, fields) {
        (Value::Object(_), None) => row.clone(),
        (Value::Object(row), Some(fields)) => {
            let held = fields.iter().filter_map(|&field| row.get(field).map(|value| (field.clone(), value.clone())));
            Value::Object(held.collect())
        }
        (row, _) => Value::Object(Map::from_iter([("value".to_owned(), row.clone())])),
    }
}

/// Fields that a node of a `serde_json` object has room for.
const NODE_FIELDS: usize = 11;
/// What such a node takes: the fields, and links.
const NODE_BYTES: usize = NODE_FIELDS * (size_of::<String>() + size_of::<Value>()) + 16;
/// Fields of a node at least, where there are several: half of its room.
const LEAST_FIELDS: usize = 5;

/// What a value holds beside itself. A list with room to spare, and a node of an object, count whole.
fn heap_of(value: &Value) -> u64 {
    let mut bytes = 0;
    // Not recursive: who made the value decides how deep it is.
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        bytes += match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.capacity(),
            Value::Array(items) => {
                rest.extend(items);
                items.capacity() * size_of::<Value>()
            }
            Value::Object(fields) => {
                rest.extend(fields.values());
                heap_of_map(fields)
            }
        } as u64;
    }
    bytes
}

/// The nodes and keys of an object.
fn heap_of_map(fields: &Map<String, Value>) -> usize {
    let nodes = match fields.len() {
        0 => 0,
        1..=NODE_FIELDS => 1,
        len => 2 + len.div_ceil(LEAST_FIELDS),
    };
    nodes * NODE_BYTES + fields.keys().map(String::capacity).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_that_a_value_holds_is_counted() {
        let node = 11 * size_of::<(String, Value)>() as u64 + 16;
        let value = size_of::<Value>() as u64;
        assert_eq!(heap_of(&json!(7)), 0);
        assert_eq!(heap_of(&json!("four")), 4);
        assert_eq!(heap_of(&Value::Array(Vec::with_capacity(5))), 5 * value);
        assert_eq!(heap_of(&json!({"key": "four"})), node + 3 + 4);
        let large: Map<_, _> = (1..=NODE_FIELDS + 1).map(|i| ("k".repeat(i), Value::Null)).collect();
        assert_eq!(heap_of(&Value::Object(large)), 5 * node + 12 * 13 / 2);
        let rows = Value::Array(vec![json!({"key": "four"}), json!([])]);
        assert_eq!(heap_of(&rows), 2 * value + node + 3 + 4);
    }

    #[test]
    fn everything_that_a_grant_holds_is_counted() {
        let node = NODE_BYTES as u64;
        let text = size_of::<String>() as u64;
        assert_eq!(Grant::new().bytes(), 0);
        assert_eq!(Grant { fields: Some(Vec::with_capacity(3)), ..Grant::new() }.bytes(), 3 * text);
        assert_eq!(Grant::new().fields(["id", "city"]).bytes(), 2 * text + 2 + 4);
        assert_eq!(Grant::new().scope("key", json!("four")).bytes(), node + 3 + 4);
        let rows = Rows::new(json!("seven"), Grant::new().fields(["id"]));
        assert_eq!(rows.bytes(), size_of::<Rows>() as u64 + 5 + text + 2);
    }

    #[test]
    fn a_value_however_deep_is_counted_without_running_out_of_stack() {
        let mut deep = Value::Null;
        for _ in 0..2_000 {
            deep = Value::Array(vec![deep]);
        }
        assert_eq!(heap_of(&deep), 2_000 * size_of::<Value>() as u64);
    }
}
