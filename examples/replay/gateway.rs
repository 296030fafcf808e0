//! A gateway made of all the stores: what happens to one session at its start, at its turns and at its end.

use crate::Failure;
use crate::keep;
use crate::options::Options;
use crate::recording::{Recording, Turn};
use crate::schedule::{Day, mix};
use crate::stopwatch;
use crate::stores::Stores;
use crate::tally::{Cause, Tally};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate::clock::{Clock, Timestamp};
use tollgate::revocation::{Revoked, Standing};
use tollgate::session::{SessionError, SessionRequest, Tools};
use tollgate::trace::ActionTrace;
use uuid::Uuid;

/// One day: the copies that are replayed at once, through stores that outlive it.
pub(crate) struct Gateway<'r> {
    recordings: &'r [Recording],
    /// One for each session, copy by copy, each in the order of the input.
    seats: Vec<Seat>,
    day: Day,
    options: &'r Options,
    stores: &'r Stores,
}

/// One session of the replay.
struct Seat {
    agent: Uuid,
    token: Uuid,
    /// When session and token begin.
    issued_at: Timestamp,
    /// When the token ends by itself.
    expires_at: Timestamp,
    /// What the session store calls it; empty until it starts.
    id: OnceLock<Uuid>,
    /// Calls admitted. One thread at a time has a seat and barriers part them, so that Relaxed is enough.
    admitted: AtomicU64,
}

/// What the gateway says to a batch.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Admitted,
    Refused(Cause),
}

impl<'r> Gateway<'r> {
    pub(crate) fn new(stores: &'r Stores, options: &'r Options, recordings: &'r [Recording], day: Day) -> Self {
        Self { seats: seats(options, recordings, day), recordings, day, options, stores }
    }

    /// Where `session` of the input sits in each copy.
    pub(crate) fn places(&self, session: usize) -> impl Iterator<Item = usize> {
        (session..self.seats.len()).step_by(self.recordings.len().max(1))
    }

    /// Moves the clock.
    pub(crate) fn set_time(&self, at_ms: u64) {
        self.stores.clock.set(self.day.at(at_ms));
    }

    /// Starts a session, and has its token tracked.
    pub(crate) fn start(&self, place: usize) -> Result<(), Failure> {
        let (seat, recording) = (&self.seats[place], self.recording(place));
        let mut request = SessionRequest::new(seat.agent)
            .budget(self.options.budget)
            .time_limit(self.options.time_limit())
            .tools(Tools::only(recording.tools.iter().map(String::as_str)));
        if let Some(rate) = self.options.rate {
            request = request.rate(rate.calls, rate.window);
        }
        let id = self.stores.sessions.create(request).map_err(|error| match error {
            SessionError::Full { .. } => Failure::Input(format!(
                "replay: session-cap {} is too small: there is no room for session {}",
                self.stores.session_cap,
                self.label(place),
            )),
            SessionError::Config(error) => refused_option(error),
            error => Failure::Run(self.complaint(place, error)),
        })?;
        seat.id.set(id).map_err(|_| Failure::Run(self.complaint(place, "it started twice")))?;
        let tracked = self.stores.revocations.track(seat.agent, seat.token, seat.expires_at);
        tracked.map_err(|error| Failure::Run(self.complaint(place, error)))
    }

