//! Who is compared: a file for each.

pub mod dashmap;
pub mod tollgate;
