//! `RevocationSet` against tables of tokens, cohorts and cutoffs.

use crate::input::{check, option, sequence, small};
use crate::primitives::limit;
use arbitrary::{Result, Unstructured};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::revocation::{RevocationConfig, RevocationError, RevocationSet, Revoked, Standing, WhenFull};

#[derive(Clone, Copy, Debug)]
enum Op {
    Revoke {
        token: u8,
        expires_at: u64,
    },
    RevokeOwned {
        principal: u8,
        token: u8,
        expires_at: u64,
    },
    Track {
        principal: u8,
        token: u8,
        expires_at: u64,
    },
    RevokePrincipal(u8),
    Sweep(usize),
    /// Nanoseconds to go on, or back.
    Move(i64),
}

const TOKENS: u8 = 8;
const PRINCIPALS: u8 = 3;
const START: u64 = 100;

fn op(input: &mut Unstructured<'_>) -> Result<Op> {
    let kind = input.int_in_range(0..=7)?;
    let (token, principal) = (input.int_in_range(0..=TOKENS - 1)?, input.int_in_range(0..=PRINCIPALS - 1)?);
    let expires_at = |input: &mut Unstructured<'_>| Ok(small(input)?.saturating_mul(8).saturating_add(START - 16));
    Ok(match kind {
        0 => Op::Revoke { token, expires_at: expires_at(input)? },
        1 => Op::RevokeOwned { principal, token, expires_at: expires_at(input)? },
        2..=4 => Op::Track { principal, token, expires_at: expires_at(input)? },
        5 => Op::RevokePrincipal(principal),
        6 => Op::Sweep(limit(input)?),
        _ => Op::Move(input.int_in_range(-20..=60)?),
    })
}

/// No live revocation is forgotten, whatever the clock does, and no token is revoked that nobody meant.
pub fn revocation(data: &[u8]) {
    let decode = |input: &mut Unstructured<'_>| {
        let rules = Rules {
            capacity: input.int_in_range(1..=6)?,
            grace: input.int_in_range(0..=9)?,
            life: option(input, |input| input.int_in_range(1..=60))?.unwrap_or(u64::MAX),
            coarsen: input.arbitrary()?,
        };
        Ok((rules, sequence(input, op)?))
    };
    check(data, decode, |(rules, ops)| {
        let mut pair = Pair::new(rules);
        for op in ops {
            pair.apply(op)?;
            pair.compare()?;
        }
        Ok(())
    });
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    capacity: u64,
    grace: u64,
    life: u64,
    coarsen: bool,
}

#[derive(Clone, Copy)]
struct Token {
    expires_at: u64,
    revoked: bool,
    /// Whose it is and which cohort of theirs, if it was tracked.
    owner: Option<(u8, u64)>,
    /// When a sweep looks at it next.
    look_at: u64,
    /// What had been dropped when it was tracked.
    dropped_before: u64,
}

#[derive(Clone, Copy)]
struct Cutoff {
    at: u64,
    look_at: u64,
}

struct Pair {
    set: RevocationSet<u8, u8, ManualClock>,
    clock: ManualClock,
    rules: Rules,
    time: u64,
    high_water: u64,
    dropped_through: u64,
    tokens: BTreeMap<u8, Token>,
    cutoffs: BTreeMap<u8, Cutoff>,
    /// The cohort that each principal's tokens join; those before it were revoked.
    cohorts: [u64; PRINCIPALS as usize],
    swept: u64,
    coarsened: u64,
}

impl Pair {
    fn new(rules: Rules) -> Self {
        let clock = ManualClock::new(Timestamp::from_nanos(START));
        let config = RevocationConfig::new()
            .capacity(rules.capacity)
            .grace(Duration::from_nanos(rules.grace))
            .max_token_life(Duration::from_nanos(rules.life))
            .when_full(if rules.coarsen { WhenFull::Coarsen } else { WhenFull::Refuse });
        Self {
            set: RevocationSet::with_clock(config, clock.clone()).unwrap(),
            clock,
            rules,
            time: START,
            high_water: 0,
            dropped_through: 0,
            tokens: BTreeMap::new(),
            cutoffs: BTreeMap::new(),
            cohorts: [0; PRINCIPALS as usize],
            swept: 0,
            coarsened: 0,
        }
    }

