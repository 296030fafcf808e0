//! What is mutated in `raw/filter.rs`.

use super::{Fate, Mutation, Source};

pub(super) const FILTER: Source = Source {
    file: "src/raw/filter.rs",
    mutations: &[
        Mutation {
            id: "filter-read",
            what: "a lookup asks the filter (P13)",
            find: "self.0.load(«Ordering::Acquire») & bits(tag)",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["filter_remove_insert_get_sees_what_came_before"]),
        },
        Mutation {
            id: "filter-open",
            what: "a filter is opened (P13)",
            find: "ONE | absent(tags), «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["filter_grow_remove_get_sees_what_came_before"]),
        },
        Mutation {
            id: "filter-open-twice",
            what: "a filter is opened when others have announced entries",
            find: "«self.0.compare_exchange(0, ONE | absent(tags), Ordering::Release, Ordering::Relaxed)»",
            with: "Ok::<_, u64>(self.0.swap(ONE | absent(tags), Ordering::Release))",
            fate: Fate::Breaks(&["filter_grow_insert_insert_of_two_keys_get"]),
        },
        Mutation {
            id: "filter-announce-bits",
            what: "who announces an entry leaves its bits as they are",
            find: "(word & «!bits(tag)»)",
            with: "!0 | bits(tag)",
            fate: Fate::Breaks(&["filter_insert_insert_of_one_key_get"]),
        },
        Mutation {
            id: "filter-announce-count",
            what: "who announces an entry does not count",
            find: ".wrapping_add(«ONE»)",
            with: "ONE - ONE",
            fate: Fate::Breaks(&["filter_remove_reinsert_insert_get"]),
        },
        Mutation {
            id: "filter-announce",
            what: "an entry is announced (P13)",
            find: "match self.0.compare_exchange_weak(word, next, «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["filter_insert_insert_of_two_keys_get"]),
        },
        Mutation {
            id: "filter-renew-read",
            what: "who renews a filter reads it first (P13)",
            find: "let word = self.0.load(«Ordering::Acquire»);",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["filter_insert_insert_of_two_keys_get"]),
        },
        Mutation {
            id: "filter-renew",
            what: "a filter is renewed (P13)",
            find: "self.0.compare_exchange(word, next, «Ordering::Release»",
            with: "Ordering::Relaxed",
            fate: Fate::Breaks(&["filter_insert_remove_get_sees_what_came_before"]),
        },
        Mutation {
            id: "filter-renew-blindly",
            what: "a filter is renewed though an entry was announced meanwhile",
            find: "«self.0.compare_exchange(word, next, Ordering::Release, Ordering::Relaxed)»",
            with: "Ok::<_, u64>(self.0.swap(next + 0 * word, Ordering::Release))",
            fate: Fate::Breaks(&["filter_insert_insert_of_two_keys_get"]),
        },
    ],
};
