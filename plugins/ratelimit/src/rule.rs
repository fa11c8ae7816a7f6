//! One limit as whole numbers: what every store counts by.

use crate::algorithm::{Bucket, Calendar, FixedWindow};

/// Microseconds: since the store began for [`Now::steady`], since 1970 for [`Now::wall`].
pub(crate) type Micros = u64;

/// The time at which something is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Never goes back.
    pub steady: Micros,
    /// Time of day; may jump. Only calendar windows look at it.
    pub wall: Micros,
}

/// A limit, parsed and proved to fit its arithmetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub shape: Shape,
    /// What the client is told it may ask for: tokens, requests in a window, requests in flight. At least 1.
    pub quota: u64,
    /// In how much time; zero for [`Shape::Concurrency`] and [`Shape::Ban`].
    pub window: Micros,
    /// Tells rules apart: a key counted by one rule is never read by another. Two equal rules have the same.
    pub fingerprint: u64,
}

/// How a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `token_bucket` and `leaky_bucket`: water that drains at a steady rate.
    Bucket(Bucket),
    /// `fixed_window`: so many from the first request on; then the next request begins a new window.
    Fixed(FixedWindow),
    /// A fixed window that begins with the day, week or month of a time zone.
    Calendar(Calendar),
    /// `sliding_window`: exactly so many in any span of this length. Every request's time is remembered.
    Sliding {
        /// At most this much cost in any `window`.
        limit: u64,
        /// The span.
        window: Micros,
    },
    /// `concurrency`: so many at the same time.
    Concurrency {
        /// At most this much cost in flight.
        limit: u64,
    },
    /// Refuses everything until its time is over; written by strikes, never by requests.
    Ban,
}

/// What a limit says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    pub allowed: bool,
    /// The rule's quota.
    pub quota: u64,
    /// Whole units left after this request.
    pub remaining: u64,
    /// Until everything is back.
    pub reset: Micros,
    /// Refused: until the same cost would be allowed. Zero when allowed.
    pub retry: Micros,
    /// Allowed: how long the request is to be held back first.
    pub delay: Micros,
}
