//! Clients that do as they are told.

mod h1;
mod h2;
mod tls;

pub use self::h1::{Client, Download};
pub(crate) use self::h2::send_piece;
pub use self::h2::{Exchange, H2Client, Incoming};
pub use self::tls::tls_exchange;
