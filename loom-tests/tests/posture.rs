//! Races of the posture machine's operations.

use loom_tests::{Order, bounded, coarse, exhaustive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, Emergency, Guard, HistoryQuery, Posture, PostureConfig, PostureMachine, Refusal, Scope,
    TransitionRequest, TransitionResult,
};

use Posture::{Autonomous, Delegating, Pseudo, Supervised, Tool};

type Machine = PostureMachine<ManualClock>;

const ANN: &str = "ann";
const BOB: &str = "bob";

/// Without a guard: what a guard would do lies between two looks at the agent, where loom goes anyway.
fn machine(config: PostureConfig) -> Machine {
    let clock = ManualClock::new(Timestamp::from_secs(100));
    PostureMachine::with_clock(config.upgrade_approval(false), clock).unwrap()
}

/// A machine that knows Ann, so that no insert is in the race.
fn knowing_ann(config: PostureConfig) -> Machine {
    let machine = machine(config);
    confirm(&machine, ANN);
    machine
}

fn go(machine: &Machine, agent: &str, from: Posture, to: Posture) -> Arc<TransitionResult> {
    machine.transition(&TransitionRequest::new(agent, from, to)).unwrap()
}

fn confirm(machine: &Machine, agent: &str) {
    assert!(go(machine, agent, Tool, Tool).success);
}

fn stop() -> Downgrade {
    Downgrade::new("stop")
}

/// Takes everyone down twice at a time, the second time with a latch.
fn stop_twice(order: Order, machine: &Machine) {
    let down = |order: Downgrade| {
        let machine = machine.clone();
        move || machine.downgrade_all(&Scope::Everyone, &order)
    };
    order.race(down(stop()), down(stop().latch()));
}

/// Takes the agents of `p` down beside `other`, and returns how many there were.
fn beside_downgrade_of_p(
    order: Order,
    machine: &Machine,
    down: Downgrade,
    other: impl FnOnce(&Machine) + Send + 'static,
) -> u64 {
    let (one, two) = (machine.clone(), machine.clone());
    let downgrade = move || two.downgrade_all(&Scope::Principal("p".into()), &down);
    order.race(move || other(&one), downgrade).1
}

/// The agent is changed once the transition was decided, and forgotten: that does not concern the one that comes back.
fn ask_before_a_change_and_forget(order: Order, machine: &Machine) {
    let changed = Arc::new(AtomicBool::new(false));
    let (inner, noted) = (machine.clone(), Arc::clone(&changed));
    machine.add_guard(Guard::new("changes", move |_| {
        noted.store(inner.set_posture(ANN, Supervised).is_ok(), Ordering::SeqCst);
        true
    }));
    let (one, two) = (machine.clone(), machine.clone());
    let forget = move || changed.load(Ordering::SeqCst).then(|| two.forget(ANN).unwrap());
    let (up, _) = order.race(move || go(&one, ANN, Tool, Autonomous), forget);
    assert_eq!(up.refusal, Some(Refusal::Superseded));
    // It holds the machine that holds it.
    assert!(machine.remove_guard("changes"));
}

fn of(machine: &Machine, agent: &str) -> Vec<Arc<TransitionResult>> {
    machine.history(&HistoryQuery::new().agent(agent))
}

fn assert_chained(records: &[Arc<TransitionResult>]) {
    for two in records.windows(2) {
        let left = if two[0].success { two[0].to } else { two[0].from };
        assert_eq!(two[1].from, left);
        assert!(two[0].seq < two[1].seq);
    }
}

fn assert_closed(machine: &Machine) {
    let stats = machine.stats();
    assert!(stats.records <= stats.history);
    assert_eq!(stats.recorded, stats.records + stats.dropped);
    assert_eq!(machine.history(&HistoryQuery::new()).len() as u64, stats.records);
}

