//! The rules of dispatch's trace store (bodies by content, pruning, turns), and its known flaws as regression tests.
//!
//! Rules are ported, not code: each test states one behaviour of `BodyStore` that users of dispatch rely on, or one that
//! upstream gets wrong. Time stands still unless a test moves it.

mod common;

use common::sum_over_threads;
use std::time::Duration;
use tollgate::body::{
    BodyConfig, BodyError, BodyStore, Digest, Freed, PrunePolicy, Receipt, Record, RecordId, SpanStatus,
};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::error::ConfigError;

type Bodies = BodyStore<ManualClock>;

const NOW: Timestamp = Timestamp::from_secs(10_000_000);
const SECOND: Duration = Duration::from_secs(1);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn bodies_of(config: BodyConfig) -> Bodies {
    BodyStore::with_clock(config, ManualClock::new(NOW)).unwrap()
}

fn bodies() -> Bodies {
    bodies_of(BodyConfig::new())
}

/// A record of `turn`, this long ago.
fn log(turn: &str, name: &str, ago: Duration) -> Record {
    Record::log(turn, NOW.saturating_sub(ago), "info", name)
}

/// Inserts a record of its own turn, a second ago.
fn put(store: &Bodies, name: &str, body: &[u8]) -> Receipt {
    store.insert(log(name, name, SECOND), body).unwrap()
}

fn names(store: &Bodies, turn: &str) -> Vec<String> {
    let text = |stored: &tollgate::body::StoredRecord| format!("{:?}", stored.record.event);
    store.get_turn(turn).iter().map(|stored| text(stored).split('"').nth(3).unwrap().to_owned()).collect()
}

/// 300 bytes that do not get shorter.
fn noise(seed: u64) -> Vec<u8> {
    let block = |i: u64| *Digest::of(&[seed.to_le_bytes(), i.to_le_bytes()].concat()).as_bytes();
    (0..10).flat_map(block).take(300).collect()
}

/// What a record with `body` takes in a store of its own.
fn weight(name: &str, body: &[u8]) -> u64 {
    let store = bodies();
    put(&store, name, body);
    store.stats().bytes
}

// Records and turns.

#[test]
fn a_turn_is_in_order_of_time_and_then_of_insertion() {
    let store = bodies();
    for (name, ago) in [("d", 1), ("b", 3), ("c", 3), ("a", 9)] {
        store.note(log("turn", name, ago * SECOND)).unwrap();
    }
    store.note(log("other", "x", SECOND)).unwrap();
    assert_eq!(names(&store, "turn"), ["a", "b", "c", "d"]);
}

#[test]
fn an_unknown_turn_has_no_records_and_no_words() {
    assert_eq!((bodies().get_turn("nobody's").len(), bodies().render_turn("nobody's")), (0, String::new()));
}

#[test]
fn a_record_keeps_every_field() {
    let store = bodies();
    let record = Record::close("turn", NOW, "span", "chat", Duration::from_millis(80), SpanStatus::Error)
        .parent("root")
        .source("gateway")
        .conversation("talk")
        .link("other-span")
        .attribute("model", "large");
    let receipt = store.insert(record.clone(), b"body").unwrap();
    let stored = store.record(&receipt.id).unwrap();
    assert_eq!((&stored.record, stored.body, stored.body_len), (&record, receipt.body, 4));
    assert_eq!(store.get_turn("turn")[0].record, record);
}

#[test]
fn a_body_is_there_absent_or_empty() {
    let store = bodies();
    let with = put(&store, "with", b"text");
    assert_eq!(store.get(&with.body.unwrap()).unwrap(), b"text");
    let empty = put(&store, "empty", b"");
    assert_eq!(store.get(&empty.body.unwrap()).unwrap(), b"");
    let without = store.note(log("without", "without", SECOND)).unwrap();
    assert_eq!((without.body, store.record(&without.id).unwrap().body), (None, None));
    let digest = Digest::of(b"never stored");
    assert_eq!(store.get(&digest), Err(BodyError::NoBody { digest }));
}

