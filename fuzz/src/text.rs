//! What reads bytes that others have written.

use crate::input::{check, option, sequence};
use crate::recording as reader;
use arbitrary::{Result, Unstructured};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tollgate::body::split_request;
use tollgate::retention::parse_instant;

/// The splitter of request bodies: the parts are the body, whatever it is; and a conversation that goes on is cut where
/// it was cut before.
pub fn split(data: &[u8]) {
    assert_eq!(split_request(data).concat(), data, "not the body");
    let text = String::from_utf8_lossy(data);
    let body = format!(r#"{{"model":"m","messages":[{text}],"system":[{text}],"tools":[{text}]}}"#);
    assert_eq!(split_request(body.as_bytes()).concat(), body.as_bytes(), "not the body");
    check(
        data,
        |input| Ok((dialect(input)?, sequence(input, message)?)),
        |(dialect, messages)| goes_on(dialect, &messages),
    );
}

/// The beginning of a request and what is between messages: OpenAI's, Anthropic's, or a bare list.
fn dialect(input: &mut Unstructured<'_>) -> Result<(&'static str, &'static str, &'static str)> {
    let openai = (r#"{"model":"large","messages":["#, r#"],"tools":[{"type":"function"}]}"#);
    let system =
        r#"{"system":[{"type":"text","text":"Be brief, and say so where it is not known, please."}],"messages": ["#;
    let (begin, end) = *input.choose(&[openai, (system, r#"],"max_tokens":9}"#), ("[", "]")])?;
    Ok((begin, *input.choose(&[",", ", ", ",\n  "])?, end))
}

fn message(input: &mut Unstructured<'_>) -> Result<Value> {
    let role = *input.choose(&["user", "assistant", "tool"])?;
    let len = input.int_in_range(0..=120)?;
    let text = String::from_utf8_lossy(input.bytes(usize::min(len, input.len()))?).into_owned();
    let block = json!({"type": "text", "text": text});
    Ok(json!({"role": role, "content": if input.arbitrary()? { json!([block]) } else { json!(text) }}))
}

fn goes_on((begin, space, end): (&str, &str, &str), messages: &[Value]) -> TestCaseResult {
    let texts: Vec<_> = messages.iter().map(Value::to_string).collect();
    let body = |n: usize| [begin, &texts[..n].join(space), end].concat();
    let whole = body(messages.len());
    let longest = split_request(whole.as_bytes());
    prop_assert_eq!(longest.concat(), whole.as_bytes());
    for part in &longest {
        prop_assert!(std::str::from_utf8(part).is_ok(), "a character was cut");
    }
    for n in 1..messages.len() {
        let shorter = body(n);
        let parts = split_request(shorter.as_bytes());
        // The messages' own cuts: what follows the last message begins with its last part.
        let own = parts.iter().scan(0, |at, part| Some(std::mem::replace(at, *at + part.len())));
        let own = own.filter(|&at| at > 0 && at < shorter.len() - end.len()).count();
        prop_assert_eq!(&parts[..own], &longest[..own.min(longest.len())]);
    }
    Ok(())
}

/// `parse_instant` of any text, and of what looks like an instant, against a count of days.
pub fn instant(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        // It is read, or not; all that it may not do is panic.
        let _ = parse_instant(text);
    }
    check(data, moment, |moment| moment.agrees());
}

/// Fields of an instant, some of them out of range.
#[derive(Debug)]
struct Moment {
    date: [i64; 3],
    time: [i64; 3],
    fraction: Option<u64>,
    /// Sign, hours and minutes.
    offset: Option<(bool, i64, i64)>,
    colon: bool,
}

fn moment(input: &mut Unstructured<'_>) -> Result<Moment> {
    // Near the ends of what can be named, and where rules for leap years differ.
    let years = [1900, 1969, 1970, 1972, 2000, 2023, 2024, 2100, 2400, 2554, 2555];
    let year = if input.ratio(7, 8)? { *input.choose(&years)? } else { input.int_in_range(0..=9_999)? };
    let month = input.int_in_range(0..=13)?;
    let day = if input.arbitrary()? { input.int_in_range(28..=31)? } else { input.int_in_range(0..=32)? };
    Ok(Moment {
        date: [year, month, day],
        time: [input.int_in_range(0..=24)?, input.int_in_range(0..=60)?, input.int_in_range(0..=60)?],
        fraction: option(input, |input| input.int_in_range(0..=999_999_999))?,
        offset: option(input, |input| {
            Ok((input.arbitrary()?, input.int_in_range(0..=24)?, input.int_in_range(0..=60)?))
        })?,
        colon: input.arbitrary()?,
    })
}

impl Moment {
    fn text(&self) -> String {
        let ([year, month, day], [hour, minute, second]) = (self.date, self.time);
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if let Some(nanos) = self.fraction {
            write!(text, ".{nanos:09}").unwrap();
        }
        match self.offset {
            None => text.push('Z'),
            Some((west, hours, minutes)) => {
                let (sign, colon) = (if west { '-' } else { '+' }, if self.colon { ":" } else { "" });
                write!(text, "{sign}{hours:02}{colon}{minutes:02}").unwrap();
            }
        }
        text
    }

    /// Nanoseconds since 1970, if there is such an instant.
    fn nanos(&self) -> Option<u64> {
        let ([year, month, day], [hour, minute, second]) = (self.date, self.time);
        let leap = |year: i64| year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let month = usize::try_from(month - 1).ok().filter(|&month| month < 12)?;
        let is_time = hour < 24 && minute < 60 && second < 60;
        let (west, hours, minutes) = self.offset.unwrap_or_default();
        if !(1..=months[month]).contains(&day) || !is_time || hours > 23 || minutes > 59 {
            return None;
        }
        let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
        let before: i64 = (year..1970).map(|year| 365 + i64::from(leap(year))).sum();
        let days = years - before + months[..month].iter().sum::<i64>() + day - 1;
        let east = (hours * 60 + minutes) * if west { -60 } else { 60 };
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - east;
        let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(self.fraction.unwrap_or(0));
        u64::try_from(nanos).ok()
    }

    fn agrees(&self) -> TestCaseResult {
        let text = self.text();
        prop_assert_eq!(parse_instant(&text).map(|instant| instant.as_nanos()), self.nanos(), "{}", text);
        Ok(())
    }
}

/// The replay example's recordings, of any bytes and of what looks like one: what is refused is refused by file and line,
/// and what is not hangs together.
pub fn recording(data: &[u8]) {
    read(data);
    check(
        data,
        |input| sequence(input, recorded),
        |messages| {
            let session = json!({"session_id": "s", "agent_id": "a", "tools": ["search"], "messages": messages});
            read(session.to_string().as_bytes());
            Ok(())
        },
    );
}

/// A message that lacks no more than one thing that it should have.
fn recorded(input: &mut Unstructured<'_>) -> Result<Value> {
    let mut message = json!({"role": *input.choose(&["assistant", "system", "user", "tool", "other"])?});
    let millis = reader::MAX_MILLIS - input.int_in_range(0..=4)?;
    let times = [json!(5_000), json!(1_000), json!(3), json!(null), json!(millis), json!(millis + 2), json!(-1)];
    let calls =
        [json!([{"function": {"name": "search"}}]), json!([]), json!(null), json!([{"function": {}}]), json!(1)];
    let contents = [json!("text"), json!([{"type": "text"}]), json!(null)];
    for (field, values) in [("timestamp_ms", &times[..]), ("tool_calls", &calls), ("content", &contents)] {
        if let Some(value) = option(input, |input| input.choose(values))? {
            message[field] = value.clone();
        }
    }
    if input.ratio(1, 8)? {
        message["compaction"] = json!(true);
    }
    Ok(message)
}

fn read(data: &[u8]) {
    let lines = data.split(|&byte| byte == b'\n');
    match reader::parse("file", data) {
        Err(message) => {
            let mut words = message.splitn(3, ':');
            assert_eq!(words.next(), Some("file"), "{message}");
            let line: usize = words.next().unwrap().parse().expect(&message);
            assert!((1..=lines.count()).contains(&line), "no such line: {message}");
            assert!(words.next().is_some_and(|what| what.len() > 1) && !message.contains('\n'), "{message:?}");
        }
        Ok(recordings) => {
            assert_eq!(recordings.len(), lines.filter(|line| !line.trim_ascii().is_empty()).count());
            recordings.iter().for_each(hangs_together);
        }
    }
}

fn hangs_together(recording: &reader::Recording) {
    let mut latest = recording.start_ms;
    let mut previous = 0;
    for (number, turn) in recording.turns.iter().enumerate() {
        assert_eq!(turn.number, number);
        assert!((latest..=reader::MAX_MILLIS).contains(&turn.at_ms), "time steps back");
        assert!(turn.request.start <= turn.request.end && turn.request.end >= previous, "requests go back");
        let body: Vec<Value> = serde_json::from_str(&recording.body(turn)).expect("a body is JSON");
        assert_eq!(body.len(), turn.request.len());
        latest = turn.at_ms;
        previous = turn.request.end;
    }
    assert_eq!(recording.raw.len(), recording.messages.iter().map(String::len).sum::<usize>());
}