#[test]
fn transition_transition_from_one_posture() {
    bounded(|order| {
        let machine = knowing_ann(PostureConfig::new());
        let (one, two) = (machine.clone(), machine.clone());
        let up = move || go(&one, ANN, Tool, Supervised);
        let (first, second) = order.race(up, move || go(&two, ANN, Tool, Delegating));
        assert!(first.success ^ second.success, "one wins");
        let (won, lost) = if first.success { (first, second) } else { (second, first) };
        assert!(matches!(lost.refusal, Some(Refusal::Stale | Refusal::Superseded)));
        assert_eq!(machine.get_posture(ANN), won.to);
        assert_eq!(of(&machine, ANN).len(), 3);
        assert_chained(&of(&machine, ANN));
    });
}

#[test]
fn transition_emergency() {
    bounded(|order| {
        let machine = knowing_ann(PostureConfig::new());
        let (one, two) = (machine.clone(), machine.clone());
        let emergency = move || {
            let _ = two.emergency_downgrade(ANN, &stop());
            two.get_posture(ANN)
        };
        let (up, seen) = order.race(move || go(&one, ANN, Tool, Autonomous), emergency);
        assert_eq!((seen, machine.get_posture(ANN)), (Pseudo, Pseudo), "the emergency was overwritten");
        assert!(up.success || matches!(up.refusal, Some(Refusal::Stale | Refusal::Superseded)));
        assert_chained(&of(&machine, ANN));
    });
}

#[test]
fn transition_emergency_with_a_latch() {
    bounded(|order| {
        let machine = knowing_ann(PostureConfig::new());
        let (one, two) = (machine.clone(), machine.clone());
        let emergency = move || {
            let _ = two.emergency_downgrade(ANN, &stop().latch());
            go(&two, ANN, Pseudo, Tool).refusal
        };
        // From level 1: it starts from where the emergency ends, and must fail all the same.
        let (up, after) = order.race(move || go(&one, ANN, Pseudo, Autonomous), emergency);
        assert_eq!(after, Some(Refusal::Latched));
        assert!(matches!(up.refusal, Some(Refusal::Stale | Refusal::Latched | Refusal::Superseded)));
        assert_eq!(machine.get_posture(ANN), Pseudo);
        assert!(machine.is_latched(ANN));
    });
}

/// Found in another posture when it was asked for, and in the right one when that was recorded.
#[test]
fn transition_set_posture_is_refused_for_what_was() {
    bounded(|order| {
        let machine = machine(PostureConfig::new().history(0));
        machine.enroll(ANN, "p").unwrap();
        let (one, two) = (machine.clone(), machine.clone());
        let set = move || two.set_posture(ANN, Supervised).unwrap();
        let (asked, _) = order.race(move || go(&one, ANN, Supervised, Autonomous), set);
        assert_eq!(asked.refusal == Some(Refusal::Stale), asked.from != Supervised);
    });
}

/// The agent goes down, and up again: what was decided before is still too late.
#[test]
fn transition_emergency_and_back() {
    bounded(|order| {
        let machine = knowing_ann(PostureConfig::new());
        let early = Arc::new(AtomicBool::new(false));
        let (inner, noted) = (machine.clone(), Arc::clone(&early));
        // Nobody has counted the emergency yet, so nobody has come back: it was decided before the emergency.
        machine.add_guard(Guard::new("notes", move |request| {
            noted.fetch_or(request.to == Autonomous && inner.stats().emergencies == 0, Ordering::SeqCst);
            true
        }));
        let (one, two) = (machine.clone(), machine.clone());
        let emergency = move || {
            let down = two.emergency_downgrade(ANN, &stop());
            assert!(go(&two, ANN, Pseudo, Tool).success);
            down.record().unwrap().seq
        };
        let (up, emergency) = order.race(move || go(&one, ANN, Tool, Autonomous), emergency);
        if early.load(Ordering::SeqCst) && up.success {
            assert!(up.seq < emergency, "decided before the emergency, and done after it");
        }
        assert_chained(&of(&machine, ANN));
        // It holds the machine that holds it.
        assert!(machine.remove_guard("notes"));
    });
}

#[test]
fn transition_change_and_forget() {
    bounded(|order| {
        let machine = machine(PostureConfig::new().history(0));
        machine.enroll(ANN, "p").unwrap();
        ask_before_a_change_and_forget(order, &machine);
    });
}