    fn now(&mut self) -> u64 {
        self.high_water = self.high_water.max(self.time);
        self.high_water
    }

    fn is_revoked(&self, token: &Token) -> bool {
        token.revoked || token.owner.is_some_and(|(principal, cohort)| cohort < self.cohorts[usize::from(principal)])
    }

    fn forget_at(&self, expires_at: u64) -> u64 {
        expires_at.saturating_add(self.rules.grace)
    }

    /// Everything that no sweep need remember goes.
    fn sweep(&mut self) -> u64 {
        let now = self.now();
        let before = self.tokens.len() + self.cutoffs.len();
        let Rules { grace, life, .. } = self.rules;
        let mut saw = false;
        // True if it stays.
        let mut look = |look_at: &mut u64, until: u64| {
            if *look_at <= now {
                saw = true;
                *look_at = until;
            }
            *look_at > now
        };
        self.tokens.retain(|_, token| look(&mut token.look_at, token.expires_at.saturating_add(grace)));
        self.cutoffs.retain(|_, cut| look(&mut cut.look_at, cut.at.saturating_add(life).saturating_add(grace)));
        if saw {
            self.dropped_through = now;
        }
        let gone = (before - self.tokens.len() - self.cutoffs.len()) as u64;
        self.swept += gone;
        gone
    }

    /// Room for a token.
    fn room(&mut self) -> std::result::Result<(), RevocationError> {
        let capacity = self.rules.capacity;
        if self.tokens.len() as u64 == capacity {
            self.sweep();
        }
        if self.tokens.len() as u64 == capacity { Err(RevocationError::Full { capacity }) } else { Ok(()) }
    }

    fn revoke(&mut self, token: u8, expires_at: u64) -> std::result::Result<Revoked, RevocationError> {
        let expires_at = expires_at.min(self.now().saturating_add(self.rules.life));
        if let Some(known) = self.tokens.get(&token).copied() {
            let expires_at = expires_at.max(known.expires_at);
            self.tokens.insert(token, Token { revoked: true, expires_at, ..known });
            return Ok(if self.is_revoked(&known) { Revoked::Already } else { Revoked::Newly });
        }
        self.room()?;
        let look_at = self.forget_at(expires_at);
        self.tokens.insert(token, Token { expires_at, revoked: true, owner: None, look_at, dropped_before: 0 });
        Ok(Revoked::Newly)
    }

    fn track(&mut self, principal: u8, token: u8, expires_at: u64) -> std::result::Result<(), RevocationError> {
        self.now();
        if let Some(known) = self.tokens.get_mut(&token) {
            if known.owner.is_some_and(|owner| owner.0 != principal) {
                return Err(RevocationError::TrackedElsewhere);
            }
            known.expires_at = known.expires_at.max(expires_at);
            return Ok(());
        }
        self.room()?;
        let owner = Some((principal, self.cohorts[usize::from(principal)]));
        let look_at = self.forget_at(expires_at);
        let dropped_before = self.dropped_through;
        self.tokens.insert(token, Token { expires_at, revoked: false, owner, look_at, dropped_before });
        Ok(())
    }

    fn revoke_principal(&mut self, principal: u8, ahead: u64) -> std::result::Result<u64, RevocationError> {
        let covered = self.now().saturating_add(ahead);
        let Rules { capacity, life, .. } = self.rules;
        if !self.cutoffs.contains_key(&principal) && self.cutoffs.len() as u64 == capacity {
            self.sweep();
            if self.cutoffs.len() as u64 == capacity {
                return Err(RevocationError::Full { capacity });
            }
        }
        let look_at = self.forget_at(covered.saturating_add(life));
        let cutoff = self.cutoffs.entry(principal).or_insert(Cutoff { at: covered, look_at });
        cutoff.at = cutoff.at.max(covered);
        let current = Some((principal, self.cohorts[usize::from(principal)]));
        let newly = self.tokens.values().filter(|token| token.owner == current && !token.revoked).count();
        self.cohorts[usize::from(principal)] += 1;
        Ok(newly as u64)
    }

