//! What types say of themselves: when they are printed, over HTTP, on the wire, and in a configuration nobody has touched.

use std::fmt::Debug;
use std::sync::Arc;
use tollgate::body::{BodyConfig, BodyStore, Digest, Record};
use tollgate::budget::{Limits, Meter};
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::deadline::DeadlineQueue;
use tollgate::fifo::FifoMap;
use tollgate::handle::{Grant, HandleConfig, HandleRequest, HandleStore, Payload, Rows};
use tollgate::map::ShardedMap;
use tollgate::posture::{Guard, PostureConfig, PostureError, PostureMachine, TransitionKind};
use tollgate::retention::{Ingest, LossReason, MemoryTiers, RetentionConfig, TierError, Warning};
use tollgate::revocation::{RevocationConfig, RevocationSet};
use tollgate::session::{Sensitivity, SessionConfig, SessionRequest, SessionStore, ToolNames, Tools};
use tollgate::trace::TraceStore;

const SECRET: &str = "sk-live-1234";

/// Prints as itself, and nothing of what is a secret.
fn says(it: &impl Debug, name: &str) {
    let said = format!("{it:?}");
    assert!(said.starts_with(name), "{said} is a {name}");
    assert!(!said.contains(SECRET), "{said} gives a secret away");
}

#[test]
fn maps_and_queues_print_without_what_they_hold() {
    let map = ShardedMap::new();
    map.pin().insert(SECRET, SECRET);
    says(&map, "ShardedMap { .. }");
    says(&map.pin(), "Pinned { map: ShardedMap");

    let builder = FifoMap::<&str, &str>::builder(3).max_bytes(10, |_, value| value.len() as u64);
    says(&builder, "Builder { cap: 3, max_bytes: ");
    let fifo = builder.build().unwrap();
    fifo.insert(SECRET, "").unwrap();
    says(&fifo, "FifoMap { cap: 3, len: 1");
    says(&fifo.insert("heavy", SECRET).unwrap_err(), "TooHeavy { weight: 12, max: 10");

    let queue = DeadlineQueue::new();
    queue.add(SECRET, Timestamp::MAX);
    says(&queue, "DeadlineQueue { len: ");
    says(&Meter::new(Limits::new(7), Timestamp::ZERO).unwrap(), "Meter { limits: Limits { budget: 7");
}

#[test]
fn stores_print_without_what_they_hold() {
    let sessions = SessionStore::new(SessionConfig::new()).unwrap();
    sessions.create(SessionRequest::new(uuid::Uuid::nil()).intent(SECRET)).unwrap();
    says(&sessions, "SessionStore { stats: SessionStats { live: 1");
    says(&sessions.pin(), "Pinned { ..");

    let set = RevocationSet::<String, String>::new(RevocationConfig::new().capacity(9)).unwrap();
    set.revoke(SECRET.to_owned(), Timestamp::MAX).unwrap();
    says(&set, "RevocationSet { config: RevocationConfig { capacity: 9");
    says(&set.pin(), "Pinned { now: ");

    let traces = TraceStore::<tollgate::trace::ActionTrace>::new(5).unwrap();
    says(&traces, "TraceStore { stats: FifoStats {");
    says(&traces.clone(), "TraceStore { stats: FifoStats {");

    let handles = HandleStore::<String>::new(HandleConfig::new()).unwrap();
    handles.store(HandleRequest::new("read"), SECRET.to_owned()).unwrap();
    says(&handles, "HandleStore {");

    says(&BodyStore::new(BodyConfig::new()).unwrap(), "BodyStore { stats: BodyStats {");

    let machine = PostureMachine::new(PostureConfig::new()).unwrap();
    machine.enroll(SECRET, SECRET).unwrap();
    says(&machine, "PostureMachine { stats: PostureStats { agents: 1");
    says(&Guard::new("office-hours", |_| true), "Guard { name: \"office-hours\"");

    let tiers = MemoryTiers::<String>::new(2).unwrap();
    tiers.ingest(SECRET.to_owned(), Ingest::new(), SECRET.as_bytes()).unwrap();
    says(&tiers, "MemoryTiers { sessions: 1");
}

#[test]
fn a_digest_prints_as_its_digits() {
    let digest = Digest::of(b"");
    assert_eq!(format!("{digest:?}"), format!("Digest({digest})"));
    assert!(digest.to_string().starts_with("e3b0c442"));
    let id =
        BodyStore::new(BodyConfig::new()).unwrap().note(Record::log("turn", Timestamp::ZERO, "info", "")).unwrap().id;
    assert_eq!(format!("{id:?}"), format!("RecordId({id})"));
}

