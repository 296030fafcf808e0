//! Mutations of bodies, postures and retention.

use super::{Fate, Mutation, Source};

pub(super) const BODY_PIECES: Source = Source {
    file: "src/body/pieces.rs",
    mutations: &[Mutation {
        id: "body-drop-blind",
        what: "the last reference is looked for, and dropped then",
        find: "let done = «pieces.compute(digest, |held| match held.map(|held| held.without(refs)) {\n                Some(Some(held)) => Step::Put(held),\n                Some(None) => Step::Remove,\n                None => Step::Keep,\n            })»;",
        with: "{\n                let seen = pieces.get(&digest).map(|held| held.without(refs));\n                pieces.compute(digest, |_| match seen.clone() {\n                    Some(Some(held)) => Step::Put(held),\n                    Some(None) => Step::Remove,\n                    None => Step::Keep,\n                })\n            }",
        fate: Fate::Breaks(&["body_release_insert_of_one_that_goes_on"]),
    }],
};

pub(super) const BODY_PLAN: Source = Source {
    file: "src/body/plan.rs",
    mutations: &[
        Mutation {
            id: "body-hold-blind",
            what: "what is held is looked for, and held then",
            find: "let done = «pieces.compute(digest, |held| held.map_or(Step::Keep, |held| Step::Put(held.with(refs))))»;",
            with: "{\n            let seen = pieces.get(&digest).map(|held| held.with(refs));\n            pieces.compute(digest, |_| seen.clone().map_or(Step::Keep, Step::Put))\n        }",
            fate: Fate::Breaks(&["body_release_insert_of_one_that_goes_on"]),
        },
        Mutation {
            id: "body-link-over",
            what: "what another thread has linked is replaced",
            find: "Step::Put(«there.map_or_else(|| held.clone(), |it| it.with(held.refs))»))",
            with: "there.map_or_else(|| held.clone(), |_| held.clone())",
            fate: Fate::Breaks(&["body_insert_insert_of_the_same_content"]),
        },
        Mutation {
            id: "body-link-spare",
            what: "bytes of what another thread has linked are kept",
            find: "«pieces.give_back(spare);»",
            with: "",
            fate: Fate::Breaks(&["body_insert_insert_of_the_same_content"]),
        },
        Mutation {
            id: "body-link-unneeded",
            what: "references of what another thread has linked are kept",
            find: "«pieces.drop_refs(unneeded);»",
            with: "",
            fate: Fate::Breaks(&["body_insert_insert_of_the_same_content"]),
        },
    ],
};

pub(super) const BODY_SHARED: Source = Source {
    file: "src/body/shared.rs",
    mutations: &[
        Mutation {
            id: "body-overtaken",
            what: "a record that was evicted on its way is left to nobody",
            find: "Ok(placed) if «placed.overtaken» =>",
            with: "false",
            fate: Fate::Breaks(&["body_insert_prune"]),
        },
        Mutation {
            id: "body-twin-departs-twice",
            what: "a twin that was evicted departs once more",
            find: "!self.claim(&stored) && «self.records.remove(&ticket).is_some()»;",
            with: "{\n            self.records.remove(&ticket);\n            true\n        }",
            fate: Fate::Breaks(&["body_insert_insert_of_the_same_record_evict"]),
        },
        Mutation {
            id: "body-room-once",
            what: "no second look for room that others have made",
            find: "return «self.pieces.reserve(bytes)»;",
            with: "false",
            fate: Fate::Survives(
                &["body_insert_evict"],
                "an insert may be refused while others have the room in hand, and this is one look less",
            ),
        },
        Mutation {
            id: "body-claim-look",
            what: "who claims an id looks at the turn's list, and does not exchange it",
            find: "Some(list) if list.contains(&stored.ticket) => «Step::Put(Arc::clone(list))»",
            with: "Step::Keep",
            fate: Fate::Breaks(&["body_insert_prune"]),
        },
        Mutation {
            id: "body-claim-blind",
            what: "nor looks",
            find: "if «!self.is_in_turn(stored)» {",
            with: "false",
            fate: Fate::Breaks(&["body_insert_prune"]),
        },
        Mutation {
            id: "body-claim-leaving",
            what: "an id whose record is on its way out counts as taken",
            find: "if «self.records.get(&other).is_some()» {",
            with: "true",
            fate: Fate::Survives(
                &["body_release_insert_of_the_same_record"],
                "an insert beside a removal counts as before it, then; the rule is for a remover that never comes back",
            ),
        },
        Mutation {
            id: "body-claim-any",
            what: "an id is freed that somebody else has claimed meanwhile",
            find: "|&current| «current == other»)",
            with: "true",
            fate: Fate::Breaks(&["body_release_insert_insert_of_the_same_record"]),
        },
        Mutation {
            id: "body-depart-order",
            what: "a departing record gives up its id before its turn",
            find: "self.leave_turn(&stored.record.turn, stored.ticket);\n        self.ids.pin().remove_if(&stored.id, |&ticket| ticket == stored.ticket);",
            with: "self.ids.pin().remove_if(&stored.id, |&ticket| ticket == stored.ticket);\n        self.leave_turn(&stored.record.turn, stored.ticket);",
            fate: Fate::Breaks(&["body_insert_prune"]),
        },
        Mutation {
            id: "body-depart-any",
            what: "a departing record gives up an id that is another's",
            find: "|&ticket| «ticket == stored.ticket»)",
            with: "true",
            fate: Fate::Breaks(&["body_insert_insert_of_the_same_record"]),
        },
    ],
};

