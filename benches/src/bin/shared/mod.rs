//! What `compare` and `growth` share: the threads, the clock, statistics, the machine's description, and plots.

pub(crate) mod canvas;
pub(crate) mod chart;
pub(crate) mod clock;
pub(crate) mod machine;
pub(crate) mod pool;
pub(crate) mod stats;
pub(crate) mod text;
