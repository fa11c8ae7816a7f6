//! What an upstream saw.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::script::Script;
use crate::{Fields, PatternCheck};

/// Longest body that is kept; of longer ones only length and pattern are known.
const KEPT_BODY: usize = 8 * 1024 * 1024;
/// Most bytes of all connections that are kept as they came.
const KEPT_WIRE: usize = 4 * 1024 * 1024;

/// A request, as an upstream got it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The head byte for byte; empty for HTTP/2.
    pub raw_head: Bytes,
    /// The method.
    pub method: String,
    /// The request target as sent: path and query.
    pub target: String,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2.0`.
    pub version: String,
    /// `Host` or `:authority`.
    pub authority: String,
    /// Header fields in the order and case in which they came.
    pub headers: Fields,
    /// The body without its framing; its first 8 MiB.
    pub body: Bytes,
    /// The body's length, and whether it was the kit's [`pattern`](crate::pattern()).
    pub check: PatternCheck,
    /// Fields after the body.
    pub trailers: Fields,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
    /// Whether all of it came.
    pub complete: bool,
}

impl Recorded {
    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text; what isn't UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The target up to its `?`.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What an upstream knows: its scripts, and all that came.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) scripts: Mutex<Vec<(String, Script)>>,
    requests: Mutex<Vec<Recorded>>,
    wire: Mutex<HashMap<usize, BytesMut>>,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Connections {
    accepted: usize,
    open: usize,
}

impl Book {
    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().clone()
    }

    pub(super) fn complete(&self) -> usize {
        self.requests.lock().iter().filter(|request| request.complete).count()
    }

    pub(super) fn accepted(&self) -> usize {
        self.connections.lock().accepted
    }

    pub(super) fn open(&self) -> usize {
        self.connections.lock().open
    }

    pub(super) fn clear(&self) {
        self.requests.lock().clear();
        self.wire.lock().clear();
    }

    /// All bytes of all connections, in the order of connections.
    pub(super) fn wire(&self) -> Vec<u8> {
        let wire = self.wire.lock();
        let mut connections: Vec<_> = wire.iter().collect();
        connections.sort_by_key(|(connection, _)| **connection);
        connections.into_iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    pub(super) fn note_bytes(&self, connection: usize, bytes: &[u8]) {
        let mut wire = self.wire.lock();
        let kept: usize = wire.values().map(BytesMut::len).sum();
        let room = KEPT_WIRE.saturating_sub(kept).min(bytes.len());
        wire.entry(connection).or_default().extend_from_slice(&bytes[..room]);
    }

    /// The script for a target: that of the exact path, else of the longest `prefix*`. Scripts move on to their
    /// successors as they are used.
    pub(super) fn script(&self, target: &str) -> Script {
        let path = target.split('?').next().unwrap_or_default();
        let mut scripts = self.scripts.lock();
        let fits = |key: &str| match key.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix).then_some(prefix.len()),
            None => (key == path).then_some(usize::MAX),
        };
        // The last of equals wins, so that a test may replace a script.
        let best = scripts.iter_mut().filter_map(|entry| Some((fits(&entry.0)?, entry))).max_by_key(|(fit, _)| *fit);
        let Some((_, (_, script))) = best else {
            return Script::reply(format!("the upstream has no script for {path}\n")).with_status(404);
        };
        match script.then.take() {
            None => script.clone(),
            Some(next) => std::mem::replace(script, *next),
        }
    }

    pub(super) fn arrived(self: &Arc<Self>, request: Recorded) -> Entry {
        let mut requests = self.requests.lock();
        requests.push(request);
        Entry { book: self.clone(), index: requests.len() - 1, body: BytesMut::new(), check: PatternCheck::default() }
    }
}

/// A request that is still coming in.
pub(super) struct Entry {
    book: Arc<Book>,
    index: usize,
    body: BytesMut,
    check: PatternCheck,
}

impl Entry {
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.check.feed(piece);
        let room = KEPT_BODY.saturating_sub(self.body.len()).min(piece.len());
        self.body.extend_from_slice(&piece[..room]);
        if let Some(request) = self.book.requests.lock().get_mut(self.index) {
            request.check = self.check;
        }
    }

    pub(super) fn complete(&mut self, trailers: Fields) {
        if let Some(request) = self.book.requests.lock().get_mut(self.index) {
            request.body = std::mem::take(&mut self.body).freeze();
            request.trailers = trailers;
            request.complete = true;
        }
    }
}

impl Drop for Entry {
    /// A body that was cut is kept as far as it came.
    fn drop(&mut self) {
        let mut requests = self.book.requests.lock();
        if let Some(request) = requests.get_mut(self.index).filter(|request| !request.complete) {
            request.body = std::mem::take(&mut self.body).freeze();
        }
    }
}

/// A connection, while it is open.
pub(super) struct Visit {
    book: Arc<Book>,
    pub(super) id: usize,
}

impl Visit {
    pub(super) fn begin(book: &Arc<Book>) -> Self {
        let mut connections = book.connections.lock();
        connections.accepted += 1;
        connections.open += 1;
        Self { book: book.clone(), id: connections.accepted - 1 }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.book.connections.lock().open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_script_wins_and_successors_follow() {
        let book = Book::default();
        let add = |path: &str, script: Script| book.scripts.lock().push((path.to_owned(), script));
        add("*", Script::status(1));
        add("/a/*", Script::status(2));
        add("/a/b", Script::status(3).then(Script::status(4)).then(Script::status(5)));
        let status = |target: &str| book.script(target).status;
        assert_eq!([status("/x"), status("/a/x"), status("/a/b?q")], [1, 2, 3]);
        assert_eq!([status("/a/b"), status("/a/b"), status("/a/b")], [4, 5, 5]);
        add("/a/b", Script::status(6));
        assert_eq!(status("/a/b"), 6);
    }
}
