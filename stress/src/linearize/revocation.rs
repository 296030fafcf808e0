//! Revocation: what is revoked is found revoked by every later check until it has expired, whatever sweeps and clocks do.
//!
//! Two principals with two tokens each are checked together, with the clock that all calls read and that jumps about.

use super::check::{MAX_THREADS, Model};
use super::record::{Subject, pause};
use crate::run::{Checked, broken};
use fastrand::Rng;
use std::time::Duration;
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::revocation::{RevocationConfig, RevocationSet, Revoked, Standing};

const START: u64 = 1_000;
/// Times that the clock may show, from the start on.
const SPAN: u64 = 60;
const GRACE: u64 = 5;
const LIFE: u64 = 20;
const PRINCIPALS: usize = 2;
const TOKENS: usize = 4;

/// Sometimes slow to say the time.
#[derive(Clone, Debug)]
struct Slow(ManualClock);

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        let now = self.0.now();
        pause();
        now
    }
}

pub(super) struct Revocations {
    set: RevocationSet<usize, usize, Slow>,
    clock: ManualClock,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Track { token: usize, expires: u64 },
    Revoke { token: usize, expires: u64, owned: bool },
    RevokePrincipal(usize),
    Check(usize),
    CheckIssued { token: usize, issued: u64 },
    Sweep,
    SetClock(u64),
}