#[test]
fn the_same_record_inserted_again_is_ignored() {
    let store = bodies();
    let first = put(&store, "a", b"text");
    let bytes = store.stats().bytes;
    let again = put(&store, "a", b"text");
    assert!(first.is_new && !again.is_new);
    assert_eq!((first.id, first.body), (again.id, again.body));
    let stats = store.stats();
    assert_eq!((stats.records, stats.bytes, stats.inserted, stats.duplicates), (1, bytes, 1, 1));
    assert!(put(&store, "a", b"another").is_new, "another body makes it another record");
}

#[test]
fn records_that_differ_in_any_field_have_different_ids() {
    let base = || Record::log("turn", NOW, "info", "text");
    let records = [
        base(),
        Record::log("turm", NOW, "info", "text"),
        Record::log("turn", NOW.saturating_sub(SECOND), "info", "text"),
        Record::log("turn", NOW, "inf", "otext"),
        Record::open("turn", NOW, "span", "text"),
        Record::close("turn", NOW, "span", "text", SECOND, SpanStatus::Ok),
        Record::close("turn", NOW, "span", "text", SECOND, SpanStatus::Error),
        Record::close("turn", NOW, "span", "text", 2 * SECOND, SpanStatus::Ok),
        base().parent("x"),
        base().source("x"),
        base().conversation("x"),
        base().link("x"),
        base().link("x").link("y"),
        base().link("x").attribute("y", ""),
        base().attribute("x", "y"),
    ];
    let store = bodies();
    let mut ids: Vec<RecordId> = records.iter().map(|record| store.note(record.clone()).unwrap().id).collect();
    assert_eq!(ids[0].to_string().len(), 32);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), records.len());
}

#[test]
fn a_turn_reads_well() {
    let store = bodies();
    let at = |millis| NOW.saturating_add(Duration::from_millis(millis));
    store.note(Record::open("t-1", at(0), "root", "turn")).unwrap();
    store.insert(Record::open("t-1", at(2), "chat", "chat").parent("root"), b"request").unwrap();
    store.note(Record::log("t-1", at(90), "warn", "slow").parent("chat")).unwrap();
    let close = Record::close("t-1", at(1_500), "chat", "chat", Duration::from_millis(1_498), SpanStatus::Error);
    store.insert(close.parent("root"), b"response body").unwrap();
    let expected = "turn t-1: 4 records, 20 bytes of bodies\n\
                    \x20      0 ms  turn ...\n\
                    \x20      2 ms    chat ... [7 bytes]\n\
                    \x20     90 ms      warn: slow\n\
                    \x20   1500 ms    chat error after 1498 ms [13 bytes]\n";
    assert_eq!(store.render_turn("t-1"), expected);
}

#[test]
fn spans_that_contain_each_other_are_rendered_all_the_same() {
    let store = bodies();
    store.note(Record::open("t", NOW, "a", "a").parent("b")).unwrap();
    store.note(Record::open("t", NOW, "b", "b").parent("a")).unwrap();
    assert_eq!(store.render_turn("t").lines().count(), 3);
}

// Contents.

#[test]
fn identical_bodies_are_stored_once_and_read_from_both_records() {
    let store = bodies();
    let (one, two) = (put(&store, "a", b"shared"), put(&store, "b", b"shared"));
    assert_ne!(one.id, two.id);
    assert_eq!(one.body, two.body);
    assert_eq!((store.stats().bodies, store.stats().parts, store.stats().stored_bytes), (1, 1, 6));
    put(&store, "c", b"another");
    assert_eq!((store.stats().bodies, store.stats().stored_bytes), (2, 13));
}

