//! One slice, asked of the cache: by a request of the gateway's own, so that all there is to a cached answer holds for a
//! slice, too: hits, collapsing, revalidation, what is sent stale.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tidegate_core::cache::Slice;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender};

use super::report::{Report, Told};
use crate::cache::Trip;
use crate::cache::refresh::{Refresh, prepare};
use crate::exchange::Exchange;
use crate::forward::{left, timed_out};
use crate::proxy::refuse;

type Fallible<T> = Result<T, Box<Error>>;

/// How long a slice may be silent where the request has no deadline. The request for it has deadlines of its own, which
/// are shorter: this is for what they forget.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) slice: Slice,
    /// All there is, in the place of the first slice: the upstream can't cut it.
    pub(super) whole: bool,
}

/// An answer to it, of which the head is there.
pub(super) struct Open {
    pub(super) slice: Slice,
    pub(super) head: ResponseHeader,
    pub(super) told: Option<Told>,
    report: Arc<Report>,
    tasks: Receiver<HttpTask>,
    /// Dropped, it means to the other side that its client has left.
    _client: Sender<HttpTask>,
    /// Where in the object the next byte is, and what of the body has come and isn't taken yet.
    at: u64,
    rest: Bytes,
}

/// Asks. `Err` of the inner one: there is no answer.
pub(super) async fn ask(
    session: &mut Session,
    exchange: &mut Exchange,
    question: Question,
) -> Fallible<Result<Open, Option<Told>>> {
    let report = Arc::new(Report::default());
    let (mut tasks, client) = send(session, exchange, question, &report)?;
    let head = loop {
        match next(session, exchange, &mut tasks).await? {
            Some(HttpTask::Header(head, _)) if head.status.is_informational() => {}
            Some(HttpTask::Header(head, _)) => break *head,
            _ => return Ok(Err(report.take())),
        }
    };
    let told = report.take();
    if told.as_ref().is_some_and(Told::is_refusal) {
        return Ok(Err(told));
    }
    let Question { slice, whole } = question;
    let at = if whole { 0 } else { slice.start() };
    Ok(Ok(Open { slice, head, told, report, tasks, _client: client, at, rest: Bytes::new() }))
}

fn send(
    session: &mut Session,
    exchange: &Exchange,
    Question { slice, whole }: Question,
    report: &Arc<Report>,
) -> Fallible<(Receiver<HttpTask>, Sender<HttpTask>)> {
    let trip = Trip::for_slice(exchange, slice, whole, report.clone());
    let refresh = trip.map(|trip| Refresh::new(exchange, trip).until(exchange.deadline));
    let made = refresh.and_then(|refresh| prepare(session, exchange, refresh));
    let Some((request, answer)) = made else {
        return Err(Error::explain(ErrorType::InternalError, "no request can be made for a slice"));
    };
    tokio::spawn(request.run());
    Ok((answer.rx, answer.tx))
}

/// What comes next, as long as there is somebody to wait for and time left; `None`: the end.
async fn next(
    session: &mut Session,
    exchange: &mut Exchange,
    tasks: &mut Receiver<HttpTask>,
) -> Fallible<Option<HttpTask>> {
    match tasks.try_recv() {
        Ok(task) => return Ok(Some(task)),
        Err(TryRecvError::Disconnected) => return Ok(None),
        Err(TryRecvError::Empty) => {}
    }
    let within = exchange.time_left().unwrap_or(PATIENCE);
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
    pub(super) async fn read(
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
            match next(session, exchange, &mut self.tasks).await? {
                Some(HttpTask::Body(Some(piece), _)) => self.rest = piece,
                Some(HttpTask::Done | HttpTask::Trailer(_) | HttpTask::Body(None, true)) => return Ok(None),
                Some(HttpTask::Header(..) | HttpTask::Body(None, false)) => {}
                _ => return Err(self.broken(exchange)),
            }
        }
    }

    /// Where the next byte is.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The answer has stopped before its end.
    fn broken(&self, exchange: &mut Exchange) -> Box<Error> {
        self.report.take().into_iter().for_each(|told| told.blame(exchange));
        cut(exchange, "an answer to a request for a slice is not complete")
    }

    /// Nothing more of it is wanted. What is on its way into the store gets there.
    pub(super) fn leave(mut self) {
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
pub(super) fn cut(exchange: &mut Exchange, why: &'static str) -> Box<Error> {
    exchange.failed(why);
    Error::explain(ErrorType::InternalError, why)
}
