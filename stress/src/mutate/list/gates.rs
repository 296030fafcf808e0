//! Mutations of sessions, revocations and handles.

use super::{Fate, Mutation, Source};

pub(super) const SESSION_ENTRY: Source = Source {
    file: "src/session/entry.rs",
    mutations: &[
        Mutation {
            id: "session-roster-ignored",
            what: "an admission does not ask the roster",
            find: "now > self.expires_after || «self.roster.active.status() != MeterStatus::Open»",
            with: "false",
            fate: Fate::Breaks(&["session_admit_close_for_agent_admit"]),
        },
        Mutation {
            id: "session-unsettled",
            what: "a session is said to be closed while its own meter is open",
            find: "let shut = «self.meter.shut_if(MeterStatus::Closed, |spent| spent.status == MeterStatus::Open)»;",
            with: "Err(MeterStatus::Closed)",
            fate: Fate::Breaks(&["session_admit_close_for_agent"]),
        },
        Mutation {
            id: "session-expired-closed",
            what: "a session that has expired since it was looked at is closed with its agent's",
            find: "shut_if(MeterStatus::Closed, |spent| «spent.status == MeterStatus::Open»)",
            with: "spent.status != MeterStatus::Closed",
            fate: Fate::Breaks(&["session_expire_close_for_agent_leaves_it_as_it_was_told"]),
        },
    ],
};

pub(super) const SESSION: Source = Source {
    file: "src/session/mod.rs",
    mutations: &[
        Mutation {
            id: "session-closed-meanwhile",
            what: "a create does not ask whether its agent was closed meanwhile",
            find: "if «!closed_meanwhile.active.confirm_open()» {",
            with: "false",
            fate: Fate::Breaks(&["session_create_close_for_agent_leaves_nothing_closed_behind"]),
        },
        Mutation {
            id: "session-closed-meanwhile-load",
            what: "a create asks with a load whether its agent was closed meanwhile",
            find: "if !«closed_meanwhile.active.confirm_open()» {",
            with: "closed_meanwhile.active.status() == MeterStatus::Open",
            fate: Fate::Breaks(&["session_create_close_for_agent_leaves_nothing_closed_behind"]),
        },
        Mutation {
            id: "session-close-place",
            what: "a close gives back the place of what has expired",
            find: "if «before.status != MeterStatus::Open» || session",
            with: "false",
            fate: Fate::Breaks(&["session_expire_expire_gives_the_place_back_once"]),
        },
    ],
};

pub(super) const SESSION_SHARED: Source = Source {
    file: "src/session/shared.rs",
    mutations: &[
        Mutation {
            id: "session-count-shut",
            what: "a create is not told that its roster was shut",
            find: "Err(Refused::Shut(_)) => {\n                    «self.leave(&roster, &id);»",
            with: "return Ok(roster);",
            fate: Fate::Breaks(&["session_create_close_for_agent_counts_what_it_closes"]),
        },
        Mutation {
            id: "session-drop-any",
            what: "a roster is dropped that took the place of the one meant",
            find: "|other| «Arc::ptr_eq(other, roster)»)",
            with: "true",
            fate: Fate::Breaks(&["session_close_for_agent_twice_create"]),
        },
        Mutation {
            id: "session-held-unasked",
            what: "a session is put on a roster that was shut with its last one",
            find: "if «roster.held.take(1).is_err()» {",
            with: "{ let _ = roster.held.take(1); false }",
            fate: Fate::Breaks(&["session_sweep_of_the_last_of_an_agent_create"]),
        },
        Mutation {
            id: "session-disband-open",
            what: "an empty roster is dropped without shutting it",
            find: "if «roster.held.shut_if_unused(MeterStatus::Closed).is_ok()» {",
            with: "roster.held.taken() == 0",
            fate: Fate::Breaks(&["session_sweep_of_the_last_of_an_agent_create"]),
        },
        Mutation {
            id: "session-sweep-twice",
            what: "a session's room is given back by each sweep that meets it",
            find: "if «sessions.remove(id).is_some()» {",
            with: "sessions.remove(id);\n                true",
            fate: Fate::Breaks(&["session_sweep_sweep_gives_room_back_once"]),
        },
        Mutation {
            id: "session-sweep-own-time",
            what: "a sweep judges by its own time, and not by the queue's",
            find: "session.settle(«met.now», &self.expired)",
            with: "now",
            fate: Fate::Breaks(&["session_sweep_sweep_later_leaves_nothing_behind"]),
        },
    ],
};

