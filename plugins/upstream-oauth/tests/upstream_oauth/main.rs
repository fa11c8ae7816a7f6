//! YAML in, HTTP out.

mod config;
mod failing;
mod fetching;
mod sending;
mod world;
