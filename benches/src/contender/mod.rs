//! Who is compared: a file for each.

pub mod arbiter_session;
pub mod dashmap;
pub mod floor;
pub mod flurry;
pub mod foyer;
pub mod governor;
pub mod hashbrown_parking_lot;
pub mod hashbrown_std;
pub mod leapfrog;
pub mod limit;
pub mod limitador;
pub mod lock;
pub mod moka;
pub mod papaya;
pub mod quick_cache;
pub mod scc_cache;
pub mod scc_index;
pub mod scc_map;
pub mod tinyufo;
pub mod tollgate;
