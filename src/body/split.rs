//! The body of a model request, cut into its messages.

#![forbid(unsafe_code)]

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use std::fmt;
use std::str;

/// The lists of a request whose elements come again in the next one: messages (OpenAI's chat completions, Anthropic's
/// messages), the blocks of a system prompt (Anthropic), tools (both).
const LISTS: [&str; 3] = ["messages", "system", "tools"];
/// No part but the last is shorter: what goes with a part is some hundreds of bytes, and a list of very many very short
/// elements would cost a hundred times what it is long, not six times.
const SHORTEST: usize = 64;

/// Cuts the JSON body of a chat-completions or messages request, or a bare list of messages, so that each message, tool
/// and block of a system prompt is a part for [`insert_parts`](super::BodyStore::insert_parts). Not a byte is altered:
/// the parts are the body, one after the other. The cuts in front of a message do not depend on what comes after it, so
/// that a request that resends a conversation begins with the same parts.
///
/// What is not understood (anything that is not JSON in UTF-8, or has no such list) is one part. O(n), and no copy of it is
/// made.
///
/// # Examples
///
/// ```
/// use tollgate::body::split_request;
///
/// let first = format!(r#"{{"role":"user","content":"{}"}}"#, "long ".repeat(20));
/// let second = format!(r#"{{"role":"assistant","content":"{}"}}"#, "answer ".repeat(20));
/// let body = format!(r#"{{"model":"large","messages":[{first},{second}]}}"#);
/// let parts = split_request(body.as_bytes());
/// assert_eq!(parts.len(), 3);
/// assert_eq!(parts[1], format!(",{second}").as_bytes());
/// assert_eq!(parts.concat(), body.as_bytes());
/// ```
#[must_use]
pub fn split_request(body: &[u8]) -> Vec<&[u8]> {
    let cuts = str::from_utf8(body).map(cuts).unwrap_or_default();
    let (mut parts, mut from) = (Vec::with_capacity(cuts.len() + 1), 0);
    for cut in cuts {
        parts.push(&body[from..cut]);
        from = cut;
    }
    if from < body.len() || parts.is_empty() {
        parts.push(&body[from..]);
    }
    parts
}

/// Where to cut a request; nowhere if it is none.
fn cuts(text: &str) -> Vec<usize> {
    let mut cuts = Cuts { start: text.as_ptr() as usize, places: Vec::new() };
    let mut json = Deserializer::from_str(text);
    let read = if text.trim_ascii_start().starts_with('[') {
        json.deserialize_seq(Elements(&mut cuts))
    } else {
        json.deserialize_map(Fields(&mut cuts))
    };
    if read.and_then(|()| json.end()).is_ok() { cuts.places } else { Vec::new() }
}

/// Places to cut at, in order, as far apart as they have to be.
struct Cuts {
    /// Where the text is.
    start: usize,
    places: Vec<usize>,
}

impl Cuts {
    /// Cuts before or after `part`, a slice of the text, if that is not too soon.
    fn cut(&mut self, part: &str, after: bool) {
        let place = part.as_ptr() as usize - self.start + if after { part.len() } else { 0 };
        if place.checked_sub(self.places.last().copied().unwrap_or(0)).is_some_and(|len| len >= SHORTEST) {
            self.places.push(place);
        }
    }
}

/// Reads a request, and cuts its lists.
struct Fields<'c>(&'c mut Cuts);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if LISTS.contains(&&*name) {
                fields.next_value_seed(List(self.0))?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Reads what may be a list, and cuts it if it is.
struct List<'c>(&'c mut Cuts);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let value: &RawValue = serde::Deserialize::deserialize(value)?;
        if value.get().starts_with('[') {
            // It is valid: it has been read before.
            let _ = Deserializer::from_str(value.get()).deserialize_seq(Elements(self.0));
        }
        Ok(())
    }
}

/// Reads a list, and cuts before its first element and after each.
struct Elements<'c>(&'c mut Cuts);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut is_first = true;
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            if std::mem::take(&mut is_first) {
                self.0.cut(element.get(), false);
            }
            self.0.cut(element.get(), true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        format!(r#"{{"role": "user", "content": "{text} and enough to stand by itself, as messages mostly do"}}"#)
    }

    fn texts(body: &str) -> Vec<&str> {
        let parts = split_request(body.as_bytes());
        assert_eq!(parts.concat(), body.as_bytes());
        parts.into_iter().map(|part| str::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn chat_completions_are_cut_at_their_messages_and_tools() {
        let (one, two, tool) = (message("one"), message("two"), message("tool"));
        let body = format!("{{\"messages\": [\n {one} , {two}\n],\n \"tools\":[{tool}], \"stream\": true}}");
        let expected = [
            format!("{{\"messages\": [\n {one}"),
            format!(" , {two}"),
            format!("\n],\n \"tools\":[{tool}"),
            "], \"stream\": true}".to_owned(),
        ];
        assert_eq!(texts(&body), expected);
    }

    #[test]
    fn messages_requests_are_cut_at_the_blocks_of_their_system_prompt() {
        let (block, one) = (message("block"), message("one"));
        let body = format!(r#"{{"max_tokens":1,"system":[{block},{block}],"messages":[{one}]}}"#);
        assert_eq!(texts(&body).len(), 4);
        let text = format!(r#"{{"system":"be good","messages":[{one},{one}]}}"#);
        assert_eq!(texts(&text).len(), 3);
    }

    #[test]
    fn a_request_that_goes_on_begins_with_the_same_parts() {
        let messages: Vec<_> = (0..9).map(|i| message(&format!("number {i}"))).collect();
        let body = |n: usize| format!(r#"{{"model":"large","messages":[{}]}}"#, messages[..n].join(","));
        for n in 1..9 {
            let (shorter, longer) = (body(n), body(n + 1));
            assert_eq!(texts(&shorter)[..n], texts(&longer)[..n]);
        }
    }

    #[test]
    fn what_is_not_understood_is_one_part() {
        let deep = "[".repeat(100_000);
        let not_utf8 = [b"{\"messages\":[".as_slice(), &[0xff; 99], b"]}"].concat();
        let short = format!("[{}1]", "1,".repeat(20));
        let cases: [&[u8]; 9] = [
            b"",
            b"not json",
            b"{\"messages\": [1, 2",
            b"{} {}",
            b"{\"messages\": {\"role\": \"user\"}}",
            b"\"a string\"",
            deep.as_bytes(),
            &not_utf8,
            short.as_bytes(),
        ];
        for body in cases {
            assert_eq!(split_request(body), [body]);
        }
    }

    #[test]
    fn many_short_elements_are_few_parts() {
        let body = format!("[{}1]", "1,".repeat(10_000));
        assert!(texts(&body).iter().rev().skip(1).all(|part| part.len() >= SHORTEST));
    }
}