pub(super) const POSTURE_AGENT: Source = Source {
    file: "src/posture/agent.rs",
    mutations: &[
        Mutation {
            id: "posture-changed-unconfirmed",
            what: "an agent is changed that was forgotten and inserted since it was confirmed",
            find: "«self.birth.is_none()» && self.down().is_none()",
            with: "true",
            fate: Fate::Fails(
                &["insert_set_posture_emergency_of_another"],
                "it takes two looks and an exchange of one call, and a whole other life of the agent between them",
                "an_agent_is_settled_once_it_is_confirmed_and_until_it_is_taken_down",
            ),
        },
        Mutation {
            id: "posture-decided-stale",
            what: "a transition that was decided on a stranger is carried out on whoever it is by now",
            find: "let is_unchanged = «agent.changed == 0 && (agent.posture, agent.latched) == (self.posture, self.latched)»;",
            with: "true",
            fate: Fate::Breaks(&["insert_insert_of_one_agent_takes_one_place"]),
        },
        Mutation {
            id: "posture-decided-strangers",
            what: "or though strangers have changed",
            find: "is_unchanged && «Arc::ptr_eq(before, &everyone())»",
            with: "{ let _ = (before, everyone); true }",
            fate: Fate::Breaks(&["transition_change_and_forget_of_an_unknown_agent"]),
        },
    ],
};

pub(super) const POSTURE_COHORT: Source = Source {
    file: "src/posture/cohort.rs",
    mutations: &[Mutation {
        id: "posture-order-late",
        what: "a cohort is shut before its order is there",
        find: "let mine = «self.order.pin().try_insert((), Arc::clone(order)).is_ok()»;",
        with: "{\n            let _ = self.members.shut(Status::Closed);\n            self.order.pin().try_insert((), Arc::clone(order)).is_ok()\n        }",
        fate: Fate::Breaks(&["insert_downgrade_all"]),
    }],
};

