//! Mutations of the map, the FIFO map, the deadline queue, the meter and the clock.

use super::{Fate, Mutation, Source};

pub(super) const MAP: Source = Source {
    file: "src/map.rs",
    mutations: &[Mutation {
        id: "map-remove-unjudged",
        what: "what took the place of what was judged is removed",
        find: "return None;\n            }\n            if «found.remove(&self.guard)» {",
        with: "found.remove(&self.guard)\n                || self.map.table.find(hash, &self.guard, |k, _| k.borrow() == key).is_some_and(|it| it.remove(&self.guard))",
        fate: Fate::Breaks(&["map_remove_if_judges_what_it_removes"]),
    }],
};

pub(super) const FIFO_EVICT: Source = Source {
    file: "src/fifo/evict.rs",
    mutations: &[
        Mutation {
            id: "fifo-pop-beyond",
            what: "a number is popped that was not handed out",
            find: "if «seq >= self.tail.load(Ordering::Acquire)» {",
            with: "seq > self.tail.load(Ordering::Acquire)",
            fate: Fate::Breaks(&["fifo_pop_oldest_insert_lose_no_entry"]),
        },
        Mutation {
            id: "fifo-pop-tail",
            what: "whether the first number was handed out (P5)",
            find: "if seq >= self.tail.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["fifo_pop_oldest_insert_lose_no_entry"],
                "only the number is used, and one that is out of date says that the map was empty, as it was",
            ),
        },
        Mutation {
            id: "fifo-evict-beyond",
            what: "a number is evicted that was not handed out",
            find: "|| «seq < self.tail.load(Ordering::Acquire)» {",
            with: "seq <= self.tail.load(Ordering::Acquire)",
            fate: Fate::Breaks(&["fifo_insert_remove"]),
        },
        Mutation {
            id: "fifo-evict-tail",
            what: "whether the first number was handed out (P5)",
            find: "|| seq < self.tail.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["fifo_insert_insert_at_the_cap_keeps_the_newest"],
                "only the number is used, and who takes one that is out of date looks again",
            ),
        },
        Mutation {
            id: "fifo-wait-with-slot",
            what: "who waits for others keeps what it has in hand",
            find: "«held.let_go();»\n                relax();",
            with: "",
            fate: Fate::Breaks(&["fifo_insert_insert_of_what_fits_alone"]),
        },
        Mutation {
            id: "fifo-claim-first",
            what: "a number is claimed before its entry is unlinked (P5)",
            find: "if let Some(hash) = place.seal() {\n            «self.unlink(hash, seq, guard)»",
            with: "{\n                held.slots += u64::from(place.claim(guard));\n                self.unlink(hash, seq, guard)\n            }",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind"]),
        },
        Mutation {
            id: "fifo-floor-first",
            what: "the floor is raised before it is known that the inserter takes its entry out",
            find: "let node = if let Some(hash) = «place.seal()» {",
            with: "{\n            if place.published().is_none() {\n                self.floor.fetch_max(seq + 1, Ordering::AcqRel);\n            }\n            place.seal()\n        }",
            fate: Fate::Breaks(&["fifo_insert_get_pop_oldest_bring_nothing_back"]),
        },
        Mutation {
            id: "fifo-no-floor",
            what: "the floor is not raised over what is not published (P5)",
            find: "«self.floor.fetch_max(seq + 1, Ordering::AcqRel);»",
            with: "",
            fate: Fate::Breaks(&["fifo_watcher_of_an_overtaken_insert_by_three_threads"]),
        },
        Mutation {
            id: "fifo-floor-to-acquire",
            what: "the floor is raised (P5)",
            find: "self.floor.fetch_max(seq + 1, «Ordering::AcqRel»)",
            with: "Ordering::Acquire",
            fate: Fate::Survives(
                &["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"],
                "who sees the newer entry, or a tail beyond it, sees the floor that was raised before it with either",
            ),
        },
        Mutation {
            id: "fifo-floor-to-release",
            what: "the floor is raised (P5)",
            find: "self.floor.fetch_max(seq + 1, «Ordering::AcqRel»)",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"],
                "who sees the newer entry, or a tail beyond it, sees the floor that was raised before it with either",
            ),
        },
        Mutation {
            id: "fifo-evict-slot-twice",
            what: "an evictor takes the slot that another has",
            find: "held.slots += u64::from(«place.claim(guard)»);",
            with: "place.claim(guard) || true",
            fate: Fate::Breaks(&["fifo_upsert_evict"]),
        },
    ],
};

