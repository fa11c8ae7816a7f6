//! The store that gateways share: Redis, one server or a cluster. How durable it is, its own configuration says.
//!
//! Whatever reads and then writes is one script. What spans two keys that can be on two servers is done in an order in
//! which everything may stop after each step, and goes on when whoever asked is gone. Every key has a time to live, but
//! those of users and of signing keys; they count from the server's clock, and what they hold is judged by the caller's.

mod names;
mod revocations;
mod script;
mod sessions;
#[cfg(test)]
mod tests;
mod users;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tidegate_core::redis::{Cmd, ErrorKind, FromRedisValue, ServerErrorKind, ToRedisArgs};
use tidegate_core::{Clock, Redis, Script, StoreError as RedisError};

use self::names::Names;
use self::script::{COUNT, PUT, SWAP_KEYS};
use super::record::corrupt;
use super::{Counted, Counter, Cursor, Revocation, Revoked, Rotate, Rotated, Session, Store, StoreError, User, small};
use crate::id::{Id, Millis};

/// The last number that scripts can count with: theirs are doubles.
const LAST: u64 = 9_007_199_254_740_991;

/// A store in Redis. Cheap to clone.
#[derive(Clone)]
pub(super) struct RedisStore {
    redis: Redis,
    names: Names,
    timeout: Duration,
    clock: Clock,
}

impl RedisStore {
    pub(super) fn new(redis: Redis, prefix: &str, timeout: Duration, clock: Clock) -> Self {
        Self { redis, names: Names::new(prefix), timeout, clock }
    }

    fn now(&self) -> Millis {
        Millis::of(self.clock.wall())
    }

    /// How long it is until then, in milliseconds; 1 if it is over.
    fn left(&self, until: Millis) -> String {
        number(until.0.saturating_sub(self.now().0).max(1))
    }

    async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: &[impl ToRedisArgs],
    ) -> Result<T, StoreError> {
        self.redis.script(script, keys, args).await.map_err(plain)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late = || StoreError::Unavailable(format!("store {} is too slow", self.redis.name()));
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Several steps, all of which are made although nobody waits for them any more: a client that hangs up in the
    /// middle of its logout is logged out.
    async fn to_the_end<T, Fut>(&self, work: impl FnOnce(Self) -> Fut) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (work, store) = (work(self.clone()), self.clone());
        let running = tokio::spawn(async move { store.in_time(work).await });
        running.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the gateway is ending".to_owned())))
    }

    async fn count_one(&self, counter: &Counter, by: u32, now: Millis) -> Result<Counted, StoreError> {
        let args = [number(now.0), number(Millis(0).plus(counter.window).0), by.to_string()];
        let (count, reset): (u32, u64) = self.script(&COUNT, &[self.names.counter(counter.key)], &args).await?;
        Ok(Counted { count, reset: Millis(reset) })
    }

    async fn delete(&self, keys: impl Iterator<Item = String>) -> Result<(), StoreError> {
        let delete = async |key| self.redis.command::<i64>(&Cmd::del(key)).await.map_err(plain);
        try_join_all(keys.map(delete)).await.map(drop)
    }

    /// "number bytes"
    async fn numbered(&self, key: String, what: &str) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let kept: Option<Vec<u8>> = self.redis.command(&Cmd::get(key)).await.map_err(plain)?;
        let Some(kept) = kept else { return Ok(None) };
        let space = kept.iter().position(|byte| *byte == b' ');
        let parts = space.map(|space| (&kept[..space], &kept[space + 1..]));
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        let parts = parts.and_then(|(digits, rest)| Some((number(digits)?, rest.to_vec())));
        parts.map(Some).ok_or_else(|| corrupt(what))
    }
}

/// A number that scripts can count with.
fn number(number: u64) -> String {
    number.min(LAST).to_string()
}

