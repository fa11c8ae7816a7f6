//! Users in Redis. A user's record is the truth: `version record`, under the id. Under the name is only whose it is, and
//! that counts where the record says the same name.
//!
//! The two can be on two servers, so a name is taken in three steps, after each of which everything may stop for ever:
//! 1. The name is claimed. For a while nobody else can.
//! 2. The record is written. From now on the user is there, and the name is theirs.
//! 3. The claim is confirmed. If this is not done, whoever asks for the name does it, however much later.

use std::time::Duration;

use tidegate_core::redis::{Cmd, ExistenceCheck, SetOptions};

use super::script::{CLAIM, CONFIRM, REMOVE_IF, UPDATE};
use super::{RedisStore, plain};
use crate::id::Id;
use crate::store::record::{self, corrupt};
use crate::store::{StoreError, User};

/// How long others wait for whoever has claimed a name to write the record, beyond the time that a call may take.
const CLAIMED: Duration = Duration::from_secs(30);
/// How often a claim is tried that meets others.
const ROUNDS: usize = 4;

/// What is kept under a name: whose it is, and from which version of the record on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    id: Id,
    version: u64,
    /// Only a claim: until when others wait, by the server's clock.
    claim: Option<u64>,
}

impl Owner {
    /// Of a claim: without its time.
    fn text(id: Id, version: u64, claim: bool) -> String {
        format!("{} {} {version}", if claim { "claim" } else { "owner" }, id.text())
    }

    fn confirmed(&self) -> String {
        Self::text(self.id, self.version, false)
    }

    fn parse(text: &[u8]) -> Result<Self, StoreError> {
        let text = std::str::from_utf8(text).map_err(|_| corrupt("name"))?;
        let words: Vec<_> = text.split(' ').collect();
        let (id, version, claim) = match words.as_slice() {
            ["owner", id, version] => (id, version, None),
            ["claim", id, version, over] => (id, version, Some(over.parse().map_err(|_| corrupt("name"))?)),
            _ => return Err(corrupt("name")),
        };
        let id = Id::parse(id).ok_or_else(|| corrupt("name"))?;
        Ok(Self { id, version: version.parse().map_err(|_| corrupt("name"))?, claim })
    }
}

impl RedisStore {
    pub(super) async fn create(&self, user: &User) -> Result<bool, StoreError> {
        if !self.claim(&user.name, user.id, user.version).await? {
            return Ok(false);
        }
        let record = versioned(user.version, &record::user(user)?);
        let only_new = SetOptions::default().conditional_set(ExistenceCheck::NX);
        let set = Cmd::set_options(self.names.user(user.id), record.as_slice(), only_new);
        if self.redis.command::<Option<String>>(&set).await.map_err(plain)?.is_none() {
            return Ok(false);
        }
        if self.confirm(&user.name, user.id, user.version).await? {
            return Ok(true);
        }
        // This took longer than others wait, and one of them has the name: nobody was told of this user.
        let _: i64 = self.redis.command(&Cmd::del(self.names.user(user.id))).await.map_err(plain)?;
        Ok(false)
    }

    pub(super) async fn update(&self, user: &User) -> Result<bool, StoreError> {
        let Some(kept) = self.by_id(user.id).await?.filter(|kept| kept.version == user.version) else {
            return Ok(false);
        };
        let next = user.version.saturating_add(1);
        let renamed = kept.name != user.name;
        if renamed && !self.claim(&user.name, user.id, next).await? {
            return Ok(false);
        }
        let record = record::user(&User { version: next, ..user.clone() })?;
        let args = [user.version.to_string().into_bytes(), next.to_string().into_bytes(), record];
        if !self.script::<bool>(&UPDATE, &[self.names.user(user.id)], &args).await? {
            // The claim stays until others don't wait for it any more: it may be that of the change that was faster.
            return Ok(false);
        }
        if renamed {
            self.confirm(&user.name, user.id, next).await?;
            self.release(&kept.name, user.id).await?;
        }
        Ok(true)
    }