/// The principal of a token is `token % PRINCIPALS`.
#[derive(Clone, Debug)]
pub(super) enum Step {
    SetClock(u64),
    ReadClock,
    /// The time that was read becomes the high-water time, or if that is later, the other way round.
    Raise,
    /// A token is counted into the principal's present cohort.
    Join(usize),
    Track {
        token: usize,
        expires: u64,
    },
    Revoke {
        token: usize,
        expires: u64,
    },
    /// The token leaves its cohort, unless that was revoked first; then it was revoked already.
    Revoked(Revoked),
    Cutoff(usize),
    /// What was the principal's cohort at its cutoff is revoked at once; how many tokens were in it.
    RevokeCohort {
        principal: usize,
        newly: u64,
    },
    /// Whether a cutoff covers the token, if it was issued then.
    LookForCutoff {
        token: usize,
        issued: u64,
    },
    Lookup(usize),
    /// What a check makes of what it has found.
    Judge {
        issued: bool,
        standing: Standing,
    },
    Sweep,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Set {
    clock: u64,
    high_water: u64,
    /// The latest time of a sweep: what has expired a grace before it may be forgotten.
    swept: u64,
    /// The time through which something was forgotten for certain.
    forgotten: u64,
    tokens: [Option<Entry>; TOKENS],
    principals: [Principal; PRINCIPALS],
    threads: [Local; MAX_THREADS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    token: usize,
    expires: u64,
    revoked: bool,
    /// The number of the cohort that it was tracked in.
    cohort: Option<u8>,
    /// The time through which something had been forgotten for certain when it was tracked, and that through which it may.
    forgotten_before: (u64, u64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Principal {
    /// The number of the open cohort; those before it were revoked, or empty.
    cohort: u8,
    cutoff: Option<u64>,
}

/// What a thread's call has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Local {
    now: u64,
    cut_off: bool,
    found: Option<Entry>,
    /// The principal and cohort that it has joined.
    joined: Option<(usize, u8)>,
    /// The principal and cohort that it is about to revoke.
    revoking: Option<(usize, u8)>,
}

impl Set {
    fn new() -> Self {
        Self {
            clock: START,
            high_water: 0,
            swept: 0,
            forgotten: 0,
            tokens: [None; TOKENS],
            principals: [Principal::default(); PRINCIPALS],
            threads: [Local::default(); MAX_THREADS],
        }
    }

    fn is_revoked(&self, entry: &Entry) -> bool {
        let present = self.principals[entry.token % PRINCIPALS].cohort;
        entry.revoked || entry.cohort.is_some_and(|cohort| cohort < present)
    }

    /// What was forgotten is known within bounds: a sweep says when it removes, not what it only looked at.
    fn forgotten_within(&self) -> (u64, u64) {
        (self.forgotten, if self.swept == 0 { 0 } else { self.high_water })
    }

    fn is_forgettable(&self, entry: &Entry) -> bool {
        entry.expires + GRACE <= self.swept
    }

    fn track(&mut self, token: usize, expires: u64, joined: Option<(usize, u8)>) {
        let (cohort, forgotten_before) = (joined.map(|(_, cohort)| cohort), self.forgotten_within());
        let fresh = Entry { token, expires, revoked: false, cohort, forgotten_before };
        let entry = self.tokens[token].get_or_insert(fresh);
        entry.expires = entry.expires.max(expires);
    }

    fn revoke(&mut self, token: usize, expires: u64, now: u64) {
        // An id that nobody may have issued is remembered for a life at most.
        let expires = expires.min(now + LIFE);
        let fresh = Entry { token, expires, revoked: true, cohort: None, forgotten_before: (0, 0) };
        let entry = self.tokens[token].get_or_insert(fresh);
        (entry.expires, entry.revoked) = (entry.expires.max(expires), true);
    }

    fn revoke_cohort(&mut self, principal: usize, revoking: Option<(usize, u8)>, newly: u64) -> bool {
        if revoking != Some((principal, self.principals[principal].cohort)) {
            // Another call revoked it, or it was empty.
            return newly == 0;
        }
        let of_principal = self.tokens.iter().flatten().filter(|entry| entry.token % PRINCIPALS == principal);
        // Those that come or go by themselves just now may be counted, too.
        let certain = of_principal.filter(|entry| !self.is_revoked(entry) && !self.is_forgettable(entry)).count();
        self.principals[principal].cohort += 1;
        certain as u64 <= newly
    }

    fn may_answer(&self, local: Local, issued: bool, standing: Standing) -> bool {
        // A token that is there may have been there before, one that is not, or a cutoff, at any time.
        let (certain, possible) = match local.found {
            Some(entry) if !issued => entry.forgotten_before,
            _ => self.forgotten_within(),
        };
        let (may_cover, sure_to_cover) = (local.now + GRACE >= certain, local.now + GRACE >= possible);
        match local.found {
            _ if local.cut_off => standing == Standing::Revoked,
            Some(entry) if self.is_revoked(&entry) => standing == Standing::Revoked,
            Some(entry) if entry.expires <= local.now.max(self.high_water) => standing == Standing::Expired,
            _ => match standing {
                Standing::Clear => may_cover,
                Standing::Unknown => !sure_to_cover,
                Standing::Revoked | Standing::Expired => false,
            },
        }
    }

    /// A cohort without tokens is given up, which matters to a call that is about to revoke it: those who join the next
    /// one are not covered.
    fn given_up(&self) -> impl Iterator<Item = Self> {
        let revoking = self.threads.iter().filter_map(|local| local.revoking);
        let empty = revoking.filter(|&(principal, cohort)| {
            let joined = self.threads.iter().any(|local| local.joined == Some((principal, cohort)));
            let mut entries = self.tokens.iter().flatten();
            let member = |entry: &Entry| entry.token % PRINCIPALS == principal && !self.is_revoked(entry);
            self.principals[principal].cohort == cohort && !joined && !entries.any(member)
        });
        empty.map(|(principal, _)| {
            let mut after = self.clone();
            after.principals[principal].cohort += 1;
            after
        })
    }
}

impl Model for Set {
    type Step = Step;

    fn apply(&mut self, thread: usize, step: &Step) -> bool {
        let local = self.threads[thread];
        match *step {
            Step::SetClock(now) => self.clock = now,
            Step::ReadClock => self.threads[thread].now = self.clock,
            Step::Raise => {
                self.high_water = self.high_water.max(local.now);
                self.threads[thread].now = self.high_water;
            }
            Step::Join(principal) => {
                self.threads[thread].joined = Some((principal, self.principals[principal].cohort));
            }
            Step::Cutoff(principal) => {
                let Principal { cohort, cutoff } = &mut self.principals[principal];
                *cutoff = (*cutoff).max(Some(local.now));
                self.threads[thread].revoking = Some((principal, *cohort));
            }
            Step::LookForCutoff { token, issued } => {
                let cutoff = self.principals[token % PRINCIPALS].cutoff;
                self.threads[thread].cut_off = cutoff.is_some_and(|cutoff| issued <= cutoff);
            }
            Step::Lookup(token) => self.threads[thread].found = self.tokens[token],
            Step::Revoke { token, expires } => {
                self.threads[thread].found = self.tokens[token];
                self.revoke(token, expires, local.now);
            }
            // The last steps of calls: what they have seen is of no use any more.
            _ => {
                self.threads[thread] = Local::default();
                return match *step {
                    Step::Track { token, expires } => {
                        self.track(token, expires, local.joined);
                        true
                    }
                    Step::Revoked(answer) => {
                        let already = local.found.is_some_and(|before| self.is_revoked(&before));
                        already == (answer == Revoked::Already)
                    }
                    Step::RevokeCohort { principal, newly } => self.revoke_cohort(principal, local.revoking, newly),
                    Step::Judge { issued, standing } => self.may_answer(local, issued, standing),
                    _ => {
                        self.swept = self.swept.max(local.now);
                        true
                    }
                };
            }
        }
        true
    }

    fn is_read(_: &Step) -> bool {
        false
    }

    fn is_private(step: &Step) -> bool {
        matches!(step, Step::ReadClock | Step::LookForCutoff { .. } | Step::Lookup(_) | Step::Judge { .. })
    }

    fn hidden(&self) -> Vec<Self> {
        let forget = |(forget, end): (usize, u64), what: fn(&mut Self, usize)| {
            let mut after = self.clone();
            after.forgotten = after.forgotten.max(end);
            what(&mut after, forget);
            after
        };
        let tokens = self.tokens.iter().flatten().filter(|entry| self.is_forgettable(entry));
        let tokens = tokens.map(|entry| forget((entry.token, entry.expires + GRACE), |set, at| set.tokens[at] = None));
        let cutoffs = self.principals.iter().enumerate();
        let cutoffs = cutoffs.filter_map(|(at, principal)| Some((at, principal.cutoff? + LIFE + GRACE)));
        let cutoffs = cutoffs.filter(|(_, end)| *end <= self.swept);
        let cutoffs = cutoffs.map(|cutoff| forget(cutoff, |set, at| set.principals[at].cutoff = None));
        tokens.chain(cutoffs).chain(self.given_up()).collect()
    }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

impl Subject for Revocations {
    type Op = Op;
    type Model = Set;
    const CALLS: u64 = 8;

    fn new(_: &mut Rng) -> Checked<Self> {
        let clock = ManualClock::new(at(START));
        let config =
            RevocationConfig::new().grace(Duration::from_nanos(GRACE)).max_token_life(Duration::from_nanos(LIFE));
        let set = RevocationSet::with_clock(config, Slow(clock.clone())).or_else(broken)?;
        Ok(Self { set, clock })
    }

    fn start(&self) -> Set {
        Set::new()
    }

    fn plan(rng: &mut Rng, unique: u64) -> Op {
        // Time goes on with the calls, by and large.
        let now = START + unique % 1_000 * 4 + rng.u64(..SPAN / 4);
        let (token, expires) = (rng.usize(..TOKENS), now + rng.u64(..LIFE));
        match rng.u8(..64) {
            0..12 => Op::Track { token, expires },
            12..20 => Op::Revoke { token, expires, owned: rng.bool() },
            20..25 => Op::RevokePrincipal(token % PRINCIPALS),
            25..44 => Op::Check(token),
            44..52 => Op::CheckIssued { token, issued: now.saturating_sub(rng.u64(..LIFE)) },
            52..57 => Op::Sweep,
            _ => Op::SetClock(now),
        }
    }

    fn call(&self, op: Op, steps: &mut Vec<Step>) {
        let set = &self.set;
        match op {
            Op::Track { token, expires } => {
                let principal = token % PRINCIPALS;
                set.track(principal, token, at(expires)).expect("there is room");
                // It reads the clock again if the token comes and goes meanwhile.
                let read = [Step::ReadClock, Step::Raise, Step::ReadClock, Step::Raise];
                steps.extend(read);
                steps.extend([Step::Join(principal), Step::Track { token, expires }]);
            }
            Op::Revoke { token, expires, owned } => {
                let owner = token % PRINCIPALS;
                // Named or not: there is room, so nothing depends on it.
                let answer =
                    if owned { set.revoke_owned(&owner, token, at(expires)) } else { set.revoke(token, at(expires)) };
                let answer = answer.expect("there is room");
                let revoke = Step::Revoke { token, expires };
                steps.extend([Step::ReadClock, Step::Raise, revoke, Step::Revoked(answer)]);
            }
            Op::RevokePrincipal(principal) => {
                let newly = set.revoke_principal(&principal).expect("there is room");
                // The first cutoff of a principal looks for room, and reads the clock again.
                steps.extend([Step::ReadClock, Step::Raise, Step::ReadClock, Step::Raise]);
                steps.extend([Step::Cutoff(principal), Step::RevokeCohort { principal, newly }]);
            }
            Op::Check(token) => {
                let standing = set.check(&token);
                steps.extend([Step::ReadClock, Step::Lookup(token), Step::Judge { issued: false, standing }]);
            }
            Op::CheckIssued { token, issued } => {
                let standing = set.check_issued(&token, &(token % PRINCIPALS), at(issued));
                steps.extend([Step::ReadClock, Step::LookForCutoff { token, issued }]);
                steps.extend([Step::Lookup(token), Step::Judge { issued: true, standing }]);
            }
            Op::Sweep => {
                set.sweep(usize::MAX);
                steps.extend([Step::ReadClock, Step::Raise, Step::Sweep]);
            }
            Op::SetClock(now) => {
                self.clock.set(at(now));
                steps.push(Step::SetClock(now));
            }
        }
    }

    fn rest(&self, steps: &mut Vec<Step>) {
        for token in 0..TOKENS {
            self.call(Op::Check(token), steps);
            self.call(Op::CheckIssued { token, issued: START + SPAN / 2 }, steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::holds;
    use super::*;

    /// Calls one after the other, each by another thread than the one before.
    fn judged(calls: Vec<Vec<Step>>) -> bool {
        let steps = calls.into_iter().enumerate().flat_map(|(i, steps)| {
            let start = 2 * i as u64;
            steps.into_iter().map(move |step| (i % 2, start, start + 1, step))
        });
        holds(&Set::new(), steps.collect())
    }

    fn revoke(token: usize, expires: u64) -> Vec<Step> {
        let revoke = Step::Revoke { token, expires };
        vec![Step::ReadClock, Step::Raise, revoke, Step::Revoked(Revoked::Newly)]
    }

    fn track(token: usize, expires: u64) -> Vec<Step> {
        vec![Step::ReadClock, Step::Raise, Step::Join(token % PRINCIPALS), Step::Track { token, expires }]
    }

    fn revoke_principal(principal: usize, newly: u64) -> Vec<Step> {
        vec![Step::ReadClock, Step::Raise, Step::Cutoff(principal), Step::RevokeCohort { principal, newly }]
    }

    fn check(token: usize, standing: Standing) -> Vec<Step> {
        vec![Step::ReadClock, Step::Lookup(token), Step::Judge { issued: false, standing }]
    }

    fn sweep_at(now: u64) -> Vec<Step> {
        vec![Step::SetClock(now), Step::ReadClock, Step::Raise, Step::Sweep]
    }

    #[test]
    fn rejects_a_revocation_that_is_forgotten_while_it_is_live() {
        let expires = START + 10;
        assert!(judged(vec![revoke(0, expires), check(0, Standing::Revoked)]));
        assert!(!judged(vec![revoke(0, expires), check(0, Standing::Clear)]));
        let early = sweep_at(expires + GRACE - 1);
        assert!(!judged(vec![revoke(0, expires), early, check(0, Standing::Clear)]));
        let late = sweep_at(expires + GRACE);
        assert!(judged(vec![revoke(0, expires), late, check(0, Standing::Clear)]));
    }

    #[test]
    fn rejects_a_clear_answer_to_a_clock_by_which_the_forgotten_token_is_alive() {
        let (expires, back) = (START + 10, vec![Step::SetClock(START)]);
        let forgotten = vec![revoke(0, expires), sweep_at(expires + GRACE), back];
        assert!(!judged([forgotten.clone(), vec![check(0, Standing::Clear)]].concat()));
        assert!(judged([forgotten, vec![check(0, Standing::Unknown)]].concat()));
    }

    #[test]
    fn rejects_a_principal_some_of_whose_tokens_are_missed() {
        let tracked = vec![track(0, START + 10), track(2, START + 10), revoke_principal(0, 2)];
        assert!(judged([tracked.clone(), vec![check(0, Standing::Revoked), check(2, Standing::Revoked)]].concat()));
        assert!(!judged([tracked, vec![check(0, Standing::Revoked), check(2, Standing::Clear)]].concat()));
        let too_few = vec![track(0, START + 10), track(2, START + 10), revoke_principal(0, 1)];
        assert!(!judged(too_few));
    }

    #[test]
    fn tokens_that_are_tracked_later_start_afresh() {
        let calls = vec![revoke_principal(0, 0), track(0, START + 10), check(0, Standing::Clear)];
        assert!(judged(calls));
    }
}
