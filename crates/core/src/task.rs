//! Work beside the requests.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::watch;

/// Tells a background task that its configuration is no longer the current one, or that the gateway ends.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    #[doc(hidden)]
    pub fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }

    /// Ends when the task should.
    pub async fn stopped(&mut self) {
        // A sender that is gone means the gateway is gone: stop as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the task should end.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

type Start = Box<dyn FnOnce(Stop) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A background task of a plugin, started when its configuration becomes the current one.
pub struct Task {
    name: String,
    start: Start,
}

impl Task {
    #[doc(hidden)]
    pub fn new<F, Fut>(name: String, start: F) -> Self
    where
        F: FnOnce(Stop) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self { name, start: Box::new(move |stop| Box::pin(start(stop))) }
    }

    /// `plugin.task`, for logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[doc(hidden)]
    pub fn into_future(self, stop: Stop) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        (self.start)(stop)
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Task").field(&self.name).finish()
    }
}
