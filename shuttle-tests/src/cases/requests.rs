//! What every call is asked: sessions and revocations.

use crate::Case;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

const AGENT: Uuid = Uuid::from_u128(1 << 64);
const OTHER: Uuid = Uuid::from_u128(2 << 64);
const BUDGET: u64 = 2;

/// A session store, and what is known of one of its sessions.
#[derive(Debug)]
pub struct Sessions {
    store: SessionStore<ManualClock>,
    clock: ManualClock,
    /// A session of a hundred seconds.
    id: Uuid,
    admitted: AtomicU64,
    /// A call that closed it has returned.
    closed: AtomicBool,
}

fn request(agent: Uuid, seconds: u64) -> SessionRequest {
    SessionRequest::new(agent).budget(BUDGET).tools(Tools::Any).time_limit(Duration::from_secs(seconds))
}

impl Sessions {
    fn admit(&self, tools: &[&str]) {
        let was_closed = self.closed.load(Ordering::Relaxed);
        let admitted = self.store.admit(&self.id, None, tools).is_ok();
        assert!(!(was_closed && admitted), "admitted after it was closed");
        self.admitted.fetch_add(if admitted { tools.len() as u64 } else { 0 }, Ordering::Relaxed);
    }

    fn close_all(&self) {
        self.store.close_for_agent(&AGENT);
        self.closed.store(true, Ordering::Relaxed);
        assert!(self.store.list_for_agent(&AGENT).iter().all(|session| session.id != self.id));
    }
}

/// Budget, caps, and ends.
pub const SESSIONS: Case<Sessions> = Case {
    setup: || {
        let clock = ManualClock::new(at(100));
        let config = SessionConfig::new().capacity(3).sessions_per_agent(2);
        let store = SessionStore::with_clock(config, clock.clone()).unwrap();
        let id = store.create(request(AGENT, 100)).unwrap();
        store.create(request(OTHER, 1)).unwrap();
        let (admitted, closed) = Default::default();
        Sessions { store, clock, id, admitted, closed }
    },
    operations: &[
        ("session admit", |sessions| sessions.admit(&["read"])),
        ("session admit of two", |sessions| sessions.admit(&["read", "write"])),
        ("session create at the agent's cap", |sessions| _ = sessions.store.create(request(AGENT, 1))),
        ("session create at the capacity", |sessions| _ = sessions.store.create(request(OTHER, 1))),
        ("session get", |sessions| {
            let calls = sessions.store.get(&sessions.id).map_or(0, |session| session.usage.calls_made);
            assert!(calls <= BUDGET);
        }),
        ("session sweep", |sessions| {
            sessions.clock.set(at(102));
            sessions.store.sweep(8);
        }),
        ("session close", |sessions| {
            _ = sessions.store.close(&sessions.id);
            sessions.closed.store(true, Ordering::Relaxed);
        }),
        ("session close_for_agent", Sessions::close_all),
        ("session list", |sessions| _ = sessions.store.list()),
    ],
    always: |sessions| {
        assert!(sessions.admitted.load(Ordering::Relaxed) <= BUDGET, "the budget was oversold");
        assert!(sessions.store.count_active(&AGENT) <= 2);
        assert!(sessions.store.stats().live <= 3);
    },
    settled: |sessions| {
        if let Some(session) = sessions.store.get(&sessions.id) {
            assert_eq!(session.usage.calls_made, sessions.admitted.load(Ordering::Relaxed));
        }
        sessions.clock.set(at(1_000));
        while sessions.store.sweep(8).more {}
        let stats = sessions.store.stats();
        assert_eq!((stats.live, stats.agents, stats.created), (0, 0, stats.removed), "something was left behind");
    },
};

/// A revocation set, and what it must not forget.
#[derive(Debug)]
pub struct Revocations {
    set: RevocationSet<u64, u64, ManualClock>,
    clock: ManualClock,
    /// Calls that revoked these until 110 have returned: [`TOKEN`], [`PROLONGED`], and [`PRINCIPAL`] with its own.
    revoked: [AtomicBool; 3],
}

const TOKEN: u64 = 1;
/// Is revoked until 101 at first.
const PROLONGED: u64 = 2;
/// Is the principal's, and lives until 110.
const OWNED: u64 = 3;
const PRINCIPAL: u64 = 7;

impl Revocations {
    fn revoke(&self, at_flag: usize, token: u64) {
        if self.set.revoke(token, at(110)).is_ok() {
            self.revoked[at_flag].store(true, Ordering::Relaxed);
        }
    }

    fn assert_remembered(&self) {
        let [token, prolonged, principal] = self.revoked.each_ref().map(|revoked| revoked.load(Ordering::Relaxed));
        let of_principal = self.set.check_issued(&99, &PRINCIPAL, at(100));
        let standing = [self.set.check(&TOKEN), self.set.check(&PROLONGED), self.set.check(&OWNED), of_principal];
        for (is_revoked, standing) in [token, prolonged, principal, principal].into_iter().zip(standing) {
            assert!(!is_revoked || standing == Standing::Revoked, "a live revocation was forgotten: {standing:?}");
        }
    }

    fn sweep(&self) {
        self.clock.set(at(103));
        self.set.sweep(8);
    }
}

/// A full set that is swept.
pub const REVOCATIONS: Case<Revocations> = Case {
    setup: || {
        let clock = ManualClock::new(at(100));
        let config =
            RevocationConfig::new().capacity(3).grace(Duration::from_secs(1)).max_token_life(Duration::from_secs(10));
        let set = RevocationSet::with_clock(config, clock.clone()).unwrap();
        set.revoke(PROLONGED, at(101)).unwrap();
        set.track(PRINCIPAL, OWNED, at(110)).unwrap();
        Revocations { set, clock, revoked: Default::default() }
    },
    operations: &[
        ("revocation revoke", |revocations| revocations.revoke(0, TOKEN)),
        ("revocation revoke for longer", |revocations| revocations.revoke(1, PROLONGED)),
        ("revocation check", Revocations::assert_remembered),
        ("revocation track at the capacity", |revocations| _ = revocations.set.track(PRINCIPAL, 4, at(102))),
        ("revocation track again", |revocations| _ = revocations.set.track(PRINCIPAL, OWNED, at(110))),
        ("revocation revoke_principal", |revocations| {
            if revocations.set.revoke_principal(&PRINCIPAL).is_ok() {
                revocations.revoked[2].store(true, Ordering::Relaxed);
            }
        }),
        ("revocation revoke_owned", |revocations| _ = revocations.set.revoke_owned(&8, 5, at(102))),
        ("revocation sweep", Revocations::sweep),
    ],
    always: |revocations| {
        revocations.assert_remembered();
        let stats = revocations.set.stats();
        assert!(stats.live <= 3 && stats.cutoffs <= 3, "{stats:?}");
    },
    settled: |revocations| {
        revocations.clock.set(at(1_000));
        while revocations.set.sweep(8).more {}
        let stats = revocations.set.stats();
        assert_eq!((stats.live, stats.cutoffs, stats.principals), (0, 0, 0), "something was left behind");
    },
};
