//! What `compare` and `growth` share: threads, the clock, the heap, statistics, the machine's description, and plots.

pub(crate) mod canvas;
pub(crate) mod chart;
pub(crate) mod clock;
pub(crate) mod heap;
pub(crate) mod machine;
pub(crate) mod others;
pub(crate) mod pool;
pub(crate) mod progress;
pub(crate) mod stats;
pub(crate) mod text;
pub(crate) mod work;
