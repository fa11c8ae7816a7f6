//! Keys that are fetched: ahead of need, by one task, and kept while their origin is down.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, Http, Stop};

use super::flight::{Change, Due, Flight, Flying, Known, Wish};
use super::origin::{Fetched, Origin};
use super::{KeySource, SourceMetrics};
use crate::config;
use crate::id::fill_random;
use crate::jwt::jwk::LeftOut;
use crate::jwt::keys::Keys;

/// After the first failure; twice as long after each further one, up to `cooldown`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// When the first fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jwt) enum First {
    /// Before anybody asks.
    AtOnce,
    /// When somebody asks.
    WhenAsked,
}

/// Keys that are fetched.
pub(in crate::jwt) struct Remote {
    provider: Box<str>,
    origin: Origin,
    fetch: config::KeySource,
    http: Http,
    clock: Clock,
    metrics: SourceMetrics,
    first: First,
    /// What a reload keeps.
    flight: Arc<Flight>,
}

impl Remote {
    /// Keys of `origin` for the provider of this name, fetched ahead of need from the moment on at which the
    /// configuration is the current one, or somebody asks. Without an origin the rest is checked all the same. Errors are relative to `fetch`.
    pub(in crate::jwt) fn open(
        provider: &str,
        origin: Option<Origin>,
        (fetch, first): (&config::KeySource, First),
        cx: &mut BuildCx<'_>,
    ) -> Result<Option<Arc<Self>>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        for (field, time) in [("refresh", fetch.refresh), ("cooldown", fetch.cooldown), ("timeout", fetch.timeout)] {
            if time.get().is_zero() {
                errors.push(ConfigError::at(field, "no time at all").help("leave it out for its default"));
            }
        }
        let http = errors.collect(cx.http(fetch.ca.as_deref()).map_err(|e| e.under(&"ca".into())));
        let metrics = SourceMetrics::new(cx.metrics(), provider);
        let metrics = errors.collect(metrics.map_err(|error| ConfigError::at("", error.to_string())));
        let (Some(origin), Some(http), Some(metrics), true) = (origin, http, metrics, errors.is_empty()) else {
            return errors.into_result(None);
        };
        // Another origin, or others who are trusted to speak for it, and the old keys are none.
        let kept = match &fetch.ca {
            Some(ca) => format!("{} by {}", origin.key(), ca.display()),
            None => origin.key(),
        };
        let flight = cx.retain(&kept, Flight::default);
        let (name, clock) = (provider.into(), cx.clock().clone());
        let this = Arc::new(Self { provider: name, origin, fetch: fetch.clone(), http, clock, metrics, first, flight });
        let fetching = this.clone();
        cx.spawn(&format!("keys of {provider}"), move |stop| fetching.run(stop));
        Ok(Some(this))
    }

    /// Fetches whenever it is time, until it is told to stop. One that is on its way then is given up: the next
    /// configuration begins with its own.
    async fn run(self: Arc<Self>, mut stop: Stop) {
        let stopped = async move { stop.stopped().await };
        tokio::select! {
            biased;
            () = stopped => {}
            () = self.keep_fetching() => {}
        }
    }

    async fn keep_fetching(&self) {
        let mut ended = self.flight.ended();
        let mut early = jitter();
        if self.first == First::WhenAsked && self.flight.is_unused() {
            self.flight.wished().await;
        }
        loop {
            self.metrics.have(self.keys().map_or(0, |keys| keys.len()));
            let wait = self.flight.wait(self.clock.now(), |due| self.pause(due, early));
            if !wait.is_zero() {
                tokio::select! {
                    () = self.flight.wished() => {}
                    () = self.clock.sleep(wait) => {}
                }
            } else if let Some(flying) = self.flight.start() {
                let fetched = self.origin.fetch(&self.http, self.fetch.timeout.get()).await;
                self.land(flying, fetched);
                early = jitter();
            } else if ended.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whoever sees that a fetch is counted finds what came of it.
    fn land(&self, flying: Flying<'_>, fetched: Result<Fetched, String>) {
        let (provider, now) = (&*self.provider, self.clock.now());
        match fetched {
            Ok(fetched) => {
                let old = self.flight.known().as_ref().map(|known| known.keys.print());
                let keys = Arc::new(fetched.keys);
                let count = keys.len();
                if old != Some(keys.print()) {
                    log::info!(provider, keys = count; "keys fetched");
                    tell_left_out(provider, &fetched.left_out, count);
                }
                let wall = self.clock.wall();
                let known = Known { keys, fetched: now, max_age: fetched.max_age, metadata: fetched.metadata };
                if let Change::Recovered(failures) = flying.arrived(known) {
                    log::info!(provider, failures; "keys can be fetched again");
                }
                self.metrics.fetched(count, wall);
            }
            Err(error) => {
                let kept = self.keys().map_or(0, |keys| keys.len());
                match flying.failed(&error, now) {
                    Change::Failed => log::warn!(provider, error:%, kept; "keys can't be fetched"),
                    _ => log::debug!(provider, error:%, kept; "keys still can't be fetched"),
                }
                self.metrics.failed();
            }
        }
    }

    /// How long to wait. A little less than is said, and not always as much less: gateways that started together don't
    /// ask together.
    fn pause(&self, due: Due, early: f64) -> Duration {
        let (refresh, cooldown) = (self.fetch.refresh.get(), self.fetch.cooldown.get());
        let pause = match due {
            Due::Again(max_age) => max_age.map_or(refresh, |age| age.max(cooldown).min(refresh)),
            Due::AfterFailures(failures) => {
                FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(cooldown).min(refresh)
            }
        };
        pause.saturating_sub(pause.mul_f64(early))
    }

    /// How long somebody waits for a fetch: a little longer than it may take.
    fn patience(&self) -> Duration {
        self.fetch.timeout.get().saturating_add(Duration::from_millis(500)).saturating_mul(self.origin.steps() + 1)
    }

    /// What the issuer says of itself, unless that is too old.
    pub(in crate::jwt) fn metadata(&self) -> Option<Arc<Map<String, Value>>> {
        self.fresh(|known| known.metadata.clone()).flatten()
    }

    /// What is known, unless it is too old.
    fn fresh<T>(&self, with: impl FnOnce(&Known) -> T) -> Option<T> {
        let known = self.flight.known();
        let known = known.as_ref()?;
        let age = self.clock.now().saturating_duration_since(known.fetched);
        (age <= self.fetch.keep.get()).then(|| with(known))
    }
}

#[async_trait]
impl KeySource for Remote {
    fn keys(&self) -> Option<Arc<Keys>> {
        self.fresh(|known| known.keys.clone())
    }

    fn version(&self) -> Option<u64> {
        self.fresh(|known| known.keys.print())
    }

    fn state(&self) -> serde_json::Value {
        let known = self.flight.known();
        let age = known.as_ref().map(|known| self.clock.now().saturating_duration_since(known.fetched).as_secs());
        serde_json::json!({
            "keys": self.keys().map_or(0, |keys| keys.len()),
            "from": self.origin.host(),
            "fetched_seconds_ago": age,
            "error": self.flight.error().as_deref(),
        })
    }

    fn may_renew(&self) -> bool {
        self.flight.is_open(self.clock.now(), self.fetch.cooldown.get())
    }

    async fn renew(&self) -> Result<(), String> {
        let mut ended = self.flight.ended();
        let over = self.clock.sleep(self.patience());
        tokio::pin!(over);
        while self.flight.wish(self.clock.now(), self.fetch.cooldown.get()) == Wish::Coming {
            tokio::select! {
                _ = ended.changed() => {}
                () = &mut over => break,
            }
            // One that a reload has given up left nothing behind: there will be another.
            if self.version().is_some() {
                break;
            }
        }
        match self.version() {
            Some(_) => Ok(()),
            None => Err(self.flight.error().map_or_else(|| "no answer yet".to_owned(), |error| error.to_string())),
        }
    }
}

/// From 0 to a tenth.
fn jitter() -> f64 {
    let mut byte = [0];
    fill_random(&mut byte);
    f64::from(byte[0]) / 2550.0
}

/// Keys for encryption and the like are nobody's problem; one that gives itself away is somebody's.
fn tell_left_out(provider: &str, left_out: &[LeftOut], used: usize) {
    if let Some(LeftOut { index, why }) = left_out.iter().find(|left| left.why.is_alarming()) {
        log::warn!(provider, index, why:%, left_out = left_out.len(); "a key of the set is not used");
    }
    for LeftOut { index, why } in left_out.iter().filter(|left| !left.why.is_alarming()) {
        log::debug!(provider, index, why:%; "a key of the set is not used");
    }
    if used == 0 {
        log::warn!(provider, left_out = left_out.len(); "the set has no key that can be used: every token is refused");
    }
}
