//! What such a request tells the one on whose behalf it goes.

use std::borrow::Cow;
use std::time::SystemTime;

use http::Extensions;
use parking_lot::Mutex;
use pingora_error::Error;
use pingora_proxy::FailToProxy;
use tidegate_core::facts::{CacheStatus, Cached};
use tidegate_core::{AnsweredBy, Reply};

use crate::exchange::Exchange;
use crate::forward::Tries;
use crate::status::{Verdict, cause, verdict};

/// One for each. What it is told is there before the head is, and before the end.
#[derive(Default)]
pub(crate) struct Report {
    told: Mutex<Option<Told>>,
    /// Where it has been by now, for the log of a client that stops waiting.
    tries: Mutex<Option<Tries>>,
}

/// What came of it.
pub(in crate::cache) struct Told {
    cache: CacheStatus,
    cached: Cached,
    answered_by: AnsweredBy,
    /// What plugins have noted of the upstream's answer: they will see the client's.
    extensions: Extensions,
    tries: Tries,
    /// What went wrong, for the log.
    cause: Option<Cow<'static, str>>,
    /// What the client is to get where there is no answer.
    reply: Option<Reply>,
}

impl Report {
    fn tell(&self, exchange: &Exchange, reply: Option<Reply>) {
        let facts = &exchange.request.facts;
        let told = Told {
            cache: facts.cache,
            cached: facts.cached,
            answered_by: exchange.answered_by,
            extensions: facts.extensions.clone(),
            tries: exchange.tries.told(),
            cause: exchange.cause.clone(),
            reply,
        };
        *self.told.lock() = Some(told);
    }

    /// It has stopped, perhaps after what it was told of before.
    fn stopped(&self, exchange: &Exchange) {
        let mut told = self.told.lock();
        match &mut *told {
            Some(told) => told.cause.clone_from(&exchange.cause),
            None => {
                drop(told);
                self.tell(exchange, None);
            }
        }
    }

    pub(super) fn take(&self) -> Option<Told> {
        self.told.lock().take()
    }

    pub(super) fn tries(&self) -> Option<Tries> {
        self.tries.lock().take()
    }
}

impl Told {
    /// Whether the gateway answers by itself.
    pub(super) fn is_refusal(&self) -> bool {
        self.reply.is_some()
    }

    /// When the upstream was asked for it, or asked whether it is still good.
    pub(in crate::cache) fn asked(&self) -> SystemTime {
        self.cached.asked.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Makes what is known of it known of the client's request: it decides whether that was a hit.
    pub(in crate::cache) fn adopt(self, exchange: &mut Exchange) -> Option<Reply> {
        let facts = &mut exchange.request.facts;
        (facts.cache, facts.cached) = (self.cache, self.cached);
        if self.reply.is_none() {
            facts.extensions = self.extensions;
        }
        exchange.tries = self.tries;
        exchange.cache.relayed = Some(self.answered_by);
        self.cause.into_iter().for_each(|cause| exchange.failed(cause));
        self.reply
    }

    /// Where only what went wrong is of interest.
    pub(in crate::cache) fn blame(self, exchange: &mut Exchange) {
        self.cause.into_iter().for_each(|cause| exchange.failed(cause));
    }
}

/// Another try begins.
pub(crate) fn trying(exchange: &Exchange) {
    if let Some(report) = &exchange.cache.report {
        *report.tries.lock() = Some(exchange.tries.told());
    }
}

/// The answer's head is on its way.
pub(crate) fn answered(exchange: &mut Exchange) {
    exchange.response_seen = true;
    if let Some(report) = &exchange.cache.report {
        report.tell(exchange, None);
    }
}

/// There is no answer, or no more of it: the client is told by the request that it is waiting for.
pub(crate) fn failed(exchange: &mut Exchange, error: &Error) -> FailToProxy {
    // Its head may have been there, though the client has not had it.
    exchange.response_seen = false;
    crate::cache::failed(exchange);
    let reply = exchange.pending.take().or_else(|| {
        exchange.failed(cause(error));
        match verdict(error) {
            Verdict::Answer(reply) => Some(reply),
            Verdict::ClientGone => None,
        }
    });
    if let Some(report) = &exchange.cache.report {
        report.tell(exchange, reply);
    }
    FailToProxy { error_code: 0, can_reuse_downstream: false }
}

/// It has ended: with this error, where nobody has asked yet what to do about it.
pub(crate) fn ended(exchange: &mut Exchange, error: Option<&Error>) {
    let Some(error) = error.filter(|_| exchange.cause.is_none()) else { return };
    exchange.failed(cause(error));
    if let Some(report) = &exchange.cache.report {
        report.stopped(exchange);
    }
}
