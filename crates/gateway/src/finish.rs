//! The end of a request: plugins hear of it, it is counted and logged.

use pingora_proxy::Session;
use tidegate_core::Outcome;

use crate::exchange::Exchange;
use crate::shared::Shared;

/// Once for each request that got as far as a head.
pub(crate) fn finish(shared: &Shared, session: &mut Session, exchange: &mut Exchange) {
    let outcome = Outcome {
        status: exchange.status,
        code: exchange.code,
        answered_by: exchange.answered_by,
        bytes_received: session.body_bytes_read() as u64,
        bytes_sent: session.body_bytes_sent() as u64,
        duration: exchange.request.started.elapsed(),
        failed: exchange.cause.is_some(),
    };
    let (route, cx) = exchange.hooks(session);
    route.chain.finished(&cx, &outcome);
    let method = &session.req_header().method;
    let (duration, received, sent) = (outcome.duration, outcome.bytes_received, outcome.bytes_sent);
    exchange.route().series.record(method, outcome.status, duration, received, sent);
    shared.log(session, exchange, &outcome);
}
