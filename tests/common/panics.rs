//! A `tracing` subscriber that panics, for the tests of several upstreams.

/// Does `work` where each event that is logged panics.
pub(crate) fn beside_a_subscriber_that_panics<R>(work: impl FnOnce() -> R) -> R {
    // With a second dispatcher about, tracing asks both whether an event is wanted.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let writer = || -> std::io::Sink { panic!("a subscriber") };
    tracing::subscriber::with_default(tracing_subscriber::fmt().with_writer(writer).finish(), work)
}
