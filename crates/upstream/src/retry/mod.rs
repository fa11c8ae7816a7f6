//! When a request is sent again: reasons, budget, backoff, and the delay of a hedge.

use std::time::Duration;

use crate::config::{Retry, RetryOn, UpstreamConfig};
use crate::pick::Failure;
use crate::pool::Pool;

mod backoff;
mod budget;
mod hedge;
mod quantile;

pub use budget::RetryPermit;

use backoff::Jitter;
use budget::Places;
use hedge::Hedges;

/// What a pool knows about trying again.
pub(crate) struct Retries {
    config: Retry,
    places: Places,
    jitter: Jitter,
    hedges: Option<Hedges>,
}

/// What became of the last try, and of the request so far.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// How it ended.
    pub why: Why,
    /// Which retry the next one would be: 1 after the first try.
    pub retry: u32,
    /// Whether something of the request was sent, so that it may have been worked on.
    pub sent: bool,
    /// Whether the method is idempotent (RFC 9110 section 9.2.2).
    pub idempotent: bool,
    /// Whether what came of the body is still there.
    pub replayable: bool,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Without an answer.
    Failed(Failure),
    /// With this status.
    Status(u16),
    /// With this gRPC status and no message.
    Grpc(u16),
}

/// Why a request isn't tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoRetry {
    /// The configuration doesn't say so.
    #[error("not a reason to try again")]
    NotAsked,
    /// It was tried as often as may be.
    #[error("tried as often as retry.attempts says")]
    Exhausted,
    /// It may have been worked on, and isn't idempotent.
    #[error("it may have been worked on, and its method is not idempotent")]
    NotIdempotent,
    /// Its body is no longer there.
    #[error("its body is no longer there to be sent again")]
    BodyGone,
    /// Too many requests are being tried again already.
    #[error("as many retries as retry.budget allows are under way")]
    OverBudget,
}

impl NoRetry {
    /// A label for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Exhausted => "exhausted",
            Self::NotIdempotent => "not_idempotent",
            Self::BodyGone => "body_gone",
            Self::OverBudget => "over_budget",
        }
    }
}

impl Why {
    /// A label for logs and metrics; all statuses have the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed(Failure::Connect) => "connect",
            Self::Failed(Failure::RefusedStream) => "refused_stream",
            Self::Failed(Failure::Reset) => "reset",
            Self::Failed(Failure::Timeout) => "timeout",
            Self::Failed(Failure::Protocol) => "protocol",
            Self::Status(_) => "status",
            Self::Grpc(_) => "grpc",
        }
    }

    /// As `retry.on` names it. What is no HTTP is as good as a connection that broke.
    fn reason(self) -> RetryOn {
        match self {
            Self::Failed(Failure::Connect) => RetryOn::Connect,
            Self::Failed(Failure::RefusedStream) => RetryOn::RefusedStream,
            Self::Failed(Failure::Reset | Failure::Protocol) => RetryOn::Reset,
            Self::Failed(Failure::Timeout) => RetryOn::Timeout,
            Self::Status(status) => RetryOn::Status(status),
            Self::Grpc(code) => RetryOn::Grpc(code),
        }
    }
}

impl Tried {
    /// Whether nothing of the request has left the gateway. A timeout or a broken connection may come before that.
    fn unsent(&self) -> bool {
        !self.sent || self.why == Why::Failed(Failure::Connect)
    }

    /// Whether nobody can have worked on the request: it was not sent, or, RFC 9113 section 8.7, refused unseen.
    fn untouched(&self) -> bool {
        self.unsent() || self.why == Why::Failed(Failure::RefusedStream)
    }
}

impl Retries {
    pub(crate) fn new(config: &UpstreamConfig) -> Self {
        Self {
            config: config.retry.clone(),
            places: Places::default(),
            jitter: Jitter::seeded(rand::random()),
            hedges: config.hedge.as_ref().map(Hedges::new),
        }
    }

    /// Whether to try again, and after how long. `in_flight` is how many requests the pool has.
    pub(crate) fn permit(&self, tried: &Tried, in_flight: u32) -> Result<RetryPermit, NoRetry> {
        self.refuse(tried).map_or(Ok(()), Err)?;
        // What was never sent has given the upstream no work: sent elsewhere, it is work that would have come there too.
        // With a place for each, a third of the targets dead would be more than any budget has.
        let place = match tried.unsent() {
            true => None,
            false => Some(self.places.take(&self.config.budget, in_flight).ok_or(NoRetry::OverBudget)?),
        };
        Ok(RetryPermit { after: backoff::delay(&self.config.backoff, tried.retry, &self.jitter), _place: place })
    }

    /// Why the request itself isn't one to try again.
    fn refuse(&self, tried: &Tried) -> Option<NoRetry> {
        let retry = &self.config;
        if !self.is_reason(tried) {
            Some(NoRetry::NotAsked)
        } else if tried.retry > retry.attempts {
            Some(NoRetry::Exhausted)
        } else if retry.idempotent_only && !tried.idempotent && !tried.untouched() {
            Some(NoRetry::NotIdempotent)
        } else {
            // Also where nothing was sent: what was read of the client's body can't be read again.
            (!tried.replayable).then_some(NoRetry::BodyGone)
        }
    }

    fn is_reason(&self, tried: &Tried) -> bool {
        let never_got_there = tried.unsent() && matches!(tried.why, Why::Failed(_));
        self.retries_on(tried.why.reason()) || (never_got_there && self.retries_on(RetryOn::Connect))
    }

    fn retries_on(&self, reason: RetryOn) -> bool {
        self.config.attempts > 0 && self.config.on.contains(&reason)
    }

    /// Retries under way.
    pub(crate) fn under_way(&self) -> u32 {
        self.places.taken()
    }

    /// An answer has begun after `took`: hedges wait as long as most do.
    pub(crate) fn heard(&self, took: Duration) {
        if let Some(hedges) = &self.hedges {
            hedges.heard(took);
        }
    }

    /// How long to wait for the first answer before a second request is sent; `None`: don't.
    pub(crate) fn hedge_after(&self) -> Option<Duration> {
        self.hedges.as_ref().map(Hedges::after)
    }
}

impl Pool {
    /// When requests are tried again, as configured.
    pub fn retry_config(&self) -> &Retry {
        &self.config.retry
    }

    /// How long a target may be silent in a try that may be followed by another; `None`: as long as in any other.
    pub fn per_try_timeout(&self) -> Option<Duration> {
        self.config.retry.per_try_timeout.map(Into::into)
    }

    /// Whether an answer with this status is a reason to try again, so that [`retry`](Self::retry) is worth asking.
    pub fn retries_on(&self, status: u16) -> bool {
        self.retries.retries_on(RetryOn::Status(status))
    }

    /// Whether an answer with this gRPC status, and no message, is a reason to try again.
    pub fn retries_on_grpc(&self, code: u16) -> bool {
        self.retries.retries_on(RetryOn::Grpc(code))
    }

    /// Whether a request may be sent a second time, to be asked when the delay of [`hedge_after`](Self::hedge_after)
    /// is over, right before that is done: a yes takes one from what `hedge.max_share` allows. Asking for the delay is
    /// what adds to it, so that is to be done once for each request that may be hedged.
    #[must_use = "a yes has taken a place already"]
    pub fn may_hedge(&self) -> bool {
        self.retries.hedges.as_ref().is_some_and(Hedges::take)
    }
}

#[cfg(test)]
mod tests;
