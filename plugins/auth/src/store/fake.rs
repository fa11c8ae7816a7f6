//! A store in memory, for tests of what is built on stores.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    Counted, Counter, Cursor, PAGE, Revocation, Revoked, Rotate, Rotated, Session, Store, StoreError, User, small,
};
use crate::id::{Id, Millis};

/// Keeps everything in maps. Counts how often it was asked, and can be told to fail.
#[derive(Default)]
pub(crate) struct FakeStore {
    state: Mutex<State>,
    calls: AtomicU64,
    down: AtomicBool,
}

#[derive(Default)]
struct State {
    users: BTreeMap<Id, User>,
    sessions: BTreeMap<Id, Session>,
    revoked: Vec<Revocation>,
    counters: BTreeMap<Id, Counted>,
    values: BTreeMap<Id, (Vec<u8>, Millis)>,
    keys: Option<(u64, Vec<u8>)>,
}

impl FakeStore {
    pub(crate) fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self::default())
    }

    /// How often it was asked anything.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// From now on every answer is an error, or no longer.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn ask<T>(&self, answer: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to fail".to_owned()));
        }
        Ok(answer(&mut self.state.lock()))
    }
}

impl State {
    fn live(&self, id: Id, now: Millis) -> Option<Session> {
        self.sessions.get(&id).filter(|session| session.is_live(now)).cloned()
    }

    fn of_user(&self, user: Id) -> Vec<Session> {
        let mut sessions: Vec<_> = self.sessions.values().filter(|session| session.user == user).cloned().collect();
        sessions.sort_by_key(|session| (std::cmp::Reverse(session.created), session.id));
        sessions
    }

    fn open(&mut self, session: &Session, most: u32) -> Vec<Id> {
        let others = self.of_user(session.user).into_iter().filter(|other| other.is_live(session.created));
        let mut over: Vec<_> = others.map(|other| other.id).skip(most.saturating_sub(1) as usize).collect();
        over.reverse();
        over.iter().for_each(|id| drop(self.sessions.remove(id)));
        self.sessions.insert(session.id, session.clone());
        over
    }

    fn rotate(&mut self, rotate: &Rotate) -> Rotated {
        let Some(session) = self.sessions.get(&rotate.session).cloned() else { return Rotated::Gone };
        let rotated = session.rotated(rotate);
        if let Rotated::Next(session) = &rotated {
            self.sessions.insert(session.id, session.clone());
        }
        rotated
    }

    /// Adds what isn't refused already as long and as far.
    fn revoke(&mut self, revoke: &[Revocation]) {
        for revocation in revoke {
            let kept = self.revoked.iter().rev().find(|kept| kept.what == revocation.what).copied();
            let wanted = kept.map_or(*revocation, |kept| kept.with(*revocation));
            if kept != Some(wanted) {
                self.revoked.push(wanted);
            }
        }
    }

