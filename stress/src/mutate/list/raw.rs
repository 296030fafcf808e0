//! Mutations of the table, the stack and the order.

use super::{Fate, Mutation, Source};

pub(super) const LINES: Source = Source {
    file: "src/raw/lines.rs",
    mutations: &[Mutation {
        id: "lines-prev-read",
        what: "the lines before (P12)",
        find: "self.prev.load(«Ordering::Acquire»)",
        with: "Ordering::Relaxed",
        fate: Fate::Breaks(&["map_grow_insert_insert_get_without_the_lines_before"]),
    }],
};

pub(super) const TABLE: Source = Source {
    file: "src/raw/table.rs",
    mutations: &[
        Mutation {
            id: "table-lines-read",
            what: "the lines of a shard (P10)",
            find: "shard.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["map_grow_iterate_meets_a_key_once"]),
        },
        Mutation {
            id: "table-behind",
            what: "an unsettled line's old one is read though it has moved",
            find: "old.filter(|old| «!old.has_moved()»)",
            with: "old.has_moved() || true",
            fate: Fate::Survives(
                &["map_grow_remove_get_brings_nothing_back"],
                "what a frozen line says was so when the reader met the unsettled one, or later",
            ),
        },
        Mutation {
            id: "table-grow",
            what: "a shard's new lines (P10)",
            find: ".compare_exchange(old, new, «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["map_grow_iterate_meets_a_key_once"]),
        },
        Mutation {
            id: "table-open-half",
            what: "both filters are opened with what goes to the lower line",
            find: "filter.open(half(«upper»)",
            with: "false",
            fate: Fate::Breaks(&["filter_grow_insert_get"]),
        },
        Mutation {
            id: "table-moved-first",
            what: "a line is said to have moved before it is copied",
            find: "low.fill(half(false));\n            high.fill(half(true));\n            old.set_moved();",
            with: "old.set_moved();\n            low.fill(half(false));\n            high.fill(half(true));",
            fate: Fate::Breaks(&["map_grow_iterate_meets_a_key_once"]),
        },
        Mutation {
            id: "table-settled-first",
            what: "lines are settled before the old one is said to have moved",
            find: "«old.set_moved();»\n        }\n        low.settle();",
            with: "low.settle();\n            high.settle();\n            old.set_moved();",
            fate: Fate::Survives(
                &["map_grow_remove_get_brings_nothing_back"],
                "the old line is frozen by then, so whoever copies it once more follows no entry, and finds no slot to fill",
            ),
        },
        Mutation {
            id: "table-count-read",
            what: "how many lines have moved (P11)",
            find: "lines.moved.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["map_grow_insert_insert_gives_up_the_lines_before_get"]),
        },
        Mutation {
            id: "table-retire-early",
            what: "the lines before are retired though some have not moved (P11)",
            find: "if «at < prev.len as u64» {",
            with: "false",
            fate: Fate::Breaks(&["map_grow_insert_insert_gives_up_the_lines_before_get"]),
        },
        Mutation {
            id: "table-count-to-acquire",
            what: "one more line has moved (P11)",
            find: "compare_exchange(at, at + 1, «Ordering::AcqRel»",
            with: "Ordering::Acquire",
            fate: Fate::Breaks(&["map_grow_insert_insert_gives_up_the_lines_before_get"]),
        },
        Mutation {
            id: "table-count-to-release",
            what: "one more line has moved (P11)",
            find: "compare_exchange(at, at + 1, «Ordering::AcqRel»",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["map_grow_insert_insert_gives_up_the_lines_before_get"],
                "the count that is exchanged was read with Acquire before, and never comes twice",
            ),
        },
        Mutation {
            id: "table-drop-prev",
            what: "the lines before are given up (P12)",
            find: "compare_exchange(prev, ptr::null_mut(), «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["map_grow_insert_insert_get_without_the_lines_before"]),
        },
        Mutation {
            id: "table-walk-unsettled",
            what: "a walk reads lines that are not settled",
            find: "if «!line.is_settled()» {\n                self.settle(lines, at, guard);\n            }\n            // SAFETY",
            with: "false",
            fate: Fate::Breaks(&["map_grow_iterate_meets_a_key_once"]),
        },
    ],
};

pub(super) const LINK: Source = Source {
    file: "src/raw/link.rs",
    mutations: &[
        Mutation {
            id: "link-load",
            what: "a pointer is followed (P2)",
            find: "self.0.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["deadline_add_sweep"]),
        },
        Mutation {
            id: "link-set",
            what: "an item is linked to one of another stack (P2)",
            find: "self.0.store(to.0, «Ordering::Release»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["deadline_move_move_onto_another"]),
        },
        Mutation {
            id: "link-exchange",
            what: "a pointer is published (P2)",
            find: "compare_exchange(current.0, new.0, «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["deadline_add_sweep"]),
        },
    ],
};