#[test]
fn a_body_is_compressed_above_1024_bytes_and_only_if_that_is_smaller() {
    let stored = |body: &[u8]| {
        let store = bodies();
        let receipt = put(&store, "a", body);
        assert_eq!(store.get(&receipt.body.unwrap()).unwrap(), body);
        store.stats().stored_bytes
    };
    assert_eq!(stored(&[b'x'; 1_024]), 1_024);
    assert!(stored(&[b'x'; 1_025]) < 100);
    let long: Vec<u8> = (0..40).flat_map(noise).collect();
    assert_eq!(stored(&long), 12_000);
}

#[test]
fn what_is_compressed_and_what_is_held_are_configured_apart() {
    let store = bodies_of(BodyConfig::new().max_bytes(9_999).records_per_turn(1).compress_above(usize::MAX));
    put(&store, "a", &[b'x'; 5_000]);
    assert_eq!((store.stats().stored_bytes, store.stats().max_bytes), (5_000, 9_999));
    assert_eq!(store.note(log("a", "b", SECOND)), Err(BodyError::TurnFull { max: 1 }));
}

#[test]
fn digests_are_those_that_any_other_tool_prints() {
    // Upstream's own hash agreed with SHA-256 for the empty string only.
    let printed = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let store = bodies();
    assert_eq!(put(&store, "a", b"abc").body.unwrap().to_string(), printed);
    let parts: [&[u8]; 2] = [b"a", b"bc"];
    let receipt = store.insert_parts(log("b", "b", SECOND), &parts).unwrap();
    assert_eq!(receipt.body.unwrap().to_string(), printed);
}

#[test]
fn a_body_may_be_any_bytes() {
    // Upstream lost lone surrogates.
    let store = bodies();
    let body = [0xed, 0xa0, 0x80, 0x00, 0xff];
    assert_eq!(store.get(&put(&store, "a", &body).body.unwrap()).unwrap(), body);
}

#[test]
fn a_conversation_that_is_resent_costs_what_is_new() {
    let store = bodies();
    let parts: Vec<Vec<u8>> = (0..50).map(noise).collect();
    for turn in 1..=50 {
        let parts: Vec<_> = parts[..turn].iter().map(Vec::as_slice).chain([b"]".as_slice()]).collect();
        let name = turn.to_string();
        let receipt = store.insert_parts(log(&name, &name, SECOND), &parts).unwrap();
        assert_eq!(store.get(&receipt.body.unwrap()).unwrap(), parts.concat());
    }
    let stats = store.stats();
    assert_eq!((stats.bodies, stats.parts, stats.stored_bytes), (50, 51, 50 * 300 + 1));
    assert_eq!((stats.offered_bytes, stats.offered_parts), (300 * 50 * 51 / 2 + 50, 50 * 51 / 2 + 50));
}

// Pruning.

#[test]
fn records_older_than_the_policy_go_with_their_bodies_and_newer_ones_stay() {
    let store = bodies();
    let old = store.insert(log("old", "old", WEEK + SECOND), b"old").unwrap();
    let new = store.insert(log("new", "new", SECOND), b"new").unwrap();
    let report = store.prune(PrunePolicy::default());
    assert_eq!((report.by_age.records, report.by_age.bodies, report.by_bytes), (1, 1, Freed::default()));
    assert!(store.get(&old.body.unwrap()).is_err() && store.record(&old.id).is_err());
    assert!(store.get_turn("old").is_empty());
    assert_eq!(store.get(&new.body.unwrap()).unwrap(), b"new");
}

#[test]
fn a_record_exactly_as_old_as_the_policy_stays() {
    let store = bodies();
    store.note(log("a", "a", WEEK)).unwrap();
    assert_eq!(store.prune(PrunePolicy::default()).total(), Freed::default());
    store.note(log("b", "b", WEEK + Duration::from_nanos(1))).unwrap();
    assert_eq!(store.prune(PrunePolicy::default()).total().records, 1);
    assert_eq!(store.stats().evicted_for_age, 1);
}

