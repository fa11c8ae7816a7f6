//! A clock that stands still until it is turned.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

use tidegate_core::TimeSource;
use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct ManualClock {
    start: (Instant, SystemTime),
    passed: watch::Sender<Duration>,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self { start: (Instant::now(), SystemTime::now()), passed: watch::channel(Duration::ZERO).0 }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.passed.send_modify(|passed| *passed += by);
    }

    /// How many wait on this clock.
    pub(crate) fn sleepers(&self) -> usize {
        self.passed.receiver_count()
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Instant {
        self.start.0 + *self.passed.borrow()
    }

    fn wall(&self) -> SystemTime {
        self.start.1 + *self.passed.borrow()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut passed = self.passed.subscribe();
        let end = *passed.borrow() + duration;
        Box::pin(async move {
            let _ = passed.wait_for(|passed| *passed >= end).await;
        })
    }
}
