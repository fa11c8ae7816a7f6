//! How much a pool takes at a time: limits, queue, breaker, adaptive limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_core::Clock;

use crate::config::{Protocol, UpstreamConfig};
use crate::metrics::AdmissionGauges;
use crate::pick::{Failure, TryOutcome};

mod adaptive;
mod breaker;
mod gate;
mod gradient;
mod probes;
mod shown;
#[cfg(test)]
mod tests;
mod window;

use adaptive::Adaptive;
use breaker::{Breaker, Phase, Probe};
use gate::{Gate, Place};
use shown::Shown;

/// The doorkeeper of one pool.
pub(crate) struct Admission {
    settings: Settings,
    clock: Clock,
    /// From which times are counted, as in the pool.
    epoch: Instant,
    gate: Arc<Gate>,
    breaker: Option<Arc<Breaker>>,
    adaptive: Option<Adaptive>,
    shown: Arc<Shown>,
}

/// What of an upstream's configuration concerns admission.
#[derive(PartialEq)]
struct Settings {
    /// The limit that the configuration sets, `u32::MAX` if it sets none.
    limit: u32,
    queue: u32,
    queue_timeout: Duration,
    breaker: Option<crate::config::Breaker>,
    adaptive: Option<crate::config::Adaptive>,
}

/// A request that was let in, counted for as long as this lives.
#[derive(Debug)]
pub struct Admitted {
    // Dropped in this order: who gets the place next may become a probe in turn.
    _probe: Option<Probe>,
    _place: Place,
}

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// As many requests as may are in flight, and the queue is full or there is none.
    #[error("the upstream has as many requests as it may")]
    Full,
    /// It has waited in the queue for as long as it may.
    #[error("no place in the upstream came free in time")]
    QueueTimeout,
    /// The breaker is open.
    #[error("the upstream's breaker is open")]
    BreakerOpen {
        /// Until requests are let through again.
        retry_in: Duration,
    },
}

impl Overloaded {
    /// As it stands in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::QueueTimeout => "queue_timeout",
            Self::BreakerOpen { .. } => "breaker_open",
        }
    }

    /// Seconds after which it is worth asking again, for `Retry-After`: at least 1.
    pub fn retry_after(&self) -> u64 {
        match self {
            Self::Full | Self::QueueTimeout => 1,
            Self::BreakerOpen { retry_in } => {
                let part = u64::from(retry_in.subsec_nanos() > 0);
                retry_in.as_secs().saturating_add(part).max(1)
            }
        }
    }
}

impl Admission {
    /// The one of `previous` if nothing has changed for it: then the requests that are in count on, and a breaker that
    /// is open stays so.
    pub(crate) fn of(
        upstream: &Arc<str>,
        config: &UpstreamConfig,
        (clock, epoch): (&Clock, Instant),
        previous: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let settings = Settings::of(config);
        let same = previous.filter(|previous| previous.epoch == epoch && previous.settings == settings);
        same.cloned().unwrap_or_else(|| Arc::new(Self::new(upstream, settings, clock.clone(), epoch)))
    }

    fn new(upstream: &Arc<str>, settings: Settings, clock: Clock, epoch: Instant) -> Self {
        let (breaker, shown) = (settings.breaker.as_ref(), Arc::new(Shown::default()));
        let admission = Self {
            gate: Gate::new(settings.limit, settings.queue, shown.clone()),
            breaker: breaker.map(|config| Breaker::new(upstream.clone(), config, shown.clone())),
            adaptive: settings.adaptive.as_ref().map(Adaptive::new),
            shown,
            settings,
            clock,
            epoch,
        };
        admission.take_limit(admission.adaptive.as_ref().map_or(u32::MAX, Adaptive::limit));
        admission
    }

    /// Shows in `gauges` what goes on from now on. To be called once the configuration is in use: one that is refused
    /// must not show anything.
    pub(crate) fn show(&self, gauges: AdmissionGauges) {
        self.shown.begin(gauges);
        self.shown.limit(self.gate.limit());
        self.shown.queued(self.gate.waiting());
        self.breaker.iter().for_each(|breaker| self.shown.breaker(breaker.phase()));
    }