#[test]
fn transition_change_and_forget_of_an_unknown_agent() {
    bounded(|order| ask_before_a_change_and_forget(order, &machine(PostureConfig::new().history(0))));
}

#[test]
fn transition_downgrade_all() {
    coarse(|order| {
        let machine = knowing_ann(PostureConfig::new());
        let (one, two) = (machine.clone(), machine.clone());
        let downgrade = move || {
            let known = two.downgrade_all(&Scope::Everyone, &stop());
            (known, two.get_posture(ANN))
        };
        let (up, (known, seen)) = order.race(move || go(&one, ANN, Tool, Autonomous), downgrade);
        assert_eq!((known, seen, machine.get_posture(ANN)), (1, Pseudo, Pseudo));
        assert_eq!(machine.get_posture(BOB), Pseudo);
        assert!(up.success || up.refusal.is_some());
        let records = of(&machine, ANN);
        assert_eq!(records.len(), 3);
        assert_chained(&records);
    });
}

/// Whoever has seen one agent down sees the others down, entered or not.
#[test]
fn downgrade_all_is_one_instant_for_two() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        for agent in [ANN, BOB] {
            machine.enroll(agent, "p").unwrap();
        }
        let (one, two) = (machine.clone(), machine.clone());
        let look = move || [ANN, BOB, ANN].map(|agent| two.get_posture(agent) == Pseudo);
        let (_, down) = order.race(move || one.downgrade_all(&Scope::Everyone, &stop()), look);
        assert!(down.is_sorted(), "one was seen down, and another up afterwards: {down:?}");
    });
}

#[test]
fn transition_downgrade_of_its_principal() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        machine.enroll(ANN, "p").unwrap();
        let up = |machine: &Machine| drop(go(machine, ANN, Tool, Autonomous));
        let known = beside_downgrade_of_p(order, &machine, stop().latch(), up);
        assert_eq!((machine.stats().emergencies, machine.stats().recorded), (1, 2));
        assert_eq!((known, machine.get_posture(ANN)), (1, Pseudo));
        assert!(machine.is_latched(ANN));
    });
}

/// The agent is inserted while everyone is taken down.
#[test]
fn insert_downgrade_all() {
    coarse(|order| {
        let machine = machine(PostureConfig::new());
        let (one, two) = (machine.clone(), machine.clone());
        let downgrade = move || {
            two.downgrade_all(&Scope::Everyone, &stop());
            two.get_posture(ANN)
        };
        let (_, seen) = order.race(move || go(&one, ANN, Tool, Autonomous), downgrade);
        let entered = machine.stats().emergencies;
        assert_eq!((seen, machine.get_posture(ANN)), (Pseudo, Pseudo));
        assert_chained(&of(&machine, ANN));
        assert_eq!(machine.stats().emergencies, entered, "a downgrade was still to be entered");
    });
}

#[test]
fn insert_downgrade_all_counts_who_was_known() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        let (one, two) = (machine.clone(), machine.clone());
        let insert = move || {
            go(&one, ANN, Tool, Autonomous);
            one.get_posture(ANN)
        };
        let (seen, known) = order.race(insert, move || two.downgrade_all(&Scope::Everyone, &stop()));
        assert!(seen == Pseudo || known == 1, "known, and up, and not counted");
    });
}

#[test]
fn downgrade_all_downgrade_all_keeps_the_latch_of_strangers() {
    coarse(|order| {
        let machine = machine(PostureConfig::new());
        stop_twice(order, &machine);
        assert_eq!(machine.get_posture(ANN), Pseudo);
        assert!(machine.is_latched(ANN));
    });
}

/// The first order is entered into the agent when the second one has come: neither is missed.
#[test]
fn downgrade_all_downgrade_all_keeps_the_latch() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        machine.enroll(ANN, "p").unwrap();
        stop_twice(order, &machine);
        assert_eq!(machine.stats().emergencies, 2);
        assert_eq!(machine.get_posture(ANN), Pseudo);
        assert!(machine.is_latched(ANN) && machine.is_latched(BOB));
    });
}

