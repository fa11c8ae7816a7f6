//! The listener over real sockets. Nothing here waits for time to pass, only for what is to happen.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

mod app;
mod client;
mod deadlines;
mod drain;
mod fixture;
mod http1;
mod http2;
mod limits;
mod strict;
mod tls;