    /// The turns of a recording that is seated at `place`.
    pub(crate) fn turns(&self, place: usize) -> &'r [Turn] {
        &self.recording(place).turns
    }

    /// One assistant message: one batch.
    pub(crate) fn turn(&self, place: usize, turn: &Turn, tally: &mut Tally) -> Result<(), String> {
        let begun = stopwatch();
        let verdict = self.admit(place, &turn.tools)?;
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        tally.admit_ns.record(nanos).map_err(|error| format!("a latency cannot be recorded: {error}"))?;

        let session = self.label(place);
        let said = |what: String| self.complaint(place, what);
        keep::body(self.stores, self.recording(place), turn, &session, self.options.verify, tally).map_err(said)?;
        let calls = turn.tools.len() as u64;
        tally.offered += calls;
        match verdict {
            Verdict::Refused(cause) => {
                tally.batches_refused += 1;
                tally.refuse(cause, calls);
                keep::lower(self.stores, &session).map_err(said)?;
            }
            Verdict::Admitted => {
                tally.batches_admitted += 1;
                tally.admitted += calls;
                self.record(place, &turn.tools, tally);
                keep::raise(self.stores, &session).map_err(said)?;
                keep::results(self.stores, turn, &session, self.options, tally).map_err(said)?;
            }
        }
        Ok(())
    }

    /// Revokes the token, sees to it that one more call is refused, compares the counts, and closes the session.
    pub(crate) fn end(&self, place: usize, tally: &mut Tally) -> Result<(), String> {
        let seat = &self.seats[place];
        // A token that has outlived itself is revoked for now: remembered for the grace, so that it is still refused
        // by name.
        let until = seat.expires_at.max(self.stores.clock.now());
        let revoked = self.stores.revocations.revoke(seat.token, until);
        let revoked = revoked.map_err(|error| self.complaint(place, error))?;
        tally.revoked += u64::from(matches!(revoked, Revoked::Newly));
        self.extra_call(place, tally)?;

        let id = self.id(place)?;
        let admitted = seat.admitted.load(Ordering::Relaxed);
        // An expired session may have made room for another one.
        let agrees = match self.stores.sessions.get(&id) {
            Some(info) => info.usage.calls_made == admitted,
            None => self.is_over(seat),
        };
        tally.miscounted += u64::from(!agrees);
        match self.stores.sessions.close(&id) {
            Ok(()) => Ok(()),
            Err(SessionError::Expired | SessionError::NotFound) if self.is_over(seat) => Ok(()),
            Err(error) => Err(self.complaint(place, error)),
        }
    }

    /// Hands the day's sessions, which are over, to retention, one after the other.
    pub(crate) fn hand_over(&self) -> Result<(), String> {
        (0..self.seats.len()).try_for_each(|place| {
            let (recording, session) = (self.recording(place), self.label(place));
            let ended_ms = recording.turns.last().map_or(recording.start_ms, |turn| turn.at_ms);
            let times = (self.seats[place].issued_at, self.day.at(ended_ms));
            keep::raw(self.stores, session, times, &recording.raw).map_err(|what| self.complaint(place, what))
        })
    }

    /// Lets the day's agents go.
    pub(crate) fn forget_agents(&self) -> Result<(), String> {
        (0..self.seats.len()).try_for_each(|place| {
            keep::forget(self.stores, &self.label(place)).map_err(|what| self.complaint(place, what))
        })
    }

    /// Forgets what is over. All of it, as what is left over would depend on who came first.
    pub(crate) fn sweep(&self) {
        self.stores.sweep();
    }

    /// The call that must be refused. If it is not, the sums do not close.
    fn extra_call(&self, place: usize, tally: &mut Tally) -> Result<(), String> {
        let tool = self.recording(place).tools.first().map_or("none", String::as_str);
        tally.offered += 1;
        let standing = self.standing(&self.seats[place]);
        if !standing.is_clear() {
            tally.extra_refused += 1;
            tally.refuse(Cause::Revoked, 1);
            keep::take_down(self.stores, &self.label(place));
            return Ok(());
        }
        match self.admit(place, &[tool])? {
            Verdict::Admitted => tally.admitted += 1,
            Verdict::Refused(cause) => tally.refuse(cause, 1),
        }
        Ok(())
    }

    /// Asks the revocation set, then the session.
    fn admit<T: AsRef<str>>(&self, place: usize, tools: &[T]) -> Result<Verdict, String> {
        let seat = &self.seats[place];
        match self.standing(seat) {
            Standing::Clear => {}
            Standing::Expired => return Ok(Verdict::Refused(Cause::Expired)),
            // Revoked, or nobody can tell any more.
            _ => return Ok(Verdict::Refused(Cause::Revoked)),
        }
        let error = match self.stores.sessions.admit(&self.id(place)?, Some(&seat.agent), tools) {
            Ok(_) => {
                seat.admitted.fetch_add(tools.len() as u64, Ordering::Relaxed);
                return Ok(Verdict::Admitted);
            }
            Err(error) => error,
        };
        let cause = match error {
            SessionError::BudgetExceeded { .. } => Cause::Budget,
            SessionError::RateLimited { .. } => Cause::Rate,
            SessionError::ToolNotAuthorized { .. } => Cause::Tool,
            SessionError::Expired => Cause::Expired,
            SessionError::Closed => Cause::Closed,
            // A full store has made room.
            SessionError::NotFound if self.is_over(seat) => Cause::Expired,
            error => return Err(self.complaint(place, error)),
        };
        Ok(Verdict::Refused(cause))
    }

    fn standing(&self, seat: &Seat) -> Standing {
        self.stores.revocations.check_issued(&seat.token, &seat.agent, seat.issued_at)
    }

    /// Records one trace for each call of a batch that was admitted.
    fn record(&self, place: usize, tools: &[String], tally: &mut Tally) {
        let seat = &self.seats[place];
        let (session, copy) = (self.label(place), self.copy(place));
        let principal = format!("{copy}/{}", self.recording(place).agent_id);
        let before = seat.admitted.load(Ordering::Relaxed) - tools.len() as u64;
        for (number, tool) in (before..).zip(tools) {
            let (action, token) = (format!("{session}/{number}"), seat.token.to_string());
            let trace = ActionTrace::new(action, tool.clone(), principal.clone(), token, self.stores.clock.now());
            // Names are unique: one that replaced another would be missing in the sums.
            tally.recorded += u64::from(!self.stores.traces.record(trace).replaced);
        }
    }

    /// Whether the time of a session is over.
    fn is_over(&self, seat: &Seat) -> bool {
        self.stores.clock.now().saturating_since(seat.issued_at) > self.options.time_limit()
    }

    fn id(&self, place: usize) -> Result<Uuid, String> {
        self.seats[place].id.get().copied().ok_or_else(|| self.complaint(place, "it has not started"))
    }

    fn recording(&self, place: usize) -> &'r Recording {
        &self.recordings[place % self.recordings.len()]
    }

    fn copy(&self, place: usize) -> u64 {
        self.day.first_copy + (place / self.recordings.len()) as u64
    }

    /// A session's name, unique even if the input has a name twice: copy, position in the input, recorded name.
    fn label(&self, place: usize) -> String {
        let position = place % self.recordings.len();
        format!("{}.{position}/{}", self.copy(place), self.recording(place).session_id)
    }

    fn complaint(&self, place: usize, what: impl std::fmt::Display) -> String {
        format!("session {}: {what}", self.label(place))
    }
}

