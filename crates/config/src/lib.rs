#![doc = include_str!("../README.md")]

mod document;
mod env;
mod include;
mod interpolate;
mod limits;
mod locate;
mod parse;
mod report;
pub mod schema;
mod source;
mod syntax;
mod walk;
mod watch;

pub use document::Document;
pub use env::{Env, ProcessEnv};
pub use report::{Finding, LoadErrors, Location, Report};
pub use watch::{WatchGuard, watch};
