//! Other services that are asked while a request waits: how many calls at once, how long, what is remembered of them,
//! and when they are left alone.

mod breaker;
mod client;
mod memo;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use tidegate_core::prometheus::{Histogram, IntCounter};
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, FetchError, FetchLimits, Http, MetricError, Metrics};
use tokio::sync::Semaphore;

use breaker::Breaker;

pub(crate) use client::{basic, encoded};
pub(crate) use memo::Memo;

/// The most calls to one service that are under way. Who comes then is told that the service can't be asked: a
/// service that is slow gets no more than this, however many ask.
const MOST_AT_ONCE: usize = 64;
/// How long a call may be waited for at most: a client waits behind it.
const LONGEST: Duration = Duration::from_secs(60);

/// One service that is asked.
pub(crate) struct Calls {
    name: Box<str>,
    http: Http,
    limits: FetchLimits,
    at_once: Semaphore,
    breaker: Breaker,
    clock: Clock,
    metrics: CallMetrics,
}

/// How a service is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks<'a> {
    /// What metrics and logs call it: the provider's name.
    pub(crate) name: &'a str,
    pub(crate) timeout: Duration,
    /// The longest answer, in bytes.
    pub(crate) largest: usize,
    pub(crate) ca: Option<&'a Path>,
}

impl Calls {
    /// Errors are about `timeout` and `ca`.
    pub(crate) fn build(asks: &Asks<'_>, cx: &BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let http = cx.http(asks.ca).map_err(|e| e.under(&"ca".into()));
        Self::with(asks, http, cx.clock(), cx.metrics())
    }

    /// The same for who has what it needs already. Errors are about `timeout`, and those of `http`.
    pub(crate) fn with(
        asks: &Asks<'_>,
        http: Result<Http, ConfigError>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if asks.timeout.is_zero() || asks.timeout > LONGEST {
            errors.push(ConfigError::at("timeout", "must be more than 0s and at most 1m"));
        }
        let http = errors.collect(http);
        let metrics = CallMetrics::new(metrics, asks.name);
        let metrics = errors.collect(metrics.map_err(|error| ConfigError::at("", error.to_string())));
        let (Some(http), Some(metrics), true) = (http, metrics, errors.is_empty()) else { return Err(errors) };
        Ok(Self {
            name: asks.name.into(),
            http,
            limits: FetchLimits { within: asks.timeout, largest: asks.largest },
            at_once: Semaphore::new(MOST_AT_ONCE),
            breaker: Breaker::default(),
            clock: clock.clone(),
            metrics,
        })
    }

    /// The service's answer, whatever its status below 500; or why there is none, for the log.
    pub(crate) async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let Ok(_permit) = self.at_once.try_acquire() else {
            return Err(self.skipped("too many calls to it are under way"));
        };
        if !self.breaker.allows(self.clock.now()) {
            return Err(self.skipped("it has not answered lately"));
        }
        let begun = self.clock.now();
        let answer = self.http.fetch(request, self.limits).await;
        self.metrics.seconds.observe(self.clock.now().saturating_duration_since(begun).as_secs_f64());
        match answer {
            Ok(answer) if is_down(answer.status()) => Err(self.lost(says(answer.status()))),
            Ok(answer) => self.answered(answer),
            // It did answer: who has such an answer must not shut out the rest.
            Err(error @ FetchError::TooLarge(_)) => Err(self.refused(error.to_string())),
            Err(error) => Err(self.lost(error.to_string())),
        }
    }

    fn answered(&self, answer: Response<Bytes>) -> Result<Response<Bytes>, String> {
        if answer.status().is_server_error() {
            return Err(self.refused(says(answer.status())));
        }
        self.is_back();
        self.metrics.answered.inc();
        Ok(answer)
    }

    /// It is there, and its answer can't be used.
    fn refused(&self, why: String) -> String {
        self.is_back();
        self.metrics.failed.inc();
        why
    }

    fn is_back(&self) {
        if self.breaker.answered() {
            log::info!(provider = &*self.name; "a service that is asked by auth answers again");
        }
    }

    fn lost(&self, why: String) -> String {
        self.metrics.failed.inc();
        if self.breaker.failed(self.clock.now()) {
            let every = Breaker::PAUSE.as_secs_f64();
            log::warn!(provider = &*self.name, error = why, every; "a service that is asked by auth does not answer");
        }
        why
    }

    fn skipped(&self, why: &str) -> String {
        self.metrics.skipped.inc();
        why.to_owned()
    }
}

/// What gateways and load balancers say of a service that isn't there. Other errors may be about one request, and
/// must not let whoever causes them shut out the rest.
fn is_down(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn says(status: StatusCode) -> String {
    format!("it answers {}", status.as_u16())
}

/// A URL that can be asked. The error carries no path, and never quotes the URL: it may have a password in it.
pub(crate) fn target(url: &str) -> Result<Uri, ConfigError> {
    let wrong = |message: &str| ConfigError::at("", message).help("write it like https://auth.example/path");
    if url.is_empty() {
        return Err(wrong("no URL"));
    }
    let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
        return Err(wrong("neither an http nor an https URL"));
    }
    match url.contains('#') || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        true => Err(wrong("a URL that is asked has no user, password or fragment")),
        false => Ok(uri),
    }
}

/// What operators see of calls.
struct CallMetrics {
    answered: IntCounter,
    failed: IntCounter,
    /// Not made: too many were under way, or the service was down.
    skipped: IntCounter,
    seconds: Histogram,
}

impl CallMetrics {
    fn new(metrics: &Metrics, provider: &str) -> Result<Self, MetricError> {
        let help = "Calls to services that auth asks, by what became of them: answered, failed, skipped";
        let calls = metrics.counter("tidegate_auth_calls_total", help, &["provider", "result"])?;
        let of = |result| calls.with_label_values(&[provider, result]);
        let help = "How long services that auth asks took, in seconds";
        let buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let seconds = metrics.histogram("tidegate_auth_call_seconds", help, &["provider"], &buckets)?;
        Ok(Self {
            answered: of("answered"),
            failed: of("failed"),
            skipped: of("skipped"),
            seconds: seconds.with_label_values(&[provider]),
        })
    }
}
