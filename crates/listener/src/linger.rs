//! A close that lets the client read our last words.
//!
//! A kernel that closes a socket while the client is still sending answers with a reset, and the reset may reach
//! the client before the response does (RFC 9112 section 9.6). So we say that we are done, and throw away what
//! still comes for a moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::runtime::Handle;

use crate::registration::Slot;
use crate::socket::Socket;

/// How long the client has to notice.
const LINGER: Duration = Duration::from_secs(2);
const DISCARD: usize = 16 * 1024;

/// Discards what the client still sends until it is done, in a task that counts as a connection of its listener.
pub(crate) fn spawn(socket: Arc<Socket>, slot: Slot) {
    if socket.finish().is_err() {
        return;
    }
    // Without a runtime the process is about to end.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        _ = tokio::time::timeout(LINGER, discard(&socket)).await;
        drop(slot);
    });
}

async fn discard(socket: &Socket) {
    let mut buf = BytesMut::with_capacity(DISCARD);
    loop {
        buf.clear();
        match std::future::poll_fn(|cx| socket.poll_read(cx, &mut buf)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