#[test]
fn append_append_at_the_limit() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(2).history_share(0));
        confirm(&machine, ANN);
        confirm(&machine, BOB);
        let (one, two) = (machine.clone(), machine.clone());
        order.race(move || confirm(&one, ANN), move || confirm(&two, BOB));
        let stats = machine.stats();
        assert_eq!((stats.recorded, stats.records), (4, stats.recorded - stats.dropped));
        assert!(stats.records >= 1, "dropped twice as much as there had to be");
        assert!(stats.trims <= stats.dropped, "a trim that dropped nothing");
        assert_closed(&machine);
    });
}

/// All places may be held by records that are only about to be appended.
#[test]
fn append_append_of_one_agent_at_a_limit_of_one() {
    coarse(|order| {
        let machine = knowing_ann(PostureConfig::new().history(1));
        let (one, two) = (machine.clone(), machine.clone());
        let up = move || go(&one, ANN, Tool, Supervised);
        let (up, stay) = order.race(up, move || go(&two, ANN, Tool, Tool));
        assert!(up.success);
        assert!(stay.success || stay.refusal == Some(Refusal::Stale) || stay.refusal == Some(Refusal::Superseded));
        assert_eq!(machine.stats().recorded, 3);
        assert_closed(&machine);
    });
}

/// A trim of two records, one of each agent: both are seen, or none.
#[test]
fn trim_history() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(20).history_share(0));
        for i in 0..20 {
            confirm(&machine, if i % 2 == 0 { ANN } else { BOB });
        }
        let (one, two) = (machine.clone(), machine.clone());
        let read = move || two.history(&HistoryQuery::new()).iter().map(|record| record.seq).collect::<Vec<_>>();
        let (_, seen) = order.race(move || confirm(&one, ANN), read);
        assert!(seen.windows(2).all(|two| two[0] + 1 == two[1]), "a gap: {seen:?}");
        assert!(seen[0] == 1 || seen[0] == 3, "a part of a trim: {seen:?}");
        assert!(seen.len() <= 20);
        assert_closed(&machine);
    });
}

#[test]
fn insert_insert_at_the_cap_of_agents() {
    bounded(|order| {
        let machine = machine(PostureConfig::new().agents(1));
        let (one, two) = (machine.clone(), machine.clone());
        let insert = |machine: Machine, agent| move || machine.set_posture(agent, Supervised).is_ok();
        let (first, second) = order.race(insert(one, ANN), insert(two, BOB));
        assert!(first ^ second);
        let postures = (machine.get_posture(ANN), machine.get_posture(BOB));
        assert_eq!(postures, if first { (Supervised, Tool) } else { (Tool, Supervised) });
        assert_eq!((machine.stats().agents, machine.stats().recorded), (1, 1));
    });
}

#[test]
fn insert_insert_of_one_agent_takes_one_place() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().agents(2).history(0));
        let (one, two) = (machine.clone(), machine.clone());
        let insert = |machine: Machine, to| move || go(&machine, ANN, Tool, to).success;
        let (first, second) = order.race(insert(one, Supervised), insert(two, Delegating));
        assert!(first ^ second);
        assert_eq!((machine.stats().agents, machine.stats().recorded), (1, 2));
    });
}

/// The transition holds the only seat, so the emergency may find none, and must cover the agent all the same.
#[test]
fn emergency_of_an_unknown_agent_insert() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().agents(1).history(0));
        let (one, two) = (machine.clone(), machine.clone());
        let insert = move || drop(one.transition(&TransitionRequest::new(ANN, Tool, Autonomous)));
        let (_, done) = order.race(insert, move || two.emergency_downgrade(ANN, &stop().latch()));
        assert_eq!(machine.get_posture(ANN), Pseudo, "the emergency was lost: {done:?}");
        assert!(machine.is_latched(ANN));
        if done == Emergency::AllUnknown {
            assert_eq!(machine.get_posture("stranger"), Pseudo);
        }
    });
}