pub(super) const REVOCATION: Source = Source {
    file: "src/revocation/mod.rs",
    mutations: &[
        Mutation {
            id: "revoke-look-first",
            what: "what was dropped is asked before the lookup, not after",
            find: "let Some(entry) = «self.tokens.get(token)» else",
            with: "{\n            let behind = self.is_behind();\n            let found = self.tokens.get(token);\n            if found.is_none() {\n                return if behind { Standing::Unknown } else { Standing::Clear };\n            }\n            found\n        }",
            fate: Fate::Breaks(&["revoke_sweep_check"]),
        },
        Mutation {
            id: "revoke-judge-late",
            what: "the time that expires a token is read after its cohort was asked",
            find: "self.now.max(«high_water»)",
            with: "self.shared.queue.high_water().max(high_water)",
            fate: Fate::Breaks(&["revoke_principal_track_later_check"]),
        },
        Mutation {
            id: "revoke-dropped-before",
            what: "a check does not ask whether what is there was forgotten before",
            find: "if «self.covered < entry.dropped_before» {",
            with: "false",
            fate: Fate::Breaks(&["retrack_sweep"]),
        },
        Mutation {
            id: "revoke-cutoff-look",
            what: "a check does not ask whether a cutoff was dropped",
            find: "Standing::Clear if «self.is_behind()» =>",
            with: "false",
            fate: Fate::Breaks(&["sweep_of_a_cutoff_check_issued"]),
        },
    ],
};

