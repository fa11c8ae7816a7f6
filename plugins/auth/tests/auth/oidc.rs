//! Login with another provider: a provider that says whatever the test wants, and a browser's part played by hand.

mod accounts;
mod attacks;
mod config;
mod fleet;
mod flow;
mod kit;
mod second;
