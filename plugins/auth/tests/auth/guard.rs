//! Against guessing: limits, lockout, challenges, good passwords, events; and that logins delay nobody else.

mod attempts;
mod events;
mod hashing;
mod kit;
mod signup;
mod users;