pub(super) const REVOCATION_SHARED: Source = Source {
    file: "src/revocation/shared.rs",
    mutations: &[
        Mutation {
            id: "revoke-cohort-over",
            what: "a cohort that has ended counts as revoked",
            find: "«cohort.members.status() == Status::Closed»)",
            with: "cohort.members.status() != Status::Open",
            fate: Fate::Breaks(&["sweep_of_the_last_of_a_cohort_check"]),
        },
        Mutation {
            id: "revoke-place-twice",
            what: "a revocation that finds the token keeps the place that it took",
            find: "if before.revoked {\n                return Ok(«Revoked::Already»);",
            with: "{ if let Some(place) = place { place.keep(); } Revoked::Already }",
            fate: Fate::Breaks(&["revoke_revoke_of_one_token_takes_one_place"]),
        },
        Mutation {
            id: "revoke-lost-track",
            what: "a track that finds the token stays in the cohort",
            find: "drop(place);\n        «self.leave(&cohort);»",
            with: "",
            fate: Fate::Breaks(&["revoke_track_of_one_token"]),
        },
        Mutation {
            id: "revoke-lost-track-place",
            what: "nor gives its place back",
            find: "«drop(place);»\n        self.leave(&cohort);",
            with: "place.keep();",
            fate: Fate::Breaks(&["revoke_track_of_one_token"]),
        },
        Mutation {
            id: "revoke-join-shut",
            what: "a token joins a cohort that was shut",
            find: "cohort.filter(|cohort| «cohort.members.take(1).is_ok()»)",
            with: "{ let _ = cohort.members.take(1); true }",
            fate: Fate::Breaks(&["revoke_principal_track"]),
        },
        Mutation {
            id: "revoke-leave-open",
            what: "an empty cohort is given up without shutting it",
            find: "if «cohort.members.shut_if_unused(Status::Expired).is_ok()» {",
            with: "cohort.members.taken() == 0",
            fate: Fate::Breaks(&["sweep_of_the_last_of_a_cohort_track"]),
        },
        Mutation {
            id: "revoke-leave-any",
            what: "a cohort is given up that took the place of the one meant",
            find: "if «Arc::ptr_eq(other, cohort)» =>",
            with: "true",
            fate: Fate::Breaks(&["sweep_of_the_last_of_a_cohort_track"]),
        },
        Mutation {
            id: "revoke-cohort-first",
            what: "a principal's cohort is given up before it is shut",
            find: "Step::Put(«Principal { cohort, cutoff: Some(covered.max(cutoff)) }»)",
            with: "Principal { cohort: cohort.filter(|_| false), cutoff: Some(covered.max(cutoff)) }",
            fate: Fate::Breaks(&["revoke_principal_revoke_principal_counts_once"]),
        },
        Mutation {
            id: "revoke-shut-left",
            what: "who shuts a cohort leaves a principal of which a sweep has left nothing else",
            find: "which was open.\n                «self.drop_principal(principal, cohort);»",
            with: "",
            fate: Fate::Breaks(&["sweep_of_a_cutoff_revoke_principal_leaves_nothing_behind"]),
        },
        Mutation {
            id: "revoke-cutoff-left",
            what: "a sweep that drops a cutoff leaves a cohort that was shut meanwhile",
            find: "filter(|cohort| «!cohort.members.confirm_open()»)",
            with: "false",
            fate: Fate::Breaks(&["sweep_of_a_cutoff_revoke_principal_leaves_nothing_behind"]),
        },
        Mutation {
            id: "revoke-cutoff-left-load",
            what: "or asks for that with a load",
            find: "filter(|cohort| «!cohort.members.confirm_open()»)",
            with: "cohort.shut()",
            fate: Fate::Breaks(&["sweep_of_a_cutoff_revoke_principal_leaves_nothing_behind"]),
        },
        Mutation {
            id: "revoke-sweep-prolonged",
            what: "a token is swept that was prolonged meanwhile",
            find: "|entry| «self.forget_at(entry.expires_at) <= now»)",
            with: "entry.expires_at <= entry.expires_at.max(now)",
            fate: Fate::Breaks(&["retrack_sweep"]),
        },
        Mutation {
            id: "revoke-kept-forgotten",
            what: "a token that was prolonged is not queued again",
            find: "let kept = «tokens.get(token)»;",
            with: "None::<&Entry<P>>",
            fate: Fate::Breaks(&["retrack_sweep"]),
        },
        Mutation {
            id: "revoke-cutoff-prolonged",
            what: "a cutoff is swept that was prolonged meanwhile",
            find: "Some(known) if «ended(known)» =>",
            with: "known.cutoff.is_some()",
            fate: Fate::Breaks(&["sweep_of_a_cutoff_revoke_principal"]),
        },
        Mutation {
            id: "revoke-sweep-own-time",
            what: "a sweep judges a token by its own time, and not by the queue's",
            find: "self.sweep_token(token, «met.now»)",
            with: "now",
            fate: Fate::Breaks(&["revoke_sweep_sweep_later_leaves_nothing_behind"]),
        },
        Mutation {
            id: "revoke-sweep-own-time-cutoff",
            what: "a sweep judges a cutoff by its own time, and not by the queue's",
            find: "self.sweep_cutoff(principal, «met.now»)",
            with: "now",
            fate: Fate::Breaks(&["sweep_of_a_cutoff_sweep_later_leaves_nothing_behind"]),
        },
    ],
};

