//! Sessions in Redis: a hash for each, and under their user the list of them.
//!
//! They can be on two servers. A session is written before it is listed, and removed before it is unlisted, so that
//! whatever stops in between leaves none that lives and isn't listed by whoever was told of it; one that is listed and
//! dead stays dead.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tidegate_core::redis::{Cmd, cmd};

use super::script::{LIST, OPEN, ROTATE, TOUCH};
use super::{RedisStore, number, plain};
use crate::id::{Id, Millis};
use crate::store::record::corrupt;
use crate::store::{Revocation, Rotate, Rotated, Session, StoreError};

type Fields = HashMap<String, String>;

impl RedisStore {
    pub(super) async fn open(&self, session: &Session, most: u32) -> Result<Vec<Id>, StoreError> {
        let mut args = vec![self.left(session.expires())];
        args.extend(fields(session).into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let _: i64 = self.script(&OPEN, &[self.names.session(session.id)], &args).await?;
        let list = [self.names.sessions_of(session.user)];
        let most = most.max(1);
        let args = [session.id.text(), number(session.created.0), self.left(session.ends), most.to_string()];
        let listed: Vec<String> = self.script(&LIST, &list, &args).await?;
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        self.make_room(session, &ids(&listed)?, most as usize).await
    }

    /// Ends the oldest of these that live, until there are `most`.
    async fn make_room(&self, new: &Session, listed: &[Id], most: usize) -> Result<Vec<Id>, StoreError> {
        let kept = self.kept(listed).await?;
        let live = kept.iter().flatten().filter(|session| session.is_live(new.created)).map(|session| session.id);
        let live: Vec<_> = live.filter(|id| *id != new.id).collect();
        let excess = live.len().saturating_sub(most - 1);
        let ended: Vec<_> = live.iter().copied().take(excess).collect();
        self.remove(&ended).await?;
        let stay = &live[excess..];
        let gone: Vec<_> = listed.iter().copied().filter(|id| *id != new.id && !stay.contains(id)).collect();
        self.unlist(new.user, &gone).await?;
        Ok(ended)
    }

    pub(super) async fn rotated(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let args = [
            rotate.presented.to_string(),
            number(rotate.now.0),
            number(Millis(0).plus(rotate.grace).0),
            number(Millis(0).plus(rotate.ttl).0),
        ];
        let key = [self.names.session(rotate.session)];
        let (outcome, fields): (String, Fields) = self.script(&ROTATE, &key, &args).await?;
        let session = || read(rotate.session, &fields);
        match outcome.as_str() {
            "next" => Ok(Rotated::Next(session()?)),
            "again" => Ok(Rotated::Again(session()?)),
            "reused" => Ok(Rotated::Reused(session()?)),
            "gone" => Ok(Rotated::Gone),
            _ => Err(corrupt("rotation")),
        }
    }

    pub(super) async fn touched(&self, id: Id, now: Millis, until: Millis) -> Result<Option<Session>, StoreError> {
        let key = [self.names.session(id)];
        let fields: Fields = self.script(&TOUCH, &key, &[number(now.0), number(until.0)]).await?;
        (!fields.is_empty()).then(|| read(id, &fields)).transpose()
    }

    pub(super) async fn session_kept(&self, id: Id) -> Result<Option<Session>, StoreError> {
        let fields: Fields = self.redis.command(&Cmd::hgetall(self.names.session(id))).await.map_err(plain)?;
        (!fields.is_empty()).then(|| read(id, &fields)).transpose()
    }

    /// The newest first.
    pub(super) async fn sessions_kept(&self, user: Id) -> Result<Vec<Session>, StoreError> {
        let listed = self.listed(user).await?;
        let kept = self.kept(&listed).await?;
        let dead = listed.iter().zip(&kept).filter(|(_, kept)| kept.is_none()).map(|(id, _)| *id);
        self.unlist(user, &dead.collect::<Vec<_>>()).await?;
        Ok(kept.into_iter().flatten().filter(|session| session.user == user).rev().collect())
    }

    /// What is revoked is so first: if this stops half-way, more is refused than was asked for, never less.
    pub(super) async fn end(&self, user: Id, session: Id, revoke: &[Revocation]) -> Result<bool, StoreError> {
        let owner: Option<String> =
            self.redis.command(&Cmd::hget(self.names.session(session), "user")).await.map_err(plain)?;
        if owner.is_none_or(|owner| owner != user.text()) {
            return Ok(false);
        }
        self.add_revoked(revoke, self.now()).await?;
        let removed = self.remove(&[session]).await?;
        self.unlist(user, &[session]).await?;
        Ok(removed > 0)
    }

    /// The same order as above.
    pub(super) async fn end_all(&self, user: Id, keep: Option<Id>, revoke: &[Revocation]) -> Result<u32, StoreError> {
        self.add_revoked(revoke, self.now()).await?;
        let mut listed = self.listed(user).await?;
        listed.retain(|id| Some(*id) != keep);
        let removed = self.remove(&listed).await?;
        self.unlist(user, &listed).await?;
        Ok(removed)
    }

    /// Ends all but one, and refuses what was issued for them, first.
    pub(super) async fn end_others(
        &self,
        user: Id,
        keep: Option<Id>,
        until: Millis,
    ) -> Result<Vec<Revocation>, StoreError> {
        let mut listed = self.listed(user).await?;
        listed.retain(|id| Some(*id) != keep);
        let revoke: Vec<_> = listed.iter().map(|id| Revocation::of_session(*id, until)).collect();
        self.add_revoked(&revoke, self.now()).await?;
        self.remove(&listed).await?;
        self.unlist(user, &listed).await?;
        Ok(revoke)
    }

    async fn listed(&self, user: Id) -> Result<Vec<Id>, StoreError> {
        let all = Cmd::zrange(self.names.sessions_of(user), 0, -1);
        let listed: Vec<String> = self.redis.command(&all).await.map_err(plain)?;
        ids(&listed)
    }

    async fn kept(&self, sessions: &[Id]) -> Result<Vec<Option<Session>>, StoreError> {
        try_join_all(sessions.iter().map(|id| self.session_kept(*id))).await
    }

    async fn remove(&self, sessions: &[Id]) -> Result<u32, StoreError> {
        let remove = async |id: &Id| self.redis.command::<u32>(&Cmd::del(self.names.session(*id))).await.map_err(plain);
        Ok(try_join_all(sessions.iter().map(remove)).await?.into_iter().sum())
    }

    async fn unlist(&self, user: Id, sessions: &[Id]) -> Result<(), StoreError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let mut remove = cmd("ZREM");
        remove.arg(self.names.sessions_of(user)).arg(sessions.iter().map(Id::text).collect::<Vec<_>>());
        let _: i64 = self.redis.command(&remove).await.map_err(plain)?;
        Ok(())
    }
}

