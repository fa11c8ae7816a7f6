//! Such a request, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender};

use super::report::{Report, Told};
use crate::cache::Trip;
use crate::cache::refresh::{Refresh, prepare};
use crate::exchange::Exchange;
use crate::forward::{left, timed_out};
use crate::proxy::refuse;

type Fallible<T> = Result<T, Box<Error>>;

/// How much longer than its own request a client waits for a head: that one knows what has taken so long.
const GRACE: Duration = Duration::from_secs(1);

/// An answer, of which the head is there.
pub(in crate::cache) struct Open {
    pub(in crate::cache) head: ResponseHeader,
    report: Arc<Report>,
    tasks: Receiver<HttpTask>,
    /// Dropped, it means to the other side that its client has left.
    _client: Sender<HttpTask>,
    /// Where in the object the next byte is, and what of the body has come and isn't taken yet.
    at: u64,
    rest: Bytes,
}

/// What there is of a body.
pub(in crate::cache) enum Next {
    Piece(Bytes),
    /// Nothing more, or what follows a body.
    End(Option<Box<HeaderMap>>),
}

/// Sends one on this trip; its body begins at this place of the object. `Err` of the inner one: there is no answer.
pub(in crate::cache) async fn ask(
    session: &mut Session,
    exchange: &mut Exchange,
    trip: Trip,
    at: u64,
) -> Fallible<Result<(Open, Told), Option<Told>>> {
    let report = Arc::new(Report::default());
    let (mut tasks, client) = send(session, exchange, trip.reporting(&report))?;
    let head = loop {
        match next(session, exchange, &mut tasks, GRACE).await {
            Ok(Some(HttpTask::Header(head, _))) if head.status.is_informational() => {}
            Ok(Some(HttpTask::Header(head, _))) => break Some(*head),
            Ok(_) => break None,
            Err(error) => {
                report.tries().into_iter().for_each(|tries| exchange.tries = tries);
                return Err(error);
            }
        }
    };
    let told = report.take();
    Ok(match (head, told) {
        (Some(head), Some(told)) if !told.is_refusal() => {
            Ok((Open { head, report, tasks, _client: client, at, rest: Bytes::new() }, told))
        }
        // A head that nothing was told of is Pingora's, which could make nothing of the request.
        (_, told) => Err(told),
    })
}

fn send(
    session: &mut Session,
    exchange: &mut Exchange,
    trip: Trip,
) -> Fallible<(Receiver<HttpTask>, Sender<HttpTask>)> {
    let refresh = Refresh::awaited(exchange, trip);
    let Some((request, answer)) = prepare(session, exchange, refresh) else {
        return Err(Error::explain(ErrorType::InternalError, "no request of the gateway's own can be made"));
    };
    tokio::spawn(request.run());
    Ok((answer.rx, answer.tx))
}

/// What comes next, as long as there is somebody to wait for and time left, and a little more; `None`: the end. A request
/// of the gateway's own without a deadline ends by those of the upstream.
async fn next(
    session: &mut Session,
    exchange: &mut Exchange,
    tasks: &mut Receiver<HttpTask>,
    more: Duration,
) -> Fallible<Option<HttpTask>> {
    match tasks.try_recv() {
        Ok(task) => return Ok(Some(task)),
        Err(TryRecvError::Disconnected) => return Ok(None),
        Err(TryRecvError::Empty) => {}
    }
    let within = exchange.time_left().map_or(Duration::MAX, |left| left + more);
    let waited = tokio::select! {
        biased;
        task = tokio::time::timeout(within, tasks.recv()) => task,
        gone = session.as_downstream_mut().read_body_or_idle(true) => return Err(left(gone)),
    };
    waited.map_err(|_| {
        exchange.failed("the request's time is up");
        refuse(exchange, timed_out())
    })
}

impl Open {
    /// The next piece of what is between these two places in the object; `None`: the answer has ended. What is before
    /// `from` is skipped.
    pub(in crate::cache) async fn read(
        &mut self,
        session: &mut Session,
        exchange: &mut Exchange,
        from: u64,
        to: u64,
    ) -> Fallible<Option<Bytes>> {
        loop {
            let skipped = usize::try_from(from.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.rest.len());
            self.rest.advance(skipped);
            self.at += skipped as u64;
            if !self.rest.is_empty() {
                let wanted = usize::try_from(to.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.rest.len());
                self.at += wanted as u64;
                return Ok(Some(self.rest.split_to(wanted)));
            }
            match self.next(session, exchange).await? {
                Next::Piece(piece) => self.rest = piece,
                Next::End(_) => return Ok(None),
            }
        }
    }

    /// What comes next, of an answer that is taken as it is.
    pub(in crate::cache) async fn next(&mut self, session: &mut Session, exchange: &mut Exchange) -> Fallible<Next> {
        loop {
            match next(session, exchange, &mut self.tasks, Duration::ZERO).await? {
                Some(HttpTask::Body(Some(piece), _)) => return Ok(Next::Piece(piece)),
                Some(HttpTask::Trailer(trailers)) => return Ok(Next::End(trailers)),
                Some(HttpTask::Done | HttpTask::Body(None, true)) => return Ok(Next::End(None)),
                Some(HttpTask::Header(..) | HttpTask::Body(None, false)) => {}
                _ => return Err(self.broken(exchange)),
            }
        }
    }

    /// Where the next byte is.
    pub(in crate::cache) fn at(&self) -> u64 {
        self.at
    }

    /// The answer has stopped before its end.
    fn broken(&self, exchange: &mut Exchange) -> Box<Error> {
        self.report.take().into_iter().for_each(|told| told.blame(exchange));
        cut(exchange, "an answer to a request of the gateway's own is not complete")
    }

    /// Nothing more of it is wanted. What is on its way into the store gets there.
    pub(in crate::cache) fn leave(mut self) {
        loop {
            match self.tasks.try_recv() {
                Ok(_) => {}
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => break,
            }
        }
        tokio::spawn(async move { while self.tasks.recv().await.is_some() {} });
    }
}

/// What ends an answer that can't go on: the client sees that it isn't whole.
pub(in crate::cache) fn cut(exchange: &mut Exchange, why: &'static str) -> Box<Error> {
    exchange.failed(why);
    Error::explain(ErrorType::InternalError, why)
}
