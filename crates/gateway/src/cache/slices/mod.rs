//! `slice` of a route's cache: large objects are fetched and stored in pieces, so that nobody waits for what is before the
//! part that it wants, and nothing is fetched that nobody wants.
//!
//! The client's request is answered here. Each slice that it needs is a request of the gateway's own, one after the other,
//! which goes the way of every cached one; only its `Range` and its key are different.

mod answer;
mod source;

use bytes::Bytes;
use pingora_error::Error;
use pingora_http::ResponseHeader;
use pingora_proxy::{MultiRangeInfo, Session};
use tidegate_core::cache::Slice;

use self::answer::{Wanted, after, answer, before, first_byte, whole};
use self::source::{Piece, Question, Sliced, Source};
use super::own::{Told, unanswered};
use crate::exchange::Exchange;
use crate::forward::{response, response_body};
use crate::respond::frame;

type Fallible<T> = Result<T, Box<Error>>;

/// Whether the answers of this route come in slices; of how many bytes.
pub(super) fn size(exchange: &Exchange) -> Option<u64> {
    exchange.route().chain.cache()?.slices().map(|slices| slices.size())
}

pub(super) async fn serve(session: &mut Session, exchange: &mut Exchange, size: u64) -> Fallible<()> {
    match first(session, exchange, size).await? {
        Ok((head, source)) => send(session, exchange, head, source).await,
        Err(told) => unanswered(session, exchange, told).await,
    }
}

/// What tells about all of the object: the first slice that the client needs. What is no slice is the answer as it is,
/// but for what only this slice is wrong about: then the first one is asked for, and after that the whole.
async fn first(
    session: &mut Session,
    exchange: &mut Exchange,
    size: u64,
) -> Fallible<Result<(ResponseHeader, Source), Option<Told>>> {
    let slice = Slice::of_byte(size, first_byte(session.req_header()));
    let mut question = Question { slice, whole: false };
    loop {
        let (Piece { slice, open }, told) = match question.ask(session, exchange).await? {
            Ok(answer) => answer,
            Err(told) => return Ok(Err(told)),
        };
        let (status, is_first) = (open.head.status, slice.number() == 0);
        let total = slice.total(status, &open.head.headers);
        let of_slices = matches!(status.as_u16(), 206 | 416) || (status == 200 && !is_first);
        if total.is_none() && of_slices && !question.whole {
            question = Question { slice: Slice::first(size), whole: is_first };
            continue;
        }
        let asked = told.asked();
        drop(told.adopt(exchange));
        let head = open.head.clone();
        return Ok(Ok(match total {
            Some(total) => (whole(head, total), Source::Sliced(Sliced::new(Piece { slice, open }, total, asked))),
            None => (head, Source::Whole(open)),
        }));
    }
}

/// The answer, through the chain and to the client.
async fn send(
    session: &mut Session,
    exchange: &mut Exchange,
    mut head: ResponseHeader,
    mut source: Source,
) -> Fallible<()> {
    let wanted = answer(session.req_header(), &mut head);
    let nothing = match &wanted {
        Wanted::Nothing => true,
        Wanted::Part(range) => range.is_empty(),
        Wanted::All => crate::respond::bodiless(head.status),
        Wanted::Parts(..) => false,
    };
    response(session, exchange, &mut head).await?;
    if !nothing {
        frame(session, &mut head);
    }
    session.write_response_header(Box::new(head), nothing).await.map_err(Error::into_down)?;
    if !nothing {
        let mut body = Body { session, exchange, source: &mut source };
        match wanted {
            Wanted::Nothing => {}
            Wanted::All => body.all().await?,
            Wanted::Part(range) => body.part(range.start, range.end, true).await?,
            Wanted::Parts(parts, total) => body.parts(&parts, total).await?,
        }
    }
    source.leave();
    Ok(())
}

/// A body on its way to the client.
struct Body<'a> {
    session: &'a mut Session,
    exchange: &'a mut Exchange,
    source: &'a mut Source,
}

impl Body<'_> {
    async fn all(&mut self) -> Fallible<()> {
        loop {
            let piece = self.source.rest(self.session, self.exchange).await?;
            let end = piece.is_none();
            self.write(piece, end).await?;
            if end {
                return Ok(());
            }
        }
    }

    /// `last`: nothing follows.
    async fn part(&mut self, mut at: u64, to: u64, last: bool) -> Fallible<()> {
        while at < to {
            let piece = self.source.read(self.session, self.exchange, at, to).await?;
            at += piece.len() as u64;
            self.write(Some(piece), last && at == to).await?;
        }
        Ok(())
    }

    async fn parts(&mut self, parts: &MultiRangeInfo, total: u64) -> Fallible<()> {
        for range in &parts.ranges {
            self.write(Some(before(parts, range, total).into()), false).await?;
            self.part(range.start as u64, range.end as u64, false).await?;
        }
        self.write(Some(after(parts).into()), true).await
    }

    async fn write(&mut self, mut piece: Option<Bytes>, end: bool) -> Fallible<()> {
        response_body(self.session, self.exchange, &mut piece, end)?;
        let piece = piece.filter(|piece| !piece.is_empty());
        if end || piece.is_some() {
            self.session.write_response_body(piece, end).await.map_err(Error::into_down)?;
        }
        Ok(())
    }
}
