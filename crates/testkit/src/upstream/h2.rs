//! An upstream's end of an HTTP/2 connection.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use super::pace::{Cut, Pieces, act};
use super::record::{Book, Entry, Recorded};
use super::script::{Body, Script};
use crate::client::send_piece;
use crate::io::BoxIo;
use crate::{Fields, PatternCheck};

/// Answers requests until the connection ends.
pub(super) async fn serve(stream: BoxIo, book: Arc<Book>, connection: usize) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 22);
    let mut server = builder.handshake::<_, Bytes>(stream).await?;
    let mut turns = tokio::task::JoinSet::new();
    while let Some(request) = server.accept().await {
        let (request, respond) = request?;
        let recorded = record(&request, connection);
        let script = book.script(&recorded.target);
        let head = recorded.method == "HEAD";
        let entry = book.arrived(recorded);
        let turn = Turn { request: request.into_body(), entry, script, head };
        // A stream that fails shows on the other side.
        turns.spawn(async move { drop(turn.run(respond).await) });
    }
    Ok(())
}

struct Turn {
    request: RecvStream,
    entry: Entry,
    script: Script,
    head: bool,
}

impl Turn {
    async fn run(mut self, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
        if self.script.reads_first() {
            while self.next_piece().await?.is_some() {}
        }
        if let Some(before) = self.script.before.take()
            && act(&before).await.is_some()
        {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        let mut head = Response::builder().status(self.script.status).body(()).expect("a status");
        *head.headers_mut() = map(&self.script.headers);
        let mut body = respond.send_response(head, self.head)?;
        if self.head {
            return Ok(());
        }
        if self.send_body(&mut body).await?.is_some() {
            body.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        if self.script.trailers.is_empty() {
            return body.send_data(Bytes::new(), true);
        }
        body.send_trailers(map(&self.script.trailers))
    }

    async fn send_body(&mut self, body: &mut SendStream<Bytes>) -> Result<Option<Cut>, h2::Error> {
        if matches!(self.script.body, Body::Echo) {
            while let Some(piece) = self.next_piece().await? {
                send_piece(body, piece, false).await?;
            }
            return Ok(None);
        }
        let mut pieces = Pieces::new(&self.script);
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => send_piece(body, piece, false).await?,
                Ok(None) => return Ok(None),
                Err(cut) => return Ok(Some(cut)),
            }
        }
    }

    /// The next piece of the request's body, recorded.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, h2::Error> {
        let Some(piece) = self.request.data().await else {
            let trailers = self.request.trailers().await?;
            self.entry.complete(trailers.as_ref().map(Fields::from).unwrap_or_default());
            return Ok(None);
        };
        let piece = piece?;
        self.request.flow_control().release_capacity(piece.len())?;
        self.entry.feed(&piece);
        Ok(Some(piece))
    }
}

fn map(fields: &[(String, String)]) -> HeaderMap {
    let field = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
        (name, HeaderValue::from_str(value).expect("a field value"))
    };
    fields.iter().map(field).fold(HeaderMap::new(), |mut map, (name, value)| {
        map.append(name, value);
        map
    })
}

fn record(request: &Request<RecvStream>, connection: usize) -> Recorded {
    let uri = request.uri();
    Recorded {
        raw_head: Bytes::new(),
        method: request.method().to_string(),
        target: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: format!("{:?}", request.version()),
        authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
        headers: Fields::from(request.headers()),
        body: Bytes::new(),
        check: PatternCheck::default(),
        trailers: Fields::default(),
        connection,
        complete: false,
    }
}
