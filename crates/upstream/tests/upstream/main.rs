//! Upstreams from YAML: what is refused, who is chosen, and what becomes of targets that fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admission;
mod balance;
mod client;
mod config;
mod discovery;
mod health;
mod metrics;
mod mistakes;
mod names;
mod outlier;
mod retry;
mod simulation;
mod support;
mod tls;