pub(super) const FIFO: Source = Source {
    file: "src/fifo/mod.rs",
    mutations: &[
        Mutation {
            id: "fifo-remove-claim-first",
            what: "a removed entry's slot is given back before it is unlinked",
            find: "let removed = «self.unlink(hash, seq, &guard)?»;",
            with: "{\n            if let Some(place) = self.order.place(seq, &guard) {\n                let mut early = self.room.nothing();\n                early.slots += u64::from(place.claim(&guard));\n            }\n            self.unlink(hash, seq, &guard)?\n        }",
            fate: Fate::Breaks(&["fifo_insert_remove"]),
        },
        Mutation {
            id: "fifo-remove-slot-twice",
            what: "a removal takes the slot that an evictor has",
            find: "u64::from(«place.claim(&guard)»)",
            with: "place.claim(&guard) || true",
            fate: Fate::Breaks(&["fifo_evict_while_remove_count_an_entry_once"]),
        },
        Mutation {
            id: "fifo-snapshot-tail",
            what: "what is too new for a walk (P5)",
            find: "let end = self.tail.load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_behind_a_walk_is_not_met_by_it"]),
        },
        Mutation {
            id: "fifo-snapshot-new",
            what: "a walk shows what came after it began",
            find: "filter(|node| «node.value.seq < end» &&",
            with: "node.value.seq < u64::MAX",
            fate: Fate::Breaks(&["fifo_insert_behind_a_walk_is_not_met_by_it"]),
        },
        Mutation {
            id: "fifo-stats-tail",
            what: "the numbers of a report",
            find: "let tail = self.tail.load(«Ordering::Acquire»);\n        let first",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["fifo_insert_evict"],
                "a report: the numbers are each of their own moment in any case",
            ),
        },
        Mutation {
            id: "fifo-alive",
            what: "a reader does not ask the floor (P5)",
            find: "«entry.seq >= self.floor.load(Ordering::Acquire)»",
            with: "true",
            fate: Fate::Breaks(&["fifo_watcher_of_an_overtaken_insert_by_three_threads"]),
        },
        Mutation {
            id: "fifo-floor-read",
            what: "the floor (P5)",
            find: "entry.seq >= self.floor.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"],
                "who sees the newer entry, or a tail beyond it, sees the floor that was raised before it with either",
            ),
        },
        Mutation {
            id: "fifo-replace-dead",
            what: "an insert replaces what is below the floor",
            find: "|k, entry| *k == node.key && «self.alive(entry)»)",
            with: "true",
            fate: Fate::Breaks(&["fifo_insert_of_a_key_whose_insert_was_overtaken"]),
        },
        Mutation {
            id: "fifo-replace-evicted",
            what: "an insert replaces what it found before it evicted",
            find: "if «found.is_some()» || held.slots",
            with: "false",
            fate: Fate::Breaks(&["fifo_insert_insert_of_one_key_by_bytes_leaves_it_there"]),
        },
        Mutation {
            id: "fifo-tail-to-acquire",
            what: "a number is handed out (P5)",
            find: "self.tail.fetch_add(1, «Ordering::AcqRel»)",
            with: "Ordering::Acquire",
            fate: Fate::Breaks(&["fifo_insert_evict"]),
        },
        Mutation {
            id: "fifo-tail-to-release",
            what: "a number is handed out (P5)",
            find: "self.tail.fetch_add(1, «Ordering::AcqRel»)",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["fifo_watcher_of_an_overtaken_insert_by_three_threads"],
                "an inserter that evicts has read what is dead with Acquire (P4), one that finds a free slot has read that so (P6), and a watcher reads the tail itself",
            ),
        },
        Mutation {
            id: "fifo-overtaken",
            what: "an overtaken inserter does not clean up",
            find: "if «!number.publish(hash)» {",
            with: "{ number.publish(hash); false }",
            fate: Fate::Breaks(&["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"]),
        },
    ],
};

