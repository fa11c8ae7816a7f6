//! A stream of events that the test sends one by one.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::script::{Body, Script};

/// Sends what follows in a body; the body ends when this is dropped.
#[derive(Debug)]
pub struct Events(UnboundedSender<Bytes>);

/// Where one answer takes its events from: the first to ask has them all.
#[derive(Debug, Clone)]
pub(super) struct Source(Arc<Mutex<Option<UnboundedReceiver<Bytes>>>>);

impl Source {
    pub(super) fn take(&self) -> Option<UnboundedReceiver<Bytes>> {
        self.0.lock().take()
    }
}

impl Events {
    /// Sends one server-sent event.
    pub fn send(&self, data: &str) {
        self.send_bytes(format!("data: {data}\n\n"));
    }

    /// Sends these bytes, as one chunk.
    pub fn send_bytes(&self, bytes: impl Into<Bytes>) {
        // The receiver is gone when the connection is: the test sees that on its own side.
        let _ = self.0.send(bytes.into());
    }
}

/// A `text/event-stream` that the test feeds. One answer; a second request to it gets an empty stream.
pub fn events() -> (Script, Events) {
    let (sender, receiver) = unbounded_channel();
    let source = Source(Arc::new(Mutex::new(Some(receiver))));
    let script = Script::new(200, Body::Events(source)).header("Content-Type", "text/event-stream");
    (script, Events(sender))
}
