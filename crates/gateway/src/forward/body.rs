//! The request's body on its way to the upstream, also when it goes there twice.

use bytes::{Bytes, BytesMut};
use pingora_proxy::Session;
use tidegate_core::{Cx, Flow};

use super::Fallible;
use crate::admit::too_large;
use crate::exchange::Exchange;
use crate::proxy::{hook_failed, refuse};

/// What has come of the body, and what the chain made of it. Pingora replays what came; plugins that have seen it must
/// not see it again, so what they made of it is kept.
#[derive(Default)]
pub(crate) struct BodySoFar {
    /// Bytes that came from the client.
    received: u64,
    /// What the chain made of them.
    made: Made,
    /// Whether the end has come.
    ended: bool,
    /// Whether the chain has a piece in its hands: if the try ends now, nobody knows who has seen it.
    in_chain: bool,
    /// Whether the next piece is all that has come, once more.
    replay: bool,
}

/// Pieces of a body, in order, up to the length that Pingora replays.
#[derive(Default)]
enum Made {
    #[default]
    Nothing,
    One(Bytes),
    More(BytesMut),
    TooMuch,
}

impl Made {
    fn add(&mut self, piece: &Bytes) {
        if piece.is_empty() {
            return;
        }
        if self.len() + piece.len() > Cx::REPLAYABLE_BODY {
            *self = Self::TooMuch;
        }
        match self {
            Self::Nothing => *self = Self::One(piece.clone()),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(first.len() + piece.len());
                all.extend_from_slice(first);
                all.extend_from_slice(piece);
                *self = Self::More(all);
            }
            Self::More(all) => all.extend_from_slice(piece),
            Self::TooMuch => {}
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing | Self::TooMuch => 0,
            Self::One(piece) => piece.len(),
            Self::More(all) => all.len(),
        }
    }

    fn all(&self) -> Bytes {
        match self {
            Self::Nothing | Self::TooMuch => Bytes::new(),
            Self::One(piece) => piece.clone(),
            Self::More(all) => Bytes::copy_from_slice(all),
        }
    }
}

impl BodySoFar {
    /// A try begins: if there was one before, Pingora begins with what has come until now.
    pub(super) fn begin_try(&mut self) {
        self.replay = self.received > 0 || self.ended;
    }

    /// Whether the end of the client's body has come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether all that has come can be sent again. `empty` is whether the request's head says that there is none:
    /// only then does Pingora say once more that nothing follows.
    pub(super) fn is_replayable(&self, empty: bool) -> bool {
        let lost = self.ended && self.received == 0 && !empty;
        !lost && !self.in_chain && !matches!(self.made, Made::TooMuch)
    }
}

/// One piece of the body on its way to the upstream.
pub(crate) async fn request_body(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
) -> Fallible<()> {
    if end {
        exchange.body_expected = None;
        exchange.tries.all_sent();
        // HTTP/2 may end a body with an empty frame. Pingora would write it to an HTTP/1 upstream as a last chunk, and
        // then the last chunk: the second one would stand before the next request on that connection.
        body.take_if(|body| body.is_empty());
    }
    if session.was_upgraded() {
        return Ok(());
    }
    if std::mem::take(&mut exchange.body.replay) {
        return replay(session, exchange, body, end).await;
    }
    exchange.body.received += body.as_ref().map_or(0, |body| body.len() as u64);
    if exchange.body.received > exchange.route().limits.body {
        return Err(refuse(exchange, too_large()));
    }
    through_chain(session, exchange, body, end).await?;
    exchange.body.ended = end;
    crate::mirror::body(exchange, body.as_ref(), end);
    Ok(())
}

/// What the chain made of the pieces before, in place of the pieces.
async fn replay(session: &mut Session, exchange: &mut Exchange, body: &mut Option<Bytes>, end: bool) -> Fallible<()> {
    if !exchange.route().chain.steps().is_empty() {
        *body = Some(exchange.body.made.all()).filter(|made| !end || !made.is_empty());
    }
    if !end || exchange.body.ended {
        return Ok(());
    }
    // The end came with the last piece, and the chain hasn't heard of it.
    let mut rest = None;
    through_chain(session, exchange, &mut rest, true).await?;
    exchange.body.ended = true;
    crate::mirror::body(exchange, rest.as_ref(), true);
    if let Some(rest) = rest {
        let made = body.take().unwrap_or_default();
        *body = Some([made, rest].concat().into());
    }
    Ok(())
}

async fn through_chain(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
) -> Fallible<()> {
    if exchange.route().chain.steps().is_empty() {
        return Ok(());
    }
    let mut piece = body.take().unwrap_or_default();
    exchange.body.in_chain = true;
    let (route, mut cx) = exchange.hooks(session);
    let flow = route.chain.request_body(&mut cx, &mut piece, end).await;
    exchange.body.in_chain = false;
    if may_be_repeated(exchange) {
        exchange.body.made.add(&piece);
    }
    // Nothing in place of a piece would end the body, so a plugin that holds one back leaves an empty piece.
    *body = (!end || !piece.is_empty()).then_some(piece);
    match flow {
        Ok(Flow::Continue) => Ok(()),
        Ok(Flow::Respond(reply)) => Err(refuse(exchange, reply)),
        Err(failed) => {
            let reply = hook_failed(exchange, &failed);
            Err(refuse(exchange, reply))
        }
    }
}

fn may_be_repeated(exchange: &Exchange) -> bool {
    exchange.tries.pool.as_ref().is_some_and(|pool| pool.config().retry.attempts > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_kept_in_order_until_there_are_too_many() {
        let mut made = Made::default();
        for piece in ["a", "", "bc", "d"] {
            made.add(&Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!(made.all(), "abcd");
        made.add(&Bytes::from(vec![0; Cx::REPLAYABLE_BODY - 4]));
        assert_eq!(made.all().len(), Cx::REPLAYABLE_BODY);
        made.add(&Bytes::from_static(b"x"));
        assert!(matches!(made, Made::TooMuch) && made.all().is_empty());
        made.add(&Bytes::from_static(b"x"));
        assert!(matches!(made, Made::TooMuch), "the beginning is gone");
    }

    #[test]
    fn a_body_is_replayable_unless_something_of_it_is_lost() {
        let body = |received, ended, in_chain| BodySoFar { received, ended, in_chain, ..BodySoFar::default() };
        assert!(body(0, false, false).is_replayable(true));
        assert!(body(5, true, false).is_replayable(false));
        assert!(body(0, true, false).is_replayable(true));
        assert!(!body(0, true, false).is_replayable(false), "nobody would say again that it has ended");
        assert!(!body(5, false, true).is_replayable(false), "a plugin was interrupted");
        let long = BodySoFar { made: Made::TooMuch, ..BodySoFar::default() };
        assert!(!long.is_replayable(false));
    }
}