pub(super) const FIFO_ROOM: Source = Source {
    file: "src/fifo/room.rs",
    mutations: &[
        Mutation {
            id: "fifo-spare-number",
            what: "a number that is not needed stays alive",
            find: "self.slots += «u64::from(number.claim(guard))»",
            with: "{ let _ = number; 1 }",
            fate: Fate::Breaks(&["fifo_insert_insert_of_one_key_at_the_cap"]),
        },
        Mutation {
            id: "room-slots",
            what: "slots are given back (P6)",
            find: "self.room.slots.fetch_sub(self.slots, «Ordering::Release»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_and_look_under_one_pin_remove"]),
        },
        Mutation {
            id: "room-bytes",
            what: "bytes are given back (P6)",
            find: "self.room.bytes.fetch_sub(self.bytes, «Ordering::Release»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_and_look_under_one_pin_remove_by_bytes"]),
        },
        Mutation {
            id: "room-take",
            what: "room is taken (P6)",
            find: ".fetch_update(«Ordering::Acquire»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_and_look_under_one_pin_remove"]),
        },
    ],
};

pub(super) const DEADLINE: Source = Source {
    file: "src/deadline/mod.rs",
    mutations: &[
        Mutation {
            id: "deadline-not-dropped-through",
            what: "what is dropped raises no time (P7)",
            find: "«self.dropped_through.fetch_max(now, Ordering::AcqRel);»",
            with: "",
            fate: Fate::Breaks(&["revoke_sweep_check"]),
        },
        Mutation {
            id: "deadline-dropped-through-to-acquire",
            what: "the time up to which entries may be gone is raised (P7)",
            find: "self.dropped_through.fetch_max(now, «Ordering::AcqRel»)",
            with: "Ordering::Acquire",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-dropped-through-to-release",
            what: "the time up to which entries may be gone is raised (P7)",
            find: "self.dropped_through.fetch_max(now, «Ordering::AcqRel»)",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-old-era",
            what: "an entry goes back to an older era",
            find: "let era = «era.max(bucket.key.era)»;",
            with: "era",
            fate: Fate::Survives(
                &["deadline_add_sweep"],
                "an entry could come back to a bucket that it left only if eras and sweeps went by within one step of another sweep; this rule makes it not depend on that",
            ),
        },
        Mutation {
            id: "deadline-seal-lost",
            what: "a bucket that could not be sealed is left",
            find: "if «bucket.value.seal()» {",
            with: "bucket.value.seal();\n                    true",
            fate: Fate::Survives(
                &["deadline_add_sweep"],
                "what was added meanwhile is left to the next sweep, as if it had come after this one",
            ),
        },
        Mutation {
            id: "deadline-own-time",
            what: "a sweep does not raise the time",
            find: "let now = «self.advance(now)».as_nanos();",
            with: "now.max(self.high_water())",
            fate: Fate::Breaks(&["deadline_sweep_sweep"]),
        },
        Mutation {
            id: "deadline-advance-look",
            what: "whether the time is reached already (P7)",
            find: "let latest = self.high_water.load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-advance-to-acquire",
            what: "the time is raised (P7)",
            find: "self.high_water.fetch_max(now, «Ordering::AcqRel»)",
            with: "Ordering::Acquire",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-advance-to-release",
            what: "the time is raised (P7)",
            find: "self.high_water.fetch_max(now, «Ordering::AcqRel»)",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-high-water",
            what: "the time (P7)",
            find: "Timestamp::from_nanos(self.high_water.load(«Ordering::Acquire»))",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-dropped-read",
            what: "the time up to which entries may be gone (P7)",
            find: "Timestamp::from_nanos(self.dropped_through.load(«Ordering::Acquire»))",
            with: "Ordering::Relaxed",
            fate: Fate::Survives(
                &["revoke_sweep_check"],
                "whoever misses an entry has seen its removal with Acquire, and the removal comes after this time in any case",
            ),
        },
        Mutation {
            id: "deadline-same-bucket",
            what: "an entry may return to the bucket that it was in",
            find: "let deadline = «deadline.as_nanos().max(now + 1)»;",
            with: "deadline.as_nanos()",
            fate: Fate::Breaks(&["deadline_keep_until_the_past_sweep"]),
        },
        Mutation {
            id: "deadline-sealed-wait",
            what: "who meets a sealed bucket waits for who sealed it",
            find: "«self.take_away(&name, guard);»\n        }",
            with: "",
            fate: Fate::Breaks(&["deadline_add_sweep"]),
        },
        Mutation {
            id: "deadline-take-any",
            what: "a bucket that is not sealed is taken away",
            find: "other == name && «stack.is_sealed()»)",
            with: "true",
            fate: Fate::Breaks(&["handle_sweep_store_leaves_nothing_behind"]),
        },
    ],
};

