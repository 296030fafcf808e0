//! Fuzz targets as plain functions. Each decodes its input into a case, most often a sequence of operations, and panics
//! where tollgate and a sequential model disagree, whatever the input is.
//!
//! `.ci/fuzz` runs them under libFuzzer. `cargo test -p fuzz` replays the corpus without it, and random inputs as well.
//! The models of primitives and most stores are those of the property tests; what those have no model of is here.

mod expand;
mod input;
mod primitives;
#[path = "../../tests/properties/main.rs"]
#[allow(unused, reason = "strategies and tests, which only proptest uses")]
mod properties;
#[path = "../../examples/replay/recording.rs"]
#[expect(unused, reason = "files are read by the example only")]
mod recording;
mod revocation;
mod sessions;
mod stores;
mod text;
mod traces;

pub use expand::expand;
pub use primitives::{deadline, fifo, map, meter};
pub use revocation::revocation;
pub use sessions::sessions;
pub use stores::{bodies, handles, posture, retention};
pub use text::{instant, recording, split};
pub use traces::traces;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 15] = [
    ("bodies", bodies),
    ("deadline", deadline),
    ("expand", expand),
    ("fifo", fifo),
    ("handles", handles),
    ("instant", instant),
    ("map", map),
    ("meter", meter),
    ("posture", posture),
    ("recording", recording),
    ("retention", retention),
    ("revocation", revocation),
    ("sessions", sessions),
    ("split", split),
    ("traces", traces),
];
