#![doc = include_str!("../README.md")]

mod admin;
mod answer;
mod api_key;
mod basic;
#[doc(hidden)]
pub mod bench;
mod cache;
mod calls;
mod client_certificate;
mod complaint;
pub mod config;
mod credential;
mod decide;
mod events;
mod forward;
mod guard;
mod handler;
mod hashing;
mod id;
mod identity;
mod introspection;
mod jwt;
mod keys;
mod metrics;
mod plugin;
mod providers;
mod revoke;
mod service;
mod steady;
mod store;
mod verdict;

pub use handler::RouteAuth;
pub use plugin::Auth;

/// For the fuzzer and the benchmarks; not part of any interface.
#[doc(hidden)]
pub use jwt::{bench as jwt_bench, has_token_form, usable_keys};
