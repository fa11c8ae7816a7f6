//! YAML in, HTTP out.

mod bodies;
mod cached;
mod choice;
mod config;
mod heads;
mod here;
mod kit;
mod metrics;
mod not_modified;
mod requests;
mod secrets;
mod streaming;
