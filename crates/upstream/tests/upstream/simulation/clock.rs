//! Time that goes from one event to the next.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use tidegate_core::TimeSource;

/// Wakes nobody: whoever waits is asked again after each event.
#[derive(Clone)]
pub(super) struct SimClock {
    start: Instant,
    passed: Arc<AtomicU64>,
}

impl SimClock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), passed: Arc::new(AtomicU64::new(0)) }
    }

    /// Sets the time, in nanoseconds since the start.
    pub(super) fn set(&self, nanoseconds: u64) {
        self.passed.store(nanoseconds, Ordering::Relaxed);
    }

    fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed.load(Ordering::Relaxed))
    }
}

impl TimeSource for SimClock {
    fn now(&self) -> Instant {
        self.start + self.passed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.passed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (clock, end) = (self.clone(), self.passed() + duration);
        Box::pin(poll_fn(move |_| if clock.passed() >= end { Poll::Ready(()) } else { Poll::Pending }))
    }
}