    /// Lets a request in, at once or after a while in the queue, but no longer than `within`.
    pub(crate) async fn enter(&self, within: Option<Duration>) -> Result<Admitted, Overloaded> {
        // Who won't be let through needn't wait for a place.
        if let Some(retry_in) = self.breaker.as_ref().and_then(|breaker| breaker.open_for(self.now())) {
            return Err(Overloaded::BreakerOpen { retry_in });
        }
        let within = within.map_or(self.settings.queue_timeout, |within| within.min(self.settings.queue_timeout));
        let place = self.gate.enter(&self.clock, within).await?;
        let probe = match &self.breaker {
            Some(breaker) => breaker.enter(self.now()).map_err(|retry_in| Overloaded::BreakerOpen { retry_in })?,
            None => None,
        };
        Ok(Admitted { _probe: probe, _place: place })
    }

    /// Requests that are in.
    pub(crate) fn in_flight(&self) -> u32 {
        self.gate.inside()
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.gate.waiting()
    }

    /// How many requests may be in, unless there is no limit.
    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.gate.limit()).filter(|limit| *limit != u32::MAX)
    }

    /// What the breaker does, and for how long it will, if it is open.
    pub(crate) fn breaker(&self) -> Option<(&'static str, Option<Duration>)> {
        let breaker = self.breaker.as_ref()?;
        let state = match breaker.phase() {
            Phase::Closed => "closed",
            Phase::Open { .. } => "open",
            Phase::HalfOpen => "half_open",
        };
        Some((state, breaker.open_for(self.now())))
    }

    /// An answer has begun after `took`.
    pub(crate) fn heard(&self, took: Duration) {
        if self.breaker.is_none() && self.adaptive.is_none() {
            return;
        }
        let now = self.now();
        self.breaker.iter().for_each(|breaker| breaker.heard(now.saturating_sub(nanos(took))));
        self.learn(took, now);
    }

    /// A try is over after `took`.
    pub(crate) fn ended(&self, outcome: TryOutcome, first_byte: Option<Duration>, took: Duration) {
        if self.breaker.is_none() && self.adaptive.is_none() {
            return;
        }
        let now = self.now();
        if let Some(breaker) = &self.breaker {
            breaker.ended(outcome, first_byte.unwrap_or(took), now.saturating_sub(nanos(took)), now);
        }
        // An upstream that no longer answers at all is not one that is as fast as ever.
        if first_byte.is_none() && outcome == TryOutcome::Failed(Failure::Timeout) {
            self.learn(took, now);
        }
    }

    fn learn(&self, took: Duration, now: u64) {
        let learnt = self.adaptive.as_ref().and_then(|adaptive| adaptive.heard(took, self.in_flight(), now));
        learnt.into_iter().for_each(|limit| self.take_limit(limit));
    }

    fn take_limit(&self, adaptive: u32) {
        let limit = adaptive.min(self.settings.limit);
        self.gate.set_limit(limit);
        self.shown.limit(limit);
    }

    /// Nanoseconds on the pool's clock, from 1. Read only where it is needed.
    fn now(&self) -> u64 {
        nanos(self.clock.now().saturating_duration_since(self.epoch)).saturating_add(1)
    }
}

impl Settings {
    fn of(config: &UpstreamConfig) -> Self {
        let per_connection = match config.protocol {
            Protocol::H2 => config.h2.max_streams.max(1),
            // Whether a target will speak HTTP/2 is known only once it is connected to.
            Protocol::Http1 | Protocol::Auto => 1,
        };
        let limits = &config.limits;
        let by_connections = limits.connections.map(|connections| connections.saturating_mul(per_connection));
        Self {
            limit: limits.in_flight.into_iter().chain(by_connections).min().unwrap_or(u32::MAX),
            queue: limits.queue,
            queue_timeout: limits.queue_timeout.into(),
            breaker: config.breaker.clone(),
            adaptive: config.adaptive.clone(),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
