//! Tries to make the set forget a live revocation: while threads track, revoke, check and sweep, and the clock steps
//! forth and back, a token that was revoked must not be clear at any time before its expiry.

use crate::run::{Checked, Round, at_most, broken, ensure, same};
use fastrand::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::revocation::{RevocationConfig, RevocationError, RevocationSet, Revoked, Standing, WhenFull};

const OPERATIONS: u64 = 1_000;
const SECOND: u64 = 1_000_000_000;
const TOKENS: u64 = 64;
/// Token `t` belongs to principal `t % PRINCIPALS`; nobody revokes anything of principal 0.
const PRINCIPALS: u64 = 8;

/// The clock's first and last instants, in nanoseconds.
const BEGIN: u64 = 1_000_000 * SECOND;
const END: u64 = BEGIN + 2_000 * SECOND;
/// Before the clock's first instant: when all tokens were issued.
const ISSUED: Timestamp = Timestamp::from_nanos(BEGIN - 10 * SECOND);

const GRACE: Duration = Duration::from_secs(60);
/// How far the expiries that are stated for one token differ from its own. Well above the grace, so that a token that was
/// forgotten may be tracked again.
const JITTER: u64 = 250 * SECOND;

pub(crate) fn round(round: &Round) -> Checked<u64> {
    let (capacity, when_full) =
        round.pick(1, &[(10_000, WhenFull::Refuse), (24, WhenFull::Refuse), (24, WhenFull::Coarsen)]);
    let race = Race::new(round, capacity, when_full)?;
    let operations = round.race(|_, rng| {
        for _ in 0..OPERATIONS {
            race.step(rng)?;
        }
        Ok(OPERATIONS)
    })?;
    race.check_rest()?;
    Ok(operations)
}

/// What the set has promised of a token: times in nanoseconds up to which a promise holds, zero for none.
struct Token {
    /// Its own expiry; those that are stated are near it.
    expiry: u64,
    /// Never alive by the clock at its expiry: the clock does not get there.
    outlives: bool,
    tracked: AtomicU64,
    revoked: AtomicU64,
    /// Revoked by id or by a cutoff, whichever the set chose: seen by a check that names the principal.
    covered: AtomicU64,
}

struct Race {
    set: RevocationSet<u64, u64, ManualClock>,
    clock: ManualClock,
    when_full: WhenFull,
    capacity: u64,
    tokens: Vec<Token>,
    /// Principals that were revoked.
    barred: Vec<AtomicBool>,
    steps: AtomicU64,
    all_steps: u64,
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

impl Race {
    fn new(round: &Round, capacity: u64, when_full: WhenFull) -> Checked<Self> {
        let mut rng = round.setup();
        let clock = ManualClock::new(at(BEGIN));
        let config = RevocationConfig::new().capacity(capacity).grace(GRACE).when_full(when_full);
        let set = RevocationSet::with_clock(config, clock.clone())
            .or_else(|error| broken(format_args!("expected a set, saw {error}")))?;
        let tokens = (0..TOKENS).map(|token| {
            let outlives = token / PRINCIPALS % 4 == 0;
            let expiry = if outlives { END + 300 * SECOND } else { BEGIN + 60 * SECOND };
            let (tracked, revoked, covered) = Default::default();
            Token { expiry: expiry + rng.u64(..1_800 * SECOND), outlives, tracked, revoked, covered }
        });
        Ok(Self {
            set,
            clock,
            when_full,
            capacity,
            tokens: tokens.collect(),
            barred: (0..PRINCIPALS).map(|_| AtomicBool::new(false)).collect(),
            steps: AtomicU64::new(0),
            all_steps: round.threads as u64 * OPERATIONS,
        })
    }

    fn step(&self, rng: &mut Rng) -> Checked {
        let steps = self.steps.fetch_add(1, Ordering::SeqCst);
        let id = rng.u64(..TOKENS);
        match rng.u8(..64) {
            0..14 => self.track(id, rng),
            14..24 => self.revoke(id, rng),
            24..25 => self.revoke_principal(id % PRINCIPALS),
            25..50 => self.check(id, rng),
            50..53 => self.check_untracked(id % PRINCIPALS, rng),
            53..59 => {
                self.set.sweep(rng.usize(1..16));
                Ok(())
            }
            59..63 => {
                // On the whole forward, but each step may go back by minutes.
                let progress = (END - BEGIN) / self.all_steps * steps;
                let now = BEGIN + progress + rng.u64(..240 * SECOND);
                self.clock.set(at(now.saturating_sub(180 * SECOND).clamp(BEGIN, END)));
                Ok(())
            }
            _ => at_most("entries in the set", self.capacity, self.set.stats().live),
        }
    }

    fn track(&self, id: u64, rng: &mut Rng) -> Checked {
        let token = &self.tokens[id as usize];
        let expiry = token.expiry - JITTER + rng.u64(..2 * JITTER);
        match self.set.track(id % PRINCIPALS, id, at(expiry)) {
            Ok(()) => token.tracked.fetch_max(expiry, Ordering::SeqCst),
            Err(error) => return self.check_refusal(&error),
        };
        Ok(())
    }

