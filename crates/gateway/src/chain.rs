//! The plugins of one route, in order, and what happens when one of them fails.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use pingora_http::{RequestHeader, ResponseHeader};
use tidegate_core::cache::Invalidates;
use tidegate_core::erased::{Boxed, Link};
use tidegate_core::prometheus::IntCounter;
use tidegate_core::{CachePolicy, Cx, Error, Flow, MetricError, Metrics, Outcome, Result};

/// One plugin's share of a route.
pub(crate) struct Step {
    pub(crate) plugin: &'static str,
    pub(crate) link: Box<dyn Link>,
    pub(crate) failures: Arc<Failures>,
}

/// What of a plugin hears of unsafe requests on whatever route.
pub(crate) struct Watcher {
    pub(crate) plugin: &'static str,
    pub(crate) hears: Arc<dyn Invalidates>,
    pub(crate) failures: Arc<Failures>,
}

impl Watcher {
    /// Tells it. What should be invalid now, and perhaps isn't, is for nobody to take for done.
    pub(crate) fn answered(&self, cx: &mut Cx<'_>, head: &ResponseHeader) -> Result<(), HookFailed> {
        let told = std::panic::catch_unwind(AssertUnwindSafe(|| self.hears.answered(cx, head)));
        settle(self.plugin, &self.failures, told.map(Ok))
    }
}

/// How often a plugin failed; one for each plugin.
pub(crate) struct Failures {
    errors: IntCounter,
    panics: IntCounter,
}

impl Failures {
    pub(crate) fn new(plugin: &str, metrics: &Metrics) -> Result<Arc<Self>, MetricError> {
        let errors = metrics.counter("tidegate_plugin_errors_total", "Hooks that failed, by plugin", &["plugin"])?;
        let panics = metrics.counter("tidegate_plugin_panics_total", "Hooks that panicked, by plugin", &["plugin"])?;
        Ok(Arc::new(Self { errors: errors.with_label_values(&[plugin]), panics: panics.with_label_values(&[plugin]) }))
    }
}

/// A hook that failed; already counted.
#[derive(Debug)]
pub(crate) struct HookFailed {
    pub(crate) plugin: &'static str,
    pub(crate) how: How,
}

#[derive(Debug)]
pub(crate) enum How {
    Error(Error),
    Panic(String),
}

impl std::fmt::Display for HookFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.how {
            How::Error(error) => write!(f, "plugin {} failed: {}", self.plugin, Causes(error)),
            How::Panic(text) => write!(f, "plugin {} panicked: {text}", self.plugin),
        }
    }
}

/// An error with all its causes, on one line.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The plugins of one route, in the order in which they see a request.
#[derive(Default)]
pub(crate) struct Chain {
    steps: Box<[Step]>,
    /// Which of them has a cache policy.
    cache: Option<usize>,
}

impl Chain {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let cache = steps.iter().position(|step| step.link.cache().is_some());
        Self { steps: steps.into(), cache }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the route wants cached.
    pub(crate) fn cache(&self) -> Option<&dyn CachePolicy> {
        self.steps.get(self.cache?)?.link.cache()
    }

    /// Asks the cache's policy something. `None`: the route has none.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&dyn CachePolicy) -> T) -> Option<Result<T, HookFailed>> {
        let step = self.steps.get(self.cache?)?;
        let policy = step.link.cache()?;
        let said = std::panic::catch_unwind(AssertUnwindSafe(|| question(policy)));
        Some(settle(step.plugin, &step.failures, said.map(Ok)))
    }

    /// Everything before the endpoint or the upstream: `early_request` of all, then `request` of all.
    pub(crate) async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow, HookFailed> {
        for step in &self.steps {
            if let Flow::Respond(reply) = step.run(|link| link.early_request(cx)).await? {
                return Ok(Flow::Respond(reply));
            }
        }
        for step in &self.steps {
            if let Flow::Respond(reply) = step.run(|link| link.request(cx)).await? {
                return Ok(Flow::Respond(reply));
            }
        }
        Ok(Flow::Continue)
    }

    /// Each piece of the request's body, in order: what one plugin leaves is what the next one sees.
    pub(crate) async fn request_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<Flow, HookFailed> {
        for step in &self.steps {
            if let Flow::Respond(reply) = step.run(|link| link.request_body(cx, body, end)).await? {
                return Ok(Flow::Respond(reply));
            }
        }
        Ok(Flow::Continue)
    }

    pub(crate) fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<(), HookFailed> {
        self.steps.iter().try_for_each(|step| step.call(|link| link.upstream_request(cx, head)))
    }

    pub(crate) fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<(), HookFailed> {
        self.steps.iter().rev().try_for_each(|step| step.call(|link| link.upstream_response(cx, head)))
    }

    /// Each piece of the upstream's body, before a cache has it.
    pub(crate) fn upstream_response_body(
        &self,
        cx: &mut Cx<'_>,
        body: &mut Bytes,
        end: bool,
    ) -> Result<(), HookFailed> {
        self.steps.iter().rev().try_for_each(|step| step.call(|link| link.upstream_response_body(cx, body, end)))
    }

    /// Back out: the last plugin that saw the request is the first to see the answer.
    pub(crate) async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<(), HookFailed> {
        for step in self.steps.iter().rev() {
            step.run(|link| link.response(cx, head)).await?;
        }
        Ok(())
    }

    pub(crate) fn response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<(), HookFailed> {
        self.steps.iter().rev().try_for_each(|step| step.call(|link| link.response_body(cx, body, end)))
    }

    /// Every plugin hears of the end, also after one that panicked there.
    pub(crate) fn finished(&self, cx: &Cx<'_>, outcome: &Outcome) {
        for step in self.steps.iter().rev() {
            let told = step.call(|link| {
                link.finished(cx, outcome);
                Ok(())
            });
            if let Err(failed) = told {
                log::error!(request_id:% = cx.request_id(), route:% = cx.route().name(); "{failed}");
            }
        }
    }
}

impl Step {
    /// Runs an async hook. The hook is made inside the guard too: a hook written as a plain `fn` that returns a
    /// future may panic before there is one.
    async fn run<'a, T>(&'a self, hook: impl FnOnce(&'a dyn Link) -> Boxed<'a, T>) -> Result<T, HookFailed> {
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| hook(&*self.link)));
        let result = match made {
            Ok(future) => Guarded(future).await,
            Err(panic) => Err(panic),
        };
        settle(self.plugin, &self.failures, result)
    }

    fn call<T>(&self, hook: impl FnOnce(&dyn Link) -> Result<T>) -> Result<T, HookFailed> {
        settle(self.plugin, &self.failures, std::panic::catch_unwind(AssertUnwindSafe(|| hook(&*self.link))))
    }
}

/// Counts what has failed.
fn settle<T>(
    plugin: &'static str,
    failures: &Failures,
    result: std::thread::Result<Result<T>>,
) -> Result<T, HookFailed> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            failures.errors.inc();
            Err(HookFailed { plugin, how: How::Error(error) })
        }
        Err(panic) => {
            failures.panics.inc();
            Err(HookFailed { plugin, how: How::Panic(panic_text(&*panic)) })
        }
    }
}

/// A future whose panic is a value.
struct Guarded<'a, T>(Boxed<'a, T>);

impl<T> Future for Guarded<'_, T> {
    type Output = std::thread::Result<Result<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut();
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
