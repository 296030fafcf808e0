//! The stores that say who may do what: sessions, revocations, postures.

use super::{Keys, Living, Numbers};
use crate::run::{Checked, at_most, broken, ensure};
use fastrand::Rng;
use std::time::Duration;
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::posture::{
    Downgrade, HistoryQuery, Posture, PostureConfig, PostureError, PostureMachine, Scope, TransitionRequest,
};
use tollgate::revocation::{RevocationConfig, RevocationError, RevocationSet};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

/// A time to live, from a second to ten.
fn ttl(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(1_000..10_000))
}

/// Sessions of ever new agents, which are created, used up, closed, and expire.
pub(super) struct Sessions {
    store: SessionStore<ManualClock>,
    numbers: Numbers,
    keys: Keys<Uuid>,
}

impl Sessions {
    const BUDGET: u64 = 20;

    pub(super) fn new(clock: &ManualClock) -> Checked<Self> {
        let config = SessionConfig::new().capacity(5_000).sessions_per_agent(6);
        let store = SessionStore::with_clock(config, clock.clone()).or_else(broken)?;
        Ok(Self { store, numbers: Numbers::default(), keys: Keys::new(5_000) })
    }

    /// Each agent asks for eight sessions, two more than it may have.
    fn agent(number: u64) -> Uuid {
        Uuid::from_u128(u128::from(number / 8) + 1)
    }

    fn create(&self, rng: &mut Rng) -> Checked {
        let request = SessionRequest::new(Self::agent(self.numbers.next())).budget(Self::BUDGET).time_limit(ttl(rng));
        let request = if rng.bool() { request.rate(5, Duration::from_millis(100)) } else { request };
        match self.store.create(request.tools(Tools::only(["read", "write"])).intent("churn")) {
            Ok(id) => drop(self.keys.put(id, rng)),
            Err(SessionError::Full { .. } | SessionError::TooManySessions { .. }) => {}
            Err(other) => return broken(format_args!("expected a session, saw: {other}")),
        }
        Ok(())
    }
}

impl Living for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn held(&self) -> (u64, Option<u64>) {
        let stats = self.store.stats();
        (stats.live, Some(stats.capacity))
    }

    fn beside(&self) -> u64 {
        self.store.stats().agents
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let draw = rng.u8(..64);
        if draw < 16 {
            return self.create(rng);
        }
        let Some(id) = self.keys.look(rng) else { return Ok(()) };
        match draw {
            16..20 => drop(self.store.close(&id)),
            20 => drop(self.store.sweep(16)),
            21 => drop(self.store.close_for_agent(&Self::agent(self.numbers.recent(1_000, rng)))),
            _ => {
                if let Ok(usage) = self.store.admit(&id, None, &["read", "write"]) {
                    at_most("calls made", Self::BUDGET, usage.calls_made)?;
                }
            }
        }
        Ok(())
    }
}

/// Tokens of ever new principals, which are tracked, revoked one by one or all at once, and expire.
pub(super) struct Revocations {
    set: RevocationSet<u64, u64, ManualClock>,
    clock: ManualClock,
    numbers: Numbers,
    /// Tokens that were revoked, with their expiry.
    revoked: Keys<(u64, Timestamp)>,
}

impl Revocations {
    pub(super) fn new(clock: &ManualClock) -> Checked<Self> {
        let seconds = Duration::from_secs;
        let config = RevocationConfig::new().capacity(10_000).grace(seconds(5)).max_token_life(seconds(20));
        let set = RevocationSet::with_clock(config, clock.clone()).or_else(broken)?;
        Ok(Self { set, clock: clock.clone(), numbers: Numbers::default(), revoked: Keys::new(2_000) })
    }

    fn principal(token: u64) -> u64 {
        token / 16
    }
}