/// Every session of every copy of a day. Agents of one name are one agent within their copy.
fn seats(options: &Options, recordings: &[Recording], day: Day) -> Vec<Seat> {
    let mut first = HashMap::new();
    let agents: Vec<usize> = (recordings.iter().enumerate())
        .map(|(position, recording)| *first.entry(recording.agent_id.as_str()).or_insert(position))
        .collect();
    let seat = |copy: u64, position: usize| {
        let issued_at = day.at(recordings[position].start_ms);
        // The first place of the copy, of all copies of all days.
        let place = copy.wrapping_mul(recordings.len() as u64);
        Seat {
            agent: name(options.seed, 2 * (place + agents[position] as u64)),
            token: name(options.seed, 2 * (place + position as u64) + 1),
            issued_at,
            expires_at: issued_at.saturating_add(options.token_life()),
            id: OnceLock::new(),
            admitted: AtomicU64::new(0),
        }
    };
    let copies = day.first_copy..day.first_copy + day.copies;
    copies
        .flat_map(|copy| (0..recordings.len()).map(move |position| (copy, position)))
        .map(|(c, p)| seat(c, p))
        .collect()
}

/// The same name for the same seed and index; different indices have different names.
fn name(seed: u64, index: u64) -> Uuid {
    let low = mix(seed.wrapping_add(index));
    Uuid::from_u64_pair(mix(mix(seed) ^ low), low)
}

/// An option that a store refuses is the user's to correct.
pub(crate) fn refused_option(error: impl std::fmt::Display) -> Failure {
    Failure::Input(format!("replay: {error}"))
}