#[test]
fn an_old_record_behind_newer_ones_goes_too() {
    let store = bodies();
    store.note(log("new", "new", SECOND)).unwrap();
    store.note(log("old", "old", 2 * WEEK)).unwrap();
    assert_eq!(store.prune(PrunePolicy::default()).by_age.records, 1);
    assert!(store.get_turn("old").is_empty() && !store.get_turn("new").is_empty());
}

#[test]
fn pruning_by_bytes_takes_the_oldest_and_stops_at_the_limit() {
    let one = weight("1", &noise(1));
    let store = bodies();
    let receipts = ["1", "2", "3"].map(|name| put(&store, name, &noise(name.parse().unwrap())));
    // What equals the limit stays.
    assert_eq!(store.prune(PrunePolicy::keep_all().max_bytes(3 * one)).total(), Freed::default());
    let report = store.prune(PrunePolicy::keep_all().max_bytes(3 * one - 1));
    assert_eq!((report.by_bytes.records, report.by_bytes.bodies, report.by_bytes.bytes), (1, 1, one));
    assert!(store.record(&receipts[0].id).is_err());
    assert_eq!(store.get(&receipts[2].body.unwrap()).unwrap(), noise(3));
    assert_eq!(store.prune(PrunePolicy::keep_all().max_bytes(one)).by_bytes.records, 1);
}

#[test]
fn a_policy_without_limits_prunes_nothing() {
    let store = bodies();
    store.insert(log("a", "a", 100 * WEEK), b"text").unwrap();
    assert_eq!(store.prune(PrunePolicy::keep_all()).total(), Freed::default());
}

#[test]
fn a_shared_body_stays_while_a_record_refers_to_it() {
    let store = bodies();
    store.insert(log("old", "old", 2 * WEEK), b"shared").unwrap();
    let new = store.insert(log("new", "new", SECOND), b"shared").unwrap();
    let report = store.prune(PrunePolicy::default());
    assert_eq!((report.by_age.records, report.by_age.bodies), (1, 0));
    assert_eq!(store.get(&new.body.unwrap()).unwrap(), b"shared");
    assert_eq!(store.release(&new.id).unwrap().bodies, 1);
}

#[test]
fn a_released_record_is_gone_and_so_is_all_that_it_took() {
    let store = bodies();
    let receipt = put(&store, "a", b"text");
    let freed = store.release(&receipt.id).unwrap();
    assert_eq!((freed.records, freed.bodies, freed.bytes), (1, 1, weight("a", b"text")));
    assert_eq!(store.release(&receipt.id), Err(BodyError::NoRecord));
    let stats = store.stats();
    assert_eq!((stats.records, stats.bodies, stats.parts, stats.bytes, stats.released), (0, 0, 0, 0, 1));
    assert!(put(&store, "a", b"text").is_new);
}

// The cap.

#[test]
fn the_oldest_records_make_room_and_the_bytes_never_exceed_the_cap() {
    let one = weight("10", &noise(0));
    let store = bodies_of(BodyConfig::new().max_bytes(3 * one));
    for number in 10..30 {
        put(&store, &number.to_string(), &noise(number));
        assert!(store.stats().bytes <= 3 * one);
    }
    let stats = store.stats();
    assert_eq!((stats.records, stats.bytes, stats.evicted_for_bytes), (3, 3 * one, 17));
    assert!(store.get_turn("26").is_empty() && !store.get_turn("27").is_empty());
}

#[test]
fn a_hot_body_outlives_its_first_record() {
    // Upstream judged a shared body by its oldest record, and deleted its newest ones with it.
    let one = weight("10", &noise(0));
    let store = bodies_of(BodyConfig::new().max_bytes(4 * one));
    for number in 10..40 {
        let name = number.to_string();
        let shared = store.insert(log(&name, "hot", SECOND), b"hot").unwrap();
        put(&store, &name, &noise(number));
        assert_eq!(store.get(&shared.body.unwrap()).unwrap(), b"hot");
    }
    assert!(store.stats().evicted_for_bytes > 40);
}