impl Living for Revocations {
    fn name(&self) -> &'static str {
        "revocations"
    }

    fn held(&self) -> (u64, Option<u64>) {
        let stats = self.set.stats();
        (stats.live, Some(stats.capacity))
    }

    fn beside(&self) -> u64 {
        let stats = self.set.stats();
        stats.principals + stats.cutoffs
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let expiry = self.clock.now().saturating_add(ttl(rng));
        let done = match rng.u8(..64) {
            0..16 => {
                let token = self.numbers.next();
                self.set.track(Self::principal(token), token, expiry)
            }
            16..20 => {
                let token = self.numbers.recent(1_000, rng);
                let done = self.set.revoke(token, expiry);
                if done.is_ok() {
                    self.revoked.put((token, expiry), rng);
                }
                done.map(drop)
            }
            20 => self.set.revoke_principal(&Self::principal(self.numbers.recent(1_000, rng))).map(drop),
            21 => {
                self.set.sweep(32);
                Ok(())
            }
            _ => {
                let Some((token, expiry)) = self.revoked.look(rng) else { return Ok(()) };
                let before = expiry.saturating_sub(Duration::from_nanos(1));
                let forgot = self.set.check_at(&token, before).is_clear();
                return ensure(!forgot, format_args!("expected token {token} to stay revoked, saw it clear"));
            }
        };
        match done {
            Ok(()) | Err(RevocationError::Full { .. }) => Ok(()),
            Err(other) => broken(format_args!("expected no refusal, saw: {other}")),
        }
    }
}

/// Agents that come and go, under ever new principals.
pub(super) struct Postures {
    machine: PostureMachine<ManualClock>,
    numbers: Numbers,
}

impl Postures {
    const AGENTS: u64 = 200;
    const HISTORY: u64 = 2_000;

    pub(super) fn new(clock: &ManualClock) -> Checked<Self> {
        // Unknown agents are at the bottom, so that every other may be forgotten.
        let config = PostureConfig::new().default_posture(Posture::Pseudo).agents(Self::AGENTS).history(Self::HISTORY);
        let machine = PostureMachine::with_clock(config, clock.clone()).or_else(broken)?;
        Ok(Self { machine, numbers: Numbers::default() })
    }

    fn principal(number: u64) -> String {
        format!("principal-{}", number / 16)
    }
}

impl Living for Postures {
    fn name(&self) -> &'static str {
        "postures"
    }

    fn held(&self) -> (u64, Option<u64>) {
        let stats = self.machine.stats();
        (stats.agents + stats.records, Some(Self::AGENTS + Self::HISTORY))
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        // More than there is room for.
        let agent = format!("agent-{}", rng.u64(..Self::AGENTS * 3 / 2));
        let order = Downgrade::new("stop");
        let done = match rng.u16(..16_384) {
            1..512 => self.machine.enroll(agent, Self::principal(self.numbers.next())),
            // Each copies what is known of all agents' trims, so not many.
            512..544 => self.machine.forget(agent).map(drop),
            544..1_024 => {
                let _ = self.machine.emergency_downgrade(agent, &order);
                Ok(())
            }
            1_024..1_088 => {
                let principal = Self::principal(self.numbers.recent(1_000, rng));
                self.machine.downgrade_all(&Scope::Principal(principal.into()), &order);
                Ok(())
            }
            0 => {
                self.machine.downgrade_all(&Scope::Everyone, &order);
                self.machine.restore_default();
                Ok(())
            }
            1_088..3_000 => {
                let records = self.machine.history(&HistoryQuery::new().agent(agent).limit(8));
                return at_most("records of a query", 8, records.len() as u64);
            }
            _ => {
                let from = self.machine.get_posture(&agent);
                let request = TransitionRequest::new(agent, from, Posture::ALL[rng.usize(..5)]);
                self.machine.transition(&request.requester("boss")).map(drop)
            }
        };
        match done {
            Ok(()) | Err(PostureError::Full { .. }) => Ok(()),
            Err(other) => broken(format_args!("expected no refusal, saw: {other}")),
        }
    }
}