/// Not compared as values: some hold closures.
#[test]
fn a_default_configuration_is_a_new_one() {
    fn same(one: impl Debug, two: impl Debug) {
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
    same(PostureConfig::default(), PostureConfig::new());
    same(RevocationConfig::default(), RevocationConfig::new());
    same(RetentionConfig::default(), RetentionConfig::new());
    same(HandleConfig::default(), HandleConfig::new());
    same(BodyConfig::default(), BodyConfig::new());
    same(SessionConfig::default(), SessionConfig::new());
    assert!(ShardedMap::<u64, u64>::default().is_empty());
}

#[test]
fn a_posture_configuration_prints_what_it_settles() {
    let config = PostureConfig::new().history(77).agents(11).upgrade_approval(false);
    let said = format!("{config:?}");
    assert!(said.contains("history: 77") && said.contains("agents: 11") && said.contains("upgrade_approval: false"));
}

#[test]
fn refusals_have_their_status_over_http() {
    let postures = [PostureError::Latched, PostureError::WouldRaise].map(|error| error.http_status());
    assert_eq!(postures, [423, 409]);
    let tiers = MemoryTiers::<u64>::new(1).unwrap();
    tiers.ingest(1, Ingest::new(), *b"raw").unwrap();
    let missing = tiers.raw(&2).unwrap_err();
    let exists = tiers.ingest(1, Ingest::new(), *b"raw").unwrap_err();
    let full = tiers.ingest(2, Ingest::new(), *b"raw").unwrap_err();
    assert_eq!([missing, exists, full].map(|error| error.http_status()), [404, 409, 503]);
    assert_eq!(TierError::Evicted.http_status(), 410);
}

#[test]
fn kinds_of_transitions_have_their_names_on_the_wire() {
    use TransitionKind::{Downgrade, EmergencyDowngrade, Maintain, Set, Upgrade};
    let names = [Upgrade, Downgrade, Maintain, EmergencyDowngrade, Set].map(|kind| kind.to_string());
    assert_eq!(names, ["upgrade", "downgrade", "maintain", "emergency_downgrade", "set"]);
    assert_eq!(format!("{Upgrade:>9}|"), "  upgrade|");
}

#[test]
fn warnings_of_retention_name_no_session() {
    let (id, error) = (SECRET.to_owned(), SECRET.to_owned());
    let warnings = [
        (Warning::AnalysisFailed { id: id.clone(), error }, "the analysis of a session failed"),
        (Warning::AnalysisWithoutEffect { id }, "the analysis of a session had no effect"),
        (
            Warning::Tier2OverCap { usage: 9, cap: 8 },
            "9 bytes of distilled data are over the cap of 8: flag them for curation",
        ),
    ];
    for (warning, said) in warnings {
        assert_eq!(warning.to_string(), said);
    }
    use LossReason::{AnalysisFailed, AnalysisWithoutEffect, NoAnalysis, NotReached};
    let reasons = [NoAnalysis, AnalysisFailed, AnalysisWithoutEffect, NotReached].map(|reason| reason.to_string());
    let said = [
        "there was no analysis",
        "its analysis failed",
        "its analysis had no effect",
        "it came in too late to be analysed",
    ];
    assert_eq!(reasons, said);
}

#[test]
fn a_session_keeps_what_its_request_said() {
    let store = SessionStore::new(SessionConfig::new()).unwrap();
    let chain = vec!["alice".to_owned(), "agent-7".to_owned()];
    let request = SessionRequest::new(uuid::Uuid::nil())
        .intent("book a flight")
        .delegation_chain(chain.clone())
        .sensitivity_ceiling(Sensitivity::Restricted)
        .tools(Tools::only(["search", "book"]));
    let id = store.create(request).unwrap();
    let kept = store.get(&id).unwrap().request;
    assert_eq!((&*kept.intent, &kept.delegation_chain), ("book a flight", &chain));
    assert_eq!(kept.sensitivity_ceiling, Sensitivity::Restricted);
    let Tools::Only(tools) = &kept.tools else { panic!("expected the two tools") };
    assert_eq!(tools.iter().collect::<Vec<_>>(), ["search", "book"]);
    assert_eq!(format!("{:?}", tools as &ToolNames), r#"["search", "book"]"#);
}

#[test]
fn a_shared_clock_is_a_clock() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_secs(5)));
    assert_eq!(Clock::now(&clock), Timestamp::from_secs(5));
}

#[test]
fn payloads_count_what_they_hold_and_what_they_could() {
    let header = |bytes: usize| bytes as u64;
    let mut text = String::with_capacity(100);
    text.push('a');
    assert_eq!(text.bytes(), header(size_of::<String>()) + text.capacity() as u64);
    let mut bytes = Vec::<u8>::with_capacity(64);
    bytes.push(1);
    assert_eq!(bytes.bytes(), header(size_of::<Vec<u8>>()) + bytes.capacity() as u64);
    assert_eq!(Box::<str>::from("abc").bytes(), header(size_of::<Box<str>>()) + 3);
    assert_eq!(Box::<[u8]>::from([1; 5]).bytes(), header(size_of::<Box<[u8]>>()) + 5);

    // Room for so many more that no other sum of these numbers comes to the same.
    let mut list = Vec::with_capacity(7);
    list.extend([Box::<str>::from("abc"), Box::<str>::from("de")]);
    let spare = (list.capacity() - 2) * size_of::<Box<str>>();
    let items = 2 * size_of::<Box<str>>() + 5;
    assert_eq!((list.bytes(), list.rows()), (header(size_of::<Vec<u8>>() + spare + items), 2));
    let alone = list.bytes();
    let shared = Arc::new(list);
    assert_eq!((shared.bytes(), shared.rows()), (alone + header(3 * size_of::<usize>()), 2));
    assert_eq!(Box::<str>::from("one row").rows(), 1);
}

#[test]
fn rows_give_back_what_they_were_made_of() {
    let (value, grant) = (serde_json::json!([{"a": 1}]), Grant::new().max_rows(3));
    let rows = Rows::new(value.clone(), grant.clone());
    assert_eq!((rows.value(), rows.grant()), (&value, &grant));
}
