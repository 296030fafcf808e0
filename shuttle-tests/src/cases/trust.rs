//! The posture machine.

use crate::Case;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, Guard, HistoryQuery, Posture, PostureConfig, PostureMachine, Scope, TransitionRequest,
};

use Posture::{Autonomous, Pseudo, Supervised, Tool};

const ANN: &str = "ann";
const BOB: &str = "bob";

/// A posture machine, and whether one of its agents has to be down.
#[derive(Debug)]
pub struct Postures {
    machine: PostureMachine<ManualClock>,
    /// A call that took Ann down for good has returned.
    down: AtomicBool,
}

impl Postures {
    fn go(&self, agent: &str, from: Posture, to: Posture) {
        let was_down = agent == ANN && self.down.load(Ordering::Relaxed);
        let done = self.machine.transition(&TransitionRequest::new(agent, from, to));
        assert!(!(was_down && done.is_ok_and(|done| done.success)), "she is kept down");
    }

    fn assert_bounded(&self) {
        let stats = self.machine.stats();
        assert!(stats.records <= stats.history && stats.agents <= stats.capacity, "{stats:?}");
        if self.down.load(Ordering::Relaxed) {
            assert_eq!(self.machine.get_posture(ANN), Pseudo, "the emergency was forgotten");
            assert!(self.machine.is_latched(ANN));
        }
    }
}

/// A short history, few seats, and orders for everyone.
pub const POSTURE: Case<Postures> = Case {
    setup: || {
        let clock = ManualClock::new(Timestamp::from_secs(100));
        let config = PostureConfig::new().upgrade_approval(false).agents(3).history(4).history_share(1);
        let postures = Postures { machine: PostureMachine::with_clock(config, clock).unwrap(), down: false.into() };
        postures.go(ANN, Tool, Tool);
        postures.machine.enroll(BOB, "p").unwrap();
        postures
    },
    operations: &[
        ("posture transition", |postures| postures.go(ANN, Tool, Autonomous)),
        ("posture transition of an unknown agent", |postures| postures.go("eve", Tool, Supervised)),
        ("posture set_posture", |postures| _ = postures.machine.set_posture(BOB, Supervised)),
        ("posture emergency_downgrade", |postures| {
            _ = postures.machine.emergency_downgrade(ANN, &Downgrade::new("stop").latch());
            postures.down.store(true, Ordering::Relaxed);
        }),
        ("posture emergency_downgrade of an unknown agent", |postures| {
            _ = postures.machine.emergency_downgrade("mallory", &Downgrade::new("stop"));
            assert_eq!(postures.machine.stats().capacity, 3);
        }),
        ("posture downgrade_all of a principal", |postures| {
            postures.machine.downgrade_all(&Scope::Principal("p".into()), &Downgrade::new("stop"));
        }),
        ("posture downgrade_all", |postures| {
            postures.machine.downgrade_all(&Scope::Everyone, &Downgrade::new("stop"));
        }),
        ("posture restore_default", |postures| postures.machine.restore_default()),
        ("posture release", |postures| _ = postures.machine.release(BOB)),
        ("posture enroll", |postures| _ = postures.machine.enroll(BOB, "q")),
        ("posture forget", |postures| _ = postures.machine.forget(BOB)),
        ("posture get_posture", |postures| _ = postures.machine.get_posture(BOB)),
        ("posture history", |postures| assert!(postures.machine.history(&HistoryQuery::new()).len() <= 4)),
        ("posture history of one", |postures| {
            let records = postures.machine.history(&HistoryQuery::new().agent(ANN));
            assert!(records.windows(2).all(|two| two[0].seq < two[1].seq));
        }),
        ("posture guards", |postures| {
            postures.machine.add_guard(Guard::new("yes", |_| true));
            assert!(postures.machine.remove_guard("yes"));
        }),
    ],
    always: Postures::assert_bounded,
    settled: |postures| {
        // Enters what nobody has met yet, which makes records.
        _ = postures.machine.history(&HistoryQuery::new());
        let stats = postures.machine.stats();
        assert_eq!(stats.recorded, stats.records + stats.dropped, "{stats:?}");
        assert_eq!(postures.machine.history(&HistoryQuery::new()).len() as u64, stats.records);
    },
};