#[test]
fn emergency_emergency_of_unknown_agents_keeps_the_latch() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().agents(1).history(0));
        confirm(&machine, ANN);
        let (one, two) = (machine.clone(), machine.clone());
        let down = |machine: Machine, agent, order| move || machine.emergency_downgrade(agent, &order);
        let _ = order.race(down(one, BOB, stop()), down(two, "cat", stop().latch()));
        assert!(machine.is_latched(BOB) && machine.is_latched("stranger"));
    });
}

/// Ann is never a stranger while strangers are down.
#[test]
fn insert_lower_unknown_get() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().agents(1).history(0));
        let (one, two) = (machine.clone(), machine.clone());
        let insert_and_lower = move || {
            assert!(go(&one, ANN, Tool, Autonomous).success);
            one.emergency_downgrade(BOB, &stop())
        };
        let (_, seen) = order.race(insert_and_lower, move || two.get_posture(ANN));
        assert!(matches!(seen, Tool | Autonomous), "{seen:?}");
    });
}

/// Ann is being entered while strangers are taken down: whoever has seen her down does not see her up again.
#[test]
fn insert_lower_unknown_get_get() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().agents(1).history(0));
        let (one, two) = (machine.clone(), machine.clone());
        let lower_and_look = move || {
            // She has the only seat by then.
            let is_full = two.stats().agents == 1;
            is_full.then(|| {
                let _ = two.emergency_downgrade(BOB, &stop());
                [two.get_posture(ANN), two.get_posture(ANN)]
            })
        };
        let enter = move || drop(one.emergency_downgrade(ANN, &stop()));
        let (_, seen) = order.race(enter, lower_and_look);
        assert_ne!(seen, Some([Pseudo, Tool]), "up again by nothing");
    });
}

/// Whoever has had an answer about Ann as a known agent does not see her taken down for another one.
#[test]
fn insert_set_posture_emergency_of_another() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().agents(1).history(0));
        let (one, two) = (machine.clone(), machine.clone());
        let set_and_lower = move || {
            let is_known = two.stats().agents == 1 && two.set_posture(ANN, Supervised).is_ok();
            is_known.then(|| {
                let _ = two.emergency_downgrade(BOB, &stop());
                two.get_posture(ANN)
            })
        };
        let (_, seen) = order.race(move || go(&one, ANN, Pseudo, Pseudo), set_and_lower);
        assert!(matches!(seen, None | Some(Supervised)), "{seen:?}");
    });
}

/// Strangers have the default again only while Ann is none of them.
#[test]
fn restore_default_while_an_agent_is_known_get() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        machine.downgrade_all(&Scope::Everyone, &stop());
        let (one, two) = (machine.clone(), machine.clone());
        let live = move || {
            one.set_posture(ANN, Autonomous).unwrap();
            one.restore_default();
            one.downgrade_all(&Scope::Everyone, &stop());
            one.set_posture(ANN, Supervised).unwrap();
            one.forget(ANN).unwrap();
        };
        let (_, seen) = order.race(live, move || two.get_posture(ANN));
        assert_ne!(seen, Tool, "a posture that she never had");
    });
}

#[test]
fn forget_emergency() {
    bounded(|order| {
        let machine = knowing_ann(PostureConfig::new());
        let (one, two) = (machine.clone(), machine.clone());
        let emergency = move || {
            let _ = two.emergency_downgrade(ANN, &stop());
            two.get_posture(ANN)
        };
        let (_, seen) = order.race(move || one.forget(ANN), emergency);
        assert_eq!((seen, machine.get_posture(ANN)), (Pseudo, Pseudo));
        assert_eq!(machine.stats().agents, 1);
        assert_closed(&machine);
    });
}

#[test]
fn forget_forget_emergency_beats_what_was_decided_before() {
    // Four operations on all the tables there are: too many steps for three.
    coarse(|order| {
        let machine = machine(PostureConfig::new().default_posture(Pseudo).history(0));
        assert!(go(&machine, ANN, Pseudo, Pseudo).success);
        let inner = machine.clone();
        // Between the decision, on one who is not known, and its effect.
        machine.add_guard(Guard::new("stops", move |_| {
            let _ = inner.emergency_downgrade(ANN, &stop());
            true
        }));
        let (one, two) = (machine.clone(), machine.clone());
        let forget_and_go = move || {
            let _ = two.forget(ANN);
            go(&two, ANN, Pseudo, Autonomous)
        };
        let (_, up) = order.race(move || one.forget(ANN).is_ok(), forget_and_go);
        assert_eq!(up.refusal, Some(Refusal::Superseded));
        // It holds the machine that holds it.
        assert!(machine.remove_guard("stops"));
    });
}

