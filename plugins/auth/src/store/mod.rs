//! Where users, sessions and revocations are kept. One trait, one suite of tests, two stores.

mod closed;
#[cfg(test)]
pub(crate) mod fake;
mod file;
mod open;
mod record;
mod redis;
mod rules;
mod sweeper;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use self::open::{open, open_shared, place};
use self::rules::small;
pub(crate) use self::sweeper::spawn_sweeper;
use crate::id::{Id, Millis};

/// How many revocations are told at once.
const PAGE: usize = 4096;

/// Keeps users, sessions, revocations and counts. Every method is atomic, and has a deadline. What was acknowledged is
/// durable, as far as the store is.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// A new user; false if the name is taken.
    async fn create_user(&self, user: &User) -> Result<bool, StoreError>;
    /// The user of this id.
    async fn user(&self, id: Id) -> Result<Option<User>, StoreError>;
    /// The user of this name (normalised: see [`User::name`]).
    async fn user_named(&self, name: &str) -> Result<Option<User>, StoreError>;
    /// Changes a user who is still at `user.version`, and counts the version up; false if there was another change in
    /// between, the user is gone, or the new name is somebody else's.
    async fn update_user(&self, user: &User) -> Result<bool, StoreError>;

    /// The same, and ends all sessions of the user but [`User::kept`] in one, with what was issued for them refused until
    /// `until`: what was revoked for this. `None`, and nothing is done, where `update_user` would say false. A store that
    /// can't do both in one changes the user first: see [`User::has_ended`].
    async fn change_password(&self, user: &User, until: Millis) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// A new session; the oldest of the user end where there are more than `most`: their ids are returned.
    async fn open_session(&self, session: &Session, most: u32) -> Result<Vec<Id>, StoreError>;
    /// Exchanges generation `presented` of a session for the next one.
    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError>;
    /// A session that has not expired.
    async fn session(&self, id: Id, now: Millis) -> Result<Option<Session>, StoreError>;
    /// Notes that a session was used, and until when it is good for now; the session as it is then, `None` if it is
    /// gone or has expired.
    async fn touch(&self, id: Id, now: Millis, until: Millis) -> Result<Option<Session>, StoreError>;
    /// A user's sessions that have not expired, the newest first.
    async fn sessions(&self, user: Id, now: Millis) -> Result<Vec<Session>, StoreError>;
    /// Ends a session of `user`'s and revokes this with it, in one; false if there was none: then nothing is revoked.
    async fn end_session(&self, user: Id, session: Id, revoke: &[Revocation]) -> Result<bool, StoreError>;
    /// Ends all sessions of a user but `keep`, and revokes this with them (also where there are none), in one; how many
    /// they were.
    async fn end_sessions(&self, user: Id, keep: Option<Id>, revoke: &[Revocation]) -> Result<u32, StoreError>;

    /// Revokes.
    async fn revoke(&self, revoke: &[Revocation], now: Millis) -> Result<(), StoreError>;
    /// What was revoked after `since`, in order; at most some thousands at a time: ask again with the new cursor until
    /// nothing comes.
    async fn revoked(&self, since: Cursor, now: Millis) -> Result<(Vec<Revocation>, Cursor), StoreError>;
    /// Whether any of these is revoked, for a token that was issued at `issued` (seconds since 1970).
    async fn is_revoked(&self, subjects: &[Revoked], issued: u64, now: Millis) -> Result<bool, StoreError>;

    /// Adds `by` to each of the counters, which begin at zero when their window has passed since their first count;
    /// the counts after. With `by` of 0 nothing is written.
    async fn count(&self, counters: &[Counter], by: u32, now: Millis) -> Result<Vec<Counted>, StoreError>;
    /// Forgets a counter.
    async fn forget(&self, keys: &[Id]) -> Result<(), StoreError>;
    /// Puts a small value (up to 64 KiB) under a key until a time; false, and nothing changed, if `only_new` and there is one.
    async fn put(&self, key: Id, value: &[u8], until: Millis, only_new: bool, now: Millis) -> Result<bool, StoreError>;
    /// The value under a key.
    async fn get(&self, key: Id, now: Millis) -> Result<Option<Vec<u8>>, StoreError>;

    /// The signing keys that gateways share, sealed, with their version; `None` if there are none yet.
    async fn keys(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError>;
    /// Replaces them if their version is still `version` (0: none yet); the version is one more then.
    async fn swap_keys(&self, version: u64, keys: &[u8]) -> Result<bool, StoreError>;

    /// Removes what has expired, where the store doesn't do so by itself; how many things that were.
    async fn sweep(&self, now: Millis) -> Result<u64, StoreError>;
}

