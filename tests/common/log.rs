//! What the tests of several upstreams share that look at what is logged.

use std::io;
use std::sync::{Arc, Mutex};

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many warnings `work` logs.
pub(crate) fn warnings_of(work: impl FnOnce()) -> usize {
    // With a second dispatcher about, tracing asks both of them whether an event is wanted, not just that of the thread
    // that comes to it first, which may be another test's.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8_lossy(&log.0.lock().unwrap()).matches("WARN").count()
}