#[test]
fn add_guard_remove_guard() {
    exhaustive(|order| {
        let machine = machine(PostureConfig::new());
        machine.add_guard(Guard::new("a", |_| true));
        let (one, two) = (machine.clone(), machine.clone());
        let add = move || one.add_guard(Guard::new("b", |_| true));
        let (_, removed) = order.race(add, move || two.remove_guard("a"));
        assert!(removed);
        assert_eq!(machine.list_guards(), ["b"]);
    });
}

#[test]
fn enroll_downgrade_of_its_principal() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        confirm(&machine, ANN);
        machine.enroll(BOB, "p").unwrap();
        beside_downgrade_of_p(order, &machine, stop(), |machine| machine.enroll(ANN, "p").unwrap());
        let entered = machine.stats().emergencies;
        let down = [ANN, BOB].iter().filter(|agent| machine.get_posture(agent) == Pseudo).count() as u64;
        assert_eq!(entered, down, "a downgrade was still to be entered");
    });
}

/// It leaves the principal that is taken down: counted there, it goes down.
#[test]
fn enroll_elsewhere_downgrade_of_its_principal() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        machine.enroll(ANN, "p").unwrap();
        let elsewhere = |machine: &Machine| machine.enroll(ANN, "q").unwrap();
        let known = beside_downgrade_of_p(order, &machine, stop().latch(), elsewhere);
        assert_eq!(machine.stats().emergencies, known);
        assert_eq!((machine.get_posture(ANN) == Pseudo, machine.is_latched(ANN)), (known == 1, known == 1));
    });
}

/// As before, but forgotten as well, and another agent has the one place that there is: whoever was counted is down.
#[test]
fn enroll_elsewhere_downgrade_of_its_principal_forget_when_full() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0).agents(1));
        machine.enroll(ANN, "p").unwrap();
        let (one, two) = (machine.clone(), machine.clone());
        let elsewhere = move || one.enroll(ANN, "q").is_ok();
        let (_, known) = order.race(elsewhere, move || {
            let known = two.downgrade_all(&Scope::Principal("p".into()), &stop().latch());
            let _ = two.forget(ANN);
            let _ = two.enroll(BOB, "q");
            known
        });
        assert!(known == 0 || machine.get_posture(ANN) == Pseudo);
    });
}

#[test]
fn forget_of_the_last_of_a_principal_enroll() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(0));
        confirm(&machine, BOB);
        machine.enroll(ANN, "p").unwrap();
        let (one, two) = (machine.clone(), machine.clone());
        let (forgotten, _) = order.race(move || one.forget(ANN), move || two.enroll(BOB, "p").unwrap());
        assert_eq!(forgotten, Ok(true));
        assert_eq!(machine.downgrade_all(&Scope::Principal("p".into()), &stop()), 1);
        assert_eq!(machine.get_posture(BOB), Pseudo, "the cohort was given up with a member in it");
    });
}

/// The floor of an agent that is forgotten goes with it: whoever read its records before looks again.
#[test]
fn trim_and_forget_history() {
    coarse(|order| {
        let machine = machine(PostureConfig::new().history(20).history_share(0));
        for i in 0..20 {
            confirm(&machine, if i % 2 == 0 { ANN } else { BOB });
        }
        let (one, two) = (machine.clone(), machine.clone());
        let read = move || two.history(&HistoryQuery::new()).iter().map(|record| record.seq).collect::<Vec<_>>();
        let trim_and_forget = move || {
            confirm(&one, BOB);
            one.forget(ANN)
        };
        let (_, seen) = order.race(trim_and_forget, read);
        // The first is Ann's, the second Bob's, and both go by one trim.
        assert_eq!(seen.contains(&1), seen.contains(&2), "a part of a trim: {seen:?}");
    });
}
