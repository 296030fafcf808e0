//! What is recorded of a turn, and how a turn reads.

#![forbid(unsafe_code)]

use super::digest::Digest;
use crate::clock::Timestamp;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// What a record takes beside its texts: its entries in the store, in its turn, and among the ids.
const RECORD_BYTES: u64 = 672;
/// What each text takes beside its bytes.
const TEXT_BYTES: u64 = 16;
/// What the first attribute takes beside its texts, and each in the worst case after it.
const ATTRIBUTES_BYTES: u64 = 560;
const ATTRIBUTE_BYTES: u64 = 112;
/// What each link takes beside its text.
const LINK_BYTES: u64 = 112;
/// Spans within spans are indented as far as this.
const MAX_DEPTH: usize = 32;

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanStatus {
    /// As it should.
    Ok,
    /// With an error.
    Error,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Log {
        /// Its level, in the caller's words.
        level: String,
        /// Its text.
        message: String,
    },
    /// A span began.
    Open {
        /// What it is called.
        name: String,
    },
    /// A span ended.
    Close {
        /// What it is called.
        name: String,
        /// How long it took.
        duration: Duration,
        /// How it ended.
        status: SpanStatus,
    },
}

/// One record of a turn, with upstream's fields (dispatch). Its body goes beside it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::body::{Record, SpanStatus};
/// use tollgate::clock::Timestamp;
///
/// let at = Timestamp::from_secs(100);
/// let open = Record::open("turn-1", at, "span-1", "chat").attribute("model", "large");
/// let log = Record::log("turn-1", at, "info", "request sent").parent("span-1");
/// let close = Record::close("turn-1", at, "span-1", "chat", Duration::from_millis(80), SpanStatus::Ok);
/// # let _ = (open, log, close);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The turn that it belongs to.
    pub turn: Arc<str>,
    /// When it happened, by the caller's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The span that it is of.
    pub span: Option<String>,
    /// The span around it.
    pub parent: Option<String>,
    /// What recorded it.
    pub source: Option<String>,
    /// The conversation that the turn is part of.
    pub conversation: Option<String>,
    /// Spans that it is linked to.
    pub links: Vec<String>,
    /// Anything else.
    pub attributes: BTreeMap<String, String>,
}

impl Record {
    /// A message.
    #[must_use]
    pub fn log(turn: impl Into<Arc<str>>, at: Timestamp, level: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(turn.into(), at, None, Event::Log { level: level.into(), message: message.into() })
    }

    /// The beginning of a span.
    #[must_use]
    pub fn open(turn: impl Into<Arc<str>>, at: Timestamp, span: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(turn.into(), at, Some(span.into()), Event::Open { name: name.into() })
    }

    /// The end of a span.
    #[must_use]
    pub fn close(
        turn: impl Into<Arc<str>>,
        at: Timestamp,
        span: impl Into<String>,
        name: impl Into<String>,
        duration: Duration,
        status: SpanStatus,
    ) -> Self {
        Self::new(turn.into(), at, Some(span.into()), Event::Close { name: name.into(), duration, status })
    }

    fn new(turn: Arc<str>, at: Timestamp, span: Option<String>, event: Event) -> Self {
        let (parent, source, conversation) = (None, None, None);
        Self { turn, at, event, span, parent, source, conversation, links: Vec::new(), attributes: BTreeMap::new() }
    }

    /// Says which span is around it.
    #[must_use]
    pub fn parent(mut self, span: impl Into<String>) -> Self {
        self.parent = Some(span.into());
        self
    }

    /// Says what recorded it.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says which conversation its turn is part of.
    #[must_use]
    pub fn conversation(mut self, conversation: impl Into<String>) -> Self {
        self.conversation = Some(conversation.into());
        self
    }

    /// Links it to another span.
    #[must_use]
    pub fn link(mut self, span: impl Into<String>) -> Self {
        self.links.push(span.into());
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// What it takes in the store, without its body.
    pub(super) fn weight(&self) -> u64 {
        let texts: u64 = self.texts().map(|text| text.len() as u64 + TEXT_BYTES).sum();
        let attributes = self.attributes.len() as u64 * ATTRIBUTE_BYTES;
        let attributes = attributes + if self.attributes.is_empty() { 0 } else { ATTRIBUTES_BYTES };
        // The turn's name is the key of its list as well.
        RECORD_BYTES + texts + self.turn.len() as u64 + attributes + self.links.len() as u64 * LINK_BYTES
    }

    /// Gives back what its texts do not use, which is not counted.
    pub(super) fn shrink(&mut self) {
        match &mut self.event {
            Event::Log { level, message } => {
                level.shrink_to_fit();
                message.shrink_to_fit();
            }
            Event::Open { name } | Event::Close { name, .. } => name.shrink_to_fit(),
        }
        let optional = [&mut self.span, &mut self.parent, &mut self.source, &mut self.conversation];
        optional.into_iter().flatten().for_each(String::shrink_to_fit);
        self.links.iter_mut().for_each(String::shrink_to_fit);
        self.links.shrink_to_fit();
        for (name, mut value) in std::mem::take(&mut self.attributes) {
            value.shrink_to_fit();
            self.attributes.insert(name.into_boxed_str().into_string(), value);
        }
    }

    /// All its texts.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let said = match &self.event {
            Event::Log { level, message } => [level.as_str(), message.as_str()],
            Event::Open { name } | Event::Close { name, .. } => [name.as_str(), ""],
        };
        let optional = [&self.span, &self.parent, &self.source, &self.conversation];
        let attributes = self.attributes.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        std::iter::once(&*self.turn)
            .chain(said)
            .chain(optional.into_iter().flatten().map(String::as_str))
            .chain(self.links.iter().map(String::as_str))
            .chain(attributes)
    }
}

