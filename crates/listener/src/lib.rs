#![doc = include_str!("../README.md")]

mod accept;
mod address;
mod config;
mod conn;
mod connection;
mod digest;
mod events;
mod head;
mod http1;
mod http2;
mod io;
mod linger;
mod listener;
mod listening;
mod pulse;
mod refuse;
mod registration;
mod registry;
mod server;
mod socket;
mod stream;
mod strict;
mod tls;
mod write;

pub use address::{BadBindAddr, BindAddr, BoundAddr};
pub use config::{CertificateConfig, ListenerConfig, PortSharing, Protocol, RedirectStatus, TlsConfig, TlsVersion};
pub use conn::{BodyExpected, Conn};
pub use events::{CloseReason, Events};
pub use listener::Listener;
pub use server::Server;
pub use strict::{Refusal, check_head};
pub use tls::install_crypto_provider;