pub(super) const POSTURE_MANY: Source = Source {
    file: "src/posture/many.rs",
    mutations: &[
        Mutation {
            id: "posture-enter-other",
            what: "an order is entered in the place of another",
            find: "known.down().is_some_and(|other| «Arc::ptr_eq(other, down)»))",
            with: "Arc::strong_count(other) > 0",
            fate: Fate::Breaks(&["downgrade_all_downgrade_all_keeps_the_latch"]),
        },
        Mutation {
            id: "posture-confirm-look",
            what: "who makes an agent known asks with a load whether strangers were taken down",
            find: "&& «birth.members.confirm_open()»;",
            with: "!birth.is_down()",
            fate: Fate::Breaks(&["emergency_of_an_unknown_agent_insert"]),
        },
        Mutation {
            id: "posture-confirm-all",
            what: "who makes an agent known does not ask whether everyone was taken down",
            find: "let is_open = «seen.all.members.confirm_open()» &&",
            with: "true",
            fate: Fate::Breaks(&["insert_downgrade_all"]),
        },
        Mutation {
            id: "posture-confirm-all-load",
            what: "or asks with a load",
            find: "let is_open = «seen.all.members.confirm_open()» &&",
            with: "(!seen.all.is_down())",
            fate: Fate::Breaks(&["insert_downgrade_all", "insert_downgrade_all_counts_who_was_known"]),
        },
        Mutation {
            id: "posture-confirm-any",
            what: "an agent is confirmed that came to be known anew since it was looked at",
            find: "let same = same && «known.born == seen.born» &&",
            with: "true",
            fate: Fate::Fails(
                &["emergency_of_an_unknown_agent_insert"],
                "it takes three threads, and an agent that is forgotten between a look and its exchange",
                "an_agent_is_confirmed_as_it_was_looked_at_and_not_as_it_came_back",
            ),
        },
        Mutation {
            id: "posture-confirm-all-any",
            what: "or has followed everyone since",
            find: "&& «Arc::ptr_eq(&known.all, &seen.all)»;",
            with: "true",
            fate: Fate::Fails(
                &["insert_downgrade_all"],
                "it takes two downgrades of everyone, and an agent between them that has not been confirmed",
                "an_agent_is_confirmed_as_it_was_looked_at_and_not_as_it_came_back",
            ),
        },
        Mutation {
            id: "posture-lower-other",
            what: "who finds another's order does not give its own",
            find: "if «mine» {\n                // Contained",
            with: "true",
            fate: Fate::Breaks(&["emergency_emergency_of_unknown_agents_keeps_the_latch"]),
        },
        Mutation {
            id: "posture-renew-any",
            what: "a cohort is renewed that another thread has renewed",
            find: "Some(current) if «Arc::ptr_eq(current, down)» =>",
            with: "true",
            fate: Fate::Fails(
                &["enroll_downgrade_of_its_principal"],
                "a cohort has to be taken down, given up and made anew between a look and its exchange",
                "who_renews_a_cohort_late_leaves_the_one_that_came_after",
            ),
        },
        Mutation {
            id: "posture-all-other",
            what: "who finds another's order does not give its own",
            find: "if «mine» {\n                self.settle_all",
            with: "true",
            fate: Fate::Breaks(&["downgrade_all_downgrade_all_keeps_the_latch_of_strangers"]),
        },
    ],
};

