//! The recording that is replayed when no file is named.

use serde_json::{Value, json};

const TOOLS: [&str; 3] = ["search", "read", "write"];

/// Six sessions of two agents as JSON lines: batches of none to four calls, each answered by rows, of which the first are
/// many, and every other session with timestamps.
pub(crate) fn sample() -> String {
    (0..6).map(|session| format!("{}\n", line(session))).collect()
}

fn line(session: usize) -> Value {
    let mut messages = vec![json!({"role": "user", "content": format!("Task {session}, please.")})];
    for turn in 0..4 + session {
        let mut message = json!({"role": "assistant", "content": null, "tool_calls": calls(session, turn)});
        if session % 2 == 0 {
            // Every session that has times has one that steps back, as merged logs do.
            let millis = if turn == 3 { 900 } else { 250 * session + 700 * turn };
            message["timestamp_ms"] = json!(millis);
        }
        messages.push(message);
        messages.extend((0..batch(session, turn)).map(|number| result(turn, number)));
        messages.push(json!({"role": "user", "content": "Go on."}));
    }
    json!({
        "session_id": format!("sample-{session}"),
        "agent_id": format!("agent-{}", session % 2),
        "tools": TOOLS,
        "messages": messages,
    })
}

fn calls(session: usize, turn: usize) -> Vec<Value> {
    let call = |number: usize| {
        json!({
            "id": format!("call-{turn}-{number}"),
            "type": "function",
            "function": {"name": TOOLS[(turn + number) % TOOLS.len()], "arguments": "{}"},
        })
    };
    (0..batch(session, turn)).map(call).collect()
}

/// Calls of a turn.
fn batch(session: usize, turn: usize) -> usize {
    (session + turn) % 5
}

/// What a call is answered with: a list of rows.
fn result(turn: usize, number: usize) -> Value {
    let rows: Vec<_> = (0..if turn == 1 { 60 } else { 2 }).map(|row| json!({"row": row, "of": number})).collect();
    json!({"role": "tool", "tool_call_id": format!("call-{turn}-{number}"), "content": json!(rows).to_string()})
}
