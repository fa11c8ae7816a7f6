//! Policies in Cedar.

mod check;
mod engine;
mod entities;
mod fetch;
mod files;
mod lint;
mod mentions;
mod policies;
mod schema;
#[cfg(test)]
mod tests;
mod value;

pub(super) use check::{CedarCheck, Decided};
pub(super) use engine::Engine;