pub(super) const POSTURE_MEMBERS: Source = Source {
    file: "src/posture/members.rs",
    mutations: &[
        Mutation {
            id: "posture-enroll-down",
            what: "an agent is enrolled that was taken down",
            find: "let Some(known) = known.filter(|known| «known.is_settled()») else { return Step::Keep };\n                enrolled",
            with: "known.birth.is_none()",
            fate: Fate::Survives(
                &["enroll_downgrade_of_its_principal", "enroll_elsewhere_downgrade_of_its_principal"],
                "the cohort could be taken down between this question and the exchange, and nobody has answered for it then",
            ),
        },
        Mutation {
            id: "posture-enroll-look",
            what: "who enrolled an agent does not ask whether its principal was taken down",
            find: "if «!joined.members.confirm_open()» {",
            with: "false",
            fate: Fate::Breaks(&["enroll_downgrade_of_its_principal"]),
        },
        Mutation {
            id: "posture-enroll-load",
            what: "or asks with a load",
            find: "if !«joined.members.confirm_open()» {",
            with: "(!joined.is_down())",
            fate: Fate::Breaks(&["enroll_downgrade_of_its_principal"]),
        },
        Mutation {
            id: "posture-enroll-left",
            what: "an agent leaves a principal that was taken down with it",
            find: "if «!self.leave(&left) && !Arc::ptr_eq(&left, &joined)» {",
            with: "{ self.leave(&left); false }",
            fate: Fate::Breaks(&["enroll_elsewhere_downgrade_of_its_principal"]),
        },
        Mutation {
            id: "posture-enroll-lost",
            what: "that one is not taken down if there is no room for it any more",
            find: "let _ = «self.emergency(agent, &order.downgrade, order.at, trims)»;",
            with: "self.lower(agent, &order.downgrade, order.at, trims).map_or(super::Emergency::AllUnknown, super::Emergency::Agent)",
            fate: Fate::Breaks(&["enroll_elsewhere_downgrade_of_its_principal_forget_when_full"]),
        },
        Mutation {
            id: "posture-leave-open",
            what: "an empty cohort is given up without shutting it",
            find: "if «cohort.members.shut_if_unused(Status::Expired).is_ok()» {",
            with: "cohort.members.taken() == 0",
            fate: Fate::Breaks(&["forget_of_the_last_of_a_principal_enroll"]),
        },
        Mutation {
            id: "posture-forget-untold",
            what: "who decided on an agent before it was known is not told that it was",
            find: "«self.change_everyone(|same| Some(same.clone()));»\n            let fits",
            with: "",
            fate: Fate::Breaks(&["transition_change_and_forget_of_an_unknown_agent"]),
        },
        Mutation {
            id: "posture-forget-another",
            what: "an agent is forgotten that came back since it was looked at",
            find: "|known: &Agent| «known.born == born» && !known.latched",
            with: "true",
            fate: Fate::Breaks(&["forget_forget_emergency_beats_what_was_decided_before"]),
        },
        Mutation {
            id: "posture-forget-any",
            what: "an agent is forgotten that has changed since it was looked at",
            find: "«!would_raise(known)» && known.down()",
            with: "true",
            fate: Fate::Breaks(&["forget_emergency"]),
        },
        Mutation {
            id: "posture-forget-down",
            what: "or was taken down since",
            find: "!would_raise(known) && «known.down().is_none()»;",
            with: "true",
            fate: Fate::Survives(
                &["forget_emergency"],
                "the cohort could be taken down between this question and the exchange: the agent was forgotten before it, as nobody has answered for it since, and is counted, as documented",
            ),
        },
        Mutation {
            id: "posture-release-down",
            what: "a latch is released that a downgrade has just ordered",
            find: "(known.latched && «open(known)»)",
            with: "true",
            fate: Fate::Survives(
                &["forget_emergency"],
                "the order is entered next, and latches the agent again: as if the release had come before it",
            ),
        },
    ],
};

pub(super) const POSTURE: Source = Source {
    file: "src/posture/mod.rs",
    mutations: &[
        Mutation {
            id: "posture-refused-stale",
            what: "a refusal is recorded though its reason has gone",
            find: "«refusal.still_fits(known, request.from)»",
            with: "true",
            fate: Fate::Breaks(&["transition_set_posture_is_refused_for_what_was"]),
        },
        Mutation {
            id: "posture-decided-before",
            what: "a transition is carried out on what has changed since",
            find: "None if «!standing.still_holds(known, || shared.everyone())» =>",
            with: "false",
            fate: Fate::Breaks(&["transition_transition_from_one_posture"]),
        },
    ],
};

pub(super) const POSTURE_SHARED: Source = Source {
    file: "src/posture/shared.rs",
    mutations: &[
        Mutation {
            id: "posture-look-down",
            what: "a reader does not ask the cohorts",
            find: "if «known.down().is_none()» {\n                    return known.standing();",
            with: "true",
            fate: Fate::Breaks(&["downgrade_all_is_one_instant_for_two"]),
        },
        Mutation {
            id: "posture-look-answered",
            what: "a reader answers for what was taken down, and does not enter it",
            find: "«self.settle(&Arc::from(agent), trims);\n                continue;»",
            with: "return Standing::of_stranger(self.everyone(), super::Posture::Pseudo);",
            fate: Fate::Breaks(&["insert_lower_unknown_get_get"]),
        },
        Mutation {
            id: "posture-look-strangers",
            what: "a reader does not ask whether strangers have changed since it looked at them",
            find: "&& «Arc::ptr_eq(&everyone, &self.open_everyone())» {",
            with: "true",
            fate: Fate::Breaks(&["restore_default_while_an_agent_is_known_get"]),
        },
        Mutation {
            id: "posture-born-again",
            what: "an agent that was forgotten and came back is the same",
            find: "self.config.default_posture, «self.births.up()»);",
            with: "0",
            fate: Fate::Breaks(&["transition_change_and_forget"]),
        },
        Mutation {
            id: "posture-look-once",
            what: "what was not known is not looked for again",
            find: "if «agents.get(agent).is_none()» && Arc",
            with: "true",
            fate: Fate::Breaks(&["insert_lower_unknown_get"]),
        },
        Mutation {
            id: "posture-write-down",
            what: "a change is made on an agent that was taken down",
            find: "let Some(agent) = known.filter(|known| «known.is_settled()») else { return Step::Keep };\n                match decide",
            with: "known.birth.is_none()",
            fate: Fate::Survives(
                &["transition_downgrade_of_its_principal"],
                "the cohort could be taken down between this question and the exchange, and the change counts as before it",
            ),
        },
        Mutation {
            id: "posture-introduce-known",
            what: "who changes an agent that another thread is only just entering does not confirm it",
            find: "|known| «known.birth.is_none()»)",
            with: "{ let _ = known; true }",
            fate: Fate::Breaks(&["insert_set_posture_emergency_of_another"]),
        },
        Mutation {
            id: "posture-emergency-late",
            what: "an emergency does not ask whether the agent has become known",
            find: "if «!self.agents.contains_key(&**agent)» {\n                self.untracked",
            with: "true",
            fate: Fate::Breaks(&["emergency_of_an_unknown_agent_insert"]),
        },
    ],
};

