//! What is the same in every store: when a session is over, what becomes of a refresh token, what a revocation covers.
//! The scripts in `redis/lua` say the same once more, and one suite of tests is run against all.

use super::{Counted, Counter, Revocation, Revoked, Rotate, Rotated, Session, StoreError};
use crate::id::Millis;

impl Session {
    /// Until when it is good if nothing more happens; not at that moment any more.
    pub(crate) fn expires(&self) -> Millis {
        self.until.min(self.ends)
    }

    /// Whether it is good now.
    pub(crate) fn is_live(&self, now: Millis) -> bool {
        now < self.expires()
    }

    /// The session as it is after `rotate`. Only [`Rotated::Next`] is a change.
    pub(super) fn rotated(mut self, rotate: &Rotate) -> Rotated {
        let Rotate { presented, now, .. } = *rotate;
        // A generation that never was, by this store's account: it was restored from an older copy. What is missing is
        // whether the token was used up meanwhile, so it is not taken.
        let never_was = presented == 0 || presented > self.generation;
        if never_was || !self.is_live(now) {
            return Rotated::Gone;
        }
        if presented == self.generation {
            let Some(next) = presented.checked_add(1) else { return Rotated::Gone };
            self.generation = next;
            self.rotated = now;
            self.used = now;
            self.until = now.plus(rotate.ttl).min(self.ends);
            return Rotated::Next(self);
        }
        // Another gateway's clock may be ahead of ours: that is no time at all.
        let in_grace = now.since(self.rotated) < rotate.grace;
        if presented + 1 == self.generation && in_grace { Rotated::Again(self) } else { Rotated::Reused(self) }
    }

    /// The session after it was used: it never lasts longer than it may.
    pub(super) fn touched(self, now: Millis, until: Millis) -> Self {
        Self { used: now, until: until.min(self.ends), ..self }
    }
}

impl Counted {
    /// Where a counter stands after `by` more, and whether its window began just now. `kept`: its count, and when its
    /// window is over, if there is one.
    pub(super) fn now(kept: Option<(u32, u64)>, counter: &Counter, by: u32, now: Millis) -> (Self, bool) {
        let longest = now.plus(counter.window);
        match kept.filter(|(_, reset)| now.0 < *reset) {
            // Longer than its window only where a clock was wrong, or the configuration has changed.
            Some((count, reset)) => {
                (Self { count: count.saturating_add(by), reset: Millis(reset).min(longest) }, false)
            }
            None => (Self { count: by, reset: longest }, true),
        }
    }
}

/// The most bytes of a value.
const SMALL: usize = 64 << 10;

/// Refuses a value that isn't small.
pub(super) fn small(value: &[u8]) -> Result<(), StoreError> {
    match value.len() <= SMALL {
        true => Ok(()),
        false => Err(StoreError::Full(format!("{} bytes are more than one value may have", value.len()))),
    }
}

impl Revocation {
    /// Of everything that was issued for a session.
    pub(crate) fn of_session(session: crate::id::Id, until: Millis) -> Self {
        Self { what: Revoked::Session(session), before: u64::MAX, until }
    }

    /// What both refuse.
    pub(super) fn with(self, other: Self) -> Self {
        Self { what: self.what, before: self.before.max(other.before), until: self.until.max(other.until) }
    }

    /// Whether it refuses a token that was issued at `issued`.
    pub(super) fn refuses(&self, issued: u64, now: Millis) -> bool {
        now < self.until && issued < self.before
    }
}

impl Revoked {
    /// As stores name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Revoked::Token(_) => "token",
            Revoked::Session(_) => "session",
            Revoked::Subject(_) => "subject",
        }
    }

    pub(super) fn id(&self) -> crate::id::Id {
        let (Revoked::Token(id) | Revoked::Session(id) | Revoked::Subject(id)) = *self;
        id
    }

    pub(super) fn of(kind: &str, id: crate::id::Id) -> Option<Self> {
        match kind {
            "token" => Some(Revoked::Token(id)),
            "session" => Some(Revoked::Session(id)),
            "subject" => Some(Revoked::Subject(id)),
            _ => None,
        }
    }
}