pub(super) const HANDLE: Source = Source {
    file: "src/handle/mod.rs",
    mutations: &[
        Mutation {
            id: "handle-queued-first",
            what: "a handle is queued before it is linked",
            find: "let Ok(placed) = «self.entries.insert_reclaiming(id, entry, reclaim)» else",
            with: "{\n            self.queue.add(id, expires_at);\n            let placed = self.entries.insert_reclaiming(id, entry, reclaim);\n            placed.map(|placed| crate::fifo::Placed { overtaken: true, ..placed })\n        }",
            fate: Fate::Breaks(&["handle_sweep_store_leaves_nothing_behind"]),
        },
        Mutation {
            id: "handle-remove-look",
            what: "a removal looks, and then removes",
            find: "«shared.entries.remove(id).ok_or(HandleError::NotFound)?»",
            with: "{\n            let entry = shared.entries.get(id).ok_or(HandleError::NotFound)?;\n            shared.entries.remove(id);\n            entry\n        }",
            fate: Fate::Breaks(&["handle_remove_remove_returns_it_once"]),
        },
        Mutation {
            id: "handle-expired-uncounted",
            what: "an expiry is counted without its removal",
            find: "self.expired.add(«removed.is_some().into()»);",
            with: "1",
            fate: Fate::Breaks(&["handle_get_get_of_one_that_expires"]),
        },
        Mutation {
            id: "handle-sweep-own-time",
            what: "a sweep judges by its own time, and not by the queue's",
            find: "if «met.is_due()» {",
            with: "met.deadline <= now",
            fate: Fate::Breaks(&["handle_sweep_sweep_later_leaves_nothing_behind"]),
        },
        Mutation {
            id: "handle-look-once",
            what: "no second look for room that another thread's sweep has made",
            find: "«looked = !found();\n        true»",
            with: "found()",
            fate: Fate::Fails(
                &["handle_sweep_store_that_needs_its_place"],
                "a live entry may be evicted while a sweep has a place in hand, and this is one look less",
                "a_store_looks_for_room_once_more_after_a_sweep_that_found_nothing",
            ),
        },
    ],
};

pub(super) const BOUND: Source = Source {
    file: "src/budget/bound.rs",
    mutations: &[
        Mutation {
            id: "bound-read",
            what: "a bound's word",
            find: "Count::unpack(self.word.load(«Ordering::Acquire»))",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["downgrade_all_is_one_instant_for_two"]),
        },
        Mutation {
            id: "bound-confirm-to-relaxed",
            what: "what was done before a bound was found open",
            find: "compare_exchange_weak(word, word, «Ordering::Release»,",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["session_create_close_for_agent_leaves_nothing_closed_behind"]),
        },
        Mutation {
            id: "bound-update-read",
            what: "a bound's word, before a decision",
            find: "let mut word = self.word.load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["enroll_downgrade_of_its_principal"]),
        },
        Mutation {
            id: "bound-blind",
            what: "a decision is carried out on another word",
            find: "compare_exchange_weak(«word», after",
            with: "self.word.load(Ordering::Acquire)",
            fate: Fate::Breaks(&["session_create_create_at_the_cap"]),
        },
        Mutation {
            id: "bound-update-to-acquire",
            what: "a decision",
            find: "compare_exchange_weak(word, after, «Ordering::AcqRel»",
            with: "Ordering::Acquire",
            fate: Fate::Breaks(&["downgrade_all_is_one_instant_for_two"]),
        },
        Mutation {
            id: "bound-update-to-release",
            what: "a decision",
            find: "compare_exchange_weak(word, after, «Ordering::AcqRel»",
            with: "Ordering::Release",
            fate: Fate::Breaks(&["session_create_close_for_agent_leaves_nothing_closed_behind"]),
        },
        Mutation {
            id: "bound-update-again",
            what: "a bound's word, after another's decision",
            find: "Ordering::AcqRel, «Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["enroll_downgrade_of_its_principal"]),
        },
    ],
};

pub(super) const ROOM: Source = Source {
    file: "src/room.rs",
    mutations: &[Mutation {
        id: "room-look-once",
        what: "no second look for room that another thread's sweep has made",
        find: "«return room.hold(1);»",
        with: "return None;",
        fate: Fate::Survives(
            &["revoke_full"],
            "who comes while a sweep is making room may be refused in any case, as the sweep gives the room back when the entry is gone",
        ),
    }],
};