#[test]
fn a_body_larger_than_the_cap_is_refused_and_evicts_nothing() {
    let one = weight("a", &noise(1));
    let store = bodies_of(BodyConfig::new().max_bytes(one));
    put(&store, "a", &noise(1));
    let body: Vec<u8> = (0..9).flat_map(noise).collect();
    let (large, max) = (weight("b", &body), one);
    assert_eq!(store.insert(log("b", "b", SECOND), &body), Err(BodyError::TooLarge { bytes: large, max }));
    // Nor is one that would only fit because of what it shares.
    let (first, second) = (noise(1), noise(2));
    let refused = store.insert_parts(log("b", "b", SECOND), &[&first, &second]);
    assert!(matches!(refused, Err(BodyError::TooLarge { .. })));
    let stats = store.stats();
    assert_eq!((stats.records, stats.bytes, stats.evicted_for_bytes, stats.refused), (1, one, 0, 2));
    assert!(store.get_turn("b").is_empty());
}

#[test]
fn a_body_that_takes_all_of_the_cap_is_accepted() {
    let one = weight("a", &noise(1));
    let store = bodies_of(BodyConfig::new().max_bytes(one));
    for number in 0..5 {
        put(&store, "a", &noise(number));
        assert_eq!(store.stats().records, 1);
    }
    let short = bodies_of(BodyConfig::new().max_bytes(one - 1));
    assert!(matches!(short.insert(log("a", "a", SECOND), &noise(1)), Err(BodyError::TooLarge { .. })));
}

#[test]
fn records_without_bodies_count_towards_the_cap() {
    // Upstream kept 1,001 of them under a cap of nothing.
    let store = bodies_of(BodyConfig::new().max_bytes(10_000));
    for number in 0..1_001 {
        store.note(log("turn", &number.to_string(), SECOND)).unwrap();
        assert!(store.stats().bytes <= 10_000);
    }
    assert!(store.stats().records < 20);
    let heavy = log("turn", &"x".repeat(10_000), SECOND);
    let before = store.stats().records;
    let refused = store.note(heavy.clone()).unwrap_err();
    assert!(matches!(refused, BodyError::TooLarge { bytes, max: 10_000 } if bytes > 10_000), "{refused:?}");
    assert_eq!(store.stats().records, before, "nothing is evicted for what is refused");
    let bytes = {
        let roomy = bodies();
        roomy.note(heavy.clone()).unwrap();
        roomy.stats().bytes
    };
    let exact = bodies_of(BodyConfig::new().max_bytes(bytes));
    exact.note(heavy).unwrap();
    assert_eq!(exact.stats().bytes, bytes);
}

#[test]
fn a_body_that_is_there_is_accepted_however_finely_it_is_cut() {
    let store = bodies_of(BodyConfig::new().max_bytes(4_000));
    let body = noise(1);
    put(&store, "whole", &body);
    let cut: Vec<_> = body.chunks(1).collect();
    let receipt = store.insert_parts(log("cut", "cut", SECOND), &cut).unwrap();
    assert_eq!((store.stats().bodies, store.get(&receipt.body.unwrap()).unwrap()), (1, body));
}

#[test]
fn nothing_is_left_behind_without_a_record() {
    // Upstream never collected such bodies.
    let store = bodies_of(BodyConfig::new().max_bytes(20_000));
    for number in 0..200 {
        let (one, two) = (noise(number), noise(number + 1));
        let name = number.to_string();
        store.insert_parts(log(&name, "x", (number as u32) * SECOND), &[&one, &two, &one]).unwrap();
    }
    store.prune(PrunePolicy::keep_all().max_bytes(0));
    let stats = store.stats();
    assert_eq!((stats.records, stats.bodies, stats.parts, stats.stored_bytes, stats.bytes), (0, 0, 0, 0, 0));
}

