//! The token service: what it issues, what that is good for, and when it ends.

mod cookies;
mod flow;
mod keys;
mod passwords;
mod refresh;
mod refusals;
mod reload;
mod sessions;
pub(crate) mod site;
mod skew;