    pub(super) async fn by_id(&self, id: Id) -> Result<Option<User>, StoreError> {
        let kept: Option<Vec<u8>> = self.redis.command(&Cmd::get(self.names.user(id))).await.map_err(plain)?;
        let Some(kept) = kept else { return Ok(None) };
        let space = kept.iter().position(|byte| *byte == b' ').ok_or_else(|| corrupt("user"))?;
        let user = record::read_user(&kept[space + 1..])?;
        if user.id == id { Ok(Some(user)) } else { Err(corrupt("user")) }
    }

    pub(super) async fn by_name(&self, name: &str) -> Result<Option<User>, StoreError> {
        let Some(owner) = self.owner(name).await? else { return Ok(None) };
        let user = self.by_id(owner.id).await?.filter(|user| user.name == name);
        if owner.claim.is_some() && user.is_some() {
            self.confirm(name, owner.id, owner.version).await?;
        }
        Ok(user)
    }

    async fn owner(&self, name: &str) -> Result<Option<Owner>, StoreError> {
        let kept: Option<Vec<u8>> = self.redis.command(&Cmd::get(self.names.name(name))).await.map_err(plain)?;
        kept.map(|kept| Owner::parse(&kept)).transpose()
    }

    /// Step 1; false if the name is somebody else's.
    async fn claim(&self, name: &str, id: Id, version: u64) -> Result<bool, StoreError> {
        let (key, mut known, mut ours) = ([self.names.name(name)], Vec::new(), false);
        let waits = (CLAIMED + self.timeout).as_millis().to_string();
        for _ in 0..ROUNDS {
            // A name that is kept as this user's already is made nobody else's by claiming it. It is kept as of a new
            // version, so that whoever is about to give it up, after an earlier change, leaves it.
            let waits = if ours { String::new() } else { waits.clone() };
            let args = [Owner::text(id, version, !ours).into_bytes(), known, waits.into_bytes()];
            let (kept, now): (Vec<u8>, u64) = self.script(&CLAIM, &key, &args).await?;
            if kept.is_empty() {
                return Ok(true);
            }
            let owner = Owner::parse(&kept)?;
            if owner.id != id && !self.is_free(name, owner, now).await? {
                return Ok(false);
            }
            (known, ours) = (kept, owner.id == id && owner.claim.is_none());
        }
        Ok(false)
    }

    /// Whether a name that is kept as somebody's is nobody's: whoever claimed it, or gave it up for another, has stopped
    /// in between.
    async fn is_free(&self, name: &str, owner: Owner, now: u64) -> Result<bool, StoreError> {
        if self.by_id(owner.id).await?.is_some_and(|user| user.name == name) {
            self.confirm(name, owner.id, owner.version).await?;
            return Ok(false);
        }
        Ok(owner.claim.is_none_or(|over| over <= now))
    }

    /// Step 3; false if it is somebody else's by now.
    async fn confirm(&self, name: &str, id: Id, version: u64) -> Result<bool, StoreError> {
        let args = [Owner::text(id, version, true), Owner::text(id, version, false)];
        self.script(&CONFIRM, &[self.names.name(name)], &args).await
    }

    /// Gives a name up that was `id`'s before, unless they have taken it again meanwhile.
    async fn release(&self, name: &str, id: Id) -> Result<(), StoreError> {
        let Some(owner) = self.owner(name).await?.filter(|owner| owner.id == id) else { return Ok(()) };
        if owner.claim.is_some() || self.by_id(id).await?.is_some_and(|user| user.name == name) {
            return Ok(());
        }
        let _: i64 = self.script(&REMOVE_IF, &[self.names.name(name)], &[owner.confirmed()]).await?;
        Ok(())
    }
}

fn versioned(version: u64, record: &[u8]) -> Vec<u8> {
    [version.to_string().as_bytes(), b" ", record].concat()
}
