//! An upstream's end of an HTTP/1 connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::pace::{Cut, Pieces, act};
use super::record::{Book, Entry, Recorded};
use super::script::{Body, Framed, Rest, Script};
use crate::io::{BodyState, BoxIo, Framing, Reader, Writer, join, split};
use crate::{Fields, PatternCheck};

/// How a connection goes on after a request.
enum Next {
    Request,
    End,
    Reset,
}

/// Answers requests until the connection ends. `reset` makes its end a reset.
pub(super) async fn serve(stream: BoxIo, book: Arc<Book>, connection: usize, reset: impl FnOnce()) -> io::Result<()> {
    let (mut reader, mut writer) = split(stream);
    let seen = book.clone();
    reader.on_bytes(move |bytes| seen.note_bytes(connection, bytes));
    while let Some(head) = reader.head().await? {
        let request = parse(head, connection);
        let framing = framing(&request);
        let script = book.script(&request.target);
        let entry = book.arrived(request.clone());
        if matches!(script.body, Body::Upgrade) {
            if let Some(before) = &script.before {
                act(before).await;
            }
            return upgrade(reader, writer, &request, entry).await;
        }
        let turn = Turn { reader: &mut reader, writer: &mut writer, script, request, framing, body: None, entry };
        match turn.run().await? {
            Next::Request => {}
            Next::End => {
                // What the other end still sends would turn this close into a reset, and lose the answer.
                let _ = writer.shutdown().await;
                while !reader.some(u64::MAX).await?.is_empty() {}
                return Ok(());
            }
            Next::Reset => {
                // Before the stream is dropped at the end of this function.
                reset();
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One request and its answer.
struct Turn<'a> {
    reader: &'a mut Reader,
    writer: &'a mut Writer,
    script: Script,
    request: Recorded,
    framing: Framing,
    body: Option<BodyState>,
    entry: Entry,
}

impl Turn<'_> {
    async fn run(mut self) -> io::Result<Next> {
        for (status, headers) in std::mem::take(&mut self.script.interim) {
            self.writer.write(head(status, &headers).as_bytes()).await?;
        }
        if matches!(self.script.body, Body::Echo) {
            return self.echo().await;
        }
        if self.script.reads_first() {
            while self.next_piece().await?.is_some() {}
        }
        let Self { reader, writer, script, request, framing, .. } = self;
        let answer = Answering { writer, script: &script, request: &request, framing }.run();
        if !script.reads_first() {
            return answer.await;
        }
        tokio::select! {
            next = answer => next,
            // Nobody waits for the rest, or for what will never come.
            () = reader.hung_up() => Ok(Next::End),
        }
    }

    /// The head and each piece of the body, as it comes.
    async fn echo(&mut self) -> io::Result<Next> {
        let answering = Answering {
            writer: &mut *self.writer,
            script: &self.script,
            request: &self.request,
            framing: self.framing,
        };
        let chunked = answering.is_chunked();
        let head = answering.head();
        self.writer.write(head.as_bytes()).await?;
        while let Some(piece) = self.next_piece().await? {
            write_piece(self.writer, &piece, chunked).await?;
        }
        if chunked && self.request.method != "HEAD" {
            self.writer.write(b"0\r\n\r\n").await?;
        }
        Ok(Next::Request)
    }

    /// The next piece of the request's body, recorded.
    async fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        let state = match self.body {
            Some(state) => state,
            None => self.reader.body(self.framing).state(),
        };
        let mut body = self.reader.resume(state);
        let piece = body.next().await?;
        self.body = Some(body.state());
        match &piece {
            Some(piece) => self.entry.feed(piece),
            None => self.entry.complete(Fields::parse(&body.trailers)),
        }
        Ok(piece)
    }
}

/// The answer to a request whose body has been read, or never will be.
struct Answering<'a> {
    writer: &'a mut Writer,
    script: &'a Script,
    request: &'a Recorded,
    framing: Framing,
}