pub(super) const STACK: Source = Source {
    file: "src/raw/stack.rs",
    mutations: &[
        Mutation {
            id: "stack-push-sealed",
            what: "an item is pushed onto a sealed stack",
            find: "if «head.has(SEALED)» {\n                return Err(item);",
            with: "false",
            fate: Fate::Breaks(&["deadline_add_sweep"]),
        },
        Mutation {
            id: "stack-pop-any",
            what: "what is popped is not what was visited",
            find: "if «!std::ptr::eq(head.ptr(), top)» {",
            with: "head.is_null()",
            fate: Fate::Breaks(&["deadline_add_sweep"]),
        },
        Mutation {
            id: "stack-below-elsewhere",
            what: "who looks ahead follows a link to another stack",
            find: "next.is_null() || «!std::ptr::eq(self.head.load().ptr(), top)»",
            with: "false",
            fate: Fate::Fails(
                &["deadline_move_move_onto_another"],
                "who moved the item saw the other one under a guard; that sight would have to be so old that a third thread has taken it off and freed it since",
                "who_looks_ahead_of_an_item_that_was_taken_off_sees_nothing",
            ),
        },
        Mutation {
            id: "stack-seal-full",
            what: "a stack is sealed that is not empty",
            find: "«self.head.compare_exchange(Tagged::NULL, sealed)» ||",
            with: "self.head.compare_exchange(self.head.load(), sealed)",
            fate: Fate::Breaks(&["deadline_add_sweep"]),
        },
    ],
};

pub(super) const ORDER: Source = Source {
    file: "src/raw/order.rs",
    mutations: &[
        Mutation {
            id: "order-dead-to-acquire",
            what: "a number's bit is set (P4)",
            find: "fetch_or(1 << bit, «Ordering::AcqRel»)",
            with: "Ordering::Acquire",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf"]),
        },
        Mutation {
            id: "order-dead-to-release",
            what: "a number's bit is set (P4)",
            find: "fetch_or(1 << bit, «Ordering::AcqRel»)",
            with: "Ordering::Release",
            fate: Fate::Survives(
                &["fifo_insert_insert_leave_nothing_older_behind"],
                "an eviction has read the bits with Acquire when it sets the last one, and a removal promises nothing about its neighbours",
            ),
        },
        Mutation {
            id: "order-unlink-twice",
            what: "a child is unlinked by more than one",
            find: "if «first» {\n        let child = parent",
            with: "true",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf"]),
        },
        Mutation {
            id: "order-finish-twice",
            what: "a parent is finished by more than one",
            find: "«first && last»\n",
            with: "last",
            fate: Fate::Survives(
                &["fifo_leaf_is_finished_while_it_is_in_use"],
                "whoever goes on to the parent as well finds its bit set, and does nothing",
            ),
        },
        Mutation {
            id: "order-publish",
            what: "an entry is in the index (P3)",
            find: "compare_exchange(EMPTY, hash, «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"]),
        },
        Mutation {
            id: "order-published",
            what: "whether an entry is in the index (P3)",
            find: "let cell = self.cell().load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_pop_oldest_leave_nothing_older_behind"]),
        },
        Mutation {
            id: "order-published-sealed",
            what: "a number that another has sealed counts as published",
            find: "(«cell & PUBLISHED != 0»)",
            with: "cell != EMPTY",
            fate: Fate::Breaks(&["fifo_insert_evict_while_it_is_popped_by_three_threads"]),
        },
        Mutation {
            id: "order-seal",
            what: "whether an entry is in the index by now (P3)",
            find: "compare_exchange(EMPTY, SEALED, Ordering::Relaxed, «Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"]),
        },
        Mutation {
            id: "order-seal-untold",
            what: "an evictor goes by what is not published yet",
            find: "«self.cell().compare_exchange(EMPTY, SEALED, Ordering::Relaxed, Ordering::Acquire)»",
            with: "self.published().map_or(Ok(EMPTY), Err)",
            fate: Fate::Breaks(&["fifo_insert_overtaken_on_its_way_is_evicted_and_heard_of"]),
        },
        Mutation {
            id: "order-first-read",
            what: "a node's dead bits (P4)",
            find: "node.head.dead.load(«Ordering::Acquire»)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf"]),
        },
        Mutation {
            id: "order-first-gone",
            what: "the walk goes on below a child that is gone",
            find: "if «child.has(GONE)» {\n                    continue",
            with: "false",
            fate: Fate::Survives(
                &["fifo_leaf_is_finished_while_it_is_in_use"],
                "a number below a child that is gone has no place, and who finds none looks again",
            ),
        },
        Mutation {
            id: "order-first-child-read",
            what: "a child's dead bits (P4)",
            find: "head.dead.load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf"]),
        },
        Mutation {
            id: "order-first-full",
            what: "the walk goes on below a child that is full",
            find: "if «dead == FULL» {",
            with: "false",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf"]),
        },
        Mutation {
            id: "order-first-wait",
            what: "the walk waits for the finisher of a full child",
            find: "«finish(node, at, guard);»\n                    continue",
            with: "",
            fate: Fate::Breaks(&["fifo_insert_insert_leave_nothing_older_behind_a_finished_leaf"]),
        },
    ],
};