    fn apply(&mut self, op: Op) -> TestCaseResult {
        let at = Timestamp::from_nanos;
        match op {
            Op::Revoke { token, expires_at } => {
                prop_assert_eq!(self.set.revoke(token, at(expires_at)), self.revoke(token, expires_at));
            }
            Op::RevokeOwned { principal, token, expires_at } => {
                let done = self.set.revoke_owned(&principal, token, at(expires_at));
                let expected = match self.revoke(token, expires_at) {
                    Err(_) if self.rules.coarsen => {
                        self.revoke_principal(principal, self.rules.grace).map(|_| Revoked::Coarsened)
                    }
                    expected => expected,
                };
                self.coarsened += u64::from(expected == Ok(Revoked::Coarsened));
                prop_assert_eq!(done, expected);
            }
            Op::Track { principal, token, expires_at } => {
                let done = self.set.track(principal, token, at(expires_at));
                prop_assert_eq!(done, self.track(principal, token, expires_at));
            }
            Op::RevokePrincipal(principal) => {
                prop_assert_eq!(self.set.revoke_principal(&principal), self.revoke_principal(principal, 0));
            }
            Op::Sweep(limit) => {
                let some = self.set.sweep(limit);
                prop_assert!(some.removed <= limit as u64);
                // Which of them a limited sweep takes first is its own affair.
                let rest = self.set.sweep(usize::MAX);
                prop_assert!(!rest.more && (some.more || rest.removed == 0), "{some:?}, then {rest:?}");
                prop_assert_eq!(some.removed + rest.removed, self.sweep());
            }
            Op::Move(by) => {
                self.time = self.time.saturating_add_signed(by);
                self.clock.set(at(self.time));
            }
        }
        Ok(())
    }

    /// What is to be said of a token by its id.
    fn standing(&self, token: u8) -> Standing {
        match self.tokens.get(&token) {
            None if self.forget_at(self.time) < self.dropped_through => Standing::Unknown,
            None => Standing::Clear,
            Some(token) if self.is_revoked(token) => Standing::Revoked,
            Some(token) if token.expires_at <= self.time.max(self.high_water) => Standing::Expired,
            Some(token) if self.forget_at(self.time) < token.dropped_before => Standing::Unknown,
            Some(_) => Standing::Clear,
        }
    }

    fn compare(&self) -> TestCaseResult {
        // One more than any that is ever named.
        for token in 0..=TOKENS {
            let standing = self.standing(token);
            prop_assert_eq!(self.set.check(&token), standing, "token {}", token);
            for principal in 0..PRINCIPALS {
                let cutoff = self.cutoffs.get(&principal).map(|cutoff| cutoff.at);
                for issued_at in [0, cutoff.unwrap_or(self.time), cutoff.unwrap_or(self.time) + 1] {
                    let expected = match standing {
                        _ if cutoff.is_some_and(|cutoff| issued_at <= cutoff) => Standing::Revoked,
                        Standing::Clear if self.forget_at(self.time) < self.dropped_through => Standing::Unknown,
                        standing => standing,
                    };
                    let said = self.set.check_issued(&token, &principal, Timestamp::from_nanos(issued_at));
                    prop_assert_eq!(said, expected, "token {} of {}, issued at {}", token, principal, issued_at);
                }
            }
        }
        let stats = self.set.stats();
        let revoked = self.tokens.values().filter(|token| self.is_revoked(token)).count() as u64;
        prop_assert!(stats.live <= self.rules.capacity && stats.cutoffs <= self.rules.capacity);
        prop_assert_eq!((stats.live, stats.revoked), (self.tokens.len() as u64, revoked));
        prop_assert_eq!((stats.cutoffs, stats.swept), (self.cutoffs.len() as u64, self.swept));
        prop_assert_eq!((stats.coarsened, stats.high_water.as_nanos()), (self.coarsened, self.high_water));
        let known = |&principal: &u8| {
            let current = Some((principal, self.cohorts[usize::from(principal)]));
            let has_member = self.tokens.values().any(|token| token.owner == current && !token.revoked);
            has_member || self.cutoffs.contains_key(&principal)
        };
        prop_assert_eq!(stats.principals, (0..PRINCIPALS).filter(known).count() as u64);
        Ok(())
    }
}
