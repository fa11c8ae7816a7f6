//! A programmable reverse proxy and API gateway on Cloudflare's Pingora: the library.
//!
//! [`Gateway`] puts a router and plugins together. [`Gateway::main`] makes a program of them, with a command line;
//! [`Gateway::start`] runs the gateway inside a program that has a Tokio runtime of its own.

mod access_log;
mod admin;
mod admit;
#[doc(hidden)]
pub mod bench;
mod build;
mod cache;
mod chain;
mod cli;
mod client;
mod events;
mod exchange;
mod finish;
mod forward;
mod gateway;
mod generation;
mod kinds;
mod mirror;
mod outbound;
mod problem;
mod proxy;
mod red;
mod request_id;
mod respond;
mod running;
mod schema;
mod settings;
mod shared;
mod source;
mod status;
mod warnings;

pub use gateway::Gateway;
pub use running::{Running, StartError};
pub use source::{BadConfig, ConfigSource};
pub use tidegate_core as core;
pub use tidegate_listener::BoundAddr;