#[test]
fn a_turn_that_is_full_refuses_and_stores_nothing() {
    let store = bodies_of(BodyConfig::new().records_per_turn(2));
    for name in ["a", "b"] {
        store.note(log("turn", name, SECOND)).unwrap();
    }
    let before = store.stats();
    let refused = store.insert(log("turn", "c", SECOND), b"text");
    assert_eq!(refused, Err(BodyError::TurnFull { max: 2 }));
    let after = store.stats();
    assert_eq!((after.bytes, after.parts, after.refused), (before.bytes, before.parts, 1));
    store.insert(log("other", "c", SECOND), b"text").unwrap();
}

#[test]
fn a_refused_insert_evicts_nothing() {
    let store = bodies_of(BodyConfig::new().max_bytes(200_000).records_per_turn(2));
    for name in 0..150 {
        store.note(log(&format!("{}", name / 2), &name.to_string(), SECOND)).unwrap();
    }
    let before = store.stats();
    // Its turn is full, and so nearly is the store.
    let large: Vec<u8> = (0..600).flat_map(noise).collect();
    assert_eq!(store.insert(log("0", "x", SECOND), &large), Err(BodyError::TurnFull { max: 2 }));
    let after = store.stats();
    assert_eq!((after.records, after.bytes, after.evicted_for_bytes), (before.records, before.bytes, 0));
    // Its joins alone are over the cap: it is refused before anything is compressed.
    let parts: Vec<_> = large.chunks(2).collect();
    assert!(matches!(store.insert_parts(log("y", "y", SECOND), &parts), Err(BodyError::TooLarge { .. })));
    assert_eq!(store.stats().records, before.records);
}

#[test]
fn a_body_that_shares_finely_cut_parts_fits_or_is_too_large() {
    // What is there is heavier than it would be in one piece: 100 parts, each with what goes with it.
    let store = bodies_of(BodyConfig::new().max_bytes(70_000));
    let fine = noise(1);
    let cut: Vec<_> = fine[..100].chunks(1).collect();
    store.insert_parts(log("fine", "fine", SECOND), &cut).unwrap();
    for name in 0..10 {
        store.note(log("notes", &name.to_string(), SECOND)).unwrap();
    }
    let long: Vec<u8> = (2..120).flat_map(noise).collect();
    let refused = store.insert_parts(log("x", "x", SECOND), &[&fine[..100], &long]);
    assert!(matches!(refused, Err(BodyError::TooLarge { .. })), "{refused:?}");
    assert_eq!((store.stats().records, store.stats().evicted_for_bytes), (11, 0));
    store.insert_parts(log("x", "x", SECOND), &[&fine[..100], &long[..10_000]]).unwrap();
}

#[test]
fn a_body_of_exactly_the_cap_may_have_a_part_that_is_one_of_its_prefixes() {
    let parts: [&[u8]; 4] = [b"x", b"x", b"xx", b"x"];
    let free = bodies();
    free.insert_parts(log("a", "a", SECOND), &parts).unwrap();
    let store = bodies_of(BodyConfig::new().max_bytes(free.stats().bytes));
    store.insert_parts(log("a", "a", SECOND), &parts).unwrap();
    assert_eq!(store.stats().bytes, free.stats().bytes);
}

#[test]
fn large_bodies_from_several_threads_are_not_refused_for_each_other() {
    let body =
        |thread: u64, i: u64| -> Vec<u8> { (0..100).flat_map(|block| noise(thread << 32 | i << 16 | block)).collect() };
    let one = weight("thread/number", &body(0, 0));
    let store = bodies_of(BodyConfig::new().max_bytes(one + one / 2));
    let stored = sum_over_threads(|thread| {
        let insert = |i: u64| {
            let name = format!("{thread}/{i}");
            u64::from(store.insert(log(&name, &name, SECOND), &body(thread, i)).is_ok())
        };
        (0..20).map(insert).sum()
    });
    assert_eq!((stored, store.stats().refused), (200, 0));
}