/// What the server says of itself, without what it was asked.
fn plain(error: RedisError) -> StoreError {
    let RedisError::Refused { store, cause } = &error else { return StoreError::Unavailable(error.to_string()) };
    match (cause.kind(), cause.code()) {
        (_, Some("CORRUPT" | "WRONGTYPE")) | (ErrorKind::UnexpectedReturnType | ErrorKind::Parse, _) => {
            StoreError::Corrupt(format!("store {store} has something else there"))
        }
        (ErrorKind::Server(ServerErrorKind::ResponseError), _) => {
            StoreError::Unavailable(format!("store {store} refused: {}", cause.detail().unwrap_or("an error")))
        }
        (_, code) => StoreError::Unavailable(format!("store {store} refused: {}", code.unwrap_or("an error"))),
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn create_user(&self, user: &User) -> Result<bool, StoreError> {
        let user = user.clone();
        self.to_the_end(|store| async move { store.create(&user).await }).await
    }

    async fn user(&self, id: Id) -> Result<Option<User>, StoreError> {
        self.in_time(self.by_id(id)).await
    }

    async fn user_named(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.in_time(self.by_name(name)).await
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        let user = user.clone();
        self.to_the_end(|store| async move { store.update(&user).await }).await
    }

    async fn change_password(&self, user: &User, until: Millis) -> Result<Option<Vec<Revocation>>, StoreError> {
        let user = user.clone();
        self.to_the_end(move |store| async move {
            // From here on the old password is good for nothing, and the record says that the sessions are over.
            if !store.update(&user).await? {
                return Ok(None);
            }
            store.end_others(user.id, user.kept, until).await.map(Some)
        })
        .await
    }

    async fn open_session(&self, session: &Session, most: u32) -> Result<Vec<Id>, StoreError> {
        let session = session.clone();
        self.to_the_end(move |store| async move { store.open(&session, most).await }).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.in_time(self.rotated(rotate)).await
    }

    async fn session(&self, id: Id, now: Millis) -> Result<Option<Session>, StoreError> {
        let session = self.in_time(self.session_kept(id)).await?;
        Ok(session.filter(|session| session.is_live(now)))
    }

    async fn touch(&self, id: Id, now: Millis, until: Millis) -> Result<Option<Session>, StoreError> {
        self.in_time(self.touched(id, now, until)).await
    }

    async fn sessions(&self, user: Id, now: Millis) -> Result<Vec<Session>, StoreError> {
        let all = self.in_time(self.sessions_kept(user)).await?;
        Ok(all.into_iter().filter(|session| session.is_live(now)).collect())
    }

    async fn end_session(&self, user: Id, session: Id, revoke: &[Revocation]) -> Result<bool, StoreError> {
        let revoke = revoke.to_vec();
        self.to_the_end(move |store| async move { store.end(user, session, &revoke).await }).await
    }

    async fn end_sessions(&self, user: Id, keep: Option<Id>, revoke: &[Revocation]) -> Result<u32, StoreError> {
        let revoke = revoke.to_vec();
        self.to_the_end(move |store| async move { store.end_all(user, keep, &revoke).await }).await
    }

    async fn revoke(&self, revoke: &[Revocation], now: Millis) -> Result<(), StoreError> {
        self.in_time(self.add_revoked(revoke, now)).await
    }

    async fn revoked(&self, since: Cursor, now: Millis) -> Result<(Vec<Revocation>, Cursor), StoreError> {
        self.in_time(self.revoked_since(since, now)).await
    }

    async fn is_revoked(&self, subjects: &[Revoked], issued: u64, now: Millis) -> Result<bool, StoreError> {
        self.in_time(self.any_revoked(subjects, issued, now)).await
    }

    async fn count(&self, counters: &[Counter], by: u32, now: Millis) -> Result<Vec<Counted>, StoreError> {
        self.in_time(try_join_all(counters.iter().map(|counter| self.count_one(counter, by, now)))).await
    }

    async fn forget(&self, keys: &[Id]) -> Result<(), StoreError> {
        self.in_time(self.delete(keys.iter().map(|key| self.names.counter(*key)))).await
    }

    async fn put(&self, key: Id, value: &[u8], until: Millis, only_new: bool, now: Millis) -> Result<bool, StoreError> {
        small(value)?;
        let only_new = if only_new { "1" } else { "0" };
        let args = [number(now.0).into_bytes(), number(until.0).into_bytes(), only_new.into(), value.to_vec()];
        self.in_time(self.script(&PUT, &[self.names.value(key)], &args)).await
    }

    async fn get(&self, key: Id, now: Millis) -> Result<Option<Vec<u8>>, StoreError> {
        let kept = self.in_time(self.numbered(self.names.value(key), "value")).await?;
        Ok(kept.filter(|(until, _)| now.0 < *until).map(|(_, value)| value))
    }

    async fn keys(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.in_time(self.numbered(self.names.keys(), "key")).await
    }

    async fn swap_keys(&self, version: u64, keys: &[u8]) -> Result<bool, StoreError> {
        small(keys)?;
        let next = version.saturating_add(1);
        let args = [version.to_string().into_bytes(), next.to_string().into_bytes(), keys.to_vec()];
        self.in_time(self.script(&SWAP_KEYS, &[self.names.keys()], &args)).await
    }

    /// What has expired goes by itself.
    async fn sweep(&self, _now: Millis) -> Result<u64, StoreError> {
        Ok(0)
    }
}
