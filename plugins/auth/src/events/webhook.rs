//! A service that is told of events.
//!
//! Each is told until the service answers with 2xx, at most eight at a time, so in no certain order. What can't be told
//! waits, longer each time; a reload keeps what waits, and at the end of the gateway what is due is told for some seconds.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Request, Uri, header};
use tidegate_core::prometheus::{IntCounter, IntGauge};
use tidegate_core::{BuildCx, Bytes, Clock, ConfigError, ConfigErrors, FetchLimits, Http, MetricError, Metrics, Stop};

use super::event::{Event, EventKind};
use super::queue::{Delivery, Queue, Taken};
use super::sign::Signer;
use crate::config::service::Webhook;
use crate::id::{Id, Millis, fill_random};

/// How many calls are made at a time.
const AT_ONCE: usize = 8;
/// What is read of an answer.
const LARGEST: usize = 64 * 1024;
/// The longest pause between two calls for one event.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long what is due is still told when the gateway ends; it waits for 5 s.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Tells one service.
pub(super) struct Hook {
    http: Http,
    url: Uri,
    signer: Signer,
    /// By [`EventKind`]: whether it is told.
    told: [bool; EventKind::ALL.len()],
    queue: Arc<Queue>,
    most: usize,
    limits: FetchLimits,
    retries: u32,
    metrics: HookMetrics,
    clock: Clock,
}

impl Hook {
    /// Errors are relative to `webhook`.
    pub(super) fn build(config: &Webhook, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let url = errors.collect(address(&config.url));
        let signer = errors.collect(Signer::new(config.secret.expose()));
        let told = errors.collect(kinds(&config.events));
        if config.queue == 0 || config.queue > 1_000_000 {
            errors.push(ConfigError::at("queue", "must be between 1 and 1000000"));
        }
        if config.timeout.get().is_zero() {
            errors.push(ConfigError::at("timeout", "must be longer than nothing"));
        }
        let metrics = HookMetrics::new(cx.metrics()).map_err(|error| ConfigError::at("", error.to_string()));
        let metrics = errors.collect(metrics);
        let http = errors.collect(cx.http(None));
        let (Some(url), Some(signer), Some(told), Some(metrics), Some(http)) = (url, signer, told, metrics, http)
        else {
            return Err(errors);
        };
        let hook = Arc::new(Self {
            http,
            signer,
            told,
            queue: cx.retain(&format!("webhook {url}"), Queue::default),
            url,
            most: config.queue,
            limits: FetchLimits { within: config.timeout.get(), largest: LARGEST },
            retries: config.retries,
            metrics,
            clock: cx.clock().clone(),
        });
        let task = hook.clone();
        cx.spawn("webhook", move |stop| async move { task.deliver(stop).await });
        errors.into_result(hook)
    }

    /// Adds an event to what is to be told.
    pub(super) fn tell(&self, event: &Event, at: Millis) {
        if !self.told.get(event.kind as usize).copied().unwrap_or_default() {
            return;
        }
        let body = Bytes::from(event.to_json(at).to_string());
        let delivery = Delivery { id: format!("msg_{}", Id::random().text()), body, tries: 0 };
        let dropped = self.queue.push(delivery, self.most, self.clock.now());
        self.metrics.dropped.inc_by(dropped);
        self.metrics.waiting(&self.queue);
    }

    /// Tells what is due, until this configuration is no longer the current one.
    async fn deliver(&self, mut stop: Stop) {
        let owner = self.queue.own();
        let mut calls = FuturesUnordered::new();
        loop {
            while let Some(taken) = (calls.len() < AT_ONCE).then(|| self.take(owner)).flatten() {
                calls.push(self.call(taken));
            }
            tokio::select! {
                () = stop.stopped() => break,
                Some(()) = calls.next() => {}
                () = self.queue.news.notified() => {}
                () = self.pause(owner), if calls.len() < AT_ONCE => {}
            }
        }
        let last = async {
            while calls.next().await.is_some() {
                if let Some(taken) = self.take(owner) {
                    calls.push(self.call(taken));
                }
            }
        };
        self.end(owner, last).await;
    }

    /// After a reload the next configuration has the queue, and what was begun is finished. At the end of the gateway
    /// what is due is told, for some seconds.
    async fn end(&self, owner: u64, last: impl Future<Output = ()>) {
        if !self.queue.is_owned_by(owner) {
            // There may be something for the one that has it now: a notice that came here was for it.
            self.queue.news.notify_one();
            return last.await;
        }
        tokio::select! {
            () = last => {}
            () = self.clock.sleep(LAST_WORDS) => {}
        }
        let left = self.queue.len();
        if left > 0 {
            log::warn!(events = left; "the webhook was not told of all");
        }
    }