#[test]
fn what_a_record_says_counts_towards_the_cap() {
    let bytes = |record: Record| {
        let store = bodies();
        store.note(record).unwrap();
        store.stats().bytes
    };
    let base = bytes(log("turn", "", SECOND));
    assert_eq!(bytes(log("turn", &"x".repeat(5_000), SECOND)) - base, 5_000);
    let mut roomy = String::with_capacity(100_000);
    roomy.push('x');
    assert_eq!(bytes(Record::log("turn", NOW, "info", roomy)) - base, 1, "and room that it does not use is given back");
    assert!(bytes(log("turn", "", SECOND).attribute("name", "value")) - base > 500);
    assert!(bytes(log("turn", "", SECOND).link("span").parent("span")) - base > 100);
}

#[test]
fn a_turn_reads_line_by_line_whatever_it_says() {
    let store = bodies();
    store.note(log("t\n1", "ends\n       0 ms  forged ok after 1 ms", SECOND)).unwrap();
    let text = store.render_turn("t\n1");
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains("ends\\n"));
    // Spans within spans, more than could be indented.
    let store = bodies_of(BodyConfig::new().records_per_turn(100));
    for span in 0..100_u32 {
        store.note(Record::open("t", NOW, span.to_string(), "span").parent((span + 1).to_string())).unwrap();
    }
    let widest = store.render_turn("t").lines().map(str::len).max();
    assert!(widest.is_some_and(|widest| widest < 100), "{widest:?}");
}

#[test]
fn every_record_of_a_prune_is_counted_once_for_its_own_reason() {
    // Upstream counted one body for each of its records, and bodies as records.
    let store = bodies();
    for name in ["a", "b", "c"] {
        store.insert(log(name, name, 2 * WEEK), b"shared by the old").unwrap();
    }
    for name in ["d", "e"] {
        store.insert(log(name, name, SECOND), b"shared by the new").unwrap();
    }
    let before = store.stats().bytes;
    let report = store.prune(PrunePolicy::default().max_bytes(0));
    assert_eq!((report.by_age.records, report.by_age.bodies), (3, 1));
    assert_eq!((report.by_bytes.records, report.by_bytes.bodies), (2, 1));
    assert_eq!(report.total().bytes, before);
    let stats = store.stats();
    assert_eq!((stats.inserted, stats.evicted_for_age, stats.evicted_for_bytes), (5, 3, 2));
}

#[test]
fn a_configuration_of_nothing_is_refused_by_name() {
    let refused = |config| BodyStore::new(config).unwrap_err();
    assert_eq!(refused(BodyConfig::new().max_bytes(0)), ConfigError::Zero { what: "max_bytes" });
    assert_eq!(refused(BodyConfig::new().records_per_turn(0)), ConfigError::Zero { what: "records_per_turn" });
}

#[test]
fn errors_say_what_happened_and_have_their_status() {
    let digest = Digest::of(b"");
    let cases = [
        (BodyError::NoBody { digest }, 404),
        (BodyError::NoRecord, 404),
        (BodyError::TooLarge { bytes: 2, max: 1 }, 413),
        (BodyError::TurnFull { max: 1 }, 429),
        (BodyError::NoRoom { bytes: 1, max: 1 }, 503),
    ];
    for (error, status) in cases {
        assert_eq!(error.http_status(), status, "{error}");
    }
}

#[test]
fn the_same_record_from_ten_threads_is_inserted_by_one() {
    for _ in 0..20 {
        let store = bodies();
        let new = sum_over_threads(|_| u64::from(put(&store, "a", b"text").is_new));
        let stats = store.stats();
        assert_eq!((new, stats.records, stats.bodies, stats.bytes), (1, 1, 1, weight("a", b"text")));
        assert_eq!((stats.inserted, stats.duplicates, store.get_turn("a").len()), (1, 9, 1));
    }
}
