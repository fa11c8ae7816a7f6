//! Requests of the gateway's own for an answer that a client waits for: all that there is to a cached answer holds for
//! theirs, too.

mod ask;
mod report;

use pingora_error::Error;
use pingora_proxy::Session;
use tidegate_core::{Reply, StatusCode};

pub(super) use self::ask::{Next, Open, ask, cut};
pub(super) use self::report::Told;
pub(crate) use self::report::{Report, answered, ended, failed, trying};
use crate::exchange::Exchange;
use crate::respond::respond;

/// The client's answer where the gateway's own request has brought none.
pub(super) async fn unanswered(
    session: &mut Session,
    exchange: &mut Exchange,
    told: Option<Told>,
) -> Result<(), Box<Error>> {
    let reply = told.and_then(|told| told.adopt(exchange)).unwrap_or_else(|| {
        exchange.failed("a request of the gateway's own has come to nothing");
        Reply::problem(StatusCode::BAD_GATEWAY, "upstream_failed", "the upstream did not answer")
    });
    respond(session, exchange, reply).await
}