    fn take(&self, owner: u64) -> Option<Taken> {
        let taken = self.queue.take(owner, self.clock.now());
        self.metrics.waiting(&self.queue);
        taken
    }

    /// Until something is due.
    async fn pause(&self, owner: u64) {
        match self.queue.next(owner) {
            Some(due) => self.clock.sleep(due.saturating_duration_since(self.clock.now())).await,
            None => std::future::pending().await,
        }
    }

    async fn call(&self, mut taken: Taken) {
        let told = match self.ask(&taken.delivery).await {
            Ok(status) if (200..300).contains(&status) => Ok(()),
            Ok(status) => Err(format!("it answers {status}")),
            Err(error) => Err(error),
        };
        let Err(why) = told else { return self.metrics.ok.inc() };
        self.metrics.failed.inc();
        taken.delivery.tries += 1;
        if taken.delivery.tries > self.retries {
            self.metrics.given_up.inc();
            log::warn!(id = taken.delivery.id.as_str(); "the webhook was not told of an event: {why}");
            return;
        }
        log::debug!(id = taken.delivery.id.as_str(); "the webhook is told again later: {why}");
        let due = self.clock.now() + pause_before(taken.delivery.tries);
        let dropped = self.queue.put_back(taken, due, self.most);
        self.metrics.dropped.inc_by(dropped);
        self.metrics.waiting(&self.queue);
    }

    async fn ask(&self, delivery: &Delivery) -> Result<u16, String> {
        let timestamp = Millis::of(self.clock.wall()).seconds();
        let signature = self.signer.sign(&delivery.id, timestamp, &delivery.body);
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(delivery.body.clone())
            .map_err(|error| error.to_string())?;
        let answer = self.http.fetch(request, self.limits).await.map_err(|error| error.to_string())?;
        Ok(answer.status().as_u16())
    }
}

/// 1 s, 2 s, 4 s, … up to 5 min; up to a fifth less, so that events that failed together don't come back together.
fn pause_before(nth: u32) -> Duration {
    let whole = Duration::from_secs(1 << nth.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let mut random = [0];
    fill_random(&mut random);
    whole - whole * u32::from(random[0]) / (5 * 256)
}

fn address(url: &str) -> Result<Uri, ConfigError> {
    let wrong = |why: &str| ConfigError::at("url", why).help("an address such as https://hooks.example.com/auth");
    let url: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    let scheme = matches!(url.scheme_str(), Some("https" | "http"));
    let host = url.host().is_some_and(|host| !host.is_empty());
    if scheme && host { Ok(url) } else { Err(wrong("is no absolute URL of http or https")) }
}

/// All, if none are named.
fn kinds(names: &[String]) -> Result<[bool; EventKind::ALL.len()], ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut told = [names.is_empty(); EventKind::ALL.len()];
    for (index, name) in names.iter().enumerate() {
        match EventKind::ALL.iter().position(|kind| kind.as_str() == name) {
            Some(kind) => told[kind] = true,
            None => {
                let known = EventKind::ALL.map(EventKind::as_str).join(", ");
                let error = ConfigError::at(tidegate_core::ConfigPath::from("events").index(index), "is no event");
                errors.push(error.help(format!("events are {known}")));
            }
        }
    }
    errors.into_result(told)
}

/// How telling goes.
struct HookMetrics {
    ok: IntCounter,
    failed: IntCounter,
    /// Told as often as is allowed.
    given_up: IntCounter,
    /// There was no room.
    dropped: IntCounter,
    queue: IntGauge,
}

impl HookMetrics {
    fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "Calls of the webhook by how they ended: ok (2xx), failed";
        let calls = metrics.counter("tidegate_auth_webhook_calls_total", help, &["result"])?;
        let help = "Events that the webhook was not told of: full (the queue), given_up (after all retries)";
        let dropped = metrics.counter("tidegate_auth_webhook_dropped_total", help, &["why"])?;
        let queue = metrics.gauge("tidegate_auth_webhook_queue", "Events that the webhook is to be told of", &[])?;
        Ok(Self {
            ok: calls.with_label_values(&["ok"]),
            failed: calls.with_label_values(&["failed"]),
            given_up: dropped.with_label_values(&["given_up"]),
            dropped: dropped.with_label_values(&["full"]),
            queue: queue.with_label_values(&[] as &[&str]),
        })
    }

    fn waiting(&self, queue: &Queue) {
        self.queue.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
    }
}