    fn count(&mut self, counter: &Counter, by: u32, now: Millis) -> Counted {
        let kept = self.counters.get(&counter.key).map(|kept| (kept.count, kept.reset.0));
        let (counted, _) = Counted::now(kept, counter, by, now);
        if by > 0 {
            self.counters.insert(counter.key, counted);
        }
        counted
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn create_user(&self, user: &User) -> Result<bool, StoreError> {
        self.ask(|state| {
            let free = state.users.values().all(|other| other.name != user.name);
            if free {
                state.users.insert(user.id, user.clone());
            }
            free
        })
    }

    async fn user(&self, id: Id) -> Result<Option<User>, StoreError> {
        self.ask(|state| state.users.get(&id).cloned())
    }

    async fn user_named(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.ask(|state| state.users.values().find(|user| user.name == name).cloned())
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        self.ask(|state| {
            let taken = state.users.values().any(|other| other.name == user.name && other.id != user.id);
            let held = state.users.get_mut(&user.id).filter(|held| held.version == user.version && !taken);
            let Some(held) = held else { return false };
            *held = User { version: user.version + 1, ..user.clone() };
            true
        })
    }

    async fn change_password(&self, user: &User, until: Millis) -> Result<Option<Vec<Revocation>>, StoreError> {
        if !self.update_user(user).await? {
            return Ok(None);
        }
        self.ask(|state| {
            let theirs = state.sessions.values().filter(|one| one.user == user.id && Some(one.id) != user.kept);
            let revoke: Vec<_> = theirs.map(|one| Revocation::of_session(one.id, until)).collect();
            state.sessions.retain(|id, one| one.user != user.id || Some(*id) == user.kept);
            state.revoke(&revoke);
            Some(revoke)
        })
    }

    async fn open_session(&self, session: &Session, most: u32) -> Result<Vec<Id>, StoreError> {
        self.ask(|state| state.open(session, most))
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.ask(|state| state.rotate(rotate))
    }

    async fn session(&self, id: Id, now: Millis) -> Result<Option<Session>, StoreError> {
        self.ask(|state| state.live(id, now))
    }

    async fn touch(&self, id: Id, now: Millis, until: Millis) -> Result<Option<Session>, StoreError> {
        self.ask(|state| {
            let session = state.live(id, now)?;
            let touched = session.touched(now, until);
            state.sessions.insert(id, touched.clone());
            Some(touched)
        })
    }

    async fn sessions(&self, user: Id, now: Millis) -> Result<Vec<Session>, StoreError> {
        self.ask(|state| state.of_user(user).into_iter().filter(|session| session.is_live(now)).collect())
    }

    async fn end_session(&self, user: Id, session: Id, revoke: &[Revocation]) -> Result<bool, StoreError> {
        self.ask(|state| {
            let theirs = state.sessions.get(&session).is_some_and(|session| session.user == user);
            if theirs {
                state.sessions.remove(&session);
                state.revoke(revoke);
            }
            theirs
        })
    }

    async fn end_sessions(&self, user: Id, keep: Option<Id>, revoke: &[Revocation]) -> Result<u32, StoreError> {
        self.ask(|state| {
            let before = state.sessions.len();
            state.sessions.retain(|id, session| session.user != user || Some(*id) == keep);
            state.revoke(revoke);
            (before - state.sessions.len()) as u32
        })
    }

    async fn revoke(&self, revoke: &[Revocation], _now: Millis) -> Result<(), StoreError> {
        self.ask(|state| state.revoke(revoke))
    }

    async fn revoked(&self, since: Cursor, now: Millis) -> Result<(Vec<Revocation>, Cursor), StoreError> {
        self.ask(|state| {
            let new = state.revoked.iter().enumerate().skip(since.0 as usize).filter(|(_, one)| one.until > now);
            let page: Vec<_> = new.map(|(place, one)| (place as u64 + 1, *one)).take(PAGE).collect();
            let cursor = page.last().map_or(state.revoked.len() as u64, |(place, _)| *place);
            (page.into_iter().map(|(_, one)| one).collect(), Cursor(cursor))
        })
    }

    async fn is_revoked(&self, subjects: &[Revoked], issued: u64, now: Millis) -> Result<bool, StoreError> {
        self.ask(|state| {
            let mut of_these = state.revoked.iter().filter(|revocation| subjects.contains(&revocation.what));
            of_these.any(|revocation| revocation.refuses(issued, now))
        })
    }

    async fn count(&self, counters: &[Counter], by: u32, now: Millis) -> Result<Vec<Counted>, StoreError> {
        self.ask(|state| counters.iter().map(|counter| state.count(counter, by, now)).collect())
    }

    async fn forget(&self, keys: &[Id]) -> Result<(), StoreError> {
        self.ask(|state| state.counters.retain(|key, _| !keys.contains(key)))
    }

    async fn put(&self, key: Id, value: &[u8], until: Millis, only_new: bool, now: Millis) -> Result<bool, StoreError> {
        small(value)?;
        self.ask(|state| {
            let taken = state.values.get(&key).is_some_and(|(_, until)| *until > now);
            if taken && only_new {
                return false;
            }
            state.values.insert(key, (value.to_vec(), until));
            true
        })
    }

    async fn get(&self, key: Id, now: Millis) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(|state| state.values.get(&key).filter(|(_, until)| *until > now).map(|(value, _)| value.clone()))
    }

    async fn keys(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.ask(|state| state.keys.clone())
    }

    async fn swap_keys(&self, version: u64, keys: &[u8]) -> Result<bool, StoreError> {
        self.ask(|state| {
            let current = state.keys.as_ref().map_or(0, |(version, _)| *version);
            if current == version {
                state.keys = Some((version + 1, keys.to_vec()));
            }
            current == version
        })
    }

    async fn sweep(&self, now: Millis) -> Result<u64, StoreError> {
        self.ask(|state| {
            let before = state.sessions.len() + state.counters.len() + state.values.len();
            state.sessions.retain(|_, session| session.is_live(now));
            state.counters.retain(|_, counted| counted.reset > now);
            state.values.retain(|_, (_, until)| *until > now);
            (before - state.sessions.len() - state.counters.len() - state.values.len()) as u64
        })
    }
}
