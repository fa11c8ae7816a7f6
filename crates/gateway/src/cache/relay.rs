//! Clients of HTTP/2: what they wait for is fetched by a request of the gateway's own.
//!
//! Pingora reads nothing more of an upstream while a client of HTTP/2 takes nothing, and so whoever else reads what that
//! client's request writes into the store would wait for the client, too. The gateway's own request goes on.

use http::Method;
use pingora_error::Error;
use pingora_proxy::Session;

use super::key;
use super::own::{Next, Open, ask, unanswered};
use crate::exchange::Exchange;
use crate::forward::{response, response_body};
use crate::respond::bodiless;

type Fallible<T> = Result<T, Box<Error>>;

/// Not for what is known not to be stored.
pub(super) fn is_wanted(session: &Session, exchange: &Exchange) -> bool {
    session.is_http2() && is_thought_cacheable(exchange)
}

fn is_thought_cacheable(exchange: &Exchange) -> bool {
    let predictor = exchange.route().chain.cache().and_then(|policy| policy.zone().predictor);
    let key = key(exchange);
    predictor.is_none_or(|predictor| key.is_ok_and(|key| predictor.cacheable_prediction(&key)))
}

/// The request once more, and its answer as it is: ranges and conditions have been seen to.
pub(super) async fn serve(session: &mut Session, exchange: &mut Exchange) -> Fallible<()> {
    let trip = exchange.cache.once_more();
    match ask(session, exchange, trip, 0).await? {
        Ok((open, told)) => {
            drop(told.adopt(exchange));
            send(session, exchange, open).await
        }
        Err(told) => unanswered(session, exchange, told).await,
    }
}

async fn send(session: &mut Session, exchange: &mut Exchange, open: Open) -> Fallible<()> {
    let mut head = open.head.clone();
    let nothing = session.req_header().method == Method::HEAD || bodiless(head.status);
    response(session, exchange, &mut head).await?;
    session.write_response_header(Box::new(head), nothing).await.map_err(Error::into_down)?;
    match nothing {
        true => Ok(()),
        false => body(session, exchange, open).await,
    }
}

async fn body(session: &mut Session, exchange: &mut Exchange, mut open: Open) -> Fallible<()> {
    loop {
        let (mut piece, end, trailers) = match open.next(session, exchange).await? {
            Next::Piece(piece) => (Some(piece), false, None),
            Next::End(trailers) => (None, true, trailers),
        };
        response_body(session, exchange, &mut piece, end)?;
        let piece = piece.filter(|piece| !piece.is_empty());
        let last = end && trailers.is_none();
        if last || piece.is_some() {
            session.write_response_body(piece, last).await.map_err(Error::into_down)?;
        }
        if let Some(trailers) = trailers {
            session.as_downstream_mut().write_response_trailers(*trailers).await.map_err(Error::into_down)?;
        }
        if end {
            return Ok(());
        }
    }
}