pub(super) const BUDGET: Source = Source {
    file: "src/budget/mod.rs",
    mutations: &[
        Mutation {
            id: "meter-read",
            what: "a meter's word",
            find: "self.layout.unpack(self.word.load(«Ordering::Acquire»))",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["meter_shut_shows_what_came_before"]),
        },
        Mutation {
            id: "meter-update-read",
            what: "a meter's word, before a decision",
            find: "let mut word = self.word.load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["meter_refusal_shows_what_came_before_it_was_shut"]),
        },
        Mutation {
            id: "meter-blind",
            what: "a decision is carried out on another word",
            find: "compare_exchange_weak(«word», self.layout",
            with: "self.word.load(Ordering::Acquire)",
            fate: Fate::Breaks(&["meter_spend_spend_at_the_last_unit"]),
        },
        Mutation {
            id: "meter-update-to-acquire",
            what: "a decision",
            find: "self.layout.pack(after), «Ordering::AcqRel»",
            with: "Ordering::Acquire",
            fate: Fate::Breaks(&["meter_shut_shows_what_came_before"]),
        },
        Mutation {
            id: "meter-update-to-release",
            what: "a decision",
            find: "self.layout.pack(after), «Ordering::AcqRel»",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["meter_shut_shows_what_came_before"],
                "the word that is exchanged was read with Acquire before; if it came twice, nobody can tell which of the two was followed",
            ),
        },
        Mutation {
            id: "meter-update-again",
            what: "a meter's word, after another's decision",
            find: "Ordering::AcqRel, «Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["meter_refusal_shows_what_came_before_it_was_shut"]),
        },
    ],
};

pub(super) const CLOCK: Source = Source {
    file: "src/clock.rs",
    mutations: &[
        Mutation {
            id: "clock-set",
            what: "the time of a clock that is set by hand",
            find: "self.0.store(now.0, «Ordering::Release»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["clock_set_shows_what_came_before"]),
        },
        Mutation {
            id: "clock-advance",
            what: "the time of a clock that is advanced",
            find: "fetch_update(«Ordering::Release»,",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["clock_advance_shows_what_came_before"]),
        },
        Mutation {
            id: "clock-now",
            what: "the same",
            find: "Timestamp(self.0.load(«Ordering::Acquire»))",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["clock_set_shows_what_came_before"]),
        },
    ],
};