pub(super) const POSTURE_TRIM: Source = Source {
    file: "src/posture/trim.rs",
    mutations: &[
        Mutation {
            id: "posture-trim-both",
            what: "a trim is published on floors that another has replaced",
            find: "Some(current) if «Arc::ptr_eq(current, &floors)» =>",
            with: "true",
            fate: Fate::Breaks(&["append_append_at_the_limit"]),
        },
        Mutation {
            id: "posture-floors-first",
            what: "a reader takes the floors from before it read",
            find: "let floors = «self.floors()»;\n            // A trim in",
            with: "Arc::clone(&before)",
            fate: Fate::Breaks(&["trim_history"]),
        },
        Mutation {
            id: "posture-forgotten",
            what: "a reader does not ask whether an agent was forgotten, or others trimmed, meanwhile",
            find: "if «Arc::ptr_eq(&floors, &before)» {",
            with: "true",
            fate: Fate::Breaks(&["trim_and_forget_history"]),
        },
    ],
};

pub(super) const RETENTION_MEMORY: Source = Source {
    file: "src/retention/memory.rs",
    mutations: &[
        Mutation {
            id: "retention-exists",
            what: "an ingest of what is there keeps its place",
            find: "«return Err(TierError::Exists);»\n        }\n        place.keep();",
            with: "place.keep();\n            return Err(TierError::Exists);",
            fate: Fate::Breaks(&["retention_ingest_ingest_of_one_id_takes_one_place"]),
        },
        Mutation {
            id: "retention-analyse-gone",
            what: "an analysis is recorded of what was evicted",
            find: "«held.raw.as_ref().ok_or(TierError::Evicted)?;»\n            held.session.analyzed_at",
            with: "",
            fate: Fate::Survives(
                &["retention_evict_record_analysis"],
                "a rule rather than a race, as the analysis may have come before the eviction; `tests/session_memory.rs` keeps it",
            ),
        },
        Mutation {
            id: "retention-evict-twice",
            what: "what was evicted is evicted again",
            find: "«held.raw.take().ok_or(TierError::Evicted)?;»\n            held.session.evicted_at",
            with: "",
            fate: Fate::Breaks(&["retention_sweep_sweep_loses_a_session_once"]),
        },
    ],
};

pub(super) const RETENTION_SWEEP: Source = Source {
    file: "src/retention/sweep.rs",
    mutations: &[
        Mutation {
            id: "retention-loss-unasked",
            what: "a loss is not asked for again",
            find: "// Asked before each: what another sweep has freed need not be lost here.\n            if «!self.is_over(self.policy.hard_cap())?» {",
            with: "false",
            fate: Fate::Breaks(&["retention_sweep_remove_loses_one_at_most"]),
        },
        Mutation {
            id: "retention-stale-list",
            what: "a last resort goes by the list from before",
            find: "self.list(&known, otherwise)?;\n        «self.budget()?;»",
            with: "",
            fate: Fate::Breaks(&["retention_sweep_record_analysis"]),
        },
    ],
};
