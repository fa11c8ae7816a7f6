//! The doorkeeper under a clock turned by hand.

mod adaptive;
mod breaker;
mod gate;
mod limits;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use tidegate_core::{Clock, TimeSource};
use tokio::sync::watch;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Time that stands still until it is moved on.
#[derive(Clone)]
struct HandClock {
    start: Instant,
    passed: watch::Sender<Duration>,
}

impl HandClock {
    fn new() -> Self {
        Self { start: Instant::now(), passed: watch::channel(Duration::ZERO).0 }
    }

    fn advance(&self, by: Duration) {
        self.passed.send_modify(|passed| *passed += by);
    }

    fn clock(&self) -> Clock {
        Clock::new(self.clone())
    }
}

impl TimeSource for HandClock {
    fn now(&self) -> Instant {
        self.start + *self.passed.borrow()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + *self.passed.borrow()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut passed = self.passed.subscribe();
        let end = *passed.borrow() + duration;
        Box::pin(async move {
            let _ = passed.wait_for(|passed| *passed >= end).await;
        })
    }
}

/// What has become of a future by now.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future says that needn't wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match poll(&mut Box::pin(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn config(json: serde_json::Value) -> UpstreamConfig {
    let mut all = serde_json::json!({ "targets": ["10.0.0.1:1"] });
    let map = all.as_object_mut().expect("a map");
    map.extend(json.as_object().expect("a map").clone());
    serde_json::from_value(all).expect("a configuration")
}

/// The doorkeeper of an upstream with this configuration.
fn admission(json: serde_json::Value, clock: &HandClock) -> Arc<Admission> {
    Admission::of(&"app".into(), &config(json), (&clock.clock(), clock.start), None)
}