fn ids(listed: &[String]) -> Result<Vec<Id>, StoreError> {
    listed.iter().map(|id| Id::parse(id).ok_or_else(|| corrupt("list of sessions"))).collect()
}

fn fields(session: &Session) -> [(&'static str, String); 10] {
    [
        ("user", session.user.text()),
        ("created", number(session.created.0)),
        ("used", number(session.used.0)),
        ("until", number(session.until.0)),
        ("ends", number(session.ends.0)),
        ("generation", session.generation.to_string()),
        ("rotated", number(session.rotated.0)),
        ("agent", session.agent.clone()),
        ("client", session.client.clone()),
        ("place", session.place.clone()),
    ]
}

fn read(id: Id, fields: &Fields) -> Result<Session, StoreError> {
    let text = |name: &str| fields.get(name).ok_or_else(|| corrupt("session"));
    let time = |name: &str| text(name)?.parse().map(Millis).map_err(|_| corrupt("session"));
    Ok(Session {
        id,
        user: Id::parse(text("user")?).ok_or_else(|| corrupt("session"))?,
        created: time("created")?,
        used: time("used")?,
        until: time("until")?,
        ends: time("ends")?,
        generation: text("generation")?.parse().map_err(|_| corrupt("session"))?,
        rotated: time("rotated")?,
        agent: text("agent")?.clone(),
        client: text("client")?.clone(),
        place: text("place")?.clone(),
    })
}