/// Tells a record, body included, from every other one: 128 bits of a SHA-256 over all that it says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u128);

impl RecordId {
    pub(super) fn of(record: &Record, body: Option<Digest>) -> Self {
        let mut text = Vec::with_capacity(256);
        // Every field says how long it is, so that no two records are the same bytes.
        let mut field = |bytes: &[u8]| {
            text.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            text.extend_from_slice(bytes);
        };
        field(&record.at.as_nanos().to_le_bytes());
        field(body.as_ref().map_or(&[], |digest| digest.as_bytes()));
        let (kind, duration) = match &record.event {
            Event::Log { .. } => (0, Duration::ZERO),
            Event::Open { .. } => (1, Duration::ZERO),
            Event::Close { duration, status: SpanStatus::Ok, .. } => (2, *duration),
            Event::Close { duration, status: SpanStatus::Error, .. } => (3, *duration),
        };
        field(&[kind]);
        field(&duration.as_nanos().to_le_bytes());
        // Which of the optional ones are there, and how many of the others.
        let optional = [&record.span, &record.parent, &record.source, &record.conversation];
        field(&optional.map(|text| u8::from(text.is_some())));
        field(&(record.links.len() as u64).to_le_bytes());
        record.texts().for_each(|text| field(text.as_bytes()));
        let digest = Digest::of(&text);
        let (first, _) = digest.as_bytes().split_at(16);
        Self(first.iter().fold(0, |id, &byte| id << 8 | u128::from(byte)))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

/// A record as the store has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Tells it from every other.
    pub id: RecordId,
    /// What was recorded.
    pub record: Record,
    /// Its body's digest, if it has one.
    pub body: Option<Digest>,
    /// Bytes of its body.
    pub body_len: u64,
    /// Its place in the order of insertion.
    pub(super) ticket: u64,
}

/// Renders the records of a turn, in their order, one a line: time since the first, nesting, what was said, duration,
/// status and size of the body.
pub(super) fn render(turn: &str, records: &[Arc<StoredRecord>]) -> String {
    let first = records.first().map_or(Timestamp::ZERO, |first| first.record.at);
    let bytes: u64 = records.iter().map(|stored| stored.body_len).sum();
    let parents: BTreeMap<&str, &str> = (records.iter())
        .filter_map(|stored| Some((stored.record.span.as_deref()?, stored.record.parent.as_deref()?)))
        .collect();
    let mut text = format!("turn {}: {} records, {bytes} bytes of bodies\n", line(turn), records.len());
    for stored in records {
        let record = &stored.record;
        let indent = 2 * depth(record, &parents);
        let millis = record.at.saturating_since(first).as_millis();
        // Writing to a string does not fail.
        let _ = write!(text, "{millis:>8} ms  {:indent$}", "");
        let _ = match &record.event {
            Event::Log { level, message } => write!(text, "{}: {}", line(level), line(message)),
            Event::Open { name } => write!(text, "{} ...", line(name)),
            Event::Close { name, duration, status } => {
                let status = if *status == SpanStatus::Ok { "ok" } else { "error" };
                write!(text, "{} {status} after {} ms", line(name), duration.as_millis())
            }
        };
        if stored.body.is_some() {
            let _ = write!(text, " [{} bytes]", stored.body_len);
        }
        text.push('\n');
    }
    text
}

/// A text as it fits on a line: control characters by their codes.
fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Spans around a record, as far as the turn's own records tell, and as many as are shown.
fn depth(record: &Record, parents: &BTreeMap<&str, &str>) -> usize {
    let mut around = record.parent.as_deref();
    let mut depth = 0;
    while let Some(span) = around.filter(|_| depth < MAX_DEPTH) {
        depth += 1;
        around = parents.get(span).copied();
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Record {
        Record::log("turn", Timestamp::ZERO, "info", "x")
    }

    #[test]
    fn a_record_weighs_what_its_fields_take() {
        let more = |record: Record, than: &Record| record.weight() - than.weight();
        // The turn's name twice, the level and the message.
        assert_eq!(note().weight(), RECORD_BYTES + 2 * 4 + 4 + 1 + 3 * TEXT_BYTES);
        assert_eq!(more(note().source("span"), &note()), 4 + TEXT_BYTES);
        assert_eq!(more(note().link("span"), &note()), 4 + TEXT_BYTES + LINK_BYTES);
        let pair = 2 + 5 + 2 * TEXT_BYTES + ATTRIBUTE_BYTES;
        let one = note().attribute("a1", "value");
        assert_eq!(more(one.clone(), &note()), pair + ATTRIBUTES_BYTES);
        assert_eq!(more(one.clone().attribute("a2", "value"), &one), pair);
    }

    #[test]
    fn a_record_gives_back_what_its_texts_do_not_use() {
        let roomy = || {
            let mut text = String::with_capacity(1_000);
            text.push('x');
            text
        };
        let log = Record::log("turn", Timestamp::ZERO, roomy(), roomy());
        let mut record = log.source(roomy()).link(roomy()).attribute(roomy(), roomy());
        record.shrink();
        let Event::Log { level, message } = &record.event else { unreachable!("it is one") };
        let (name, value) = record.attributes.first_key_value().unwrap();
        let texts = [level, message, record.source.as_ref().unwrap(), &record.links[0], name, value];
        assert_eq!(texts.map(String::capacity), [1; 6]);
    }

    #[test]
    fn spans_around_a_record_are_counted_up_to_a_depth() {
        let parents = BTreeMap::from([("a", "b"), ("b", "c"), ("x", "x")]);
        let around = |parent: &str| depth(&note().parent(parent), &parents);
        assert_eq!((around("a"), around("c"), around("x")), (3, 1, MAX_DEPTH));
    }
}
