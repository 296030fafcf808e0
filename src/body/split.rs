//! The body of a model request, cut into its messages.

#![forbid(unsafe_code)]

use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::str;

/// The lists of a request whose elements come again in the next one: messages (OpenAI's chat completions, Anthropic's
/// messages), the blocks of a system prompt (Anthropic), tools (both).
const LISTS: [&str; 3] = ["messages", "system", "tools"];
/// No part but the last is shorter, so that a list of very many very short elements does not cost far more than it is long.
const SHORTEST: usize = 64;

/// Cuts the JSON body of a chat-completions or messages request, or a bare list of messages, so that each message, tool
/// and block of a system prompt is a part for [`insert_parts`](super::BodyStore::insert_parts). Not a byte is altered:
/// the parts are the body, one after the other. The cuts in front of a message do not depend on what comes after it, so
/// that a request that resends a conversation begins with the same parts.
///
/// What is not understood (anything that is not JSON in UTF-8, or has no such list) is one part. O(n).
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
    let mut cuts = str::from_utf8(body).ok().and_then(cuts).unwrap_or_default();
    cuts.sort_unstable();
    let (mut parts, mut from) = (Vec::with_capacity(cuts.len() + 1), 0);
    for cut in cuts {
        if cut - from >= SHORTEST {
            parts.push(&body[from..cut]);
            from = cut;
        }
    }
    if from < body.len() || parts.is_empty() {
        parts.push(&body[from..]);
    }
    parts
}

/// Where each list begins, and each of its elements ends; none if it is not a request.
fn cuts(text: &str) -> Option<Vec<usize>> {
    let mut cuts = Vec::new();
    let mut cut = |list: &RawValue| {
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else { return };
        let place = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
        cuts.extend(elements.first().map(|first| place(first.get())));
        cuts.extend(elements.iter().map(|element| place(element.get()) + element.get().len()));
    };
    let root: &RawValue = serde_json::from_str(text).ok()?;
    if root.get().starts_with('[') {
        cut(root);
    } else {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(root.get()).ok()?;
        LISTS.iter().filter_map(|name| fields.get(*name)).for_each(|list| cut(list));
    }
    Some(cuts)
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
