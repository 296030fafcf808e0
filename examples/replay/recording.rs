//! Recorded sessions: one JSON object a line, messages in the OpenAI chat form.
//!
//! What is wrong with a recording is said in one line, `file:line: what is wrong`.

use serde_json::{Map, Value};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The last millisecond that is still a time in nanoseconds of 64 bits.
pub(crate) const MAX_MILLIS: u64 = u64::MAX / 1_000_000;

/// One recorded session.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    /// The tools that it may call.
    pub(crate) tools: Vec<String>,
    /// When it starts, in Unix milliseconds.
    pub(crate) start_ms: u64,
    /// Its messages, each as compact JSON of what goes over the wire.
    pub(crate) messages: Vec<String>,
    /// All of these, as raw data to be retained.
    pub(crate) raw: Arc<[u8]>,
    /// Its assistant messages, in order, at times that never step back.
    pub(crate) turns: Vec<Turn>,
}

/// One assistant message: one batch of calls, possibly empty.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Its place among the turns of its session.
    pub(crate) number: usize,
    pub(crate) at_ms: u64,
    /// The tool of each call.
    pub(crate) tools: Vec<String>,
    /// The messages that its request sends: all before it, since the conversation last restarted.
    pub(crate) request: Range<usize>,
    /// What its tools answered, as text.
    pub(crate) results: Vec<String>,
}

impl Recording {
    /// The body of the request that a turn answers: compact JSON of the messages so far.
    pub(crate) fn body(&self, turn: &Turn) -> String {
        format!("[{}]", self.messages[turn.request.clone()].join(","))
    }
}

/// What a message says.
struct Message {
    timestamp_ms: Option<u64>,
    /// The calls, if it is an assistant message.
    batch: Option<Vec<String>>,
    /// What a tool answered, if it is a tool message.
    result: Option<String>,
    /// Whether the conversation restarts with it.
    restarts: bool,
    /// Itself, without what only the recording says.
    wire: String,
}

/// Assistant messages in all.
pub(crate) fn turns(recordings: &[Recording]) -> u64 {
    recordings.iter().map(|recording| recording.turns.len() as u64).sum()
}

/// Recorded calls in all.
pub(crate) fn calls(recordings: &[Recording]) -> u64 {
    let turns = recordings.iter().flat_map(|recording| &recording.turns);
    turns.map(|turn| turn.tools.len() as u64).sum()
}

/// The sessions of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Recording>, String> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    parse(&name, &bytes)
}

/// The sessions in `bytes`, one a line; blank lines are skipped.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Vec<Recording>, String> {
    let mut recordings = Vec::new();
    for (number, line) in (1_u64..).zip(bytes.split(|&byte| byte == b'\n')) {
        if !line.trim_ascii().is_empty() {
            recordings.push(session(line).map_err(|what| format!("{name}:{number}: {what}"))?);
        }
    }
    Ok(recordings)
}

fn session(line: &[u8]) -> Result<Recording, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    let value: Value = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let session = value.as_object().ok_or("not a session: not a JSON object")?;
    let tools = list(session, "tools")?.iter().map(|tool| tool.as_str().map(str::to_owned));
    let tools = tools.collect::<Option<Vec<_>>>().ok_or("not a session: `tools` has a name that is not a string")?;
    let mut messages = Vec::new();
    for (number, value) in (1_u64..).zip(list(session, "messages")?) {
        messages.push(message(value).map_err(|what| format!("message {number}: {what}"))?);
    }
    let start_ms = messages.iter().find_map(|message| message.timestamp_ms).unwrap_or(0);
    Ok(Recording {
        session_id: string(session, "session_id")?,
        agent_id: string(session, "agent_id")?,
        tools,
        start_ms,
        turns: timed(start_ms, &messages),
        raw: messages.iter().flat_map(|message| message.wire.bytes()).collect(),
        messages: messages.into_iter().map(|message| message.wire).collect(),
    })
}

/// The turns with their times: the message's timestamp, or `k` seconds after the start for the `k`-th, counted from 0.
fn timed(start_ms: u64, messages: &[Message]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut latest = start_ms; // of all timestamps so far, which may step back
    let mut previous = start_ms; // the turn before: turns stay in order where only some have timestamps
    let mut restart = 0;
    for (place, message) in messages.iter().enumerate() {
        latest = latest.max(message.timestamp_ms.unwrap_or(0));
        if message.restarts {
            restart = place;
        }
        if let (Some(result), Some(turn)) = (&message.result, turns.last_mut()) {
            turn.results.push(result.clone());
        }
        let Some(tools) = message.batch.clone() else { continue };
        let counted = start_ms.saturating_add((turns.len() as u64).saturating_mul(1000)).min(MAX_MILLIS);
        let at_ms = if message.timestamp_ms.is_some() { latest } else { counted };
        previous = previous.max(at_ms);
        let number = turns.len();
        turns.push(Turn { number, at_ms: previous, tools, request: restart..place, results: Vec::new() });
    }
    turns
}

fn message(value: &Value) -> Result<Message, String> {
    let message = value.as_object().ok_or("not a JSON object")?;
    let timestamp_ms = match message.get("timestamp_ms") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let millis = value.as_u64().filter(|&millis| millis <= MAX_MILLIS);
            let wrong = || format!("`timestamp_ms` is not a whole number from 0 to {MAX_MILLIS}");
            Some(millis.ok_or_else(wrong)?)
        }
    };
    let role = message.get("role").ok_or("`role` is missing")?;
    let calls = batch(message)?;
    let batch = match role.as_str() {
        Some("assistant") => Some(calls.unwrap_or_default()),
        Some("system" | "user" | "tool") if calls.is_none() => None,
        Some("system" | "user" | "tool") => {
            return Err("`tool_calls` outside an assistant message".to_owned());
        }
        _ => return Err("`role` is not one of system, user, assistant and tool".to_owned()),
    };
    let result = (role == "tool").then(|| message.get("content").map_or_else(String::new, text));
    let restarts = message.get("compaction").is_some_and(|flag| flag == true);
    let mut wire = message.clone();
    wire.retain(|key, _| !["timestamp_ms", "usage", "compaction"].contains(&key.as_str()));
    Ok(Message { timestamp_ms, batch, result, restarts, wire: Value::Object(wire).to_string() })
}

/// The text of a message's content.
fn text(content: &Value) -> String {
    content.as_str().map_or_else(|| content.to_string(), str::to_owned)
}

/// The tools that a message calls, none if it does not have the field.
fn batch(message: &Map<String, Value>) -> Result<Option<Vec<String>>, String> {
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(calls)) => calls,
        Some(_) => return Err("`tool_calls` is not a list".to_owned()),
    };
    let name = |call: &Value| call.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
    let names = calls.iter().map(name).collect::<Option<Vec<_>>>();
    names.map(Some).ok_or_else(|| "`tool_calls` has a call without `function.name`".to_owned())
}

fn string(session: &Map<String, Value>, key: &str) -> Result<String, String> {
    match session.get(key) {
        None => Err(format!("not a session: `{key}` is missing")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("not a session: `{key}` is not a string")),
    }
}

fn list<'s>(session: &'s Map<String, Value>, key: &str) -> Result<&'s [Value], String> {
    match session.get(key) {
        None => Err(format!("not a session: `{key}` is missing")),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(format!("not a session: `{key}` is not a list")),
    }
}

/// The parser's words without its line number, which is always 1 here.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("not JSON: {what} at column {}", error.column())
}