impl Answering<'_> {
    async fn run(mut self) -> io::Result<Next> {
        if let Some(before) = &self.script.before {
            match act(before).await {
                Some(Cut::Close) => return Ok(Next::End),
                Some(Cut::Reset) => return Ok(Next::Reset),
                None => {}
            }
        }
        if let Body::Raw(bytes, rest) = &self.script.body {
            return self.raw(bytes, rest).await;
        }
        let head = self.head();
        self.writer.write(head.as_bytes()).await?;
        if self.request.method == "HEAD" {
            return Ok(Next::Request);
        }
        self.body().await
    }

    /// Ends at the latest when the other side has gone: then nothing can be written, or the caller stops waiting.
    async fn raw(&mut self, bytes: &Bytes, rest: &Rest) -> io::Result<Next> {
        self.writer.write(bytes).await?;
        match rest {
            Rest::End => Ok(Next::End),
            Rest::Silence => std::future::pending().await,
            Rest::Endless(again) => loop {
                self.writer.write(again).await?;
            },
        }
    }

    async fn body(&mut self) -> io::Result<Next> {
        let chunked = self.is_chunked();
        let mut pieces = Pieces::new(self.script);
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => write_piece(self.writer, &piece, chunked).await?,
                Ok(None) => break,
                Err(Cut::Close) => return Ok(Next::End),
                Err(Cut::Reset) => return Ok(Next::Reset),
            }
        }
        if chunked {
            let mut end = "0\r\n".to_owned();
            push(&mut end, &self.script.trailers);
            end.push_str("\r\n");
            self.writer.write(end.as_bytes()).await?;
        }
        let open = !self.script.close && self.script.framing != Framed::UntilClose;
        Ok(if open { Next::Request } else { Next::End })
    }

    fn head(&self) -> String {
        let script = self.script;
        let mut headers = script.headers.clone();
        let says = |name: &str| script.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let bodiless = (100..200).contains(&script.status) || script.status == 204 || script.status == 304;
        if !says("content-length") && !says("transfer-encoding") && !bodiless {
            headers.extend(self.frame());
        }
        head(script.status, &headers)
    }

    fn frame(&self) -> Option<(String, String)> {
        if let Framed::Claim(length) = self.script.framing {
            return Some(("Content-Length".to_owned(), length.to_string()));
        }
        if self.script.framing == Framed::UntilClose {
            return None;
        }
        if self.is_chunked() {
            return Some(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
        }
        let length = match &self.script.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Pattern(length) => *length,
            _ => match self.framing {
                Framing::Length(length) => length,
                Framing::Chunked | Framing::UntilClose => 0,
            },
        };
        Some(("Content-Length".to_owned(), length.to_string()))
    }

    fn is_chunked(&self) -> bool {
        match self.script.framing {
            Framed::Chunked => true,
            Framed::UntilClose | Framed::Claim(_) => false,
            Framed::ByBody => match self.script.body {
                Body::Chunks(_) | Body::Events(_) => true,
                Body::Echo => self.framing == Framing::Chunked,
                _ => self.script.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding")),
            },
        }
    }
}

async fn upgrade(reader: Reader, mut writer: Writer, request: &Recorded, mut entry: Entry) -> io::Result<()> {
    let protocol = request.header("upgrade").unwrap_or("echo").to_owned();
    let headers = [("Connection".to_owned(), "Upgrade".to_owned()), ("Upgrade".to_owned(), protocol)];
    writer.write(head(101, &headers).as_bytes()).await?;
    entry.complete(Fields::default());
    let (early, stream) = join(reader, writer);
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(&early).await?;
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}

async fn write_piece(writer: &mut Writer, piece: &Bytes, chunked: bool) -> io::Result<()> {
    if !chunked || piece.is_empty() {
        return writer.write(piece).await;
    }
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    writer.write(&chunk).await
}

fn head(status: u16, headers: &[(String, String)]) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Unknown"));
    push(&mut head, headers);
    head.push_str("\r\n");
    head
}

fn push(text: &mut String, fields: &[(String, String)]) {
    for (name, value) in fields {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
}

fn parse(raw: Bytes, connection: usize) -> Recorded {
    let end = crate::io::find(&raw, b"\r\n").unwrap_or(raw.len());
    let first = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut words = first.splitn(3, ' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let (method, target, version) = (word(), word(), word());
    let headers = Fields::parse(raw.get(end + 2..).unwrap_or_default());
    let authority = headers.get("host").unwrap_or_default().to_owned();
    Recorded {
        method,
        target,
        version,
        authority,
        headers,
        body: Bytes::new(),
        check: PatternCheck::default(),
        trailers: Fields::default(),
        connection,
        complete: false,
        raw_head: raw,
    }
}

/// How the request's body ends. Deliberately simple: chunked wins over a length, as with many real servers, so
/// that a request that was smuggled through shows as a second one.
fn framing(request: &Recorded) -> Framing {
    if request.headers.all("transfer-encoding").any(|coding| coding.to_ascii_lowercase().contains("chunked")) {
        return Framing::Chunked;
    }
    let length = request.headers.get("content-length").and_then(|length| length.parse().ok());
    Framing::Length(length.unwrap_or(0))
}