/// The id of no session.
pub(crate) const NOBODY: Id = Id([0; 16]);

/// Somebody who can log in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: Id,
    /// By which they log in: trimmed, in lower case, NFC; unique.
    pub(crate) name: String,
    /// What they are called, as they wrote it.
    pub(crate) display: String,
    pub(crate) email: Option<String>,
    /// The password's bcrypt hash.
    pub(crate) hash: String,
    pub(crate) roles: Vec<String>,
    pub(crate) created: Millis,
    /// When the password was changed last.
    pub(crate) changed: Millis,
    /// The login that this left, or [`NOBODY`]: all others that began before have ended. `None` where nothing is known
    /// of it.
    pub(crate) kept: Option<Id>,
    /// The secret of the second factor, and whether it was confirmed.
    pub(crate) totp: Option<(Vec<u8>, bool)>,
    /// Can't log in.
    pub(crate) disabled: bool,
    /// Counts changes up.
    pub(crate) version: u64,
}

impl User {
    /// Whether a session ended when the password was changed. It may be there still, where whoever changed it stopped
    /// in between.
    pub(crate) fn has_ended(&self, session: &Session) -> bool {
        self.kept.is_some_and(|kept| kept != session.id && session.created <= self.changed)
    }
}

/// A hash is nothing for logs.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("version", &self.version).finish_non_exhaustive()
    }
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) created: Millis,
    /// When it was used last.
    pub(crate) used: Millis,
    /// Until when it is good if it isn't used.
    pub(crate) until: Millis,
    /// Until when it is good at all.
    pub(crate) ends: Millis,
    /// Of its refresh token: the first is 1; 0 for a session by cookie.
    pub(crate) generation: u32,
    /// When that generation began.
    pub(crate) rotated: Millis,
    /// What the user can tell it by: user agent, client address, country. Short.
    pub(crate) agent: String,
    pub(crate) client: String,
    pub(crate) place: String,
}

/// Asks for the next generation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotate {
    pub(crate) session: Id,
    /// The generation that the client has.
    pub(crate) presented: u32,
    pub(crate) now: Millis,
    /// How long after a rotation the generation before it gives the same successor; when it is over it does no more.
    pub(crate) grace: Duration,
    /// How long the next generation is good for.
    pub(crate) ttl: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rotated {
    /// The session is at a new generation.
    Next(Session),
    /// It was at that generation already, within the grace: the same successor.
    Again(Session),
    /// A generation that was used up. Nothing is changed: the caller ends what is to be ended.
    Reused(Session),
    /// There is no such session any more, or its token has expired.
    Gone,
}

/// Something that is refused from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) what: Revoked,
    /// Tokens that were issued before (in seconds since 1970) are refused: for a subject. `u64::MAX` for all.
    pub(crate) before: u64,
    /// When it can be forgotten.
    pub(crate) until: Millis,
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Revoked {
    /// One token.
    Token(Id),
    /// All tokens of a login.
    Session(Id),
    /// All tokens of a subject that were issued before a time.
    Subject(Id),
}

/// Up to where revocations are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor(pub(crate) u64);

/// A count in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) key: Id,
    pub(crate) window: Duration,
}

/// Where a counter stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: u32,
    /// When its window is over.
    pub(crate) reset: Millis,
}

/// Why the store did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// It can't be reached, is too slow, or its disk is full.
    #[error("{0}")]
    Unavailable(String),
    /// It holds something that this program did not write.
    #[error("not what was written: {0}")]
    Corrupt(String),
    /// No more of that fits.
    #[error("{0}")]
    Full(String),
}
