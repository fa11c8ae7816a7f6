//! Who may get an answer.

use tidegate_core::facts::Identity;

use super::Has;
use crate::config::{Anonymous, Mode, Policy};

/// How a route shares answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sharing {
    mode: Mode,
    anonymous: Anonymous,
    by_identity: bool,
}

/// Whose answer a request gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// That of anybody who has not said who they are.
    Anyone,
    /// That of anybody who has: only answers that the upstream has declared to be for everybody.
    Known,
    /// That of this identity.
    Only(&'a Identity),
}

impl Sharing {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            mode: policy.mode,
            anonymous: policy.anonymous.unwrap_or_default(),
            by_identity: policy.key.identity || policy.mode == Mode::PrivatePerIdentity,
        }
    }

    /// Whose answer a request gets; `Err` says why it gets none.
    pub(crate) fn of<'a>(self, has: Has, who: Option<&'a Identity>) -> Result<Whose<'a>, &'static str> {
        let credentials = has.any(Has::CREDENTIALS);
        match who {
            Some(identity) if self.by_identity => Ok(Whose::Only(identity)),
            Some(_) => Ok(Whose::Known),
            // The upstream will know who it is; nobody here does.
            None if credentials && self.by_identity => Err("unknown_identity"),
            None if credentials => Ok(Whose::Known),
            None if self.mode == Mode::PrivatePerIdentity && self.anonymous == Anonymous::Bypass => Err("anonymous"),
            None => Ok(Whose::Anyone),
        }
    }

    /// Whether an answer for these is one of a private cache (RFC 9111 section 1): nobody else can get it.
    pub(crate) fn is_private(self, whose: Whose<'_>) -> bool {
        self.mode == Mode::PrivatePerIdentity && matches!(whose, Whose::Only(_))
    }
}
