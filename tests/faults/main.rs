//! Faults: user code that panics at every call that is made of it, threads that die, clocks that jump, numbers at both ends.
//! After each, every promise holds, every operation works from this thread and from another one, and nothing is left behind
//! but what the documentation names. `-- --nocapture` shows how many faults there were.

mod clocks;
mod deadline;
mod fifo;
mod fuse;
mod map;
mod numbers;
mod retention;
mod revocation;
mod stores;
mod threads;
