//! Time that a test can turn by hand.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Where a [`Clock`] takes its time from.
pub trait TimeSource: Send + Sync + 'static {
    /// Time that never goes back.
    fn now(&self) -> Instant;
    /// Time of day; may jump.
    fn wall(&self) -> SystemTime;
    /// Ends when `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The clock a plugin uses for everything that depends on time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// The machine's own time.
    pub fn system() -> Self {
        Self::new(SystemTimeSource)
    }

    /// A clock from another source; tests use the test kit's `ManualClock`.
    pub fn new(source: impl TimeSource) -> Self {
        Self(Arc::new(source))
    }

    /// Time that never goes back.
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Time of day; may jump, so never measure with it.
    pub fn wall(&self) -> SystemTime {
        self.0.wall()
    }

    /// Waits. For background tasks; the request path has deadlines of its own.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The machine's clocks and Tokio's timers.
#[derive(Debug, Clone, Copy)]
pub struct SystemTimeSource;

impl TimeSource for SystemTimeSource {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
