//! The store that is one file: durable, nothing that was acknowledged is lost when the process or the machine stops.
//!
//! One thread writes; readers have a view that doesn't change under them, and wait for nobody.

mod counts;
mod disk;
mod engine;
mod error;
mod expiry;
mod revocations;
mod sessions;
mod tables;
#[cfg(test)]
mod tests;
mod users;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redb::{ReadTransaction, ReadableTable};
use tidegate_core::Clock;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::engine::Engine;
use self::tables::{KEYS, Tables};
use self::writer::Writer;
use super::{Counted, Counter, Cursor, Revocation, Revoked, Rotate, Rotated, Session, Store, StoreError, User, small};
use crate::id::{Id, Millis};
use crate::steady::Steady;

/// How many read at once: each occupies a thread while it does.
const READERS: usize = 16;
/// How many a sweep looks at in one transaction, so that others get their turn.
const SWEPT: usize = 1000;

/// The file while it is open, whatever the configuration of the moment says about it.
pub(super) struct OpenFile {
    // Dropped first: its thread ends, and with it the last of those who use the engine.
    writer: Writer,
    engine: Arc<Engine>,
    readers: Arc<Semaphore>,
    steady: Steady,
}

impl OpenFile {
    /// Opens it, or makes it. Its folder must be there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let engine = Arc::new(Engine::open(path)?);
        let writer = Writer::start(engine.clone());
        let writer = writer.map_err(|error| StoreError::Unavailable(format!("no thread for its writer: {error}")))?;
        Ok(Self { writer, engine, readers: Arc::new(Semaphore::new(READERS)), steady: Steady::default() })
    }

    /// Whether `path` still names the file that is open.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.engine.is_at(path)
    }
}

/// The file, as a configuration has it.
pub(super) struct FileStore {
    file: Arc<OpenFile>,
    max_users: u64,
    timeout: Duration,
    clock: Clock,
}

impl FileStore {
    pub(super) fn new(file: Arc<OpenFile>, max_users: u64, timeout: Duration, clock: Clock) -> Self {
        Self { file, max_users, timeout, clock }
    }

    /// Up to when what is over can be removed for good.
    fn over(&self, now: Millis) -> Millis {
        now.min(self.file.steady.now(&self.clock))
    }

    /// Makes a change, and answers when it is durable. It may be made although the answer is that it is late.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.timeout;
        timeout_at(deadline, self.file.writer.write(deadline, change)).await.unwrap_or_else(|_| late())
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.file.engine.is_lost() {
            // Only the writer opens it again.
            self.write(|_| Ok(())).await?;
        }
        timeout_at(Instant::now() + self.timeout, self.read_off_thread(work)).await.unwrap_or_else(|_| late())
    }

    async fn read_off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the gateway is ending".to_owned());
        let place = self.file.readers.clone().acquire_owned().await.map_err(|_| gone())?;
        let engine = self.file.engine.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // However long a read takes that nobody waits for any more: it keeps its place.
            let _place = place;
            engine.read(work)
        });
        reading.await.map_err(|_| gone())?
    }
}

fn late<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the store's file is too slow".to_owned()))
}

#[async_trait]
impl Store for FileStore {
    async fn create_user(&self, user: &User) -> Result<bool, StoreError> {
        let (user, most) = (user.clone(), self.max_users);
        self.write(move |tables| users::create(tables, &user, most)).await
    }

    async fn user(&self, id: Id) -> Result<Option<User>, StoreError> {
        self.read(move |view| users::by_id(view, id)).await
    }

    async fn user_named(&self, name: &str) -> Result<Option<User>, StoreError> {
        let name = name.to_owned();
        self.read(move |view| users::by_name(view, &name)).await
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        let user = user.clone();
        self.write(move |tables| users::update(tables, &user)).await
    }

    async fn change_password(&self, user: &User, until: Millis) -> Result<Option<Vec<Revocation>>, StoreError> {
        let user = user.clone();
        self.write(move |tables| match users::update(tables, &user)? {
            true => sessions::end_others(tables, user.id, user.kept, until).map(Some),
            false => Ok(None),
        })
        .await
    }