    fn revoke(&self, id: u64, rng: &mut Rng) -> Checked {
        let (token, principal) = (&self.tokens[id as usize], id % PRINCIPALS);
        if principal == 0 {
            return Ok(());
        }
        let expiry = token.expiry - rng.u64(..JITTER);
        let coarsen = self.when_full == WhenFull::Coarsen;
        let done = if coarsen || rng.bool() {
            self.set.revoke_owned(&principal, id, at(expiry))
        } else {
            self.set.revoke(id, at(expiry))
        };
        match done {
            Ok(Revoked::Coarsened) if !coarsen => broken("expected a set that refuses not to coarsen, saw that it did"),
            Ok(how) => {
                token.covered.fetch_max(expiry, Ordering::SeqCst);
                if how != Revoked::Coarsened {
                    token.revoked.fetch_max(expiry, Ordering::SeqCst);
                }
                Ok(())
            }
            Err(error) => self.check_refusal(&error),
        }
    }

    fn revoke_principal(&self, principal: u64) -> Checked {
        if principal == 0 {
            return Ok(());
        }
        let tracked = |id: u64| self.tokens[id as usize].tracked.load(Ordering::SeqCst);
        let before: Vec<_> =
            (principal..TOKENS).step_by(PRINCIPALS as usize).map(|id| (id as usize, tracked(id))).collect();
        if let Err(error) = self.set.revoke_principal(&principal) {
            return self.check_refusal(&error);
        }
        for (id, expiry) in before {
            self.tokens[id].revoked.fetch_max(expiry, Ordering::SeqCst);
            self.tokens[id].covered.fetch_max(expiry, Ordering::SeqCst);
        }
        self.barred[principal as usize].store(true, Ordering::SeqCst);
        Ok(())
    }

    /// A refusal is fine where it was asked for.
    fn check_refusal(&self, error: &RevocationError) -> Checked {
        match error {
            RevocationError::Full { capacity } if *capacity == self.capacity && self.capacity < TOKENS => Ok(()),
            other => broken(format_args!("expected no refusal, saw: {other}")),
        }
    }

    fn check(&self, id: u64, rng: &mut Rng) -> Checked {
        let (token, principal) = (&self.tokens[id as usize], id % PRINCIPALS);
        // What was promised before the check began.
        let revoked = token.revoked.load(Ordering::SeqCst);
        let covered = token.covered.load(Ordering::SeqCst);
        let tracked = token.tracked.load(Ordering::SeqCst);
        if principal == 0 {
            let now = time_before(if tracked == 0 { END } else { tracked }, rng);
            let standing = self.set.check_issued_at(&id, &0, ISSUED, now);
            ensure(
                standing != Standing::Revoked,
                format_args!("expected token {id}, which nobody revoked, not to be revoked, saw it revoked at {now:?}"),
            )?;
            let standing = self.set.check_at(&id, now);
            let alive = token.outlives && tracked > 0;
            // Nobody can tell at a time that is a grace before what was forgotten, if that was before it was tracked.
            let behind = || now.saturating_add(GRACE) < self.set.stats().high_water;
            return ensure(
                !alive || standing.is_clear() || standing == Standing::Unknown && behind(),
                format_args!("expected token {id}, alive and tracked, to be clear at {now:?}, saw {standing:?}"),
            );
        }
        if revoked > 0 {
            let now = time_before(revoked, rng);
            self.refused(id, revoked, now, self.set.check_at(&id, now))?;
            if token.outlives {
                // Whatever the clock shows, it is before the expiry.
                self.refused(id, revoked, self.clock.now(), self.set.check(&id))?;
            }
        }
        if covered > 0 {
            let now = time_before(covered, rng);
            self.refused(id, covered, now, self.set.check_issued_at(&id, &principal, ISSUED, now))?;
        }
        Ok(())
    }

    fn refused(&self, id: u64, until: u64, now: Timestamp, standing: Standing) -> Checked {
        let (until, capacity) = (at(until), self.capacity);
        ensure(
            !standing.is_clear(),
            format_args!(
                "expected no pass at {now:?} for {id}, revoked until {until:?}, saw it clear (capacity {capacity})"
            ),
        )
    }

    /// A token that the set has never heard of is covered by its principal's cutoff.
    fn check_untracked(&self, principal: u64, rng: &mut Rng) -> Checked {
        if !self.barred[principal as usize].load(Ordering::SeqCst) {
            return Ok(());
        }
        let now = time_before(END, rng);
        let standing = self.set.check_issued_at(&(TOKENS + principal), &principal, ISSUED, now);
        ensure(
            !standing.is_clear(),
            format_args!("expected principal {principal}'s cutoff to cover a token, saw it clear at {now:?}"),
        )
    }

    /// Long after everything has expired, nothing is left.
    fn check_rest(&self) -> Checked {
        at_most("entries in the set", self.capacity, self.set.stats().live)?;
        self.clock.set(at(END + 30 * 86_400 * SECOND));
        // Each sweep but the last takes all its steps, and every operation has left an entry or two at most.
        for _ in 0..self.all_steps {
            if !self.set.sweep(64).more {
                let stats = self.set.stats();
                let left = (stats.live, stats.cutoffs, stats.principals);
                return same("entries, cutoffs and principals left after all has expired", (0, 0, 0), left);
            }
        }
        broken("expected sweeps to come to an end, saw none")
    }
}

/// Any time before `bound`: the last instant, one near it, or one long before.
fn time_before(bound: u64, rng: &mut Rng) -> Timestamp {
    let back = match rng.u8(..3) {
        0 => 1,
        1 => rng.u64(1..2 * JITTER),
        _ => rng.u64(1..2_000 * SECOND),
    };
    at(bound - back)
}
