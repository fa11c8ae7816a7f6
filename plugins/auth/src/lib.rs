#![doc = include_str!("../README.md")]

mod api_key;
mod basic;
mod cache;
mod client_certificate;
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
mod plugin;
mod providers;
mod revoke;
mod service;
mod store;
mod verdict;

pub use handler::RouteAuth;
pub use plugin::Auth;