    async fn open_session(&self, session: &Session, most: u32) -> Result<Vec<Id>, StoreError> {
        let (session, over) = (session.clone(), self.over(session.created));
        self.write(move |tables| sessions::open(tables, &session, most, over)).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let rotate = *rotate;
        self.write(move |tables| sessions::rotate(tables, &rotate)).await
    }

    async fn session(&self, id: Id, now: Millis) -> Result<Option<Session>, StoreError> {
        let session = self.read(move |view| sessions::by_id(view, id)).await?;
        Ok(session.filter(|session| session.is_live(now)))
    }

    async fn touch(&self, id: Id, now: Millis, until: Millis) -> Result<Option<Session>, StoreError> {
        self.write(move |tables| sessions::touch(tables, id, now, until)).await
    }

    async fn sessions(&self, user: Id, now: Millis) -> Result<Vec<Session>, StoreError> {
        let all = self.read(move |view| sessions::by_user(view, user)).await?;
        Ok(all.into_iter().rev().filter(|session| session.is_live(now)).collect())
    }

    async fn end_session(&self, user: Id, session: Id, revoke: &[Revocation]) -> Result<bool, StoreError> {
        let revoke = revoke.to_vec();
        self.write(move |tables| sessions::end(tables, user, session, &revoke)).await
    }

    async fn end_sessions(&self, user: Id, keep: Option<Id>, revoke: &[Revocation]) -> Result<u32, StoreError> {
        let revoke = revoke.to_vec();
        self.write(move |tables| sessions::end_all(tables, user, keep, &revoke)).await
    }

    async fn revoke(&self, revoke: &[Revocation], now: Millis) -> Result<(), StoreError> {
        let (revoke, over) = (revoke.to_vec(), self.over(now));
        self.write(move |tables| revocations::add_now(tables, &revoke, over)).await
    }

    async fn revoked(&self, since: Cursor, now: Millis) -> Result<(Vec<Revocation>, Cursor), StoreError> {
        self.read(move |view| revocations::since(view, since, now)).await
    }

    async fn is_revoked(&self, subjects: &[Revoked], issued: u64, now: Millis) -> Result<bool, StoreError> {
        let subjects = subjects.to_vec();
        self.read(move |view| revocations::any(view, &subjects, issued, now)).await
    }

    async fn count(&self, counters: &[Counter], by: u32, now: Millis) -> Result<Vec<Counted>, StoreError> {
        let counters = counters.to_vec();
        if by == 0 {
            return self.read(move |view| counts::look(view, &counters, now)).await;
        }
        let over = self.over(now);
        self.write(move |tables| counts::count(tables, &counters, by, now, over)).await
    }

    async fn forget(&self, keys: &[Id]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.write(move |tables| counts::forget(tables, &keys)).await
    }

    async fn put(&self, key: Id, value: &[u8], until: Millis, only_new: bool, now: Millis) -> Result<bool, StoreError> {
        small(value)?;
        let (value, over) = (value.to_vec(), self.over(now));
        self.write(move |tables| {
            expiry::reap(tables, over, expiry::IN_PASSING)?;
            counts::put(tables, key, &value, until, only_new, now)
        })
        .await
    }

    async fn get(&self, key: Id, now: Millis) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |view| counts::get(view, key, now)).await
    }

    async fn keys(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.read(|view| {
            let Some(kept) = view.open_table(KEYS)?.get(())? else { return Ok(None) };
            let (version, keys) = kept.value();
            Ok(Some((version, keys.to_vec())))
        })
        .await
    }

    async fn swap_keys(&self, version: u64, keys: &[u8]) -> Result<bool, StoreError> {
        small(keys)?;
        let keys = keys.to_vec();
        self.write(move |tables| {
            if tables.keys.get(())?.map_or(0, |kept| kept.value().0) != version {
                return Ok(false);
            }
            tables.keys.insert((), (version.saturating_add(1), keys.as_slice()))?;
            Ok(true)
        })
        .await
    }

    async fn sweep(&self, now: Millis) -> Result<u64, StoreError> {
        let (mut removed, over) = (0, self.over(now));
        loop {
            let reaped = self.write(move |tables| expiry::reap(tables, over, SWEPT)).await?;
            removed += reaped.removed;
            if reaped.looked_at < SWEPT {
                return Ok(removed);
            }
        }
    }
}
